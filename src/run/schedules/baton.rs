//! Who goes on: threads that take turns, one at a time, by a seed; time that passes only when all wait; and the faults
//! that befall them at given steps.

use std::{
    any::Any,
    cell::Cell,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::Duration,
};

use crate::{
    clock::Clock,
    model::Timestamp,
    run::demo::chance::Chance,
    stream::memory::{Fate, Process, Schedule, Step},
};

/// What befalls whoever reaches a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The call fails, or the transaction is aborted.
    Fail,
    /// The client is beyond repair, and its process builds another.
    Break,
    /// The client gets nothing more, and does not say so.
    Silence,
    /// The process is gone, as by SIGKILL.
    Crash,
    /// The process is asked to end, as by SIGTERM.
    Stop,
    /// This thread goes no further for so long; its process lives.
    Hold(Duration),
    /// The process goes no further for so long, and gives no sign of life, as by SIGSTOP.
    Freeze(Duration),
}

/// In what state a process is.
#[derive(Debug, Clone, Copy, Default)]
struct Condition {
    dead_since: Option<Timestamp>,
    frozen: Option<(Timestamp, Timestamp)>,
    is_stopping: bool,
}

struct Player {
    process: Option<Process>,
    thread: Thread,
    wake: Timestamp,
    is_over: bool,
}

struct Turns {
    chance: Chance,
    players: Vec<Player>,
    holder: usize,
    /// By number of the step, counted over all processes.
    faults: BTreeMap<u64, Fault>,
    n_steps: u64,
    is_armed: bool,
    conditions: BTreeMap<Process, Condition>,
    /// What happened where, for whoever reads of a failure.
    met: Vec<(u64, Process, Step, Fault)>,
    panics: Vec<String>,
}

/// One at a time holds it.
pub(crate) struct Baton {
    turns: Mutex<Turns>,
    millis: &'static AtomicI64,
}

/// What a panic says.
pub(crate) fn text_of(panic: &dyn Any) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    let text = owned.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "a panic without words".to_owned())
}

thread_local! {
    static PLAYER: Cell<usize> = const { Cell::new(0) };
}

impl Baton {
    /// The calling thread is the first player, of no process, and holds the baton.
    pub(crate) fn new(seed: u64, start: Timestamp, faults: BTreeMap<u64, Fault>) -> Arc<Self> {
        PLAYER.set(0);
        let driver = Player {
            process: None,
            thread: thread::current(),
            wake: start,
            is_over: false,
        };
        Arc::new(Self {
            turns: Mutex::new(Turns {
                chance: Chance::new(seed),
                players: vec![driver],
                holder: 0,
                faults,
                n_steps: 0,
                is_armed: false,
                conditions: BTreeMap::new(),
                met: Vec::new(),
                panics: Vec::new(),
            }),
            // A few bytes for each schedule: clocks are copied freely, and live as long as the program.
            millis: Box::leak(Box::new(AtomicI64::new(start.millis()))),
        })
    }

    pub(crate) fn clock(&self) -> Clock {
        Clock::set_by(self.millis)
    }

    /// From now on steps are counted, and faults happen.
    pub(crate) fn arm(&self) {
        self.lock().is_armed = true;
    }

    /// From now on nothing more happens to anybody.
    pub(crate) fn disarm(&self) {
        self.lock().faults.clear();
    }

    pub(crate) fn n_steps(&self) -> u64 {
        self.lock().n_steps
    }

    pub(crate) fn met(&self) -> Vec<(u64, Process, Step, Fault)> {
        self.lock().met.clone()
    }

    pub(crate) fn panics(&self) -> Vec<String> {
        self.lock().panics.clone()
    }

    pub(crate) fn is_stopping(&self, process: Process) -> bool {
        self.lock().condition(process).is_stopping
    }

    pub(crate) fn is_dead(&self, process: Process) -> bool {
        self.lock().condition(process).dead_since.is_some()
    }

    pub(crate) fn kill(&self, process: Process) {
        let now = self.now();
        let mut turns = self.lock();
        let condition = turns.conditions.entry(process).or_default();
        condition.dead_since = condition.dead_since.or(Some(now));
    }

    pub(crate) fn stop(&self, process: Process) {
        self.lock().conditions.entry(process).or_default().is_stopping = true;
    }

    /// Whether no thread of `process` is left.
    pub(crate) fn is_over(&self, process: Process) -> bool {
        let turns = self.lock();
        turns
            .players
            .iter()
            .filter(|player| player.process == Some(process))
            .all(|player| player.is_over)
    }

    pub(crate) fn chance<T>(&self, draw: impl FnOnce(&mut Chance) -> T) -> T {
        draw(&mut self.lock().chance)
    }

