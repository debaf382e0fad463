//! What the records of the control topic say, whatever their bytes.

use std::fmt;

use super::kept::KeptText;
use crate::model::{
    Action, DecisionId, Exemption, Mode, Obligation, PartitionIndex, Sequence, Subject, Timestamp, UnitInterval,
};

/// What a record is about: its key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ControlKey {
    Subject(Subject),
    /// The owner of a partition of the log.
    Heartbeat(PartitionIndex),
    /// An ingest worker, by its instance.
    Ingest(Box<str>),
}

impl fmt::Display for ControlKey {
    /// The key as it is written: `service:checkout@production`, `heartbeat:7`, `ingest:node-a:8484`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(subject) => subject.fmt(f),
            Self::Heartbeat(partition) => write!(f, "heartbeat:{partition}"),
            Self::Ingest(instance) => write!(f, "ingest:{instance}"),
        }
    }
}

/// One record, read.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    Decision(StandingDecision),
    Heartbeat(Heartbeat),
    Ingest(IngestMark),
    /// A tombstone: what the key is about is to be forgotten.
    Forget(ControlKey),
}

/// A decision as readers keep it: what gate and people ask for, and the whole as it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingDecision {
    pub sequence: Sequence,
    pub subject: Subject,
    pub action: Action,
    pub mode: Mode,
    pub decided_at: Timestamp,
    /// From this instant on it binds nobody. A freeze always has one.
    pub valid_until: Option<Timestamp>,
    /// Of a freeze: when its first decision was made, if its writer told.
    pub frozen_since: Option<Timestamp>,
    pub risk: Option<UnitInterval>,
    pub reasons: Box<[StandingReason]>,
    pub to_lift: Box<[Box<str>]>,
    pub obligations: Box<[Obligation]>,
    pub exempt: Box<[Exemption]>,
    /// Of a service that is held: the ids of all incidents open on it.
    pub incidents: Box<[Box<str>]>,
    /// Of a service: a change never seen is not known, rather than nothing against it.
    pub requires_known_changes: bool,
    /// Of a change: its loss is in the lower half of its tier's. Of a frozen service: such changes pass.
    pub low_loss: bool,
    /// One JSON object on one line, as its writer wrote it: for passing on.
    pub json: KeptText,
}

/// A reason of a standing decision, without its figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingReason {
    pub code: Box<str>,
    pub text: Box<str>,
}

impl StandingDecision {
    #[must_use]
    pub fn id(&self) -> DecisionId<'_> {
        DecisionId {
            subject: &self.subject,
            sequence: self.sequence,
        }
    }

    /// Whether its end has not come at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.valid_until.is_none_or(|until| now < until)
    }

    #[must_use]
    pub fn is_of_change(&self) -> bool {
        matches!(self.subject, Subject::Change(_))
    }

    /// Whether a person's word is what it rests on.
    #[must_use]
    pub fn is_by_override(&self) -> bool {
        self.reasons.iter().any(|reason| reason.code.as_ref() == "override")
    }
}

/// A sign of life from the owner of one partition of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heartbeat {
    pub partition: PartitionIndex,
    /// The owner's wall clock.
    pub at: Timestamp,
    /// How far the partition's own time has come; `None` before the first time entry.
    pub now: Option<Timestamp>,
    /// Until the next is due.
    pub interval_ms: u64,
    /// How many services the partition holds.
    pub services: u64,
    pub instance: Box<str>,
    /// Where the owner answers HTTP.
    pub url: Box<str>,
}

/// How far one ingest worker has come with its share of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestMark {
    pub instance: Box<str>,
    /// The worker's wall clock.
    pub at: Timestamp,
    /// The least record time its input partitions have reached; `None` while it holds none or knows none.
    pub watermark: Option<Timestamp>,
    /// Whether it has not caught up with the end of its input.
    pub behind: bool,
    /// Input partitions that it speaks for; `None` where an older program wrote it.
    pub partitions: Option<u32>,
}

/// Why a record of the control topic was passed over.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("no key of the control topic: `{key}`")]
    Key { key: String },
    #[error("schema `{schema}`, not one this program reads")]
    Schema { schema: String },
    #[error("not UTF-8")]
    NotUtf8,
    #[error("not the JSON expected")]
    NotAsExpected(#[source] serde_json::Error),
    #[error("the value is about something else than its key")]
    KeyAndValueDiffer,
    #[error("a freeze without an end")]
    EndlessFreeze,
}
