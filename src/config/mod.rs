//! The settings: what `holdpoint.toml`, the environment and the flags say, checked and told apart by where it was said.
//!
//! Flags win over the environment, the environment over the file, the file over the defaults. Every value given is
//! checked, also one that another overrides: a mistake that waits for the day a variable is removed is found today.
//! All mistakes are reported at once.
//!
//! **Invariant:** a [`Settings`] that exists is valid, and no `Debug`, error or warning of this module holds a secret.

mod environment;
mod error;
mod explain;
mod file;
mod given;
mod kafka;
mod parse;
mod suggest;
mod topics;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

pub use error::{Origin, Problem, SettingError, SettingsErrors, Warning};
pub use kafka::Kafka;
pub use parse::is_place;
pub use topics::Topics;

use given::{Given, Reader, Value};

/// What flags said: dotted key to text, as in a variable. `("brokers", "a:1,b:2")` came from `--brokers a:1,b:2`.
pub type Flags = BTreeMap<String, String>;

/// Tables whose keys are written out: `topics.errors`, `kafka.security.protocol`.
const SECTIONS: [&str; 2] = ["topics", "kafka"];

/// Every key but those of librdkafka, which all begin with `kafka.`.
const KEYS: [&str; 21] = [
    "brokers",
    "group",
    "instance",
    "listen",
    "advertise",
    "roles",
    "policy",
    "topics.commits",
    "topics.deploys",
    "topics.errors",
    "topics.incidents",
    "topics.reviews",
    "topics.services",
    "topics.overrides",
    "topics.events",
    "topics.state",
    "topics.control",
    "topics.rejected",
    "partitions",
    "replication_factor",
    "default_environment",
];

const DEFAULT_BROKERS: &str = "127.0.0.1:9092";
const DEFAULT_GROUP: &str = "holdpoint";
/// Only this machine: the API has no log-in, so being reachable is a choice.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8484);
/// Divides evenly among 2, 3, 4, 6 and 12 instances.
const DEFAULT_PARTITIONS: u16 = 12;
const DEFAULT_ENVIRONMENT: &str = "production";

/// The settings in force.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bootstrap servers, separated by commas, without blanks.
    pub brokers: String,
    /// Prefix of consumer groups and transactional ids.
    pub group: String,
    /// Name of this instance, stable over restarts; `None` means host name and listen port.
    pub instance: Option<String>,
    /// Where HTTP listens. Port 0 asks the system for a free one.
    pub listen: SocketAddr,
    /// The URL others reach this instance by, without a slash at its end; `None` means `http://<listen>`.
    pub advertise: Option<String>,
    /// What this instance does; at least one.
    pub roles: Roles,
    /// Path of the policy file, relative to the working directory; `None` leaves in force what is, at first the built-in
    /// defaults.
    pub policy: Option<PathBuf>,
    /// Names of all topics.
    pub topics: Topics,
    /// Partitions of the topics that `topics ensure` creates, 1 to 1000.
    pub partitions: u16,
    /// Replicas of each partition, at least 1; `None` means the broker's default.
    pub replication_factor: Option<u16>,
    /// The environment of events that name none.
    pub default_environment: String,
    /// Properties passed on to librdkafka.
    pub kafka: Kafka,
    /// Where each value that is not a default came from, by dotted key.
    origins: BTreeMap<String, Origin>,
}

/// What an instance does. At least one is true in a [`Settings`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Reads the input topics and writes the log.
    pub ingest: bool,
    /// Reads the log and publishes decisions.
    pub score: bool,
    /// Answers HTTP.
    pub api: bool,
}

impl Roles {
    /// All three.
    pub const ALL: Self = Self {
        ingest: true,
        score: true,
        api: true,
    };
}

