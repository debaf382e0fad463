//! One worker's client: a member of a group that reads each partition by a queue of its own, and a producer of whole
//! transactions.
//!
//! ```text
//! partition:  (poll) Assigned ──► paused ──start──► fetched ──start──► fetched from elsewhere (a rewind)
//!                  └── (poll) Revoked | Lost, from any of them ──► gone
//! ```
//!
//! **Invariant:** `take` gives offsets in rising order from the last `start` on, each at most once, whatever
//! librdkafka fetches twice.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    sync::{Arc, mpsc},
    time::Duration,
};

use rdkafka::{
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata, base_consumer::PartitionQueue},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{
    Bound, Connection, Tuning,
    ends::{self, Ends},
    fault,
    ffi::{self, Batches},
    group::{Bell, GroupContext},
    handover::Moved,
    identity::Identities,
    offsets::{self, Committed},
    record, settle,
    transaction::Transactions,
};
use crate::{
    model::Offset,
    stream::{Change, Client, Fault, Membership, Record, TopicPartition, Write},
};

/// The main queue is looked at least this often while waiting, should a ring be lost.
const MAIN_QUEUE_INTERVAL: Duration = Duration::from_millis(50);
/// Events of the main queue served in one look; they are few, and each is short.
const N_EVENTS_MAX: usize = 16;
/// On moving a partition: librdkafka's own threads have to agree, and no broker.
const START_BOUND: Duration = Duration::from_secs(5);
/// On the end of a client that is dropped and not closed. A member that leaves while its group is being rebalanced
/// waits until the others have heard of it, which takes a heartbeat or two.
const DROP_BOUND: Duration = Duration::from_secs(10);

/// Under what names a client is known to the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// The consumer group.
    pub group: String,
    /// The consumer's `client.id`, for people who look at the group.
    pub client_id: String,
    /// Unique to this worker and the same after its restart, so that it fences what it was before.
    pub transactional_id: String,
    /// The topics that its transactions write to: what they were before may have left there is decided first.
    pub writes: Vec<Arc<str>>,
}

/// The client over librdkafka. Dropping it leaves the group, within ten seconds.
pub struct KafkaClient {
    parts: Option<Parts>,
}

/// Dropped in this order: what holds the consumer goes before it.
struct Parts {
    ends: Ends,
    partitions: HashMap<TopicPartition, Fetched>,
    consumer: Arc<BaseConsumer<GroupContext>>,
    bell: Arc<Bell>,
    /// Records may be waiting for which the bell does not ring again.
    has_more: bool,
    /// Deleted before it could be given, and not told of yet.
    deleted: Vec<(TopicPartition, i64)>,
    identities: Identities,
    transactions: Transactions,
}

struct Fetched {
    /// Goes first: it is a second hand on the queue.
    batches: Batches<GroupContext>,
    /// Splits the partition off the consumer's queue, and rings.
    _queue: PartitionQueue<GroupContext>,
    /// The least offset still to be given; `None` until started.
    next: Option<Offset>,
    /// What `next` was as the batch was taken from the queue that is being given …
    batch_from: Offset,
    /// … and the one before: from there on, what was given may come again.
    refetched_from: Offset,
    /// What was deleted before this offset is counted.
    cut_to: Offset,
}

impl fmt::Debug for KafkaClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaClient").finish_non_exhaustive()
    }
}

impl KafkaClient {
    /// Takes the place of a former producer of the same transactional id, then joins the group for `topics`. A topic
    /// that does not exist is no error: it is read from its first record on once it does.
    pub fn new(connection: &Connection, names: &Names, topics: &[&str], tuning: &Tuning) -> Result<Self, Fault> {
        let transactions = Transactions::open(connection, &names.transactional_id, tuning)?;
        let subscribed: Vec<Arc<str>> = topics.iter().map(|topic| Arc::from(*topic)).collect();
        let config = connection.member(&names.client_id, &names.group, tuning);
        let mut consumer = BaseConsumer::from_config_and_context(&config, GroupContext::new(&subscribed))
            .map_err(|error| fault::fault("consumer", &error))?;
        let bell = Arc::new(Bell::default());
        let ring = Arc::clone(&bell);
        consumer.set_nonempty_callback(move || ring.ring());
        if tuning.settles {
            settle::former(&transactions, &consumer, &names.writes)?;
        }
        consumer
            .subscribe(topics)
            .map_err(|error| fault::fault("subscribe", &error))?;
        let consumer = Arc::new(consumer);
        let ends = Ends::watch(Arc::clone(&consumer), subscribed)?;
        let partitions = HashMap::new();
        Ok(Self {
            parts: Some(Parts {
                ends,
                partitions,
                consumer,
                bell,
                has_more: false,
                deleted: Vec::new(),
                identities: Identities::new(tuning.settles),
                transactions,
            }),
        })
    }

