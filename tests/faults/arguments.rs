//! What the program may be told, and what is done when it is told nothing.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Faults of a run that is told neither their number nor a time.
const FAULTS: u32 = 6;

#[derive(Debug, Parser)]
#[command(
    name = "faults",
    about = "Kills, stops and restarts instances and brokers under load, and counts what that breaks.",
    after_help = "Examples:\n  \
        cargo test --release --test faults -- --faults 200 --nodes 3 --instances 3 --seed 7\n  \
        cargo test --release --test faults -- --minutes 30 --nodes 3 --instances 3 --at-once 3\n  \
        cargo test --release --test faults -- --faults 10 --only kill,pause --keep\n\n\
        The same seed draws the same faults. The table goes to stdout, all else to stderr; the exit status is 0 only if\n\
        every count of violations is 0. Without arguments: a short run on one node with two instances."
)]
pub(crate) struct Arguments {
    /// How many faults; two at once count as two
    #[arg(long, value_name = "N", conflicts_with = "minutes")]
    faults: Option<u32>,
    /// How long to go on drawing faults
    #[arg(long, value_name = "N")]
    pub minutes: Option<u32>,
    /// Brokers: 1 or 3
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = nodes)]
    pub nodes: u32,
    /// Instances that run when nothing is wrong
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=8))]
    pub instances: u32,
    /// Draws the faults and the events
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Kinds of faults to draw from
    #[arg(long, value_name = "KINDS", value_delimiter = ',', default_values_t = Kind::ALL)]
    pub only: Vec<Kind>,
    /// So many faults at once, where they go together; without it one, and now and then two
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3))]
    pub at_once: Option<u32>,
    /// Events a second, about
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(4..=20_000))]
    pub rate: u32,
    /// First port of the brokers, below 32768
    #[arg(long, value_name = "PORT", default_value_t = 23_092)]
    pub port: u16,
    /// Where the brokers' data and the instances' logs lie
    #[arg(long, value_name = "DIR", default_value = concat!(env!("CARGO_TARGET_TMPDIR"), "/faults"))]
    pub dir: PathBuf,
    /// Leave the brokers' data when the run ends
    #[arg(long)]
    pub keep: bool,
    /// Spoils one count on purpose, to see that it is noticed
    #[arg(long, value_name = "COUNT", hide = true)]
    pub spoil: Option<Spoil>,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Kind {
    /// SIGKILL of an instance, then its restart
    Kill,
    /// SIGSTOP of an instance beyond the session and transaction timeouts, then SIGCONT
    Pause,
    /// SIGTERM of an instance, then its restart
    Terminate,
    /// One instance more, or that one less
    Join,
    /// SIGKILL of a broker, then its restart
    BrokerKill,
    /// SIGTERM of a broker, then its restart
    BrokerStop,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::Kill,
        Self::Pause,
        Self::Terminate,
        Self::Join,
        Self::BrokerKill,
        Self::BrokerStop,
    ];

    pub(crate) fn is_of_broker(self) -> bool {
        matches!(self, Self::BrokerKill | Self::BrokerStop)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Terminate => "terminate",
            Self::Join => "join",
            Self::BrokerKill => "broker-kill",
            Self::BrokerStop => "broker-stop",
        })
    }
}

/// A count to spoil: what the checks are worth shows when they fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spoil {
    /// One event more is expected than was sent
    Lost,
    /// One event less is expected
    Twice,
    /// One reject is overlooked
    Reject,
    /// A heartbeat is published in the name of an instance while it is stopped
    Heartbeat,
}

/// What `cargo test` hands to every target, for the harness that this one does without.
const OF_HARNESS: [&str; 7] = [
    "--show-output",
    "--nocapture",
    "--no-capture",
    "--include-ignored",
    "--ignored",
    "--quiet",
    "-q",
];
const OF_HARNESS_WITH_VALUE: [&str; 3] = ["--test-threads", "--color", "--skip"];

impl Arguments {
    /// Those of this process; `None` where only tests of other names are asked for, or a list of tests.
    pub(crate) fn of_process() -> Option<Self> {
        let mut kept: Vec<String> = Vec::new();
        let mut given = std::env::args();
        kept.extend(given.next());
        let mut is_asked_for = true;
        while let Some(argument) = given.next() {
            let is_value = kept
                .last()
                .is_some_and(|last| kept.len() > 1 && last.starts_with("--") && !last.contains('='));
            if argument == "--list" {
                return None;
            } else if OF_HARNESS_WITH_VALUE.contains(&argument.as_str()) {
                given.next();
            } else if OF_HARNESS.contains(&argument.as_str())
                || OF_HARNESS_WITH_VALUE
                    .iter()
                    .any(|name| argument.starts_with(&format!("{name}=")))
            {
            } else if argument.starts_with('-') || is_value {
                kept.push(argument);
            } else {
                // A filter, as of `cargo test restore`.
                is_asked_for = "faults".contains(&argument);
            }
        }
        is_asked_for.then(|| Self::parse_from(kept))
    }

    /// How many faults there may be.
    pub(crate) fn faults(&self) -> u32 {
        self.faults
            .unwrap_or(if self.minutes.is_some() { u32::MAX } else { FAULTS })
    }
}

fn nodes(text: &str) -> Result<u32, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        _ => Err("1 or 3".to_owned()),
    }
}