impl Settings {
    /// Reads the settings from all that was given.
    ///
    /// `file` is the name of `holdpoint.toml`, for messages, and its text. `read` fetches the text of a file that a
    /// `…_FILE` variable or a `…_file` key names, and of no other.
    ///
    /// # Errors
    /// With all mistakes, in the order file, environment, flags. If the file is not TOML, what depends on more than
    /// one setting is not looked at.
    pub fn load(
        file: Option<(&Path, &str)>,
        environment: impl Iterator<Item = (String, String)>,
        flags: &Flags,
        read: &dyn Fn(&Path) -> io::Result<String>,
    ) -> Result<(Self, Vec<Warning>), SettingsErrors> {
        let mut reader = Reader::default();
        if let Some((name, text)) = file {
            file::read(name, text, &mut reader);
        }
        let mut warnings = environment::read(environment, &mut reader);
        read_flags(flags, &mut reader);
        let settings = Self::assemble(&mut reader, read);
        if reader.errors.is_empty() {
            warnings.extend(settings.unadvertised());
            Ok((settings, warnings))
        } else {
            Err(SettingsErrors::new(reader.errors))
        }
    }

    /// Values that are wrong stand at their default in what this returns; `reader` has the errors.
    fn assemble(reader: &mut Reader, read: &dyn Fn(&Path) -> io::Result<String>) -> Self {
        let brokers = reader
            .list("brokers", parse::broker)
            .map(|brokers| parse::values(brokers).join(","));
        Self {
            brokers: brokers.unwrap_or_else(|| DEFAULT_BROKERS.to_owned()),
            group: reader
                .value("group", parse::topic)
                .unwrap_or_else(|| DEFAULT_GROUP.to_owned()),
            instance: reader.value("instance", parse::name),
            listen: reader.value("listen", parse::listen).unwrap_or(DEFAULT_LISTEN),
            advertise: reader.value("advertise", parse::advertise),
            roles: reader
                .list("roles", parse::role)
                .map_or(Roles::ALL, |roles| parse::roles(&parse::values(roles))),
            policy: reader.value("policy", parse::path),
            topics: topics::read(reader),
            partitions: reader
                .value("partitions", parse::partitions)
                .unwrap_or(DEFAULT_PARTITIONS),
            replication_factor: reader.value("replication_factor", parse::replication_factor),
            default_environment: reader
                .value("default_environment", parse::name)
                .unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned()),
            kafka: kafka::read(reader, read),
            origins: std::mem::take(&mut reader.origins),
        }
    }

    /// Whether anybody said what `key` is to be.
    #[must_use]
    pub fn is_given(&self, key: &str) -> bool {
        self.origins.contains_key(key)
    }

    /// Behind a listener for all, others are told an address that they may not reach.
    fn unadvertised(&self) -> Option<Warning> {
        let told = self.advertise.is_some() || self.listen.ip().is_loopback();
        (!told).then_some(Warning::Unadvertised { listen: self.listen })
    }
}

/// What begins as a setting among variables and is none, for commands that need no settings.
pub fn unknown_variables(environment: impl Iterator<Item = (String, String)>) -> Vec<Warning> {
    environment::read(environment, &mut Reader::default())
}

impl Default for Settings {
    fn default() -> Self {
        Self::assemble(&mut Reader::default(), &|_| Err(io::ErrorKind::NotFound.into()))
    }
}

fn read_flags(flags: &Flags, reader: &mut Reader) {
    for (key, text) in flags {
        let origin = Origin::Flag(format!("--{}", key.replace(['.', '_'], "-")));
        if is_known(key) {
            reader.add(
                key,
                Given {
                    value: Value::Untyped(text.clone()),
                    origin,
                },
            );
        } else {
            reader.errors.push(SettingError {
                origin,
                problem: unknown(key),
            });
        }
    }
}

fn is_known(key: &str) -> bool {
    KEYS.contains(&key) || key.starts_with(kafka::PREFIX)
}

fn unknown(key: &str) -> Problem {
    Problem::UnknownKey {
        key: key.to_owned(),
        suggestion: suggest::key(key),
    }
}
