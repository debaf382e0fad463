//! One value of each key: what is allowed, and the words for it.

use std::net::{Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use super::Roles;
use super::error::{Origin, Problem, SettingError};
use super::given::{Given, Value};
use crate::model::shorten;

/// Names of environments and instances, as of services.
const NAME_BYTES_MAX: usize = 256;
/// Kafka's bound for names of topics, from which its file names come.
const TOPIC_BYTES_MAX: usize = 249;

const NAME: &str = "text of 1 to 256 bytes without control characters";
const TOPIC: &str = "1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`, and not `.` or `..`";
const LISTEN: &str = "an IP address and a port, as in 127.0.0.1:8484";
const ADVERTISE: &str = "a URL http://… or https://… without user name, query and fragment";
const ROLE: &str = "one or more of ingest, score and api";
const PATH: &str = "the path of a file";
const BROKER: &str = "one or more of host:port, separated by commas, an IPv6 address in brackets";
const PARTITIONS: &str = "a whole number from 1 to 1000";
const REPLICAS: &str = "a whole number from 1 to 32767";
const LIST: &str = "a string or an array of strings, at least one";

/// A value that is not what its key asks for.
pub(super) struct Wrong {
    pub(super) must: &'static str,
    /// What it is instead; for keys of librdkafka never the value itself.
    pub(super) found: String,
}

impl Wrong {
    pub(super) fn error(self, key: &str, origin: &Origin) -> SettingError {
        let problem = Problem::Wrong {
            key: key.to_owned(),
            must: self.must,
            found: self.found,
        };
        SettingError {
            origin: origin.clone(),
            problem,
        }
    }
}

/// An item of a list and where it stands.
type Item<'a> = (Result<&'a str, Wrong>, &'a Origin);

/// The items of a list, separated by commas where it is one text.
pub(super) fn items(given: &Given) -> Result<Vec<Item<'_>>, Wrong> {
    match &given.value {
        Value::Untyped(text) | Value::Text(text) => {
            Ok(text.split(',').map(|item| (Ok(item.trim()), &given.origin)).collect())
        }
        Value::List(items) if !items.is_empty() => Ok(items
            .iter()
            .map(|item| (text(&item.value, LIST), &item.origin))
            .collect()),
        Value::List(_) => Err(Wrong {
            must: LIST,
            found: "empty".to_owned(),
        }),
        Value::Whole(_) | Value::Boolean(_) | Value::Other(_) => Err(wrong(LIST, &given.value)),
    }
}

/// The items without their places.
pub(super) fn values<T>(items: Vec<(T, Origin)>) -> Vec<T> {
    items.into_iter().map(|(item, _)| item).collect()
}

/// A name of an environment or an instance.
pub(super) fn name(value: &Value) -> Result<String, Wrong> {
    let name = text(value, NAME)?;
    let fits = (1..=NAME_BYTES_MAX).contains(&name.len()) && !name.contains(char::is_control);
    if fits {
        Ok(name.to_owned())
    } else {
        Err(wrong_text(NAME, name))
    }
}

/// A name of a topic, or of a group, which holds to the same characters to be readable in tools and access lists.
pub(super) fn topic(value: &Value) -> Result<String, Wrong> {
    topic_name(text(value, TOPIC)?)
}

/// As [`topic`], from an item of a list.
pub(super) fn topic_name(name: &str) -> Result<String, Wrong> {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    let fits = (1..=TOPIC_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_legal);
    if fits && name != "." && name != ".." {
        Ok(name.to_owned())
    } else {
        Err(wrong_text(TOPIC, name))
    }
}

pub(super) fn listen(value: &Value) -> Result<SocketAddr, Wrong> {
    let text = text(value, LISTEN)?;
    text.parse().ok().ok_or_else(|| wrong_text(LISTEN, text))
}

