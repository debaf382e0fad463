//! How long a watch lasts.

use std::time::Duration;

use super::{WATCH_STEPS_MIN, Watch};
use crate::{
    model::Timestamp,
    score::{exposure::Exposure, steps::Grain},
};

/// A watch that waits for observed steps ends so long after its last stage at the latest: a nightly batch is judged by its
/// next run.
const WATCH_MAX: Duration = Duration::from_hours(26);
/// How many times longer than asked for a watch lasts at most where errors are rare.
const LONGER_MAX: u16 = 4;
/// Doubt prolongs a watch to so many times its length at most.
const DOUBTED_MAX: u16 = 2;

impl Watch {
    /// How many observed steps a watch lasts, where so many errors a step are usual: as long as the policy says, and
    /// where errors are rare until enough of them were to be expected for a fault to show, at most four times as long.
    pub(crate) fn horizon(grain: Grain, watch: Duration, level: f64, errors: f64) -> u16 {
        let steps = watch.as_millis() / grain.duration().as_millis().max(1);
        let least = u16::try_from(steps).unwrap_or(u16::MAX).max(WATCH_STEPS_MIN);
        let most = least.saturating_mul(LONGER_MAX);
        (least..most)
            .find(|steps| f64::from(*steps) * level >= errors)
            .unwrap_or(most)
    }

    /// A step went by of which a record to come tells: it lasts as long by the clock, and takes ten steps at least.
    pub(crate) fn pass(&mut self) {
        let least = WATCH_STEPS_MIN.max(self.process.n_steps());
        self.last_step = self.last_step.saturating_sub(1).max(least.min(self.last_step));
    }

    /// Observed steps that it lasts yet.
    pub(super) fn left(&self) -> u16 {
        self.last_step.saturating_sub(self.process.n_steps())
    }

    /// Whether it has seen a fifth of the steps that a watch has after its last stage: of the faults it looks for eight in ten
    /// have begun by then, as far as their onset is presumed (.3 at the deploy, half of the rest as 1/j). More is not asked
    /// for: a service that is deployed every quarter of an hour would never learn, and be convicted of what has become usual.
    pub(crate) fn has_seen_enough(&self) -> bool {
        self.left() <= self.horizon - self.horizon / 5
    }

    /// Whether a stage at `exposure` is no part of it any more: it has had its length, prolonged as it may be, and nothing
    /// speaks against the deploy so far. A watch of its own looks at that stage with all the evidence that one may be.
    pub(crate) fn is_followed_by(&self, exposure: Exposure) -> bool {
        let has_lasted = self.process.n_steps() >= self.horizon;
        exposure > self.exposure && has_lasted && !self.has_alarmed() && !self.is_doubtful()
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        (self.left() == 0 && !self.goes_on()) || now >= self.ends_by()
    }

    /// Whether it is not left yet though it has had its length: something speaks against the deploy, or errors that had risen
    /// before may hide what it brings. E stays what it is however long it is looked at.
    fn goes_on(&self) -> bool {
        if self.raised.is_some() {
            return true;
        }
        let longest = self.horizon.saturating_mul(DOUBTED_MAX);
        self.judged && self.is_doubtful() && !self.has_alarmed() && self.process.n_steps() < longest
    }

    /// When it ends even if nothing is observed.
    pub(crate) fn ends_by(&self) -> Timestamp {
        self.stage_at() + WATCH_MAX
    }
}
