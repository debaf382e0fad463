//! A mock cluster and its faults, an instance with its log, events, and what became of them.

use std::{
    collections::BTreeMap,
    io::{Read as _, Seek as _, Write as _},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use holdpoint::{
    ingest::{self, Arrival, Batch, Origin},
    model::{self, Kind, PartitionIndex},
    stream::{
        Header, Write,
        kafka::{Follower, Tuning},
    },
    wire::{events, partition::partition_of},
};
use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{RDKafkaApiKey, RDKafkaRespErr},
};
use serde_json::{Value, json};

pub(crate) use crate::broker::{Instance, LOG_PARTITIONS, Record, Site, eventually, now};

/// Services that events are of; they lie on every partition of the log.
pub(crate) const SERVICES: u32 = 8;

/// A cluster of one broker, and the topics of one site on it.
pub(crate) struct Cluster {
    pub mock: MockCluster<'static, DefaultProducerContext>,
    pub site: Site,
}

impl Cluster {
    /// Inputs have one partition each.
    pub(crate) fn start(name: &str) -> Self {
        let cluster = Self::without_overrides(name);
        cluster.make_overrides();
        cluster
    }

    pub(crate) fn without_overrides(name: &str) -> Self {
        let mock = MockCluster::new(1).expect("a mock cluster");
        let site = Site::unmade(mock.bootstrap_servers().leak(), name, &[], "");
        for (topic, n_partitions) in site.inputs().filter(|(topic, _)| *topic != site.topic("overrides")) {
            make(&mock, &topic, n_partitions);
        }
        for own in ["events", "state", "control"] {
            make(&mock, &site.topic(own), LOG_PARTITIONS);
        }
        make(&mock, &site.topic("rejected"), 1);
        Self { mock, site }
    }

    pub(crate) fn make_overrides(&self) {
        make(&self.mock, &self.site.topic("overrides"), 1);
    }

    /// The next requests of this kind are answered with `errors`, one each.
    pub(crate) fn fail(&self, request: RDKafkaApiKey, errors: &[RDKafkaRespErr]) {
        self.mock.request_errors(request, errors);
    }

    /// What the cluster says of a topic instead of its partitions, until told otherwise.
    pub(crate) fn fail_topic(&self, topic: &str, error: RDKafkaRespErr) {
        self.mock
            .topic_error(&self.site.topic(topic), error)
            .expect("the mock takes it");
    }

    /// The one partition of overrides is led by this broker, or by none.
    pub(crate) fn lead_overrides(&self, broker: Option<i32>) {
        let topic = self.site.topic("overrides");
        self.mock
            .partition_leader(&topic, 0, broker)
            .expect("the mock takes it");
    }

    /// Appends events to the log, as an ingest worker would: one record for each partition that has any.
    pub(crate) fn append(&self, records: &[Record]) {
        let n_partitions = usize::try_from(LOG_PARTITIONS).expect("small");
        let mut batch = Batch::new(n_partitions);
        for (line, (topic, _, at, value)) in records.iter().enumerate() {
            let origin = Origin {
                topic,
                kind: Some(Kind::Error),
            };
            let event = ingest::decode(Some(value.as_slice()), &origin, *at).expect("a good event");
            let partition = partition_of(&event.service, LOG_PARTITIONS).0;
            let arrival = Arrival {
                origin: model::Origin {
                    topic,
                    partition: 0,
                    offset: i64::try_from(line).expect("small"),
                },
                default_environment: "production",
            };
            batch.add(
                &event,
                usize::try_from(partition).expect("small"),
                &arrival,
                events::append,
            );
        }
        let mut writes = Vec::new();
        for partition in 0..n_partitions {
            let mut value = Vec::new();
            events::begin(&mut value);
            batch.pack(partition, (&mut value, usize::MAX), events::append, |_, _| {});
            writes.push(Write {
                topic: Arc::from(self.site.topic("events")),
                partition: PartitionIndex(i32::try_from(partition).expect("small")),
                timestamp: now(),
                key: None,
                value: Some(value),
                headers: vec![Header {
                    name: events::HEADER_INPUTS.into(),
                    value: Some(b"0".to_vec()),
                }],
            });
        }
        let sent = self
            .site
            .publisher
            .send_all(&writes, Duration::from_secs(10))
            .expect("sent");
        assert_eq!(sent, writes.len());
    }
}

fn make(mock: &MockCluster<'static, DefaultProducerContext>, topic: &str, n_partitions: u32) {
    mock.create_topic(topic, i32::try_from(n_partitions).expect("small"), 1)
        .expect("a topic is made");
}

/// An instance whose log the test reads; shown when the test fails.
pub(crate) struct Logged {
    pub instance: Instance,
    log: std::fs::File,
}

impl Logged {
    /// With roles, as the setting names them; they name the instance.
    pub(crate) fn start(site: &Site, roles: &str) -> Self {
        Self::spawn(site, roles, |command| {
            command.env("HOLDPOINT_ROLES", roles);
        })
    }

