//! What happens in a schedule: events of a few services, some twice, some bad; or hours of them, to be caught up; or a
//! service that breaks, and those that call it suffer.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::site::{INPUTS, START};
use crate::{
    model::{Kind, PartitionIndex, Timestamp},
    run::demo::chance::Chance,
    stream::Write,
};

const MINUTE: Duration = Duration::from_mins(1);
const SERVICES: u64 = 6;
const EVENTS: u32 = 90;
/// Longer than any fault may hold it up: one that comes when it is over is no freeze.
const WORD_LASTS: Duration = Duration::from_mins(1);
/// How long [`Feed::of_hours`] lasts.
const HOURS_LAST_MINUTES: u32 = 180;
pub(super) const HOURS_LAST: Duration = Duration::from_hours(3);
/// How long the feed of [`Feed::of`] lasts.
const LASTS: Duration = Duration::from_secs(15);

/// A younger baseline than is usual, so that trouble need not wait for hours of history; and one step of it counts for more,
/// so that all who rise are convicted a minute before the end at the latest.
pub(super) const POLICY: &str = "[evidence]\nbaseline_age = \"1h\"\nbaseline_steps = 10\nspike_judged = 12\n";
/// Minutes of history before the first instant of a schedule with trouble, and how long it goes on after that.
const HISTORY_MINUTES: u32 = 80;
const TROUBLE_MINUTES: u32 = 5;
/// A second before those that rise are convicted and ask each other, and before they ask again.
pub(super) const ASKED_AFTER: [Duration; 2] = [Duration::from_secs(109), Duration::from_secs(169)];
/// Who calls whom, as far as it is told: the last suffers over two hops. They are on different partitions of the log, and
/// on the same.
const CALLS: [(&str, &str); 2] = [("s2", "s0"), ("s1", "s2")];

/// Records in the order of their times, and what is to come of them.
#[derive(Default)]
pub(super) struct Feed {
    pub(super) records: Vec<Write>,
    /// How long after the first instant the last of them comes.
    pub(super) last: Duration,
    /// How long after it they are all over, and what they ask for.
    pub(super) lasts: Duration,
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
        let mut feed = Self {
            last: LASTS,
            lasts: LASTS + WORD_LASTS,
            ..Self::default()
        };
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
                13 => (Kind::Service, r#""depends_on":["s0","s5"]"#.to_owned()),
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

    /// Three hours of four services that report each minute: two of them break with a deploy, one that calls the first of
    /// them suffers from it, one is held by a person until an hour before the end.
    pub(super) fn of_hours(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0xfeed);
        let mut feed = Self::default();
        feed.note(Kind::Service, START, ("s", "s2", r#""depends_on":["s0"]"#), &mut chance);
        // When each deploys, and when its errors rise; the last does neither.
        let parts = [(100, 100), (130, 130), (80, 100), (u32::MAX, u32::MAX)];
        for minute in 0..HOURS_LAST_MINUTES {
            let at = START + Duration::from_mins(u64::from(minute));
            for (service, (deploys_at, rises_at)) in (0_u32..).zip(parts) {
                let name = format!("s{service}");
                let errors = chance.below(5) + if minute >= rises_at { 60 } else { 8 };
                feed.note(
                    Kind::Error,
                    at,
                    (&format!("e{minute}"), &name, &report(errors)),
                    &mut chance,
                );
                if minute == deploys_at {
                    feed.note(Kind::Deploy, at, ("d", &name, &deploy(&name)), &mut chance);
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

    /// More than an hour of four services that report each minute. Then one breaks with a deploy, and those that call it
    /// rise with it, with deploys of their own before; one is well.
    pub(super) fn of_trouble(seed: u64) -> Self {
        let mut chance = Chance::new(seed ^ 0xfeed);
        let mut feed = Self {
            last: MINUTE * TROUBLE_MINUTES,
            lasts: MINUTE * TROUBLE_MINUTES,
            ..Self::default()
        };
        let begin = START - MINUTE * HISTORY_MINUTES;
        for (caller, callee) in CALLS {
            let calls = format!(r#""depends_on":["{callee}"]"#);
            feed.note(Kind::Service, begin, ("s", caller, &calls), &mut chance);
        }
        let broken_at = HISTORY_MINUTES + 1;
        let deploys = [
            ("s1", HISTORY_MINUTES - 15),
            ("s2", HISTORY_MINUTES - 10),
            ("s0", broken_at),
        ];
        for minute in 0..HISTORY_MINUTES + TROUBLE_MINUTES {
            let at = begin + MINUTE * minute;
            for service in ["s0", "s1", "s2", "s3"] {
                let is_risen = service != "s3" && minute >= broken_at;
                let errors = chance.below(5) + if is_risen { 150 } else { 8 };
                feed.note(
                    Kind::Error,
                    at,
                    (&format!("e{minute}"), service, &report(errors)),
                    &mut chance,
                );
            }
            for (service, _) in deploys.iter().filter(|(_, at)| *at == minute) {
                feed.note(Kind::Deploy, at, ("d", service, &deploy(service)), &mut chance);
            }
        }
        let [commit, word] = [r#""sha":"c""#.to_owned(), word(0, START)];
        feed.note(Kind::Commit, START, ("c", "s3", &commit), &mut chance);
        feed.note(Kind::Override, START, ("w", "s3", &word), &mut chance);
        feed.records.sort_by_key(|record| record.timestamp);
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

/// A minute of errors.
fn report(errors: u64) -> String {
    format!(r#""environment":"production","count":{errors},"requests":6000,"interval_ms":60000"#)
}

fn deploy(service: &str) -> String {
    format!(r#""environment":"production","deploy_id":"d-{service}","status":"started""#)
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
