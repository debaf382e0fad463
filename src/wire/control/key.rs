//! Keys, read; [`ControlKey`]'s and [`Subject`]'s `Display` write them.

use std::borrow::Cow;

use super::refused;
use crate::{
    gate::{ControlKey, Unreadable},
    model::{Change, MAX_NAME_BYTES, PartitionIndex, Subject},
};

/// Reads a key of the control topic.
///
/// Only the escapes that are written are read, `%25`, `%40` and `%3A`, so that each subject has one key.
pub fn parse_key(key: &str) -> Result<ControlKey, Unreadable> {
    let parsed = key.split_once(':').and_then(|(kind, rest)| match kind {
        "service" => service(rest).map(ControlKey::Subject),
        "change" => change(rest).map(ControlKey::Subject),
        "heartbeat" => partition(rest).map(ControlKey::Heartbeat),
        "ingest" if !rest.is_empty() => Some(ControlKey::Ingest(rest.into())),
        _ => None,
    });
    parsed.ok_or_else(|| refused(key))
}

fn service(rest: &str) -> Option<Subject> {
    let (service, environment) = rest.split_once('@')?;
    Some(Subject::Service {
        service: decode(service)?.parse().ok()?,
        environment: decode(environment)?.parse().ok()?,
    })
}

fn change(rest: &str) -> Option<Subject> {
    let (service, sha) = rest.split_once(':')?;
    let sha = decode(sha)?;
    if !(1..=MAX_NAME_BYTES).contains(&sha.len()) {
        return None;
    }
    Some(Subject::Change(Change {
        service: decode(service)?.parse().ok()?,
        sha: sha.into(),
    }))
}

fn partition(rest: &str) -> Option<PartitionIndex> {
    let index: i32 = rest.parse().ok()?;
    (index >= 0 && index.to_string() == rest).then_some(PartitionIndex(index))
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if text.contains(['@', ':']) {
        return None;
    }
    let Some((plain, mut rest)) = text.split_once('%') else {
        return Some(text.into());
    };
    let mut decoded = plain.to_owned();
    loop {
        let (escape, after) = rest.split_at_checked(2)?;
        decoded.push(match escape {
            "25" => '%',
            "40" => '@',
            "3A" | "3a" => ':',
            _ => return None,
        });
        let Some((plain, next)) = after.split_once('%') else {
            decoded.push_str(after);
            return Some(decoded.into());
        };
        decoded.push_str(plain);
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::ServiceId;

    proptest! {
        #[test]
        fn keys_of_subjects_read_back(
            service in "[^\\pC]{1,40}",
            environment in "[%@:a-zé]{1,9}",
            sha in "[%@:a-f0-9\\PC]{1,40}",
        ) {
            let service: ServiceId = service.parse().expect("no control characters");
            let environment = environment.parse().expect("no control characters");
            let of_service = Subject::Service { service: service.clone(), environment };
            for subject in [of_service, Subject::Change(Change { service, sha: sha.into() })] {
                let key = subject.to_string();
                prop_assert_eq!(parse_key(&key).expect(&key), ControlKey::Subject(subject));
            }
        }
    }

    #[test]
    fn a_key_is_read_in_its_one_form_only() {
        let services = [
            "service",
            "service:a",
            "service:a@",
            "service:@b",
            "service:a@b@c",
            "service:a:b@c",
        ];
        let escapes = [
            "service:a%41@b",
            "service:a%4@b",
            "service:a%@b",
            "service:a%é@b",
            "service:a\u{1}@b",
        ];
        let changes = ["change:a", "change:a:", "change::b", "change:a@b:c", "change:a:b:c"];
        let others = [
            "",
            "fleet",
            "heartbeat:",
            "heartbeat:-1",
            "heartbeat:+7",
            "heartbeat:07",
            "ingest:",
        ];
        for key in [services.as_slice(), &escapes, &changes, &others].concat() {
            assert!(matches!(parse_key(key), Err(Unreadable::Key { .. })), "{key}");
        }
    }
}
