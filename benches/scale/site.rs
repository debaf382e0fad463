//! Topics of one run's own, deleted at its end, and the program on them.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use holdpoint::{
    clock::{Clock, Stopwatch},
    stream::kafka::{Admin, Connection, TopicPlan},
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};

const INPUTS: [&str; 7] = [
    "errors",
    "deploys",
    "commits",
    "incidents",
    "reviews",
    "services",
    "overrides",
];
const OWN: [&str; 4] = ["events", "state", "control", "rejected"];
const USABLE_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) connection: Connection,
    prefix: String,
    n_partitions: u32,
}

impl Site {
    pub(crate) fn new(brokers: &str, n_partitions: u32) -> anyhow::Result<Self> {
        let site = Self {
            connection: Connection {
                brokers: brokers.to_owned(),
                properties: BTreeMap::new(),
            },
            prefix: format!("bench-scale-{}-{}", std::process::id(), Clock::wall().now().millis()),
            n_partitions,
        };
        let plans: Vec<TopicPlan> = INPUTS
            .into_iter()
            .map(|input| TopicPlan {
                name: site.topic(input).as_ref().to_owned(),
                n_partitions: 1,
                replication: None,
                configs: BTreeMap::new(),
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

    pub(crate) fn topic(&self, name: &str) -> Arc<str> {
        Arc::from(format!("{}.{name}", self.prefix))
    }

    /// The program, told of this site by its environment.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_holdpoint"));
        command
            .args(arguments)
            .env("HOLDPOINT_BROKERS", &self.connection.brokers)
            .env("HOLDPOINT_GROUP", &self.prefix)
            .env("HOLDPOINT_PARTITIONS", self.n_partitions.to_string())
            .env("HOLDPOINT_LOG", "warn")
            .stdin(Stdio::null());
        for name in INPUTS.into_iter().chain(OWN) {
            command.env(format!("HOLDPOINT_TOPICS_{}", name.to_uppercase()), &*self.topic(name));
        }
        command
    }

    pub(crate) fn start(&self) -> anyhow::Result<Instance> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let process = self
            .command(&["run", "--instance", "scale", "--listen", &listen])
            .stdout(Stdio::null())
            .spawn()
            .context("starting holdpoint")?;
        Ok(Instance {
            process,
            url: format!("http://{listen}"),
        })
    }

    fn delete(&self) -> anyhow::Result<()> {
        let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
            .set("bootstrap.servers", &self.connection.brokers)
            .create()?;
        let topics: Vec<Arc<str>> = INPUTS.into_iter().chain(OWN).map(|name| self.topic(name)).collect();
        let topics: Vec<&str> = topics.iter().map(AsRef::as_ref).collect();
        let groups = ["ingest", "score"].map(|group| format!("{}.{group}", self.prefix));
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        let options = AdminOptions::new();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            admin.delete_topics(&topics, &options).await?;
            admin.delete_groups(&groups, &options).await?;
            Ok(())
        })
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = self.delete() {
            drop(crate::usage::say(&format!(
                "topics of {} are left: {error:#}",
                self.prefix
            )));
        }
    }
}

/// The program as it ships; killed when dropped.
#[derive(Debug)]
pub(crate) struct Instance {
    process: Child,
    url: String,
}

impl Instance {
    /// How long it took to be ready, counted from `watch`.
    pub(crate) fn wait_ready(&mut self, watch: &Stopwatch, bound: Duration) -> anyhow::Result<Duration> {
        while ureq::get(format!("{}/readyz", self.url)).call().is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!("holdpoint has ended: {status}");
            }
            ensure!(watch.elapsed() < bound, "not ready within {bound:?}");
            sleep(LOOK_EVERY);
        }
        Ok(watch.elapsed())
    }

    /// The sum of a metric's series.
    pub(crate) fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let text = ureq::get(format!("{}/metrics", self.url))
            .call()?
            .into_body()
            .read_to_string()?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let of_name = lines.filter(|line| line.split(['{', ' ']).next() == Some(name));
        let values = of_name.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        Ok(values.sum())
    }

    /// The most that it held at a time, in MiB.
    pub(crate) fn memory_mib_max(&self) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line
            .and_then(|line| line.split_whitespace().next())
            .context("no VmHWM")?;
        Ok(kib.parse::<u64>()? / 1_024)
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
