//! What is on a page: the changes that are remembered, and the traces of all that landed on it.

use serde::{Deserialize, Serialize};

use super::{Remembered, sheet::Sheet};
use crate::{
    model::{Second, Timestamp, Trace},
    score::{
        review::Target,
        risk::{is_of, revealed},
    },
};

/// In the order in which they landed. Changes leave when they are forgotten; traces stay for as long as the page does.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Leaf {
    pub(super) changes: Sheet,
    traces: Vec<Trace>,
    /// Of each more of its sha's hash: with a trace's own bits one of 33 million shas is taken for another.
    checks: Vec<u8>,
    /// When the first and the last of them landed.
    first: Second,
    last: Second,
}

impl Leaf {
    /// `sha` is the change's.
    pub(super) fn push(&mut self, change: Remembered, trace: Trace, sha: Target) {
        let at = change.last_event;
        if self.traces.is_empty() {
            self.first = at;
        }
        self.last = self.last.max(at);
        self.traces.reserve_exact(1);
        self.traces.push(trace);
        self.checks.reserve_exact(1);
        self.checks.push(sha.check_bits());
        self.changes.push(change);
    }

    pub(super) fn n_landed(&self) -> usize {
        self.traces.len()
    }

    pub(super) fn traces(&self) -> &[Trace] {
        &self.traces
    }

    /// What it takes beside its place.
    pub(super) fn bytes(&self) -> usize {
        self.changes.bytes() + size_of_val(&*self.traces) + size_of_val(&*self.checks)
    }

    /// Where the trace of the last change with this sha is.
    pub(super) fn place_of(&self, sha: Target) -> Option<usize> {
        let check = sha.check_bits();
        let mut checked = self.traces.iter().zip(&self.checks);
        checked.rposition(|(trace, own)| *own == check && is_of(*trace, sha))
    }

    pub(super) fn last(&self) -> Timestamp {
        self.last.start()
    }

    /// About when the change in this place landed: between the first and the last, as if they came evenly.
    pub(super) fn landed_at(&self, place: usize) -> Timestamp {
        let span_ms = self.last.start().millis() - self.first.start().millis();
        let as_ms = |n: usize| i64::try_from(n).unwrap_or(0);
        let share_ms = span_ms * as_ms(place) / as_ms(self.traces.len()).saturating_sub(1).max(1);
        Timestamp::from_millis(self.first.start().millis() + share_ms)
    }

    /// The change in this place is known to have caused an incident.
    pub(super) fn reveal(&mut self, place: usize) {
        if let Some(trace) = self.traces.get_mut(place) {
            *trace = revealed(*trace);
        }
    }
}
