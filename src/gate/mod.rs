//! STAGE 3: from what stands on the control topic, and what people said, to what a pipeline is told.
//!
//! [`View`] is what a reader of the control topic and of the overrides knows; [`assess`] answers a [`Request`] from it
//! with a [`Verdict`]. Neither knows how the records came or how the answer leaves.
//!
//! **Invariants:** names `model` only; reads no clock; a view's locks are held for one look-up, insertion or page.

mod answer;
mod exit_status;
mod kept;
mod listing;
mod record;
mod request;
mod survey;
mod text;
mod verdict;
mod view;
mod voice;
mod word;

#[cfg(test)]
mod tests;

pub use answer::{Answer, merge};
pub use exit_status::ExitStatus;
pub use kept::KeptText;
pub use listing::{PAGE_ITEMS_MAX, Page, RECENT_MAX, RecentCursor, ServiceCursor};
pub use record::{ControlKey, Heartbeat, IngestMark, Record, StandingDecision, StandingReason, Unreadable};
pub use request::{
    CHANGES_BYTES_MAX, CHANGES_MAX, FailMode, InvalidChanges, QUERY_BYTES_MAX, Request, parse_changes, parse_kind,
};
pub use survey::Glance;
pub use text::for_terminals;
pub use verdict::{AskedChange, Finding, Verdict, assess, unreachable, without_words};
pub use view::{Applied, Counts, Place, Seen, View};
pub use word::Word;
