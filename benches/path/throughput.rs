//! How many events a processor's second takes in, catching up on inputs that were filled before.

use std::{collections::BTreeMap, thread::sleep, time::Duration};

use anyhow::ensure;
use clap::Args;
use holdpoint::{clock::Stopwatch, score::WINDOW_HASHES_MAX};

use crate::{
    bare::{self, Loop},
    events, feed,
    instance::{Counts, Instance, Sample},
    site::{Keep, LOG_PARTITIONS, Site},
    sustained::Sustained,
    usage::{self, Work, grouped, note, say},
};

/// Asking costs the instance a fraction of a millisecond.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const WITHIN: Duration = Duration::from_mins(30);

/// Events per second and per CPU-second: catching up, or sustained.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  throughput --events 5000000              catch up on five million events of the last ten minutes
  throughput --minutes 10 --rate 100000    ten minutes beside a generator at 100,000 events a second
  throughput --minutes 60 --rate 2000 --guest-every 60
                                           an hour in which a second instance comes and goes each minute")]
pub(crate) struct Throughput {
    /// Events to catch up on.
    #[arg(long, default_value_t = 3_000_000)]
    pub(crate) events: u64,
    /// Over how many seconds of the past their times are spread.
    #[arg(long, default_value_t = 600)]
    pub(crate) spread: u64,
    /// Sustained for so long instead.
    #[arg(long, requires = "rate")]
    pub(crate) minutes: Option<u64>,
    /// Events a second of a sustained run.
    #[arg(long)]
    pub(crate) rate: Option<u64>,
    /// A second instance comes and goes once in so many seconds of a sustained run.
    #[arg(long, requires = "minutes", value_parser = clap::value_parser!(u64).range(10..))]
    pub(crate) guest_every: Option<u64>,
    /// Errors in place of the commits of a sustained run, whose decisions are kept for a fortnight: what memory grows by
    /// then is kept for no reason.
    #[arg(long, requires = "minutes")]
    pub(crate) without_commits: bool,
    /// Without the bare loops.
    #[arg(long)]
    pub(crate) alone: bool,
}

impl Throughput {
    pub(crate) fn catch_up_on(n_events: u64) -> Self {
        Self {
            events: n_events,
            spread: 600,
            minutes: None,
            rate: None,
            guest_every: None,
            without_commits: false,
            alone: false,
        }
    }

    pub(crate) fn run(&self, brokers: &str) -> anyhow::Result<()> {
        match (self.minutes, self.rate) {
            (Some(minutes), Some(rate)) => {
                let sustained = Sustained {
                    length: Duration::from_mins(minutes),
                    rate,
                    guest_every: self.guest_every.map(Duration::from_secs),
                    without_commits: self.without_commits,
                };
                sustained.run(brokers)
            }
            _ => self.catch_up(brokers),
        }
    }

    fn catch_up(&self, brokers: &str) -> anyhow::Result<()> {
        let site = Site::new(brokers, "catch-up", Keep::All)?;
        note(&format!("filling the inputs with {} events", grouped(self.events)))?;
        feed::prefill(brokers, &site.prefix, self.events, Duration::from_secs(self.spread))?;
        note("catching up on them")?;
        let caught_up = self.measure(&site)?;
        let CaughtUp { work, memory_mib, .. } = &caught_up;
        let books = books(&caught_up.last.counts, self.events)?;
        let mut rows = vec![row("holdpoint, both stages", work)];
        if !self.alone {
            for (name, what) in [
                ("bare: consume, count", Loop::Count),
                ("bare: consume, transact, produce", Loop::Transact),
            ] {
                note(name)?;
                rows.push(row(name, &bare::run(&site, what, self.events)?));
            }
        }
        say(&format!(
            "catch-up: {} events over {} services, of the last {} s; after the first fifth",
            grouped(self.events),
            grouped(events::SERVICES),
            self.spread
        ))?;
        say(&format!(
            "  {:<34}{:>12}{:>18}{:>12}",
            "", "events/s", "events/CPU-s", "ns/event"
        ))?;
        for row in rows {
            say(&row)?;
        }
        say(&format!("  {books}; {memory_mib} MiB resident"))?;
        say(&format!("  where the CPU went: {}", shares(&caught_up.by_thread)))
    }

