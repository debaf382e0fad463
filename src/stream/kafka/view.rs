//! Following whole topics from their beginning, for ever: how an instance knows what stands on the control topic.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use rdkafka::{
    Message,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    topic_partition_list::TopicPartitionList,
};

use super::{
    Bound, Connection, Isolation, Tuning, context::Plain, ends, fault, identity::Identities, offsets, reader, record,
};
use crate::{
    model::{Offset, PartitionIndex},
    stream::{Fault, Record, TopicPartition},
};

/// Records given in one call at most, so that the caller gets to look around.
const N_RECORDS_MAX: usize = 10_000;

/// One record, and whence.
#[derive(Debug)]
pub struct Followed<'a> {
    pub topic: &'a str,
    pub partition: PartitionIndex,
    pub record: &'a Record<'a>,
}

/// Why not all of a topic is followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    #[error("there is no such topic")]
    Missing,
    /// It may not be looked at, or one of its partitions cannot be.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Reads every partition of some topics from the first record on, decided transactions only, and never commits.
pub struct Follower {
    consumer: BaseConsumer<Plain>,
    everything: BaseConsumer<Plain>,
    context: Plain,
    topics: Vec<Arc<str>>,
    identities: Identities,
    /// As of the last look, of each topic of which not all is followed.
    lacks: BTreeMap<Arc<str>, Lack>,
    /// The end of each partition when following it began.
    ends: HashMap<TopicPartition, Offset>,
    /// Those of `ends` that have not been reached.
    behind: HashMap<TopicPartition, Offset>,
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follower")
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

impl Follower {
    /// Begins with the partitions that exist and have a leader; [`Self::refresh`] adds those that come later.
    pub fn new(connection: &Connection, client_id: &str, topics: &[&str], tuning: &Tuning) -> Result<Self, Fault> {
        let context = Plain::default();
        let mut config = connection.consumer(client_id, tuning, Isolation::Committed);
        // librdkafka assigns partitions to consumers with a group only; this one is never joined.
        config.set("group.id", client_id);
        let consumer = reader::open(&config, &context)?;
        let everything = reader::open(
            &connection.consumer(client_id, tuning, Isolation::Uncommitted),
            &context,
        )?;
        let topics = topics.iter().map(|topic| Arc::from(*topic)).collect();
        let mut follower = Self {
            consumer,
            everything,
            context,
            topics,
            identities: Identities::new(tuning.settles),
            lacks: BTreeMap::new(),
            ends: HashMap::new(),
            behind: HashMap::new(),
        };
        follower.refresh()?;
        Ok(follower)
    }

    /// Looks for partitions that were not there before and follows them too. What is wrong with one topic holds up no
    /// other: [`Self::lack`] tells it. A topic that was deleted and made again is a fault: another follower begins it.
    pub fn refresh(&mut self) -> Result<(), Fault> {
        // Before the partitions: those of a topic that is made anew in between are given up with the next look.
        self.identities.ask(&self.consumer, &self.topics)?;
        let mut found = Vec::new();
        let mut lacks = BTreeMap::new();
        for topic in &self.topics {
            if let Err(lack) = self.look(topic, &mut found) {
                lacks.insert(Arc::clone(topic), lack);
            }
        }
        self.note(lacks);
        if found.is_empty() {
            return Ok(());
        }
        let list = record::list(
            found
                .iter()
                .map(|(partition, ..)| (partition, rdkafka::Offset::Beginning)),
        )?;
        self.consumer
            .incremental_assign(&list)
            .map_err(|error| fault::fault("assign", &error))?;
        for (partition, first, end) in found {
            if first < end {
                self.behind.insert(partition.clone(), end);
            }
            self.ends.insert(partition, end);
        }
        Ok(())
    }

    /// Adds to `found` what there is of `topic` and is not followed yet, with its first offset and its end.
    fn look(&self, topic: &Arc<str>, found: &mut Vec<(TopicPartition, Offset, Offset)>) -> Result<(), Lack> {
        // Asked by the consumer that follows: it knows the leaders then, and need not look for them.
        let leaders = ends::leaders(&self.consumer, topic, ends::ANSWER_BOUND)?.ok_or(Lack::Missing)?;
        let mut leaderless = None;
        for (index, leader) in leaders {
            let partition = TopicPartition {
                topic: Arc::clone(topic),
                partition: index,
            };
            if leader < 0 {
                // To ask for its offsets is to wait for a leader.
                leaderless.get_or_insert(partition);
            } else if !self.ends.contains_key(&partition) {
                let (first, end) = offsets::bounds(&self.everything, &partition)?;
                found.push((partition, first, end));
            }
        }
        leaderless.map_or(Ok(()), |partition| {
            Err(Fault::Retry(format!("{partition} has no leader")).into())
        })
    }

