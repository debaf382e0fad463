//! Errors wait a moment for company; all else is taken at once, or under load with them.
//!
//! A transaction costs the broker as much as the partitions it touches, however little is in it, and errors touch
//! them all. Nothing is decided on an error within seconds, while on the decision on a commit somebody waits. Where so
//! much arrives that commits alone would fill the time with transactions, they come with the errors.

use std::time::Duration;

use super::is_due;
use crate::model::Timestamp;

/// Errors are taken so often, and as they come while more wait than one batch takes.
const ERRORS_EVERY: Duration = Duration::from_millis(100);
/// Under a load of so many records in that time, all else waits too.
const LOAD_RECORDS: usize = 5_000;

/// When errors were taken last.
#[derive(Debug)]
pub(super) struct Patience {
    taken_at: Timestamp,
    has_more: bool,
    is_loaded: bool,
}

impl Patience {
    pub(super) fn new() -> Self {
        Self {
            taken_at: Timestamp::MIN,
            has_more: false,
            is_loaded: false,
        }
    }

    /// Whether errors are to be taken now.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.has_more || is_due(self.taken_at, now, ERRORS_EVERY)
    }

    /// Whether all else waits as errors do.
    pub(super) fn is_for_all(&self) -> bool {
        self.is_loaded
    }

    /// How long from `now` until it is over.
    pub(super) fn left(&self, now: Timestamp) -> Duration {
        if self.is_over(now) {
            Duration::ZERO
        } else {
            ERRORS_EVERY.saturating_sub(now.since(self.taken_at))
        }
    }

    /// They were taken, `n_taken` with all else, and more may have waited than there was room for.
    pub(super) fn note_taken(&mut self, now: Timestamp, n_taken: usize, has_more: bool) {
        self.taken_at = now;
        self.has_more = has_more;
        self.is_loaded = n_taken >= LOAD_RECORDS;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_taken_at_once_then_after_a_while_and_without_a_pause_while_more_wait() {
        let start = Timestamp::from_millis(1_772_409_600_000);
        let mut patience = Patience::new();
        assert!(patience.is_over(start));
        patience.note_taken(start, 10, false);
        let soon = start + Duration::from_millis(30);
        assert!(!patience.is_over(soon));
        assert_eq!(patience.left(soon), Duration::from_millis(70));
        assert!(patience.is_over(start + ERRORS_EVERY));
        assert!(patience.is_over(start - ERRORS_EVERY), "the clock was set back");
        patience.note_taken(soon, 10, true);
        assert!(patience.is_over(soon));
        assert_eq!(patience.left(soon), Duration::ZERO);
    }

    #[test]
    fn all_else_waits_under_load_alone() {
        let start = Timestamp::from_millis(1_772_409_600_000);
        let mut patience = Patience::new();
        assert!(!patience.is_for_all());
        patience.note_taken(start, LOAD_RECORDS, false);
        assert!(patience.is_for_all());
        patience.note_taken(start + ERRORS_EVERY, LOAD_RECORDS - 1, false);
        assert!(!patience.is_for_all());
    }
}
