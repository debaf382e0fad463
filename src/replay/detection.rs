//! What history says of freezes and of watched deploys, where nobody labelled them.
//!
//! A freeze by evidence is borne out by an incident of its service that is open when it begins, or by an incident or a
//! deploy taken back within two hours of its beginning, on either side; of what came before, by none that names another
//! deploy; and by what takes the convicted deploy itself back, or names it, within a day ([`super::fates`]). One that is not
//! was false, or kept the incident away: the count is an upper bound of false freezes. Deploys that incidents name as their
//! cause are the nearest to labels there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use foldhash::HashMap;

use super::{
    capture::Capture,
    fates::{Fate, Fates, hash},
    holding::{Held, Holding},
    interval::{Rate, Share},
    summary::{DeployCounts, DetectionSummary, FreezeCounts, Quantiles, count},
    tier::ByTier,
};
use crate::model::{
    Action, Body, ChangeKind, Criticality, Decision, Deploy, DeployStatus, Event, EventHash, Evidence, Incident,
    IncidentStatus, Subject, Timestamp,
};
use crate::score::{ClosedWatch, WatchVerdict};

/// Deploys, incidents and alarms remembered, of each so many: 20 MiB. What is beyond is not counted.
const REMEMBERED_MAX: usize = 200_000;
/// A longer time without any errors is one of which nothing was recorded: a history of commits goes back for years, and one
/// record with a wrong clock may too.
const GAP_MAX: Duration = Duration::from_hours(24);
/// What stands for all environments.
const ANYWHERE: &str = "";
/// The code of a freeze by evidence.
pub(super) const EVIDENCE: &str = "deploy_regression";
/// The code of one that the limiter refused.
const WITHHELD: &str = "limiter_withheld";

#[derive(Debug, Default)]
pub(super) struct Detection {
    /// Freezes by the code of their reason.
    freezes: BTreeMap<Box<str>, u64>,
    /// Services, each in an environment, whose freeze the limiter refused.
    withheld: BTreeSet<u64>,
    fates: Fates,
    judged: ByTier<Judged>,
    incidents: BTreeSet<u64>,
    /// Those of a time without errors.
    n_without_errors: u64,
    /// Of incidents whose service was frozen by evidence, how long it had been, in seconds.
    leads: Vec<u64>,
    n_frozen_before: u64,
    /// Deploys that incidents name as their cause, and in which environment, or in any where incidents differ in it.
    blamed: BTreeMap<u64, u64>,
    verdicts: HashMap<u64, WatchVerdict>,
    n_watched: BTreeMap<&'static str, u64>,
    /// From the start of each watch to its alarm, in seconds, by tier.
    delays: ByTier<Vec<u64>>,
    watched: ByTier<u64>,
    /// When errors were told last, and for how long in all.
    errors_at: Option<Timestamp>,
    errors_told: Duration,
}

/// Freezes by evidence, as what came around them judged them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Judged {
    pub(super) borne_out: u64,
    pub(super) not_borne_out: u64,
}

/// Whether a deploy was taken back, which bears a freeze out.
pub(super) fn is_taken_back(deploy: &Deploy<'_>) -> bool {
    matches!(deploy.status, DeployStatus::RolledBack | DeployStatus::Failed)
        || deploy.change_kind == ChangeKind::Rollback
}

/// Whether a freeze begins with this decision, rather than going on. One by evidence goes on too where another ground has
/// stood for it meanwhile, such as an incident that is resolved.
pub(super) fn begins(decision: &Decision, before: Option<&Held>) -> bool {
    let ground = decision.reasons.first().map_or("", |reason| &reason.code);
    let goes_on = |before: &Held| {
        let is_same = *before.ground == *ground;
        before.action == Action::Freeze && (is_same || blamed(decision).is_some_and(|id| before.was_frozen_for(id)))
    };
    decision.action == Action::Freeze && !before.is_some_and(goes_on)
}

/// The deploy that a freeze by evidence is put down to.
pub(super) fn blamed(decision: &Decision) -> Option<&str> {
    let reason = decision.reasons.first().filter(|reason| *reason.code == *EVIDENCE)?;
    match reason.evidence.get("deploy_id")? {
        Evidence::Text(deploy_id) => Some(deploy_id),
        Evidence::Count(_) | Evidence::Number(_) => None,
    }
}

fn hash_in(environment: &str, service: &str, id: &str) -> u64 {
    EventHash::of(service, environment, id).0
}

