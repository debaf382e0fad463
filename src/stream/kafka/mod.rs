//! This is where the engine meets Kafka: the only folder that names rdkafka.
//!
//! Every client is made here from one [`Connection`]: what the operator wrote is applied first and what correctness
//! rests on last, so that no property can undo a guarantee.
//!
//! **Invariant:** no list of partitions that librdkafka made outlives the call it came from: a living one blocks the
//! end of its consumer for ever. Copy into plain values at once.

mod admin;
mod check;
mod client;
mod context;
mod ends;
mod fault;
mod ffi;
mod group;
mod handover;
mod identity;
mod offsets;
mod producer;
mod reader;
mod record;
mod settle;
mod transaction;
mod view;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::ClientConfig;

pub use self::{
    admin::{Admin, Created, TopicDescription, TopicPlan},
    client::{KafkaClient, Names},
    producer::Publisher,
    reader::KafkaReader,
    view::{Followed, Follower, Lack},
};

/// How to reach a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connection {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// librdkafka's own properties, for security and sockets; those that guarantees rest on are overruled.
    pub properties: BTreeMap<String, String>,
}

/// What may be tuned without touching a guarantee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tuning {
    /// How long a broker holds an empty fetch. A partition just started waits for the fetch under way, so this is also
    /// the delay of a start or rewind. The mock cluster never answers a fetch early: 10 there.
    pub fetch_wait_ms: u32,
    /// The least a broker gathers before it answers a fetch; 1 answers at once.
    pub fetch_min_bytes: u32,
    /// Most of one partition that one fetch brings.
    pub fetch_partition_bytes: u32,
    /// Most that is read ahead of each partition, in KiB.
    pub queue_kib: u32,
    /// librdkafka's name of the compression of what is written.
    pub compression: &'static str,
    /// Whether a client first decides what its predecessor may have left open, and knows topics by their ids. The mock
    /// cluster leaves nothing open, shows what was aborted, and gives no ids.
    pub settles: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            fetch_wait_ms: 100,
            fetch_min_bytes: 1,
            fetch_partition_bytes: 2 << 20,
            // Queues are split by partition, and the limit counts for each: 24 partitions are 384 MiB at the worst.
            queue_kib: 16 << 10,
            compression: "lz4",
            settles: true,
        }
    }
}

impl Tuning {
    /// For the mock cluster of [`super::embedded`].
    #[must_use]
    pub fn embedded() -> Self {
        Self {
            fetch_wait_ms: 10,
            settles: false,
            ..Self::default()
        }
    }
}

/// After this long a transaction left open is aborted by the broker; until then it holds up every reader of what it
/// touched.
const TRANSACTION_TIMEOUT_MS: u32 = 10_000;

impl Connection {
    /// What all clients share: the operator's properties, then ours.
    fn client(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        unless_given(&mut config, &["topic.metadata.refresh.interval.ms"], "5000");
        unless_given(
            &mut config,
            &["reconnect.backoff.max.ms", "reconnect.backoff.ms"],
            "1000",
        );
        unless_given(&mut config, &["socket.timeout.ms"], "10000");
        unless_given(&mut config, &["log.connection.close"], "false");
        // Static members are not used: a second process with the same identity would fence the first in turn. And the
        // newer group protocol has its timing, which bounds rest on, at the broker.
        config.remove("group.instance.id").remove("group.protocol");
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", client_id)
            .set_log_level(context::log_level());
        config
    }

    /// A consumer that commits nothing by itself.
    fn consumer(&self, client_id: &str, tuning: &Tuning, isolation: Isolation) -> ClientConfig {
        let mut config = self.client(client_id);
        config
            .set("isolation.level", isolation.name())
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "false")
            .set("allow.auto.create.topics", "false");
        let bytes = ["fetch.message.max.bytes", "max.partition.fetch.bytes"];
        unless_given(&mut config, &["fetch.wait.max.ms"], &tuning.fetch_wait_ms.to_string());
        unless_given(&mut config, &["fetch.min.bytes"], &tuning.fetch_min_bytes.to_string());
        unless_given(&mut config, &bytes, &tuning.fetch_partition_bytes.to_string());
        unless_given(&mut config, &["fetch.queue.backoff.ms"], "20");
        unless_given(&mut config, &["queued.min.messages"], "20000");
        unless_given(
            &mut config,
            &["queued.max.messages.kbytes"],
            &tuning.queue_kib.to_string(),
        );
        config
    }

    /// A member of `group`.
    fn member(&self, client_id: &str, group: &str, tuning: &Tuning) -> ClientConfig {
        let mut config = self.consumer(client_id, tuning, Isolation::Committed);
        config
            .set("group.id", group)
            // A member whose worker hangs holds up every rebalance for so long; all waits of a worker are shorter.
            .set("max.poll.interval.ms", "60000")
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "3000");
        config
    }

    /// A producer whose records arrive once and in order.
    fn producer(&self, client_id: &str, tuning: &Tuning) -> ClientConfig {
        let mut config = self.client(client_id);
        config
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("message.timeout.ms", TRANSACTION_TIMEOUT_MS.to_string())
            // What is too large is for the broker to say, and no record of ours is: the client's own limit is lower.
            .set("message.max.bytes", "4194304")
            .set("queue.buffering.max.messages", "200000")
            .set("queue.buffering.max.kbytes", "262144");
        unless_given(
            &mut config,
            &["compression.type", "compression.codec"],
            tuning.compression,
        );
        // A transaction right behind another waits this long while the broker still marks the one before: with 10 ms it
        // took 13 ms where it takes 3.6. It doubles with every retry.
        // No bound of ours below what the operator gives.
        unless_given(&mut config, &["retry.backoff.max.ms", "retry.backoff.ms"], "100");
        unless_given(&mut config, &["retry.backoff.ms"], "1");
        config
    }

    /// A producer of whole transactions.
    fn transactional(&self, transactional_id: &str, tuning: &Tuning) -> ClientConfig {
        let mut config = self.producer(transactional_id, tuning);
        config
            .set("transactional.id", transactional_id)
            .set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS.to_string())
            .set("delivery.report.only.error", "true");
        // A commit flushes: waiting for company would only add to it.
        unless_given(&mut config, &LINGER, "0");
        config
    }
}

