//! What a cluster holds: topics, transactional producers, groups, and what it does by itself as time passes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{
    Process, SESSION_TIMEOUT, Schedule, TRANSACTION_TIMEOUT,
    group::{Group, MemberId, Token},
};
use crate::{
    model::{Offset, PartitionIndex, Timestamp},
    stream::{Fault, Header, TopicPartition, Write},
};

/// What is broken on purpose, to see that it is noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weakness {
    /// Anybody may commit: neither producers nor members are fenced.
    NoFence,
    /// Records of open and aborted transactions are shown.
    ShowsUndecided,
    /// Of an aborted transaction the positions stay.
    KeepsPositions,
}

/// A record as it is kept.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) timestamp: Timestamp,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<Header>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Open,
    Committed,
    Aborted,
}

/// An offset: a record, or the mark of a decision.
#[derive(Debug)]
pub(super) struct Slot {
    /// `None` is a mark.
    pub(super) record: Option<Stored>,
    pub(super) decision: Decision,
}

#[derive(Debug, Default)]
pub(super) struct Partition {
    pub(super) slots: Vec<Slot>,
    /// Everything before it is decided.
    decided: usize,
}

impl Partition {
    pub(super) fn end(&self) -> Offset {
        Offset(i64::try_from(self.slots.len()).unwrap_or(i64::MAX))
    }

    /// The offset before which everything is decided.
    pub(super) fn decided(&mut self) -> Offset {
        while self
            .slots
            .get(self.decided)
            .is_some_and(|slot| slot.decision != Decision::Open)
        {
            self.decided += 1;
        }
        Offset(i64::try_from(self.decided).unwrap_or(i64::MAX))
    }
}

/// A transaction that is open, or decided and not yet marked everywhere.
#[derive(Debug)]
struct Transaction {
    began: Timestamp,
    prepared: bool,
    slots: BTreeMap<TopicPartition, Vec<usize>>,
    positions: Vec<(String, TopicPartition, Offset)>,
}

#[derive(Debug, Default)]
struct Producer {
    epoch: u32,
    open: Option<Transaction>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) topics: BTreeMap<Arc<str>, Vec<Partition>>,
    /// Topics whose records carry the time of writing.
    stamped: BTreeSet<Arc<str>>,
    producers: BTreeMap<String, Producer>,
    pub(super) groups: BTreeMap<String, Group>,
    n_members: u64,
    weakness: Option<Weakness>,
}

/// A cluster, shared by its clients.
pub(crate) struct Cluster {
    state: Mutex<State>,
    pub(super) schedule: Arc<dyn Schedule>,
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").finish_non_exhaustive()
    }
}

impl Cluster {
    pub(crate) fn new(schedule: Arc<dyn Schedule>, weakness: Option<Weakness>) -> Self {
        let state = State {
            weakness,
            ..State::default()
        };
        Self {
            state: Mutex::new(state),
            schedule,
        }
    }

    pub(crate) fn create(&self, topic: &str, n_partitions: usize, stamped: bool) {
        let mut state = self.lock();
        let topic: Arc<str> = Arc::from(topic);
        state.topics.insert(
            Arc::clone(&topic),
            (0..n_partitions).map(|_| Partition::default()).collect(),
        );
        if stamped {
            state.stamped.insert(topic);
        }
    }

    /// Appends outside any transaction, as producers of input do.
    pub(crate) fn append(&self, write: Write) -> Offset {
        let now = self.schedule.now();
        let mut state = self.lock();
        let partition = TopicPartition {
            topic: write.topic.clone(),
            partition: write.partition,
        };
        let slot = state.append(&partition, write, Decision::Committed, now);
        Offset(i64::try_from(slot).unwrap_or(i64::MAX))
    }

    /// Gives what is decided of a partition from `next` on, and moves it.
    pub(crate) fn follow(&self, partition: &TopicPartition, next: &mut Offset, mut each: impl FnMut(Offset, &Stored)) {
        let mut state = self.lock();
        let Some(found) = state.partition(&partition.topic, partition.partition) else {
            return;
        };
        let end = found.decided();
        while *next < end {
            let slot = &found.slots[usize::try_from(next.0).unwrap_or(usize::MAX)];
            if let (Some(record), Decision::Committed) = (&slot.record, slot.decision) {
                each(*next, record);
            }
            *next = next.next();
        }
    }

