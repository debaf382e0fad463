//! How often a service's deploys fail, and which changes its last deploys brought.
//!
//! The change failure rate is Beta-distributed: failures and deploys, each forgotten by half in 50 deploys, beside a prior
//! of the strength of 15 deploys. Its mean as a multiple of the prior's, within ½ to 2, weighs a change's loss: a service
//! that breaks often is looked at more, and none is let off.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{evidence::narrow, short::Short};
use crate::model::{Assistance, Second, Timestamp, Unit, hash_text};

/// The share of deploys that fail, before any are seen: between the best two groups of the DORA reports (5 and 10 %).
const PRIOR_MEAN: f64 = 0.075;
/// Deploys that the prior counts as.
const PRIOR_STRENGTH: f64 = 15.0;
/// What was seen is forgotten by half in so many deploys.
const HALF_LIFE: f64 = 50.0;
const MULTIPLIER_MIN: f64 = 0.5;
const MULTIPLIER_MAX: f64 = 2.0;
/// Deploys remembered by what they brought; the next drops the oldest.
const COHORTS_MAX: usize = 8;
/// A failure told again in another way within this, as an incident and then the rollback, is the same one.
const SAME_FAILURE: Duration = Duration::from_hours(6);
/// A deployed change is at risk for so long.
pub(crate) const AT_RISK: Duration = Duration::from_hours(7 * 24);

/// Failures and deploys, decayed.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Health {
    failures: f32,
    deploys: f32,
}

impl Health {
    /// A deploy is over.
    pub(crate) fn note(&mut self, failed: bool) {
        let kept = narrow(0.5_f64.powf(1.0 / HALF_LIFE));
        self.failures = self.failures * kept + f32::from(u8::from(failed));
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

/// What one deploy brought, as far as it speaks for or against AI.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Cohort {
    /// Half of the hash of its id.
    deploy: u32,
    at: Second,
    /// The greatest of its changes' probabilities.
    probability: Short,
    /// Of all its changes; `None` where they differ: then its failure is nobody's.
    ai: Option<Assistance>,
}

/// The last deploys with changes known.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Cohorts {
    last: Vec<Cohort>,
    failed_at: Option<Timestamp>,
}

/// Assisted and authored are one class: the question is whether AI was in it.
fn is_same_class(a: Assistance, b: Assistance) -> bool {
    class(a) == class(b)
}

fn class(ai: Assistance) -> u8 {
    match ai {
        Assistance::None => 0,
        Assistance::Assisted | Assistance::Authored => 1,
        Assistance::Unknown => 2,
    }
}

fn short_hash(deploy_id: &str) -> u32 {
    u32::try_from(hash_text(deploy_id) >> 32).unwrap_or(u32::MAX)
}

impl Cohorts {
    /// A deploy with these changes began. False: it had begun before.
    pub(crate) fn begin(&mut self, deploy_id: &str, at: Timestamp, units: &[Unit]) -> bool {
        let deploy = short_hash(deploy_id);
        let Some(first) = units
            .first()
            .filter(|_| self.last.iter().all(|known| known.deploy != deploy))
        else {
            return false;
        };
        let greatest = units.iter().map(|unit| f64::from(unit.probability)).fold(0.0, f64::max);
        if self.last.len() >= COHORTS_MAX {
            self.last.remove(0);
        }
        self.last.reserve_exact(1);
        self.last.push(Cohort {
            deploy,
            at: Second::of(at),
            probability: Short::of(greatest),
            ai: units
                .iter()
                .all(|unit| is_same_class(unit.ai, first.ai))
                .then_some(first.ai),
        });
        true
    }

    /// A deploy failed at `at`: the change whose failure it is, if it is one's at risk and was not told of already.
    pub(crate) fn fail_deploy(&mut self, deploy_id: &str, at: Timestamp) -> Option<Unit> {
        let deploy = short_hash(deploy_id);
        let place = self.last.iter().position(|known| known.deploy == deploy)?;
        let cohort = self.last.remove(place);
        let ai = cohort.ai.filter(|_| at.since(cohort.at.start()) < AT_RISK)?;
        self.is_another(at).then_some(Unit {
            ai,
            probability: narrow(cohort.probability.value()),
        })
    }

    /// Whether a failure at `at` is another one than the last; notes it.
    pub(crate) fn is_another(&mut self, at: Timestamp) -> bool {
        let is_same = self
            .failed_at
            .is_some_and(|last| at.since(last) < SAME_FAILURE && last.since(at) < SAME_FAILURE);
        if !is_same {
            self.failed_at = self.failed_at.max(Some(at));
        }
        !is_same
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
            health.note(false);
        }
        let good = health.multiplier();
        assert!((MULTIPLIER_MIN..0.6).contains(&good), "{good}");
        for _ in 0..10 {
            health.note(true);
        }
        assert!((health.multiplier() - MULTIPLIER_MAX).abs() < 1e-12);
        for _ in 0..400 {
            health.note(false);
        }
        assert!((health.multiplier() - MULTIPLIER_MIN).abs() < 1e-12, "forgiven");
    }

    #[test]
    fn a_failure_counts_once_and_only_where_one_class_was_deployed() {
        let at = |hours: i64| Timestamp::from_millis(1_772_409_600_000 + hours * 3_600_000);
        let unit = |ai| Unit { ai, probability: 0.25 };
        let mut cohorts = Cohorts::default();
        assert!(cohorts.begin("a", at(0), &[unit(Assistance::Assisted), unit(Assistance::Authored)]));
        assert!(!cohorts.begin("a", at(1), &[unit(Assistance::None)]), "the same deploy");
        assert!(cohorts.begin("b", at(1), &[unit(Assistance::None), unit(Assistance::Assisted)]));
        assert!(cohorts.begin("c", at(2), &[unit(Assistance::None)]));
        assert!(cohorts.begin("d", at(3), &[unit(Assistance::None)]));
        assert_eq!(
            cohorts.fail_deploy("a", at(2)).map(|unit| unit.ai),
            Some(Assistance::Assisted)
        );
        assert_eq!(cohorts.fail_deploy("b", at(20)), None, "of both");
        assert_eq!(cohorts.fail_deploy("c", at(5)), None, "the same failure");
        assert_eq!(cohorts.fail_deploy("d", at(3 + 7 * 24)), None, "no longer at risk");
        assert_eq!(cohorts.fail_deploy("e", at(30)), None, "not known");
    }
}