    /// Leaves the group and ends all threads. After `bound` they are left to themselves, and a `Fatal` says so.
    pub fn close(mut self, bound: Duration) -> Result<(), Fault> {
        close(self.parts.take(), bound)
    }

    fn parts(&self) -> &Parts {
        self.parts
            .as_ref()
            .expect("there until the client is closed, which takes it")
    }

    fn parts_mut(&mut self) -> &mut Parts {
        self.parts
            .as_mut()
            .expect("there until the client is closed, which takes it")
    }
}

impl Drop for KafkaClient {
    fn drop(&mut self) {
        if let Err(fault) = close(self.parts.take(), DROP_BOUND) {
            tracing::warn!(%fault, "a client was dropped");
        }
    }
}

/// librdkafka's end of a consumer waits for its coordinator without a bound: so on another thread.
fn close(parts: Option<Parts>, bound: Duration) -> Result<(), Fault> {
    let Some(parts) = parts else { return Ok(()) };
    let (done, closed) = mpsc::channel();
    std::thread::Builder::new()
        .name("kafka-close".to_owned())
        .spawn(move || {
            drop(parts);
            // Nobody may be waiting any more.
            done.send(()).unwrap_or(());
        })
        .map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
    closed
        .recv_timeout(bound)
        .map_err(|error| Fault::Fatal(format!("not closed within {bound:?}: {error}")))
}

impl Client for KafkaClient {
    fn poll(&mut self, wait: Duration) -> Result<Vec<Change>, Fault> {
        self.parts_mut().poll(wait)
    }

    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, Fault> {
        self.parts_mut().committed(partitions)
    }

    fn bounds(&mut self, partition: &TopicPartition) -> Result<(Offset, Offset), Fault> {
        offsets::bounds(&self.parts().consumer, partition)
    }

    fn start(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), Fault> {
        self.parts_mut().start(partition, offset)
    }

    fn take(
        &mut self,
        partition: &TopicPartition,
        max: usize,
        each: &mut dyn FnMut(&Record<'_>) -> bool,
    ) -> Result<usize, Fault> {
        self.parts_mut().take(partition, max, each)
    }

    fn take_deleted(&mut self) -> Vec<(TopicPartition, i64)> {
        std::mem::take(&mut self.parts_mut().deleted)
    }

    fn positions(&mut self) -> Result<Vec<(TopicPartition, Offset)>, Fault> {
        self.parts().positions()
    }

    fn end(&self, partition: &TopicPartition) -> Option<Offset> {
        self.parts().ends.of(partition)
    }

    fn membership(&mut self) -> Option<Membership> {
        let consumer = &self.parts().consumer;
        // The wrapper's token does not show what is in it, and one without a generation would be taken by the broker
        // from anybody. The same member before and after it was made: then it is of that member.
        let before = ffi::member(consumer.client())?;
        let token = consumer.group_metadata()?;
        let after = ffi::member(consumer.client())?;
        (before == after).then(|| Membership {
            token: Box::new(Arc::new(token)),
        })
    }

    fn commit(
        &mut self,
        membership: &Membership,
        positions: &[(TopicPartition, Offset)],
        writes: Vec<Write>,
    ) -> Result<(), Fault> {
        if positions.is_empty() {
            return Err(Fault::Retry(
                "no positions: the broker would not check the membership".to_owned(),
            ));
        }
        let token: &dyn Any = &*membership.token;
        let Some(group) = token.downcast_ref::<Arc<ConsumerGroupMetadata>>() else {
            return Err(Fault::Fatal("the membership is not of this kind of client".to_owned()));
        };
        let moved = Moved {
            positions: Arc::new(self.parts().identities.note(positions)?),
            group: Arc::clone(group),
        };
        self.parts().transactions.run(&moved, &writes)
    }

    fn partition_count(&mut self, topic: &str) -> Result<Option<u32>, Fault> {
        ends::partition_count(&self.parts().consumer, topic)
    }
}

impl Parts {
    fn poll(&mut self, wait: Duration) -> Result<Vec<Change>, Fault> {
        let bound = Bound::new(wait);
        loop {
            self.serve()?;
            self.identities.look(|topic| self.ends.identity(topic))?;
            let changes = self.consumer.context().take_changes();
            if !changes.is_empty() {
                self.apply(&changes)?;
                return Ok(changes);
            }
            if std::mem::take(&mut self.has_more) || bound.has_passed() {
                return Ok(changes);
            }
            // A ring means records or a change: whichever it is, one more look at the main queue, and back.
            self.has_more = self.bell.wait(bound.left().min(MAIN_QUEUE_INTERVAL));
        }
    }