/// A URL to prefix paths with.
pub(super) fn advertise(value: &Value) -> Result<String, Wrong> {
    let text = text(value, ADVERTISE)?;
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let authority = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    // It is published in heartbeats: a password in it would be too, and it is not quoted here either.
    if text.contains('@') {
        return Err(Wrong {
            must: ADVERTISE,
            found: "one with `@`".to_owned(),
        });
    }
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | '"' | '<' | '>' | '\\');
    if !is_place(authority) || text.contains(is_odd) {
        return Err(wrong_text(ADVERTISE, text));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

pub(super) fn path(value: &Value) -> Result<PathBuf, Wrong> {
    let path = text(value, PATH)?;
    if path.is_empty() || path.contains('\0') {
        Err(wrong_text(PATH, path))
    } else {
        Ok(PathBuf::from(path))
    }
}

pub(super) fn partitions(value: &Value) -> Result<u16, Wrong> {
    whole(value, 1000, PARTITIONS)
}

/// Kafka keeps it in 16 bits with a sign.
pub(super) fn replication_factor(value: &Value) -> Result<u16, Wrong> {
    whole(value, 32_767, REPLICAS)
}

/// One role, as the set of it alone.
pub(super) fn role(name: &str) -> Result<Roles, Wrong> {
    let none = Roles {
        ingest: false,
        score: false,
        api: false,
    };
    match name {
        "ingest" => Ok(Roles { ingest: true, ..none }),
        "score" => Ok(Roles { score: true, ..none }),
        "api" => Ok(Roles { api: true, ..none }),
        _ => Err(wrong_text(ROLE, name)),
    }
}

/// The union.
pub(super) fn roles(roles: &[Roles]) -> Roles {
    Roles {
        ingest: roles.iter().any(|roles| roles.ingest),
        score: roles.iter().any(|roles| roles.score),
        api: roles.iter().any(|roles| roles.api),
    }
}

/// `host`, `host:port` or `[address]:port`, after `protocol://` or not, as librdkafka takes them.
pub(super) fn broker(broker: &str) -> Result<String, Wrong> {
    if is_place(broker.split_once("://").map_or(broker, |(_, rest)| rest)) {
        Ok(broker.to_owned())
    } else {
        Err(wrong_text(BROKER, broker))
    }
}

/// Whether somebody could be reached at this: `host`, `host:port`, `[address]` or `[address]:port`.
#[must_use]
pub fn is_place(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match address {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        }
    };
    is_host && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Blanks around a text are never meant.
fn text<'a>(value: &'a Value, must: &'static str) -> Result<&'a str, Wrong> {
    match value {
        Value::Untyped(text) | Value::Text(text) => Ok(text.trim()),
        Value::Whole(_) | Value::Boolean(_) | Value::List(_) | Value::Other(_) => Err(wrong(must, value)),
    }
}

fn whole(value: &Value, max: u16, must: &'static str) -> Result<u16, Wrong> {
    let number = match value {
        Value::Whole(number) => u16::try_from(*number).ok(),
        Value::Untyped(text) => text.trim().parse().ok(),
        Value::Text(_) | Value::Boolean(_) | Value::List(_) | Value::Other(_) => None,
    };
    number
        .filter(|number| (1..=max).contains(number))
        .ok_or_else(|| wrong(must, value))
}

fn wrong(must: &'static str, value: &Value) -> Wrong {
    let found = match value {
        Value::Untyped(text) => return wrong_text(must, text.trim()),
        Value::Text(text) => format!("the string `{}`", shorten(text)),
        Value::Whole(number) => format!("`{number}`"),
        Value::Boolean(boolean) => format!("`{boolean}`"),
        Value::List(_) => "an array".to_owned(),
        Value::Other(what) => (*what).to_owned(),
    };
    Wrong { must, found }
}

fn wrong_text(must: &'static str, text: &str) -> Wrong {
    let found = if text.is_empty() {
        "empty".to_owned()
    } else {
        format!("`{}`", shorten(text))
    };
    Wrong { must, found }
}
