//! What ingest refuses, as data; what it takes, and what holds for anything, are in the files below.

mod accepted;
mod property;

use std::collections::BTreeSet;

use super::{MAX_RECORD_BYTES, Origin, Reject, decode, rejected_value};
use crate::model::{Body, Commit, Event, Timestamp};

const REJECTS: &str = include_str!("../../tests/data/rejects.txt");

/// 2026-03-10T15:00:00Z.
const NOW: Timestamp = Timestamp::from_millis(1_773_154_800_000);

const NO_KIND: Origin<'static> = Origin {
    topic: "inputs",
    kind: None,
};

const HEAD: &str = r#""id":"e-1","time":"2026-03-10T14:02:07Z","service":"checkout""#;

/// The members that make a valid event, by kind.
const EVENTS: [(&str, &str); 7] = [
    ("$commit", r#""kind":"commit",$head,"sha":"e9d7""#),
    (
        "$deploy",
        r#""kind":"deploy",$head,"deploy_id":"d-81","status":"started""#,
    ),
    ("$error", r#""kind":"error",$head"#),
    (
        "$incident",
        r#""kind":"incident",$head,"incident_id":"i-9","status":"detected""#,
    ),
    (
        "$review",
        r#""kind":"review",$head,"sha":"e9d7","verdict":"approved","by":"tomas""#,
    ),
    ("$service", r#""kind":"service",$head"#),
    (
        "$override",
        r#""kind":"override",$head,"effect":"freeze","until":"2026-03-10T15:02:07Z","reason":"release day","by":"tomas""#,
    ),
];

/// The record that a line of the tables stands for.
fn expand(line: &str) -> String {
    let mut text = line.to_owned();
    for (name, members) in EVENTS {
        text = text.replace(name, members);
    }
    text = text.replace("$head", HEAD);
    while let Some((before, after)) = text.split_once(r"\u{") {
        let (digits, after) = after.split_once('}').expect("a closing brace");
        let code = u32::from_str_radix(digits, 16).expect("hexadecimal");
        text = format!("{before}{}{after}", char::from_u32(code).expect("a character"));
    }
    text
}

fn reason(value: &[u8]) -> &'static str {
    match decode(Some(value), &NO_KIND, NOW) {
        Ok(_) => "accepted",
        Err(reject) => {
            let text = reject.to_string();
            assert!(!text.is_empty() && text.len() <= 1024, "{text}");
            assert!(!text.contains(char::is_control), "{text:?}");
            assert!(Reject::REASONS.contains(&reject.reason()));
            reject.reason()
        }
    }
}

/// Decodes a line of the form of the tables.
fn accept<'a>(text: &'a str, origin: &Origin<'a>) -> Event<'a> {
    decode(Some(text.as_bytes()), origin, NOW).unwrap_or_else(|reject| panic!("{reject}: {text}"))
}

fn commit(line: &str, check: impl FnOnce(&Commit<'_>)) {
    let text = expand(line);
    let Body::Commit(commit) = accept(&text, &NO_KIND).body else {
        panic!("no commit: {text}")
    };
    check(&commit);
}

#[test]
fn each_faulty_record_is_refused_for_its_fault() {
    let mut seen = BTreeSet::new();
    for line in REJECTS
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let mut columns = line.splitn(3, " | ").map(str::trim);
        let (Some(fault), Some(expected), Some(value)) = (columns.next(), columns.next(), columns.next()) else {
            panic!("not three columns: {line}")
        };
        assert_eq!(reason(expand(value).as_bytes()), expected, "{fault}: {value}");
        seen.insert(expected);
    }
    seen.extend(["null_value", "too_large", "not_utf8", "too_deep"]);
    assert_eq!(
        seen,
        BTreeSet::from(Reject::REASONS),
        "reasons without a case, or cases without a reason"
    );
}

#[test]
fn a_null_or_empty_value_is_refused() {
    assert_eq!(decode(None, &NO_KIND, NOW), Err(Reject::NullValue));
    assert_eq!(decode(Some(b""), &NO_KIND, NOW), Err(Reject::Empty));
}

#[test]
fn bytes_that_are_no_text_are_refused_wherever_they_stand() {
    let cases: [(&str, &[u8]); 6] = [
        ("a lone byte", b"\xff"),
        ("a sequence cut off", b"\xe2\x82"),
        ("an overlong slash", b"\xc0\xaf"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("above the last code point", b"\xf4\x90\x80\x80"),
        ("UTF-16", b"{\0\"\0\xfe\xff"),
    ];
    for (name, bytes) in cases {
        for line in [
            "{$error,\"service\":\"@\"}",
            "{$error,\"ignored\":\"@\"}",
            "{$error,\"@\":1}",
            "{$error}@",
        ] {
            let text = expand(line);
            let (before, after) = text.split_once('@').expect("a place for the bytes");
            let value = [before.as_bytes(), bytes, after.as_bytes()].concat();
            assert_eq!(reason(&value), "not_utf8", "{name} in {line}");
        }
    }
}

#[test]
fn a_record_is_taken_up_to_one_mebibyte() {
    let full = |n_bytes: usize| {
        let text = expand(r#"{$commit,"message":"@"}"#);
        text.replace('@', &"x".repeat(n_bytes - text.len() + 1))
    };
    assert_eq!(reason(full(MAX_RECORD_BYTES).as_bytes()), "accepted");
    assert_eq!(reason(full(MAX_RECORD_BYTES + 1).as_bytes()), "too_large");
    assert_eq!(reason(&vec![0xff; MAX_RECORD_BYTES + 1]), "too_large");
}

#[test]
fn nesting_counts_wherever_it_stands_and_only_outside_strings() {
    let lists = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    // The record itself is the first level.
    for (value, expected) in [
        (lists(63), "accepted"),
        (lists(64), "too_deep"),
        (objects(63), "accepted"),
        (objects(64), "too_deep"),
        (lists(100_000), "too_deep"),
        ("[".repeat(500_000), "too_deep"),
        (format!("[{}]", vec![lists(62); 500].join(",")), "accepted"),
        (format!("[{},{}]", lists(62), lists(63)), "too_deep"),
        (format!(r#""{}""#, "[{".repeat(1_000)), "accepted"),
        (format!(r#""\"{}""#, "[{".repeat(1_000)), "accepted"),
        (format!(r#"["\\",{}]"#, lists(63)), "too_deep"),
    ] {
        let text = expand(&format!(r#"{{$error,"ignored":{value}}}"#));
        assert_eq!(reason(text.as_bytes()), expected, "{value:.80}");
    }
    assert_eq!(reason(lists(65).as_bytes()), "too_deep");
    assert_eq!(reason(lists(64).as_bytes()), "wrong_type");
    // In a field of another type too.
    assert_eq!(
        reason(expand(&format!(r#"{{$error,"class":{}}}"#, lists(64))).as_bytes()),
        "too_deep"
    );
}

#[test]
fn identifiers_are_taken_up_to_256_bytes() {
    for (name, expected) in [
        ("x".repeat(256), "accepted"),
        ("x".repeat(257), "invalid_name"),
        ("é".repeat(128), "accepted"),
        ("é".repeat(129), "invalid_name"),
        ("\\u00e9".repeat(129), "invalid_name"),
    ] {
        for line in [
            r#"{"kind":"error","id":"@","time":"2026-03-10T14:02:07Z","service":"s"}"#,
            r#"{"kind":"error","id":"e","time":"2026-03-10T14:02:07Z","service":"@"}"#,
            r#"{$error,"environment":"@","source":"@","version":"@","fingerprint":"@","upstream":"@"}"#,
            r#"{$error,"environment":"@"}"#,
            r#"{$error,"source":"@"}"#,
            r#"{$error,"fingerprint":"@"}"#,
            r#"{$commit,"author":{"id":"@"}}"#,
            r#"{$commit,"approvals":[{"by":"@"}]}"#,
            r#"{$commit,"head_shas":["a","@"]}"#,
            r#"{$commit,"change_id":"@"}"#,
            r#"{$head,"kind":"commit","sha":"@"}"#,
            r#"{$head,"kind":"deploy","deploy_id":"@","status":"failed"}"#,
            r#"{$deploy,"previous_version":"@"}"#,
            r#"{$head,"kind":"incident","incident_id":"@","status":"resolved"}"#,
            r#"{$incident,"caused_by":{"deploy_id":"@"}}"#,
            r#"{$head,"kind":"review","change_id":"@","verdict":"dismissed","by":"@"}"#,
            r#"{$service,"depends_on":["@"]}"#,
        ] {
            assert_eq!(
                reason(expand(line).replace('@', &name).as_bytes()),
                expected,
                "{line} with {name:.10}"
            );
        }
    }
}

#[test]
fn lists_have_bounds_and_paths_are_cut_to_theirs() {
    for (line, max, item) in [
        (r#"{$deploy,"commits":[@]}"#, 1000, r#""a""#),
        (r#"{$commit,"head_shas":[@]}"#, 256, r#""a""#),
        (r#"{$commit,"author":{"groups":[@]}}"#, 64, r#""a""#),
        (r#"{$commit,"approvals":[@]}"#, 64, "{}"),
        (r#"{$commit,"approvals":[{"groups":[@]}]}"#, 64, r#""a""#),
        (r#"{$review,"groups":[@]}"#, 64, r#""a""#),
        (r#"{$service,"depends_on":[@]}"#, 256, r#""a""#),
    ] {
        let with = |n_items: usize| expand(line).replace('@', &vec![item; n_items].join(","));
        assert_eq!(reason(with(max).as_bytes()), "accepted", "{line}");
        assert_eq!(reason(with(max + 1).as_bytes()), "out_of_range", "{line}");
        assert_eq!(reason(with(100_000).as_bytes()), "out_of_range", "{line}");
    }
    let paths = vec![r#""src/a.rs""#; 10_000].join(",");
    commit(
        &format!(r#"{{$commit,"change":{{"lines_added":1,"lines_deleted":0,"files":1e4,"paths":[{paths}]}}}}"#),
        |commit| assert_eq!(commit.paths.len(), 64),
    );
    let labels: Vec<String> = (0..10_000)
        .map(|index| format!(r#""label{}":{index}"#, index % 100))
        .collect();
    commit(&format!(r#"{{$commit,"labels":{{{}}}}}"#, labels.join(",")), |commit| {
        assert_eq!(commit.sha, "e9d7");
    });
}

#[test]
fn free_text_is_cut_between_characters() {
    for (letter, n_bytes) in [("x", 1024), ("é", 1024), ("€", 1023), ("\\u20ac", 1023), ("😀", 1024)] {
        let text = expand(
            r#"{$head,"kind":"override","effect":"proceed","until":"2026-03-10T15:02:07Z","reason":"@","by":"b"}"#,
        )
        .replace('@', &letter.repeat(5_000));
        let Body::Override(person) = accept(&text, &NO_KIND).body else {
            panic!("no override")
        };
        assert_eq!(person.reason.len(), n_bytes, "{letter}");
    }
}

#[test]
fn the_text_names_the_field_and_repeats_little() {
    for (line, text) in [
        (r#"{$error,"count":"3"}"#, "`count` must be a number, not a string"),
        (
            r#"{$error,"count":2.5}"#,
            "`count` must be a whole number from 0 to 10^12",
        ),
        (r#"{$commit,"author":{"id":"a","id":"b"}}"#, "`id` is given twice"),
        (
            r#"{$head,"kind":"pu\u0007sh"}"#,
            r"`kind` must be one of commit, deploy, error, incident, review, service, override, not `pu\u{7}sh`",
        ),
        (
            r#"{$deploy,"change_kind":"x"}"#,
            "`change_kind` must be one of release, rollback, hotfix, security, config, flag, not `x`",
        ),
        (
            r#"{$error,"count":1e999}"#,
            "the number at line 1, column 91 is too large",
        ),
        (
            r#"{$error,"count":NaN}"#,
            "the record is not JSON: expected value at line 1 column 87",
        ),
    ] {
        let reject = decode(Some(expand(line).as_bytes()), &NO_KIND, NOW).expect_err(line);
        assert_eq!(reject.to_string(), text);
    }
    let secret = "s".repeat(10_000);
    for line in [
        r#"{$head,"kind":"@"}"#,
        r#"{$commit,"ai":{"assistance":"@"}}"#,
        r#"{$error,"version":"@"}"#,
        r#"{"@":"#,
    ] {
        let reject = decode(Some(expand(line).replace('@', &secret).as_bytes()), &NO_KIND, NOW).expect_err(line);
        assert!(!reject.to_string().contains(&secret[..65]), "{reject}");
    }
}

#[test]
fn a_refused_value_is_kept_up_to_what_a_broker_takes() {
    let value = vec![b'x'; MAX_RECORD_BYTES + 5];
    assert_eq!(rejected_value(None, 0), (None, None));
    assert_eq!(rejected_value(Some(b""), 0), (Some(&b""[..]), None));
    for (beside, kept) in [(0, 1_048_396), (400, 1_047_996), (12 * 1024, 1_036_108)] {
        let largest = &value[..kept];
        assert_eq!(rejected_value(Some(largest), beside), (Some(largest), None));
        let cut = (Some(largest), Some(MAX_RECORD_BYTES + 5));
        assert_eq!(rejected_value(Some(&value), beside), cut, "{beside}");
    }
}
