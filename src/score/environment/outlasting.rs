//! Errors that go on: they have outlasted a freeze by evidence, which has had its longest time, or was withheld for as long; or
//! they are far above what is usual for an hour, and nothing is frozen for them. Then there is extra review until they are
//! back, and no later than 28 hours after they rose: four for a freeze, and a day.
//!
//! They are held against what is usual by days: the hours before are those of the fault by then. They are back when that is 20
//! times likelier than that there are half as many again as is harmless, by Page's cumulative sum
//!
//! ```text
//! ln B ← max(0, ln B + min(ln 20 / 5, −ln L₁.₅(x)))
//! ```
//!
//! in which no step counts for more than a fifth of it: one quiet minute is no end. Of errors that have not outlasted a freeze
//! L₃ stands for L₁.₅, as it was three times what is harmless that they were taken for: they are over sooner, and what lingers
//! below that is nobody's excuse.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Environment, quiet::USUAL_DAYS, trouble::LEFT_HARMLESS};
use crate::{
    model::{Second, Timestamp, UnitInterval},
    score::{
        evidence::Observation,
        hold::{Found, LEASE_MAX},
        policy::{Policy, Settings},
        short::Short,
        steps::Closed,
        unrest::CALM_SIZE_MIN,
    },
};

/// Errors far above what is usual for so long go on; from then on they are held against what is usual by days.
const RISEN_MIN: Duration = Duration::from_mins(15);
/// So many times what is usual by days in each half of that time.
const RISEN_TIMES: f64 = 2.0;
/// There is extra review for them from here on: what is over sooner is no state of a service.
const TOLD_AFTER: Duration = Duration::from_hours(1);
/// How long after errors rose it ends at the latest: a freeze, and a day.
const OUTLASTING_MAX: Duration = LEASE_MAX.saturating_add(Duration::from_hours(24));
/// Of errors that were not told for so long nobody knows that they go on: a nightly batch that failed makes none all day.
const SILENT_MAX: Duration = Duration::from_hours(1);
/// ln 20, in ten-thousandths.
const LN_BACK: u16 = 29_957;
/// Fewer steps show nothing.
const BACK_STEPS_MIN: u16 = 5;

/// ln of how much likelier it is that errors are back, ≥ 0, in ten-thousandths; and whether they have outlasted a freeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Back(u16);

impl Back {
    const OUTLASTS_FREEZE: u16 = 1 << 15;

    fn outlast_freeze(&mut self) {
        self.0 |= Self::OUTLASTS_FREEZE;
    }

    fn has_outlasted_freeze(self) -> bool {
        self.0 & Self::OUTLASTS_FREEZE != 0
    }

    fn sum(self) -> u16 {
        self.0 & !Self::OUTLASTS_FREEZE
    }

    fn observe(&mut self, o: &Observation) {
        let size = o.sizes.step.max(CALM_SIZE_MIN);
        let [ln_least, _, ln_threefold, ..] = o.ln_ratios(size, 1.0);
        let ln_ratio = if self.has_outlasted_freeze() {
            ln_least
        } else {
            ln_threefold
        };
        let most = f64::from(LN_BACK.div_ceil(BACK_STEPS_MIN));
        let sum = f64::from(self.sum()) + (-1e4 * ln_ratio).min(most);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::as_conversions,
            reason = "clamped to what it may be"
        )]
        let sum = sum.round().clamp(0.0, f64::from(LN_BACK)) as u16;
        self.0 = (self.0 & Self::OUTLASTS_FREEZE) | sum;
    }

    fn is_shown(self) -> bool {
        self.sum() >= LN_BACK
    }
}

const _: () = assert!(LN_BACK < Back::OUTLASTS_FREEZE);

/// The own deploy that a freeze was most likely for which errors have outlasted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FrozenFor {
    deploy_id: Box<str>,
    probability: Short,
}

impl FrozenFor {
    pub(super) fn is_for(&self, deploy_id: &str) -> bool {
        *self.deploy_id == *deploy_id
    }
}

/// Errors that go on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlasting {
    /// Since when they are risen.
    pub(crate) since: Timestamp,
    /// Whether they have outlasted a freeze, or its like.
    pub(crate) a_freeze: bool,
}

impl Outlasting {
    /// Whether there is extra review for them.
    pub(crate) fn is_told(self, now: Timestamp) -> bool {
        self.a_freeze || now >= self.since + TOLD_AFTER
    }

    /// When the extra review ends at the latest.
    pub(crate) fn until(self) -> Timestamp {
        self.since + OUTLASTING_MAX
    }
}

impl Environment {
    /// The errors that a freeze was `found` for go on, and it may not any more. Where a deploy `was_taken_back` of those it may
    /// have been for, it was none of them.
    pub(super) fn outlast(&mut self, found: &Found, was_taken_back: bool) {
        if self.outlasting().is_none() {
            self.outlasting_since = Second::of(found.onset());
        }
        self.back.outlast_freeze();
        let mut own = found.suspects.iter().filter(|blamed| blamed.of.is_none());
        let own = own.find_map(|blamed| {
            Some(Box::new(FrozenFor {
                deploy_id: blamed.deploy_id.clone()?,
                probability: Short::of(blamed.probability),
            }))
        });
        self.frozen_for = own.filter(|_| !was_taken_back);
    }

