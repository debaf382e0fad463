//! What happened around each freeze, for the report's timelines.
//!
//! Of every service in every environment the errors of the last hours are kept by the minute, and the last deploys,
//! incidents and words of people. When a freeze begins a timeline is opened; some time after its end what is kept is
//! copied into it.
//!
//! **Invariant:** memory is bounded: [`PLACES_MAX`] of 11 KiB, [`KEPT_MAX`] timelines of 16 KiB. Of the eleven the ring of
//! minutes takes 1.5, and 32 marks the rest where every id has the 256 bytes that one may have; where ids are of 36 bytes
//! all of it is 4 KiB.

mod ring;
mod timeline;

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, time::Duration};

use foldhash::{HashMap, HashMapExt};

use self::ring::Ring;
pub(super) use self::timeline::{Mark, MarkKind, Timeline};
use super::{
    detection::{EVIDENCE, begins, blamed, is_taken_back},
    fates::Fate,
    holding::Held,
};
use crate::model::{
    Action, Body, Criticality, Decision, DeployStatus, Effect, Event, IncidentStatus, Subject, Timestamp,
};

/// Services in environments whose errors are kept: 80 MiB with ids of 36 bytes, 220 MiB at most. The freezes of others have
/// timelines without errors.
const PLACES_MAX: usize = 20_000;
/// Timelines kept, some of which the report draws, and lists the others.
const KEPT_MAX: usize = 1_024;
/// Of those, the ones by windows and people's words, at most: a window may close all services at once, and others would
/// find no place until it is over.
const TOLD_MAX: usize = 40;
/// Marks kept of a place.
const MARKS_MAX: usize = 32;
/// How much is shown before a freeze, at least and at most; as much before the deploy that it is put down to; and after
/// its end. A freeze of four hours still has its minutes kept.
const BEFORE: Duration = Duration::from_hours(1);
const BEFORE_MAX: Duration = Duration::from_mins(150);
const BEFORE_DEPLOY: Duration = Duration::from_mins(30);
pub(super) const AFTER: Duration = Duration::from_mins(45);

#[derive(Debug)]
pub(super) struct Chronicle {
    /// By service; most have one environment.
    places: HashMap<Box<str>, Vec<Place>>,
    n_places: usize,
    timelines: Vec<Timeline>,
    /// When the next of them is to be filled: errors are not kept for longer.
    due_at: Timestamp,
    n_freezes: u64,
}

#[derive(Debug)]
struct Place {
    environment: Box<str>,
    errors: Ring,
    marks: VecDeque<Mark>,
    /// Of the freeze that goes on, or whose end is not long ago: where its timeline is.
    open: Option<usize>,
}

impl Default for Chronicle {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            n_places: 0,
            timelines: Vec::new(),
            due_at: Timestamp::NEVER,
            n_freezes: 0,
        }
    }
}

impl Chronicle {
    /// An event is about to be stepped.
    pub(super) fn note(&mut self, event: &Event<'_>, default_environment: &str) {
        if event.time >= self.due_at {
            self.fill_due(event.time);
        }
        let service = &*event.service;
        match &event.body {
            Body::Error(count) => {
                let environment = event.environment.as_deref().unwrap_or(default_environment);
                if let Some(place) = self.place(service, environment) {
                    place.errors.add(event.time, count.errors, count.interval_ms);
                }
            }
            Body::Deploy(deploy) => {
                let kind = match deploy.status {
                    _ if is_taken_back(deploy) => MarkKind::TakenBack,
                    DeployStatus::Started | DeployStatus::Progressing | DeployStatus::Succeeded => MarkKind::Deploy,
                    DeployStatus::Failed | DeployStatus::RolledBack => MarkKind::TakenBack,
                };
                self.mark(event, default_environment, kind, &deploy.deploy_id);
            }
            Body::Incident(incident) => {
                let kind = match incident.status {
                    IncidentStatus::Detected => MarkKind::Incident,
                    IncidentStatus::Resolved => MarkKind::Resolved,
                };
                self.mark(event, default_environment, kind, &incident.incident_id);
            }
            Body::Override(word) => {
                let effect = match word.effect {
                    Effect::Proceed => "a person lets it proceed",
                    Effect::Freeze => "a person freezes it",
                };
                self.mark(event, default_environment, MarkKind::Word, effect);
            }
            Body::Commit(_) | Body::Review(_) | Body::Service(_) => {}
        }
    }

