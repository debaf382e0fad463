//! The program as it ships, running beside this one.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use holdpoint::clock::Stopwatch;

use crate::{
    site::Site,
    usage::{self, Work},
};

const READY_WITHIN: Duration = Duration::from_secs(90);
const STOPPED_WITHIN: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Killed when dropped.
pub(crate) struct Instance {
    process: Child,
    url: String,
}

/// What an instance has counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) consumed: u64,
    pub(crate) rejected: u64,
    pub(crate) applied: u64,
    pub(crate) duplicates: u64,
    pub(crate) late: u64,
    pub(crate) decisions: u64,
    pub(crate) transactions: u64,
    pub(crate) lag: u64,
    /// Lines of /metrics that hold a value.
    pub(crate) series: u64,
}

/// Where an instance was at a moment, counted from the start of a watch.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    pub(crate) at: Duration,
    pub(crate) cpu: Duration,
    pub(crate) counts: Counts,
}

impl Sample {
    /// What both stages were done with since `before`.
    pub(crate) fn since(&self, before: &Self) -> Work {
        Work {
            n_events: self.counts.done().saturating_sub(before.counts.done()),
            wall: self.at.saturating_sub(before.at),
            cpu: self.cpu.saturating_sub(before.cpu),
        }
    }
}

impl Counts {
    /// Events that both stages are done with.
    pub(crate) fn done(&self) -> u64 {
        self.applied + self.duplicates
    }
}

impl Instance {
    pub(crate) fn start(site: &Site) -> anyhow::Result<Self> {
        Self::start_as(site, "bench")
    }

    pub(crate) fn start_as(site: &Site, name: &str) -> anyhow::Result<Self> {
        let listen = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let process = site
            .command(&["run", "--instance", name, "--listen", &listen])
            .stdout(Stdio::null())
            .spawn()
            .context("starting holdpoint")?;
        Ok(Self {
            process,
            url: format!("http://{listen}"),
        })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn wait_ready(&mut self) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        while ureq::get(format!("{}/readyz", self.url)).call().is_err() {
            self.check_alive()?;
            ensure!(watch.elapsed() < READY_WITHIN, "not ready within {READY_WITHIN:?}");
            sleep(LOOK_EVERY);
        }
        Ok(())
    }

    fn check_alive(&mut self) -> anyhow::Result<()> {
        match self.process.try_wait()? {
            Some(status) => bail!("holdpoint has ended: {status}"),
            None => Ok(()),
        }
    }

    /// `None` while it does not answer.
    pub(crate) fn sample(&mut self, watch: &Stopwatch) -> anyhow::Result<Option<Sample>> {
        self.check_alive()?;
        let Some(counts) = self.counts() else { return Ok(None) };
        Ok(Some(Sample {
            at: watch.elapsed(),
            cpu: usage::cpu(self.id())?,
            counts,
        }))
    }

    fn counts(&self) -> Option<Counts> {
        let response = ureq::get(format!("{}/metrics", self.url)).call().ok()?;
        let text = response.into_body().read_to_string().ok()?;
        let mut counts = Counts::default();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.rsplit_once(' ') else {
                continue;
            };
            counts.series += 1;
            let name = series.split('{').next().unwrap_or(series);
            let count = match name {
                "holdpoint_events_consumed_total" => &mut counts.consumed,
                "holdpoint_events_rejected_total" => &mut counts.rejected,
                "holdpoint_events_applied_total" => &mut counts.applied,
                "holdpoint_events_duplicate_total" => &mut counts.duplicates,
                "holdpoint_events_late_total" => &mut counts.late,
                "holdpoint_decisions_total" => &mut counts.decisions,
                "holdpoint_transactions_total" => &mut counts.transactions,
                "holdpoint_consumer_lag_records" => &mut counts.lag,
                _ => continue,
            };
            *count += value.parse().unwrap_or(0);
        }
        Some(counts)
    }

    /// SIGTERM, and a clean end.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        let id = self.id().to_string();
        Command::new("kill").args(["-TERM", &id]).status()?;
        let watch = Stopwatch::start();
        while watch.elapsed() < STOPPED_WITHIN {
            if let Some(status) = self.process.try_wait()? {
                ensure!(status.success(), "holdpoint ended with {status}");
                return Ok(());
            }
            sleep(LOOK_EVERY);
        }
        bail!("holdpoint did not stop within {STOPPED_WITHIN:?}")
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
