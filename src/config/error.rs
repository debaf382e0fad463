//! What can be wrong with settings, each with where it was said. No text here quotes a secret.

use std::fmt;
use std::net::SocketAddr;

/// Where a value came from. Ordered as messages are: file, environment, flags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// A place in the file, lines and columns from 1.
    File {
        /// The name the file was given by.
        name: String,
        /// Line.
        line: usize,
        /// Column, in characters.
        column: usize,
    },
    /// An environment variable, by its whole name.
    Variable(String),
    /// A flag, with its dashes.
    Flag(String),
}

impl Origin {
    /// Greater wins.
    pub(super) fn precedence(&self) -> u8 {
        match self {
            Self::Default => 0,
            Self::File { .. } => 1,
            Self::Variable(_) => 2,
            Self::Flag(_) => 3,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line, column } => write!(f, "{name}:{line}:{column}"),
            Self::Variable(name) | Self::Flag(name) => f.write_str(name),
        }
    }
}

/// One mistake.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct SettingError {
    /// Where it was made.
    pub origin: Origin,
    /// What it is.
    pub problem: Problem,
}

/// What is wrong with a setting.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The file is not TOML at this place.
    #[error("not TOML: {0}")]
    Syntax(String),
    /// No setting has this key.
    #[error("unknown key `{key}`{}", did_you_mean(*suggestion))]
    UnknownKey {
        /// The key as written, dotted.
        key: String,
        /// A key that resembles it.
        suggestion: Option<&'static str>,
    },
    /// The value has a wrong type or is outside of what is allowed.
    #[error("`{key}` must be {must}, not {found}")]
    Wrong {
        /// The dotted key.
        key: String,
        /// What is allowed.
        must: &'static str,
        /// What was said instead.
        found: String,
    },
    /// One source names the same setting twice.
    #[error("`{key}` is given twice, first by {other}")]
    GivenTwice {
        /// The dotted key.
        key: String,
        /// Where it was said first.
        other: Origin,
    },
    /// A property that Holdpoint's guarantees rest on, or that another setting says.
    #[error("`kafka.{property}` cannot be set: {reason}")]
    Refused {
        /// The property of librdkafka.
        property: String,
        /// Which guarantee, or which setting to use.
        reason: &'static str,
    },
    /// Two settings name the same topic.
    #[error("`{key}` names topic `{topic}`, and so does `{other}`: {reason}")]
    SharedTopic {
        /// The dotted key.
        key: &'static str,
        /// The topic.
        topic: String,
        /// The other dotted key, or the same one.
        other: &'static str,
        /// Why that cannot be.
        reason: &'static str,
    },
    /// The file that holds a secret could not be read. Its path is not told: a secret given in its place would be.
    #[error("cannot read the file that `{key}` names: {fault}")]
    Unreadable {
        /// The dotted key.
        key: String,
        /// What the system said.
        fault: std::io::ErrorKind,
    },
}

/// All mistakes in the settings, one a line, in the order file, environment, flags. Never empty.
#[derive(Debug, PartialEq, Eq)]
pub struct SettingsErrors(Vec<SettingError>);

impl SettingsErrors {
    pub(super) fn new(mut errors: Vec<SettingError>) -> Self {
        assert!(!errors.is_empty(), "no mistakes, no error");
        errors.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self(errors)
    }

    /// Each mistake.
    pub fn iter(&self) -> impl Iterator<Item = &SettingError> {
        self.0.iter()
    }
}

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, error) in self.0.iter().enumerate() {
            let end_of_last = if i == 0 { "" } else { "\n" };
            write!(f, "{end_of_last}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SettingsErrors {}

/// What deserves a line at startup, and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A variable `HOLDPOINT_…` that is no setting.
    UnknownVariable {
        /// The whole name.
        name: String,
        /// A variable that resembles it.
        suggestion: Option<String>,
    },
    /// A variable as Kubernetes sets them for a service of that name.
    ServiceLink {
        /// The whole name.
        name: String,
    },
    /// `listen` is open to other machines, and `advertise` does not say how they reach it.
    Unadvertised {
        /// The address.
        listen: SocketAddr,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownVariable { name, suggestion } => {
                write!(f, "{name}: no such setting{}", did_you_mean(suggestion.as_deref()))
            }
            Self::ServiceLink { name } => {
                write!(
                    f,
                    "{name}: not a setting but a link to a Kubernetes service; `enableServiceLinks: false` in the pod \
                     leaves it out"
                )
            }
            Self::Unadvertised { listen } => {
                write!(
                    f,
                    "`listen` {listen} is open to other machines and others are told `http://{listen}`: set \
                     `advertise` to the URL they reach it by"
                )
            }
        }
    }
}

fn did_you_mean(suggestion: Option<&str>) -> String {
    suggestion.map_or_else(String::new, |suggestion| format!(", did you mean `{suggestion}`?"))
}
