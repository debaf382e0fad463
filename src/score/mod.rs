//! STAGE 2: a pure state machine per service, and one for the fleet, fed by the log.
//!
//! [`Partition`] is the state of one log partition: `state = fold(step, snapshot, entries after it)`. A step is
//! synchronous, never fails, blocks or reads a clock; what it wants done it says, as [`Said`].
//!
//! **Invariant:** names `model` only.

mod baseline;
mod blame;
mod calibration;
mod catalog;
mod change;
mod clocks;
mod decide;
mod dedupe;
mod environment;
mod evidence;
mod exposure;
mod failure_rate;
mod fleet;
mod gamma;
mod hold;
mod kinds;
mod lease;
mod moment;
mod multiple;
mod partition;
mod placebo;
pub mod policy;
mod review;
mod risk;
mod service;
mod short;
mod slo;
mod steps;
mod trend;
mod trial;
mod unrest;
mod watch;

pub use change::{ChangePage, ScoredChange};
pub use clocks::Clocks;
pub use dedupe::WINDOW_HASHES_MAX;
pub use fleet::Fleet;
pub(crate) use gamma::ln_gamma;
pub use partition::{Applied, Dropped, Image, Partition};
pub use policy::Policy;
pub use risk::{Contribution, LearnedSquare, LearnedWeight};
pub use service::{Service, ServiceReport};
pub use trend::{AI_FAILURES_MIN, AiEvidence, AiOutlook, Classes, Comparison};
pub use trial::{Reading, Told, Trial};
pub use watch::{ClosedWatch, WatchVerdict};

use crate::model::{Cause, Decision, Message, ServiceId, Subject, Timestamp};

/// The version of what a step does: state written by another is read, but its tail may speak.
pub const STEP_VERSION: u32 = 22;

/// Each snapshot is one record, and brokers take none above 1,048,588 bytes unless told otherwise: one that outgrew that
/// would never be written, and its partition say nothing again. All stay below this by the bounds of their parts.
pub const SNAPSHOT_BYTES_MAX: usize = 1_000_000;

/// Something a step wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// To be published.
    Decision(Box<Decision>),
    /// The subject's record is to be deleted.
    Forget(Subject),
    /// To be written to the log.
    Message(Message<'static>),
    /// A change was scored. For reports; nothing is written.
    Scored(Box<ScoredChange>),
    /// A deploy's watch ended. For reports; nothing is written.
    Closed(Box<ClosedWatch>),
}

/// What a step said, and in whose name: everything that one service says goes into one transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Saying {
    /// `None`: the fleet.
    pub by: Option<ServiceId>,
    pub said: Said,
}

/// What a step knows besides its state and its entry.
pub(crate) struct Context<'a> {
    /// The partition's time.
    pub(crate) now: Timestamp,
    /// The later of `now` and the event's time: what decisions count from.
    pub(crate) at: Timestamp,
    /// What the wall clocks of those who tell time say. It goes on at its pace while hours are caught up.
    pub(crate) wall: Timestamp,
    pub(crate) policy: &'a Policy,
    pub(crate) bulletin: &'a crate::model::Bulletin,
    pub(crate) cause: &'a dyn Fn() -> Cause,
}
