//! This is where a record from outside becomes an event, or is refused with a reason.
//!
//! ```text
//! bytes ─ decode ─► Raw ─ validate ─► Valid ─ normalize ─► Event
//!            └─────────────┴───────────────────────────► Reject
//! ```
//! `decode` knows formats and says which fields were given. `validate` knows what each field may hold. `normalize`
//! applies the rules that make the records of all producers alike. Nothing here keeps state or reads a clock.
//!
//! **Invariant:** whatever the bytes, `decode` returns; time and memory are linear in their number, which is bounded.

mod combine;
mod decode;
mod normalize;
mod reject;
mod validate;
mod word;

#[cfg(test)]
mod tests;

pub use combine::{Arrival, Batch};
pub use reject::{Excerpt, HeldAgainst, Reject, rejected_value};
pub use validate::MAX_OVERRIDE;

use crate::model::{Event, Kind, Timestamp};

/// The largest record taken, in bytes: what a broker lets through by default.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// Where a record was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Stands for `source` where the record names none.
    pub topic: &'a str,
    /// The kind of records that do not say theirs: the topic's configured default.
    pub kind: Option<Kind>,
}

/// The instant from which an override may not be ahead: when it was written, by the clock of its topic's broker, or `now`
/// if that is earlier.
///
/// Ingest and gates each read it in their own time: by their clocks alone, what one refused would come true at the other
/// some minutes later.
#[must_use]
pub fn judged_at(written_at: Option<Timestamp>, now: Timestamp) -> Timestamp {
    written_at.map_or(now, |written_at| written_at.min(now))
}

/// The event that a record's value holds, borrowed from it wherever no escape forbids.
///
/// `now` bounds the event's time from above: it may be 5 minutes later, no more.
///
/// # Errors
/// If any rule of the contract is broken. A record with several faults is refused for one of them.
pub fn decode<'a>(value: Option<&'a [u8]>, origin: &Origin<'a>, now: Timestamp) -> Result<Event<'a>, Reject> {
    let raw = decode::decode(value, origin.kind)?;
    let valid = validate::validate(raw, now)?;
    Ok(normalize::normalize(valid, origin.topic))
}
