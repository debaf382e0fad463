//! What happens in a schedule: events of a few services over a quarter of a minute, some twice, some bad.

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
/// How long the feed lasts.
pub(super) const LASTS: Duration = Duration::from_secs(15);

/// Records in the order of their times, and what is to come of them.
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
        let mut feed = Self {
            records: Vec::new(),
            expected: BTreeMap::new(),
            n_valid: 0,
            n_rejected: 0,
            lines: BTreeMap::new(),
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
                11 => (Kind::Error, r#""environment":7"#.to_owned()),
                _ => (Kind::Error, r#""environment":"production""#.to_owned()),
            };
            let json = format!(
                r#"{{"kind":"{}","id":"e{i}","time":"{at}","service":"{service}",{body}}}"#,
                kind.name()
            );
            let is_bad = i % 15 == 11;
            let n_copies = 1 + u64::from(chance.below(8) == 0);
            for _ in 0..n_copies {
                feed.add(kind, at, &json, &mut chance);
            }
            if is_bad {
                feed.n_rejected += usize::try_from(n_copies).unwrap_or(0);
                continue;
            }
            feed.n_valid += n_copies;
            *feed.expected.entry(service).or_default().entry(kind).or_default() += 1;
            let lines = feed.lines.entry(topic(kind).0).or_default();
            lines.push_str(&json);
            lines.push('\n');
        }
        feed
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
