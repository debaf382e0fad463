//! A run from its first record to its table: under load, one fault after another, and the books in between.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::Duration,
};

use anyhow::{anyhow, bail};
use holdpoint::{clock::Stopwatch, gate, model::PartitionIndex, stream::Write, wire::control};

use crate::{
    arguments::{Arguments, Kind, Spoil},
    audit::audit,
    chance::Chance,
    cluster::Cluster,
    fault::{self, Fault},
    feed::Feed,
    reproduction,
    roster::Roster,
    say,
    support::{Site, now},
    table::Tally,
    violations::Violations,
    watch::Watch,
    whole::{Goal, Progress},
};

/// What the contract promises.
const WHOLE_WITHIN: Duration = Duration::from_secs(90);
/// After this it will not be whole by itself, and a further fault would show nothing.
const GIVEN_UP_AFTER: Duration = Duration::from_mins(5);
/// The books are looked at after so many faults: it takes a quiet quarter of a minute.
const FAULTS_PER_AUDIT: u32 = 25;
/// Two heartbeats of each partition: enough to see whether anybody else speaks for it.
const QUIET: Duration = Duration::from_secs(11);
/// What is left to arrive when all is read: the records of the last transactions, at the reader.
const BALANCED_WITHIN: Duration = Duration::from_secs(30);
/// An instance that goes on after a stop looks well until it hears that its group has gone on without it.
const STEADY: Duration = Duration::from_millis(1_500);
const LOOK_EVERY: Duration = Duration::from_millis(150);
const POLICY: &str = "mode = \"enforce\"\n";

/// Told to stop: by Ctrl-C, or by SIGTERM.
pub(crate) static INTERRUPTED: AtomicBool = AtomicBool::new(false);

pub(crate) struct Trial<'a> {
    arguments: &'a Arguments,
    // Dropped in this order: what needs the brokers goes before them.
    feed: Feed,
    watch: Watch,
    progress: Progress,
    roster: Roster,
    site: Site,
    cluster: Cluster,
    chance: Chance,
    violations: Violations,
    /// What the books showed at their worst.
    books: Violations,
    pub(crate) tally: Tally,
}

impl<'a> Trial<'a> {
    pub(crate) fn begin(arguments: &'a Arguments, cluster: Cluster) -> anyhow::Result<Self> {
        let inputs = [("errors", 6), ("deploys", 2), ("commits", 3)];
        let site = Site::new(&cluster.brokers, "faults", &inputs, POLICY);
        let mut roster = Roster::new(arguments.instances, &logs(arguments))?;
        for member in 0..roster.n() {
            roster.start(&site, member)?;
        }
        let mut trial = Self {
            watch: Watch::start(&site, arguments.spoil)?,
            feed: Feed::start(&site, arguments.seed, arguments.rate)?,
            progress: Progress::new(&site)?,
            roster,
            site,
            cluster,
            arguments,
            chance: Chance::new(arguments.seed),
            violations: Violations::default(),
            books: Violations::default(),
            tally: Tally::default(),
        };
        while trial.feed.n_sent() == 0 {
            sleep(LOOK_EVERY);
        }
        // Hours of history are read first: nothing is promised of that.
        let took = trial.wait_whole(GIVEN_UP_AFTER)?;
        say(&format!(
            "whole after {:.1} s; seed {}",
            took.as_secs_f64(),
            arguments.seed
        ));
        Ok(trial)
    }