    fn note(&mut self, lacks: BTreeMap<Arc<str>, Lack>) {
        for (topic, why) in &lacks {
            if self.lacks.get(topic) != Some(why) {
                tracing::warn!(%topic, "not followed, or not all of it: {why}");
            }
        }
        for topic in self.lacks.keys().filter(|topic| !lacks.contains_key(*topic)) {
            tracing::info!(%topic, "followed again");
        }
        self.lacks = lacks;
    }

    /// Gives `each` what has arrived, in order for each partition; waits at most `wait` for the first, and never for
    /// more. Says how many.
    pub fn poll(&mut self, wait: Duration, each: &mut dyn FnMut(&Followed<'_>)) -> Result<usize, Fault> {
        let bound = Bound::new(wait);
        let mut n_given = 0;
        while n_given < N_RECORDS_MAX {
            let left = if n_given == 0 { bound.left() } else { Duration::ZERO };
            match self.consumer.poll(left) {
                Some(Ok(message)) => {
                    n_given += 1;
                    let (topic, partition) = (message.topic(), PartitionIndex(message.partition()));
                    record::lend(&message, |record| {
                        each(&Followed {
                            topic,
                            partition,
                            record,
                        });
                    });
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                    return Err(fault::fault("follow", &error));
                }
                Some(Err(error)) => self.context.health.record(error.to_string()),
                None => break,
            }
        }
        if !self.behind.is_empty() {
            self.look_for_ends()?;
        }
        Ok(n_given)
    }

    /// Whether everything has been given that was there when following began, by [`Self::poll`]. Stays true, until
    /// [`Self::refresh`] finds a partition with records.
    #[must_use]
    pub fn is_caught_up(&self) -> bool {
        self.behind.is_empty()
    }

    /// Whether all of `topic` is followed and has been given so.
    #[must_use]
    pub fn has_given(&self, topic: &str) -> bool {
        self.lack(topic).is_none() && !self.behind.keys().any(|partition| *partition.topic == *topic)
    }

    /// Why not all of `topic` is followed, as of the last [`Self::refresh`].
    #[must_use]
    pub fn lack(&self, topic: &str) -> Option<&Lack> {
        self.lacks.get(topic)
    }

    #[must_use]
    pub fn lacks_any(&self) -> bool {
        !self.lacks.is_empty()
    }

    /// What is there and has not been given, with the first offset of each partition that has such. What is not decided
    /// yet counts too; topics that cannot be followed do not.
    pub fn unread(&self) -> Result<Vec<(TopicPartition, Offset)>, Fault> {
        let positions = self.positions()?;
        let mut unread = Vec::new();
        for partition in self
            .ends
            .keys()
            .filter(|partition| self.lack(&partition.topic).is_none())
        {
            let (first, end) = offsets::bounds(&self.everything, partition)?;
            let next = position(&positions, partition).unwrap_or(first);
            if next < end {
                unread.push((partition.clone(), next));
            }
        }
        Ok(unread)
    }

    /// `text`, with the last error that was no answer to a call as its likely reason.
    #[must_use]
    pub fn explain(&self, text: &str) -> String {
        self.context.health.explain(text)
    }

    /// How many partitions are followed.
    #[must_use]
    pub fn n_partitions(&self) -> usize {
        self.ends.len()
    }

    fn look_for_ends(&mut self) -> Result<(), Fault> {
        let positions = self.positions()?;
        self.behind
            .retain(|partition, end| position(&positions, partition).is_none_or(|reached| reached < *end));
        Ok(())
    }

    fn positions(&self) -> Result<TopicPartitionList, Fault> {
        self.consumer
            .position()
            .map_err(|error| fault::fault("position", &error))
    }
}

/// Behind the last record given, or that needed none to be given; `None` before the first.
fn position(positions: &TopicPartitionList, partition: &TopicPartition) -> Option<Offset> {
    let element = positions.find_partition(&partition.topic, partition.partition.0)?;
    match element.offset() {
        rdkafka::Offset::Offset(offset) => Some(Offset(offset)),
        rdkafka::Offset::Beginning
        | rdkafka::Offset::End
        | rdkafka::Offset::Stored
        | rdkafka::Offset::Invalid
        | rdkafka::Offset::OffsetTail(_) => None,
    }
}
