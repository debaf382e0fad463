//! What is sent: events of a fleet of 2,000 services, each a pure function of its number.
//!
//! Of every hundred records one is a deploy, one a commit and one an error that was sent before; the rest are errors of
//! 400 bytes. They are rendered once and patched in place, so that making them costs little beside what is measured.

use std::time::Duration;

use holdpoint::model::Timestamp;
use serde_json::json;

use crate::template::{ClockText, Template, slots};

pub(crate) const SERVICES: u64 = 2_000;
const ERROR_BYTES: usize = 400;

/// What errors say: class and message. Those of one service differ, as they do.
const MESSAGES: [(&str, &str); 8] = [
    ("http_5xx", "upstream connect error or disconnect before headers"),
    ("exception", "cart.Total.round(Total.java:118): null pointer"),
    ("timeout", "deadline of 2000 ms exceeded while calling the ledger"),
    ("exception", "duplicate key value violates unique constraint"),
    ("crash", "worker ended by signal 11 after 4 h 12 min"),
    ("http_5xx", "pool exhausted: 64 of 64 connections in use"),
    ("timeout", "no lease on shard 17 within 500 ms"),
    ("exception", "invalid sequence of 1 bytes from index 17"),
];

/// One of the three topics that events are sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Errors,
    Deploys,
    Commits,
}

/// The law of the times that events are of: the first, and how far apart they are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) start: Timestamp,
    pub(crate) nanos_apart: u64,
}

impl Pace {
    pub(crate) fn time_of(self, n: u64) -> Timestamp {
        self.start + Duration::from_nanos(n.saturating_mul(self.nanos_apart))
    }
}

/// One record to send.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) topic: Topic,
    pub(crate) at: Timestamp,
    pub(crate) value: &'a [u8],
}

/// How many of the first `n_events` were sent before.
pub(crate) fn n_duplicates(n_events: u64) -> u64 {
    (n_events + 74) / 100
}

#[derive(Debug)]
pub(crate) struct Events {
    pace: Pace,
    errors: Vec<Template>,
    started: Template,
    succeeded: Template,
    commit: Template,
    clock: ClockText,
    with_commits: bool,
}

impl Events {
    pub(crate) fn new(pace: Pace) -> Self {
        Self {
            pace,
            with_commits: true,
            errors: (0..MESSAGES.len()).map(error).collect(),
            started: deploy("started"),
            succeeded: deploy("succeeded"),
            commit: commit(),
            clock: ClockText::default(),
        }
    }

    /// The same with an error in place of each commit: nothing stays that is remembered for a fortnight.
    pub(crate) fn without_commits(pace: Pace) -> Self {
        Self {
            with_commits: false,
            ..Self::new(pace)
        }
    }

    /// The `n`th record. Every other deploy record ends what the one before began, and ships its service's last commit.
    pub(crate) fn event(&mut self, n: u64) -> Event<'_> {
        let hundred = n / 100;
        match n % 100 {
            0 => self.fill(n, Topic::Deploys, hundred / 2),
            50 if self.with_commits => self.fill(n, Topic::Commits, hundred.div_ceil(2)),
            // The same bytes a second time, to another partition than before.
            25 => self.fill(n - 13, Topic::Errors, n - 13),
            _ => self.fill(n, Topic::Errors, n),
        }
    }

    /// A commit of the number `n` of a run, outside the sequence: of any service, and never shipped.
    pub(crate) fn commit_of(&mut self, n: u64, at: Timestamp) -> &[u8] {
        let template = &mut self.commit;
        template.set(slots::TIME, self.clock.text(at));
        template.set_hex(slots::ID, mix(n ^ u64::MAX));
        template.set_decimal(slots::SERVICE, mix(n) % SERVICES);
        template.set_hex(slots::SHA, n);
        template.bytes()
    }

    fn fill(&mut self, n: u64, topic: Topic, of_service: u64) -> Event<'_> {
        let at = self.pace.time_of(n);
        let template = match topic {
            Topic::Errors => {
                let which = usize::try_from(mix(n ^ 0x5851_f42d) % 8).unwrap_or(0);
                &mut self.errors[which]
            }
            Topic::Deploys if n.is_multiple_of(200) => &mut self.started,
            Topic::Deploys => &mut self.succeeded,
            Topic::Commits => &mut self.commit,
        };
        template.set(slots::TIME, self.clock.text(at));
        template.set_hex(slots::ID, n);
        template.set_decimal(slots::SERVICE, mix(of_service) % SERVICES);
        match topic {
            Topic::Errors => {}
            Topic::Deploys => {
                template.set_decimal(slots::DEPLOY, of_service);
                template.set_hex(slots::SHA, (2 * of_service).saturating_sub(1));
            }
            Topic::Commits => template.set_hex(slots::SHA, n / 100),
        }
        Event {
            topic,
            at,
            value: template.bytes(),
        }
    }
}

/// An error of [`ERROR_BYTES`] as trackers write them; the length is made up in its message.
fn error(which: usize) -> Template {
    let (class, message) = MESSAGES[which];
    let text = |message: &str| {
        format!(
            r#"{{"kind":"error","id":"{}","time":"{}","service":"checkout-{}","environment":"production","count":1,"version":"4.12.0-rc.3+build.88","fingerprint":"cart.total/overflow:{which}f3a9c","class":"{class}","severity":"error","message":"{message}","tags":{{"region":"eu-central-1","host":"ip-10-2-33-17"}}}}"#,
            slots::ID,
            slots::TIME,
            slots::SERVICE
        )
    };
    let room = ERROR_BYTES.saturating_sub(text(message).len());
    let template = Template::new(&text(&format!("{message}{}", ".".repeat(room))));
    assert_eq!(template.bytes().len(), ERROR_BYTES, "what was promised");
    template
}

fn deploy(status: &str) -> Template {
    let value = json!({"kind": "deploy", "id": slots::ID, "time": slots::TIME,
        "service": format!("checkout-{}", slots::SERVICE), "environment": "production", "source": "cd",
        "deploy_id": format!("d-{}", slots::DEPLOY), "status": status, "version": "4.12.0",
        "previous_version": "4.11.3", "commits": [slots::SHA], "change_kind": "release",
        "initiator": "pipeline 9921"});
    Template::new(&value.to_string())
}

fn commit() -> Template {
    let value = json!({"kind": "commit", "id": slots::ID, "time": slots::TIME,
        "service": format!("checkout-{}", slots::SERVICE), "source": "forge",
        "repository": "https://git.example.net/shop/checkout", "sha": slots::SHA,
        "author": {"id": "mira", "level": "mid", "groups": ["payments"]}, "ai": {"assistance": "none"},
        "change": {"lines_added": 143, "lines_deleted": 31, "files": 6, "directories": 3, "subsystems": 2,
            "entropy": 1.92, "lines_before": 2210, "fix": true, "tests_touched": true},
        "history": {"developers": 7, "age_days": 18.4, "prior_changes": 96, "author_changes": 412},
        "message": "cart: round tax once per order"});
    Template::new(&value.to_string())
}

/// Spreads numbers that follow each other (the finalizer of `SplitMix64`).
pub(crate) fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
