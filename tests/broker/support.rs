//! A broker, topics of one's own, instances as processes, and what they say.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, OnceLock},
    thread::sleep,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use holdpoint::{
    model::{PartitionIndex, Timestamp},
    stream::{
        Reader as _, TopicPartition, Write,
        kafka::{Admin, Connection, Created, KafkaReader, Publisher, TopicPlan, Tuning},
    },
};
use serde_json::Value;

pub(crate) const WITHIN: Duration = Duration::from_secs(90);

/// The brokers to test against; `None` where there can be none.
pub(crate) fn brokers() -> Option<&'static str> {
    static BROKERS: OnceLock<Option<String>> = OnceLock::new();
    BROKERS.get_or_init(find_brokers).as_deref()
}

fn find_brokers() -> Option<String> {
    if let Ok(brokers) = std::env::var("HOLDPOINT_TEST_BROKERS") {
        return Some(brokers);
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka");
    let started = Command::new(script)
        .arg("up")
        .stderr(Stdio::inherit())
        .output()
        .expect("scripts/kafka can be run");
    if started.status.success() {
        return Some(
            String::from_utf8(started.stdout)
                .expect("a list of brokers")
                .trim()
                .to_owned(),
        );
    }
    assert!(
        std::env::var_os("HOLDPOINT_REQUIRE_BROKER").is_none(),
        "no broker, and one is required"
    );
    writeln!(
        std::io::stderr(),
        "SKIPPED: no broker, so this test shows nothing; see scripts/kafka up"
    )
    .expect("stderr");
    None
}

#[expect(clippy::disallowed_methods, reason = "events of now need the time")]
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    Timestamp::from_millis(i64::try_from(since.as_millis()).expect("before the year 292 million"))
}

/// Asks until there is an answer, for at most [`WITHIN`].
#[expect(clippy::disallowed_methods, reason = "the bound of a wait")]
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < WITHIN, "not within {WITHIN:?}: {what}");
        sleep(Duration::from_millis(100));
    }
}

/// A set of topics of one test's own.
pub(crate) struct Site {
    pub brokers: String,
    pub prefix: String,
    pub connection: Connection,
    pub publisher: Publisher,
    partitions: BTreeMap<&'static str, u32>,
    policy: tempfile::NamedTempFile,
}

