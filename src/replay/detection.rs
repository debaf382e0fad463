//! What history says of freezes and of watched deploys, where nobody labelled them.
//!
//! A freeze by evidence is borne out by an incident or a deploy taken back within two hours of it. One that is not was
//! false, or kept the incident away: the count is an upper bound of false freezes. Deploys that incidents name as their
//! cause are the nearest to labels there is.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use foldhash::HashMap;

use super::{
    holding::{Held, Holding},
    summary::{DeployCounts, DetectionSummary, FreezeCounts, count, number, round},
};
use crate::model::{
    Action, Body, ChangeKind, Decision, DeployStatus, EnvironmentId, Event, EventHash, Incident, IncidentStatus,
    ServiceId, Subject, Timestamp,
};
use crate::score::{ClosedWatch, WatchVerdict};

/// How soon after a freeze something must happen to bear it out.
const BORNE_OUT_WITHIN: Duration = Duration::from_hours(2);
/// Deploys, incidents and alarms remembered, of each so many: 20 MiB. What is beyond is not counted.
const REMEMBERED_MAX: usize = 200_000;
/// The code of a freeze by evidence.
const EVIDENCE: &str = "deploy_regression";

#[derive(Debug, Default)]
pub(super) struct Detection {
    /// Freezes by the code of their reason.
    freezes: BTreeMap<Box<str>, u64>,
    /// Freezes by evidence that may still be borne out.
    waiting: VecDeque<Waiting>,
    n_borne_out: u64,
    n_not_borne_out: u64,
    incidents: BTreeSet<u64>,
    n_frozen_before: u64,
    /// Deploys that incidents name as their cause.
    blamed: BTreeSet<u64>,
    verdicts: HashMap<u64, WatchVerdict>,
    n_watched: BTreeMap<&'static str, u64>,
    /// From the start of each watch to its alarm, in seconds.
    delays: Vec<u64>,
}

#[derive(Debug)]
struct Waiting {
    at: Timestamp,
    service: ServiceId,
    environment: EnvironmentId,
    borne_out: bool,
}

fn hash(service: &str, id: &str) -> u64 {
    EventHash::of(service, "", id).0
}

impl Detection {
    /// An event is about to be stepped. Duplicates change nothing.
    pub(super) fn note(&mut self, event: &Event<'_>, holding: &Holding) {
        match &event.body {
            Body::Incident(incident) => self.note_incident(incident, event, holding),
            Body::Deploy(deploy) => {
                let taken_back = matches!(deploy.status, DeployStatus::RolledBack | DeployStatus::Failed)
                    || deploy.change_kind == ChangeKind::Rollback;
                if taken_back {
                    self.bear_out(event);
                }
            }
            Body::Commit(_) | Body::Error(_) | Body::Review(_) | Body::Service(_) | Body::Override(_) => {}
        }
    }

    fn note_incident(&mut self, incident: &Incident<'_>, event: &Event<'_>, holding: &Holding) {
        if incident.status != IncidentStatus::Detected {
            return;
        }
        self.bear_out(event);
        if let Some(deploy_id) = incident.caused_by.as_ref().and_then(|cause| cause.deploy_id.as_deref())
            && self.blamed.len() < REMEMBERED_MAX
        {
            self.blamed.insert(hash(&event.service, deploy_id));
        }
        if self.incidents.len() < REMEMBERED_MAX && self.incidents.insert(hash(&event.service, &incident.incident_id)) {
            let mut standing = holding.of(&event.service, event.environment.as_deref(), event.time);
            let frozen = standing.any(|held| held.action == Action::Freeze && *held.ground == *EVIDENCE);
            self.n_frozen_before += u64::from(frozen);
        }
    }

    fn bear_out(&mut self, event: &Event<'_>) {
        for freeze in &mut self.waiting {
            let same_place = freeze.service.as_str() == event.service
                && event
                    .environment
                    .as_deref()
                    .is_none_or(|environment| environment == freeze.environment.as_str());
            if same_place && event.time >= freeze.at && event.time <= freeze.at + BORNE_OUT_WITHIN {
                freeze.borne_out = true;
            }
        }
    }

