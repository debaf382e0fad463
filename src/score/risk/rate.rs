//! How often changes of a service cause incidents: the level to which relative risks are set.
//!
//! A bug is not an outage, and services differ. Incidents are counted against what was expected of the changes that
//! landed, so that probabilities add up to incidents: gamma and Poisson, with the changes' relative risks as exposure.

use serde::{Deserialize, Serialize};

use super::{Contribution, rounded};

/// What is believed before anything is known: Beta(1, 99), one incident in a hundred changes.
const PRIOR_INCIDENTS: f64 = 1.0;
const PRIOR_CHANGES: f64 = 100.0;
/// The mean of the relative risks of changes under the cold-start weights, over three projects.
const RATIO_MEAN: f64 = 1.5;
/// What is known of the rate forgets half in so many commits.
const HALF_LIFE_COMMITS: f64 = 5_000.0;
/// What a single change may count: a huge one must not stand for years of others.
const EXPOSURE_MAX: f64 = 50.0;

/// The incidents of a service's changes, and what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Rate {
    incidents: f64,
    /// The sum of relative risks of the changes that landed.
    exposure: f64,
}

impl Rate {
    /// The odds of a change of average measures.
    fn odds(&self) -> f64 {
        (PRIOR_INCIDENTS + self.incidents) / (PRIOR_CHANGES * RATIO_MEAN + self.exposure)
    }

    /// The chance that a change causes an incident whose risk is so many times that of an average one.
    pub(super) fn probability(&self, ratio: f64) -> f64 {
        let odds = self.odds() * ratio;
        if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
    }

    /// The chance of a change of which nothing is known.
    pub(crate) fn mean(&self) -> f64 {
        rounded(self.probability(RATIO_MEAN))
    }

    /// What all changes of the service have in common.
    pub(super) fn contribution(&self) -> Contribution {
        let odds = self.odds();
        Contribution {
            feature: "incident_rate",
            value: rounded(odds / (1.0 + odds)),
            logit: rounded(odds.ln()),
        }
    }

    /// A change landed, of which `ratio` times the average was expected.
    pub(crate) fn land(&mut self, ratio: f64) {
        let keep = 0.5_f64.powf(1.0 / HALF_LIFE_COMMITS);
        self.incidents *= keep;
        let odds = self.odds() * ratio;
        self.exposure = self.exposure * keep + (ratio / (1.0 + odds)).clamp(0.0, EXPOSURE_MAX);
    }

    /// A change caused an incident, or did with a chance of `share`.
    pub(crate) fn reveal(&mut self, share: f64) {
        self.incidents += share;
    }
}
