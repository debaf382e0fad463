//! This is where the nouns live: what the path speaks of, as values whose constructors check.
//!
//! **Invariant:** nothing here names another module of the crate, reads a clock or does input or output.

mod decision;
mod entry;
mod event;
mod identity;
mod name;
mod number;
mod question;
mod text;
mod time;

pub use decision::{
    Action, ApprovalKind, Cause, Change, Decision, DecisionId, Evidence, Exemption, MAX_SUSPECTS, Mode, Obligation,
    Reason, Subject, Suspect, When,
};
pub use entry::{
    Bulletin, Calibration, ERROR_GRAIN_MS, Entry, Errors, Ground, Happened, Lot, Message, N_AGES, Origin, Original,
    Originals, PolicyText, RATE_CLASSES, Recipient, RiskWeights, Rivals, Tail, Tick, Trace, VARIANTS_MAX, Variant,
    Variants, Watched, Watermark,
};
pub use event::{
    Ai, Approval, Assistance, Author, Body, CausedBy, ChangeKind, Commit, Confidence, Criticality, Deploy,
    DeployStatus, Effect, ErrorCount, Event, Incident, IncidentStatus, Kind, Level, MEASURE_NAMES, Measures,
    N_MEASURES, Override, Review, ReviewVerdict, Service, Slo,
};
pub use identity::{EventHash, half_of, hash_bytes, hash_text, short_hash};
pub use name::{EnvironmentId, InvalidName, MAX_NAME_BYTES, ServiceId, check_name};
pub use number::{Offset, OutOfRange, PartitionIndex, Sequence, UnitInterval};
pub use question::{Ask, Clue, Health, Path, Told};
pub use text::{is_unshowable, shown};
pub(crate) use text::{nearest, shorten};
pub use time::{InvalidTimestamp, Second, Timestamp};
