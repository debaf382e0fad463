//! All that the parts of one instance share, and how they reach the cluster.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use anyhow::{Context as _, bail, ensure};
use tokio::sync::{broadcast, watch};

use crate::{
    api::Health,
    clock::Clock,
    config::Settings,
    gate::{StandingDecision, View},
    run::{connection, policy_file::PolicyFile},
    score::AiOutlook,
    stream::{
        Fault, Reader as _,
        kafka::{Connection, KafkaClient, KafkaReader, Names, Tuning},
    },
};

/// Decisions that a slow listener may be behind.
const LISTENER_BACKLOG: usize = 1_024;

/// All that the parts of one instance share.
#[derive(Debug, Clone)]
pub struct Instance {
    pub settings: Arc<Settings>,
    pub connection: Connection,
    pub tuning: Tuning,
    pub clock: Clock,
    pub name: Box<str>,
    pub url: Box<str>,
    pub view: Arc<View>,
    pub health: Arc<Health>,
    pub decisions: broadcast::Sender<Arc<StandingDecision>>,
    /// 0 while not known.
    pub n_partitions: Arc<AtomicU32>,
    /// What the fleet knows of AI-assisted changes; `None` while its partition is not held here.
    pub(super) ai: watch::Sender<Option<AiOutlook>>,
    pub(super) policy: Arc<PolicyFile>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Instance {
    /// For these settings; fails if the policy file is bad, which later it may become without harm.
    pub fn new(settings: Settings, tuning: Tuning, clock: Clock) -> anyhow::Result<Self> {
        let name: Box<str> = match &settings.instance {
            Some(name) => name.as_str().into(),
            None => format!("{}-{}", host_name(), settings.listen.port()).into(),
        };
        let url = settings
            .advertise
            .clone()
            .unwrap_or_else(|| format!("http://{}", settings.listen))
            .into();
        let policy = PolicyFile::new(settings.policy.clone());
        policy.reload()?;
        Ok(Self {
            connection: connection(&settings),
            settings: Arc::new(settings),
            tuning,
            clock,
            name,
            url,
            view: Arc::new(View::new()),
            health: Arc::new(Health::default()),
            decisions: broadcast::channel(LISTENER_BACKLOG).0,
            n_partitions: Arc::new(AtomicU32::new(0)),
            ai: watch::Sender::new(None),
            policy: Arc::new(policy),
            stop: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Makes all parts end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    pub(super) fn topic(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    /// The partition counts that workers need, or which topic is not there.
    pub(super) fn topic_counts(&self) -> anyhow::Result<Counts> {
        let topics = &self.settings.topics;
        let mut reader = self.reader("look")?;
        let mut count = |topic: &str| -> anyhow::Result<u32> {
            match reader
                .partition_count(topic)
                .with_context(|| format!("asking for {topic}"))?
            {
                Some(n) if n > 0 => Ok(n),
                Some(_) | None => bail!(
                    "there is no topic `{topic}` at {}: create it with `holdpoint topics ensure`",
                    self.connection.brokers
                ),
            }
        };
        let counts = Counts {
            log: count(&topics.events)?,
            rejected: count(&topics.rejected)?,
        };
        for topic in [&topics.state, &topics.control] {
            let n = count(topic)?;
            ensure!(
                n == counts.log,
                Misfit(format!(
                    "`{topic}` has {n} partitions and `{}` has {}: they must be the same",
                    topics.events, counts.log
                ))
            );
        }
        let standing = self
            .standing_count(&mut reader, counts.log)
            .with_context(|| format!("asking {} for the count it was written for", topics.state))?;
        ensure!(
            standing == counts.log,
            Misfit(format!(
                "`{}` has {} partitions, and Holdpoint's state is of {standing}: the count is fixed at creation",
                topics.events, counts.log
            ))
        );
        Ok(counts)
    }

    pub(super) fn reader(&self, what: &str) -> Result<KafkaReader, Fault> {
        let client_id = format!("{}-{what}", self.name);
        KafkaReader::new(
            &self.connection,
            &client_id,
            &format!("{}.score", self.settings.group),
            &self.tuning,
        )
    }

    /// A client of `stage` that reads `topics` and writes to `written`.
    pub(super) fn client(&self, stage: &str, topics: &[&str], written: &[&str]) -> Result<KafkaClient, Fault> {
        let group = &self.settings.group;
        let names = Names {
            group: format!("{group}.{stage}"),
            client_id: format!("{}-{stage}", self.name),
            transactional_id: format!("{group}-{}-{stage}", self.name),
            writes: written.iter().map(|topic| Arc::from(*topic)).collect(),
        };
        KafkaClient::new(&self.connection, &names, topics, &self.tuning)
    }
}

/// Partition counts that do not fit together; somebody has to mend that.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misfit(String);

pub(super) struct Counts {
    pub(super) log: u32,
    pub(super) rejected: u32,
}

/// The name of this machine; two machines need two.
fn host_name() -> String {
    let from_kernel = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = from_kernel
        .or_else(|| std::env::var("HOSTNAME").ok())
        .unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name.to_owned()
    }
}
