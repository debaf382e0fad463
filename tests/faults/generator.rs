//! Events by a seed: errors of a hundred services, commits, deploys that sometimes break, incidents, words of people.
//!
//! A record's key says what it is, so that whoever reads the inputs back need not understand them.

use std::{collections::VecDeque, time::Duration};

use holdpoint::model::Timestamp;
use serde_json::{Value, json};

use crate::chance::Chance;

const SERVICES: u32 = 100;
/// Services with a source that reports requests at an interval: a regression of theirs can be told.
const WATCHED: u32 = 12;
/// The history that their baseline comes from, which has to be four hours old: a report of some minutes each, for what
/// is far apart in time is read in steps.
const HISTORY_REPORTS: u32 = 100;
const HISTORY_REPORT_MINUTES: u32 = 3;
/// Batches between two reports of a watched service; with four batches a second, ten seconds.
const REPORT_BATCHES: u64 = 40;
/// Batches for which a bad deploy stays.
const BROKEN_BATCHES: u64 = 600;

/// A record to send.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub topic: &'static str,
    pub partition: u32,
    pub at: Timestamp,
    pub what: What,
    pub is_copy: bool,
    /// Null is one of the ways to be bad.
    pub value: Option<Vec<u8>>,
}

/// What a record is, as its key says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct What {
    /// `bad` where it is no event.
    pub kind: String,
    pub service: String,
    pub id: String,
}

impl What {
    pub(crate) fn key(&self) -> String {
        format!("{} {} {}", self.kind, self.service, self.id)
    }

    pub(crate) fn parse(key: &[u8]) -> Option<Self> {
        let mut parts = std::str::from_utf8(key).ok()?.split(' ').map(str::to_owned);
        Some(Self {
            kind: parts.next()?,
            service: parts.next()?,
            id: parts.next()?,
        })
    }

    pub(crate) fn is_bad(&self) -> bool {
        self.kind == "bad"
    }
}

