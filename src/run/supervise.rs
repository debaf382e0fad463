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

use crate::{
    api::Health,
    clock::{Clock, Stopwatch},
    stream::Fault,
};

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
    /// How long one that is stuck did what there was to do before.
    fn well_for(&self) -> Duration;
    /// Why it is not ready, if it is not.
    fn not_ready(&mut self) -> Option<String>;
    /// Whether what it has done so far can be gone by while it is down, for `why`.
    fn not_ready_without(&self, why: String) -> Option<String> {
        Some(why)
    }
    /// Leaves the group and lets go of the clients.
    fn end(&mut self);
}

/// How the lives of a worker have gone.
struct Lives {
    clock: Clock,
    backoff: Duration,
    /// When the first of those ended that have not been well since.
    failing: Option<Stopwatch>,
}

impl Lives {
    fn new(clock: Clock) -> Self {
        Self {
            clock,
            backoff: BACKOFF_MIN,
            failing: None,
        }
    }

    /// One could not begin. Without brokers there is nothing that a new process could do better.
    fn note_unbegun(&mut self) {
        self.failing = None;
    }

    /// One ended that was well for so long; says whether the worker is to be given up.
    fn note_ended(&mut self, well_for: Duration) -> bool {
        if well_for >= WELL_AFTER {
            self.backoff = BACKOFF_MIN;
            self.failing = None;
        }
        // From the first failure on, not from when the life that failed began.
        let since = self.failing.get_or_insert_with(|| self.clock.stopwatch());
        since.elapsed() >= FAILING_MAX
    }

    /// How long to wait before the next.
    fn pause(&mut self) -> Duration {
        let doubled = (self.backoff * 2).min(BACKOFF_MAX);
        std::mem::replace(&mut self.backoff, doubled)
    }
}

/// Runs a worker on a thread of its own until `stop`.
pub(crate) fn supervise(
    name: &'static str,
    mut life: impl Life + 'static,
    clock: Clock,
    health: Arc<Health>,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Supervised> {
    let turns = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&turns);
    let given_up = Arc::new(AtomicBool::new(false));
    let beyond = Arc::clone(&given_up);
    health.set(name, Some("starting".to_owned()));
    let run = move || {
        let mut lives = Lives::new(clock);
        while !stop.load(Ordering::Relaxed) {
            counter.fetch_add(1, Ordering::Relaxed);
            match life.begin() {
                Ok(()) => {}
                Err(error) => {
                    lives.note_unbegun();
                    health.set(name, life.not_ready_without(format!("{error:#}")));
                    tracing::warn!(worker = name, "not started: {error:#}");
                    std::thread::sleep(lives.pause());
                    continue;
                }
            }
            let watch = clock.stopwatch();
            let mut well_for = None;
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
                    // One that was stuck from its beginning lived long, and was never well.
                    well_for = Some(life.well_for());
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
            let is_given_up = lives.note_ended(well_for.unwrap_or_else(|| watch.elapsed()));
            beyond.store(is_given_up, Ordering::Relaxed);
            std::thread::sleep(lives.pause());
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use super::*;

    /// How one life goes: how many seconds it lives, and for how many of them it was well if it ends stuck; else it ends
    /// with its client.
    type Played = (i64, Option<u64>);

    /// Lives that go as they are told to.
    struct Scripted {
        millis: &'static AtomicI64,
        lives: std::slice::Iter<'static, Played>,
        now: Option<Played>,
        stop: Arc<AtomicBool>,
    }

    impl Life for Scripted {
        fn begin(&mut self) -> anyhow::Result<()> {
            self.now = self.lives.next().copied();
            Ok(())
        }

        fn turn(&mut self) -> Result<(), Fault> {
            // Whether it is the last: what becomes of the worker is known when this one ends.
            self.stop.store(self.lives.len() == 0, Ordering::Relaxed);
            let (seconds, well_for) = self.now.expect("it has begun");
            self.millis.fetch_add(seconds * 1_000, Ordering::Relaxed);
            match well_for {
                Some(_) => Ok(()),
                None => Err(Fault::Fenced("told to".to_owned())),
            }
        }

        fn stuck(&mut self) -> Option<String> {
            Some("told to".to_owned())
        }

        fn well_for(&self) -> Duration {
            let (_, well_for) = self.now.expect("it has begun");
            Duration::from_secs(well_for.expect("it is stuck"))
        }

        fn not_ready(&mut self) -> Option<String> {
            None
        }

        fn end(&mut self) {}
    }

    #[test]
    fn pauses_between_lives_grow_up_to_a_bound_until_one_was_well() {
        let mut lives = Lives::new(Clock::wall());
        let mut pauses = |n| (0..n).map(|_| lives.pause().as_millis()).collect::<Vec<_>>();
        assert_eq!(pauses(7), [200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        lives.note_ended(WELL_AFTER / 2);
        assert_eq!(lives.pause(), BACKOFF_MAX);
        lives.note_ended(WELL_AFTER);
        assert_eq!(lives.pause(), BACKOFF_MIN);
    }

    #[test]
    fn a_worker_is_given_up_after_a_minute_in_which_none_of_its_lives_was_well() {
        const WEEK: i64 = 7 * 86_400;
        let cases: [(&str, &'static [Played], bool); 4] = [
            ("stuck once", &[(WEEK, Some(600_000))], false),
            (
                "fenced, and a week later stuck",
                &[(1, None), (WEEK, Some(600_000))],
                false,
            ),
            ("stuck from their beginnings", &[(61, Some(0)), (61, Some(2))], true),
            ("fenced, and lived well for a while", &[(1, None), (61, None)], false),
        ];
        for (what, lives, is_given_up) in cases {
            let millis = Box::leak(Box::new(AtomicI64::new(0)));
            let stop = Arc::new(AtomicBool::new(false));
            let life = Scripted {
                millis,
                lives: lives.iter(),
                now: None,
                stop: Arc::clone(&stop),
            };
            let health = Arc::new(Health::default());
            let supervised = supervise("told", life, Clock::set_by(millis), health, stop).expect("a thread");
            supervised.thread.join().expect("no panic");
            assert_eq!(supervised.given_up.load(Ordering::Relaxed), is_given_up, "{what}");
        }
    }
}
