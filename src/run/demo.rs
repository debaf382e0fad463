//! `holdpoint demo`: a fleet, good and bad deploys, and the whole path, in one process on an embedded Kafka.
//!
//! ```text
//! scenario ─► script ─► player ─► input topics ─► the same workers as `holdpoint run` ─► control topic
//!    └─────────────────────────────────────────► judge ◄──────────────────────────────────────┘
//! ```
//!
//! The fleet's clock runs many times as fast as the wall's. Its history is there when the workers start, so they
//! begin as after an hour's downtime: by catching up in step. What a seed draws, and so what is sent, is the same
//! each time; when a decision is read is the machine's.

pub(super) mod chance;
mod counts;
mod fleet;
mod judge;
mod play;
mod scenario;
mod screen;
mod script;
mod words;

#[cfg(test)]
mod tests;

use std::{
    io::{IsTerminal as _, Write as _},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

use anyhow::Context as _;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{broadcast, oneshot};

use self::{
    counts::Counts,
    judge::Judge,
    play::Player,
    scenario::{Hour, LIVE, LIVE_LENGTH, Milestone, Scenario},
    screen::Screen,
    script::Script,
    words::Figures,
};
use super::{
    service::{Instance, Running, api_state},
    stop_signal,
};
use crate::{
    api,
    clock::{Clock, Stopwatch},
    config::{Settings, Topics},
    gate::{StandingDecision, View},
    model::Timestamp,
    stream::{embedded::Embedded, kafka::Tuning},
    telemetry,
};

/// Partitions of the log, of the snapshots and of the control topic.
const N_PARTITIONS: u32 = 4;
/// What workers take to join their groups: a mock broker makes the first of a group wait three seconds. By then the
/// fleet's clock is to say [`LIVE`].
const LEAD: Duration = Duration::from_secs(5);
/// A second is told to the log as one transaction: at 180 of them a second, every 5 ms, little time is left for more.
const RATE_MAX: u64 = 180;
/// At the wall's own rate the clock would show the wall's time.
const RATE_MIN: u64 = 2;
/// Between two looks, and so frames.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the last records may be under way.
const DRAIN_MAX: Duration = Duration::from_secs(15);

#[derive(Debug, Clone)]
pub struct Options {
    /// Draws the fleet and what happens to it.
    pub seed: u64,
    /// How long the live part lasts, by the wall.
    pub duration: Duration,
    /// Plain lines, also on a terminal.
    pub headless: bool,
    pub listen: SocketAddr,
}

/// What there is to show.
struct Frame<'a> {
    scenario: &'a Scenario,
    script: &'a Script,
    milestones: &'a [Milestone],
    view: &'a View,
    now: Timestamp,
    rate: u32,
    url: &'a str,
    counts: Counts,
    n_sent: usize,
    /// What is not ready.
    waits_for: Option<String>,
}

/// Runs it. True: every bad deploy was frozen, no healthy service was, and the books balance.
pub fn run(options: &Options) -> anyhow::Result<bool> {
    telemetry::install_logs("warn");
    let metrics = telemetry::install_metrics()?;
    let scenario = Scenario::new(options.seed);
    let mut settings = Settings::default();
    let script = Arc::new(Script::new(&scenario, &settings.topics));
    let embedded = embedded(&settings.topics)?;
    settings.brokers = embedded.brokers();
    settings.instance = Some("demo".to_owned());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let listener = runtime
        .block_on(api::listen(options.listen))
        .with_context(|| format!("cannot listen on {}: choose another with --listen", options.listen))?;
    settings.listen = listener.local_addr()?;

    let rate = LIVE_LENGTH.as_secs() * 1_000 / u64::try_from(options.duration.as_millis()).unwrap_or(u64::MAX).max(1);
    let rate = u32::try_from(rate.clamp(RATE_MIN, RATE_MAX)).unwrap_or(1);
    play::set_policy(&super::connection(&settings), &settings.topics.events, N_PARTITIONS)?;
    let instance = Instance::new(
        settings,
        Tuning::embedded(),
        Clock::compressed(LIVE - LEAD * rate, rate),
    )?;
    let heard = witness(&runtime, &instance);
    let interrupted = interrupted(&runtime);
    let running = Running::start(&instance)?;
    let edge = Arc::new(api_state(&instance, &running, metrics.clone()));
    let (stop_api, api_stopped) = oneshot::channel::<()>();
    let server = runtime.spawn(api::serve(listener, edge, async move {
        // Also when the sender is gone.
        drop(api_stopped.await);
    }));

    let stage = Stage {
        scenario: &scenario,
        script: &script,
        milestones: scenario.milestones(),
        instance: &instance,
        metrics: &metrics,
        rate,
        heard,
        interrupted,
        headless: options.headless,
    };
    let played = stage.play();
    drop(stop_api);
    let clean = running.finish();
    server.abort();
    runtime.shutdown_timeout(Duration::from_secs(1));
    let right = played?;
    if !clean {
        print("wrong: a worker did not stop in time");
    }
    Ok(right && clean)
}

