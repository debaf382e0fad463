//! The same for minutes or hours, beside a generator at a fixed rate: what holds for a second must hold for long. A guest
//! that comes and goes makes the group move its partitions all the time.

use std::{
    process::{Child, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::ensure;
use holdpoint::clock::Stopwatch;

use crate::{
    events,
    instance::{Instance, Sample},
    site::{Keep, Site},
    throughput::books,
    usage::{self, grouped, say},
};

const LOOK_EVERY: Duration = Duration::from_secs(30);
/// What is kept of each partition, so that a long run fills no disk.
const KEPT_BYTES: u64 = 256 << 20;
/// On taking in what is left once the generator has ended.
const DRAINED_WITHIN: Duration = Duration::from_mins(2);
/// Lag grows by what a pause of the machine leaves behind; more than so many seconds of events is not keeping up.
const LAG_SECONDS_MAX: u64 = 10;

/// Killed when dropped.
struct Generator(Child);

impl Drop for Generator {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A second instance that is there for the first half of each stretch of time.
struct Guest<'a> {
    site: &'a Site,
    every: Duration,
    instance: Option<Instance>,
    n_visits: u64,
}

impl Guest<'_> {
    fn look_after(&mut self, now: Duration) -> anyhow::Result<()> {
        let is_due = now.as_millis() % self.every.as_millis() < self.every.as_millis() / 2;
        match self.instance.take() {
            Some(instance) if is_due => self.instance = Some(instance),
            Some(instance) => instance.stop()?,
            None if is_due => {
                self.instance = Some(Instance::start_as(self.site, "guest")?);
                self.n_visits += 1;
            }
            None => {}
        }
        Ok(())
    }
}

/// What is to hold for long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sustained {
    pub(crate) length: Duration,
    /// Events a second.
    pub(crate) rate: u64,
    /// A guest comes and goes as often. The books, which each instance keeps for itself, are not held together then.
    pub(crate) guest_every: Option<Duration>,
    pub(crate) without_commits: bool,
}

impl Sustained {
    fn generator(self, site: &Site, n_events: u64) -> anyhow::Result<Generator> {
        let (rate, events) = (self.rate.to_string(), n_events.to_string());
        let mut role = vec!["feed", "--rate", &rate, "--events", &events];
        if self.without_commits {
            role.push("--without-commits");
        }
        Ok(Generator(site.role(&role)?.stdout(Stdio::null()).spawn()?))
    }

    pub(crate) fn run(self, brokers: &str) -> anyhow::Result<()> {
        let Self {
            length,
            rate,
            guest_every,
            ..
        } = self;
        let site = Site::new(brokers, "sustained", Keep::Bytes(KEPT_BYTES))?;
        let mut instance = Instance::start(&site)?;
        instance.wait_ready()?;
        let n_events = rate * length.as_secs();
        let mut generator = self.generator(&site, n_events)?;
        say(&format!(
            "sustained: {} events/s for {} s over {} services",
            grouped(rate),
            length.as_secs(),
            grouped(events::SERVICES)
        ))?;
        say(&format!(
            "  {:>8}{:>12}{:>16}{:>8}{:>12}{:>8}{:>10}{:>8}",
            "second", "events/s", "events/CPU-s", "MiB", "lag", "files", "threads", "series"
        ))?;
        let mut guest = guest_every.map(|every| Guest {
            site: &site,
            every,
            instance: None,
            n_visits: 0,
        });
        let watch = Stopwatch::start();
        let mut before = Sample::default();
        let every = LOOK_EVERY.min(length / 4);
        let mut lag_max = 0;
        while generator.0.try_wait()?.is_none() {
            sleep(Duration::from_secs(1).min(length.saturating_sub(watch.elapsed()).max(Duration::from_millis(200))));
            if let Some(guest) = &mut guest {
                guest.look_after(watch.elapsed())?;
            }
            let Some(sample) = instance.sample(&watch)? else {
                continue;
            };
            if sample.at.saturating_sub(before.at) >= every {
                print(&sample, &before, &instance)?;
                lag_max = lag_max.max(sample.counts.lag);
                before = sample;
            }
        }
        let n_visits = guest.map(|guest| guest.n_visits);
        if let Some(n_visits) = n_visits {
            say(&format!("  a guest came {n_visits} times"))?;
        } else {
            let last = drain(&mut instance, &watch, n_events)?;
            let work = last.since(&Sample::default());
            say(&format!(
                "  all: {} events, {} a second, {} a CPU-second; {}",
                grouped(work.n_events),
                grouped(work.per_second()),
                grouped(work.per_cpu_second()),
                books(&last.counts, n_events)?
            ))?;
        }
        instance.stop()?;
        ensure!(
            lag_max <= rate * LAG_SECONDS_MAX || n_visits.is_some(),
            "it does not keep up: {} records behind",
            grouped(lag_max)
        );
        Ok(())
    }
}

fn print(sample: &Sample, before: &Sample, instance: &Instance) -> anyhow::Result<()> {
    let work = sample.since(before);
    say(&format!(
        "  {:>8}{:>12}{:>16}{:>8}{:>12}{:>8}{:>10}{:>8}",
        sample.at.as_secs(),
        grouped(work.per_second()),
        grouped(work.per_cpu_second()),
        usage::memory_mib(instance.id())?,
        grouped(sample.counts.lag),
        usage::n_files(instance.id())?,
        usage::n_threads(instance.id())?,
        sample.counts.series
    ))
}

fn drain(instance: &mut Instance, watch: &Stopwatch, n_events: u64) -> anyhow::Result<Sample> {
    let left = Stopwatch::start();
    loop {
        if let Some(sample) = instance.sample(watch)?
            && sample.counts.done() + sample.counts.rejected >= n_events
        {
            return Ok(sample);
        }
        ensure!(left.elapsed() < DRAINED_WITHIN, "not drained within {DRAINED_WITHIN:?}");
        sleep(Duration::from_millis(200));
    }
}