pub(crate) struct Generator {
    chance: Chance,
    seed: u64,
    n_events: u64,
    n_batches: u64,
    /// Sent again by another partition once so many batches have gone.
    copies: VecDeque<(u64, Sent)>,
    /// Resolved then.
    incidents: VecDeque<(u64, u32, String)>,
    /// The watched service that is broken, until then, by that deploy.
    broken: Option<(u32, u64, String)>,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed ^ 0x5eed),
            seed,
            n_events: 0,
            n_batches: 0,
            copies: VecDeque::new(),
            incidents: VecDeque::new(),
            broken: None,
        }
    }

    /// Hours of the watched services.
    pub(crate) fn history(&mut self, end: Timestamp) -> Vec<Sent> {
        let mut all = Vec::new();
        for ago in (1..=HISTORY_REPORTS).rev().map(|ago| ago * HISTORY_REPORT_MINUTES) {
            let at = end - Duration::from_mins(ago.into());
            for service in 0..WATCHED {
                let errors = (8 + self.chance.below(5)) * HISTORY_REPORT_MINUTES;
                let (requests, interval_ms) = (6_000 * HISTORY_REPORT_MINUTES, 60_000 * HISTORY_REPORT_MINUTES);
                all.push(self.report(service, at, (errors, requests, interval_ms)));
            }
        }
        all
    }

    /// The next events, `n` and what else has its time.
    pub(crate) fn batch(&mut self, at: Timestamp, n: u32) -> Vec<Sent> {
        self.n_batches += 1;
        let mut all = Vec::new();
        for _ in 0..n {
            let event = self.any(at);
            if self.chance.one_in(15) && !event.what.is_bad() {
                let due = self.n_batches + u64::from(self.chance.below(160));
                let mut copy = event.clone();
                copy.partition += 1 + self.chance.below(2);
                copy.is_copy = true;
                self.copies.push_back((due, copy));
            }
            all.push(event);
        }
        let n_batches = self.n_batches;
        let (due, rest) = self.copies.drain(..).partition(|(due, _)| *due <= n_batches);
        self.copies = rest;
        let due: VecDeque<(u64, Sent)> = due;
        all.extend(due.into_iter().map(|(_, copy)| copy));
        if n_batches.is_multiple_of(REPORT_BATCHES) {
            self.watched(at, &mut all);
        }
        while self.incidents.front().is_some_and(|(due, ..)| *due <= n_batches) {
            if let Some((_, service, incident)) = self.incidents.pop_front() {
                all.push(self.incident(service, at, (&incident, "resolved")));
            }
        }
        all
    }

    /// Reports of the watched services, and what breaks or mends one of them.
    fn watched(&mut self, at: Timestamp, all: &mut Vec<Sent>) {
        match self.broken.take() {
            Some((service, until, deploy)) if until <= self.n_batches => {
                all.push(self.deploy(service, at, (&deploy, "rolled_back")));
            }
            Some(broken) => self.broken = Some(broken),
            None if self.chance.one_in(3) => {
                let service = self.chance.below(WATCHED);
                let deploy = format!("d-{}", self.n_events);
                all.push(self.deploy(service, at, (&deploy, "started")));
                self.broken = Some((service, self.n_batches + BROKEN_BATCHES, deploy));
            }
            None => {}
        }
        let broken = self.broken.as_ref().map(|(service, ..)| *service);
        for service in 0..WATCHED {
            let errors = if broken == Some(service) { 25 } else { 1 } + self.chance.below(2);
            all.push(self.report(service, at, (errors, 1_000, 10_000)));
        }
    }

    fn any(&mut self, at: Timestamp) -> Sent {
        // Watched services have reports instead of single errors.
        let service = WATCHED + self.chance.below(SERVICES - WATCHED);
        match self.chance.below(200) {
            0 | 1 => self.bad(at),
            2..=7 => self.commit(service, at),
            8..=10 => {
                let deploy = format!("d-{}", self.n_events);
                self.deploy(service, at, (&deploy, "started"))
            }
            11 => self.review(service, at),
            12 if self.chance.one_in(20) => {
                let incident = format!("inc-{}", self.n_events);
                let due = self.n_batches + 40 + u64::from(self.chance.below(200));
                self.incidents.push_back((due, service, incident.clone()));
                self.incident(service, at, (&incident, "detected"))
            }
            13 if self.chance.one_in(20) => self.word(service, at),
            _ => {
                let event = json!({"count": 1 + self.chance.below(3), "environment": "production"});
                self.event("errors", service, at, event)
            }
        }
    }

    fn report(&mut self, service: u32, at: Timestamp, (errors, requests, interval_ms): (u32, u32, u32)) -> Sent {
        let event =
            json!({"environment": "production", "count": errors, "requests": requests, "interval_ms": interval_ms});
        self.event("errors", service, at, event)
    }

    fn commit(&mut self, service: u32, at: Timestamp) -> Sent {
        let event = json!({"sha": format!("sha-{}-{}", self.seed, self.n_events),
            "change": {"lines_added": self.chance.below(900), "lines_deleted": self.chance.below(90), "files": 3}});
        self.event("commits", service, at, event)
    }

    fn deploy(&mut self, service: u32, at: Timestamp, (deploy, status): (&str, &str)) -> Sent {
        let event = json!({"environment": "production", "deploy_id": deploy, "status": status});
        self.event("deploys", service, at, event)
    }

    fn incident(&mut self, service: u32, at: Timestamp, (incident, status): (&str, &str)) -> Sent {
        let event = json!({"incident_id": incident, "status": status, "severity": 2, "environment": "production"});
        self.event("incidents", service, at, event)
    }

    fn review(&mut self, service: u32, at: Timestamp) -> Sent {
        let event = json!({"sha": format!("sha-{}", self.n_events), "verdict": "approved", "by": "someone"});
        self.event("reviews", service, at, event)
    }

    fn word(&mut self, service: u32, at: Timestamp) -> Sent {
        let effect = if self.chance.one_in(2) { "freeze" } else { "proceed" };
        let until = (at + Duration::from_secs(u64::from(20 + self.chance.below(60)))).to_string();
        let event = json!({"environment": "production", "effect": effect, "until": until, "reason": "trial",
            "by": "someone"});
        self.event("overrides", service, at, event)
    }

    /// An event of a topic's own kind, with what every event has.
    fn event(&mut self, topic: &'static str, service: u32, at: Timestamp, mut event: Value) -> Sent {
        self.n_events += 1;
        let what = What {
            kind: topic.trim_end_matches('s').to_owned(),
            service: format!("s{service}"),
            id: format!("{}-{}", self.seed, self.n_events),
        };
        event["kind"] = json!(what.kind);
        event["id"] = json!(what.id);
        event["time"] = json!(at.to_string());
        event["service"] = json!(what.service);
        Sent {
            topic,
            partition: self.chance.below(60),
            at,
            what,
            is_copy: false,
            value: Some(serde_json::to_vec(&event).expect("JSON")),
        }
    }

    /// What is no event, in one of several ways.
    fn bad(&mut self, at: Timestamp) -> Sent {
        self.n_events += 1;
        let id = format!("{}-{}", self.seed, self.n_events);
        let ahead = at + Duration::from_hours(2);
        let value = match self.chance.below(6) {
            0 => None,
            1 => Some(format!("{{\"id\": \"{id}\", \"service\": ")),
            2 => Some(format!("nonsense {id}")),
            3 => Some(json!({"id": id, "time": at.to_string()}).to_string()),
            4 => Some(json!({"id": id, "time": ahead.to_string(), "service": "s1"}).to_string()),
            _ => Some(json!({"id": id, "time": at.to_string(), "service": "s1", "count": "many"}).to_string()),
        };
        Sent {
            topic: "errors",
            partition: self.chance.below(60),
            at,
            what: What {
                kind: "bad".to_owned(),
                service: "-".to_owned(),
                id,
            },
            is_copy: false,
            value: value.map(String::into_bytes),
        }
    }
}
