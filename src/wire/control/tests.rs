//! Bytes of the control topic, against the contract, the schemas' examples and themselves.

use std::{collections::BTreeMap, fs, path::Path};

use super::{
    decision_headers, decode, decode_decision, decode_verdict, encode_decision, encode_heartbeat, encode_ingest,
};
use super::{encode_verdict, heartbeat_headers, merge_verdicts};
use crate::{
    gate::{AskedChange, ControlKey, ExitStatus, Finding, Heartbeat, IngestMark, Record, Unreadable, Verdict, Word},
    model::{
        Action, Assistance, Cause, Change, Decision, Effect, Evidence, Exemption, Level, Mode, Obligation, Offset,
        PartitionIndex, Reason, Sequence, Subject, Suspect, Timestamp, UnitInterval, When,
    },
};

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn subject() -> Subject {
    Subject::Service {
        service: "checkout".parse().expect("a name"),
        environment: "production".parse().expect("a name"),
    }
}

fn share(value: f64) -> UnitInterval {
    UnitInterval::new(value).expect("a share")
}

/// The decision that the contract shows.
fn freeze() -> Decision {
    let mut reason = Reason::new(
        "deploy_regression",
        "errors at 6.1 times the baseline since deploy d-81",
    );
    (reason.value, reason.threshold) = (Some(6.1), Some(1.25));
    reason.evidence = BTreeMap::from([
        ("deploy_id", Evidence::Text("d-81".into())),
        ("e_value", Evidence::Number(2.3e5)),
        ("errors", Evidence::Count(214)),
        ("expected", Evidence::Number(35.0)),
    ]);
    Decision {
        sequence: Sequence(42),
        subject: subject(),
        action: Action::Freeze,
        mode: Mode::Enforce,
        decided_at: at("2026-03-10T14:02:07.120Z"),
        valid_until: Some(at("2026-03-10T15:02:07.120Z")),
        frozen_since: None,
        risk: Some(share(0.930_000_04)),
        reasons: vec![reason],
        to_lift: vec!["roll back d-81".into(), "or wait: the lease ends 15:02:07Z".into()],
        obligations: Vec::new(),
        exempt: Exemption::ALL.to_vec(),
        incidents: Vec::new(),
        requires_known_changes: false,
        low_loss: false,
        suspects: vec![Suspect {
            deploy_id: Some("d-81".into()),
            service: "checkout".parse().expect("a name"),
            probability: share(0.819_999_96),
        }],
        policy: digest("a"),
        model: digest("b"),
        cause: Cause::Record {
            topic: "errors".into(),
            partition: PartitionIndex(3),
            offset: Offset(10412),
        },
    }
}

fn digest(digit: &str) -> Box<str> {
    format!("sha256:{}", digit.repeat(64)).into()
}

/// An extra review of a change, with everything that can be empty or absent the other way than in [`freeze`].
fn review() -> Decision {
    let mut reason = Reason::new("policy:ai", "the policy asks");
    (reason.value, reason.threshold) = (Some(f64::NAN), Some(f64::INFINITY));
    let change = Change {
        service: "a@b:c%d".parse().expect("a name"),
        sha: "4f1c".into(),
    };
    let obligation = Obligation {
        kind: crate::model::ApprovalKind::Approval,
        count: 1,
        level: Some(Level::Senior),
        group: None,
        when: When {
            ai: vec![Assistance::Authored],
            author_level: vec![Level::Unknown],
        },
    };
    Decision {
        sequence: Sequence(1),
        subject: Subject::Change(change),
        action: Action::ExtraReview,
        mode: Mode::Shadow,
        valid_until: None,
        risk: None,
        reasons: vec![reason],
        to_lift: Vec::new(),
        obligations: vec![obligation],
        exempt: Vec::new(),
        incidents: Vec::new(),
        requires_known_changes: false,
        low_loss: false,
        suspects: vec![Suspect {
            deploy_id: None,
            service: "tax".parse().expect("a name"),
            probability: UnitInterval::ZERO,
        }],
        cause: Cause::Time(at("2026-03-10T14:02:07Z")),
        ..freeze()
    }
}

