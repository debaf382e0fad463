//! The whole path on a real broker: what an event costs from the input topic to the decision, and how long that takes.
//!
//! Beside each figure stands what Kafka alone takes for the like, in the same run on the same topics: the machine and
//! the broker are in both, so ratios hold where absolute figures do not. `cargo bench --bench path -- --help` says more.

mod bare;
mod events;
mod feed;
mod instance;
mod latency;
mod site;
mod sustained;
mod template;
mod throughput;
mod usage;

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};

use self::{
    bare::Bare,
    feed::Paced,
    latency::{Latency, Load},
    sustained::Sustained,
    throughput::Throughput,
    usage::note,
};

/// The whole path on a real broker: `HOLDPOINT_TEST_BROKERS`, or one of its own by scripts/kafka.
#[derive(Debug, Parser)]
#[command(
    name = "path",
    about,
    after_help = "Examples:
  cargo bench --bench path                                           all of it, in a few minutes
  cargo bench --bench path -- --test                                 does it run, in seconds
  cargo bench --bench path -- throughput --events 5000000
  cargo bench --bench path -- throughput --minutes 10 --rate 100000
  cargo bench --bench path -- latency --rate 2000 --seconds 60 --loaded"
)]
struct Cli {
    /// So little of everything that it only shows that it runs.
    #[arg(long)]
    test: bool,
    /// What `cargo bench` says.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, Subcommand)]
enum Role {
    Throughput(Throughput),
    Latency(Latency),
    /// A loop beside the path, as a process.
    #[command(hide = true)]
    Bare(Bare),
    /// A generator of events, as a process.
    #[command(hide = true)]
    Feed(Paced),
    /// Traffic on another topic, as a process.
    #[command(hide = true)]
    Load(Load),
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // As with every bench, `cargo test` runs it without saying `--bench`.
    let is_test = cli.test || !cli.bench;
    match cli.role {
        Some(Role::Bare(bare)) => bare.run(),
        Some(Role::Feed(paced)) => paced.run(),
        Some(Role::Load(load)) => load.run(),
        Some(Role::Throughput(throughput)) => on_brokers(|brokers| throughput.run(brokers)),
        Some(Role::Latency(latency)) => on_brokers(|brokers| latency.run(brokers)),
        None => on_brokers(|brokers| all(brokers, is_test)),
    }
}

fn all(brokers: &str, is_test: bool) -> anyhow::Result<()> {
    let (n_events, seconds) = if is_test { (20_000, 2) } else { (3_000_000, 30) };
    Throughput::catch_up_on(n_events).run(brokers)?;
    let latency = Latency {
        rate: 2_000,
        commits: 50,
        seconds,
        loaded: true,
    };
    latency.run(brokers)?;
    if is_test {
        Sustained {
            length: Duration::from_secs(4),
            rate: 1_000,
            guest_every: None,
            without_commits: false,
        }
        .run(brokers)?;
    }
    Ok(())
}

fn on_brokers(run: impl FnOnce(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
    brokers()?.map_or(Ok(()), |brokers| run(&brokers))
}

/// The brokers to run against; `None` where there can be none.
fn brokers() -> anyhow::Result<Option<String>> {
    if let Ok(brokers) = std::env::var("HOLDPOINT_TEST_BROKERS") {
        return Ok(Some(brokers));
    }
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka");
    let started = Command::new(script)
        .arg("up")
        .stderr(Stdio::inherit())
        .output()
        .context("running scripts/kafka")?;
    if started.status.success() {
        return Ok(Some(String::from_utf8(started.stdout)?.trim().to_owned()));
    }
    if std::env::var_os("HOLDPOINT_REQUIRE_BROKER").is_some() {
        bail!("no broker, and one is required");
    }
    note("SKIPPED: no broker, so this shows nothing; see scripts/kafka up")?;
    Ok(None)
}
