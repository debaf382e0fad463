//! A service's deploys: what they bring, and how often they fail.

use super::Service;
use crate::{
    model::{Deploy, DeployStatus, Happened},
    score::{Context, Said, watch::WatchVerdict},
};

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
}
