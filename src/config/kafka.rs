//! Properties of librdkafka, passed on as they are, but for those that Holdpoint's guarantees rest on.
//!
//! `sasl.password_file = "/run/secrets/kafka"` gives `sasl.password` the text of that file, without the line end
//! after it; so for every property. Whether a property exists is for librdkafka to say.

mod refused;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

use super::error::{Origin, Problem, SettingError};
use super::given::{Given, Reader, Value};

/// What keys of librdkafka begin with.
pub(super) const PREFIX: &str = "kafka.";

/// The longest secret read from a file: a bundle of all usual certificate authorities is a quarter of it.
const FILE_BYTES_MAX: usize = 1 << 20;
const FILE: &str = "_file";
/// Properties of librdkafka that end as our `…_FILE` variables do.
const OWN_FILES: [&str; 3] = [
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
];

const VALUE: &str = "a string, whole number or boolean, not empty and without NUL";
const SECRET: &str = "a string, not empty and without NUL";
const FILE_PATH: &str = "the path of a file that holds the value";
const CONTENTS: &str = "the path of a file that holds 1 byte to 1 MiB of text without NUL";
const PROPERTY: &str = "a property of librdkafka, in lower case";

/// Properties for librdkafka by name.
///
/// **Invariant:** none of them can break a guarantee, and `Debug` shows no secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Kafka(BTreeMap<String, String>);

impl Kafka {
    /// Name and value, secrets included, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(property, value)| (property.as_str(), value.as_str()))
    }

    /// The value of a property, if it is set.
    #[must_use]
    pub fn value(&self, property: &str) -> Option<&str> {
        self.0.get(property).map(String::as_str)
    }
}

impl fmt::Debug for Kafka {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let masked = self.iter().map(|(property, value)| (property, masked(property, value)));
        f.debug_map().entries(masked).finish()
    }
}

/// The value for people to see.
pub(super) fn masked<'a>(property: &str, value: &'a str) -> &'a str {
    if is_secret(property) { "***" } else { value }
}

/// Of `sasl.…` only what is known to be harmless is shown, so a slip like `sasl.pasword` tells nothing either.
fn is_secret(property: &str) -> bool {
    let words = [
        "password",
        "passphrase",
        "secret",
        "token",
        "key.pem",
        "private.key",
        "ssl_key",
    ];
    let is_harmless = matches!(property, "sasl.mechanism" | "sasl.mechanisms" | "sasl.username")
        || property.starts_with("sasl.kerberos.");
    let is_sasl = property.starts_with("sasl.") && !is_harmless;
    is_sasl || words.into_iter().any(|word| property.contains(word))
}

/// The property that a variable names, `…_file` at its end where the variable names a file.
pub(super) fn property(variable: &str) -> String {
    let property = variable.replace('_', ".").to_lowercase();
    match property.strip_suffix(".file") {
        Some(base) if !OWN_FILES.contains(&property.as_str()) => format!("{base}{FILE}"),
        Some(_) | None => property,
    }
}

/// The properties given, an error for each that is refused. Reads files only for values in force.
pub(super) fn read(reader: &mut Reader, read: &dyn Fn(&Path) -> io::Result<String>) -> Kafka {
    let mut in_force: BTreeMap<String, Said> = BTreeMap::new();
    for (name, Given { value, origin }) in reader.take_prefixed(PREFIX) {
        let property = name.strip_suffix(FILE).unwrap_or(&name).to_owned();
        let text = match check(&property, &name, value) {
            Ok(text) => text,
            Err(problem) => {
                reader.errors.push(SettingError { origin, problem });
                continue;
            }
        };
        let precedence = |said: &Said| said.origin.precedence();
        match in_force.get(&property) {
            Some(other) if precedence(other) > origin.precedence() => {}
            Some(other) if precedence(other) == origin.precedence() => {
                let problem = Problem::GivenTwice {
                    key: format!("{PREFIX}{property}"),
                    other: other.origin.clone(),
                };
                reader.errors.push(SettingError { origin, problem });
            }
            Some(_) | None => {
                in_force.insert(property, Said { name, text, origin });
            }
        }
    }
    let mut properties = BTreeMap::new();
    for (property, Said { name, text, origin }) in in_force {
        let value = if name == property {
            Ok(text)
        } else {
            contents(&name, &text, read)
        };
        match value {
            Ok(value) => {
                reader.origins.insert(format!("{PREFIX}{property}"), origin);
                properties.insert(property, value);
            }
            Err(problem) => reader.errors.push(SettingError { origin, problem }),
        }
    }
    Kafka(properties)
}

/// A value as given for `name`, which is the property or names a file with it.
struct Said {
    name: String,
    text: String,
    origin: Origin,
}

/// The text given for `property` under `name`, if the property may be set and the type is right.
fn check(property: &str, name: &str, value: Value) -> Result<String, Problem> {
    let is_legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_');
    if property.is_empty() || !property.bytes().all(is_legal) {
        return Err(wrong(name, PROPERTY, "this"));
    }
    if let Some(reason) = refused::reason(property) {
        return Err(Problem::Refused {
            property: property.to_owned(),
            reason,
        });
    }
    let must = match (name != property, is_secret(property)) {
        (true, _) => FILE_PATH,
        (false, true) => SECRET,
        (false, false) => VALUE,
    };
    match value {
        Value::Untyped(text) | Value::Text(text) if text.trim().is_empty() => Err(wrong(name, must, "empty")),
        Value::Untyped(text) | Value::Text(text) if text.contains('\0') => Err(wrong(name, must, "with NUL")),
        Value::Untyped(text) | Value::Text(text) => Ok(text),
        // A secret of digits is text: as a number 0x10 and 1_000 would come out differently from how they were written.
        Value::Whole(number) if must == VALUE => Ok(number.to_string()),
        Value::Boolean(boolean) if must == VALUE => Ok(boolean.to_string()),
        Value::Whole(_) => Err(wrong(name, must, "a number")),
        Value::Boolean(_) => Err(wrong(name, must, "a boolean")),
        Value::List(_) => Err(wrong(name, must, "an array")),
        Value::Other(what) => Err(wrong(name, must, what)),
    }
}

/// The text of the file at `path`, without one line end after it.
fn contents(name: &str, path: &str, read: &dyn Fn(&Path) -> io::Result<String>) -> Result<String, Problem> {
    let text = read(Path::new(path.trim())).map_err(|error| Problem::Unreadable {
        key: format!("{PREFIX}{name}"),
        fault: error.kind(),
    })?;
    if text.len() > FILE_BYTES_MAX {
        return Err(wrong(name, CONTENTS, "of a larger one"));
    }
    let value = text.strip_suffix('\n').unwrap_or(&text);
    let value = value.strip_suffix('\r').unwrap_or(value);
    if value.trim().is_empty() {
        return Err(wrong(name, CONTENTS, "of an empty one"));
    }
    if value.contains('\0') {
        Err(wrong(name, CONTENTS, "of one with NUL"))
    } else {
        Ok(value.to_owned())
    }
}

fn wrong(name: &str, must: &'static str, found: &str) -> Problem {
    Problem::Wrong {
        key: format!("{PREFIX}{name}"),
        must,
        found: found.to_owned(),
    }
}