    /// Serves what waits in the main queue: rebalances and errors, never records.
    fn serve(&self) -> Result<(), Fault> {
        for _ in 0..N_EVENTS_MAX {
            // `None` may also mean that one event was served and more wait: the ring and the interval bring us back.
            let Some(event) = self.consumer.poll(Duration::ZERO) else {
                break;
            };
            match event {
                // A first fetch can pass by the main queue before the partition's own is split off; it comes again.
                Ok(_outdated) => {}
                Err(error) => self.note(&error)?,
            }
        }
        match self.consumer.context().broken() {
            Some(why) => Err(Fault::Fatal(why)),
            None => Ok(()),
        }
    }

    /// An error that came by itself: fatal, or recorded.
    fn note(&self, error: &KafkaError) -> Result<(), Fault> {
        if let KafkaError::MessageConsumptionFatal(_) = error {
            return Err(fault::fault("consumer", error));
        }
        self.consumer.context().health.record(error.to_string());
        Ok(())
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), Fault> {
        for change in changes {
            match change {
                Change::Assigned(partition) => {
                    let mut queue = self
                        .consumer
                        .split_partition_queue(&partition.topic, partition.partition.0)
                        .ok_or_else(|| Fault::Fatal(format!("{partition} has no queue")))?;
                    let bell = Arc::clone(&self.bell);
                    queue.set_nonempty_callback(move || bell.ring());
                    let batches = Batches::of(&self.consumer, &partition.topic, partition.partition.0)
                        .ok_or_else(|| Fault::Fatal(format!("{partition} has no queue")))?;
                    let fetched = Fetched {
                        batches,
                        _queue: queue,
                        next: None,
                        batch_from: Offset(0),
                        refetched_from: Offset(0),
                        cut_to: Offset(0),
                    };
                    self.partitions.insert(partition.clone(), fetched);
                    self.ends.assigned(partition);
                }
                Change::Revoked(partition) | Change::Lost(partition) => {
                    self.partitions.remove(partition);
                    self.ends.unassigned(partition);
                    // Of one that is read no more it does not matter which it was.
                    if !self.partitions.keys().any(|known| known.topic == partition.topic) {
                        self.identities.let_go(&partition.topic);
                        self.ends.unidentified(&partition.topic);
                    }
                }
            }
        }
        Ok(())
    }

    /// Where the group left off in topics that are still the same.
    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, Fault> {
        // Before the positions: of a topic that is made anew in between, they are of the former.
        let mut topics: Vec<_> = partitions
            .iter()
            .map(|partition| Arc::clone(&partition.topic))
            .collect();
        topics.sort_unstable();
        topics.dedup();
        for (topic, identity) in self.identities.ask(&self.consumer, &topics)? {
            self.ends.identified(topic, identity);
        }
        let committed = offsets::committed(&self.consumer, partitions)?;
        let committed = partitions.iter().zip(committed).map(|(partition, committed)| {
            let Committed { offset, note } = committed?;
            let is_of_former = self.identities.is_of_former(&partition.topic, &note);
            if is_of_former {
                tracing::warn!(%partition, %offset, "what was committed is of a topic that was deleted");
            }
            (!is_of_former).then_some(offset)
        });
        Ok(committed.collect())
    }

