//! How often a service's deploys fail.
//!
//! The change failure rate is Beta-distributed: failures and deploys, each forgotten by half in 50 deploys, beside a prior
//! of the strength of 15 deploys. Its mean as a multiple of the prior's, within ½ to 2, weighs a change's loss: a service
//! that breaks often is looked at more, and none is let off.

use serde::{Deserialize, Serialize};

use super::{evidence::narrow, watch::WatchVerdict};

/// The share of deploys that fail, before any are seen: between the best two groups of the DORA reports (5 and 10 %).
const PRIOR_MEAN: f64 = 0.075;
/// Deploys that the prior counts as.
const PRIOR_STRENGTH: f64 = 15.0;
/// What was seen is forgotten by half in so many deploys.
const HALF_LIFE: f64 = 50.0;
const MULTIPLIER_MIN: f64 = 0.5;
const MULTIPLIER_MAX: f64 = 2.0;

/// Failures and deploys, decayed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct FailureRate {
    failures: f32,
    deploys: f32,
}

impl FailureRate {
    /// A deploy is over, well or not. Where an `earlier` watch has judged it, it is counted: only that it failed after all
    /// is another count.
    pub(crate) fn judge(&mut self, earlier: Option<WatchVerdict>, verdict: WatchVerdict) {
        let is_counted = earlier.is_some_and(|earlier| earlier != WatchVerdict::Unknown);
        match verdict {
            WatchVerdict::Regressed if earlier == Some(WatchVerdict::Healthy) => self.failures += 1.0,
            WatchVerdict::Healthy if !is_counted => self.note(0.0),
            WatchVerdict::Regressed if !is_counted => self.note(1.0),
            WatchVerdict::Healthy | WatchVerdict::Regressed | WatchVerdict::Unknown => {}
        }
    }

    fn note(&mut self, failures: f32) {
        let kept = narrow(0.5_f64.powf(1.0 / HALF_LIFE));
        self.failures = self.failures * kept + failures;
        self.deploys = self.deploys * kept + 1.0;
    }

    /// The mean change failure rate.
    pub(crate) fn rate(self) -> f64 {
        (f64::from(self.failures) + PRIOR_MEAN * PRIOR_STRENGTH) / (f64::from(self.deploys) + PRIOR_STRENGTH)
    }

    /// What a change's loss is multiplied by.
    pub(crate) fn multiplier(self) -> f64 {
        (self.rate() / PRIOR_MEAN).clamp(MULTIPLIER_MIN, MULTIPLIER_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deploy_counts_once_however_often_it_is_watched() {
        use WatchVerdict::{Healthy, Regressed, Unknown};
        for (verdicts, failures, deploys) in [
            (&[Healthy, Healthy][..], 0.0, 1.0),
            (&[Unknown, Healthy, Unknown], 0.0, 1.0),
            (&[Healthy, Regressed, Healthy], 1.0, 1.0),
            (&[Regressed, Regressed], 1.0, 1.0),
            (&[Unknown, Regressed], 1.0, 1.0),
        ] {
            let (mut rate, mut earlier) = (FailureRate::default(), None);
            for verdict in verdicts {
                rate.judge(earlier, *verdict);
                earlier = earlier.max(Some(*verdict));
            }
            assert_eq!(rate, FailureRate { failures, deploys }, "{verdicts:?}");
        }
    }

    #[test]
    fn what_is_presumed_counts_as_fifteen_deploys() {
        let mut rate = FailureRate::default();
        rate.judge(None, WatchVerdict::Regressed);
        let expected = (0.075 * 15.0 + 1.0) / 16.0;
        assert!((rate.rate() - expected).abs() < 1e-9, "{}", rate.rate());
    }

    #[test]
    fn what_was_seen_counts_half_after_fifty_deploys() {
        let mut rate = FailureRate::default();
        rate.judge(None, WatchVerdict::Regressed);
        for _ in 0..50 {
            rate.judge(None, WatchVerdict::Healthy);
        }
        assert!((rate.failures - 0.5).abs() < 1e-3, "{rate:?}");
    }

    #[test]
    fn the_multiplier_begins_at_one_moves_with_what_is_seen_and_is_bounded() {
        let mut rate = FailureRate::default();
        assert!((rate.multiplier() - 1.0).abs() < 1e-12);
        for _ in 0..30 {
            rate.judge(None, WatchVerdict::Healthy);
        }
        let good = rate.multiplier();
        assert!((MULTIPLIER_MIN..0.6).contains(&good), "{good}");
        for _ in 0..10 {
            rate.judge(None, WatchVerdict::Regressed);
        }
        assert!((rate.multiplier() - MULTIPLIER_MAX).abs() < 1e-12);
        for _ in 0..400 {
            rate.judge(None, WatchVerdict::Healthy);
        }
        assert!((rate.multiplier() - MULTIPLIER_MIN).abs() < 1e-12, "forgiven");
    }
}
