//! This is where recorded history is driven through the path: the same ingest and score, on recorded time.
//!
//! ```text
//! files ─ lines ─► source ─┐
//!                  source ─┼─ merge ─► drive ─ decode ─► score ─► decisions · scores
//!                  source ─┘  by time     │                └────► tally ─► summary
//!                                         └─ rejected
//! ```
//! `now` is the greatest event time so far. Before it moves, every deadline up to it fires in order, so that evidence
//! steps close and leases end when they would have. One partition holds all services and is the fleet too.
//!
//! **Invariant:** the same lines, names of files and policy give the same bytes, whatever the order of the arguments.
//! **Invariant:** memory is bounded by services, watched commits and open files, not by the number of lines.

mod capture;
mod detection;
mod drive;
mod holding;
mod lines;
mod merge;
mod scores;
mod source;
mod summary;
mod tally;
mod text;

#[cfg(test)]
mod tests;

pub use drive::Replay;
pub use merge::{Arrival, Input, Merge, ReadError};
pub use scores::encode_score;
pub use summary::{
    CaptureSummary, Captured, ChangeSummary, DecisionCounts, DeployCounts, DetectionSummary, EventCounts, FreezeCounts,
    ModeCounts, ModeHours, RuleHits, Summary,
};
