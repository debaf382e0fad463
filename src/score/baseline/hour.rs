//! The level of the hours just before: how far they were above or below what is usual for them, and how much of that stays.
//!
//! Real rates have slow excursions, a holiday or a campaign, that a level of days cannot follow. With e errors in the hours
//! before an instant, where m were usual (sums with a half-life of 1 h), what follows is expected at
//!
//! ```text
//! m_t · (1 + w g(t − t₀) (R − 1))          R = (e + 1)/(m + 1)          g(lag) = 4 h/(4 h + lag)
//! ```
//!
//! R stands still from the anchor t₀ on, which is where a watch begins: no fault can raise what it is held against. Where
//! nothing is watched it is anchored anew every two hours, so that w, the regression of what came on what had been, and the
//! scatter around the mean are learned of means as old as those of watches are. Counts that do not hang together have a w
//! of 0, and nothing is gained or lost.

use serde::{Deserialize, Serialize};

use crate::{
    model::Timestamp,
    score::{evidence::narrow, steps::Grain},
};

/// Quarter-hours in the half-life of what has been, one hour.
const QUARTERS_PER_HALF_LIFE: f64 = 4.0;
/// In that of w, 14 days: as long as that of the shape of a day.
const QUARTERS_PER_HALF_LIFE_OF_WEIGHT: f64 = 1_344.0;
/// Where nothing is watched it is anchored anew after so many quarter-hours: as long as a watch.
const ANCHORED_FOR: i64 = 8;
const ANCHORED_FOR_MINUTES: f64 = 120.0;
/// Half of an excursion is left after so many quarter-hours, and then less and less slowly.
const FADES_IN: f64 = 16.0;
/// w is drawn to 0 with the weight of so many times as long as an anchor holds.
const PRIOR: f64 = 10.0;
/// The hours before make no errors less usual than by this: what fell silent for an hour may have had no traffic.
const FACTOR_MIN: f64 = 0.25;

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Hour {
    /// Errors, and how many were usual, decayed.
    errors: f32,
    usual: f32,
    /// R − 1 at the anchor.
    excess: f32,
    /// The quarter-hour of the anchor, counted from the epoch.
    anchored_at: u32,
    /// Σ (x − m)·m·g·(R − 1), Σ (m·g·(R − 1))², and how many times two hours they are of; decayed.
    cross: f32,
    squares: f32,
    n: f32,
}

impl Hour {
    /// Takes in `x` errors where `m` are usual.
    pub(super) fn note(&mut self, x: f64, m: f64) {
        self.errors += narrow(x);
        self.usual += narrow(m);
    }

    /// Learns how much stays, from the `x` errors of a step after the anchor where `m` are usual.
    pub(super) fn learn(&mut self, grain: Grain, at: Timestamp, (x, m): (f64, f64)) {
        let left = m * self.left(at);
        self.cross += narrow((x - m) * left);
        self.squares += narrow(left * left);
        self.n += narrow(grain.minutes() / ANCHORED_FOR_MINUTES);
    }

    /// g·(R − 1): what of the excess would be left at `at` if age alone took from it.
    fn left(&self, at: Timestamp) -> f64 {
        let lag = at.quarter_hour().saturating_sub(i64::from(self.anchored_at)).max(0);
        let lag = f64::from(u32::try_from(lag).unwrap_or(u32::MAX));
        f64::from(self.excess) * FADES_IN / (FADES_IN + lag)
    }

    /// w.
    fn weight(&self) -> f64 {
        if self.squares <= 0.0 {
            return 0.0;
        }
        let n = f64::from(self.n);
        (f64::from(self.cross) / f64::from(self.squares) * n / (n + PRIOR)).clamp(0.0, 1.0)
    }

    /// By how much what is usual at `at` is to be multiplied.
    pub(super) fn factor(&self, at: Timestamp) -> f64 {
        (1.0 + self.weight() * self.left(at)).max(FACTOR_MIN)
    }

    /// Whether the anchor is older at `at` than it may be where nothing is watched.
    pub(super) fn is_old(&self, at: Timestamp) -> bool {
        at.quarter_hour() >= i64::from(self.anchored_at) + ANCHORED_FOR
    }

    /// What follows on `at` is held against the hours before it.
    pub(super) fn anchor(&mut self, at: Timestamp) {
        self.anchored_at = u32::try_from(at.quarter_hour()).unwrap_or(0);
        self.excess = (self.errors + 1.0) / (self.usual + 1.0) - 1.0;
    }

    /// So many quarter-hours pass.
    pub(super) fn decay(&mut self, n: f64) {
        let kept = narrow(0.5_f64.powf(n / QUARTERS_PER_HALF_LIFE));
        self.errors *= kept;
        self.usual *= kept;
        let kept = narrow(0.5_f64.powf(n / QUARTERS_PER_HALF_LIFE_OF_WEIGHT));
        for sum in [&mut self.cross, &mut self.squares, &mut self.n] {
            *sum *= kept;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An hour without any errors, where all of what hours were had stayed: it may have had no traffic.
    #[test]
    fn silence_makes_errors_a_quarter_of_what_is_usual_at_least() {
        let silent = Hour {
            excess: -1.0,
            cross: 9.0,
            squares: 9.0,
            n: 1_000.0,
            ..Hour::default()
        };
        assert!((silent.factor(Timestamp::from_millis(0)) - 0.25).abs() < 1e-9);
        let later = silent.factor(Timestamp::from_millis(16 * Timestamp::QUARTER_HOUR_MS));
        assert!((0.5..0.51).contains(&later), "{later}");
    }

    /// What stays is learned with the weight of what was seen, and never as the contrary of what was.
    #[test]
    fn an_excursion_that_did_not_last_is_not_expected_to() {
        let mut hour = Hour::default();
        let at = |n: i64| Timestamp::from_millis(n * Timestamp::QUARTER_HOUR_MS);
        for n in 0..400 {
            if n % 8 == 0 {
                hour.note(600.0, 60.0);
                hour.anchor(at(n));
                hour.decay(1_000.0);
            }
            hour.learn(Grain::ONE_MINUTE, at(n), (5.0, 10.0));
        }
        hour.anchored_at = 400;
        hour.excess = 3.0;
        assert!((hour.factor(at(400)) - 1.0).abs() < 1e-9);
    }
}
