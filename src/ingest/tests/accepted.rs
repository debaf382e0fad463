//! What ingest takes, and what it makes of it.

use std::borrow::Cow;

use super::{EVENTS, NO_KIND, accept, commit, expand, reason};
use crate::{
    ingest::Origin,
    model::{Assistance, Body, ChangeKind, Kind, Level, MEASURE_NAMES},
};

/// The errors, requests and interval of an error event.
fn counts(line: &str) -> (u64, Option<u64>, u64) {
    let text = expand(line);
    let Body::Error(error) = accept(&text, &NO_KIND).body else {
        panic!("no error: {text}")
    };
    (error.errors, error.requests, error.interval_ms)
}

/// Values that look odd and are legal: each decodes to these errors, requests and interval.
#[test]
fn odd_but_legal_numbers_are_taken() {
    let day = 86_400_000;
    for (members, errors, requests, interval_ms) in [
        ("", 1, None, 0),
        (r#","count":null,"requests":null,"interval_ms":null"#, 1, None, 0),
        (r#","count":0"#, 0, None, 0),
        (r#","count":0,"requests":12,"interval_ms":86400000"#, 0, Some(12), day),
        (r#","count":-0"#, 0, None, 0),
        (r#","count":-0.0"#, 0, None, 0),
        (r#","count":3.0"#, 3, None, 0),
        (r#","count":3e2,"requests":1E+3"#, 300, Some(1000), 0),
        (r#","count":300e-2"#, 3, None, 0),
        (r#","count":1000000000000"#, 1_000_000_000_000, None, 0),
        (r#","count":1e12"#, 1_000_000_000_000, None, 0),
        (r#","count":999999999999.0"#, 999_999_999_999, None, 0),
        (r#","count":7,"requests":5"#, 7, Some(5), 0),
        (
            r#","severity":"critical","class":"own class","tags":{"a":1e999,"a":2}"#,
            1,
            None,
            0,
        ),
    ] {
        let expected = (errors, requests, interval_ms);
        assert_eq!(counts(&format!("{{$error{members}}}")), expected, "{members}");
    }
}

/// As `docs/events.md` says of `affected`: the flood of two clients counts as two; an `affected` of 0 is none that was told.
#[test]
fn the_flood_of_one_client_counts_as_one_client() {
    for (count, affected, errors) in [
        (20, "1", 1),
        (500, "2", 2),
        (500, "2.0", 2),
        (19, "1", 19),
        (500, "3", 500),
        (500, "0", 500),
        (500, "null", 500),
    ] {
        let line = format!(r#"{{$error,"count":{count},"requests":900,"affected":{affected}}}"#);
        let text = expand(&line);
        let Body::Error(error) = accept(&text, &NO_KIND).body else {
            panic!("no error: {text}")
        };
        assert_eq!(error.is_storm, errors != count, "{count} errors, {affected} affected");
        assert_eq!(counts(&line).0, errors, "{count} errors, {affected} affected");
        assert_eq!(counts(&line).1, Some(900));
    }
}

#[test]
fn unknown_fields_are_ignored_even_twice_and_where_another_kind_knows_them() {
    for line in [
        r#"{$error,"note":1,"note":{"count":2,"count":3}}"#,
        r#"{$error,"status":500,"status":"Bad Gateway"}"#,
        r#"{$error,"author":"mira","change":[],"groups":7,"reason":null,"reason":[]}"#,
        r#"{$error,"Count":"three","COUNT":true,"id ":7,"":0,"":1}"#,
        r#"{$deploy,"count":"many","severity":[],"until":12}"#,
        r#"{$commit,"status":9,"author":{"email":1,"email":2,"id":"mira"}}"#,
        r#"{$service,"severity":"x","slo":{"objective":0.999,"target":"99.9 %","target":1}}"#,
    ] {
        assert_eq!(reason(expand(line).as_bytes()), "accepted", "{line}");
    }
    let big = format!(
        r#"{{$error,"stack":"{}","😀":[{}1]}}"#,
        r"\n\u0000\\".repeat(20_000),
        "1,".repeat(100_000)
    );
    assert_eq!(reason(expand(&big).as_bytes()), "accepted");
}

#[test]
fn names_keep_their_characters_and_copy_only_for_escapes() {
    let text = expand(
        r#"{"kind":"error","id":"Ä-1","time":"2026-03-10T14:02:07Z","service":"zahlung/ß:@%","environment":"p\u0072od \ud83d\ude80 \"x\""}"#,
    );
    let event = accept(&text, &NO_KIND);
    assert_eq!(event.id, "Ä-1");
    assert!(matches!(event.service, Cow::Borrowed("zahlung/ß:@%")));
    assert!(matches!(event.environment.as_deref(), Some("prod 🚀 \"x\"")));
    assert!(matches!(event.source, Cow::Borrowed("inputs")));
    assert_eq!(event.time, "2026-03-10T14:02:07Z".parse().expect("a time"));
}

#[test]
fn times_of_every_legal_form_are_the_same_instant() {
    for time in [
        "2026-03-10T14:02:07Z",
        "2026-03-10t14:02:07z",
        "2026-03-10 14:02:07Z",
        "2026-03-10T14:02:07.000999999Z",
        "2026-03-10T14:02:07.0+00:00",
        "2026-03-10T14:02:07-00:00",
        "2026-03-10T15:02:07+01:00",
        "2026-03-10T08:32:07.000-05:30",
        "2026-03-11T14:01:07+23:59",
        r"2026-03-10T14:02:07\u005a",
    ] {
        let text = format!(r#"{{"kind":"error","id":"e","service":"s","time":"{time}"}}"#);
        assert_eq!(accept(&text, &NO_KIND).time.millis(), 1_773_151_327_000, "{time}");
    }
    for time in [
        "1990-01-01T00:00:00Z",
        "2024-02-29T12:00:00Z",
        "2016-12-31T23:59:60Z",
        "2026-03-10T15:05:00Z",
    ] {
        accept(
            &format!(r#"{{"kind":"error","id":"e","service":"s","time":"{time}"}}"#),
            &NO_KIND,
        );
    }
}

#[test]
fn the_kind_is_the_records_own_wherever_it_stands_else_the_topics() {
    let deploys = Origin {
        topic: "deploys",
        kind: Some(Kind::Deploy),
    };
    for (line, kind) in [
        (r#"{$head,"deploy_id":"d","status":"failed"}"#, Kind::Deploy),
        (r#"{$head,"deploy_id":"d","status":"failed","kind":null}"#, Kind::Deploy),
        (r#"{$head,"kind":"error"}"#, Kind::Error),
        (r#"{$head,"status":500,"status":501,"kind":"error"}"#, Kind::Error),
        (r#"{$head,"\u006bind":"\u0065rror"}"#, Kind::Error),
        (" \r\n\t{ \"kind\" : \"error\" , $head } \n", Kind::Error),
        (r#"{"kind":"commit",$head,"sha":"a"}"#, Kind::Commit),
        (r#"{"data":{"kind":"error"},$head,"kind":"service"}"#, Kind::Service),
    ] {
        let text = expand(line);
        assert_eq!(accept(&text, &deploys).kind(), kind, "{line}");
    }
    for (kind, (_, members)) in Kind::ALL.into_iter().zip(EVENTS) {
        let text = expand(&format!("{{{members}}}"));
        assert_eq!(accept(&text, &NO_KIND).kind(), kind);
        let without = text.replacen(&format!(r#""kind":"{}","#, kind.name()), "", 1);
        assert_eq!(
            accept(
                &without,
                &Origin {
                    topic: "t",
                    kind: Some(kind)
                }
            )
            .kind(),
            kind
        );
    }
}

#[test]
fn each_measure_has_its_place() {
    let member = |index: usize| match MEASURE_NAMES[index] {
        "fix" => "\"fix\":true".to_owned(),
        name => format!("\"{name}\":{index}.5"),
    };
    let change: Vec<String> = (0..8).map(member).collect();
    let history: Vec<String> = (8..14).map(member).collect();
    let line = format!(
        "{{$commit,\"change\":{{{}}},\"history\":{{{}}}}}",
        change.join(","),
        history.join(",")
    );
    commit(&line, |commit| {
        for (index, measure) in (0_u32..).zip(commit.measures) {
            let expected = if index == 7 { 1.0 } else { f64::from(index) + 0.5 };
            assert_eq!(measure.map(f64::to_bits), Some(expected.to_bits()), "{index}");
        }
    });
    let line = r#"{$commit,"change":{"lines_added":-0.0,"lines_deleted":1e12,"files":0,"fix":false,"entropy":null}}"#;
    commit(line, |commit| {
        assert_eq!(
            commit.measures[4].map(f64::to_bits),
            Some(0_f64.to_bits()),
            "a negative zero is zero"
        );
        assert_eq!(commit.measures[5], Some(1e12));
        assert_eq!(commit.measures[7], Some(0.0));
        assert_eq!(commit.measures[3], None);
    });
}

#[test]
fn what_is_absent_has_its_default() {
    commit("{$commit}", |commit| {
        assert_eq!((commit.author.level, commit.author.bot), (Level::Unknown, false));
        assert_eq!(commit.ai.assistance, Assistance::Unknown);
        assert_eq!(commit.measures, [None; 14]);
    });
    let deploy = expand(r#"{$deploy,"exposure":null,"change_kind":null,"commits":null}"#);
    let Body::Deploy(deploy) = accept(&deploy, &NO_KIND).body else {
        panic!("no deploy")
    };
    assert_eq!((deploy.change_kind, deploy.exposure), (ChangeKind::Release, None));
    let deploy = expand(r#"{$deploy,"commits":["b","a","b","c","a"]}"#);
    let Body::Deploy(deploy) = accept(&deploy, &NO_KIND).body else {
        panic!("no deploy")
    };
    assert_eq!(deploy.commits, ["b", "a", "c"], "each once");
    for (line, severity, has_cause) in [
        ("{$incident}", 3, false),
        (r#"{$incident,"severity":1.0,"caused_by":{}}"#, 1, false),
        (r#"{$incident,"severity":5,"caused_by":{"sha":"a"}}"#, 5, true),
    ] {
        let text = expand(line);
        let event = accept(&text, &NO_KIND);
        assert_eq!(event.environment, None);
        let Body::Incident(incident) = event.body else {
            panic!("no incident")
        };
        assert_eq!(
            (incident.severity, incident.caused_by.is_some()),
            (severity, has_cause),
            "{line}"
        );
    }
    let service = expand(r#"{$service,"slo":{"objective":0.999},"owner":"shop"}"#);
    let Body::Service(service) = accept(&service, &NO_KIND).body else {
        panic!("no service")
    };
    assert_eq!(service.slo.map(|slo| slo.window_days), Some(28));
    assert_eq!(service.criticality, None);
}

#[test]
fn an_override_may_end_before_it_begins_and_after_seven_days() {
    for until in [
        "1970-01-01T00:00:00Z",
        "2026-03-10T14:02:07Z",
        "2026-03-17T14:02:07Z",
        "2026-03-17T16:02:07+02:00",
    ] {
        let line = format!(r#"{{$head,"kind":"override","effect":"proceed","until":"{until}","reason":"","by":"b"}}"#);
        assert_eq!(reason(expand(&line).as_bytes()), "accepted", "{until}");
    }
}
