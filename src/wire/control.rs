//! `holdpoint.control`, and the answers of the gate: keys, values, headers.
//!
//! Values are JSON objects on one line, the same bytes for the same content. A reader ignores fields it does not know
//! and refuses a schema of another major version: rather nothing than half of a decision.

mod decision;
mod headers;
mod key;
mod notice;
mod verdict;

pub use decision::{decode_decision, encode_decision};
pub use headers::{decision_headers, heartbeat_headers};
pub use key::parse_key;
pub use notice::{decode_heartbeat, decode_ingest, encode_heartbeat, encode_ingest};
pub use verdict::{decode_verdict, encode_verdict, merge_verdicts};

use crate::gate::{ControlKey, Record, Unreadable};

/// Reads one record of the topic. A value about something else than its key is refused.
pub fn decode(key: &[u8], value: Option<&[u8]>) -> Result<Record, Unreadable> {
    let text = std::str::from_utf8(key).map_err(|_not_text| refused(&String::from_utf8_lossy(key)))?;
    let key = parse_key(text)?;
    let Some(value) = value else {
        return Ok(Record::Forget(key));
    };
    let (record, meant) = match key {
        ControlKey::Subject(subject) => {
            let decision = decode_decision(value)?;
            let meant = decision.subject == subject;
            (Record::Decision(decision), meant)
        }
        ControlKey::Heartbeat(partition) => {
            let heartbeat = decode_heartbeat(value)?;
            let meant = heartbeat.partition == partition;
            (Record::Heartbeat(heartbeat), meant)
        }
        ControlKey::Ingest(instance) => {
            let mark = decode_ingest(value)?;
            let meant = mark.instance == instance;
            (Record::Ingest(mark), meant)
        }
    };
    if meant {
        Ok(record)
    } else {
        Err(Unreadable::KeyAndValueDiffer)
    }
}

fn refused(key: &str) -> Unreadable {
    Unreadable::Key {
        key: key.chars().take(64).collect(),
    }
}

/// Whether `schema` is version 1 of `name`, or a later one that only added to it: `holdpoint.decision/1`, `…/1.2`.
fn check_schema(schema: &str, name: &str) -> Result<(), Unreadable> {
    let version = schema.strip_prefix(name).and_then(|rest| rest.strip_prefix('/'));
    match version.map(|version| version.split('.').next()) {
        Some(Some("1")) => Ok(()),
        Some(_) | None => Err(Unreadable::Schema {
            schema: schema.chars().take(64).collect(),
        }),
    }
}

/// Compact JSON.
fn to_json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("keys are texts, and writing to memory cannot fail")
}

/// Instants as RFC 3339 texts.
mod instant {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::borrow::Cow;

    use crate::model::Timestamp;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(at)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }

    pub(super) mod option {
        use super::{Cow, Deserialize, Deserializer, Error, Serializer, Timestamp};

        #[expect(clippy::ref_option, reason = "serde's signature")]
        pub(in super::super) fn serialize<S: Serializer>(
            at: &Option<Timestamp>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match at {
                Some(at) => serializer.collect_str(at),
                None => serializer.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            deserializer: D,
        ) -> Result<Option<Timestamp>, D::Error> {
            let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
            text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
        }
    }
}

#[cfg(test)]
mod tests;