/// The names of how long a producer waits for company.
const LINGER: [&str; 2] = ["linger.ms", "queue.buffering.max.ms"];

/// Our value of a property where the operator gives none, by the first of its names or by another.
fn unless_given(config: &mut ClientConfig, names: &[&str], value: &str) {
    if names.iter().all(|name| config.get(name).is_none()) {
        config.set(names[0], value);
    }
}

/// Whose records a consumer sees, and which end of a partition it is told.
#[derive(Debug, Clone, Copy)]
enum Isolation {
    /// Decided transactions only; ends are those of the last decided record.
    Committed,
    /// Everything; ends are those of the log.
    Uncommitted,
}

impl Isolation {
    fn name(self) -> &'static str {
        match self {
            Self::Committed => "read_committed",
            Self::Uncommitted => "read_uncommitted",
        }
    }
}

/// How long something may take, counted from its making.
#[derive(Debug, Clone, Copy)]
struct Bound {
    start: Instant,
    length: Duration,
}

impl Bound {
    #[expect(
        clippy::disallowed_methods,
        reason = "bounds the wait for a broker; nothing is decided by it"
    )]
    fn new(length: Duration) -> Self {
        Self {
            start: Instant::now(),
            length,
        }
    }

    /// What is left; zero once it has passed.
    fn left(&self) -> Duration {
        self.length.saturating_sub(self.start.elapsed())
    }

    fn has_passed(&self) -> bool {
        self.left().is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_property_undoes_a_guarantee() {
        let given = [
            ("enable.auto.commit", "true"),
            ("isolation.level", "read_uncommitted"),
            ("group.instance.id", "a"),
            ("group.protocol", "consumer"),
            ("partition.assignment.strategy", "range"),
            ("acks", "1"),
            ("security.protocol", "SSL"),
        ];
        let properties = given
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let connection = Connection {
            brokers: "b:9092".to_owned(),
            properties,
        };
        let member = connection.member("id", "group", &Tuning::default());
        assert_eq!(member.get("enable.auto.commit"), Some("false"));
        assert_eq!(member.get("isolation.level"), Some("read_committed"));
        assert_eq!(
            (member.get("group.instance.id"), member.get("group.protocol")),
            (None, None)
        );
        assert_eq!(member.get("partition.assignment.strategy"), Some("cooperative-sticky"));
        assert_eq!(member.get("security.protocol"), Some("SSL"));
        assert_eq!(
            connection.transactional("id", &Tuning::default()).get("acks"),
            Some("all")
        );
    }

    /// By whichever of its names: librdkafka takes the last that is set, and the order is not ours.
    #[test]
    fn what_the_operator_gives_stands_where_no_guarantee_rests_on_it() {
        let given = [
            ("queued.max.messages.kbytes", "1024"),
            ("max.partition.fetch.bytes", "65536"),
            ("compression.codec", "zstd"),
            ("queue.buffering.max.ms", "3"),
            ("log.connection.close", "true"),
        ];
        let connection = Connection {
            brokers: "b:9092".to_owned(),
            properties: given.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        };
        let tuning = Tuning::default();
        let (member, producer) = (
            connection.member("id", "group", &tuning),
            connection.transactional("id", &tuning),
        );
        for (name, value) in given {
            assert_eq!(
                (member.get(name), producer.get(name)),
                (Some(value), Some(value)),
                "{name}"
            );
        }
        assert_eq!(member.get("fetch.message.max.bytes"), None);
        assert_eq!(
            (producer.get("compression.type"), producer.get("linger.ms")),
            (None, None)
        );
        let connection = Connection {
            properties: BTreeMap::new(),
            ..connection
        };
        assert_eq!(
            connection.member("id", "group", &tuning).get("fetch.message.max.bytes"),
            Some("2097152")
        );
        assert_eq!(connection.transactional("id", &tuning).get("linger.ms"), Some("0"));
    }
}
