//! One service in one environment without a partition around it, for evaluations of the evidence.
//!
//! It is the very state that a partition keeps and the very step that folds it: only the log is left out, so that a
//! hundred thousand watches can be judged in a minute, and what was learned of a service can be tried on many futures.

use std::time::Duration;

use super::{
    Context, Said, WatchVerdict,
    environment::{Environment, Scene, Terms},
    policy::{Evidence, Policy, Settings},
    steps::Totals,
};
use crate::model::{
    Bulletin, Cause, ChangeKind, Criticality, Deploy, DeployStatus, EnvironmentId, Errors, EventHash, Ground, Incident,
    IncidentStatus, Origin, Original, ServiceId, Timestamp, UnitInterval, Variant,
};

/// A service in an environment, driven by hand.
#[derive(Debug, Clone)]
pub struct Trial {
    service: ServiceId,
    environment: Environment,
    policy: Policy,
    settings: Settings,
    bulletin: Bulletin,
    /// The partition's time.
    now: Timestamp,
    verdicts: Vec<WatchVerdict>,
    n_proposed: u32,
    /// What the last record was, packed.
    variant: Vec<u8>,
}

/// What one record of errors told.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Told<'a> {
    pub errors: u64,
    pub requests: Option<u64>,
    /// The length of the interval that ends at the record's time; zero for an instant.
    pub interval: Duration,
    pub version: Option<&'a str>,
}

/// The evidence against the deploy under watch that has most of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// ln E.
    pub ln_e: f64,
    /// ln of what E must reach.
    pub ln_threshold: f64,
    /// Whether the service's own noise asks for more than calibration may, so that it is not frozen.
    pub is_noisy: bool,
    /// Whether there are errors enough to convict by: more than the margin allows, and certainly more than is usual.
    pub is_material: bool,
    /// Steps since the estimated onset.
    pub steps_since_onset: u16,
}

impl Trial {
    /// A service called `service`, first seen at `at`.
    #[must_use]
    pub fn new(service: ServiceId, environment: EnvironmentId, policy: Policy, at: Timestamp) -> Self {
        let settings = policy.settings(service.as_str(), Criticality::Medium, environment.as_str());
        let environment = Environment::new(&service, environment, at, at, policy.lateness);
        Self {
            service,
            environment,
            policy,
            settings,
            bulletin: Bulletin::default(),
            now: at,
            verdicts: Vec::new(),
            n_proposed: 0,
            variant: Vec::new(),
        }
    }

    /// What the fleet tells.
    pub fn tell(&mut self, bulletin: Bulletin) {
        self.bulletin = bulletin;
    }

    /// One record. False: it came late.
    pub fn errors(&mut self, time: Timestamp, told: &Told<'_>) -> bool {
        self.variant.clear();
        Variant {
            version: told.version,
            ..Variant::default()
        }
        .pack(&mut self.variant);
        let errors = Errors {
            service: self.service.as_str(),
            environment: "",
            time,
            origin: Origin {
                topic: "",
                partition: 0,
                offset: 0,
            },
            errors: told.errors,
            requests: told.requests,
            interval_ms: u64::try_from(told.interval.as_millis()).unwrap_or(u64::MAX),
            variants: &self.variant,
            originals: &[],
        };
        let mut totals = Totals::default();
        totals.note(&Original {
            hash: EventHash(0),
            variant: 0,
            is_storm: false,
            errors: told.errors,
            requests: told.requests,
        });
        let now = self.now;
        let context = Context {
            now,
            at: now,
            wall: now,
            policy: &self.policy,
            bulletin: &self.bulletin,
            cause: &|| Cause::Time(now),
        };
        if self.environment.has_quiet_steps(&context) {
            self.environment.pass_quiet_steps(&self.settings, &context);
        }
        self.environment.book(&errors, &totals)
    }

    /// A deploy begins, or reaches more of the traffic.
    pub fn deploy(
        &mut self,
        time: Timestamp,
        deploy_id: &str,
        versions: (Option<&str>, Option<&str>),
        exposure: Option<UnitInterval>,
    ) {
        let (version, previous_version) = versions;
        let deploy = Deploy {
            deploy_id: deploy_id.into(),
            status: DeployStatus::Started,
            version: version.map(Into::into),
            previous_version: previous_version.map(Into::into),
            commits: Vec::new(),
            exposure,
            change_kind: ChangeKind::Release,
        };
        self.act(|environment, scene| environment.deploy(&deploy, time, 0.01, scene));
    }

    /// An incident of the service is open, or resolved: what happens meanwhile is not what is usual.
    pub fn incident(&mut self, time: Timestamp, status: IncidentStatus) {
        let incident = Incident {
            incident_id: "incident".into(),
            status,
            severity: 5,
            caused_by: None,
        };
        self.act(|environment, scene| environment.incident(&incident, time, scene));
    }

    /// Lets time go on to `now`.
    pub fn advance(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.act(Environment::advance);
    }

    /// The fleet grants what was proposed.
    pub fn grant(&mut self) {
        self.act(|environment, scene| environment.answer(Ground::Evidence, true, scene));
    }

    /// The fleet grants no freeze.
    #[cfg(test)]
    fn refuse(&mut self) {
        self.act(|environment, scene| environment.answer(Ground::Evidence, false, scene));
    }

    fn act(&mut self, act: impl FnOnce(&mut Environment, &mut Scene<'_>)) {
        let now = self.now;
        let context = Context {
            now,
            at: now,
            wall: now,
            policy: &self.policy,
            bulletin: &self.bulletin,
            cause: &|| Cause::Time(now),
        };
        let mut said = Vec::new();
        let mut scene = Scene {
            service: &self.service,
            tier: Criticality::Medium,
            graph: None,
            settings: &self.settings,
            context: &context,
            said: &mut said,
        };
        act(&mut self.environment, &mut scene);
        for said in said {
            match said {
                Said::Closed(closed) => self.verdicts.push(closed.verdict),
                Said::Message(crate::model::Message::Propose { .. }) => self.n_proposed += 1,
                Said::Decision(_) | Said::Forget(_) | Said::Message(_) | Said::Scored(_) => {}
            }
        }
    }

    /// The evidence, if anything is watched.
    #[must_use]
    pub fn reading(&self) -> Option<Reading> {
        self.environment.reading(&Terms {
            tier: Criticality::Medium,
            settings: &self.settings,
            told: &self.bulletin.calibration,
            evidence: &self.policy.evidence,
        })
    }

    /// ln of the threshold at which calibration would have one watch in `1/alpha` alarm for no reason: the greater of
    /// 1/α and the quantile of what placebo windows have shown, which is capped.
    #[must_use]
    pub fn ln_threshold(&self, alpha: f64) -> f64 {
        let evidence = Evidence {
            e_value_min: 1.0,
            ..self.policy.evidence.clone()
        };
        let pool = &self.bulletin.calibration;
        f64::from(
            self.environment
                .threshold_at(alpha, Criticality::Medium, pool, &evidence)
                .ln_e,
        )
    }

    /// Whether there is history enough to convict by.
    #[must_use]
    pub fn has_baseline(&self) -> bool {
        self.environment.has_baseline(self.now, &self.policy)
    }

    /// Verdicts of the watches that ended, in order.
    #[must_use]
    pub fn verdicts(&self) -> &[WatchVerdict] {
        &self.verdicts
    }

    /// Freezes asked for so far, repetitions included.
    #[must_use]
    pub fn n_proposed(&self) -> u32 {
        self.n_proposed
    }
}

#[cfg(test)]
mod tests;
