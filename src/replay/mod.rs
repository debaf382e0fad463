//! This is where recorded history is driven through the path: the same ingest and score, on recorded time.
//!
//! ```text
//! files ─ lines ─► source ─┐
//!                  source ─┼─ merge ─► drive ─ decode ─► score ─► decisions · scores
//!                  source ─┘  by time     │                └────► tally ─► summary, report
//!                                         └─ rejected
//! ```
//! A [`Comparison`] drives two of them, each by a policy of its own, with the same lines.
//!
//! `now` is the greatest event time so far. Before it moves, every deadline up to it fires in order, so that evidence
//! steps close and leases end when they would have. One partition holds all services and is the fleet too.
//!
//! **Invariant:** the same lines, names of files and policy give the same bytes, whatever the order of the arguments.
//! **Invariant:** memory is bounded by services, watched commits and open files, not by the number of lines.

mod adjusted;
mod by_tier;
mod capture;
mod chronicle;
mod comparison;
mod copies;
mod detection;
mod drive;
mod environments;
mod fates;
mod gated;
mod holding;
mod interval;
mod latest;
mod learned;
mod lines;
mod merge;
mod passing;
mod policies;
mod report;
mod riskiest;
mod scores;
mod side_by_side;
mod source;
mod strangers;
mod summary;
mod tally;
mod text;
mod tier;
mod told;
mod trouble;
mod warnings;

#[cfg(test)]
mod tests;

pub use adjusted::{Cell, OddsRatio};
pub use comparison::{
    ChangeDifference, ChangeDifferences, Compared, ComparedSummary, Comparison, HeldFor, ServiceDifference,
    ServiceDifferences, Side,
};
pub use drive::Replay;
pub use gated::{GatedChange, GatedMeasure};
pub use interval::{Rate, Share};
pub use merge::{Arrival, Input, Merge, ReadError};
pub use passing::{KnownChanges, WhileFrozen};
pub use policies::ComparedPolicies;
pub use report::Report;
pub use scores::Scores;
pub use summary::{
    AiClass, AiSummary, CaptureSummary, Captured, ChangeFates, ChangeSummary, DecisionCounts, DeployCounts,
    DetectionSummary, EventCounts, FreezeCounts, LearnedSummary, ModeCounts, ModeHours, Quantiles, RuleHits, Summary,
    TierSummary,
};
pub use told::{ToldFreezes, ToldSummary};
