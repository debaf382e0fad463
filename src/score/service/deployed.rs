//! What the fleet learns of a service's deploys: which changes are at risk, and which failed.

use super::Service;
use crate::{
    model::{CausedBy, Deploy, DeployStatus, Happened, Incident, IncidentStatus, Message, Timestamp, Unit},
    score::{Context, Said, watch::WatchVerdict},
};

/// Changes of one deploy that are told of; more ride together than anybody can tell apart.
const UNITS_MAX: usize = 64;

impl Service {
    /// Watches that ended are deploys that failed or did not; of those that were taken back, that is known already.
    pub(super) fn judge(&mut self, said: &[Said]) {
        for said in said {
            if let Said::Closed(closed) = said {
                match closed.verdict {
                    WatchVerdict::Healthy => self.health.note(false),
                    WatchVerdict::Regressed => self.health.note(true),
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
                if deploy.status == DeployStatus::Started {
                    self.tell_callees(context, said);
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
