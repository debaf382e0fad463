//! What the group does to us: the rebalance callback, and what it leaves for the next poll.
//!
//! librdkafka calls it inside the poll of the worker's own thread, when no transaction is open; so giving a partition
//! up at once is safe, and what the worker learns of it a moment later concerns its memory only.
//!
//! ```text
//! assign  ──► assigned at offset 0 and paused ──► Change::Assigned      (the worker starts it where it wants)
//! revoke  ──► unassigned                      ──► Change::Revoked, or Change::Lost if it was another's before
//! ```

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rdkafka::{
    ClientContext, Offset,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, KafkaResult},
    topic_partition_list::TopicPartitionList,
    types::RDKafkaRespErr,
};

use super::context::{Health, lock, log};
use crate::{
    model::PartitionIndex,
    stream::{Change, TopicPartition},
};

/// Wakes the worker when something has arrived; rings from librdkafka's threads.
#[derive(Debug, Default)]
pub(super) struct Bell {
    rung: Mutex<bool>,
    condition: Condvar,
}

impl Bell {
    pub(super) fn ring(&self) {
        *lock(&self.rung) = true;
        self.condition.notify_one();
    }

    /// Whether it has rung since the last wait, or does within `wait`.
    pub(super) fn wait(&self, wait: Duration) -> bool {
        let rung = lock(&self.rung);
        match self.condition.wait_timeout_while(rung, wait, |rung| !*rung) {
            Ok((mut rung, _)) => std::mem::take(&mut rung),
            Err(poisoned) => std::mem::take(&mut poisoned.into_inner().0),
        }
    }
}

/// The context of a group's member.
#[derive(Debug)]
pub(super) struct GroupContext {
    pub(super) health: Health,
    topics: Vec<Arc<str>>,
    changes: Mutex<Vec<Change>>,
    broken: Mutex<Option<String>>,
}

impl GroupContext {
    pub(super) fn new(topics: &[Arc<str>]) -> Self {
        Self {
            health: Health::default(),
            topics: topics.to_vec(),
            changes: Mutex::default(),
            broken: Mutex::default(),
        }
    }

    /// What changed since this was last asked, in order.
    pub(super) fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut *lock(&self.changes))
    }

    /// Why this member can no longer follow its group, if so.
    pub(super) fn broken(&self) -> Option<String> {
        lock(&self.broken).clone()
    }

    fn partitions(&self, list: &TopicPartitionList) -> Vec<TopicPartition> {
        list.elements()
            .iter()
            .map(|element| TopicPartition {
                topic: self.topic(element.topic()),
                partition: PartitionIndex(element.partition()),
            })
            .collect()
    }

    fn topic(&self, name: &str) -> Arc<str> {
        self.topics
            .iter()
            .find(|topic| &***topic == name)
            .map_or_else(|| Arc::from(name), Arc::clone)
    }
}

fn assign(consumer: &BaseConsumer<GroupContext>, list: &mut TopicPartitionList) -> KafkaResult<()> {
    // A known offset spares librdkafka's own look at the committed one, which may wait for a transaction, and makes the
    // partition ready to be moved at once. Paused, nothing is read from there.
    list.set_all_offsets(Offset::Offset(0))?;
    consumer.incremental_assign(list)?;
    consumer.pause(list)
}

impl ClientContext for GroupContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.health.record(format!("{error}: {reason}"));
    }
}

impl ConsumerContext for GroupContext {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let partitions = self.partitions(list);
        let is_assignment = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let is_lost = !is_assignment && consumer.assignment_lost();
        let done = if is_assignment {
            assign(consumer, list)
        } else {
            consumer.incremental_unassign(list)
        };
        if let Err(error) = done {
            *lock(&self.broken) = Some(format!("rebalance: {error}"));
        }
        lock(&self.changes).extend(partitions.into_iter().map(|partition| match (is_assignment, is_lost) {
            (true, _) => Change::Assigned(partition),
            (false, true) => Change::Lost(partition),
            (false, false) => Change::Revoked(partition),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_remembers_one_ring() {
        let bell = Bell::default();
        assert!(!bell.wait(Duration::ZERO));
        bell.ring();
        bell.ring();
        assert!(bell.wait(Duration::ZERO));
        assert!(!bell.wait(Duration::ZERO));
    }
}
