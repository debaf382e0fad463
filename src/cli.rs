//! The command line: what may be said, with examples.

#[cfg(test)]
mod tests;
mod value;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::value::url;
use self::value::{date, duration, duration_above_zero, incident, length_of_word, reason, result};
use crate::{
    config::Flags,
    gate::FailMode,
    model::{Effect, EnvironmentId, ServiceId, Timestamp},
};

/// The brake between what happens to services and what pipelines may do to them.
#[derive(Debug, Parser)]
#[command(
    name = "holdpoint",
    version,
    about,
    propagate_version = true,
    arg_required_else_help = true
)]
#[command(after_help = "Examples:
  holdpoint demo                                  # see it work, without a Kafka
  holdpoint topics ensure --brokers kafka:9092    # create its topics
  holdpoint run --brokers kafka:9092              # the service
  holdpoint gate --service checkout --environment production \\
      --url http://holdpoint:8484                 # what a pipeline asks

Data goes to stdout, all else to stderr. HOLDPOINT_LOG=debug says more.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Everything in one process on an embedded Kafka: a small fleet, good and bad deploys, live decisions.
    Demo(Demo),
    /// The service: reads events, keeps risk state, publishes decisions, answers HTTP.
    Run(Run),
    /// Holdpoint's own topics.
    #[command(after_help = "Examples:
  holdpoint topics ensure --brokers kafka:9092 --partitions 24
  holdpoint topics verify --brokers kafka:9092")]
    Topics {
        #[command(subcommand)]
        command: Topics,
    },
    /// What a pipeline calls before it deploys.
    Gate(Gate),
    /// Break-glass, or a freeze by hand: an audited event with an end.
    Override(Override),
    /// The same path over recorded events, on recorded time.
    Replay(Replay),
    /// Events from what is there already.
    #[command(after_help = "Examples:
  holdpoint import git . > commits.ndjson
  holdpoint import git . | holdpoint replay --events -   # what would be gated")]
    Import {
        #[command(subcommand)]
        command: Import,
    },
    /// The policy file.
    #[command(after_help = "Examples:
  holdpoint policy check policy.toml
  holdpoint policy explain --service checkout policy.toml")]
    Policy {
        #[command(subcommand)]
        command: Policy,
    },
}

/// Where Kafka is, and what else a file or the environment may say too.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The settings file [default: holdpoint.toml, if there is one].
    #[arg(long, env = "HOLDPOINT_CONFIG", value_name = "FILE", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Bootstrap servers [default: 127.0.0.1:9092].
    #[arg(long, value_name = "LIST")]
    pub brokers: Option<String>,
}

impl Common {
    #[must_use]
    pub fn flags(&self) -> Flags {
        let mut flags = Flags::new();
        insert(&mut flags, "brokers", self.brokers.as_ref());
        flags
    }
}