    /// A thread of `process`, which begins when its turn comes.
    pub(crate) fn spawn(self: &Arc<Self>, process: Process, play: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
        let index = self.lock().players.len();
        let baton = Arc::clone(self);
        let handle = thread::spawn(move || {
            PLAYER.set(index);
            baton.await_turn(index);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(play)) {
                baton.lock().panics.push(text_of(&*panic));
            }
            let mut turns = baton.lock();
            turns.players[index].is_over = true;
            baton.hand_over(turns);
        });
        let now = self.now();
        self.lock().players.push(Player {
            process: Some(process),
            thread: handle.thread().clone(),
            wake: now,
            is_over: false,
        });
        handle
    }

    /// The driver has nothing to do for so long.
    pub(crate) fn rest(&self, wait: Duration) {
        self.sleep(0, wait);
    }

    fn sleep(&self, player: usize, wait: Duration) {
        let mut turns = self.lock();
        turns.players[player].wake = self.now() + wait;
        self.hand_over(turns);
        self.await_turn(player);
    }

    /// Gives the baton to one that can go on; if none can, time passes until one can.
    fn hand_over(&self, mut turns: MutexGuard<'_, Turns>) {
        let mut now = self.now();
        let ready = loop {
            let ready: Vec<usize> = (0..turns.players.len())
                .filter(|index| turns.wakes_at(*index).is_some_and(|wake| wake <= now))
                .collect();
            if !ready.is_empty() {
                break ready;
            }
            let next = (0..turns.players.len()).filter_map(|index| turns.wakes_at(index)).min();
            // The driver is never over.
            let Some(next) = next else { return };
            now = next;
            self.millis.store(now.millis(), Ordering::Relaxed);
        };
        turns.holder = *turns.chance.pick(&ready);
        let thread = turns.players[turns.holder].thread.clone();
        drop(turns);
        thread.unpark();
    }

    fn await_turn(&self, player: usize) {
        while self.lock().holder != player {
            thread::park();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns {
    fn condition(&self, process: Process) -> Condition {
        self.conditions.get(&process).copied().unwrap_or_default()
    }

    /// When a player can go on; `None` if it never will.
    fn wakes_at(&self, index: usize) -> Option<Timestamp> {
        let player = &self.players[index];
        if player.is_over {
            return None;
        }
        let Some(process) = player.process else {
            return Some(player.wake);
        };
        let condition = self.condition(process);
        if condition.dead_since.is_some() {
            // At once, to find out.
            return Some(Timestamp::MIN);
        }
        let thaws = condition.frozen.map_or(Timestamp::MIN, |(_, until)| until);
        Some(player.wake.max(thaws))
    }
}

impl Schedule for Baton {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::Relaxed))
    }

    fn reach(&self, process: Process, step: Step) -> Fate {
        let player = PLAYER.get();
        let mut turns = self.lock();
        if turns.condition(process).dead_since.is_some() {
            return Fate::Crash;
        }
        // A step takes a moment.
        let took = i64::try_from(turns.chance.below(3)).unwrap_or(0);
        let now = Timestamp::from_millis(self.millis.fetch_add(took, Ordering::Relaxed) + took);
        let mut fate = Fate::GoOn;
        let mut held = Duration::ZERO;
        if turns.is_armed {
            turns.n_steps += 1;
            let n = turns.n_steps;
            if let Some(fault) = turns.faults.remove(&n) {
                turns.met.push((n, process, step, fault));
                let condition = turns.conditions.entry(process).or_default();
                match fault {
                    Fault::Fail => fate = Fate::Fail,
                    Fault::Break => fate = Fate::Break,
                    Fault::Silence => fate = Fate::FallSilent,
                    Fault::Crash => {
                        condition.dead_since = Some(now);
                        return Fate::Crash;
                    }
                    Fault::Stop => condition.is_stopping = true,
                    Fault::Hold(time) => held = time,
                    Fault::Freeze(time) => condition.frozen = Some((now, now + time)),
                }
                if matches!(fault, Fault::Freeze(_)) {
                    held = Duration::from_millis(1);
                }
            }
        }
        let lets_others = !held.is_zero() || turns.chance.below(6) == 0;
        drop(turns);
        if lets_others {
            self.sleep(player, held);
            if self.is_dead(process) {
                return Fate::Crash;
            }
        }
        fate
    }

    fn wait(&self, _process: Process, wait: Duration) {
        self.sleep(PLAYER.get(), wait);
    }

    fn silent_since(&self, process: Process) -> Option<Timestamp> {
        let condition = self.lock().condition(process);
        let now = self.now();
        let frozen = condition
            .frozen
            .filter(|(_, until)| now < *until)
            .map(|(since, _)| since);
        condition.dead_since.or(frozen)
    }
}