fn heartbeat() -> Heartbeat {
    Heartbeat {
        partition: PartitionIndex(7),
        at: at("2026-03-10T14:02:10Z"),
        now: Some(at("2026-03-10T14:02:09.480Z")),
        interval_ms: 5000,
        services: 1250,
        instance: "node-a:8484".into(),
        url: "http://node-a:8484".into(),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("JSON is text")
}

#[test]
fn a_decision_is_written_as_the_contract_shows_it() {
    let expected = concat!(
        r#"{"schema":"holdpoint.decision/1","id":"service:checkout@production#42","sequence":42,"#,
        r#""subject":{"type":"service","service":"checkout","environment":"production"},"action":"freeze","mode":"enforce","#,
        r#""decided_at":"2026-03-10T14:02:07.120Z","valid_until":"2026-03-10T15:02:07.120Z","risk":0.93,"#,
        r#""reasons":[{"code":"deploy_regression","text":"errors at 6.1 times the baseline since deploy d-81","value":6.1,"#,
        r#""threshold":1.25,"evidence":{"deploy_id":"d-81","e_value":230000.0,"errors":214,"expected":35.0}}],"#,
        r#""to_lift":["roll back d-81","or wait: the lease ends 15:02:07Z"],"obligations":[],"#,
        r#""exempt":["rollback","hotfix","security"],"#,
        r#""suspects":[{"deploy_id":"d-81","service":"checkout","probability":0.82}],"#,
    );
    let written = text(encode_decision(&freeze()));
    let rest = written.strip_prefix(expected).expect(&written);
    let (policy, model) = (digest("a"), digest("b"));
    let cause = r#"{"topic":"errors","partition":3,"offset":10412}"#;
    assert_eq!(
        rest,
        format!(r#""policy":"{policy}","model":"{model}","cause":{cause}}}"#)
    );

    let written = text(encode_decision(&review()));
    for part in [
        r#""id":"change:a%40b%3Ac%25d:4f1c#1""#,
        r#""subject":{"type":"change","service":"a@b:c%d","sha":"4f1c"}"#,
        r#""valid_until":null,"risk":null,"reasons":[{"code":"policy:ai","text":"the policy asks"}]"#,
        r#""when":{"ai":["authored"],"author_level":["unknown"]}"#,
        r#"{"deploy_id":null,"service":"tax","probability":0.0}"#,
        r#""cause":{"time":"2026-03-10T14:02:07.000Z"}"#,
    ] {
        assert!(written.contains(part), "{part} in {written}");
    }
}

#[test]
fn a_decision_reads_back_and_keeps_its_bytes() {
    let renewed = Decision {
        frozen_since: Some(at("2026-03-10T13:02:07.120Z")),
        ..freeze()
    };
    for decision in [freeze(), renewed, review()] {
        let written = encode_decision(&decision);
        let read = decode_decision(&written).expect("what was written is read");
        assert_eq!(read.json.text().as_bytes(), written);
        assert_eq!(
            (
                &read.subject,
                read.sequence,
                read.action,
                read.mode,
                read.decided_at,
                read.valid_until,
                read.frozen_since
            ),
            (
                &decision.subject,
                decision.sequence,
                decision.action,
                decision.mode,
                decision.decided_at,
                decision.valid_until,
                decision.frozen_since
            )
        );
        assert_eq!(
            (&*read.to_lift, &*read.obligations, &*read.exempt),
            (&*decision.to_lift, &*decision.obligations, &*decision.exempt)
        );
        assert_eq!(read.risk, decision.risk.map(UnitInterval::rounded));
        assert_eq!(read.reasons[0].code, decision.reasons[0].code);
    }
}

#[test]
fn readers_pass_over_what_was_added_and_refuse_another_major() {
    let plain = text(encode_decision(&freeze()));
    let check = |from: &str, to: &str| decode_decision(plain.replacen(from, to, 1).as_bytes());
    let grown =
        check(r#""evidence":{"#, r#""new":[1],"evidence":{"incident_id":"INC-1","#).expect("fields may be added");
    assert_eq!(grown.reasons[0].code.as_ref(), "deploy_regression");
    assert!(check("decision/1", "decision/1.7").is_ok());
    assert_eq!(
        check(r#""rollback","#, r#""chaos","#)
            .expect("kinds may be added")
            .exempt
            .len(),
        2
    );
    assert_eq!(
        check(",", ",\r\n").expect("white space").json.text(),
        plain.replacen(',', ",  ", 1)
    );
    for schema in ["decision/2", "decision/11", "decision/", "decision", "heartbeat/1"] {
        assert!(
            matches!(check("decision/1", schema), Err(Unreadable::Schema { .. })),
            "{schema}"
        );
    }
    let endless = check(r#""valid_until":"2026-03-10T15:02:07.120Z""#, r#""valid_until":null"#);
    assert!(matches!(endless, Err(Unreadable::EndlessFreeze)));
    let faults = [
        ("\"freeze\"", "\"stop\""),
        ("enforce", "on"),
        ("0.93", "1.5"),
        ("2026-03-10T14", "today"),
        (":42", ":-1"),
        ("sequence", "number"),
        ("}}", "}"),
    ];
    for (from, to) in faults {
        assert!(
            matches!(check(from, to), Err(Unreadable::NotAsExpected(_))),
            "{from} → {to}"
        );
    }
}

/// A parser skips what nobody reads without looking at its letters; the whole is passed on as text.
#[test]
fn bytes_that_are_no_text_are_refused_in_fields_that_nobody_reads_too() {
    let value = text(encode_decision(&freeze())).into_bytes();
    let opened = [br#"{"added":"x","#, &value[1..]].concat();
    decode_decision(&opened).expect("what was added is passed over");
    for byte in [0x80, 0xc3, 0xff] {
        let mut broken = opened.clone();
        broken[br#"{"added":""#.len()] = byte;
        assert!(
            matches!(decode_decision(&broken), Err(Unreadable::NotUtf8)),
            "{byte:#x}"
        );
    }
}

#[test]
fn a_record_is_about_its_key() {
    let value = encode_decision(&freeze());
    assert!(matches!(
        decode(b"service:checkout@production", Some(&value)),
        Ok(Record::Decision(_))
    ));
    assert!(matches!(
        decode(b"service:checkout@staging", Some(&value)),
        Err(Unreadable::KeyAndValueDiffer)
    ));
    assert!(matches!(
        decode(b"heartbeat:7", Some(&value)),
        Err(Unreadable::NotAsExpected(_))
    ));
    let value = encode_heartbeat(&heartbeat());
    assert_eq!(
        decode(b"heartbeat:7", Some(&value)).expect("a heartbeat"),
        Record::Heartbeat(heartbeat())
    );
    assert!(matches!(
        decode(b"heartbeat:8", Some(&value)),
        Err(Unreadable::KeyAndValueDiffer)
    ));
    let mark = IngestMark {
        instance: "node-a:8484".into(),
        at: at("2026-03-10T14:02:10Z"),
        watermark: None,
        behind: true,
        partitions: None,
    };
    let value = encode_ingest(&mark);
    assert_eq!(
        decode(b"ingest:node-a:8484", Some(&value)).expect("a mark"),
        Record::Ingest(mark)
    );
    assert!(matches!(
        decode(b"ingest:node-a", Some(&value)),
        Err(Unreadable::KeyAndValueDiffer)
    ));
    assert_eq!(
        decode(b"heartbeat:7", None).expect("a tombstone"),
        Record::Forget(ControlKey::Heartbeat(PartitionIndex(7)))
    );
    assert!(matches!(decode(b"service:\xff@b", None), Err(Unreadable::Key { .. })));
}

#[test]
fn headers_are_cloud_events_in_binary_mode() {
    let headers = decision_headers(&review(), "team a/holdpoint");
    let expected = [
        ("ce_specversion", "1.0"),
        ("ce_type", "dev.holdpoint.decision.v1"),
        ("ce_id", "change:a%40b%3Ac%25d:4f1c#1"),
        ("ce_source", "/holdpoint/team%20a%2Fholdpoint"),
        ("ce_subject", "change:a%40b%3Ac%25d:4f1c"),
        ("ce_time", "2026-03-10T14:02:07.120Z"),
        ("content-type", "application/json"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
    let headers = heartbeat_headers(&heartbeat(), "holdpoint");
    assert_eq!(headers[1].1, "dev.holdpoint.heartbeat.v1");
    assert_eq!(headers[2].1, "heartbeat:7#node-a:8484#2026-03-10T14:02:10.000Z");
}

#[test]
fn a_verdict_holds_the_decision_as_it_was_written() {
    let written = text(encode_decision(&freeze()));
    let word = Word {
        id: "o-1".into(),
        time: at("2026-03-10T14:00:00Z"),
        effect: Effect::Proceed,
        until: at("2026-03-10T14:50:00Z"),
        reason: "a \"fix\"".into(),
    };
    let verdict = Verdict {
        verdict: Finding::Proceed,
        known: false,
        enforced: true,
        exit_status: ExitStatus::Proceed,
        decision: Some(decode_decision(written.as_bytes()).expect("a decision").into()),
        text: "so".into(),
        changes: vec![AskedChange {
            sha: "4f1c".into(),
            known: false,
        }],
        word: Some(word.into()),
    };
    let json = text(encode_verdict(&verdict));
    assert_eq!(
        json,
        format!(
            r#"{{"verdict":"proceed","known":false,"enforced":true,"exit_status":0,"decision":{written},"text":"so","changes":[{{"sha":"4f1c","known":false}}],"override":{{"id":"o-1","effect":"proceed","until":"2026-03-10T14:50:00.000Z","reason":"a \"fix\""}}}}"#
        )
    );
    let answer = decode_verdict(json.as_bytes()).expect("what was written is read");
    assert_eq!(
        (answer.verdict, answer.exit_status, &*answer.text),
        (Finding::Proceed, ExitStatus::Proceed, "so")
    );
    let bare = Verdict {
        decision: None,
        word: None,
        changes: Vec::new(),
        ..verdict
    };
    assert!(text(encode_verdict(&bare)).ends_with(r#""decision":null,"text":"so","changes":[],"override":null}"#));
    for (from, to) in [("proceed", "perhaps"), (":0,", ":2,"), (":0,", ":7,"), (":0,", ":-1,")] {
        assert!(decode_verdict(json.replacen(from, to, 1).as_bytes()).is_err(), "{to}");
    }
}

/// The decision, the override and what a later service may add come from the part that decides.
#[test]
fn verdicts_on_parts_become_one_and_a_single_one_stays_as_it_came() {
    let written = text(encode_decision(&freeze()));
    let calm = r#"{"verdict":"proceed","known":false,"enforced":true,"exit_status":0,"decision":null,"text":"the change was never seen; so","changes":[{"sha":"a","known":false}],"override":null}"#;
    let grave = format!(
        r#"{{"verdict":"freeze", "known":true,"enforced":true,"exit_status":20,"decision":{written},"text":"so","changes":[{{"sha":"b","known":true}}],"override":{{"id":"o-1"}},"added":[1.5]}}"#
    );
    let parts = |parts: &[&str]| merge_verdicts(parts.iter().map(|part| part.as_bytes().to_vec()).collect());
    for whole in [calm, &grave] {
        let (answer, json) = parts(&[whole]).expect("a verdict");
        assert_eq!(text(json), whole);
        assert_eq!(answer, decode_verdict(whole.as_bytes()).expect("a verdict"));
    }
    let (answer, json) = parts(&[calm, &grave]).expect("verdicts");
    assert_eq!((answer.exit_status, answer.known), (ExitStatus::Frozen, false));
    let whole = format!(
        r#"{{"verdict":"freeze","known":false,"enforced":true,"exit_status":20,"decision":{written},"text":"so; change a was never seen","changes":[{{"sha":"a","known":false}},{{"sha":"b","known":true}}],"override":{{"id":"o-1"}},"added":[1.5]}}"#
    );
    let value = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).expect("JSON");
    assert_eq!(value(&json), value(whole.as_bytes()));
    assert!(parts(&[&grave, "{}"]).is_err());
}

/// What we write is what the schemas promise, and every example of theirs is read.
#[test]
fn the_schemas_hold_in_both_directions() {
    let schemas = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let read = |path: &Path| fs::read_to_string(path).expect("a file of the repository");
    let mark = IngestMark {
        instance: "a".into(),
        at: at("2026-03-10T14:02:10Z"),
        watermark: None,
        behind: true,
        partitions: Some(3),
    };
    let written = [
        ("decision", encode_decision(&freeze())),
        ("decision", encode_decision(&review())),
        ("heartbeat", encode_heartbeat(&heartbeat())),
        ("ingest", encode_ingest(&mark)),
    ];
    for (name, bytes) in written {
        let schema = serde_json::from_str(&read(&schemas.join(format!("{name}.v1.schema.json")))).expect("JSON");
        let instance = serde_json::from_slice(&bytes).expect("JSON");
        jsonschema::validator_for(&schema)
            .expect("a schema")
            .validate(&instance)
            .expect(name);
    }
    for (name, key_of) in [("decision", "id"), ("heartbeat", "partition"), ("ingest", "instance")] {
        for file in fs::read_dir(schemas.join("examples").join(name)).expect("a folder of the repository") {
            let example = read(&file.expect("readable").path());
            let value: serde_json::Value = serde_json::from_str(&example).expect("JSON");
            let key = match value[key_of].as_str() {
                Some(id) if name == "decision" => id.split('#').next().expect("one part").to_owned(),
                Some(text) => format!("{name}:{text}"),
                None => format!("{name}:{}", value[key_of]),
            };
            decode(key.as_bytes(), Some(example.as_bytes())).expect(&example);
        }
    }
}
