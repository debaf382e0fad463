//! The settings in force as text, for a line at startup.

use std::fmt;

use super::error::Origin;
use super::kafka;
use super::topics::INPUTS;
use super::{Roles, Settings};

impl Settings {
    /// Every key with its value and where that came from; secrets as `***`.
    #[must_use]
    pub fn explain(&self) -> Vec<(String, String, Origin)> {
        let or = |value: Option<String>, default: &str| value.unwrap_or_else(|| default.to_owned());
        let policy = self.policy.as_ref().map(|path| path.display().to_string());
        let mut values = vec![
            ("brokers", self.brokers.clone()),
            ("group", self.group.clone()),
            ("instance", or(self.instance.clone(), "host name and listen port")),
            ("listen", self.listen.to_string()),
            (
                "advertise",
                or(self.advertise.clone(), &format!("http://{}", self.listen)),
            ),
            ("roles", self.roles.to_string()),
            ("policy", or(policy, "what is in force")),
        ];
        for (kind, names) in &self.topics.inputs {
            let input = INPUTS.iter().find(|(input, _, _)| input == kind);
            values.extend(input.map(|(_, key, _)| (*key, names.join(","))));
        }
        values.extend([
            ("topics.overrides", self.topics.overrides.clone()),
            ("topics.events", self.topics.events.clone()),
            ("topics.state", self.topics.state.clone()),
            ("topics.control", self.topics.control.clone()),
            ("topics.rejected", self.topics.rejected.clone()),
            ("partitions", self.partitions.to_string()),
            (
                "replication_factor",
                or(self.replication_factor.map(|n| n.to_string()), "the broker's"),
            ),
            ("default_environment", self.default_environment.clone()),
        ]);
        let values = values.into_iter().map(|(key, value)| (key.to_owned(), value));
        let properties = self.kafka.iter().map(|(property, value)| {
            (
                format!("{}{property}", kafka::PREFIX),
                kafka::masked(property, value).to_owned(),
            )
        });
        values
            .chain(properties)
            .map(|(key, value)| self.with_origin(key, value))
            .collect()
    }

    fn with_origin(&self, key: String, value: String) -> (String, String, Origin) {
        let origin = self.origins.get(&key).cloned().unwrap_or(Origin::Default);
        (key, value, origin)
    }
}

impl fmt::Display for Roles {
    /// As a setting has them: `ingest,score`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [(self.ingest, "ingest"), (self.score, "score"), (self.api, "api")];
        let names: Vec<&str> = all
            .into_iter()
            .filter_map(|(is_on, name)| is_on.then_some(name))
            .collect();
        f.write_str(&names.join(","))
    }
}
