//! What is known of a service, for people.

use serde::Serialize;

use super::Service;
use crate::{
    model::{Bulletin, Criticality, Kind, ServiceId, Timestamp},
    score::{
        environment::{self, EnvironmentReport},
        policy::Policy,
    },
};

/// What a service has taken in, and what is known of it, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceReport {
    pub service: ServiceId,
    pub tier: Criticality,
    /// Unique events taken in, by the names of [`Kind::ALL`], exactly once, ever.
    pub applied: [u64; Kind::ALL.len()],
    pub late: u64,
    pub duplicates: u64,
    pub changes_remembered: usize,
    /// What it calls, and the callers with the greatest shares of traffic.
    pub depends_on: Vec<Box<str>>,
    pub callers: Vec<Box<str>>,
    /// The mean share of its deploys that fail.
    pub change_failure_rate: f64,
    /// What the chance of a change's failure is multiplied by to give its loss.
    pub blast_radius: f64,
    pub environments: Vec<EnvironmentReport>,
}

impl Service {
    #[must_use]
    pub fn report(&self, policy: &Policy, bulletin: &Bulletin, now: Timestamp) -> ServiceReport {
        let tier = policy.tier(self.name.as_str(), self.criticality);
        let (environments, graph) = (self.environments.iter(), self.graph.as_deref());
        ServiceReport {
            service: self.name.clone(),
            tier,
            applied: self.applied,
            late: self.late,
            duplicates: self.duplicates,
            changes_remembered: self.changes.len(),
            depends_on: graph
                .into_iter()
                .flat_map(|graph| graph.callees().map(Into::into))
                .collect(),
            callers: graph
                .into_iter()
                .flat_map(|graph| graph.callers().map(Into::into))
                .collect(),
            change_failure_rate: self.failure_rate.rate(),
            blast_radius: self.blast(policy),
            environments: environments
                .map(|environment| {
                    let terms = environment::Terms {
                        tier,
                        settings: &policy.settings(self.name.as_str(), tier, environment.name.as_str()),
                        told: &bulletin.calibration,
                        evidence: &policy.evidence,
                    };
                    environment.report(now, &terms)
                })
                .collect(),
        }
    }
}