impl Detection {
    /// An event is about to be stepped, and `capture` has it. Duplicates change nothing.
    pub(super) fn note(&mut self, event: &Event<'_>, default_environment: &str, holding: &Holding, capture: &Capture) {
        match &event.body {
            Body::Incident(incident) => {
                self.fates.note_incident(incident, event, capture);
                self.note_incident(incident, event, holding);
            }
            Body::Deploy(deploy) => self.fates.note_deploy(deploy, event, default_environment, capture),
            Body::Error(_) => self.note_errors(event.time),
            Body::Commit(_) | Body::Review(_) | Body::Service(_) | Body::Override(_) => {}
        }
    }

    fn note_errors(&mut self, at: Timestamp) {
        if let Some(before) = self.errors_at {
            self.errors_told += at.since(before).min(GAP_MAX);
        }
        self.errors_at = self.errors_at.max(Some(at));
    }

    fn note_incident(&mut self, incident: &Incident<'_>, event: &Event<'_>, holding: &Holding) {
        let deploy_id = incident.caused_by.as_ref().and_then(|cause| cause.deploy_id.as_deref());
        // Mostly the cause is told when it is resolved.
        if let Some(deploy_id) = deploy_id
            && self.blamed.len() < REMEMBERED_MAX
        {
            let environment = event.environment.as_deref().unwrap_or(ANYWHERE);
            let here = hash_in(environment, &event.service, deploy_id);
            let anywhere = hash(&event.service, deploy_id);
            let named = self.blamed.entry(anywhere).or_insert(here);
            if *named != here {
                *named = anywhere;
            }
        }
        if incident.status != IncidentStatus::Detected {
            return;
        }
        if self.incidents.len() < REMEMBERED_MAX && self.incidents.insert(hash(&event.service, &incident.incident_id)) {
            let are_told = self.errors_at.is_some_and(|at| event.time <= at + GAP_MAX);
            self.n_without_errors += u64::from(!are_told);
            let standing = holding.of(&event.service, event.environment.as_deref(), event.time);
            // An incident told late may be of before the freeze.
            let convicted = standing
                .filter_map(|held| held.convicted_at)
                .filter(|at| *at <= event.time);
            if let Some(convicted_at) = convicted.min() {
                self.n_frozen_before += 1;
                self.leads.push(event.time.since(convicted_at).as_secs());
            }
        }
    }

    /// A decision on a service of this tier took the place of another.
    pub(super) fn decided(&mut self, decision: &Decision, tier: Criticality, before: Option<&Held>) {
        let Subject::Service { service, environment } = &decision.subject else {
            return;
        };
        let is_withheld = decision.reasons.first().is_some_and(|reason| *reason.code == *WITHHELD);
        if is_withheld && self.withheld.len() < REMEMBERED_MAX {
            self.withheld
                .insert(hash_in(environment.as_str(), service.as_str(), ""));
        }
        if !begins(decision, before) {
            self.fates.go_on(decision);
            return;
        }
        let ground = decision.reasons.first().map_or("", |reason| &reason.code);
        *self.freezes.entry(ground.into()).or_default() += 1;
        if ground == EVIDENCE {
            self.fates.begin(decision, tier);
        } else {
            self.fates.go_on(decision);
        }
    }

    pub(super) fn closed(&mut self, watch: &ClosedWatch, tier: Criticality) {
        // Watched again it is the same deploy, and the gravest verdict is its.
        let deploy = hash_in(watch.environment.as_str(), watch.service.as_str(), &watch.deploy_id);
        let earlier = self.verdicts.get(&deploy).copied().max(watch.earlier);
        let verdict = earlier.max(Some(watch.verdict)).unwrap_or(watch.verdict);
        match earlier {
            Some(earlier) => *self.n_watched.entry(name(earlier)).or_default() -= 1,
            None => *self.watched.of_mut(tier) += 1,
        }
        *self.n_watched.entry(name(verdict)).or_default() += 1;
        let delays = self.delays.of_mut(tier);
        if let Some(alarmed_at) = watch.alarmed_at
            && delays.len() < REMEMBERED_MAX
        {
            delays.push(alarmed_at.since(watch.started_at).as_secs());
        }
        for environment in [watch.environment.as_str(), ANYWHERE] {
            if self.verdicts.len() >= 2 * REMEMBERED_MAX {
                break;
            }
            let deploy = hash_in(environment, watch.service.as_str(), &watch.deploy_id);
            let known = self.verdicts.entry(deploy).or_insert(watch.verdict);
            // Of no environment in particular: found in one is found.
            if watch.verdict == WatchVerdict::Regressed || *known == WatchVerdict::Unknown {
                *known = watch.verdict;
            }
        }
    }

