//! What steps under watch showed, kept until it is known whether they were healthy.
//!
//! Sums of quarter-hours: those that no open watch has seen are learned from when the watch that saw them closes
//! healthy, and those from the beginning of one that closes otherwise are dropped.

use serde::{Deserialize, Serialize};

use super::Baseline;
use crate::{
    model::Timestamp,
    score::{
        evidence::{Observation, narrow, without_spike},
        steps::{Closed, Grain},
    },
};

/// Quarter-hours kept: a watch of two hours, and the ones it overlaps with by a little. Watches may last longer; see
/// [`Pending::let_out`].
const QUARTERS_MAX: usize = 9;

/// Sums over the steps of one quarter-hour.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Quarter {
    /// Counted from the epoch.
    index: u32,
    pub(super) n_steps: u16,
    pub(super) errors: f32,
    pub(super) expected: f32,
    /// Attempts; 0 where one of its steps told none.
    pub(super) requests: f32,
    /// Σ (x − m)² − x, and Σ m², over its steps.
    pub(super) over: f32,
    pub(super) squares: f32,
}

impl Quarter {
    pub(super) fn start(&self) -> Timestamp {
        Timestamp::from_millis(i64::from(self.index) * Timestamp::QUARTER_HOUR_MS)
    }
}

/// Quarter-hours under watch, in order of time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Pending(Vec<Quarter>);

impl Pending {
    /// Keeps a step that was judged, as at most `spike` times what was expected.
    pub(crate) fn keep(&mut self, (closed, grain): (&Closed, Grain), seen: &Observation, spike: f64) {
        let Ok(index) = u32::try_from(closed.start.quarter_hour()) else {
            return;
        };
        if self.0.last().is_none_or(|last| last.index != index) {
            if self.0.len() >= QUARTERS_MAX {
                self.0.remove(0);
            }
            if self.0.capacity() == 0 {
                self.0.reserve_exact(QUARTERS_MAX);
            }
            self.0.push(Quarter {
                index,
                n_steps: 0,
                errors: 0.0,
                expected: 0.0,
                requests: 0.0,
                over: 0.0,
                squares: 0.0,
            });
        }
        let Some(quarter) = self.0.last_mut() else { return };
        let m = seen.expected;
        let x = without_spike(seen.errors, m, spike);
        let is_first = quarter.n_steps == 0;
        quarter.n_steps = quarter.n_steps.saturating_add(closed.n_steps(grain));
        quarter.errors += narrow(x);
        quarter.expected += narrow(m);
        quarter.over += narrow((x - m) * (x - m) - x);
        quarter.squares += narrow(m * m);
        quarter.requests = match closed.requests {
            Some(requests) if is_first || quarter.requests > 0.0 => quarter.requests + narrow(super::count(requests)),
            Some(_) | None => 0.0,
        };
    }

    /// Makes room for the step that begins at `start`: what was seen longer ago than a usual watch lasts leaves, and is
    /// learned from if `is_well`, if nothing speaks against any deploy by now: a watch that later stages prolong would
    /// have closed healthy.
    pub(crate) fn let_out(&mut self, baseline: &mut Baseline, grain: Grain, start: Timestamp, is_well: bool) {
        let is_new = self
            .0
            .last()
            .is_some_and(|last| i64::from(last.index) != start.quarter_hour());
        if is_new && self.0.len() >= QUARTERS_MAX {
            let oldest = self.0.remove(0);
            if is_well {
                baseline.take_in(grain, &oldest);
            }
        }
    }

    /// Lets the baseline learn from the quarter-hours that were over before `open_since`, when the oldest watch still
    /// open began.
    pub(crate) fn release(&mut self, baseline: &mut Baseline, grain: Grain, open_since: Timestamp) {
        let over = |quarter: &Quarter| i64::from(quarter.index) < open_since.quarter_hour();
        for quarter in self.0.extract_if(.., |quarter| over(quarter)) {
            baseline.take_in(grain, &quarter);
        }
        self.give_back();
    }

    /// Forgets what was seen from `since` on.
    pub(crate) fn drop_from(&mut self, since: Timestamp) {
        self.0.retain(|quarter| i64::from(quarter.index) < since.quarter_hour());
        self.give_back();
    }

    /// A service that is not watched keeps nothing of it.
    fn give_back(&mut self) {
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }
}
