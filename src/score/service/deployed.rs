//! A service's deploys: what they bring, how often they fail, and what the fleet learns of that.

use std::time::Duration;

use super::Service;
use crate::{
    model::{CausedBy, ChangeKind, Deploy, DeployStatus, Happened, Incident, Message, Second, Timestamp},
    score::{Context, Said, change::Failure, watch::WatchVerdict},
};

/// What fails within this of another failure of the service, on either side, is the same one told in another way: as an
/// incident, and then the rollback of what was deployed last.
const SAME_FAILURE: Duration = Duration::from_hours(6);

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
            self.note_deploy(deploy, event.time, said);
        }
        if is_default && deploy.status == DeployStatus::Started {
            self.tell_callees(context, said);
        }
        let environment = &self.environments[place];
        let is_rolled_back = is_default && deploy.status == DeployStatus::RolledBack;
        let watch = environment.watch_of(&deploy.deploy_id);
        let watch = watch.filter(|_| is_rolled_back && environment.takes_back(deploy, event.time, context.now));
        let earlier = watch.map(|watch| watch.earlier);
        let failure_rate = self.failure_rate;
        self.with_environment(place, context, said, |environment, scene| {
            environment.deploy(deploy, event.time, prior, scene);
        });
        if let Some(earlier) = earlier {
            // Whatever its watch says by then.
            self.failure_rate = failure_rate;
            self.failure_rate.judge(earlier, WatchVerdict::Regressed);
        }
    }

    /// Watches that ended are deploys that failed or did not; of those that were taken back, that is known already.
    pub(super) fn judge(&mut self, said: &[Said]) {
        for said in said {
            if let Said::Closed(closed) = said {
                self.failure_rate.judge(closed.earlier, closed.verdict);
            }
        }
    }

    /// A deploy to the default environment began, or was taken back: a rollback is a failure.
    pub(super) fn note_deploy(&mut self, deploy: &Deploy<'_>, at: Timestamp, said: &mut Vec<Said>) {
        match deploy.status {
            DeployStatus::Failed => {}
            DeployStatus::RolledBack => {
                let failure = self.changes.fail_deploy(&deploy.deploy_id, at);
                self.tell_failure(failure, at, said);
            }
            // What it lists is taken away, or was there before.
            DeployStatus::Started | DeployStatus::Progressing | DeployStatus::Succeeded
                if deploy.change_kind == ChangeKind::Rollback => {}
            DeployStatus::Started | DeployStatus::Progressing | DeployStatus::Succeeded => {
                if let Some(brought) = self.changes.bring(deploy, at) {
                    said.push(Said::Message(brought));
                }
            }
        }
    }

    /// An incident that names its cause is a failure of that change or deploy. Mostly that is told when it is resolved.
    pub(super) fn note_incident(&mut self, incident: &Incident<'_>, event: &Happened<'_>, said: &mut Vec<Said>) {
        let Some(CausedBy { deploy_id, sha }) = &incident.caused_by else {
            return;
        };
        if event.environment.is_some_and(|name| name != event.default_environment) {
            return;
        }
        // A squashed or shortened sha is no change's: the deploy may be named beside it.
        let known = sha
            .as_ref()
            .filter(|sha| self.changes.knows(sha) || deploy_id.is_none());
        let failure = match (known, deploy_id) {
            (Some(sha), _) => self.changes.fail_change(sha, event.time),
            (None, Some(deploy_id)) => self.changes.fail_deploy(deploy_id, event.time),
            (None, None) => None,
        };
        self.tell_failure(failure, event.time, said);
    }

    /// A lot failed, if one did. Either way it is at risk no more.
    fn tell_failure(&mut self, failure: Option<Failure>, at: Timestamp, said: &mut Vec<Said>) {
        let Some(Failure { lot, rivals }) = failure else { return };
        let last = self.failed_at.start();
        let is_same = at.since(last) < SAME_FAILURE && last.since(at) < SAME_FAILURE;
        said.push(Said::Message(if is_same {
            Message::Left { lot }
        } else {
            self.failed_at = self.failed_at.max(Second::of(at));
            Message::Failed { lot, rivals }
        }));
    }
}