const INPUTS: [&str; 7] = [
    "commits",
    "deploys",
    "errors",
    "incidents",
    "reviews",
    "services",
    "overrides",
];
/// A record to send: topic, partition, time, value.
pub(crate) type Record = (&'static str, u32, Timestamp, Vec<u8>);
pub(crate) const LOG_PARTITIONS: u32 = 4;

impl Site {
    /// Makes the topics; inputs have the partitions given, 1 where none are.
    pub(crate) fn new(brokers: &str, name: &str, partitions: &[(&'static str, u32)], policy: &str) -> Self {
        let site = Self::unmade(brokers, name, partitions, policy);
        let plans: Vec<TopicPlan> = site
            .inputs()
            .map(|(topic, n_partitions)| TopicPlan {
                name: topic,
                n_partitions,
                replication: None,
                configs: BTreeMap::new(),
            })
            .collect();
        let admin = Admin::new(&site.connection, "test").expect("an admin client");
        admin.create(&plans).expect("topics are made");
        let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
        admin.wait_usable(&names, WITHIN).expect("usable topics");
        let ensured = site
            .command(&["topics", "ensure"])
            .output()
            .expect("topics ensure runs");
        assert!(ensured.status.success(), "{}", String::from_utf8_lossy(&ensured.stderr));
        site
    }

    /// Makes one input topic, when its former one is gone.
    pub(crate) fn make(&mut self, input: &'static str, n_partitions: u32) {
        let plan = TopicPlan {
            name: self.topic(input),
            n_partitions,
            replication: None,
            configs: BTreeMap::new(),
        };
        let admin = Admin::new(&self.connection, "test").expect("an admin client");
        eventually("the topic is made", || {
            let created = admin.create(std::slice::from_ref(&plan)).ok()?;
            matches!(created[..], [Created::Made]).then_some(())
        });
        admin.wait_usable(&[&plan.name], WITHIN).expect("a usable topic");
        self.note_partitions(input, n_partitions);
    }

    /// An input topic has so many partitions now: a publisher that knew another number would find out in time. The broker
    /// itself may say so some time after it has granted them.
    pub(crate) fn note_partitions(&mut self, input: &'static str, n_partitions: u32) {
        self.partitions.insert(input, n_partitions);
        let topic: Arc<str> = Arc::from(self.topic(input));
        eventually("the broker says how many partitions there are", || {
            let tuning = Tuning::default();
            let mut reader = KafkaReader::new(&self.connection, "test", "test", &tuning).ok()?;
            (reader.partition_count(&topic).ok()?? == n_partitions).then_some(())
        });
        self.publisher = Publisher::new(&self.connection, "test", &Tuning::default()).expect("a publisher");
    }

    /// The same without its topics, for a cluster that makes them in its own way.
    pub(crate) fn unmade(brokers: &str, name: &str, partitions: &[(&'static str, u32)], policy: &str) -> Self {
        let prefix = format!("{name}-{}-{}", std::process::id(), now().millis());
        let connection = Connection {
            brokers: brokers.to_owned(),
            properties: BTreeMap::new(),
        };
        let mut counts: BTreeMap<&'static str, u32> = INPUTS.into_iter().map(|input| (input, 1)).collect();
        counts.extend(partitions.iter().copied());
        let mut site = Self {
            brokers: brokers.to_owned(),
            publisher: Publisher::new(&connection, "test", &Tuning::default()).expect("a publisher"),
            connection,
            partitions: counts,
            policy: tempfile::NamedTempFile::new().expect("a temporary file"),
            prefix,
        };
        site.policy.write_all(policy.as_bytes()).expect("written");
        site
    }

    /// The input topics, with the partitions they are to have.
    pub(crate) fn inputs(&self) -> impl Iterator<Item = (String, u32)> {
        self.partitions
            .iter()
            .map(|(input, n_partitions)| (self.topic(input), *n_partitions))
    }

    pub(crate) fn policy_path(&self) -> &std::path::Path {
        self.policy.path()
    }

    /// Writes another policy where the instances of this site look for it.
    pub(crate) fn set_policy(&self, text: &str) {
        std::fs::write(self.policy.path(), text).expect("written");
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    /// The program, told of this site by its environment.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdpoint"));
        command
            .args(arguments)
            .env("HOLDPOINT_BROKERS", &self.brokers)
            .env("HOLDPOINT_GROUP", &self.prefix);
        command.env("HOLDPOINT_PARTITIONS", LOG_PARTITIONS.to_string());
        command.env("HOLDPOINT_POLICY", self.policy.path());
        for input in INPUTS {
            command.env(format!("HOLDPOINT_TOPICS_{}", input.to_uppercase()), self.topic(input));
        }
        for own in ["events", "state", "control", "rejected"] {
            command.env(format!("HOLDPOINT_TOPICS_{}", own.to_uppercase()), self.topic(own));
        }
        command
    }

    /// Sends records: topic, partition, time, value.
    pub(crate) fn send(&self, records: &[Record]) {
        let writes: Vec<Write> = records
            .iter()
            .map(|(topic, partition, at, value)| Write {
                topic: Arc::from(self.topic(topic)),
                partition: PartitionIndex(i32::try_from(partition % self.partitions[topic]).expect("small")),
                timestamp: *at,
                key: None,
                value: Some(value.clone()),
                headers: Vec::new(),
            })
            .collect();
        let sent = self.publisher.send_all(&writes, WITHIN).expect("sent");
        assert_eq!(sent, writes.len());
    }

    /// Where each partition of one of Holdpoint's own topics ends, with all that is not committed.
    pub(crate) fn ends(&self, topic: &str) -> Vec<i64> {
        let mut reader =
            KafkaReader::new(&self.connection, "test-ends", "test-reader", &Tuning::default()).expect("a reader");
        let topic: Arc<str> = Arc::from(self.topic(topic));
        let n_partitions = reader
            .partition_count(&topic)
            .expect("an answer")
            .expect("the topic is there");
        let end_of = |partition| {
            let partition = TopicPartition {
                topic: Arc::clone(&topic),
                partition: PartitionIndex(i32::try_from(partition).expect("small")),
            };
            reader.bounds(&partition).expect("an answer").1.0
        };
        (0..n_partitions).map(end_of).collect()
    }

    /// Every record of one of Holdpoint's own topics that a reader of committed data sees.
    pub(crate) fn read(&self, topic: &str) -> Vec<Read> {
        let mut reader =
            KafkaReader::new(&self.connection, "test-reader", "test-reader", &Tuning::default()).expect("a reader");
        let topic: Arc<str> = Arc::from(self.topic(topic));
        let n_partitions = reader
            .partition_count(&topic)
            .expect("an answer")
            .expect("the topic is there");
        let mut records = Vec::new();
        for partition in 0..n_partitions {
            let partition = TopicPartition {
                topic: Arc::clone(&topic),
                partition: PartitionIndex(i32::try_from(partition).expect("small")),
            };
            reader
                .read(&partition, None, &mut |record| {
                    let headers = (record.headers)();
                    records.push(Read {
                        key: record.key.map(|key| String::from_utf8_lossy(key).into_owned()),
                        value: record.value.map(<[u8]>::to_vec),
                        headers: headers
                            .into_iter()
                            .map(|header| {
                                (
                                    header.name.into(),
                                    String::from_utf8_lossy(&header.value.unwrap_or_default()).into_owned(),
                                )
                            })
                            .collect(),
                    });
                })
                .expect("read");
        }
        records
    }

    /// Decisions in order, per subject; panics where a sequence has a gap or repeats.
    pub(crate) fn decisions(&self) -> BTreeMap<String, Vec<Value>> {
        let mut decisions: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for record in self.read("control") {
            let (Some(key), Some(value)) = (record.key, record.value) else {
                continue;
            };
            if key.starts_with("service:") || key.starts_with("change:") {
                let decision: Value = serde_json::from_slice(&value).expect("a decision is JSON");
                let of_subject = decisions.entry(key.clone()).or_default();
                let sequence = decision["sequence"].as_u64().expect("a sequence");
                assert_eq!(
                    sequence,
                    u64::try_from(of_subject.len()).expect("small") + 1,
                    "{key}: a gap or a repeat"
                );
                of_subject.push(decision);
            }
        }
        decisions
    }

    /// Exit status and output of a gate that reads the topic.
    pub(crate) fn gate(&self, service: &str, arguments: &[&str]) -> (i32, String) {
        let mut command = self.command(&[
            "gate",
            "--service",
            service,
            "--environment",
            "production",
            "--brokers",
            &self.brokers,
        ]);
        let output = command.args(arguments).output().expect("the gate runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.code().expect("an exit status"), text)
    }
}

pub(crate) struct Read {
    pub key: Option<String>,
    pub value: Option<Vec<u8>>,
    pub headers: BTreeMap<String, String>,
}

/// A running instance; killed when dropped.
pub(crate) struct Instance {
    process: Child,
    pub url: String,
}

impl Instance {
    /// Quiet unless asked: what went wrong is in the log of a test that failed.
    pub(crate) fn start(site: &Site, name: &str) -> Self {
        Self::spawn(site, name, |_| {})
    }

    /// With what `adjust` changes of its arguments, environment and log.
    pub(crate) fn spawn(site: &Site, name: &str, adjust: impl FnOnce(&mut Command)) -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .expect("a port")
            .local_addr()
            .expect("an address")
            .port();
        let listen = format!("127.0.0.1:{port}");
        let mut command = site.command(&["run", "--instance", name, "--listen", &listen]);
        command.stdout(Stdio::null()).stderr(Stdio::inherit());
        adjust(&mut command);
        let process = command.spawn().expect("an instance starts");
        Self {
            process,
            url: format!("http://{listen}"),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the bound of a wait")]
    pub(crate) fn wait_ready(&self) {
        let mut last = None;
        let began = Instant::now();
        while began.elapsed() < WITHIN {
            match self.answer("/readyz") {
                Some((200, _)) => return,
                answer => last = answer,
            }
            sleep(Duration::from_millis(100));
        }
        panic!("not ready within {WITHIN:?}: {last:?}");
    }

    /// Status and body of a request; `None` where there is no answer.
    pub(crate) fn answer(&self, path: &str) -> Option<(u16, String)> {
        let mut response = ureq::get(format!("{}{path}", self.url))
            .config()
            .http_status_as_error(false)
            .build()
            .call()
            .ok()?;
        let body = response.body_mut().read_to_string().ok()?;
        Some((response.status().as_u16(), body))
    }

    pub(crate) fn metrics(&self) -> String {
        let response = ureq::get(format!("{}/metrics", self.url)).call().expect("an answer");
        response.into_body().read_to_string().expect("text")
    }

    /// What the instances say of a service, redirected to its owner; `None` while nobody can.
    pub(crate) fn service(&self, service: &str) -> Option<Value> {
        let response = ureq::get(format!("{}/v1/services/{service}", self.url)).call().ok()?;
        serde_json::from_reader(response.into_body().into_reader()).ok()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("reaped");
    }

    /// SIGTERM; the exit status.
    pub(crate) fn terminate(mut self) -> i32 {
        self.signal("TERM");
        let status = eventually("the instance ends", || self.ended());
        status.code().expect("an exit status, not a signal")
    }

    /// Sends its process a signal, by the name that `kill` knows it by.
    pub(crate) fn signal(&self, name: &str) {
        let signalled = Command::new("kill")
            .args([&format!("-{name}"), &self.process.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(signalled.success(), "no process to send {name} to");
    }

    /// How its process ended; `None` while it runs.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.try_wait().expect("waited")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
