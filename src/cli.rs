//! The command line: commands and flags, with examples.

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

/// Decides from commits, deploys and errors in Kafka whether the next deploy of a service may go out.
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

Data goes to stdout, all else to stderr. HOLDPOINT_LOG=debug logs more.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// See it work: a small fleet with good and bad deploys, on a Kafka inside the process.
    Demo(Demo),
    /// Run the service: it reads events, keeps risk state, publishes decisions and answers HTTP.
    Run(Run),
    /// Create or check Holdpoint's own topics.
    #[command(after_help = "Examples:
  holdpoint topics ensure --brokers kafka:9092 --partitions 24
  holdpoint topics verify --brokers kafka:9092")]
    Topics {
        #[command(subcommand)]
        command: Topics,
    },
    /// Ask whether a deploy may go out: what a pipeline calls before it deploys.
    Gate(Gate),
    /// Let deploys of a service pass, or freeze it, by hand and for a time; kept as an audited event.
    Override(Override),
    /// Run recorded events through the same code: what would have been held, and was it right?
    Replay(Replay),
    /// Make events from data that exists already: a git history.
    #[command(after_help = "Examples:
  holdpoint import git . > commits.ndjson
  holdpoint import git . | holdpoint replay --events -   # what would be gated")]
    Import {
        #[command(subcommand)]
        command: Import,
    },
    /// Check a policy file, or explain what it sets for a service.
    #[command(after_help = "Examples:
  holdpoint policy check policy.toml
  holdpoint policy explain --service checkout policy.toml")]
    Policy {
        #[command(subcommand)]
        command: Policy,
    },
}

/// Where Kafka is, and the file with all other settings.
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
    /// Which story is played: the same seed gives the same fleet and deploys.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long the live part lasts, at least 24s: it plays 70 minutes of a fleet, at most three of them a second.
    #[arg(long, default_value = "40s", value_parser = duration)]
    pub duration: Duration,
    /// Print plain lines, also on a terminal.
    #[arg(long)]
    pub headless: bool,
    /// Where the web page and the API listen; port 0 takes a free port.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  holdpoint run --brokers kafka-1:9092,kafka-2:9092
  HOLDPOINT_POLICY=policy.toml holdpoint run --config holdpoint.toml

