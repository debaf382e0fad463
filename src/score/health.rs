//! How often a service's deploys fail.
//!
//! The change failure rate is Beta-distributed: failures and deploys, each forgotten by half in 50 deploys, beside a prior
//! of the strength of 15 deploys. Its mean as a multiple of the prior's, within ½ to 2, weighs a change's loss: a service
//! that breaks often is looked at more, and none is let off.

use serde::{Deserialize, Serialize};

use super::evidence::narrow;

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
pub(crate) struct Health {
    failures: f32,
    deploys: f32,
}

impl Health {
    /// A deploy is over, well or not.
    pub(crate) fn note(&mut self, failures: u8) {
        let kept = narrow(0.5_f64.powf(1.0 / HALF_LIFE));
        self.failures = self.failures * kept + f32::from(failures.min(1));
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
    fn the_multiplier_begins_at_one_moves_with_what_is_seen_and_is_bounded() {
        let mut health = Health::default();
        assert!((health.multiplier() - 1.0).abs() < 1e-12);
        for _ in 0..30 {
            health.note(0);
        }
        let good = health.multiplier();
        assert!((MULTIPLIER_MIN..0.6).contains(&good), "{good}");
        for _ in 0..10 {
            health.note(1);
        }
        assert!((health.multiplier() - MULTIPLIER_MAX).abs() < 1e-12);
        for _ in 0..400 {
            health.note(0);
        }
        assert!((health.multiplier() - MULTIPLIER_MIN).abs() < 1e-12, "forgiven");
    }
}