    /// The offset behind the last of a partition, and before the first undecided one.
    pub(crate) fn ends(&self, partition: &TopicPartition) -> (Offset, Offset) {
        let mut state = self.lock();
        state.pass_time(&*self.schedule);
        let found = state.partition(&partition.topic, partition.partition);
        found.map_or((Offset(0), Offset(0)), |found| (found.end(), found.decided()))
    }

    /// Whether a record of a partition from `from` on may be shown.
    pub(crate) fn has_record(&self, partition: &TopicPartition, from: Offset) -> bool {
        let mut next = from;
        let mut found = false;
        self.follow(partition, &mut next, |_, _| found = true);
        found
    }

    /// Where a group left off.
    pub(crate) fn committed(&self, group: &str, partition: &TopicPartition) -> Option<Offset> {
        let state = self.lock();
        state.groups.get(group)?.committed.get(partition).copied()
    }

    /// The cluster as of now.
    pub(super) fn now(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.pass_time(&*self.schedule);
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(super) fn partition(&mut self, topic: &str, partition: PartitionIndex) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.get_mut(usize::try_from(partition.0).ok()?)
    }

    pub(super) fn shows_undecided(&self) -> bool {
        self.weakness == Some(Weakness::ShowsUndecided)
    }

    /// What a cluster does by itself: puts out silent members, ends what was prepared, aborts what is open for too long.
    fn pass_time(&mut self, schedule: &dyn Schedule) {
        let now = schedule.now();
        let mut changed = Vec::new();
        for (name, group) in &mut self.groups {
            let silent: Vec<MemberId> = group
                .members
                .iter()
                .filter(|(_, member)| {
                    let since = schedule.silent_since(member.process);
                    since.is_some_and(|since| now.since(since) >= SESSION_TIMEOUT)
                })
                .map(|(id, _)| *id)
                .collect();
            for id in &silent {
                group.leave(*id);
            }
            if !silent.is_empty() {
                changed.push(name.clone());
            }
        }
        for name in changed {
            self.balance(&name);
        }
        let ids: Vec<String> = self.producers.keys().cloned().collect();
        for id in ids {
            let producer = self.producers.get_mut(&id).expect("listed above");
            let Some(open) = &producer.open else { continue };
            let age = now.since(open.began);
            if age >= TRANSACTION_TIMEOUT {
                // Its producer is shut out: it will not know that the transaction is over.
                producer.epoch += u32::from(!open.prepared);
                self.end(&id);
            }
        }
    }

    fn append(&mut self, partition: &TopicPartition, write: Write, decision: Decision, now: Timestamp) -> usize {
        let stamped = self.stamped.contains(&partition.topic);
        let found = self
            .partition(&partition.topic, partition.partition)
            .expect("the partition is there");
        found.slots.push(Slot {
            record: Some(Stored {
                timestamp: if stamped { now } else { write.timestamp },
                key: write.key,
                value: write.value,
                headers: write.headers,
            }),
            decision,
        });
        found.slots.len() - 1
    }

    /// Takes the place of a former producer, whose open transaction is decided first.
    pub(super) fn open(&mut self, id: &str) -> u32 {
        self.end(id);
        let producer = self.producers.entry(id.to_owned()).or_default();
        producer.epoch += 1;
        producer.epoch
    }

    fn producer(&mut self, id: &str, epoch: u32) -> Result<&mut Producer, Fault> {
        let unfenced = self.weakness == Some(Weakness::NoFence);
        let producer = self.producers.entry(id.to_owned()).or_default();
        if producer.epoch != epoch && !unfenced {
            return Err(Fault::Fenced(format!("{id}: epoch {epoch} of {}", producer.epoch)));
        }
        Ok(producer)
    }

    pub(super) fn begin(&mut self, id: &str, epoch: u32, now: Timestamp) -> Result<(), Fault> {
        self.producer(id, epoch)?.open = Some(Transaction {
            began: now,
            prepared: false,
            slots: BTreeMap::new(),
            positions: Vec::new(),
        });
        Ok(())
    }

    pub(super) fn write(&mut self, id: &str, epoch: u32, write: Write, now: Timestamp) -> Result<(), Fault> {
        self.open_transaction(id, epoch)?;
        let partition = TopicPartition {
            topic: write.topic.clone(),
            partition: write.partition,
        };
        let slot = self.append(&partition, write, Decision::Open, now);
        let open = self.open_transaction(id, epoch)?;
        open.slots.entry(partition).or_default().push(slot);
        Ok(())
    }

