//! The fault program: the service under load on brokers of its own, while instances and brokers are killed, stopped and
//! restarted, and what must never happen is counted.
//!
//! It is no test of the harness's kind: it runs for as long as it is told, and nobody else's brokers may be killed. Where
//! there can be no broker it says so and passes, unless `HOLDPOINT_REQUIRE_BROKER` is set: then it fails.

mod arguments;
mod audit;
mod chance;
mod cluster;
mod fault;
mod feed;
#[path = "../broker/fold.rs"]
mod fold;
mod generator;
mod ledger;
#[expect(dead_code, reason = "for tests of the harness's kind")]
#[path = "../broker/reproduction.rs"]
mod reproduction;
mod roster;
#[expect(dead_code, reason = "for tests of the harness's kind")]
#[path = "../broker/support.rs"]
mod support;
mod table;
mod trial;
mod violations;
mod voices;
mod watch;
mod whole;

use std::{io::Write as _, process::ExitCode, sync::atomic::Ordering};

use self::{
    arguments::Arguments,
    cluster::Cluster,
    trial::{INTERRUPTED, Trial},
};

fn main() -> ExitCode {
    let Some(arguments) = Arguments::of_process() else {
        return ExitCode::SUCCESS;
    };
    listen_for_signals();
    let cluster = match Cluster::start(&arguments) {
        Ok(cluster) => cluster,
        Err(error) if std::env::var_os("HOLDPOINT_REQUIRE_BROKER").is_none() => {
            say(&format!("SKIPPED: no broker, so this shows nothing: {error:#}"));
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            say(&format!("no broker, and one is required: {error:#}"));
            return ExitCode::FAILURE;
        }
    };
    match run(&arguments, cluster) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(n) => {
            say(&format!("{n} violations"));
            complain(&arguments);
            ExitCode::FAILURE
        }
        Err(error) => {
            say(&format!("ended early: {error:#}"));
            complain(&arguments);
            ExitCode::FAILURE
        }
    }
}

/// Runs it all and prints the table, also of what had been done when it could not go on. Says how many violations.
fn run(arguments: &Arguments, cluster: Cluster) -> anyhow::Result<u64> {
    let mut trial = Trial::begin(arguments, cluster)?;
    let ended = trial.run().and_then(|()| trial.end());
    let violations = trial.violations();
    let mut out = std::io::stdout().lock();
    let Arguments {
        nodes, instances, seed, ..
    } = arguments;
    let n_gave_up = trial.n_gave_up();
    writeln!(
        out,
        "{nodes} nodes, {instances} instances, seed {seed}; {n_gave_up} times one gave up and was started anew\n"
    )?;
    writeln!(out, "{}\n{}", trial.tally, table::violations(&violations))?;
    if violations.n() > 0 {
        say(&violations.to_string());
    }
    ended.map(|()| violations.n())
}

/// Where to look.
fn complain(arguments: &Arguments) {
    let logs = trial::logs(arguments);
    say(&format!(
        "seed {}; the logs of the instances are in {}",
        arguments.seed,
        logs.display()
    ));
}

pub(crate) fn say(text: &str) {
    // Nobody may be reading.
    drop(writeln!(std::io::stderr(), "faults: {text}"));
}

/// The brokers outlive this program unless it takes them down: so it ends in its own way.
fn listen_for_signals() {
    let listen = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            tokio::select! {
                interrupted = tokio::signal::ctrl_c() => interrupted,
                _ = terminate.recv() => Ok(()),
            }
        })
    };
    std::thread::spawn(move || {
        let heard: std::io::Result<()> = listen();
        if heard.is_ok() {
            INTERRUPTED.store(true, Ordering::Release);
        }
    });
}