    /// Time is `now`: says what became of a freeze by evidence, where that is known.
    pub(super) fn pass_time(&mut self, now: Timestamp) -> Option<Fate> {
        let fate = self.fates.pass_time(now)?;
        Some(self.judge(fate))
    }

    /// The fates of all that is left, one at a time.
    pub(super) fn finish(&mut self) -> Option<Fate> {
        let fate = self.fates.finish()?;
        Some(self.judge(fate))
    }

    fn judge(&mut self, fate: Fate) -> Fate {
        let judged = self.judged.of_mut(fate.tier);
        let counted = if fate.borne_out {
            &mut judged.borne_out
        } else {
            &mut judged.not_borne_out
        };
        *counted += 1;
        fate
    }

    pub(super) fn judged(&self, tier: Criticality) -> Judged {
        *self.judged.of(tier)
    }

    pub(super) fn n_watched(&self, tier: Criticality) -> u64 {
        *self.watched.of(tier)
    }

    pub(super) fn freezes(&self, n_withheld: u64) -> FreezeCounts {
        let weeks = self.errors_told.as_secs_f64() / 604_800.0;
        let sum = |of: fn(&Judged) -> u64| self.judged.all().map(of).sum::<u64>();
        let (borne_out, not) = (sum(|judged| judged.borne_out), sum(|judged| judged.not_borne_out));
        let watched: u64 = self.n_watched.values().sum();
        // A day says nothing of weeks.
        let per_week = (weeks >= 1.0 / 7.0).then(|| Rate::of(not, weeks)).flatten();
        FreezeCounts {
            by_ground: self.freezes.clone(),
            evidence_borne_out: borne_out,
            evidence_not_borne_out: not,
            not_borne_out_per_week: per_week.map(|rate| rate.rate),
            not_borne_out_per_week_interval: per_week,
            not_borne_out_share: Share::of(not, borne_out + not),
            not_borne_out_per_100_deploys: Rate::of(not, super::summary::number(watched) / 100.0),
            withheld: n_withheld,
            withheld_services: count(self.withheld.len()),
        }
    }

    pub(super) fn deploys(&self) -> DeployCounts {
        let of = |verdict| self.n_watched.get(name(verdict)).copied().unwrap_or(0);
        let delays = Quantiles::of(&self.delays(None));
        DeployCounts {
            watched: self.n_watched.values().sum(),
            healthy: of(WatchVerdict::Healthy),
            regressed: of(WatchVerdict::Regressed),
            unknown: of(WatchVerdict::Unknown),
            alarm_after_seconds_median: delays.map(|delays| delays.p50),
            alarm_after_seconds: delays,
        }
    }

    /// From the start of each watch to its alarm in seconds, ascending; of one tier or of all.
    pub(super) fn delays(&self, tier: Option<Criticality>) -> Vec<u64> {
        let tiers = Criticality::ALL.into_iter();
        let meant = tiers.filter(|other| tier.is_none_or(|tier| tier == *other));
        let mut delays: Vec<u64> = meant.flat_map(|tier| self.delays.of(tier)).copied().collect();
        delays.sort_unstable();
        delays
    }

    pub(super) fn summary(&self) -> DetectionSummary {
        let verdicts = self.blamed.values().map(|deploy| self.verdicts.get(deploy));
        let of = |verdict| count(verdicts.clone().filter(|found| found.copied() == verdict).count());
        let mut leads = self.leads.clone();
        leads.sort_unstable();
        DetectionSummary {
            incidents: count(self.incidents.len()),
            incidents_frozen_before: self.n_frozen_before,
            incidents_without_errors: self.n_without_errors,
            frozen_before_share: Share::of(
                self.n_frozen_before,
                count(self.incidents.len()).saturating_sub(self.n_without_errors),
            ),
            frozen_before_seconds: Quantiles::of(&leads),
            deploys_blamed: count(self.blamed.len()),
            blamed_regressed: of(Some(WatchVerdict::Regressed)),
            blamed_healthy: of(Some(WatchVerdict::Healthy)),
            blamed_unknown: of(Some(WatchVerdict::Unknown)) + of(None),
        }
    }
}

fn name(verdict: WatchVerdict) -> &'static str {
    match verdict {
        WatchVerdict::Healthy => "healthy",
        WatchVerdict::Regressed => "regressed",
        WatchVerdict::Unknown => "unknown",
    }
}