Starts without brokers and waits for them. SIGTERM drains, commits and leaves the group within 30 s.
Exit status: 0 after a clean stop; 70 when it gave up, for its supervisor to start it again.")]
pub struct Run {
    #[command(flatten)]
    pub common: Common,
    /// What this instance does, one or more of ingest, score and api [default: all].
    #[arg(long, value_name = "LIST")]
    pub roles: Option<String>,
    /// Where HTTP listens [default: 127.0.0.1:8484].
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// The policy file; read again whenever it changes.
    #[arg(long, value_name = "FILE")]
    pub policy: Option<String>,
    /// The name of this instance; keep it the same over restarts [default: host name and port].
    #[arg(long, value_name = "NAME")]
    pub instance: Option<String>,
    /// The prefix of consumer groups and transactional ids [default: holdpoint].
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// The URL by which other instances and people reach this one [default: http://<listen>].
    #[arg(long, value_name = "URL")]
    pub advertise: Option<String>,
    /// The environment of events that name none [default: production].
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
    /// Create the topics that do not exist, and return when they can be used.
    #[command(after_help = "Example:\n  holdpoint topics ensure --brokers kafka:9092 --partitions 24")]
    Ensure {
        #[command(flatten)]
        common: Common,
        /// Partitions of each topic; cannot be changed afterwards [default: 12].
        #[arg(long)]
        partitions: Option<String>,
        /// Replicas of each partition [default: the broker's].
        #[arg(long)]
        replication_factor: Option<String>,
    },
    /// Check that the topics exist, that partition counts match and that three settings of each are right; if all is so,
    /// also that the state can be restored. Prints a line per difference.
    #[command(
        after_help = "Example:\n  holdpoint topics verify --brokers kafka:9092\n\nExit status: 0 if nothing differs, 1 otherwise."
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
    /// The environment it is to be deployed to.
    #[arg(long)]
    pub environment: EnvironmentId,
    /// A commit that goes out; may be repeated, up to 1,000 times. The gravest decision counts.
    #[arg(long, value_name = "SHA")]
    pub change: Vec<String>,
    /// What kind of deploy it is: rollbacks, security fixes, and hotfixes for an open incident pass a freeze.
    #[arg(long, value_enum, default_value_t = Kind::Release)]
    pub kind: Kind,
    /// The open incident that a hotfix is for.
    #[arg(long, value_name = "ID", value_parser = incident)]
    pub incident: Option<String>,
    /// How long to ask again, every 5 s, while the answer is freeze, extra review or failing closed; such as 10m.
    #[arg(long, value_parser = duration)]
    pub wait: Option<Duration>,
    /// How long one answer may take.
    #[arg(long, default_value = "30s", value_parser = duration_above_zero)]
    pub timeout: Duration,
    /// What to do when nothing is known: `open` lets the deploy go on (exit 0), `closed` stops it (exit 30).
    #[arg(long, value_enum, default_value_t = Fail::Open)]
    pub fail_mode: Fail,
    /// Print the whole answer as JSON.
    #[arg(long)]
    pub json: bool,
    /// Ask this instance over HTTP [default: `HOLDPOINT_URL`, unless `--brokers` is given].
    // Not parsed here: clap quotes what is wrong, and an address may hold a password.
    #[arg(long, conflicts_with = "brokers")]
    pub url: Option<String>,
    /// Read the control topic from these brokers [default: `HOLDPOINT_BROKERS`, if there is no URL].
    #[arg(long, value_name = "LIST")]
    pub brokers: Option<String>,
    /// The settings file, for names of topics and for security. None is looked for in the working directory.
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

It counts at every gate at once, in shadow mode too. Without --environment it is about all environments.")]
pub struct Override {
    #[command(flatten)]
    pub common: Common,
    /// The service that it is about.
    #[arg(long)]
    pub service: ServiceId,
    /// The environment in which it holds [default: every environment].
    #[arg(long)]
    pub environment: Option<EnvironmentId>,
    /// What every gate is told: `proceed` lets deploys pass, `freeze` holds them.
    #[arg(long, value_enum)]
    pub effect: EffectName,
    /// How long it lasts, at most 7d; 0 takes back the override before.
    #[arg(long = "for", value_name = "LENGTH", value_parser = length_of_word)]
    pub length: Duration,
    /// Why. Everybody can read it: every gate says it, and so does the page.
    #[arg(long, value_parser = reason)]
    pub reason: String,
    /// Who says so [default: the user running this]. Kept on the topic of overrides.
    #[arg(long, env = "USER", hide_env_values = true, default_value = "unknown")]
    pub by: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  holdpoint replay --events history.ndjson
  holdpoint replay --events 2026-*.ndjson.zst --policy policy.toml \\
      --report report.html
  holdpoint replay --events history.ndjson.gz --policy policy.toml \\
      --compare other.toml
  holdpoint replay --events *.ndjson --policy policy.toml \\
      --decisions decisions.jsonl --json
  zcat history.gz | holdpoint replay --events -

Files may be plain, gzip or Zstandard. They are merged by time; each of them, and stdin, must be about in order of time.
The same inputs and policy give the same bytes. Exit status: 0; 1 if inputs could not be read.")]
pub struct Replay {
    /// Recorded events, one JSON object a line; `-` is stdin. May be repeated.
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub events: Vec<PathBuf>,
    /// The policy [default: the built-in one].
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// A second policy for the same events, to see what would change.
    #[arg(long, value_name = "FILE")]
    pub compare: Option<PathBuf>,
    /// The environment of events that name none: the setting of the instance they were recorded from [default: production].
    #[arg(long, value_name = "NAME")]
    pub default_environment: Option<EnvironmentId>,
    /// Write every decision here, one a line.
    #[arg(long, value_name = "FILE", value_parser = result())]
    pub decisions: Option<PathBuf>,
    /// Write a line here per commit scored and per deploy watched.
    #[arg(long, value_name = "FILE", value_parser = result())]
    pub scores: Option<PathBuf>,
    /// Write a page for people here: figures, timelines of freezes, what would change.
    #[arg(long, value_name = "FILE.html", value_parser = result())]
    pub report: Option<PathBuf>,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Print the commits of a git repository, and its reverts as incidents, one JSON object a line.
    #[command(after_help = "Examples:
  holdpoint import git . | holdpoint replay --events -   # what would be gated
  holdpoint import git ~/src/shop --service checkout \\
      --since 2026-01-01 > checkout.ndjson

It reads what HEAD reaches by your own git, all but merges, and changes nothing. No name or address of a person \
goes out. The measures do not depend on --since: the past is read in any case.
Exit status: 0; 1 if there is no git, no repository or no history.")]
    Git {
        /// The repository: any folder of its working tree, or a bare repository.
        path: PathBuf,
        /// The service whose commits they are [default: the name of the repository's folder].
        #[arg(long)]
        service: Option<ServiceId>,
        /// Leave out commits before this: 2026-01-01, in UTC, or 2026-01-01T12:00:00+01:00.
        #[arg(long, value_name = "DATE", value_parser = date)]
        since: Option<Timestamp>,
    },
}

#[derive(Debug, Subcommand)]
pub enum Policy {
    /// Check a policy: prints all mistakes at once, each with its line and column.
    #[command(
        after_help = "Example:\n  holdpoint policy check policy.toml\n\nExit status: 0 if it is good; 1 otherwise."
    )]
    Check {
        /// The policy.
        file: PathBuf,
    },
    /// Show every value that holds for a service in an environment, and where it comes from.
    #[command(after_help = "Examples:
  holdpoint policy explain --service checkout policy.toml
  holdpoint policy explain --service checkout --environment staging \\
      --tier critical policy.toml --json

A value is the built-in default, or comes from a line: at the top, of the tier, of the environment, of the service, or \
of the service in that environment. The last of these that has it counts.
Exit status: 0; 1 if the policy has faults, which it prints as `policy check` does.")]
    Explain {
        /// The service.
        #[arg(long)]
        service: ServiceId,
        /// The environment.
        #[arg(long, default_value = "production")]
        environment: EnvironmentId,
        /// The service's criticality in the catalog, where the policy names no tier of its own [default: medium].
        #[arg(long, value_enum)]
        tier: Option<Tier>,
        /// Print JSON.
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
