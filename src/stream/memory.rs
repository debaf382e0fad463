//! A log in memory that keeps Kafka's promises, for tests: transactions that are whole or nothing and decided partition
//! by partition, fencing, timeouts, read-committed, and groups that rebalance cooperatively.
//!
//! It has no thread, no clock and no chance of its own. Who goes on, what time it is and who fails where is asked of a
//! [`Schedule`], before and after each step of each call. So a test that decides by a seed can be run again by it.
//!
//! **Invariant:** nothing is visible here that Kafka would hide, and nothing is refused that Kafka would take.

mod client;
mod cluster;
mod group;

use std::time::Duration;

pub(crate) use self::{
    client::{MemoryClient, MemoryReader},
    cluster::{Cluster, Weakness},
};
use crate::model::Timestamp;

/// After so long without a sign of life a member is put out of its group.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
/// After so long an open transaction is aborted.
pub(crate) const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(10);

/// One run of a program: after a crash its successor is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Process(pub(crate) u32);

/// Where a client is in what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    Opening,
    Opened,
    Polling,
    Polled,
    AskingCommitted,
    ToldCommitted,
    AskingBounds,
    ToldBounds,
    Starting,
    Started,
    Taking,
    Taken,
    AskingPositions,
    AskingMembership,
    Beginning,
    Begun,
    /// Another record of the transaction is in the log, undecided.
    Written,
    SendingOffsets,
    OffsetsSent,
    /// The decision to commit is taken, and no partition shows it yet.
    Prepared,
    /// One more partition shows the decision.
    Marked,
    Committed,
    Reading,
    Read,
    Closing,
}

/// What befalls a client at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    GoOn,
    /// The call fails: a transaction is aborted, anything else is refused for now.
    Fail,
    /// The client is beyond repair.
    Break,
    /// From now on the client is given no records, and does not say so.
    FallSilent,
    /// The process has ended: none of its calls has an effect any more.
    Crash,
}

/// Who decides on everything that is left to chance.
pub(crate) trait Schedule: Send + Sync {
    fn now(&self) -> Timestamp;
    /// A client of `process` is at `step`; others may run before this returns.
    fn reach(&self, process: Process, step: Step) -> Fate;
    /// Nothing to do for the caller for so long.
    fn wait(&self, process: Process, wait: Duration);
    /// Since when `process` gives no sign of life, if it does not.
    fn silent_since(&self, process: Process) -> Option<Timestamp>;
}
