//! How cost grows with the number of services: of an event, of a tick, of memory, of a restore; and that of a commit with
//! the number of changes remembered.
//!
//! Everything is of one log partition unless it says otherwise, so a row of a million services is the worst that one
//! partition could be given; a usual log has twelve, and each holds its share.

#[path = "../../tests/it/support.rs"]
#[expect(dead_code, reason = "each program uses its part")]
mod support;
#[path = "../path/usage.rs"]
#[expect(dead_code, reason = "each program uses its part")]
mod usage;

mod broker;
mod chance;
mod commit;
mod fleet;
mod log;
mod memory;
mod policy;
mod restore;
mod site;
mod step;
mod tick;

use clap::{Parser, Subcommand};

/// How cost grows with the number of services.
#[derive(Debug, Parser)]
#[command(
    name = "scale",
    about,
    after_help = "Examples:
  cargo bench --bench scale                                   all of it, in about five minutes
  cargo bench --bench scale -- --test                         does it run, in seconds
  cargo bench --bench scale -- step --services 1000,50000     what an event costs at these sizes
  HOLDPOINT_TEST_BROKERS=127.0.0.1:9092 cargo bench --bench scale -- restore"
)]
struct Cli {
    /// So little of everything that it only shows that it runs.
    #[arg(long)]
    test: bool,
    /// What `cargo bench` says.
    #[arg(long, hide = true, global = true)]
    bench: bool,
    #[command(subcommand)]
    question: Option<Question>,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// What an event costs.
    Step(Sizes),
    /// What a commit costs, and a deploy of one.
    Commit {
        /// How many commits the service has had.
        #[arg(long, value_delimiter = ',', default_values_t = commit::SIZES)]
        changes: Vec<usize>,
    },
    /// What a tick costs.
    Tick(Sizes),
    /// What a new policy costs.
    Policy(Sizes),
    /// What a service takes, in memory and as a snapshot.
    Memory(Sizes),
    /// How long a restore takes, in the core and through brokers.
    Restore(restore::Restore),
    /// One row of memory, as a process.
    #[command(hide = true)]
    MemoryOf { services: usize },
}

#[derive(Debug, Clone, clap::Args)]
struct Sizes {
    /// Numbers of services.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1_000, 10_000, 100_000, 1_000_000])]
    services: Vec<usize>,
}

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    // As with every bench, `cargo test` runs it without saying `--bench`.
    let is_test = cli.test || !cli.bench;
    match cli.question {
        Some(Question::Step(sizes)) => step::run(&sizes.services, step::EVENTS),
        Some(Question::Commit { changes }) => commit::run(&changes),
        Some(Question::Tick(sizes)) => tick::run(&sizes.services),
        Some(Question::Policy(sizes)) => policy::run(&sizes.services),
        Some(Question::Memory(sizes)) => memory::run(&sizes.services),
        Some(Question::Restore(restore)) => restore.run(),
        Some(Question::MemoryOf { services }) => memory::row_of(services),
        None if is_test => all(&[100, 2_000], 2_000, &restore::Restore::of(&[2_000])),
        None => all(
            &[100, 1_000, 10_000, 100_000, 1_000_000],
            step::EVENTS,
            &restore::Restore::of(&[100_000, 1_000_000]),
        ),
    }
}

fn all(sizes: &[usize], n_events: usize, restore: &restore::Restore) -> anyhow::Result<()> {
    step::run(sizes, n_events)?;
    commit::run(&commit::SIZES)?;
    tick::run(sizes)?;
    policy::run(sizes)?;
    memory::run(sizes)?;
    restore.run()
}
