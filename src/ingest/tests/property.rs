//! What holds for any bytes, any JSON and any valid event.

use std::borrow::Cow;

use proptest::prelude::*;

use super::{EVENTS, NO_KIND, NOW, expand, reason};
use crate::{
    ingest::decode,
    model::{Body, ErrorCount, Event, Kind, Timestamp},
};

fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        ".{0,12}".prop_map(|text| serde_json::to_string(&text).expect("text")),
    ];
    leaf.prop_recursive(4, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key(), inner), 0..6).prop_map(|members| {
                let members: Vec<String> = members
                    .into_iter()
                    .map(|(key, value)| format!("{key}:{value}"))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

/// A key that some kind knows, or any.
fn key() -> impl Strategy<Value = String> {
    let known = [
        "kind",
        "id",
        "time",
        "service",
        "environment",
        "source",
        "sha",
        "author",
        "change",
        "history",
        "approvals",
        "groups",
        "count",
        "requests",
        "severity",
        "status",
        "caused_by",
        "slo",
        "until",
        "commits",
        "exposure",
        "paths",
    ];
    prop_oneof![
        3 => prop::sample::select(known.to_vec()).prop_map(|key| format!("{key:?}")),
        1 => ".{0,6}".prop_map(|text| serde_json::to_string(&text).expect("text")),
    ]
}

proptest! {
    #[test]
    fn no_bytes_are_a_panic(value in prop::collection::vec(any::<u8>(), 0..400)) {
        reason(&value);
    }

    #[test]
    fn no_json_is_a_panic(value in json_text(), kind in prop::sample::select(Kind::ALL.to_vec())) {
        reason(value.as_bytes());
        let text = expand(&format!("{{{},\"more\":{value}}}", EVENTS[kind.index()].1));
        prop_assert_eq!(reason(text.as_bytes()), "accepted");
    }

    #[test]
    fn no_damage_to_an_event_is_a_panic(
        kind in 0..7_usize, place in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>(),
    ) {
        let mut value = expand(&format!("{{{}}}", EVENTS[kind].1)).into_bytes();
        let place = place.index(value.len());
        if cut { value.truncate(place) } else { value[place] = byte }
        reason(&value);
    }

    /// Any valid error event comes out as it went in, with its members in any order and one unknown among them.
    #[test]
    fn a_valid_event_survives(
        texts in prop::collection::vec("[^\\p{Cc}]{1,60}", 6),
        ms in 631_152_000_000_i64..1_773_155_100_000,
        numbers in (0..=1_000_000_000_000_u64, prop::option::of(0..=1_000_000_000_000_u64), 0..=86_400_000_u64),
        unknown in json_text(),
        turn in 0..11_usize,
    ) {
        let time = Timestamp::from_millis(ms);
        let (errors, requests, interval_ms) = numbers;
        let quoted = |text: &str| serde_json::to_string(text).expect("text");
        let mut members = vec![
            "\"kind\":\"error\"".to_owned(),
            format!("\"id\":{}", quoted(&texts[0])),
            format!("\"service\":{}", quoted(&texts[1])),
            format!("\"environment\":{}", quoted(&texts[2])),
            format!("\"source\":{}", quoted(&texts[3])),
            format!("\"version\":{}", quoted(&texts[4])),
            format!("\"upstream\":{}", quoted(&texts[5])),
            format!("\"time\":\"{time}\""),
            format!("\"count\":{errors},\"interval_ms\":{interval_ms}"),
            format!("\"requests\":{}", requests.map_or("null".to_owned(), |requests| requests.to_string())),
            format!("\"extra\":{unknown}"),
        ];
        members.rotate_left(turn);
        let text = format!("{{{}}}", members.join(","));
        let text_of = |index: usize| Cow::Borrowed(texts[index].as_str());
        let expected = Event {
            id: text_of(0),
            time,
            service: text_of(1),
            environment: Some(text_of(2)),
            source: text_of(3),
            body: Body::Error(ErrorCount {
                errors, is_storm: false, requests, interval_ms,
                version: Some(text_of(4)), fingerprint: None, upstream: Some(text_of(5)),
            }),
        };
        prop_assert_eq!(decode(Some(text.as_bytes()), &NO_KIND, NOW), Ok(expected));
    }
}