/// The broker, with a topic of each kind and Holdpoint's own.
fn embedded(topics: &Topics) -> anyhow::Result<Embedded> {
    let own = i32::try_from(N_PARTITIONS).unwrap_or(1);
    let inputs = topics
        .consumed()
        .map(|(kind, topic)| (topic, script::n_partitions(kind)));
    let all: Vec<(&str, i32)> = inputs
        .chain([
            (topics.events.as_str(), own),
            (topics.state.as_str(), own),
            (topics.control.as_str(), own),
            (topics.rejected.as_str(), 1),
        ])
        .collect();
    Embedded::start(&all).context("starting the embedded Kafka")
}

/// A decision, and how long after the beginning it was read.
type Heard = mpsc::Receiver<(Arc<StandingDecision>, Stopwatch)>;

/// Notes of every decision read from the control topic when that was.
fn witness(runtime: &tokio::runtime::Runtime, instance: &Instance) -> Heard {
    let mut decisions = instance.decisions.subscribe();
    let (send, receive) = mpsc::channel();
    runtime.spawn(async move {
        loop {
            match decisions.recv().await {
                Ok(decision) => {
                    if send.send((decision, Stopwatch::start())).is_err() {
                        return;
                    }
                }
                // The judge finds a gap in the sequences.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    });
    receive
}

/// Turns true at SIGINT or SIGTERM.
fn interrupted(runtime: &tokio::runtime::Runtime) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = Arc::clone(&flag);
    runtime.spawn(async move {
        stop_signal().await;
        raised.store(true, Ordering::Relaxed);
    });
    flag
}

/// Where people see it.
enum Shown {
    Screen(Screen),
    Lines {
        /// Milestones told so far.
        n_told: usize,
        /// Heard since the last look, each with the line that it makes.
        heard: Vec<(Timestamp, String)>,
    },
}

impl Shown {
    fn hear(&mut self, decision: &Arc<StandingDecision>) {
        if !words::is_news(decision) {
            return;
        }
        match self {
            Self::Screen(screen) => screen.hear(decision),
            Self::Lines { heard, .. } => {
                heard.push((decision.decided_at, format!("  => {}", words::sentence(decision))));
            }
        }
    }

    fn look(&mut self, frame: &Frame<'_>) {
        match self {
            Self::Screen(screen) => screen.draw(frame),
            Self::Lines { n_told, heard } => {
                let n_passed = frame.milestones.partition_point(|milestone| milestone.at <= frame.now);
                for milestone in &frame.milestones[*n_told..n_passed] {
                    heard.push((milestone.at, format!("     {}", milestone.text)));
                }
                *n_told = n_passed;
                heard.sort_by_key(|(at, _)| *at);
                for (at, line) in heard.drain(..) {
                    print(&format!("{}{line}", Hour(at)));
                }
            }
        }
    }
}

/// A play in progress.
struct Stage<'a> {
    scenario: &'a Scenario,
    script: &'a Arc<Script>,
    milestones: Vec<Milestone>,
    instance: &'a Instance,
    metrics: &'a PrometheusHandle,
    rate: u32,
    heard: Heard,
    interrupted: Arc<AtomicBool>,
    headless: bool,
}

impl Stage<'_> {
    /// Plays the script to its end, shows and judges what comes of it.
    fn play(&self) -> anyhow::Result<bool> {
        let watch = Stopwatch::start();
        let n_sent = Arc::new(AtomicUsize::new(0));
        let player = Player {
            script: Arc::clone(self.script),
            clock: self.instance.clock,
            n_sent: Arc::clone(&n_sent),
            stop: Arc::clone(&self.interrupted),
        };
        let player = player.start(&self.instance.connection)?;
        let mut judge = Judge::new(self.scenario);
        let mut shown = self.open();
        let mut read = Vec::new();
        let mut ended: Option<Stopwatch> = None;
        let counts = loop {
            for (decision, at) in self.heard.try_iter() {
                judge.hear(&decision);
                shown.hear(&decision);
                read.push((decision, at));
            }
            let counts = Counts::read(self.metrics);
            shown.look(&self.frame(counts.clone(), n_sent.load(Ordering::Relaxed)));
            if self.interrupted.load(Ordering::Relaxed) {
                drop(shown);
                print("stopped before the end: no verdict");
                return Ok(false);
            }
            if player.is_finished() {
                let n_all = u64::try_from(self.script.records.len()).unwrap_or(u64::MAX);
                let settled = counts.n_settled() >= n_all && judge.has_heard_of_all_commits();
                if settled || ended.get_or_insert_with(Stopwatch::start).elapsed() >= DRAIN_MAX {
                    break counts;
                }
            }
            std::thread::sleep(LOOK_EVERY);
        };
        drop(shown);
        let sent = player.join()?;
        let figures = Figures {
            took: watch.elapsed(),
            latencies: latencies(&sent, &read),
        };
        let faults = judge.faults(&counts, self.script);
        for line in words::account(self.scenario, &judge, &counts, &figures, &faults) {
            print(&line);
        }
        Ok(faults.is_empty())
    }

    fn open(&self) -> Shown {
        if !self.headless && std::io::stdout().is_terminal() {
            return Shown::Screen(Screen::open());
        }
        print(&format!(
            "seed {}: {} services, {} deploys, {} records; {} times as fast as the wall; the page: {}",
            self.scenario.seed,
            self.scenario.fleet.len(),
            self.scenario.deploys.len(),
            self.script.records.len(),
            self.rate,
            self.instance.url
        ));
        Shown::Lines {
            n_told: 0,
            heard: Vec::new(),
        }
    }

    fn frame(&self, counts: Counts, n_sent: usize) -> Frame<'_> {
        let now = self.instance.clock.now();
        let waits_for = (now < LIVE || !self.instance.health.is_ready()).then(|| "catching up with history".to_owned());
        Frame {
            scenario: self.scenario,
            script: self.script,
            milestones: &self.milestones,
            view: &self.instance.view,
            now,
            rate: self.rate,
            url: &self.instance.url,
            counts,
            n_sent,
            waits_for,
        }
    }
}

/// From sending a commit to reading its first decision, for those sent live; in rising order.
fn latencies(sent: &play::Sent, read: &[(Arc<StandingDecision>, Stopwatch)]) -> Vec<Duration> {
    let mut all: Vec<Duration> = read
        .iter()
        .filter(|(decision, _)| decision.sequence.0 == 1)
        .filter_map(|(decision, at)| {
            let crate::model::Subject::Change(change) = &decision.subject else {
                return None;
            };
            // Both watches run on: the one begun later shows less.
            let sent = sent.get(&change.sha)?;
            Some(sent.elapsed().saturating_sub(at.elapsed()))
        })
        .collect();
    all.sort_unstable();
    all
}

/// A line for whoever reads along; one that went away wants no more.
fn print(line: &str) {
    drop(writeln!(std::io::stdout().lock(), "{line}"));
}
