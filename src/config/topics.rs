//! The names of all topics: those read, each with the kind its records have by default, and Holdpoint's own.

use std::collections::BTreeMap;

use crate::model::Kind;

use super::error::{Origin, Problem, SettingError};
use super::given::Reader;
use super::parse::{self, Wrong};

/// Names of topics, all legal in Kafka and no two of them the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// The input topics of each kind but overrides, at least one a kind.
    pub inputs: Vec<(Kind, Vec<String>)>,
    /// Overrides; an input too.
    pub overrides: String,
    /// The log.
    pub events: String,
    /// Snapshots.
    pub state: String,
    /// Decisions and heartbeats.
    pub control: String,
    /// Inputs that were refused.
    pub rejected: String,
}

impl Topics {
    /// Every topic that ingest reads, overrides last.
    pub fn consumed(&self) -> impl Iterator<Item = (Kind, &str)> {
        let inputs = self
            .inputs
            .iter()
            .flat_map(|(kind, names)| names.iter().map(|name| (*kind, name.as_str())));
        inputs.chain([(Kind::Override, self.overrides.as_str())])
    }
}

/// The kinds that come from outside, each with its key and the topic it is on by default.
pub(super) const INPUTS: [(Kind, &str, &str); 6] = [
    (Kind::Commit, "topics.commits", "commits"),
    (Kind::Deploy, "topics.deploys", "deploys"),
    (Kind::Error, "topics.errors", "errors"),
    (Kind::Incident, "topics.incidents", "incidents"),
    (Kind::Review, "topics.reviews", "reviews"),
    (Kind::Service, "topics.services", "services"),
];

/// A topic as one key names it.
struct Use {
    key: &'static str,
    origin: Origin,
}

/// The topics, and an error for each that two keys name.
pub(super) fn read(reader: &mut Reader) -> Topics {
    let mut uses = Uses::default();
    let mut inputs = Vec::with_capacity(INPUTS.len());
    for (kind, key, default) in INPUTS {
        let names = reader.list(key, parse::topic_name);
        let names = names.unwrap_or_else(|| vec![(default.to_owned(), Origin::Default)]);
        for (name, origin) in &names {
            uses.add(
                name,
                Use {
                    key,
                    origin: origin.clone(),
                },
            );
        }
        inputs.push((kind, parse::values(names)));
    }
    let mut own = |key, default: &str| {
        let name = reader.value(key, parse::topic).unwrap_or_else(|| default.to_owned());
        let origin = reader.origins.get(key).cloned().unwrap_or(Origin::Default);
        uses.add(&name, Use { key, origin });
        name
    };
    let topics = Topics {
        inputs,
        overrides: own("topics.overrides", "holdpoint.overrides"),
        events: own("topics.events", "holdpoint.events"),
        state: own("topics.state", "holdpoint.state"),
        control: own("topics.control", "holdpoint.control"),
        rejected: own("topics.rejected", "holdpoint.rejected"),
    };
    if !reader.is_partial {
        reader.errors.append(&mut uses.errors);
    }
    topics
}

#[derive(Default)]
struct Uses {
    first: BTreeMap<String, Use>,
    errors: Vec<SettingError>,
}

impl Uses {
    fn add(&mut self, topic: &str, this: Use) {
        let Some(first) = self.first.get(topic) else {
            self.first.insert(topic.to_owned(), this);
            return;
        };
        // Of a name given and a default, the one given is to be changed.
        let (blamed, other) = if this.origin == Origin::Default {
            (first, &this)
        } else {
            (&this, first)
        };
        self.errors.push(if blamed.key == other.key {
            let wrong = Wrong {
                must: "a list without repetitions",
                found: format!("`{topic}` twice"),
            };
            wrong.error(blamed.key, &blamed.origin)
        } else {
            let problem = Problem::SharedTopic {
                key: blamed.key,
                topic: topic.to_owned(),
                other: other.key,
                reason: reason(blamed.key, other.key),
            };
            SettingError {
                origin: blamed.origin.clone(),
                problem,
            }
        });
    }
}

fn reason(key: &str, other: &str) -> &'static str {
    let is_input = |key: &str| INPUTS.iter().any(|(_, input, _)| *input == key);
    if is_input(key) && is_input(other) {
        "a topic may carry several kinds, told by each record's own `kind`, so list it once"
    } else {
        "each of Holdpoint's own topics is used for one thing"
    }
}
