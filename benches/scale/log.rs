//! Records of the log, made by hand: an entry per event, as errors far apart in a batch are.

use std::time::Duration;

use holdpoint::{
    model::{Entry, Errors, EventHash, Offset, Origin, Original, PolicyText, Tick, Timestamp, Variant, Watermark},
    score::{Partition, Policy, Saying},
    wire::events,
};

use crate::{chance::Chance, fleet};

/// Entries in a record: what a transaction of a busy ingest worker holds for one partition.
const ENTRIES: usize = 1_000;

/// A log partition folded as it is written, at a time that is told.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) partition: Partition,
    pub(crate) now: Timestamp,
    offset: i64,
    sayings: Vec<Saying>,
}

impl Log {
    pub(crate) fn of(partition: Partition, now: Timestamp) -> Self {
        let mut log = Self {
            partition,
            now,
            offset: 0,
            sayings: Vec::new(),
        };
        log.pass(Duration::ZERO);
        log
    }

    /// Lets time pass.
    pub(crate) fn pass(&mut self, duration: Duration) {
        self.now = self.now + duration;
        self.offset += 1;
        let watermarks = vec![Watermark {
            topic: "errors",
            partition: 0,
            at: self.now,
        }];
        let tick = Entry::Time(Tick {
            wall: self.now,
            watermarks,
        });
        self.partition
            .step(&tick, Offset(self.offset), self.now, &mut self.sayings);
        self.sayings.clear();
    }

    /// A policy comes into force.
    ///
    /// # Panics
    /// If it is none.
    pub(crate) fn take_policy(&mut self, revision: i64, text: &str) {
        Policy::parse(text).expect("a policy");
        self.offset += 1;
        let entry = Entry::Policy(PolicyText { revision, text });
        self.partition
            .step(&entry, Offset(self.offset), self.now, &mut self.sayings);
        self.sayings.clear();
    }

    /// Reads the entries of records, and steps them.
    pub(crate) fn fold(&mut self, records: &[Vec<u8>]) {
        for record in records {
            self.offset += 1;
            let (offset, now) = (Offset(self.offset), self.now);
            for entry in events::entries(record).expect("our own record") {
                let entry = entry.expect("our own entry");
                self.partition.step(&entry, offset, now, &mut self.sayings);
            }
            self.sayings.clear();
        }
    }
}

/// An error now of each of `services`, in that order.
pub(crate) fn errors(services: impl Iterator<Item = usize>, now: Timestamp, chance: &mut Chance) -> Vec<Vec<u8>> {
    let (mut records, mut n_entries) = (Vec::new(), ENTRIES);
    let (mut name, mut variants, mut originals) = (String::new(), Vec::new(), Vec::new());
    let variant = Variant {
        version: Some("2026.3.1"),
        fingerprint: Some("9f8e7d6c"),
        upstream: None,
    };
    variant.pack(&mut variants);
    for service in services {
        if n_entries == ENTRIES {
            let mut record = Vec::new();
            events::begin(&mut record);
            records.push(record);
            n_entries = 0;
        }
        n_entries += 1;
        fleet::write_name(service, &mut name);
        originals.clear();
        let original = Original {
            hash: EventHash(chance.next()),
            variant: 0,
            is_storm: false,
            errors: 1,
            requests: None,
        };
        original.pack(&mut originals);
        let entry = Entry::Errors(Errors {
            service: &name,
            environment: fleet::ENVIRONMENT,
            time: now,
            origin: Origin {
                topic: "errors",
                partition: 3,
                offset: 10_412,
            },
            errors: 1,
            requests: None,
            interval_ms: 0,
            variants: &variants,
            originals: &originals,
        });
        if let Some(record) = records.last_mut() {
            events::append(&entry, record);
        }
    }
    records
}