    fn open_transaction(&mut self, id: &str, epoch: u32) -> Result<&mut Transaction, Fault> {
        let producer = self.producer(id, epoch)?;
        let open = producer.open.as_mut().filter(|open| !open.prepared);
        open.ok_or_else(|| Fault::Fenced(format!("{id}: no transaction is open")))
    }

    pub(super) fn send_positions(
        &mut self,
        (id, epoch): (&str, u32),
        (group, token): (&str, Token),
        positions: &[(TopicPartition, Offset)],
    ) -> Result<(), Fault> {
        let unfenced = self.weakness == Some(Weakness::NoFence);
        let accepted = self.groups.entry(group.to_owned()).or_default().accepts(token);
        let open = self.open_transaction(id, epoch)?;
        if !unfenced {
            accepted.map_err(Fault::Aborted)?;
        }
        let positions = positions
            .iter()
            .map(|(partition, offset)| (group.to_owned(), partition.clone(), *offset));
        open.positions.extend(positions);
        Ok(())
    }

    /// The decision to commit: from here on it cannot be undone.
    pub(super) fn prepare(&mut self, id: &str, epoch: u32) -> Result<(), Fault> {
        self.open_transaction(id, epoch)?.prepared = true;
        Ok(())
    }

    /// Shows the decision in one more partition; false once it is shown everywhere.
    pub(super) fn mark(&mut self, id: &str) -> bool {
        let Some(producer) = self.producers.get_mut(id) else {
            return false;
        };
        let Some(open) = &mut producer.open else { return false };
        let decision = if open.prepared {
            Decision::Committed
        } else {
            Decision::Aborted
        };
        if let Some((partition, slots)) = open.slots.pop_first() {
            let found = self
                .partition(&partition.topic, partition.partition)
                .expect("it was written to");
            for slot in slots {
                found.slots[slot].decision = decision;
            }
            found.slots.push(Slot { record: None, decision });
            return true;
        }
        let open = producer.open.take();
        let keeps = self.weakness == Some(Weakness::KeepsPositions);
        if let Some(open) = open.filter(|open| open.prepared || keeps) {
            for (group, partition, offset) in open.positions {
                let group = self.groups.entry(group).or_default();
                group.committed.insert(partition, offset);
            }
        }
        false
    }

    /// Ends what is open of a producer: what was decided is shown, all else aborted.
    pub(super) fn end(&mut self, id: &str) {
        while self.mark(id) {}
    }

    pub(super) fn abort(&mut self, id: &str, epoch: u32) -> Result<(), Fault> {
        self.producer(id, epoch)?;
        self.end(id);
        Ok(())
    }

    /// Whether a transaction not yet decided everywhere would move any of these.
    pub(super) fn is_pending(&self, group: &str, partitions: &[TopicPartition]) -> bool {
        let open = self.producers.values().filter_map(|producer| producer.open.as_ref());
        open.flat_map(|open| &open.positions)
            .any(|(of, partition, _)| of == group && partitions.contains(partition))
    }

    pub(super) fn join(&mut self, group: &str, process: Process, topics: &[String]) -> MemberId {
        self.n_members += 1;
        let id = MemberId(self.n_members);
        let joined = self.groups.entry(group.to_owned()).or_default();
        joined.join(id, process, topics.to_vec());
        self.balance(group);
        id
    }

    pub(super) fn leave(&mut self, group: &str, id: MemberId) {
        self.groups.entry(group.to_owned()).or_default().leave(id);
        self.balance(group);
    }

    fn balance(&mut self, group: &str) {
        let partitions: Vec<TopicPartition> = self
            .topics
            .iter()
            .flat_map(|(topic, partitions)| {
                (0_i32..).zip(partitions).map(|(index, _)| TopicPartition {
                    topic: Arc::clone(topic),
                    partition: PartitionIndex(index),
                })
            })
            .collect();
        let group = self.groups.entry(group.to_owned()).or_default();
        let wanted: Vec<TopicPartition> = partitions
            .into_iter()
            .filter(|partition| group.is_wanted(&partition.topic))
            .collect();
        group.balance(&wanted);
    }
}
