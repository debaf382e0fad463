//! A service's deploys: what they bring, how often they fail, and what the fleet learns of that.

use super::Service;
use crate::{
    model::{CausedBy, Deploy, DeployStatus, Happened, Incident, IncidentStatus, Message, Timestamp, Unit},
    score::{Context, Said, watch::WatchVerdict},
};

/// Changes of one deploy that are told of; more ride together than anybody can tell apart.
const UNITS_MAX: usize = 64;

impl Service {
    /// A deploy began, went on or ended.
    pub(super) fn deploy(
        &mut self,
        deploy: &Deploy<'_>,
        event: &Happened<'_>,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) {
        let name = event.environment.unwrap_or(event.default_environment);
        self.changes.deploy(deploy);
        // Λ = −Σ ln(1 − p), π = 1 − e^−Λ: splitting a change does not lower the total.
        let lambda: f64 = deploy
            .commits
            .iter()
            .map(|sha| -(-self.changes.probability(sha, context.bulletin)).ln_1p())
            .sum();
        let prior = if deploy.commits.is_empty() {
            self.changes.probability("", context.bulletin)
        } else {
            -(-lambda).exp_m1()
        };
        let Some(place) = self.place_of(name, event.time, context, said) else {
            return;
        };
        let is_default = name == event.default_environment;
        if is_default {
            self.note_deploy(deploy, event.time, context, said);
        }
        if is_default && deploy.status == DeployStatus::Started {
            self.tell_callees(context, said);
        }
        let is_taken_back = is_default
            && deploy.status == DeployStatus::RolledBack
            && self.environments[place].is_watching(&deploy.deploy_id);
        let health = self.health;
        self.with_environment(place, context, said, |environment, scene| {
            environment.deploy(deploy, event.time, prior, scene);
        });
        if is_taken_back {
            // Whatever its watch says by then.
            self.health = health;
            self.health.note(1);
        }
    }

    /// Watches that ended are deploys that failed or did not; of those that were taken back, that is known already.
    pub(super) fn judge(&mut self, said: &[Said]) {
        for said in said {
            if let Said::Closed(closed) = said {
                match closed.verdict {
                    WatchVerdict::Healthy => self.health.note(0),
                    WatchVerdict::Regressed => self.health.note(1),
                    WatchVerdict::Unknown => {}
                }
            }
        }
    }

    /// A deploy to the default environment began, or was taken back: a rollback is a failure.
    pub(super) fn note_deploy(
        &mut self,
        deploy: &Deploy<'_>,
        at: Timestamp,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) {
        match deploy.status {
            DeployStatus::Failed => {}
            DeployStatus::RolledBack => {
                let unit = self
                    .cohorts
                    .as_mut()
                    .and_then(|cohorts| cohorts.fail_deploy(&deploy.deploy_id, at));
                self.tell_failure(unit, at, context, said);
            }
            DeployStatus::Started | DeployStatus::Progressing | DeployStatus::Succeeded => {
                let units = self
                    .changes
                    .units(deploy.commits.iter().map(AsRef::as_ref).take(UNITS_MAX));
                if !units.is_empty()
                    && self
                        .cohorts
                        .get_or_insert_default()
                        .begin(&deploy.deploy_id, at, &units)
                {
                    said.push(Said::Message(Message::Deployed {
                        tier: self.tier(context.policy),
                        at,
                        units,
                    }));
                }
            }
        }
    }

    /// An incident that names its cause is a failure of that change.
    pub(super) fn note_incident(
        &mut self,
        incident: &Incident<'_>,
        event: &Happened<'_>,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) {
        let Some(CausedBy { deploy_id, sha }) = &incident.caused_by else {
            return;
        };
        let is_elsewhere = event.environment.is_some_and(|name| name != event.default_environment);
        if incident.status == IncidentStatus::Resolved || is_elsewhere {
            return;
        }
        let Some(cohorts) = &mut self.cohorts else { return };
        let unit = match (sha, deploy_id) {
            (Some(sha), _) => {
                let unit = self.changes.units([sha.as_ref()].into_iter()).first().copied();
                unit.filter(|_| cohorts.is_another(event.time))
            }
            (None, Some(deploy_id)) => cohorts.fail_deploy(deploy_id, event.time),
            (None, None) => None,
        };
        self.tell_failure(unit, event.time, context, said);
    }

    fn tell_failure(&self, unit: Option<Unit>, at: Timestamp, context: &Context<'_>, said: &mut Vec<Said>) {
        if let Some(unit) = unit {
            said.push(Said::Message(Message::Failed {
                tier: self.tier(context.policy),
                at,
                unit,
            }));
        }
    }
}