    pub(crate) fn outlasting(&self) -> Option<Outlasting> {
        let since = self.outlasting_since;
        (since != Second::default()).then(|| Outlasting {
            since: since.start(),
            a_freeze: self.back.has_outlasted_freeze(),
        })
    }

    /// The own deploy that was frozen for, of errors that have outlasted that, and how likely it is their cause.
    pub(crate) fn was_frozen_for(&self) -> Option<(&str, UnitInterval)> {
        let frozen_for = self.frozen_for.as_ref()?;
        Some((
            &frozen_for.deploy_id,
            UnitInterval::clamped(frozen_for.probability.value()),
        ))
    }

    /// Those that there is extra review for.
    pub(crate) fn told_outlasting(&self, now: Timestamp) -> Option<Outlasting> {
        self.outlasting().filter(|outlasting| outlasting.is_told(now))
    }

    /// Takes in a step of which something is known.
    pub(super) fn observe_outlasting(&mut self, closed: &Closed, settings: &Settings, policy: &Policy) {
        let grain = self.steps.grain;
        if self.outlasting().is_none() {
            let risen = self.unrest.since(closed.start, grain.duration());
            let Some(since) = risen.filter(|since| self.goes_on_since(*since, closed.start)) else {
                return;
            };
            self.outlasting_since = Second::of(since);
        }
        let usual = self.baseline.expect_by_days(grain, closed.start, closed.requests);
        let (observation, _) = self.judge_by(usual, closed, settings, policy);
        self.back.observe(&observation);
    }

    /// Whether errors that rose at `since` still are by the step that begins at `start`, and not a burst that unrest remembers.
    fn goes_on_since(&self, since: Timestamp, start: Timestamp) -> bool {
        (RISEN_MIN..OUTLASTING_MAX).contains(&start.since(since))
            && self.baseline.is_older(start, USUAL_DAYS)
            && self.left_of(RISEN_MIN, start) >= RISEN_TIMES
    }

    /// Lets go of errors that are back, are told no more, or have been above what is usual for so long that this ends.
    pub(super) fn settle_outlasting(&mut self, now: Timestamp) {
        let Some(outlasting) = self.outlasting() else { return };
        let silent = self.presence.silent_between(now - SILENT_MAX, now);
        let last = self.steps.next_start() - self.steps.grain.duration();
        // What has not outlasted a freeze is over, too, where half an hour shows no more than is harmless.
        let is_over = !outlasting.a_freeze && self.left_at(last) <= LEFT_HARMLESS;
        if self.back.is_shown() || is_over || silent >= SILENT_MAX || now >= outlasting.until() {
            self.outlasting_since = Second::default();
            self.back = Back::default();
            self.frozen_for = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::baseline::Sizes;

    /// Steps of so many errors where ten are usual, which are learned to scatter by `size`.
    fn after(steps: &[f64], size: f64) -> Back {
        let mut back = Back::default();
        back.outlast_freeze();
        for errors in steps {
            back.observe(&Observation {
                errors: *errors,
                counted: *errors,
                harmless: 12.5,
                expected: 10.0,
                sizes: Sizes {
                    step: size,
                    blocks: [size; 6],
                },
            });
        }
        back
    }

    #[test]
    fn errors_are_back_after_minutes_of_usual_ones_and_not_after_one() {
        let usual = [10.0; 30];
        for (size, least, most) in [(0.5, 5, 9), (5.0, 5, 6), (1_000.0, 5, 5)] {
            let n = (1..30).find(|n| after(&usual[..*n], size).is_shown());
            assert!(n.is_some_and(|n| (least..=most).contains(&n)), "{n:?} of size {size}");
        }
        let lulls = [0.0, 0.0, 0.0, 0.0, 80.0].repeat(20);
        assert!(!after(&lulls, 1_000.0).is_shown(), "quiet minutes between bad ones");
        assert!(!after(&[20.0; 200], 5.0).is_shown(), "twice as many");
    }

    /// One error in a thousand minutes is little to tell by, and none is lost in rounding.
    #[test]
    fn rare_errors_that_are_back_are_seen_to_be_in_the_end() {
        let mut back = Back::default();
        back.outlast_freeze();
        let quiet = Observation {
            errors: 0.0,
            counted: 0.0,
            harmless: 0.001_25,
            expected: 0.001,
            sizes: Sizes {
                step: 5.0,
                blocks: [5.0; 6],
            },
        };
        let n = (1..10_000).find(|_| {
            back.observe(&quiet);
            back.is_shown()
        });
        assert!(n.is_some_and(|n| (4_000..6_000).contains(&n)), "{n:?}");
    }
}