    /// Without an environment a deploy is of the default one, and all else about all that are known.
    fn mark(&mut self, event: &Event<'_>, default_environment: &str, kind: MarkKind, label: &str) {
        let is_deploy = matches!(&event.body, Body::Deploy(_));
        let named = event.environment.as_deref();
        let environment = named.or(is_deploy.then_some(default_environment));
        if let Some(environment) = environment {
            self.place(&event.service, environment);
        } else if !self.places.contains_key(&*event.service) {
            self.place(&event.service, default_environment);
        }
        let places = self.places.get_mut(&*event.service).into_iter().flatten();
        let meant = places.filter(|place| environment.is_none_or(|environment| environment == &*place.environment));
        for place in meant {
            // A deploy speaks several times, and any event may come twice: the first word is the mark.
            let is_known = place
                .marks
                .iter()
                .any(|mark| mark.kind == kind && *mark.label == *label);
            if is_known {
                continue;
            }
            if place.marks.len() >= MARKS_MAX {
                place.marks.pop_front();
            }
            place.marks.push_back(Mark {
                at: event.time,
                kind,
                label: label.into(),
            });
        }
    }

    fn place(&mut self, service: &str, environment: &str) -> Option<&mut Place> {
        if !self.places.contains_key(service) {
            if self.n_places >= PLACES_MAX {
                return None;
            }
            self.places.insert(service.into(), Vec::new());
        }
        let places = self.places.get_mut(service)?;
        let found = places.iter().position(|place| *place.environment == *environment);
        if let Some(found) = found {
            return places.get_mut(found);
        }
        if self.n_places >= PLACES_MAX {
            return None;
        }
        self.n_places += 1;
        places.push(Place {
            environment: environment.into(),
            errors: Ring::default(),
            marks: VecDeque::new(),
            open: None,
        });
        places.last_mut()
    }

    /// A decision on a service of this tier took the place of another.
    pub(super) fn decided(&mut self, decision: &Decision, tier: Criticality, before: Option<&Held>) {
        let Subject::Service { service, environment } = &decision.subject else {
            return;
        };
        if decision.decided_at >= self.due_at {
            self.fill_due(decision.decided_at);
        }
        let is_frozen = before.is_some_and(|before| before.action == Action::Freeze);
        // Most decisions are about no freeze.
        if !is_frozen && decision.action != Action::Freeze {
            return;
        }
        let place = (service.as_str(), environment.as_str());
        let ground = decision.reasons.first().map_or("", |reason| &reason.code);
        let is_same = is_frozen && before.is_some_and(|before| *before.ground == *ground);
        let goes_on = is_same && decision.action == Action::Freeze;
        if is_frozen && !goes_on {
            self.end(decision, place);
        }
        if begins(decision, before) {
            self.begin(decision, tier);
        } else if goes_on {
            let open = self.open(place);
            if let Some(timeline) = open.and_then(|open| self.timelines.get_mut(open)) {
                timeline.renew(decision);
            }
        } else if decision.action == Action::Freeze {
            let since = before.map_or(decision.decided_at, |before| before.began);
            self.resume(decision, place, since);
        }
        self.note_due();
    }

    fn note_due(&mut self) {
        let due = self.timelines.iter().filter_map(Timeline::due_at);
        self.due_at = due.min().unwrap_or(Timestamp::NEVER);
    }

    /// This decision takes the place of the freeze that stands.
    fn end(&mut self, decision: &Decision, (service, environment): (&str, &str)) {
        let mut places = self.places.get(service).into_iter().flatten();
        let Some(place) = places.find(|place| *place.environment == *environment) else {
            return;
        };
        if let Some(timeline) = place.open.and_then(|open| self.timelines.get_mut(open)) {
            timeline.end(decision, &place.marks);
        }
    }

    /// What stood for a freeze by evidence is over, and the freeze goes on; it has been frozen without a break `since` then.
    fn resume(&mut self, decision: &Decision, (service, environment): (&str, &str), since: Timestamp) {
        if let Some(open) = self.open((service, environment)) {
            self.fill(open);
        }
        let own = self.timelines.iter().enumerate().filter(|(_, timeline)| {
            *timeline.ground == *EVIDENCE
                && timeline.began >= since
                && timeline.service.as_str() == service
                && timeline.environment.as_str() == environment
        });
        let deploy_id = blamed(decision).unwrap_or("");
        let latest = own.max_by_key(|(_, timeline)| (timeline.is_put_down_to(deploy_id), timeline.began));
        let Some((slot, _)) = latest else {
            return;
        };
        self.timelines[slot].resume(decision);
        if !self.timelines[slot].is_filled()
            && let Some(place) = self.place(service, environment)
        {
            place.open = Some(slot);
        }
    }

