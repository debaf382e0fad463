//! What was said for each key, in order of precedence, and the reading of it with every mistake collected.

use std::collections::BTreeMap;

use super::error::{Origin, Problem, SettingError};
use super::parse::{self, Wrong};

/// A value as its source can tell it. No `Debug`: it may be a secret.
pub(super) enum Value {
    /// Text of a variable or flag, which may stand for any type.
    Untyped(String),
    /// A string of the file.
    Text(String),
    Whole(i64),
    Boolean(bool),
    List(Vec<Given>),
    /// What no setting is, by the words that describe it.
    Other(&'static str),
}

pub(super) struct Given {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// Hands out the values of keys.
///
/// **Invariant:** the values of one key rise in precedence, and no two are from the same kind of source.
#[derive(Default)]
pub(super) struct Reader {
    given: BTreeMap<String, Vec<Given>>,
    /// Where the value in force came from, for the keys read so far that are not at their default.
    pub(super) origins: BTreeMap<String, Origin>,
    pub(super) errors: Vec<SettingError>,
    /// The file could not be read to its end, so what it says may be incomplete.
    pub(super) is_partial: bool,
}

impl Reader {
    /// Adds a value. Sources come in the order of precedence: file, environment, flags.
    pub(super) fn add(&mut self, key: &str, given: Given) {
        let earlier = self.given.entry(key.to_owned()).or_default();
        match earlier.last() {
            Some(last) if last.origin.precedence() == given.origin.precedence() => {
                let problem = Problem::GivenTwice {
                    key: key.to_owned(),
                    other: last.origin.clone(),
                };
                self.errors.push(SettingError {
                    origin: given.origin,
                    problem,
                });
            }
            Some(_) | None => earlier.push(given),
        }
    }

    /// The value of `key` in force; `None` if none was given or one of those given is wrong.
    pub(super) fn value<T>(&mut self, key: &str, parse: impl Fn(&Value) -> Result<T, Wrong>) -> Option<T> {
        self.read(key, |given| {
            parse(&given.value).map_err(|wrong| vec![wrong.error(key, &given.origin)])
        })
    }

    /// The items of the list `key` in force, each with where it stands.
    pub(super) fn list<T>(&mut self, key: &str, parse: impl Fn(&str) -> Result<T, Wrong>) -> Option<Vec<(T, Origin)>> {
        self.read(key, |given| {
            let items = parse::items(given).map_err(|wrong| vec![wrong.error(key, &given.origin)])?;
            let mut parsed = Vec::with_capacity(items.len());
            let mut errors = Vec::new();
            for (item, origin) in items {
                match item.and_then(&parse) {
                    Ok(item) => parsed.push((item, origin.clone())),
                    Err(wrong) => errors.push(wrong.error(key, origin)),
                }
            }
            if errors.is_empty() { Ok(parsed) } else { Err(errors) }
        })
    }

    /// Takes out all that was given for keys that begin with `prefix`, without the prefix.
    pub(super) fn take_prefixed(&mut self, prefix: &str) -> Vec<(String, Given)> {
        let is_prefixed = |key: &String, _: &mut Vec<Given>| key.starts_with(prefix);
        let mut taken = Vec::new();
        for (key, given) in self.given.extract_if(.., is_prefixed) {
            let name = key.strip_prefix(prefix).unwrap_or(&key);
            taken.extend(given.into_iter().map(|given| (name.to_owned(), given)));
        }
        taken
    }

    fn read<T>(&mut self, key: &str, parse: impl Fn(&Given) -> Result<T, Vec<SettingError>>) -> Option<T> {
        let mut in_force = None;
        for given in self.given.remove(key).unwrap_or_default() {
            match parse(&given) {
                Ok(value) => {
                    in_force = Some(value);
                    self.origins.insert(key.to_owned(), given.origin);
                }
                Err(errors) => self.errors.extend(errors),
            }
        }
        in_force
    }
}
