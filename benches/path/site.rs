//! Topics of one run's own, deleted at its end, and the program told of them.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use holdpoint::{
    clock::Clock,
    stream::kafka::{Admin, Connection, TopicPlan},
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};

use crate::events::Topic;

pub(crate) const ERROR_PARTITIONS: u32 = 6;
pub(crate) const CHANGE_PARTITIONS: u32 = 2;
pub(crate) const LOG_PARTITIONS: u32 = 12;

const INPUTS: [(&str, u32); 7] = [
    ("errors", ERROR_PARTITIONS),
    ("deploys", CHANGE_PARTITIONS),
    ("commits", CHANGE_PARTITIONS),
    ("incidents", 1),
    ("reviews", 1),
    ("services", 1),
    ("overrides", 1),
];
/// What a run makes beside the inputs; the last three are the bench's own.
const OTHERS: [&str; 7] = ["events", "state", "control", "rejected", "beside", "out", "load"];
const USABLE_WITHIN: Duration = Duration::from_mins(1);

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) brokers: String,
    pub(crate) prefix: String,
    pub(crate) connection: Connection,
}

/// How much of a topic is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Keep {
    All,
    /// So many bytes of each partition, for what runs long.
    Bytes(u64),
}

impl Keep {
    fn configs(self) -> BTreeMap<String, String> {
        match self {
            Self::All => BTreeMap::new(),
            Self::Bytes(bytes) => BTreeMap::from([
                ("retention.bytes".to_owned(), bytes.to_string()),
                ("segment.bytes".to_owned(), (bytes / 4).max(1 << 20).to_string()),
            ]),
        }
    }
}

impl Site {
    pub(crate) fn new(brokers: &str, name: &str, keep: Keep) -> anyhow::Result<Self> {
        let connection = Connection {
            brokers: brokers.to_owned(),
            properties: BTreeMap::new(),
        };
        let started = Clock::wall().now().millis();
        let site = Self {
            brokers: brokers.to_owned(),
            prefix: format!("bench-{name}-{}-{started}", std::process::id()),
            connection,
        };
        let own = [
            ("events", LOG_PARTITIONS),
            ("beside", 1),
            ("out", LOG_PARTITIONS),
            ("load", 2),
        ];
        let plans: Vec<TopicPlan> = INPUTS
            .into_iter()
            .chain(own)
            .map(|(topic, n_partitions)| TopicPlan {
                name: site.topic(topic),
                n_partitions,
                replication: None,
                configs: if topic == "load" { Keep::Bytes(128 << 20) } else { keep }.configs(),
            })
            .collect();
        let admin = Admin::new(&site.connection, "bench")?;
        admin.create(&plans)?;
        let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
        admin.wait_usable(&names, USABLE_WITHIN)?;
        let ensured = site.command(&["topics", "ensure"]).output()?;
        ensure!(
            ensured.status.success(),
            "topics ensure: {}",
            String::from_utf8_lossy(&ensured.stderr)
        );
        Ok(site)
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
            .env("HOLDPOINT_GROUP", &self.prefix)
            .env("HOLDPOINT_PARTITIONS", LOG_PARTITIONS.to_string())
            .env("HOLDPOINT_LOG", "warn")
            .stdin(Stdio::null());
        let named = INPUTS
            .into_iter()
            .map(|(topic, _)| topic)
            .chain(OTHERS.into_iter().take(4));
        for topic in named {
            command.env(format!("HOLDPOINT_TOPICS_{}", topic.to_uppercase()), self.topic(topic));
        }
        command
    }

    /// This very program in another role, so that what it uses is a process of its own.
    pub(crate) fn role(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe().context("where this program is")?);
        command
            .args(arguments)
            .args(["--prefix", &self.prefix, "--brokers", &self.brokers])
            .stdin(Stdio::null());
        Ok(command)
    }

    fn delete(&self) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).create()?;
        let topics: Vec<String> = INPUTS
            .into_iter()
            .map(|(topic, _)| self.topic(topic))
            .chain(OTHERS.into_iter().map(|topic| self.topic(topic)))
            .collect();
        let groups = ["ingest", "score", "beside", "transact"].map(|group| format!("{}.{group}", self.prefix));
        let options = AdminOptions::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
            admin.delete_topics(&topics, &options).await?;
            // Those that no part of this run has joined are not there.
            admin.delete_groups(&groups, &options).await?;
            Ok(())
        })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = self.delete() {
            drop(crate::usage::note(&format!(
                "topics of {} are left: {error:#}",
                self.prefix
            )));
        }
    }
}

/// The topics that events are sent to, with their partitions.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    topics: [(Arc<str>, u32); 3],
}

impl Sources {
    pub(crate) fn of(prefix: &str) -> Self {
        let topic = |name: &str, n_partitions: u32| (Arc::from(format!("{prefix}.{name}")), n_partitions);
        Self {
            topics: [
                topic("errors", ERROR_PARTITIONS),
                topic("deploys", CHANGE_PARTITIONS),
                topic("commits", CHANGE_PARTITIONS),
            ],
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Arc<str>, u32)> {
        self.topics.iter().map(|(topic, n_partitions)| (topic, *n_partitions))
    }

    /// Where the `n`th record of a run goes.
    pub(crate) fn place(&self, topic: Topic, n: u64) -> (&str, i32) {
        let (topic, n_partitions) = match topic {
            Topic::Errors => &self.topics[0],
            Topic::Deploys => &self.topics[1],
            Topic::Commits => &self.topics[2],
        };
        // By twos: every hundredth record would else go to the same one.
        let of = if *n_partitions == CHANGE_PARTITIONS { n / 200 } else { n };
        (topic, i32::try_from(of % u64::from(*n_partitions)).unwrap_or(0))
    }
}
