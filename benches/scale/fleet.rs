//! Services with a day behind them, as many as are wanted.
//!
//! A few are made by folding a day of their events. The others are the same snapshots under other names: a name of the
//! same length takes the template's place in the bytes, so a million are made in the time of reading them.

use std::{fmt::Write as _, time::Duration};

use holdpoint::{
    model::{Offset, Timestamp},
    score::Partition,
    wire::{
        control,
        state::{self, Snapshot},
    },
};

use crate::{
    chance::Chance,
    support::{Driver, deploy, minute},
};

pub(crate) const ENVIRONMENT: &str = "production";
/// As long as any other name.
const TEMPLATE: &str = "payments-backend-TEMPLAT";
const TEMPLATES: usize = 16;
/// A day, and enough more that each quarter-hour was seen.
const MINUTES: u64 = 25 * 60;
/// Each remembered for a fortnight after its last event.
const COMMITS: u64 = 4;

/// Which of the services are watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watched {
    None,
    /// One in sixteen, as on a busy afternoon.
    Some,
    All,
}

/// Templates, each with the bytes of its snapshot and of its standing decision.
#[derive(Debug)]
pub(crate) struct Fleet {
    templates: Vec<Template>,
    /// The time of the last thing that happened to them.
    pub(crate) now: Timestamp,
}

#[derive(Debug)]
struct Template {
    snapshot: Vec<u8>,
    decision: Vec<u8>,
}

/// The name of the `n`th service.
pub(crate) fn name(n: usize) -> String {
    let mut name = String::new();
    write_name(n, &mut name);
    name
}

/// The same into memory that is there.
pub(crate) fn write_name(n: usize, name: &mut String) {
    name.clear();
    write!(name, "payments-backend-{n:07}").expect("writing to memory cannot fail");
}

impl Fleet {
    /// Whose day ends at `now`.
    pub(crate) fn new(now: Timestamp, watched: Watched) -> Self {
        let mut chance = Chance::new(7);
        let templates = (0..TEMPLATES)
            .map(|i| {
                let is_watched = match watched {
                    Watched::None => false,
                    Watched::Some => i == 0,
                    Watched::All => true,
                };
                Template::new(now, chance.below(20), is_watched)
            })
            .collect();
        Self { templates, now }
    }

    /// The snapshot of the `n`th service, which covers the log up to its first record.
    pub(crate) fn snapshot(&self, n: usize) -> Vec<u8> {
        renamed(&self.templates[n % TEMPLATES].snapshot, &name(n))
    }

    /// Its standing decision, as on the control topic: key and value.
    pub(crate) fn decision(&self, n: usize) -> (Vec<u8>, Vec<u8>) {
        let name = name(n);
        let value = renamed(&self.templates[n % TEMPLATES].decision, &name);
        (format!("service:{name}@{ENVIRONMENT}").into_bytes(), value)
    }

    /// A partition that holds the first `n` services.
    pub(crate) fn partition(&self, n: usize) -> Partition {
        let mut partition = Partition::default();
        partition.reserve(n);
        for i in 0..n {
            let key = state::service_key(&name(i));
            put_back(&mut partition, &key, &self.snapshot(i));
        }
        partition
    }
}

/// Decodes a service's snapshot and puts it back.
pub(crate) fn put_back(partition: &mut Partition, key: &[u8], value: &[u8]) {
    match state::decode(key, value).expect("our own snapshot") {
        Snapshot::Service { service, covered } => partition.put_back(*service, covered),
        other @ (Snapshot::Changes { .. } | Snapshot::Fleet { .. } | Snapshot::Partition(_)) => {
            panic!("{other:?} under a service's key")
        }
    }
}

impl Template {
    /// A service with so many errors a minute, and four commits.
    fn new(now: Timestamp, n_errors: usize, is_watched: bool) -> Self {
        let mut driver = Driver::default();
        let n_errors = u64::try_from(n_errors).expect("small");
        for ago in (0..MINUTES).rev() {
            let time = now - Duration::from_mins(ago);
            if ago % 300 == 20 && ago / 300 < COMMITS {
                driver.events(&[commit(ago, time)], time);
            }
            if is_watched && ago == 20 {
                let started = deploy(TEMPLATE, "deploy-of-a-usual-length", time, "started", "");
                driver.events(&[started], time);
            }
            let errors = (n_errors + ago) % 20;
            driver.events(&[minute(TEMPLATE, time, errors, Some(6_000))], time);
            driver.time(time);
        }
        let service = driver.partition.service(TEMPLATE).expect("it was seen");
        let decision = driver
            .decisions
            .iter()
            .rev()
            .find(|decision| decision.subject.to_string() == format!("service:{TEMPLATE}@{ENVIRONMENT}"));
        Self {
            snapshot: state::encode_service(service, Offset(0)),
            decision: control::encode_decision(decision.expect("a service's first event is spoken of")),
        }
    }
}

fn commit(n: u64, time: Timestamp) -> String {
    format!(
        r#"{{"kind":"commit","id":"commit-{n}","time":"{time}","service":"{TEMPLATE}","sha":"{n:040x}","author":{{"id":"somebody","level":"senior"}},"change":{{"lines_added":90,"lines_deleted":12,"files":3}}}}"#
    )
}

/// The bytes with `name` wherever the template's name is.
fn renamed(bytes: &[u8], name: &str) -> Vec<u8> {
    assert_eq!(name.len(), TEMPLATE.len(), "names are of one length");
    let mut renamed = bytes.to_vec();
    let mut from = 0;
    while let Some(at) = find(&renamed[from..], TEMPLATE.as_bytes()) {
        let start = from + at;
        from = start + name.len();
        renamed[start..from].copy_from_slice(name.as_bytes());
    }
    assert!(from > 0, "a snapshot names its service");
    renamed
}

fn find(bytes: &[u8], text: &[u8]) -> Option<usize> {
    // The first letter first: most places are passed over by it.
    let mut from = 0;
    loop {
        from += bytes[from..].iter().position(|byte| *byte == text[0])?;
        if bytes[from..].starts_with(text) {
            return Some(from);
        }
        from += 1;
    }
}