    /// A decision on a service took the place of another.
    pub(super) fn decided(&mut self, decision: &Decision, before: Option<&Held>) {
        let (Action::Freeze, Subject::Service { service, environment }) = (decision.action, &decision.subject) else {
            return;
        };
        let ground = decision.reasons.first().map_or("", |reason| &reason.code);
        let goes_on = before.is_some_and(|before| before.action == Action::Freeze && *before.ground == *ground);
        if goes_on {
            return;
        }
        *self.freezes.entry(ground.into()).or_default() += 1;
        if ground == EVIDENCE {
            self.waiting.push_back(Waiting {
                at: decision.decided_at,
                service: service.clone(),
                environment: environment.clone(),
                borne_out: false,
            });
        }
    }

    pub(super) fn closed(&mut self, watch: &ClosedWatch) {
        *self.n_watched.entry(name(watch.verdict)).or_default() += 1;
        if let Some(alarmed_at) = watch.alarmed_at
            && self.delays.len() < REMEMBERED_MAX
        {
            self.delays.push(alarmed_at.since(watch.started_at).as_secs());
        }
        let deploy = hash(watch.service.as_str(), &watch.deploy_id);
        if self.verdicts.len() < REMEMBERED_MAX {
            let known = self.verdicts.entry(deploy).or_insert(watch.verdict);
            // In several environments: found in one is found.
            if watch.verdict == WatchVerdict::Regressed || *known == WatchVerdict::Unknown {
                *known = watch.verdict;
            }
        }
    }

    /// Time is `now`: what can no longer be borne out is counted. An event may come some minutes late.
    pub(super) fn pass_time(&mut self, now: Timestamp) {
        while let Some(freeze) = self.waiting.front()
            && now.since(freeze.at) > BORNE_OUT_WITHIN * 2
        {
            self.count_first();
        }
    }

    fn count_first(&mut self) {
        if let Some(freeze) = self.waiting.pop_front() {
            if freeze.borne_out {
                self.n_borne_out += 1;
            } else {
                self.n_not_borne_out += 1;
            }
        }
    }

    pub(super) fn finish(&mut self) {
        while !self.waiting.is_empty() {
            self.count_first();
        }
    }

    /// `recorded`: from the first event to the last.
    pub(super) fn freezes(&self, n_withheld: u64, recorded: Duration) -> FreezeCounts {
        let weeks = recorded.as_secs_f64() / 604_800.0;
        FreezeCounts {
            by_ground: self.freezes.clone(),
            evidence_borne_out: self.n_borne_out,
            evidence_not_borne_out: self.n_not_borne_out,
            // A day says nothing of weeks.
            not_borne_out_per_week: (weeks >= 1.0 / 7.0).then(|| round(number(self.n_not_borne_out) / weeks, 1e3)),
            withheld: n_withheld,
        }
    }

    pub(super) fn deploys(&self) -> DeployCounts {
        let of = |verdict| self.n_watched.get(name(verdict)).copied().unwrap_or(0);
        let mut delays = self.delays.clone();
        delays.sort_unstable();
        DeployCounts {
            watched: self.n_watched.values().sum(),
            healthy: of(WatchVerdict::Healthy),
            regressed: of(WatchVerdict::Regressed),
            unknown: of(WatchVerdict::Unknown),
            alarm_after_seconds_median: delays.get(delays.len() / 2).copied(),
        }
    }

    pub(super) fn summary(&self) -> DetectionSummary {
        let verdicts = self.blamed.iter().map(|deploy| self.verdicts.get(deploy));
        let of = |verdict| count(verdicts.clone().filter(|found| found.copied() == verdict).count());
        DetectionSummary {
            incidents: count(self.incidents.len()),
            incidents_frozen_before: self.n_frozen_before,
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
