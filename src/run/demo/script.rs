//! The scenario as records on the input topics: what producers would have sent, and when.
//!
//! Producers agree on nothing: keys and partitions differ by topic and by reporter, some records come twice, and
//! some are no events at all.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    chance::Chance,
    scenario::{Commit, Deploy, MINUTE, Scenario},
};
use crate::{
    config::Topics,
    model::{Kind, PartitionIndex, Timestamp},
    stream::Write,
};

/// Every so many records one comes twice, this much later.
const TWICE_EVERY: usize = 173;
const AGAIN_AFTER: std::time::Duration = std::time::Duration::from_secs(20);
/// Between two rounds of records that are no events.
const POISON_EVERY: std::time::Duration = std::time::Duration::from_mins(16);

/// Records that are no events, each for a reason of its own.
const POISON: [(Kind, Option<&str>); 11] = [
    (Kind::Error, Some(r#"{"kind":"error","id":"#)),
    (Kind::Error, Some(r#"{"id":"x","time":"2026-03-10T14:00:00Z"}"#)),
    (
        Kind::Error,
        Some(r#"{"id":"x","time":"2026-03-10T14:00:00Z","service":"cart","count":-3}"#),
    ),
    (
        Kind::Error,
        Some(r#"{"id":"x","id":"y","time":"2026-03-10T14:00:00Z","service":"cart"}"#),
    ),
    (
        Kind::Error,
        Some(r#"{"id":"x","time":"2099-01-01T00:00:00Z","service":"cart"}"#),
    ),
    (Kind::Error, Some("[1, 2, 3]")),
    (Kind::Error, Some("")),
    (
        Kind::Deploy,
        Some(r#"{"id":"x","time":"2026-03-10T14:00:00Z","service":"cart","deploy_id":"d-0","status":"finished"}"#),
    ),
    (Kind::Commit, None),
    (Kind::Commit, Some(r#"{"kind":"poem","id":"x"}"#)),
    (
        Kind::Incident,
        Some(r#"{"id":"x","time":"yesterday","service":"cart","incident_id":"i","status":"detected"}"#),
    ),
];

/// What a record is meant to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    Event(Kind),
    Duplicate,
    Poison,
}

/// A record and what it is meant to become; it is sent at its timestamp.
#[derive(Debug, Clone)]
pub(super) struct Planned {
    pub(super) write: Write,
    pub(super) meant: Meant,
    /// Of a commit.
    pub(super) sha: Option<Box<str>>,
}

/// All records, in the order in which they are sent.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) records: Vec<Planned>,
    /// Errors by service and by minute since the beginning.
    pub(super) errors: Vec<Vec<u32>>,
}

/// How many partitions the input topic of a kind has.
pub(super) fn n_partitions(kind: Kind) -> i32 {
    match kind {
        Kind::Error => 6,
        Kind::Deploy => 3,
        Kind::Commit => 2,
        Kind::Incident | Kind::Review | Kind::Service | Kind::Override => 1,
    }
}

impl Script {
    pub(super) fn new(scenario: &Scenario, topics: &Topics) -> Self {
        let mut writer = Writer {
            scenario,
            topics: topics
                .consumed()
                .map(|(kind, topic)| (kind, Arc::from(topic)))
                .collect(),
            records: Vec::new(),
            n: 0,
        };
        writer.catalog();
        let errors = writer.telemetry();
        for commit in &scenario.commits {
            writer.commit(commit);
        }
        for deploy in &scenario.deploys {
            writer.deploy(deploy);
        }
        writer.incidents();
        writer.word();
        writer.poison();
        writer.duplicates();
        let mut records = writer.records;
        records.sort_by_key(|planned| planned.write.timestamp);
        Self { records, errors }
    }

    /// How many records are meant to become what `meant` says.
    pub(super) fn count(&self, meant: impl Fn(Meant) -> bool) -> u64 {
        let n = self.records.iter().filter(|planned| meant(planned.meant)).count();
        u64::try_from(n).unwrap_or(u64::MAX)
    }
}

struct Writer<'a> {
    scenario: &'a Scenario,
    topics: Vec<(Kind, Arc<str>)>,
    records: Vec<Planned>,
    /// Numbers the events: their ids.
    n: u64,
}

impl Writer<'_> {
    /// Puts an event of a service on the topic of its kind; the number beside its name picks the partition.
    fn put(&mut self, kind: Kind, at: Timestamp, (service, on): (&str, usize), mut event: Value) {
        self.n += 1;
        if let Some(event) = event.as_object_mut() {
            event.insert("id".to_owned(), json!(format!("{}-{}", kind.name(), self.n)));
            event.insert("time".to_owned(), json!(at.to_string()));
            event.insert("service".to_owned(), json!(service));
        }
        let sha = (kind == Kind::Commit)
            .then(|| event.get("sha").and_then(Value::as_str).map(Into::into))
            .flatten();
        let value = Some(event.to_string().into_bytes());
        let write = self.write(kind, at, (service, on), value);
        self.records.push(Planned {
            write,
            meant: Meant::Event(kind),
            sha,
        });
    }

    fn write(&self, kind: Kind, at: Timestamp, (service, on): (&str, usize), value: Option<Vec<u8>>) -> Write {
        let topic = self.topics.iter().find(|(known, _)| *known == kind);
        let (_, topic) = topic.expect("the settings name a topic for every kind");
        let partition = i32::try_from(on).unwrap_or(0) % n_partitions(kind);
        Write {
            topic: Arc::clone(topic),
            partition: PartitionIndex(partition),
            timestamp: at,
            key: Some(service.as_bytes().to_vec()),
            value,
            headers: Vec::new(),
        }
    }

    fn catalog(&mut self) {
        let (begins, _) = Scenario::span();
        for member in &self.scenario.fleet {
            let event = json!({ "criticality": member.criticality });
            self.put(Kind::Service, begins, (member.name, 0), event);
        }
    }

    /// Minute by minute, what every service reports.
    fn telemetry(&mut self) -> Vec<Vec<u32>> {
        let scenario = self.scenario;
        let (begins, ends) = Scenario::span();
        let mut chance = Chance::new(scenario.seed ^ 0x7e1e);
        let mut all = Vec::with_capacity(scenario.fleet.len());
        for (service, member) in scenario.fleet.iter().enumerate() {
            let mut errors = Vec::new();
            let mut at = begins + std::time::Duration::from_secs(member.second);
            while at < ends {
                let minute = member.draw(at, scenario.times(service, at), &mut chance);
                errors.push(minute.errors.iter().sum());
                let fails = scenario.outage.services.contains(&service)
                    && (scenario.outage.from..scenario.outage.until).contains(&at);
                for (reporter, count) in minute.errors.into_iter().enumerate() {
                    let mut event = json!({ "count": count, "class": "http_5xx" });
                    if member.is_sparse() {
                        if count == 0 {
                            continue;
                        }
                    } else {
                        event["interval_ms"] = json!(60_000);
                        event["environment"] = json!("production");
                    }
                    if let Some(requests) = minute.requests {
                        event["requests"] = json!(requests);
                    }
                    if fails {
                        event["upstream"] = json!(scenario.outage.upstream);
                    }
                    self.put(Kind::Error, at, (member.name, service + 5 * reporter), event);
                }
                at = at + MINUTE;
            }
            all.push(errors);
        }
        all
    }

    fn commit(&mut self, commit: &Commit) {
        let name = self.scenario.name(commit.service);
        let event = json!({
            "kind": "commit",
            "sha": commit.sha,
            "author": { "id": format!("{}-{}", commit.author_level, commit.service), "level": commit.author_level },
            "ai": { "assistance": commit.ai },
            "change": { "lines_added": commit.lines_added, "lines_deleted": commit.lines_added / 3, "files": commit.files },
        });
        self.put(Kind::Commit, commit.at, (name, commit.service), event);
        if let Some(at) = commit.approved_at {
            let by = format!("senior-of-{}", commit.files % 3);
            let event = json!({ "sha": commit.sha, "verdict": "approved", "by": by, "level": "senior" });
            self.put(Kind::Review, at, (name, 0), event);
        }
    }

    fn deploy(&mut self, deploy: &Deploy) {
        let name = self.scenario.name(deploy.service);
        let n_stages = deploy.stages.len();
        for (i, (at, exposure)) in deploy.stages.iter().enumerate() {
            let status = match i {
                0 => "started",
                _ if i + 1 == n_stages => "succeeded",
                _ => "progressing",
            };
            let event = json!({
                "environment": "production", "deploy_id": deploy.id, "status": status,
                "exposure": exposure, "commits": deploy.shas,
            });
            self.put(Kind::Deploy, *at, (name, deploy.service), event);
        }
        let Some(back) = deploy.rolled_back_at else { return };
        let event = json!({ "environment": "production", "deploy_id": deploy.id, "status": "rolled_back" });
        self.put(Kind::Deploy, back, (name, deploy.service), event);
        let event = json!({
            "environment": "production", "deploy_id": format!("{}-back", deploy.id),
            "status": "succeeded", "change_kind": "rollback",
        });
        self.put(Kind::Deploy, back, (name, deploy.service), event);
    }

    fn incidents(&mut self) {
        let (outage, incident) = (&self.scenario.outage, &self.scenario.incident);
        let severe = [(incident.service, incident.from, incident.until, "i-1", 1)];
        let shared = outage
            .services
            .iter()
            .map(|service| (*service, outage.from, outage.until, "i-2", 3));
        for (service, from, until, id, severity) in severe.into_iter().chain(shared) {
            for (at, status) in [(from, "detected"), (until, "resolved")] {
                let event = json!({
                    "environment": "production", "incident_id": id, "status": status, "severity": severity,
                });
                self.put(Kind::Incident, at, (self.scenario.name(service), 0), event);
            }
        }
    }

    fn word(&mut self) {
        let word = &self.scenario.word;
        let name = self.scenario.name(self.scenario.deploys[word.deploy].service);
        let event = json!({
            "environment": "production", "effect": "proceed", "until": word.until.to_string(),
            "reason": "the fix itself has to go out", "by": "on-call",
        });
        self.put(Kind::Override, word.at, (name, 0), event);
    }

    fn poison(&mut self) {
        let (_, ends) = Scenario::span();
        let mut at = super::scenario::LIVE + MINUTE;
        while at + POISON_EVERY < ends {
            for (i, (kind, text)) in POISON.into_iter().enumerate() {
                let value = text.map(|text| text.as_bytes().to_vec());
                let write = self.write(kind, at, ("nobody", i), value);
                self.records.push(Planned {
                    write,
                    meant: Meant::Poison,
                    sha: None,
                });
                at = at + MINUTE;
            }
            at = at + POISON_EVERY;
        }
    }

    /// Some records come twice, as a producer sends them that heard no answer.
    fn duplicates(&mut self) {
        let mut again: Vec<Planned> = self
            .records
            .iter()
            .filter(|planned| matches!(planned.meant, Meant::Event(_)))
            .step_by(TWICE_EVERY)
            .cloned()
            .collect();
        for planned in &mut again {
            planned.write.timestamp = planned.write.timestamp + AGAIN_AFTER;
            planned.meant = Meant::Duplicate;
            planned.sha = None;
        }
        self.records.append(&mut again);
    }
}
