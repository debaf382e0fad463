//! `holdpoint run`: ingest, score and the HTTP edge in one process, for as long as it is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{broadcast, oneshot};

use super::{
    connection,
    ingest::{self, Ingest},
    policy_file::PolicyFile,
    restore::{beside, restore},
    score::{self, Ask, Query, Restorer, Score},
    supervise::{Life, Supervised, supervise},
    viewer::{Following, Viewer, peers},
};
use crate::{
    api::{self, Health},
    clock::{Clock, Stopwatch},
    config::Settings,
    gate::{StandingDecision, View},
    model::ServiceId,
    score::ServiceReport,
    stream::{
        Fault, Reader as _,
        kafka::{Connection, KafkaClient, KafkaReader, Names, Tuning},
    },
    telemetry,
};

/// Decisions that a slow listener may be behind.
const LISTENER_BACKLOG: usize = 1_024;
/// Questions that wait for the score worker.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A clean stop takes at most this.
const STOP_MAX: Duration = Duration::from_secs(25);
const CLOSE_MAX: Duration = Duration::from_secs(8);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As it was told to.
    Stopped,
    /// Something cannot be mended in this process.
    GaveUp,
}

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
    policy: Arc<PolicyFile>,
    stop: Arc<AtomicBool>,
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
            policy: Arc::new(policy),
            stop: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Makes all parts end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn topic(name: &str) -> Arc<str> {
        Arc::from(name)
    }

    /// The partition counts that workers need, or which topic is not there.
    fn topic_counts(&self) -> anyhow::Result<Counts> {
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
            if n != counts.log {
                bail!(
                    "`{topic}` has {n} partitions and `{}` has {}: they must be the same",
                    topics.events,
                    counts.log
                );
            }
        }
        let known = self.n_partitions.swap(counts.log, Ordering::Relaxed);
        if known != 0 && known != counts.log {
            bail!(
                "`{}` went from {known} to {} partitions: the count is fixed at creation",
                topics.events,
                counts.log
            );
        }
        Ok(counts)
    }

    fn reader(&self, what: &str) -> Result<KafkaReader, Fault> {
        let client_id = format!("{}-{what}", self.name);
        KafkaReader::new(
            &self.connection,
            &client_id,
            &format!("{}.score", self.settings.group),
            &self.tuning,
        )
    }

    fn client(&self, stage: &str, topics: &[&str]) -> Result<KafkaClient, Fault> {
        let group = &self.settings.group;
        let names = Names {
            group: format!("{group}.{stage}"),
            client_id: format!("{}-{stage}", self.name),
            transactional_id: format!("{group}-{}-{stage}", self.name),
        };
        KafkaClient::new(&self.connection, &names, topics, &self.tuning)
    }
}

struct Counts {
    log: u32,
    rejected: u32,
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

/// The parts of a running instance.
#[derive(Debug)]
pub struct Running {
    instance: Instance,
    workers: Vec<Supervised>,
    queries: Option<mpsc::Sender<Query>>,
}

impl Running {
    /// Starts the workers that the roles name. They wait for brokers and topics by themselves.
    pub fn start(instance: &Instance) -> anyhow::Result<Self> {
        let roles = instance.settings.roles;
        let mut workers = Vec::new();
        let mut queries = None;
        let spawn = |name, life| supervise(name, life, Arc::clone(&instance.health), Arc::clone(&instance.stop));
        workers.push(spawn(
            "view",
            Part::Viewer {
                instance: instance.clone(),
                following: None,
                was_whole: false,
            },
        )?);
        if roles.ingest {
            workers.push(spawn(
                "ingest",
                Part::Ingest {
                    instance: instance.clone(),
                    worker: None,
                },
            )?);
        }
        if roles.score {
            let (send, receive) = mpsc::channel();
            queries = Some(send);
            workers.push(spawn(
                "score",
                Part::Score {
                    instance: instance.clone(),
                    worker: None,
                    queries: Some(receive),
                },
            )?);
        }
        Ok(Self {
            instance: instance.clone(),
            workers,
            queries,
        })
    }

    /// Asks the score worker of a service.
    pub fn reports(
        &self,
    ) -> impl Fn(ServiceId) -> oneshot::Receiver<Option<Option<ServiceReport>>> + Send + Sync + use<> {
        let queries = self.queries.clone();
        move |service| {
            let (answer, receive) = oneshot::channel();
            match &queries {
                // A worker that is gone drops the question, which the asker sees.
                Some(queries) => drop(queries.send(Query { service, answer })),
                None => drop(answer.send(None)),
            }
            receive
        }
    }

    /// Which worker cannot be mended in this process, if one cannot.
    fn beyond_repair(&mut self) -> Option<&'static str> {
        self.workers
            .iter_mut()
            .find_map(|worker| worker.is_beyond_repair().then_some(worker.name))
    }

    fn are_finished(&self) -> bool {
        self.workers.iter().all(Supervised::is_finished)
    }

