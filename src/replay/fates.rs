//! What becomes of freezes by evidence: something else bears them out in time, or nothing does.
//!
//! An incident or a deploy taken back shortly before or after a freeze's beginning speaks for it, whatever deploy it names.
//! What concerns the convicted deploy itself speaks for it for a day: who takes a deploy back in the morning that was
//! convicted in the evening says that it was bad.
//!
//! **Invariant:** memory is bounded by the freezes of some thirty hours, and [`PLACES_MAX`] services with
//! [`DEPLOYS_MAX`] deploys each.

use std::{collections::VecDeque, time::Duration};

use foldhash::HashMap;

use super::{
    capture::Capture,
    detection::{blamed, is_taken_back},
    told::Told,
    trouble::Troubles,
};
use crate::model::{
    Action, ChangeKind, Criticality, Decision, Deploy, EnvironmentId, Event, EventHash, Incident, IncidentStatus,
    ServiceId, Subject, Timestamp, hash_text,
};

/// How near to the beginning of a freeze something must happen to bear it out.
const BORNE_OUT_WITHIN: Duration = Duration::from_hours(2);
/// For how long after its beginning what concerns the convicted deploy itself does; and for how long after its end, if
/// that is later.
const OWN_WITHIN: Duration = Duration::from_hours(24);
const OWN_AFTER_END: Duration = Duration::from_hours(2);
/// How late an event may come.
const LATE_MAX: Duration = Duration::from_hours(2);
/// Services, each in an environment, whose last deploys are remembered: 200 bytes each. Of others no rollback is known to
/// be of the convicted deploy.
const PLACES_MAX: usize = 200_000;
/// Deploys remembered of each: the latest.
const DEPLOYS_MAX: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Fates {
    /// Freezes that may still be borne out.
    waiting: Vec<Waiting>,
    /// What bears out a freeze that is yet to begin.
    troubles: Troubles,
    /// By the hash of service and environment, in the order in which they began.
    deployed: HashMap<u64, VecDeque<Deployed>>,
}

/// A freeze by evidence.
#[derive(Debug)]
struct Waiting {
    at: Timestamp,
    /// When it ends, as last decided.
    until: Timestamp,
    service: ServiceId,
    environment: EnvironmentId,
    tier: Criticality,
    /// The deploy that it is put down to.
    deploy: Option<u64>,
    borne_out: bool,
}

/// What became of a freeze by evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fate {
    pub(super) at: Timestamp,
    pub(super) service: ServiceId,
    pub(super) environment: EnvironmentId,
    pub(super) tier: Criticality,
    pub(super) borne_out: bool,
}

/// A deploy, by the hashes of its id and its version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Deployed {
    deploy: u64,
    version: Option<u64>,
    began: Timestamp,
}

/// What an event says of deploys.
#[derive(Debug, Clone, Copy, Default)]
struct Word {
    /// It is an incident, or a deploy taken back: near a freeze's beginning it speaks for it.
    is_trouble: bool,
    /// The deploy that it names.
    named: Option<u64>,
    /// The one that it is about, which it need not name: a rollback is of the deploy before it.
    about: Option<u64>,
    /// The commit that it names.
    sha: Option<u64>,
}

/// A deploy or a commit of a service, wherever it is.
pub(super) fn hash(service: &str, id: &str) -> u64 {
    EventHash::of(service, "", id).0
}

impl Waiting {
    fn is_of(&self, service: &str, environment: Option<&str>) -> bool {
        self.service.as_str() == service
            && environment.is_none_or(|environment| environment == self.environment.as_str())
    }

    /// Up to when what concerns its own deploy bears it out.
    fn own_until(&self) -> Timestamp {
        (self.at + OWN_WITHIN).max(self.until + OWN_AFTER_END)
    }

    fn is_borne_out_by(&self, word: &Word, time: Timestamp, capture: &Capture) -> bool {
        // One that comes late may be of before the freeze.
        let is_meant = time >= self.at || word.named.is_none() || word.named == self.deploy;
        let is_near = time <= self.at + BORNE_OUT_WITHIN && self.at <= time + BORNE_OUT_WITHIN;
        let is_own = self.deploy.is_some_and(|deploy| {
            word.about == Some(deploy) || word.sha.is_some_and(|sha| capture.has_brought(deploy, sha))
        });
        (word.is_trouble && is_meant && is_near) || (is_own && time >= self.at && time <= self.own_until())
    }

    fn fate(self) -> Fate {
        Fate {
            at: self.at,
            service: self.service,
            environment: self.environment,
            tier: self.tier,
            borne_out: self.borne_out,
        }
    }
}

impl Fates {
    /// An incident was detected, told of again, or resolved; mostly its cause is told when it is resolved.
    pub(super) fn note_incident(&mut self, incident: &Incident<'_>, event: &Event<'_>, capture: &Capture) {
        self.troubles.note_incident(incident, event);
        let cause = incident.caused_by.as_ref();
        let hashed = |id: Option<&str>| id.map(|id| hash(&event.service, id));
        let named = hashed(cause.and_then(|cause| cause.deploy_id.as_deref()));
        let word = Word {
            is_trouble: incident.status == IncidentStatus::Detected,
            named,
            about: named,
            sha: hashed(cause.and_then(|cause| cause.sha.as_deref())),
        };
        self.bear_out(&word, event, event.environment.as_deref(), capture);
    }

