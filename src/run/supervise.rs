//! What keeps a worker running: a client that failed is rebuilt with all that hangs on it; a process that cannot be
//! mended ends, for its supervisor to start anew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context as _;

use crate::{api::Health, clock::Stopwatch, stream::Fault};

/// Between two attempts to build a worker: short at first, then seconds.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A turn that lasts longer than this is a wedge: every wait inside it has a bound that is shorter.
const TURN_MAX: Duration = Duration::from_mins(1);

/// A worker that lived so long was well.
const WELL_AFTER: Duration = Duration::from_secs(10);
/// A worker that is built again and again and is never well, while brokers answer, is given up after this.
const FAILING_MAX: Duration = Duration::from_mins(1);

/// A worker's thread, and whether it moves.
#[derive(Debug)]
pub(crate) struct Supervised {
    pub(crate) name: &'static str,
    turns: Arc<AtomicU64>,
    given_up: Arc<AtomicBool>,
    thread: JoinHandle<()>,
    seen: (u64, Stopwatch),
}

/// What a worker's life is made of: [`Life::turn`] until it fails, then all of it anew.
pub(crate) trait Life: Send {
    /// Builds clients and worker. An error is shown in the readiness, and building is tried again.
    fn begin(&mut self) -> anyhow::Result<()>;
    /// One turn of the worker.
    fn turn(&mut self) -> Result<(), Fault>;
    /// What is wrong with a life that turns, and does nothing of what it could; asked after each turn.
    fn stuck(&mut self) -> Option<String>;
    /// Why it is not ready, if it is not.
    fn not_ready(&mut self) -> Option<String>;
    /// Whether what it has done so far can be gone by while it is down, for `why`.
    fn not_ready_without(&self, why: String) -> Option<String> {
        Some(why)
    }
    /// Leaves the group and lets go of the clients.
    fn end(&mut self);
}

/// Runs a worker on a thread of its own until `stop`.
pub(crate) fn supervise(
    name: &'static str,
    mut life: impl Life + 'static,
    health: Arc<Health>,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Supervised> {
    let turns = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&turns);
    let given_up = Arc::new(AtomicBool::new(false));
    let beyond = Arc::clone(&given_up);
    health.set(name, Some("starting".to_owned()));
    let run = move || {
        let mut backoff = BACKOFF_MIN;
        let mut failing: Option<Stopwatch> = None;
        while !stop.load(Ordering::Relaxed) {
            counter.fetch_add(1, Ordering::Relaxed);
            match life.begin() {
                Ok(()) => {}
                Err(error) => {
                    // Without brokers there is nothing that a new process could do better.
                    failing = None;
                    health.set(name, life.not_ready_without(format!("{error:#}")));
                    tracing::warn!(worker = name, "not started: {error:#}");
                    std::thread::sleep(backoff);
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                    continue;
                }
            }
            let watch = Stopwatch::start();
            let mut was_stuck = false;
            let fault = loop {
                counter.fetch_add(1, Ordering::Relaxed);
                if stop.load(Ordering::Relaxed) {
                    break None;
                }
                match life.turn() {
                    Ok(()) => health.set(name, life.not_ready()),
                    Err(Fault::Retry(why)) => tracing::debug!(worker = name, why, "not now"),
                    Err(fault) => break Some(fault),
                }
                if let Some(why) = life.stuck() {
                    was_stuck = true;
                    break Some(Fault::Fatal(why));
                }
            };
            if let Some(fault) = fault {
                tracing::warn!(worker = name, "client given up, building anew: {fault}");
                metrics::counter!("holdpoint_client_rebuilds_total").increment(1);
                health.set(name, life.not_ready_without(format!("building anew after: {fault}")));
            }
            counter.fetch_add(1, Ordering::Relaxed);
            life.end();
            // One that was stuck from its beginning lived long, and was never well.
            if watch.elapsed() >= WELL_AFTER && !was_stuck {
                backoff = BACKOFF_MIN;
                failing = None;
            }
            // From the first failure on, not from when the life that failed began.
            let since = failing.get_or_insert_with(Stopwatch::start);
            beyond.store(since.elapsed() >= FAILING_MAX, Ordering::Relaxed);
            std::thread::sleep(backoff);
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    };
    let thread = std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(run)
        .context("starting a thread")?;
    Ok(Supervised {
        name,
        turns,
        given_up,
        thread,
        seen: (0, Stopwatch::start()),
    })
}

impl Supervised {
    /// Whether its current turn has lasted too long for anything but a wedge, or no life of it was well for long.
    pub(crate) fn is_beyond_repair(&mut self) -> bool {
        let turns = self.turns.load(Ordering::Relaxed);
        if turns != self.seen.0 {
            self.seen = (turns, Stopwatch::start());
        }
        self.seen.1.elapsed() >= TURN_MAX || self.given_up.load(Ordering::Relaxed)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }
}
