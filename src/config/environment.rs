//! Variables as values: `HOLDPOINT_` and the key in upper case, with `_` for `.`.
//!
//! In a property of librdkafka every `_` stands for a dot, so the few that have an underscore in their name
//! (`log_level`) can only be set in the file. `HOLDPOINT_KAFKA_…_FILE` names a file that holds the value.

use super::error::{Origin, Warning};
use super::given::{Given, Reader, Value};
use super::{KEYS, kafka, suggest};

const PREFIX: &str = "HOLDPOINT_";
const KAFKA: &str = "KAFKA_";
/// Of other parts of the program; the tests' have a prefix.
const NOT_SETTINGS: [&str; 3] = ["URL", "LOG", "CONFIG"];
const TESTS: &str = "TEST_";

/// Adds every variable that is a setting; tells, by name, of those that begin as one and are none.
pub(super) fn read(environment: impl Iterator<Item = (String, String)>, reader: &mut Reader) -> Vec<Warning> {
    let mut warnings = Vec::new();
    for (name, text) in environment {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if NOT_SETTINGS.contains(&rest) || rest.starts_with(TESTS) {
            continue;
        }
        match key(rest) {
            Some(key) => reader.add(
                &key,
                Given {
                    value: Value::Untyped(text),
                    origin: Origin::Variable(name),
                },
            ),
            None => warnings.push((warning(rest, &name), name)),
        }
    }
    warnings.sort_by(|(_, a), (_, b)| a.cmp(b));
    warnings.into_iter().map(|(warning, _)| warning).collect()
}

/// The variable of a key, without the prefix.
fn variable(key: &str) -> String {
    key.replace('.', "_").to_uppercase()
}

fn key(rest: &str) -> Option<String> {
    if let Some(key) = KEYS.into_iter().find(|key| variable(key) == rest) {
        return Some(key.to_owned());
    }
    let property = rest
        .strip_prefix(KAFKA)
        .filter(|property| !property.is_empty() && !is_service_link(rest))?;
    let is_upper = property
        .bytes()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    is_upper.then(|| format!("{}{}", kafka::PREFIX, kafka::property(property)))
}

/// Kubernetes gives every pod variables for the services beside it. One named `holdpoint-kafka` must not become
/// properties of librdkafka, none of which looks like these.
fn is_service_link(rest: &str) -> bool {
    let words: Vec<&str> = rest.split('_').collect();
    let is_number = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_pair = |pair: &[&str]| match pair {
        ["SERVICE", second] => matches!(*second, "HOST" | "PORT"),
        ["PORT", second] => is_number(second),
        _ => false,
    };
    words.last() == Some(&"PORT") || words.windows(2).any(is_pair)
}

fn warning(rest: &str, name: &str) -> Warning {
    if is_service_link(rest) {
        return Warning::ServiceLink { name: name.to_owned() };
    }
    let as_key = rest.to_lowercase();
    let as_topic = as_key.replacen('_', ".", 1);
    let suggestion = suggest::key(&as_key)
        .or_else(|| suggest::key(&as_topic))
        .filter(|key| KEYS.contains(key));
    let suggestion = suggestion.map(|key| format!("{PREFIX}{}", variable(key)));
    Warning::UnknownVariable {
        name: name.to_owned(),
        suggestion,
    }
}