    /// Runs an instance until it is done with all; from the warm point to its last look before the end.
    fn measure(&self, site: &Site) -> anyhow::Result<CaughtUp> {
        let mut instance = Instance::start(site)?;
        let watch = Stopwatch::start();
        let mut samples: Vec<Sample> = Vec::new();
        let mut n_looks = 0_u32;
        let last = loop {
            ensure!(watch.elapsed() < WITHIN, "not caught up within {WITHIN:?}");
            n_looks += 1;
            sleep((LOOK_EVERY * n_looks).saturating_sub(watch.elapsed()));
            let Some(sample) = instance.sample(&watch)? else {
                continue;
            };
            if sample.counts.done() + sample.counts.rejected >= self.events {
                break sample;
            }
            // What is applied is counted when it is committed: looks in between are at no more than the one before.
            if samples
                .last()
                .is_none_or(|last| sample.counts.done() > last.counts.done())
            {
                samples.push(sample);
            }
        };
        let memory_mib = usage::memory_mib(instance.id())?;
        let by_thread = usage::cpu_by_thread(instance.id())?;
        instance.stop()?;
        let warm = samples.iter().find(|sample| sample.counts.done() >= self.events / 5);
        let begin = warm.copied().unwrap_or_default();
        // The last look is at an instance that has been idle for a part of a second.
        let end = samples
            .last()
            .filter(|sample| warm.is_some_and(|warm| sample.at > warm.at));
        let work = end.unwrap_or(&last).since(&begin);
        Ok(CaughtUp {
            work,
            last,
            memory_mib,
            by_thread,
        })
    }
}

/// What it took to catch up, of which `work` is the part after the first fifth.
struct CaughtUp {
    work: Work,
    last: Sample,
    memory_mib: u64,
    by_thread: BTreeMap<String, Duration>,
}

/// Each thread's share of the CPU time, the greatest first.
fn shares(by_thread: &BTreeMap<String, Duration>) -> String {
    let total: Duration = by_thread.values().sum();
    let mut shares: Vec<(&str, u128)> = by_thread
        .iter()
        .map(|(name, used)| (name.as_str(), used.as_millis() * 100 / total.as_millis().max(1)))
        .collect();
    shares.sort_by_key(|(_, share)| std::cmp::Reverse(*share));
    let (told, rest): (Vec<_>, Vec<_>) = shares.into_iter().partition(|(_, share)| *share > 0);
    let told: Vec<String> = told.iter().map(|(name, share)| format!("{name} {share} %")).collect();
    format!("{}; less than 1 % each: {} others", told.join(", "), rest.len())
}

/// Everything has one fate, or the figures are of something else.
pub(crate) fn books(counts: &Counts, n_events: u64) -> anyhow::Result<String> {
    ensure!(
        counts.consumed == n_events && counts.rejected == 0,
        "{n_events} events sent, and these are the books: {counts:?}"
    );
    let n_duplicates = events::n_duplicates(n_events);
    // In so few, none comes after its window.
    let n_known = u64::from(LOG_PARTITIONS) * u64::try_from(WINDOW_HASHES_MAX)?;
    let is_whole = counts.duplicates == n_duplicates || (n_events > n_known && counts.duplicates < n_duplicates);
    ensure!(
        counts.done() == n_events && is_whole,
        "{n_duplicates} of {n_events} events were sent twice, and these are the books: {counts:?}"
    );
    let beyond = match n_duplicates - counts.duplicates {
        0 => String::new(),
        n => format!(" ({} copies came after their window)", grouped(n)),
    };
    Ok(format!(
        "{} applied{beyond} + {} duplicates, {} late, {} decisions, {} transactions",
        grouped(counts.applied),
        grouped(counts.duplicates),
        grouped(counts.late),
        grouped(counts.decisions),
        grouped(counts.transactions)
    ))
}

fn row(name: &str, work: &Work) -> String {
    let ns_per_event = work.cpu.as_nanos() / u128::from(work.n_events.max(1));
    format!(
        "  {name:<34}{:>12}{:>18}{ns_per_event:>12}",
        grouped(work.per_second()),
        grouped(work.per_cpu_second())
    )
}
