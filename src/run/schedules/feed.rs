//! What happens in a schedule: events of a few services, some twice, some bad; or hours of them, to be caught up.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::site::{INPUTS, START};
use crate::{
    model::{Kind, PartitionIndex, Timestamp},
    run::demo::chance::Chance,
    stream::Write,
};

const SERVICES: u64 = 6;
const EVENTS: u32 = 90;
/// Longer than any fault may hold it up: one that comes when it is over is no freeze.
pub(super) const WORD_LASTS: Duration = Duration::from_mins(1);
/// How long [`Feed::of_hours`] lasts.
const HOURS_LAST_MINUTES: u32 = 180;
pub(super) const HOURS_LAST: Duration = Duration::from_hours(3);
/// How long the feed lasts.
pub(super) const LASTS: Duration = Duration::from_secs(15);

/// Records in the order of their times, and what is to come of them.
#[derive(Default)]
pub(super) struct Feed {
    pub(super) records: Vec<Write>,
    /// Unique events, by service and kind.
    pub(super) expected: BTreeMap<String, BTreeMap<Kind, u64>>,
    pub(super) n_valid: u64,
    pub(super) n_rejected: usize,
    /// The unique valid events as lines, by topic.
    pub(super) lines: BTreeMap<&'static str, String>,
}

impl Feed {
    /// The feed of a seed.
    pub(super) fn of(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0xfeed);
        let mut feed = Self::default();
        for i in 0..EVENTS {
            let at = START + LASTS / EVENTS * i;
            let service = format!("s{}", chance.below(SERVICES));
            let (kind, body) = match i % 15 {
                0 | 5 => (Kind::Commit, format!(r#""sha":"c{i}""#)),
                3 => (
                    Kind::Deploy,
                    format!(r#""environment":"production","deploy_id":"d{i}","status":"succeeded""#),
                ),
                7 => (Kind::Override, word(i, at)),
                11 => (Kind::Error, r#""environment":7"#.to_owned()),
                _ => (Kind::Error, r#""environment":"production""#.to_owned()),
            };
            let id = format!("e{i}");
            if i % 15 == 11 {
                feed.add(
                    kind,
                    at,
                    &format!(r#"{{"kind":"error","id":"{id}",{body}}}"#),
                    &mut chance,
                );
                feed.n_rejected += 1;
            } else {
                feed.note(kind, at, (&id, &service, &body), &mut chance);
            }
        }
        feed
    }

    /// Three hours of four services that report each minute: two of them break with a deploy, one is held by a person
    /// until an hour before the end.
    pub(super) fn of_hours(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0xfeed);
        let mut feed = Self::default();
        for minute in 0..HOURS_LAST_MINUTES {
            let at = START + Duration::from_mins(u64::from(minute));
            for service in 0..4_u32 {
                let name = format!("s{service}");
                let is_broken = service < 2 && minute >= 100 + 30 * service;
                let errors = chance.below(5) + if is_broken { 60 } else { 8 };
                let report =
                    format!(r#""environment":"production","count":{errors},"requests":6000,"interval_ms":60000"#);
                feed.note(Kind::Error, at, (&format!("e{minute}"), &name, &report), &mut chance);
                if minute == 100 + 30 * service {
                    let deploy = format!(r#""environment":"production","deploy_id":"d{service}","status":"started""#);
                    feed.note(Kind::Deploy, at, ("d", &name, &deploy), &mut chance);
                    let commit = format!(r#""sha":"c{service}""#);
                    feed.note(Kind::Commit, at, ("c", &name, &commit), &mut chance);
                }
            }
            if minute == 60 {
                let until = at + Duration::from_mins(u64::from(HOURS_LAST_MINUTES) - 120);
                let word = format!(
                    r#""environment":"production","effect":"freeze","reason":"held","by":"sre","until":"{until}""#
                );
                feed.note(Kind::Override, at, ("w", "s3", &word), &mut chance);
            }
        }
        feed
    }

    /// Notes an event of this id, service and body, and writes it once or twice.
    fn note(&mut self, kind: Kind, at: Timestamp, (id, service, body): (&str, &str, &str), chance: &mut Chance) {
        let json = format!(
            r#"{{"kind":"{}","id":"{id}","time":"{at}","service":"{service}",{body}}}"#,
            kind.name()
        );
        let n_copies = 1 + u64::from(chance.below(8) == 0);
        for _ in 0..n_copies {
            self.add(kind, at, &json, chance);
        }
        self.n_valid += n_copies;
        *self
            .expected
            .entry(service.to_owned())
            .or_default()
            .entry(kind)
            .or_default() += 1;
        let lines = self.lines.entry(topic(kind).0).or_default();
        lines.push_str(&json);
        lines.push('\n');
    }

    fn add(&mut self, kind: Kind, at: Timestamp, json: &str, chance: &mut Chance) {
        let (topic, n_partitions) = topic(kind);
        let partition = chance.below(u64::from(n_partitions));
        self.records.push(Write {
            topic: Arc::from(topic),
            partition: PartitionIndex(i32::try_from(partition).unwrap_or(0)),
            timestamp: at,
            key: None,
            value: Some(json.as_bytes().to_vec()),
            headers: Vec::new(),
        });
    }
}

/// A freeze by a person that ends within the schedule, or its end before.
fn word(i: u32, at: Timestamp) -> String {
    let until = at + WORD_LASTS;
    format!(r#""environment":"production","effect":"freeze","reason":"schedule {i}","by":"sre","until":"{until}""#)
}

fn topic(kind: Kind) -> (&'static str, u32) {
    let found = INPUTS.iter().find(|(of, _, _)| *of == kind).expect("an input topic");
    (found.1, found.2)
}
