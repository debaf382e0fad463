//! The same for minutes, beside a generator at a fixed rate: what holds for a second must hold for long.

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

pub(crate) fn run(brokers: &str, length: Duration, rate: u64) -> anyhow::Result<()> {
    let site = Site::new(brokers, "sustained", Keep::Bytes(KEPT_BYTES))?;
    let mut instance = Instance::start(&site)?;
    instance.wait_ready()?;
    let n_events = rate * length.as_secs();
    let (rate_text, events_text) = (rate.to_string(), n_events.to_string());
    let mut command = site.role(&["feed", "--rate", &rate_text, "--events", &events_text])?;
    let mut generator = Generator(command.stdout(Stdio::null()).spawn()?);
    say(&format!(
        "sustained: {} events/s for {} s over {} services",
        grouped(rate),
        length.as_secs(),
        grouped(events::SERVICES)
    ))?;
    say(&format!(
        "  {:>8}{:>12}{:>16}{:>10}{:>12}",
        "second", "events/s", "events/CPU-s", "MiB", "lag"
    ))?;
    let watch = Stopwatch::start();
    let mut before = Sample::default();
    let every = LOOK_EVERY.min(length / 4);
    let mut lag_max = 0;
    while generator.0.try_wait()?.is_none() {
        sleep(every.min(length.saturating_sub(watch.elapsed()).max(Duration::from_millis(200))));
        let Some(sample) = instance.sample(&watch)? else {
            continue;
        };
        if sample.at.saturating_sub(before.at) >= every {
            print(&sample, &before, &instance)?;
            lag_max = lag_max.max(sample.counts.lag);
            before = sample;
        }
    }
    let last = drain(&mut instance, &watch, n_events)?;
    let work = last.since(&Sample::default());
    say(&format!(
        "  all: {} events, {} a second, {} a CPU-second; {}",
        grouped(work.n_events),
        grouped(work.per_second()),
        grouped(work.per_cpu_second()),
        books(&last.counts, n_events)?
    ))?;
    instance.stop()?;
    ensure!(
        lag_max <= rate * LAG_SECONDS_MAX,
        "it does not keep up: {} records behind",
        grouped(lag_max)
    );
    Ok(())
}

fn print(sample: &Sample, before: &Sample, instance: &Instance) -> anyhow::Result<()> {
    let work = sample.since(before);
    say(&format!(
        "  {:>8}{:>12}{:>16}{:>10}{:>12}",
        sample.at.as_secs(),
        grouped(work.per_second()),
        grouped(work.per_cpu_second()),
        usage::memory_mib(instance.id())?,
        grouped(sample.counts.lag)
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
