//! The engine: what a worker needs of Kafka, as one narrow interface, and its implementations.
//!
//! A worker is one thread with one [`Client`]: a consumer of a group and a transactional producer. It asks the group
//! for changes ([`Client::poll`]), takes records ([`Client::take`]) and writes whole transactions
//! ([`Client::commit`]). No transaction is open outside `commit`, and rebalances happen nowhere but in `poll`: so no
//! open transaction can outlive the partitions it speaks for.
//!
//! **Invariant:** nothing here knows of services, risk or decisions.

#[cfg(feature = "service")]
pub mod embedded;
mod identity;
#[cfg(feature = "service")]
pub mod kafka;
#[cfg(all(test, feature = "service"))]
pub(crate) mod memory;

use std::{fmt, sync::Arc, time::Duration};

pub use self::identity::Identity;
use crate::model::{Offset, PartitionIndex, Timestamp};

/// One partition of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    pub topic: Arc<str>,
    pub partition: PartitionIndex,
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A header as Kafka carries it: names may repeat, values may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub name: Box<str>,
    pub value: Option<Vec<u8>>,
}

/// One record as it arrived; it borrows the client's buffer.
pub struct Record<'a> {
    pub offset: Offset,
    /// The record's Kafka timestamp; `None` where the producer set none.
    pub timestamp: Option<Timestamp>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    /// Copies the headers out; asked for only where they are needed.
    pub headers: &'a dyn Fn() -> Vec<Header>,
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("offset", &self.offset)
            .field("timestamp", &self.timestamp)
            .field("key", &self.key)
            .field("value_bytes", &self.value.map(<[u8]>::len))
            .finish_non_exhaustive()
    }
}

/// One record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub topic: Arc<str>,
    pub partition: PartitionIndex,
    /// The Kafka timestamp to give it; a topic with the broker's time ignores it.
    pub timestamp: Timestamp,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<Header>,
}

/// What the group gave or took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Ours now, and not fetched until [`Client::start`].
    Assigned(TopicPartition),
    /// Another's now; the former owner could still have written until this moment.
    Revoked(TopicPartition),
    /// Another's for some time already: nothing of it may be written.
    Lost(TopicPartition),
}

/// Proof of membership, taken with a batch and kept to its commit: a stale one makes the broker refuse the commit.
pub struct Membership {
    /// Made by the client that reads it back; opaque to workers.
    pub token: Box<dyn std::any::Any>,
}

impl fmt::Debug for Membership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Membership").finish_non_exhaustive()
    }
}

/// A fault of Kafka, classified once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing happened; the same call may succeed later.
    #[error("not now: {0}")]
    Retry(String),
    /// The transaction was aborted: what it said is unsaid, and memory is ahead of the log.
    #[error("transaction aborted: {0}")]
    Aborted(String),
    /// Another process has taken this producer's place.
    #[error("fenced: {0}")]
    Fenced(String),
    /// The client is beyond repair; a new one may work.
    #[error("client failed: {0}")]
    Fatal(String),
}

/// One consumer of a group and one transactional producer, owned by one thread.
pub trait Client {
    /// Serves the group and returns what it changed since the last call; waits at most `wait` for records or changes.
    fn poll(&mut self, wait: Duration) -> Result<Vec<Change>, Fault>;

    /// Where the group left off in each of `partitions`, once every pending transaction is decided; `None` where
    /// it never was.
    fn committed(&mut self, partitions: &[TopicPartition]) -> Result<Vec<Option<Offset>>, Fault>;

    /// The offsets of the first record and behind the last one of a partition, open transactions not counted.
    fn bounds(&mut self, partition: &TopicPartition) -> Result<(Offset, Offset), Fault>;

    /// Fetches an assigned partition from `offset` on; also moves one that is fetched already (a rewind).
    fn start(&mut self, partition: &TopicPartition, offset: Offset) -> Result<(), Fault>;

    /// Gives `each` the records that have arrived of one partition, in order, `max` at most, never waiting;
    /// stops early when `each` says no more (after the record it was given). Says how many it gave.
    fn take(
        &mut self,
        partition: &TopicPartition,
        max: usize,
        each: &mut dyn FnMut(&Record<'_>) -> bool,
    ) -> Result<usize, Fault>;

    /// How many records were deleted before they could be given, by partition, since this was last asked.
    fn take_deleted(&mut self) -> Vec<(TopicPartition, i64)> {
        Vec::new()
    }

    /// How far each started partition is read: behind the last record given and what followed it without being one (a
    /// transaction's mark, aborted records). Those of which nothing was read yet are left out.
    fn positions(&mut self) -> Result<Vec<(TopicPartition, Offset)>, Fault>;

    /// The end of each fetched partition, as last asked of the broker since it was assigned: kept up to date in the
    /// background about once a second. `None` until the first answer, and again where the last one is old.
    fn end(&self, partition: &TopicPartition) -> Option<Offset>;

    /// Proof of membership; `None` while this client is not a member with a generation.
    fn membership(&mut self) -> Option<Membership>;

    /// One whole transaction: all of `writes`, and the positions (the offsets to go on from) of the input. Returns
    /// when the broker has decided it; an unknown outcome is asked for until it is known.
    fn commit(
        &mut self,
        membership: &Membership,
        positions: &[(TopicPartition, Offset)],
        writes: Vec<Write>,
    ) -> Result<(), Fault>;

    /// How many partitions `topic` has; `None` while there is no such topic.
    fn partition_count(&mut self, topic: &str) -> Result<Option<u32>, Fault>;
}

/// A reader outside any group, with connections of its own: for a restore, and for views.
pub trait Reader: Send {
    /// Reads a partition from `from` (its beginning if `None`) to its end as it is when the call begins, pending
    /// transactions included once they are decided. Returns the offset behind the last.
    fn read(
        &mut self,
        partition: &TopicPartition,
        from: Option<Offset>,
        each: &mut dyn FnMut(&Record<'_>),
    ) -> Result<Offset, Fault>;

    /// The offset at which the group goes on, once every pending transaction is decided.
    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<Offset>, Fault>;

    /// The offsets of the first record and behind the last.
    fn bounds(&mut self, partition: &TopicPartition) -> Result<(Offset, Offset), Fault>;

    /// How many partitions `topic` has; `None` while there is no such topic.
    fn partition_count(&mut self, topic: &str) -> Result<Option<u32>, Fault>;

    /// Which topic the name stands for, where that is known.
    fn identity(&mut self, _topic: &Arc<str>) -> Result<Option<Identity>, Fault> {
        Ok(None)
    }
}