fn insert(flags: &mut Flags, key: &str, value: Option<&impl ToString>) {
    if let Some(value) = value {
        flags.insert(key.to_owned(), value.to_string());
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  holdpoint demo
  holdpoint demo --seed 7 --headless        # plain lines, for pipelines
  holdpoint demo --listen 127.0.0.1:8484    # with its page at that address

Exit status: 0 when every bad deploy was frozen and no healthy service was; 1 otherwise.")]
pub struct Demo {
    /// The same seed gives the same fleet and deploys.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long the live part lasts, such as 40s. Of its 70 minutes three are told a second at most: 24s at least.
    #[arg(long, default_value = "40s", value_parser = duration)]
    pub duration: Duration,
    /// Plain lines, also on a terminal.
    #[arg(long)]
    pub headless: bool,
    /// Where the page and the API listen; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  holdpoint run --brokers kafka-1:9092,kafka-2:9092
  HOLDPOINT_POLICY=policy.toml holdpoint run --config holdpoint.toml

Starts without brokers and waits for them. SIGTERM drains, commits and leaves the group within 30 s.
Exit status: 0 after a clean stop, 70 when it gave up for its supervisor to start it anew.")]
pub struct Run {
    #[command(flatten)]
    pub common: Common,
    /// What this instance does: any of ingest, score, api.
    #[arg(long, value_name = "LIST")]
    pub roles: Option<String>,
    /// Where HTTP listens [default: 127.0.0.1:8484].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// The policy file, taken up again whenever it changes.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<String>,
    /// The name of this instance, the same after a restart [default: host name and port].
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// The prefix of consumer groups and transactional ids [default: holdpoint].
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// The URL others reach this instance by [default: http://<listen>].
    #[arg(long, value_name = "URL")]
    pub advertise: Option<String>,
    /// For events without an environment [default: production].
    #[arg(long, value_name = "NAME")]
    pub default_environment: Option<String>,
}

impl Run {
    #[must_use]
    pub fn flags(&self) -> Flags {
        let mut flags = self.common.flags();
        insert(&mut flags, "roles", self.roles.as_ref());
        insert(&mut flags, "listen", self.listen.as_ref());
        insert(&mut flags, "policy", self.policy.as_ref());
        insert(&mut flags, "instance", self.instance.as_ref());
        insert(&mut flags, "group", self.group.as_ref());
        insert(&mut flags, "advertise", self.advertise.as_ref());
        insert(&mut flags, "default_environment", self.default_environment.as_ref());
        flags
    }
}

#[derive(Debug, Subcommand)]
pub enum Topics {
    /// Create those that are not there; back when they are usable.
    #[command(after_help = "Example:\n  holdpoint topics ensure --brokers kafka:9092 --partitions 24")]
    Ensure {
        #[command(flatten)]
        common: Common,
        /// Partitions of each; fixed for good [default: 12].
        #[arg(long)]
        partitions: Option<String>,
        /// Replicas of each partition [default: the broker's].
        #[arg(long)]
        replication_factor: Option<String>,
    },
    /// Check that they are there, three of their settings, and that partition counts match; if nothing differs, also that
    /// the state can be restored. Each difference is on a line.
    #[command(
        after_help = "Example:\n  holdpoint topics verify --brokers kafka:9092\n\nExit status: 0 when all is as it must be, 1 otherwise."
    )]
    Verify {
        #[command(flatten)]
        common: Common,
    },
}

impl Topics {
    #[must_use]
    pub fn common(&self) -> &Common {
        match self {
            Self::Ensure { common, .. } | Self::Verify { common } => common,
        }
    }

    #[must_use]
    pub fn flags(&self) -> Flags {
        let mut flags = self.common().flags();
        if let Self::Ensure {
            partitions,
            replication_factor,
            ..
        } = self
        {
            insert(&mut flags, "partitions", partitions.as_ref());
            insert(&mut flags, "replication_factor", replication_factor.as_ref());
        }
        flags
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Release,
    Rollback,
    Hotfix,
    Security,
}

impl From<Kind> for crate::model::ChangeKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Release => Self::Release,
            Kind::Rollback => Self::Rollback,
            Kind::Hotfix => Self::Hotfix,
            Kind::Security => Self::Security,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fail {
    Open,
    Closed,
}

impl From<Fail> for FailMode {
    fn from(fail: Fail) -> Self {
        match fail {
            Fail::Open => Self::Open,
            Fail::Closed => Self::Closed,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  holdpoint gate --service checkout --environment production \\
      --url http://holdpoint:8484
  holdpoint gate --service checkout --environment production \\
      --change $SHA --wait 10m --brokers kafka:9092
  holdpoint gate --service checkout --environment production \\
      --kind rollback --url http://holdpoint:8484

Exit status: 0 proceed · 10 extra review required · 20 frozen · 30 not known and failing closed · 2 wrong usage.")]
pub struct Gate {
    /// The service to be deployed.
    #[arg(long)]
    pub service: ServiceId,
    /// Where to.
    #[arg(long)]
    pub environment: EnvironmentId,
    /// A commit that goes with it; may repeat, up to 1,000 times, and the worst decides.
    #[arg(long, value_name = "SHA")]
    pub change: Vec<String>,
    /// Rollbacks, security fixes and hotfixes of an open incident pass a freeze.
    #[arg(long, value_enum, default_value_t = Kind::Release)]
    pub kind: Kind,
    /// The open incident that a hotfix is for.
    #[arg(long, value_name = "ID", value_parser = incident)]
    pub incident: Option<String>,
    /// Ask again every 5 s, for so long, such as 10m, while frozen, under review or failing closed.
    #[arg(long, value_parser = duration)]
    pub wait: Option<Duration>,
    /// The bound on one answer.
    #[arg(long, default_value = "30s", value_parser = duration_above_zero)]
    pub timeout: Duration,
    /// What to do when nothing is known: `open` lets the deploy go on (exit 0), `closed` stops it (exit 30).
    #[arg(long, value_enum, default_value_t = Fail::Open)]
    pub fail_mode: Fail,
    /// The whole answer as JSON.
    #[arg(long)]
    pub json: bool,
    /// Ask an instance over HTTP; without either flag, `HOLDPOINT_URL`.
    // Not parsed here: clap quotes what is wrong, and an address may hold a password.
    #[arg(long, conflicts_with = "brokers")]
    pub url: Option<String>,
    /// Read the control topic itself; without either flag, `HOLDPOINT_BROKERS`.
    #[arg(long, value_name = "LIST")]
    pub brokers: Option<String>,
    /// The settings file, for names of topics and security.
    #[arg(long, env = "HOLDPOINT_CONFIG", value_name = "FILE", hide_env_values = true)]
    pub config: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EffectName {
    Proceed,
    Freeze,
}

impl From<EffectName> for Effect {
    fn from(effect: EffectName) -> Self {
        match effect {
            EffectName::Proceed => Self::Proceed,
            EffectName::Freeze => Self::Freeze,
        }
    }
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  holdpoint override --service checkout --environment production \\
      --effect proceed --for 30m --reason 'INC-7: the fix itself'
  holdpoint override --service checkout --effect freeze --for 2h \\
      --reason 'data migration'
  holdpoint override --service checkout --environment production \\
      --effect proceed --for 0 --reason 'no longer needed'

It counts at every gate at once. Without --environment it is about all of them.")]
pub struct Override {
    #[command(flatten)]
    pub common: Common,
    /// The service it is about.
    #[arg(long)]
    pub service: ServiceId,
    /// Where it holds [default: in every environment].
    #[arg(long)]
    pub environment: Option<EnvironmentId>,
    /// What every gate is told: `proceed` lets deploys pass, `freeze` holds them.
    #[arg(long, value_enum)]
    pub effect: EffectName,
    /// How long it lasts, at most 7d; 0 takes back what was said before.
    #[arg(long = "for", value_name = "LENGTH", value_parser = length_of_word)]
    pub length: Duration,
    /// Why; it stays on the topic of overrides.
    #[arg(long, value_parser = reason)]
    pub reason: String,
    /// Who says so [default: the user running this]; it stays on the topic of overrides.
    #[arg(long, env = "USER", hide_env_values = true, default_value = "unknown")]
    pub by: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  holdpoint replay --events history.ndjson
  holdpoint replay --events 2026-*.ndjson.zst --policy policy.toml \\
      --report report.html
  holdpoint replay --events history.ndjson.gz --policy policy.toml \\
      --compare stricter.toml
  holdpoint replay --events *.ndjson --policy policy.toml \\
      --decisions decisions.jsonl --json
  zcat history.gz | holdpoint replay --events -

Files may be plain, gzip or Zstandard, and are merged by time: each, and stdin, must be about in order.
The same inputs and policy give the same bytes. Exit status: 0; 1 if inputs could not be read.")]
pub struct Replay {
    /// Recorded events, one JSON object a line; `-` is stdin. May repeat.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub events: Vec<PathBuf>,
    /// The policy to go by [default: the built-in one].
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// A second policy over the same events: what would change.
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// For events without an environment, as the setting of the instance that they were recorded of [default: production].
    #[arg(long, value_name = "NAME")]
    pub default_environment: Option<EnvironmentId>,
    /// Write every decision here, one a line.
    #[arg(long, value_name = "FILE", value_parser = result())]
    pub decisions: Option<PathBuf>,
    /// Write a line per commit scored and per deploy watched here.
    #[arg(long, value_name = "FILE", value_parser = result())]
    pub scores: Option<PathBuf>,
    /// Write a page for people here: curves, timelines of freezes, what would change.
    #[arg(long, value_name = "FILE.html", value_parser = result())]
    pub report: Option<PathBuf>,
    /// The summary as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Import {
    /// The commits of a git repository, and its reverts as incidents, as NDJSON on stdout.
    #[command(after_help = "Examples:
  holdpoint import git . | holdpoint replay --events -   # what would be gated
  holdpoint import git ~/src/shop --service checkout \\
      --since 2026-01-01 > checkout.ndjson

It reads what HEAD reaches by your own git, all but merges, and changes nothing. No name or address of a person \
goes out. With --since the measures are the same, for the past is read all the same.
Exit status: 0; 1 if there is no git, no repository or no history.")]
    Git {
        /// The repository: any folder of its working tree, or a bare one.
        path: PathBuf,
        /// The service that the commits are of [default: the name of the repository's folder].
        #[arg(long)]
        service: Option<ServiceId>,
        /// Write no commits before this: 2026-01-01, in UTC, or 2026-01-01T12:00:00+01:00.
        #[arg(long, value_name = "DATE", value_parser = date)]
        since: Option<Timestamp>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Validate a policy: all errors at once, each with its line and column.
    #[command(
        after_help = "Example:\n  holdpoint policy check policy.toml\n\nExit status: 0 if it is good, which a line says with what it has; 1 otherwise."
    )]
    Check {
        /// The policy.
        file: PathBuf,
    },
    /// What holds for a service in an environment, and where each value comes from.
    #[command(after_help = "Examples:
  holdpoint policy explain --service checkout policy.toml
  holdpoint policy explain --service checkout --environment staging \\
      --tier critical policy.toml --json

A value is the built-in default, or of a line: at the top, of the tier, of the environment, of the service or of the \
service in that environment. The last of these that has it counts.
Exit status: 0; 1 if the policy has faults, which it prints as `policy check` does.")]
    Explain {
        /// Of which service.
        #[arg(long)]
        service: ServiceId,
        /// Where.
        #[arg(long, default_value = "production")]
        environment: EnvironmentId,
        /// The service's criticality in the catalog, where the policy names no tier of its own [default: medium].
        #[arg(long, value_enum)]
        tier: Option<Tier>,
        /// As JSON.
        #[arg(long)]
        json: bool,
        /// The policy [default: the built-in one].
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Tier {
    Low,
    Medium,
    High,
    Critical,
}

impl From<Tier> for crate::model::Criticality {
    fn from(tier: Tier) -> Self {
        match tier {
            Tier::Low => Self::Low,
            Tier::Medium => Self::Medium,
            Tier::High => Self::High,
            Tier::Critical => Self::Critical,
        }
    }
}
