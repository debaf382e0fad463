//! `holdpoint run`: ingest, score and the HTTP edge in one process, for as long as it is told.

mod count;
mod instance;
mod parts;
mod probe;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::oneshot;

pub use instance::Instance;

use self::parts::{IngestPart, ScorePart, ViewPart};
use super::{
    score::Query,
    supervise::{Life, Supervised, supervise},
    viewer::clock_offset_seconds,
};
use crate::{
    api::{self, Reported},
    clock::{Clock, Stopwatch},
    config::Settings,
    model::ServiceId,
    score::Policy,
    stream::{Fault, kafka::Tuning},
    telemetry,
};

/// Between two looks at whether the workers move, and the thread that reads the policy file.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Questions that wait for the score worker.
const QUERIES_MAX: usize = 1_024;
/// A clean stop takes at most this.
const STOP_MAX: Duration = Duration::from_secs(25);
/// Where a worker hangs, the others get so long to leave their groups.
const GIVE_UP_MAX: Duration = Duration::from_secs(3);

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// As it was told to.
    Stopped,
    /// Something cannot be mended in this process.
    GaveUp,
}

/// The parts of a running instance.
#[derive(Debug)]
pub struct Running {
    instance: Instance,
    workers: Vec<Supervised>,
    queries: Option<mpsc::SyncSender<Query>>,
}

impl Running {
    /// Starts the workers that the roles name. They wait for brokers and topics by themselves.
    pub fn start(instance: &Instance) -> anyhow::Result<Self> {
        let roles = instance.settings.roles;
        let mut workers = vec![supervised("view", instance, ViewPart::new(instance.clone()))?];
        let mut queries = None;
        if roles.ingest {
            workers.push(supervised("ingest", instance, IngestPart::new(instance.clone()))?);
        }
        if roles.score {
            let (send, receive) = mpsc::sync_channel(QUERIES_MAX);
            queries = Some(send);
            workers.push(supervised(
                "score",
                instance,
                ScorePart::new(instance.clone(), receive),
            )?);
        }
        Ok(Self {
            instance: instance.clone(),
            workers,
            queries,
        })
    }

    /// Asks the score worker of a service.
    pub fn reports(&self) -> impl Fn(ServiceId) -> oneshot::Receiver<Reported> + Send + Sync + use<> {
        let queries = self.queries.clone();
        move |service| {
            let (answer, receive) = oneshot::channel();
            match &queries {
                // A worker that is gone, or has too many to answer, drops the question, which the asker sees.
                Some(queries) => drop(queries.try_send(Query { service, answer })),
                None => drop(answer.send(Reported::NotHeld)),
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
        self.finish_within(STOP_MAX)
    }

    fn finish_within(self, bound: Duration) -> bool {
        self.instance.stop();
        let watch = Stopwatch::start();
        while watch.elapsed() < bound {
            if self.are_finished() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let left = self.workers.iter().filter(|worker| !worker.is_finished());
        let left: Vec<&str> = left.map(|worker| worker.name).collect();
        tracing::error!(workers = left.join(", "), "not ended within {bound:?}");
        false
    }
}

fn supervised(name: &'static str, instance: &Instance, part: impl Life + 'static) -> anyhow::Result<Supervised> {
    let (health, stop) = (Arc::clone(&instance.health), Arc::clone(&instance.stop));
    supervise(name, part, instance.clock, health, stop)
}

/// Runs an instance until `stop` resolves or it cannot go on.
pub async fn run(
    settings: Settings,
    metrics: PrometheusHandle,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<Ended> {
    let instance = Instance::new(settings, Tuning::default(), Clock::wall())?;
    // The workers would try for ever what librdkafka refuses for ever. What passes they meet themselves, and say so.
    if let Err(refused @ Fault::Fatal(_)) = instance.connection.check(&instance.tuning) {
        return Err(anyhow::Error::from(refused).context("the settings of Kafka are wrong"));
    }
    let listener = if instance.settings.roles.api {
        Some(listen(&instance).await?)
    } else {
        None
    };
    introduce(&instance, listener.as_ref());
    instance.policy.watch(&instance.stop)?;
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
    let bound = match ended {
        Ended::Stopped => STOP_MAX,
        Ended::GaveUp => GIVE_UP_MAX,
    };
    let clean = tokio::task::spawn_blocking(move || running.finish_within(bound))
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
    let ended = if clean { ended } else { Ended::GaveUp };
    if ended == Ended::Stopped {
        tracing::info!(instance = &*instance.name, "stopped as told");
    }
    Ok(ended)
}

/// Says what this instance is, for whoever looks at its log first. No setting of `[kafka]`, for these may be secret.
fn introduce(instance: &Instance, listener: Option<&tokio::net::TcpListener>) {
    let settings = &instance.settings;
    // Port 0 is another one by now.
    let listen = listener.and_then(|listener| listener.local_addr().ok());
    let listen = listen.map_or("nowhere".to_owned(), |address| address.to_string());
    // At the top of its file: of tiers, environments and services it may be another, and without a file the log's.
    let policy = instance.policy.current();
    let policy = policy.and_then(|policy| Policy::parse(&policy.text).ok());
    let mode = policy.map_or("as in force", |policy| policy.base.mode.name());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        instance = &*instance.name,
        roles = %settings.roles,
        listen,
        brokers = settings.brokers,
        group = settings.group,
        mode,
        "started"
    );
}

/// Binds the address that HTTP is to be served on.
pub async fn listen(instance: &Instance) -> anyhow::Result<tokio::net::TcpListener> {
    let address = instance.settings.listen;
    api::listen(address)
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
        ai: instance.ai.subscribe(),
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
                instance.policy.note_hung();
                let offset = clock_offset_seconds(&instance.view, &instance.name, instance.clock.now());
                metrics::gauge!("holdpoint_clock_offset_seconds").set(offset.unwrap_or(f64::NAN));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    /// One whose properties are good waits for brokers, and ends well as soon as it is told to.
    #[tokio::test]
    async fn an_instance_whose_properties_are_refused_does_not_start() {
        for (property, value, is_refused) in [
            ("kafka.sasl.passwordx", "hush", true),
            ("kafka.linger.ms", "900000", true),
            ("kafka.socket.keepalive.enable", "true", false),
        ] {
            let flags = [(property, value), ("brokers", "127.0.0.1:1"), ("roles", "score")];
            let flags: Flags = flags.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
            let (settings, _) =
                Settings::load(None, std::iter::empty(), &flags, &|path| std::fs::read_to_string(path)).expect("good");
            let metrics = metrics_exporter_prometheus::PrometheusBuilder::new()
                .build_recorder()
                .handle();
            let ended = run(settings, metrics, std::future::ready(())).await;
            assert_eq!(ended.is_err(), is_refused, "{property}: {ended:?}");
        }
    }
}
