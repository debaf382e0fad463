//! A log partition driven by hand.

use std::{collections::VecDeque, time::Duration};

use holdpoint::{
    ingest::{self, Arrival, Batch, Origin},
    model::{self, Decision, Entry, Kind, Offset, PolicyText, Tick, Timestamp, Watermark},
    score::{Partition, Said, Saying},
    wire::events,
};

/// Feeds events in their JSON form to one partition, which is the fleet's too, and keeps what it says.
#[derive(Default)]
pub(crate) struct Driver {
    pub partition: Partition,
    pub offset: i64,
    pub decisions: Vec<Decision>,
    pub said: Vec<Said>,
    /// The log as written: offset, time of writing, record.
    pub log: Vec<(Offset, Timestamp, Vec<u8>)>,
    messages: VecDeque<Vec<u8>>,
}

impl Driver {
    pub(crate) fn with_policy(text: &str) -> Self {
        let mut driver = Self::default();
        driver.append(
            &[Entry::Policy(PolicyText { revision: 1, text })],
            Timestamp::from_millis(0),
        );
        driver
    }

    /// Appends entries as one record.
    pub(crate) fn append(&mut self, entries: &[Entry<'_>], written_at: Timestamp) {
        let mut record = Vec::new();
        events::begin(&mut record);
        for entry in entries {
            events::append(entry, &mut record);
        }
        self.append_record(record, written_at);
    }

    /// Steps a record; the messages it says wait for [`Driver::settle`].
    pub(crate) fn append_record(&mut self, record: Vec<u8>, written_at: Timestamp) {
        let offset = Offset(self.offset);
        self.offset += 1;
        let mut sayings: Vec<Saying> = Vec::new();
        for entry in events::entries(&record).expect("our own record") {
            self.partition
                .step(&entry.expect("our own entry"), offset, written_at, &mut sayings);
        }
        self.log.push((offset, written_at, record));
        for saying in sayings {
            match &saying.said {
                Said::Decision(decision) => self.decisions.push((**decision).clone()),
                Said::Message(message) => {
                    let mut record = Vec::new();
                    events::begin(&mut record);
                    events::append(&Entry::Message(message.clone()), &mut record);
                    self.messages.push_back(record);
                }
                Said::Forget(_) | Said::Scored(_) | Said::Closed(_) => {}
            }
            self.said.push(saying.said);
        }
    }

    /// Appends the messages said, and those said to them.
    pub(crate) fn settle(&mut self, written_at: Timestamp) {
        while let Some(record) = self.messages.pop_front() {
            self.append_record(record, written_at);
        }
    }

    /// Events as one batch of ingest, read at `now`.
    pub(crate) fn events(&mut self, values: &[String], now: Timestamp) {
        let mut batch = Batch::new(1);
        for (line, value) in values.iter().enumerate() {
            add(&mut batch, value, line, now);
        }
        let mut record = Vec::new();
        events::begin(&mut record);
        batch.pack(0, (&mut record, usize::MAX), events::append, |_, _| {});
        self.append_record(record, now);
        self.settle(now);
    }

    /// Another policy comes into force.
    pub(crate) fn policy(&mut self, revision: i64, text: &str, now: Timestamp) {
        self.append(&[Entry::Policy(PolicyText { revision, text })], now);
        self.settle(now);
    }

    /// Time goes on to `now`.
    pub(crate) fn time(&mut self, now: Timestamp) {
        let watermarks = vec![Watermark {
            topic: "errors",
            partition: 0,
            at: now,
        }];
        self.append(&[Entry::Time(Tick { wall: now, watermarks })], now);
        self.settle(now);
    }
}

/// Takes one event in its JSON form into a batch.
pub(crate) fn add(batch: &mut Batch, value: &str, line: usize, now: Timestamp) {
    let event = ingest::decode(
        Some(value.as_bytes()),
        &Origin {
            topic: "errors",
            kind: Some(Kind::Error),
        },
        now,
    )
    .unwrap_or_else(|reject| panic!("{reject}: {value}"));
    let offset = i64::try_from(line).expect("small");
    let arrival = Arrival {
        origin: model::Origin {
            topic: "errors",
            partition: 0,
            offset,
        },
        default_environment: "production",
    };
    batch.add(&event, 0, &arrival, events::append);
}

pub(crate) fn at(minutes: i64) -> Timestamp {
    // 2026-03-02T00:00:00Z, a Monday.
    Timestamp::from_millis(1_772_409_600_000 + minutes * 60_000)
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A service's report of the minute that ends at `time`.
pub(crate) fn minute(service: &str, time: Timestamp, errors: u64, requests: Option<u64>) -> String {
    let requests = requests.map_or(String::new(), |requests| format!(r#","requests":{requests}"#));
    format!(
        r#"{{"kind":"error","id":"{service}-{}","time":"{time}","service":"{service}","environment":"production","count":{errors},"interval_ms":60000{requests}}}"#,
        time.millis()
    )
}

pub(crate) fn deploy(service: &str, id: &str, time: Timestamp, status: &str, more: &str) -> String {
    format!(
        r#"{{"kind":"deploy","id":"{id}-{status}","time":"{time}","service":"{service}","environment":"production","deploy_id":"{id}","status":"{status}"{more}}}"#
    )
}
