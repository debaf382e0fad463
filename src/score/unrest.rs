//! Whether errors are far above what is usual, deploy or no deploy, and since when.
//!
//! Page's cumulative sum (*Continuous inspection schemes*, Biometrika 1954) of the likelihood ratio that a watch has for
//! three times the greatest harmless mean, always on:
//!
//! ```text
//! ln W ← max(0, ln W + ln L₃(x))
//! ```
//!
//! It convicts nobody. It says whether a service was in trouble before a deploy, and whether one that is asked by its
//! callers is ill though nothing of its own is watched; the step after ln W was last 0 is where the rise is supposed to
//! have begun. A second sum looks for half as much again, which dates what is less than threefold. Steps of which nothing is
//! known, and those of an incident, count for the date.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::evidence::{Null, Observation, narrow};
use crate::model::Timestamp;

/// The multiples that it looks for: a large one, by which there is unrest, and a small one, which only dates a rise.
const MULTIPLES: [f64; 2] = [3.0, 1.5];
/// ln W from which on there is unrest: a hundred to one.
const LN_UNREST: f32 = 4.605_17;
/// Harmless steps count against a rise as if errors scattered no more than this: what a service learns of its own trouble,
/// where nothing is watched, makes its scatter look so large that it would seem ill for most of an hour after it.
pub(super) const CALM_SIZE_MIN: f64 = 3.0;
/// ln W grows no further, or it would outlast what it tells of.
const LN_MAX: f32 = 11.5;

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Unrest {
    /// ln W of each.
    ln_w: [f32; 2],
    /// Steps since it was last 0.
    n_steps: [u16; 2],
}

/// Places of the multiples.
const LARGE: usize = 0;
const SMALL: usize = 1;

impl Unrest {
    /// Whether a step may change it: one with no more errors than is harmless, while it is 0, does not.
    pub(crate) fn minds(self, errors: u64) -> bool {
        errors > 0 || self.n_steps != [0; 2]
    }

    /// Takes in a closed step.
    pub(crate) fn observe(&mut self, o: &Observation) {
        let (x, m, k) = (o.counted, o.harmless, o.sizes.step);
        if x <= m && self.n_steps == [0; 2] {
            return;
        }
        let null = Null::new(x, m, k);
        for ((ln_w, n_steps), r) in self.ln_w.iter_mut().zip(&mut self.n_steps).zip(MULTIPLES) {
            if *n_steps == 0 && x <= m {
                continue;
            }
            let mut ln_ratio = null.ln_ratio(r * m, r.ln());
            if ln_ratio < 0.0 && k < CALM_SIZE_MIN {
                ln_ratio = Null::new(x, m, CALM_SIZE_MIN).ln_ratio(r * m, r.ln());
            }
            *ln_w = (*ln_w + narrow(ln_ratio)).clamp(0.0, LN_MAX);
            *n_steps = if *ln_w > 0.0 { n_steps.saturating_add(1) } else { 0 };
        }
    }

    /// A step went by of which nothing is known.
    pub(crate) fn pass(&mut self) {
        for n_steps in self.n_steps.iter_mut().filter(|n_steps| **n_steps > 0) {
            *n_steps = n_steps.saturating_add(1);
        }
    }

    /// Whether the last steps may be the first of unrest, or are of it.
    pub(crate) fn may_rise(self) -> bool {
        self.n_steps[LARGE] > 0
    }

    /// Whether errors are far above what is usual.
    pub(crate) fn is_on(self) -> bool {
        self.ln_w[LARGE] >= LN_UNREST
    }

    /// Whether errors are above what is usual, be it by little.
    pub(crate) fn has_risen(self) -> bool {
        self.ln_w.iter().any(|ln_w| *ln_w >= LN_UNREST)
    }

    /// When the rise began, if errors are far above what is usual; the last step, of length `step`, ended at `end`.
    pub(crate) fn since(self, end: Timestamp, step: Duration) -> Option<Timestamp> {
        self.since_of(LARGE, end, step)
    }

    /// When errors rose above what is usual, be it by little.
    pub(crate) fn little_since(self, end: Timestamp, step: Duration) -> Option<Timestamp> {
        self.since_of(SMALL, end, step)
    }

    fn since_of(self, place: usize, end: Timestamp, step: Duration) -> Option<Timestamp> {
        (self.ln_w[place] >= LN_UNREST).then(|| end - step * u32::from(self.n_steps[place]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::baseline::Sizes;

    fn step(errors: f64) -> Observation {
        Observation {
            errors,
            counted: errors,
            harmless: 12.5,
            expected: 10.0,
            sizes: Sizes {
                step: 5.0,
                blocks: [5.0; 6],
            },
        }
    }

    #[test]
    fn it_begins_with_a_rise_dates_it_and_ends_after_it() {
        let mut unrest = Unrest::default();
        let end = Timestamp::from_millis(60_000 * 200);
        let minute = Duration::from_mins(1);
        for _ in 0..100 {
            unrest.observe(&step(10.0));
        }
        assert!(!unrest.is_on() && unrest.since(end, minute).is_none());
        for _ in 0..20 {
            unrest.observe(&step(60.0));
        }
        assert!(unrest.is_on());
        assert_eq!(unrest.since(end, minute), Some(end - minute * 20));
        for _ in 0..10 {
            unrest.observe(&step(10.0));
        }
        assert!(!unrest.is_on() && unrest.since(end, minute).is_none(), "{unrest:?}");
    }

    #[test]
    fn a_small_rise_is_dated_and_no_unrest_and_unknown_steps_count() {
        let mut unrest = Unrest::default();
        let end = Timestamp::from_millis(60_000 * 200);
        let minute = Duration::from_mins(1);
        for _ in 0..30 {
            unrest.observe(&step(21.0));
        }
        for _ in 0..5 {
            unrest.pass();
        }
        assert!(!unrest.is_on() && unrest.since(end, minute).is_none());
        assert_eq!(unrest.little_since(end, minute), Some(end - minute * 35));
    }
}
