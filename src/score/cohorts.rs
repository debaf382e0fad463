//! Which changes the last deploys of a service brought, as far as they speak for or against AI.
//!
//! A failed deploy is a failure of its changes' class, if all are of one; told again in another way it is the same one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{environment::short_hash, evidence::narrow, short::Short, trend::class};
use crate::model::{Assistance, Second, Timestamp, Unit};

/// Deploys remembered by what they brought; the next drops the oldest.
const COHORTS_MAX: usize = 8;
/// A failure told again in another way within this, as an incident and then the rollback, is the same one.
const SAME_FAILURE: Duration = Duration::from_hours(6);
/// A deployed change is at risk for so long.
pub(crate) const AT_RISK: Duration = Duration::from_hours(7 * 24);

/// What one deploy brought, as far as it speaks for or against AI.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Cohort {
    /// Half of the hash of its id.
    deploy: u32,
    at: Second,
    /// The greatest of its changes' probabilities.
    probability: Short,
    /// Of all its changes; `None` where they differ, or once it failed: then a failure is nobody's.
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
        let cohort = self.last.iter_mut().find(|known| known.deploy == deploy)?;
        // It is remembered, or it would begin again with its next status.
        let ai = cohort.ai.take().filter(|_| at.since(cohort.at.start()) < AT_RISK)?;
        let probability = narrow(cohort.probability.value());
        self.is_another(at).then_some(Unit { ai, probability })
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
        assert!(
            !cohorts.begin("a", at(2), &[unit(Assistance::Assisted)]),
            "it has failed"
        );
        assert_eq!(cohorts.fail_deploy("b", at(20)), None, "of both");
        assert_eq!(cohorts.fail_deploy("c", at(5)), None, "the same failure");
        assert_eq!(cohorts.fail_deploy("d", at(3 + 7 * 24)), None, "no longer at risk");
        assert_eq!(cohorts.fail_deploy("e", at(30)), None, "not known");
    }
}