    /// With librdkafka's own account of what it was answered: `debug` names its facilities.
    pub(crate) fn debugged(site: &Site, debug: &str) -> Self {
        Self::spawn(site, "debugged", |command| {
            command
                .env("HOLDPOINT_LOG", "info,librdkafka=debug")
                .env("HOLDPOINT_KAFKA_DEBUG", debug);
        })
    }

    fn spawn(site: &Site, name: &str, adjust: impl FnOnce(&mut Command)) -> Self {
        let log = tempfile::tempfile().expect("a temporary file");
        let theirs = log.try_clone().expect("another handle");
        let instance = Instance::spawn(site, name, |command| {
            command.stderr(Stdio::from(theirs));
            adjust(command);
        });
        Self { instance, log }
    }

    /// All that it has logged.
    pub(crate) fn log(&self) -> String {
        // The handles share one place in the file, which is the end for whoever writes on: so the whole is read
        // through a file of its own.
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&self.log));
        let mut text = String::new();
        std::fs::File::open(path)
            .and_then(|mut file| {
                file.rewind()?;
                file.read_to_string(&mut text)
            })
            .expect("the log is read");
        text
    }

    /// The sum of the counters of `name` that carry all of `labels`, each as `key="value"`.
    pub(crate) fn count(&self, name: &str, labels: &[&str]) -> u64 {
        let text = self.instance.metrics();
        text.lines()
            .filter(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    /// Why it is not ready, by part; `None` while it is.
    pub(crate) fn not_ready(&self) -> Option<BTreeMap<String, String>> {
        let (status, body) = self.instance.answer("/readyz")?;
        if status == 200 {
            return None;
        }
        assert_eq!(status, 503, "{body}");
        let body: Value = serde_json::from_str(&body).expect("JSON");
        serde_json::from_value(body["reasons"].clone()).expect("reasons by part")
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(writeln!(std::io::stderr(), "{}", self.log()));
        }
    }
}

/// A commit and an error for each of [`SERVICES`] and each of `rounds`.
pub(crate) fn events(rounds: std::ops::Range<u32>) -> Vec<Record> {
    let mut records = Vec::new();
    for round in rounds {
        for i in 0..SERVICES {
            let (at, id) = (now(), format!("{i}-{round}"));
            let service = format!("s{i}");
            let commit = json!({"kind": "commit", "id": id, "time": at.to_string(), "service": service, "sha": id});
            let error = json!({"kind": "error", "id": id, "time": at.to_string(), "service": service,
                "environment": "production"});
            for (topic, event) in [("commits", commit), ("errors", error)] {
                records.push((topic, 0, at, serde_json::to_vec(&event).expect("JSON")));
            }
        }
    }
    records
}

/// Waits until each service has taken in `rounds` commits and errors, and never one more. Says how many duplicates
/// were taken out.
pub(crate) fn wait_applied(instance: &Instance, rounds: u32) -> u64 {
    let mut n_duplicates = 0;
    for i in 0..SERVICES {
        let service = format!("s{i}");
        n_duplicates += eventually(&format!("{service} has taken in {rounds} of each kind"), || {
            let report = instance.service(&service)?;
            let applied = [&report["applied"]["commit"], &report["applied"]["error"]].map(|n| n.as_u64().unwrap_or(0));
            assert!(
                applied.iter().all(|n| *n <= u64::from(rounds)),
                "{service} took in {applied:?} of {rounds}: one twice"
            );
            (applied == [u64::from(rounds); 2]).then(|| report["duplicates"].as_u64().expect("a number"))
        });
    }
    n_duplicates
}

/// Every change of `rounds` has one decision on the control topic, its first. Whether the transaction of a decision was
/// committed cannot be seen here.
pub(crate) fn assert_one_decision_a_change(cluster: &Cluster, rounds: u32) {
    let n_changes = usize::try_from(SERVICES * rounds).expect("small");
    let control = cluster.site.topic("control");
    let connection = &cluster.site.connection;
    let mut follower = eventually("the control topic is followed", || {
        Follower::new(connection, "follower", &[&control], &Tuning::embedded())
            .ok()
            .filter(|follower| !follower.lacks_any())
    });
    let mut sequences: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let what = format!("a decision on each of {n_changes} changes");
    eventually(&what, || {
        let wait = Duration::from_millis(100);
        follower
            .poll(wait, &mut |followed| note(followed.record, &mut sequences))
            .expect("an answer");
        (follower.is_caught_up() && sequences.len() == n_changes).then_some(())
    });
    for (change, sequences) in sequences {
        assert_eq!(sequences, [1], "{change}");
    }
}

fn note(record: &holdpoint::stream::Record<'_>, sequences: &mut BTreeMap<String, Vec<u64>>) {
    let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
    if let Some(value) = record.value
        && key.starts_with("change:")
    {
        let decision: Value = serde_json::from_slice(value).expect("a decision is JSON");
        let sequence = decision["sequence"].as_u64().expect("a sequence");
        sequences.entry(key).or_default().push(sequence);
    }
}