    fn start(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), Fault> {
        let Some(fetched) = self.partitions.get_mut(partition) else {
            return Err(unassigned(partition));
        };
        // Of before the move.
        fetched.batches.clear();
        let bound = Bound::new(START_BOUND);
        loop {
            match offsets::seek(&self.consumer, partition, offset, &bound) {
                Ok(()) => break,
                // An assignment takes a moment to reach the thread that moves it.
                Err(Fault::Retry(_)) if !bound.has_passed() => std::thread::sleep(Duration::from_millis(2)),
                Err(fault) => return Err(fault),
            }
        }
        if fetched.next.is_none() {
            let list = record::list([(partition, rdkafka::Offset::Invalid)])?;
            self.consumer
                .resume(&list)
                .map_err(|error| fault::fault("resume", &error))?;
            self.ends.ask_now();
        }
        fetched.next = Some(offset);
        (fetched.batch_from, fetched.refetched_from) = (offset, offset);
        // What was fetched before is still in the queue, to be skipped by librdkafka when it is polled; until then the
        // queue is not empty, and the bell would not ring.
        self.has_more = true;
        Ok(())
    }

    fn take(
        &mut self,
        partition: &TopicPartition,
        max: usize,
        each: &mut dyn FnMut(&Record<'_>) -> bool,
    ) -> Result<usize, Fault> {
        let Some(fetched) = self.partitions.get_mut(partition) else {
            return Err(unassigned(partition));
        };
        let Some(mut next) = fetched.next else { return Ok(0) };
        let mut n_given = 0;
        while n_given < max {
            if fetched.batches.is_empty() {
                fetched.refetched_from = std::mem::replace(&mut fetched.batch_from, next);
            }
            let Some(arrived) = fetched.batches.next() else {
                return Ok(n_given);
            };
            if let Some((code, text)) = arrived.error() {
                if code == RDKafkaErrorCode::Fatal {
                    return Err(fault::fault("take", &KafkaError::MessageConsumptionFatal(code)));
                }
                let text = format!("{partition}: {code}: {text}");
                self.consumer.context().health.record(text);
                drop(arrived);
                // librdkafka counts an error in a batch as a record read, the one that could not be: it would be passed
                // over with the next rebalance, and its position is beyond it already. Moving sets that right.
                self.start(partition, next).map_err(|fault| {
                    Fault::Fatal(format!(
                        "{partition} cannot be read on at {next} after an error: {fault}"
                    ))
                })?;
                return Ok(n_given);
            }
            let offset = arrived.offset();
            if offset < next && offset >= fetched.refetched_from {
                // A rebalance pauses and resumes all partitions; librdkafka may then fetch again what was being taken.
                continue;
            }
            if offset < next {
                return Err(Fault::Fatal(format!(
                    "{partition} was cut: offset {offset} where {next} should be"
                )));
            }
            // Most gaps are marks of transactions, or what compaction left out.
            if offset > next
                && let Some(first) = ffi::first_offset(self.consumer.client(), partition)
            {
                let (from, to) = (next.max(fetched.cut_to), first.min(offset));
                if to > from {
                    self.deleted.push((partition.clone(), to.0 - from.0));
                    fetched.cut_to = to;
                }
            }
            next = offset.next();
            fetched.next = Some(next);
            n_given += 1;
            if !arrived.lend(&mut *each) {
                break;
            }
        }
        self.has_more = true;
        Ok(n_given)
    }
}

impl Parts {
    fn positions(&self) -> Result<Vec<(TopicPartition, Offset)>, Fault> {
        let list = self
            .consumer
            .position()
            .map_err(|error| fault::fault("position", &error))?;
        let mut positions = Vec::new();
        for (partition, fetched) in &self.partitions {
            // What waits in a batch is read already, as far as librdkafka knows.
            let Some(next) = fetched.next.filter(|_| fetched.batches.is_empty()) else {
                continue;
            };
            let found = list.find_partition(&partition.topic, partition.partition.0);
            // A start sets it back to none, until something from there on is read.
            if let Some(rdkafka::Offset::Offset(offset)) = found.map(|element| element.offset())
                && Offset(offset) >= next
            {
                positions.push((partition.clone(), Offset(offset)));
            }
        }
        Ok(positions)
    }
}

fn unassigned(partition: &TopicPartition) -> Fault {
    Fault::Retry(format!("{partition} is not assigned"))
}
