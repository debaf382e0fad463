//! How often changes cause incidents, in a service and in the fleet: the level to which relative risks are set.
//!
//! A bug is not an outage, and services differ. Incidents are counted against what was expected of the changes that
//! landed, so that probabilities add up to incidents: gamma and Poisson, with the changes' relative risks as exposure. A
//! service's rate is believed to be near its fleet's, and the fleet's near one incident in a hundred changes.
//!
//! A rate moves for as long as it is learned, for all changes alike. What is held against changes of other days is
//! therefore the risk at the *reference rate*: as if the fleet's were what it is believed to be at first.

use serde::{Deserialize, Serialize};

use super::{Contribution, Score, rounded};
use crate::model::Bulletin;

/// What is believed of a fleet before anything is known: Beta(3, 297), one incident in a hundred changes, and with a chance
/// of 95 % no fewer than one in 480 and no more than one in 42. A third of it, and where incidents come only after the
/// horizon the rate falls for years, as chance has it; more, and it stays above what comes.
const PRIOR_INCIDENTS: f64 = 3.0;
const PRIOR_CHANGES: f64 = 300.0;
/// How far services are from their fleet: gamma of this shape. Three projects differ by a third of their mean, as one of
/// 10 does; with a shape of 1 the chance of small numbers would rank small services.
const SERVICE_SHAPE: f64 = 10.0;
/// The mean of the relative risks of changes under the cold-start weights, over three projects.
pub(super) const RATIO_MEAN: f64 = 1.5;
/// Incidents so rare were forgotten: what is left of them falls for ever, and would be told each time.
const SEEN_MIN: f64 = 1e-9;
/// What is known of the rate forgets half in so many commits.
const HALF_LIFE_COMMITS: f64 = 5_000.0;
/// What a single change may count: a huge one must not stand for years of others.
const EXPOSURE_MAX: f64 = 50.0;

/// Incidents, and what was expected of the changes that landed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Rate {
    incidents: f64,
    /// The sum of relative risks of the changes that landed.
    exposure: f64,
}

impl Rate {
    /// The odds of a change of average measures, if this is a fleet's rate.
    pub(crate) fn fleet_odds(&self) -> f64 {
        (PRIOR_INCIDENTS + self.incidents) / (PRIOR_CHANGES * RATIO_MEAN + self.exposure)
    }

    /// Incidents as they came, over the relative risks of the changes that landed; 0 before the first.
    pub(crate) fn seen_odds(&self) -> f64 {
        if self.exposure > 0.0 && self.incidents > self.exposure * SEEN_MIN {
            self.incidents / self.exposure
        } else {
            0.0
        }
    }

    /// The reference: what is believed of any fleet before anything is known.
    pub(super) fn reference_odds() -> f64 {
        Self::default().fleet_odds()
    }

    /// The odds of a change of average measures of a service, if its fleet's were the reference.
    ///
    /// How often its changes cause incidents beside those of its fleet stays. That is by incidents as they came: of those
    /// believed in before any came, none may be missing in a service that is all of its fleet.
    pub(super) fn odds_at_reference(&self, bulletin: &Bulletin) -> f64 {
        let expected = self.exposure * bulletin.incident_odds_seen.map_or(0.0, f64::from);
        Self::reference_odds() * (SERVICE_SHAPE + self.incidents) / (SERVICE_SHAPE + expected)
    }

    /// The odds of a change of average measures of a service whose fleet told the bulletin.
    pub(super) fn odds(&self, bulletin: &Bulletin) -> f64 {
        let fleet = bulletin.incident_odds.map_or_else(Self::reference_odds, f64::from);
        (SERVICE_SHAPE + self.incidents) / (SERVICE_SHAPE / fleet + self.exposure)
    }

    /// The chance of a change of which nothing is known.
    pub(crate) fn mean(&self, bulletin: &Bulletin) -> f64 {
        rounded(probability(self.odds(bulletin) * RATIO_MEAN))
    }

    /// A change of the service landed.
    pub(crate) fn land(&mut self, score: &Score) {
        self.expect((score.ratio * (1.0 - score.probability)).clamp(0.0, EXPOSURE_MAX));
    }

    /// A change of the fleet landed.
    pub(crate) fn land_any(&mut self) {
        self.expect(RATIO_MEAN);
    }

    pub(super) fn expect(&mut self, exposure: f64) {
        let keep = 0.5_f64.powf(1.0 / HALF_LIFE_COMMITS);
        self.incidents *= keep;
        self.exposure = self.exposure * keep + exposure;
    }

    /// A change caused an incident, or did with a chance of `share`.
    pub(crate) fn reveal(&mut self, share: f64) {
        self.incidents += share;
    }
}

/// What all changes of a service have in common.
pub(super) fn contribution(odds: f64) -> Contribution {
    Contribution {
        feature: "incident_rate",
        value: rounded(probability(odds)),
        logit: rounded(odds.ln()),
    }
}

pub(super) fn probability(odds: f64) -> f64 {
    if odds.is_finite() { odds / (1.0 + odds) } else { 1.0 }
}