    /// A deploy is told of, in the default environment where it names none.
    pub(super) fn note_deploy(&mut self, deploy: &Deploy<'_>, event: &Event<'_>, default: &str, capture: &Capture) {
        let environment = event.environment.as_deref().unwrap_or(default);
        let place = EventHash::of(&event.service, environment, "").0;
        let own = hash(&event.service, &deploy.deploy_id);
        if !is_taken_back(deploy) {
            self.keep(place, own, deploy, event.time);
            return;
        }
        // One that rolls back has an id of its own, which is not that of what it takes back.
        let is_named = deploy.change_kind != ChangeKind::Rollback;
        let deploy_id = is_named.then_some(&*deploy.deploy_id);
        self.troubles.note_taken_back(deploy_id, event);
        let named = is_named.then_some(own);
        let word = Word {
            is_trouble: true,
            named,
            about: named.or_else(|| self.taken_back_by(place, deploy, event.time)),
            sha: None,
        };
        self.bear_out(&word, event, Some(environment), capture);
    }

    /// Remembers a deploy by its first status.
    fn keep(&mut self, place: u64, own: u64, deploy: &Deploy<'_>, began: Timestamp) {
        if self.deployed.len() >= PLACES_MAX && !self.deployed.contains_key(&place) {
            return;
        }
        let version = deploy.version.as_deref().map(hash_text);
        let deploys = self.deployed.entry(place).or_default();
        if let Some(known) = deploys.iter_mut().find(|known| known.deploy == own) {
            known.version = known.version.or(version);
            return;
        }
        if deploys.len() >= DEPLOYS_MAX {
            deploys.pop_front();
        }
        deploys.push_back(Deployed {
            deploy: own,
            version,
            began,
        });
    }

    /// The deploy that a rollback is of: the last one before it, of the version that it replaces where both tell one.
    fn taken_back_by(&self, place: u64, rollback: &Deploy<'_>, time: Timestamp) -> Option<u64> {
        let replaced = rollback.previous_version.as_deref().map(hash_text);
        let is_replaced = |deployed: &&Deployed| {
            let differs = deployed.version.zip(replaced).is_some_and(|(own, other)| own != other);
            deployed.began <= time && !differs
        };
        let deploys = self.deployed.get(&place)?;
        deploys.iter().rev().find(is_replaced).map(|deployed| deployed.deploy)
    }

    /// `environment`: of an event that names none, all.
    fn bear_out(&mut self, word: &Word, event: &Event<'_>, environment: Option<&str>, capture: &Capture) {
        for freeze in &mut self.waiting {
            if freeze.is_of(&event.service, environment) {
                freeze.borne_out |= freeze.is_borne_out_by(word, event.time, capture);
            }
        }
    }

    /// A freeze by evidence begins, of a service of this tier.
    pub(super) fn begin(&mut self, decision: &Decision, tier: Criticality) {
        let Subject::Service { service, environment } = &decision.subject else {
            return;
        };
        let at = decision.decided_at;
        let deploy = blamed(decision).map(|deploy_id| hash(service.as_str(), deploy_id));
        let place = (service.as_str(), environment.as_str());
        self.waiting.push(Waiting {
            at,
            until: decision.valid_until.unwrap_or(at),
            service: service.clone(),
            environment: environment.clone(),
            tier,
            deploy,
            borne_out: self.troubles.bear_out(place, deploy, at, BORNE_OUT_WITHIN),
        });
    }

    /// A decision took the place of another: the last freeze by evidence goes on, for whatever was found, or ends.
    pub(super) fn go_on(&mut self, decision: &Decision) {
        let Subject::Service { service, environment } = &decision.subject else {
            return;
        };
        let mut own = self.waiting.iter_mut().rev();
        let last = own.find(|freeze| freeze.is_of(service.as_str(), Some(environment.as_str())));
        let ground = decision.reasons.first().map_or("", |reason| &reason.code);
        let goes_on = decision.action == Action::Freeze && Told::of(ground).is_none();
        if let Some(freeze) = last.filter(|freeze| freeze.until >= decision.decided_at) {
            let until = decision.valid_until.filter(|_| goes_on);
            freeze.until = until.unwrap_or(decision.decided_at);
        }
    }

    /// Time is `now`: says what became of a freeze that is borne out, or that can no longer be.
    pub(super) fn pass_time(&mut self, now: Timestamp) -> Option<Fate> {
        let is_settled = |freeze: &Waiting| freeze.borne_out || now > freeze.own_until() + LATE_MAX;
        let place = self.waiting.iter().position(is_settled)?;
        Some(self.waiting.remove(place).fate())
    }

    /// The fates of all that is left, one at a time.
    pub(super) fn finish(&mut self) -> Option<Fate> {
        (!self.waiting.is_empty()).then(|| self.waiting.remove(0).fate())
    }
}