    fn open(&self, (service, environment): (&str, &str)) -> Option<usize> {
        let places = self.places.get(service)?;
        let place = places.iter().find(|place| *place.environment == *environment)?;
        place.open
    }

    fn begin(&mut self, decision: &Decision, tier: Criticality) {
        let Some(mut timeline) = Timeline::begin(decision, tier, BEFORE) else {
            return;
        };
        self.n_freezes += 1;
        let (service, environment) = (timeline.service.clone(), timeline.environment.clone());
        if let Some(place) = self.place(service.as_str(), environment.as_str()) {
            let deploys = place.marks.iter().filter(|mark| mark.kind == MarkKind::Deploy);
            let blamed = deploys.filter(|mark| timeline.is_put_down_to(&mark.label));
            if let Some(deployed_at) = blamed.map(|mark| mark.at).min() {
                let from = (deployed_at - BEFORE_DEPLOY).max(timeline.began - BEFORE_MAX);
                timeline.from = timeline.from.min(from);
            }
        }
        if let Some(open) = self.open((service.as_str(), environment.as_str())) {
            self.fill(open);
        }
        if timeline.is_told() && self.timelines.iter().filter(|kept| kept.is_told()).count() >= TOLD_MAX {
            return;
        }
        let slot = if self.timelines.len() < KEPT_MAX {
            self.timelines.push(timeline);
            self.timelines.len() - 1
        } else {
            let settled = (0..self.timelines.len()).filter(|slot| self.timelines[*slot].is_settled());
            // The one that would be drawn last makes place. Of one that may yet be found false nobody knows its rank: with
            // none but those, none does.
            let Some(last) = settled.max_by_key(|slot| self.timelines[*slot].rank()) else {
                return;
            };
            self.timelines[last] = timeline;
            last
        };
        if let Some(place) = self.place(service.as_str(), environment.as_str()) {
            place.open = Some(slot);
        }
    }

    /// Fills the timelines of freezes that ended long enough ago, or have lasted for as long as errors are kept.
    fn fill_due(&mut self, now: Timestamp) {
        for slot in 0..self.timelines.len() {
            if self.timelines[slot].due_at().is_some_and(|due_at| now >= due_at) {
                self.fill(slot);
            }
        }
        self.note_due();
    }

    /// Copies what is kept of its place into a timeline.
    fn fill(&mut self, slot: usize) {
        let Some(timeline) = self.timelines.get_mut(slot) else {
            return;
        };
        let places = self.places.get_mut(timeline.service.as_str()).into_iter().flatten();
        let mut places = places.filter(|place| *place.environment == *timeline.environment.as_str());
        if let Some(place) = places.next() {
            timeline.fill(&place.errors, &place.marks);
            if place.open == Some(slot) {
                place.open = None;
            }
        } else {
            timeline.fill(&Ring::default(), &VecDeque::new());
        }
    }

    /// What became of a freeze by evidence.
    pub(super) fn judge(&mut self, fate: &Fate) {
        let mut timelines = self.timelines.iter_mut();
        let found = timelines.find(|timeline| {
            timeline.began == fate.at
                && timeline.service == fate.service
                && timeline.environment == fate.environment
                && *timeline.ground == *EVIDENCE
        });
        if let Some(timeline) = found {
            timeline.borne_out = Some(fate.borne_out);
        }
    }

    pub(super) fn finish(&mut self) {
        for slot in 0..self.timelines.len() {
            if !self.timelines[slot].is_filled() {
                self.fill(slot);
            }
        }
    }

    /// How many freezes there were.
    pub(super) fn n_freezes(&self) -> u64 {
        self.n_freezes
    }

    /// Of those kept the ones that are meant, what is to be looked at first.
    pub(super) fn ranked(&self, is_meant: impl Fn(&Timeline) -> bool) -> Vec<&Timeline> {
        let mut timelines: Vec<&Timeline> = self.timelines.iter().filter(|timeline| is_meant(timeline)).collect();
        timelines.sort_by_key(|timeline| timeline.rank());
        timelines
    }
}