    /// Stops the workers and waits for them. False: one did not end in time.
    #[must_use]
    pub fn finish(self) -> bool {
        self.instance.stop();
        let watch = Stopwatch::start();
        while watch.elapsed() < STOP_MAX {
            if self.are_finished() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

/// The parts that are supervised.
#[expect(clippy::large_enum_variant, reason = "three values for the life of the process")]
enum Part {
    Viewer {
        instance: Instance,
        following: Option<Following>,
        /// Brokers lost later are no reason to set the readiness back: heartbeats grow stale, and what stands stands.
        was_whole: bool,
    },
    Ingest {
        instance: Instance,
        worker: Option<ingest::Worker<KafkaClient>>,
    },
    Score {
        instance: Instance,
        worker: Option<score::Worker<KafkaClient>>,
        queries: Option<mpsc::Receiver<Query>>,
    },
}

impl Life for Part {
    fn begin(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Viewer {
                instance, following, ..
            } => {
                instance.topic_counts()?;
                *following = Some(Following::begin(viewer(instance))?);
                Ok(())
            }
            Self::Ingest { instance, worker } => {
                *worker = Some(ingest_worker(instance)?);
                Ok(())
            }
            Self::Score {
                instance,
                worker,
                queries,
            } => {
                let counts = instance.topic_counts()?;
                let client = instance.client("score", &[&instance.settings.topics.events])?;
                // The questions outlive the worker that answers them.
                let receive = queries
                    .take()
                    .context("the questions are held by a worker that was not let go")?;
                *worker = Some(score::Worker::new(
                    score_settings(instance, counts.log),
                    client,
                    restorer(instance.clone(), counts.log)?,
                    receive,
                    Arc::clone(&instance.policy),
                ));
                Ok(())
            }
        }
    }

    fn turn(&mut self) -> Result<(), Fault> {
        match self {
            Self::Viewer { following, .. } => match following {
                Some(following) => following.turn(),
                None => Err(Fault::Fatal("no follower".to_owned())),
            },
            Self::Ingest { instance, worker } => match worker {
                Some(worker) => worker.turn(peers(&instance.view, &instance.name, instance.clock.now())),
                None => Err(Fault::Fatal("no worker".to_owned())),
            },
            Self::Score { worker, .. } => match worker {
                Some(worker) => worker.turn(),
                None => Err(Fault::Fatal("no worker".to_owned())),
            },
        }
    }

    fn not_ready(&mut self) -> Option<String> {
        match self {
            Self::Score {
                worker: Some(worker), ..
            } => match worker.partitions() {
                (_, 0) => None,
                (n, restoring) => Some(format!("restoring {restoring} of {n} partitions")),
            },
            Self::Viewer {
                following, was_whole, ..
            } => {
                let behind = following.as_ref().and_then(Following::not_ready);
                *was_whole |= behind.is_none();
                behind.filter(|_| !*was_whole)
            }
            Self::Ingest { .. } | Self::Score { worker: None, .. } => None,
        }
    }

    fn not_ready_without(&self, why: String) -> Option<String> {
        match self {
            Self::Viewer { was_whole: true, .. } => None,
            Self::Viewer { .. } | Self::Ingest { .. } | Self::Score { .. } => Some(why),
        }
    }

    fn end(&mut self) {
        let client = match self {
            Self::Viewer { following, .. } => {
                *following = None;
                None
            }
            Self::Ingest { worker, .. } => worker.take().map(ingest::Worker::into_client),
            Self::Score { worker, queries, .. } => worker.take().map(|worker| {
                let (client, receive) = worker.into_parts();
                *queries = Some(receive);
                client
            }),
        };
        if let Some(client) = client
            && let Err(fault) = client.close(CLOSE_MAX)
        {
            tracing::warn!("a client did not end in time and is left to itself: {fault}");
        }
    }
}

fn viewer(instance: &Instance) -> Viewer {
    Viewer {
        connection: instance.connection.clone(),
        tuning: instance.tuning.clone(),
        client_id: format!("{}-view", instance.name),
        control: Instance::topic(&instance.settings.topics.control),
        overrides: Instance::topic(&instance.settings.topics.overrides),
        view: Arc::clone(&instance.view),
        decisions: instance.decisions.clone(),
        clock: instance.clock,
    }
}

fn ingest_worker(instance: &Instance) -> anyhow::Result<ingest::Worker<KafkaClient>> {
    let counts = instance.topic_counts()?;
    let topics = &instance.settings.topics;
    let inputs: Vec<&str> = topics.consumed().map(|(_, topic)| topic).collect();
    let client = instance.client("ingest", &inputs)?;
    let settings = Ingest {
        instance: instance.name.clone(),
        default_environment: instance.settings.default_environment.as_str().into(),
        kinds: topics
            .consumed()
            .map(|(kind, topic)| (Instance::topic(topic), kind))
            .collect(),
        events: Instance::topic(&topics.events),
        control: Instance::topic(&topics.control),
        rejected: Instance::topic(&topics.rejected),
        n_partitions: counts.log,
        n_rejected_partitions: counts.rejected,
        clock: instance.clock,
    };
    Ok(ingest::Worker::new(settings, client))
}

fn score_settings(instance: &Instance, n_partitions: u32) -> Score {
    let topics = &instance.settings.topics;
    Score {
        instance: instance.name.clone(),
        group: instance.settings.group.as_str().into(),
        url: instance.url.clone(),
        events: Instance::topic(&topics.events),
        state: Instance::topic(&topics.state),
        control: Instance::topic(&topics.control),
        n_partitions,
        clock: instance.clock,
    }
}

/// A thread with a reader of its own that restores partitions, one after the other; it ends with its worker.
fn restorer(instance: Instance, n_partitions: u32) -> anyhow::Result<Restorer> {
    let (ask, asked) = mpsc::channel::<Ask>();
    let (answer, answers) = mpsc::channel();
    let (events, state) = (
        Instance::topic(&instance.settings.topics.events),
        Instance::topic(&instance.settings.topics.state),
    );
    let mut reader = instance.reader("restore")?;
    let run = move || {
        while let Ok(ask) = asked.recv() {
            if instance.is_stopping() {
                return;
            }
            let watch = Stopwatch::start();
            let restored = restore(
                &mut reader,
                &beside(&events, ask.partition),
                &beside(&state, ask.partition),
                n_partitions,
            );
            metrics::histogram!("holdpoint_state_restore_seconds").record(watch.elapsed().as_secs_f64());
            if restored.is_err() {
                std::thread::sleep(Duration::from_millis(500));
            }
            if answer.send((ask, restored)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("restore".to_owned())
        .spawn(run)
        .context("starting a thread")?;
    Ok(Restorer { ask, answers })
}

/// Runs an instance until `stop` resolves or it cannot go on.
pub async fn run(
    settings: Settings,
    metrics: PrometheusHandle,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Ended> {
    let instance = Instance::new(settings, Tuning::default(), Clock::wall())?;
    let listener = if instance.settings.roles.api {
        Some(listen(&instance).await?)
    } else {
        None
    };
    let mut running = Running::start(&instance)?;
    let (stop_api, api_stopped) = oneshot::channel::<()>();
    let state = Arc::new(api_state(&instance, &running, metrics.clone()));
    let mut http = tokio::spawn(async move {
        // Also when the sender is gone.
        let stopped = async move { drop(api_stopped.await) };
        if let Some(listener) = listener {
            return api::serve(listener, state, stopped).await;
        }
        stopped.await;
        Ok(())
    });
    let (ended, early) = tokio::select! {
        ended = watch(&instance, &mut running, &metrics, stop) => (ended, None),
        over = &mut http => (Ended::GaveUp, Some(over)),
    };
    drop(stop_api);
    let clean = tokio::task::spawn_blocking(move || running.finish())
        .await
        .context("stopping")?;
    // Its drain has a bound of its own, and began with the workers' end.
    let over = match early {
        Some(over) => over,
        None => http.await,
    };
    if let Err(error) = over.context("the HTTP server")? {
        tracing::error!(%error, "HTTP can no longer be served");
    }
    Ok(if clean { ended } else { Ended::GaveUp })
}

/// Binds the address that HTTP is to be served on.
pub async fn listen(instance: &Instance) -> anyhow::Result<tokio::net::TcpListener> {
    let address = instance.settings.listen;
    tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}: choose another with --listen or HOLDPOINT_LISTEN"))
}

/// What the HTTP edge shows of an instance.
#[must_use]
pub fn api_state(instance: &Instance, running: &Running, metrics: PrometheusHandle) -> api::State {
    api::State {
        view: Arc::clone(&instance.view),
        reports: Arc::new(running.reports()),
        health: Arc::clone(&instance.health),
        metrics,
        decisions: instance.decisions.clone(),
        n_partitions: Arc::clone(&instance.n_partitions),
        clock: instance.clock,
        instance: instance.name.clone(),
        advertise: instance.url.clone(),
        default_environment: instance.settings.default_environment.as_str().into(),
    }
}

/// Looks after a running instance until `stop` resolves or a part of it hangs.
async fn watch(
    instance: &Instance,
    running: &mut Running,
    metrics: &PrometheusHandle,
    stop: impl Future<Output = ()>,
) -> Ended {
    tokio::pin!(stop);
    let mut every = tokio::time::interval(LOOK_EVERY);
    let mut upkeep = Stopwatch::start();
    loop {
        tokio::select! {
            () = &mut stop => return Ended::Stopped,
            _ = every.tick() => {
                instance.policy.watch();
                if upkeep.elapsed() >= telemetry::UPKEEP_EVERY {
                    upkeep = Stopwatch::start();
                    metrics.run_upkeep();
                }
                if let Some(worker) = running.beyond_repair() {
                    tracing::error!(worker, "hangs, or fails again and again while brokers answer");
                    return Ended::GaveUp;
                }
            }
        }
    }
}