    /// Fault after fault, until there were enough.
    pub(crate) fn run(&mut self) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        let within = self
            .arguments
            .minutes
            .map(|minutes| Duration::from_mins(minutes.into()));
        let mut audited_at = 0;
        while self.tally.n_faults < self.arguments.faults() && within.is_none_or(|within| watch.elapsed() < within) {
            let faults = fault::draw(
                &mut self.chance,
                self.arguments,
                self.arguments.faults() - self.tally.n_faults,
            );
            self.suffer(&faults)?;
            let took = self.wait_whole(WHOLE_WITHIN)?;
            self.tally.note(&faults, took);
            let names: Vec<String> = faults.iter().map(Fault::to_string).collect();
            say(&format!(
                "{:>4}  {}: whole after {:.1} s; {} violations",
                self.tally.n_faults,
                names.join(" + "),
                took.as_secs_f64(),
                self.violations().n()
            ));
            if self.tally.n_faults >= audited_at + FAULTS_PER_AUDIT {
                audited_at = self.tally.n_faults;
                self.audit()?;
            }
        }
        Ok(())
    }

    /// The last look: the books, clean stops, and whether the core alone says the same.
    pub(crate) fn end(&mut self) -> anyhow::Result<()> {
        self.audit()?;
        self.feed.pause();
        for member in 0..=self.roster.n() {
            self.roster.terminate(member, true, &mut self.violations);
        }
        self.score_the_rest()?;
        let (checked, differences) = reproduction::compare(&self.site);
        for difference in differences {
            self.violations.reproduction.note(|| difference);
        }
        if checked.n_decisions == 0 || checked.n_snapshots == 0 {
            bail!("nothing was reproduced: {checked:?}");
        }
        let seen = self.watch.seen();
        say(&format!(
            "{} records sent, {} refused, {} decisions and {} heartbeats heard, {} snapshots reproduced",
            seen.ledger.n_events(),
            seen.ledger.n_bad(),
            seen.voices.n_decisions,
            seen.voices.n_heartbeats,
            checked.n_snapshots
        ));
        Ok(())
    }

    /// Ingest tells the time to its last moment, and no scorer may be left to hear it. One that has no ingest beside it
    /// reads the log to its end, so that all that is to be said of it has been said.
    fn score_the_rest(&mut self) -> anyhow::Result<()> {
        self.roster.start_as(&self.site, 0, "score")?;
        // What it says may be messages, which are to be read too.
        for _ in 0..2 {
            let watch = Stopwatch::start();
            let mut goal = Goal::of_log();
            while let Some(unread) = self.progress.unread(&mut goal) {
                check_interrupted()?;
                if watch.elapsed() > WHOLE_WITHIN {
                    bail!("the log is not read to its end: {unread}");
                }
                sleep(LOOK_EVERY);
            }
        }
        self.roster.terminate(0, true, &mut self.violations);
        Ok(())
    }

    /// How often an instance ended by itself, as the contract lets it, for its supervisor.
    pub(crate) fn n_gave_up(&self) -> u64 {
        self.roster.n_gave_up
    }

    /// All that was found so far.
    pub(crate) fn violations(&self) -> Violations {
        let mut all = self.violations.clone();
        all.merge(&self.books);
        all.merge(&self.watch.seen().violations);
        all
    }

    fn suffer(&mut self, faults: &[Fault]) -> anyhow::Result<()> {
        let brokers_answer = !faults.iter().any(|fault| fault.kind.is_of_broker());
        for fault in faults {
            self.inject(*fault, brokers_answer)?;
        }
        let mut in_order = faults.to_vec();
        in_order.sort_by_key(|fault| fault.hold);
        let watch = Stopwatch::start();
        for fault in in_order {
            while watch.elapsed() < fault.hold {
                check_interrupted()?;
                sleep(LOOK_EVERY.min(fault.hold.saturating_sub(watch.elapsed())));
            }
            self.undo(fault, brokers_answer)?;
        }
        Ok(())
    }

    fn inject(&mut self, fault: Fault, brokers_answer: bool) -> anyhow::Result<()> {
        let member = usize::try_from(fault.target)?;
        match fault.kind {
            Kind::Kill => self.roster.kill(member),
            Kind::Pause => {
                self.watch.seen().voices.note_pause(self.roster.name(member), now());
                self.roster.pause(member);
            }
            Kind::Terminate => self.roster.terminate(member, brokers_answer, &mut self.violations),
            Kind::Join => {
                let extra = self.roster.n();
                if self.roster.is_there(extra) {
                    self.roster.terminate(extra, brokers_answer, &mut self.violations);
                } else {
                    self.roster.start(&self.site, extra)?;
                }
            }
            Kind::BrokerKill => self.cluster.node("kill", fault.target)?,
            Kind::BrokerStop => self.cluster.node("stop", fault.target)?,
        }
        Ok(())
    }

    fn undo(&mut self, fault: Fault, brokers_answer: bool) -> anyhow::Result<()> {
        let member = usize::try_from(fault.target)?;
        match fault.kind {
            Kind::Kill | Kind::Terminate => self.roster.start(&self.site, member)?,
            Kind::Pause => {
                if self.arguments.spoil == Some(Spoil::Heartbeat) {
                    self.forge_heartbeat(member)?;
                }
                let name = self.roster.name(member);
                self.watch.seen().voices.note_resumption(name, now(), brokers_answer);
                self.roster.resume(member);
            }
            Kind::Join => {}
            Kind::BrokerKill | Kind::BrokerStop => self.cluster.node("start", fault.target)?,
        }
        Ok(())
    }

    /// Waits until all is well and stays so; how long it took. Errs where that is not to be expected any more.
    fn wait_whole(&mut self, within: Duration) -> anyhow::Result<Duration> {
        let watch = Stopwatch::start();
        let mut goal = Goal::default();
        let mut is_late = false;
        let mut since = None;
        loop {
            check_interrupted()?;
            self.watch.check()?;
            self.roster.supervise(&self.site, &mut self.violations)?;
            let missing = self.progress.missing(&mut goal, &self.roster, &self.watch);
            let Some(missing) = missing else {
                let whole_at: Duration = *since.get_or_insert_with(|| watch.elapsed());
                if watch.elapsed() >= whole_at + STEADY {
                    return Ok(whole_at);
                }
                sleep(LOOK_EVERY);
                continue;
            };
            since = None;
            if watch.elapsed() > within && !is_late {
                is_late = true;
                say(&format!("not whole within {within:?}: {missing}"));
                self.violations.not_whole.note(|| missing.clone());
            }
            if watch.elapsed() > GIVEN_UP_AFTER {
                bail!("not whole after {GIVEN_UP_AFTER:?}: {missing}");
            }
            sleep(LOOK_EVERY);
        }
    }

    /// Lets everything come to rest, listens for more than one voice, and compares the books.
    fn audit(&mut self) -> anyhow::Result<()> {
        self.feed.pause();
        while !self.feed.is_idle() {
            check_interrupted()?;
            sleep(LOOK_EVERY);
        }
        self.wait_whole(WHOLE_WITHIN)?;
        self.watch.seen().voices.begin_quiet(now());
        let watch = Stopwatch::start();
        let found = loop {
            check_interrupted()?;
            self.watch.check()?;
            let found = audit(&self.feed, &self.roster, &self.watch, self.arguments.spoil);
            let is_settled = found.as_ref().is_some_and(|found| found.n() == 0) && watch.elapsed() > QUIET;
            if is_settled || watch.elapsed() > BALANCED_WITHIN {
                break found;
            }
            sleep(Duration::from_millis(500));
        };
        self.watch.seen().voices.end_quiet();
        self.feed.resume();
        let Some(found) = found else {
            bail!("the owners of services do not answer, though all is whole");
        };
        say(&format!(
            "the books, {} faults in: {} violations",
            self.tally.n_faults,
            found.n()
        ));
        // What is lost is lost at the next look too: the worst is kept, not the sum.
        if found.n() >= self.books.n() {
            self.books = found;
        }
        Ok(())
    }

    /// What a zombie would do; only to see that it is noticed.
    fn forge_heartbeat(&self, member: usize) -> anyhow::Result<()> {
        let partition = PartitionIndex(0);
        let beat = self.watch.seen().voices.beats().get(&partition).cloned();
        let (heartbeat, _) = beat.ok_or_else(|| anyhow!("no heartbeat to forge"))?;
        let forged = gate::Heartbeat {
            instance: self.roster.name(member).into(),
            ..heartbeat
        };
        let write = Write {
            topic: self.site.topic("control").into(),
            partition,
            timestamp: now(),
            key: Some(format!("heartbeat:{partition}").into_bytes()),
            value: Some(control::encode_heartbeat(&forged)),
            headers: Vec::new(),
        };
        self.site.publisher.send(&write, WHOLE_WITHIN)?;
        Ok(())
    }
}

pub(crate) fn logs(arguments: &Arguments) -> PathBuf {
    arguments.dir.join("logs")
}

fn check_interrupted() -> anyhow::Result<()> {
    if INTERRUPTED.load(Ordering::Acquire) {
        bail!("interrupted");
    }
    Ok(())
}
