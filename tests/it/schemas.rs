//! Every example validates and decodes, every wrong one is refused by both, and what the program writes validates.

use std::{fs, path::PathBuf};

use holdpoint::{
    gate::{Request, View, assess},
    ingest::{self, Origin},
    model::{Kind, PartitionIndex},
    wire::control,
};
use jsonschema::Validator;
use serde_json::{Value, json};

use crate::support::{Driver, at, deploy, minute, seconds};

fn schemas() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("schemas")
}

fn schema(name: &str) -> Value {
    let path = schemas().join(format!("{name}.v1.schema.json"));
    serde_json::from_slice(&fs::read(&path).expect("a schema")).expect("JSON")
}

fn validator(name: &str) -> Validator {
    let decision = schema("decision");
    let id = decision["$id"].as_str().expect("an id").to_owned();
    let registry = jsonschema::Registry::new()
        .add(id, decision)
        .expect("a resource")
        .prepare()
        .expect("a registry");
    jsonschema::options()
        .should_validate_formats(true)
        .with_registry(&registry)
        .build(&schema(name))
        .expect("a schema")
}

/// The example files of a kind, by path.
fn examples(of: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = schemas().join("examples").join(of);
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).expect("an example")))
        .collect()
}

fn decodes(kind: Kind, bytes: &[u8]) -> Result<(), String> {
    let origin = Origin {
        topic: "test",
        kind: Some(kind),
    };
    // Examples are of 2026; this reader's clock is later.
    let now = "2030-01-01T00:00:00Z".parse().expect("a time");
    ingest::decode(Some(bytes), &origin, now)
        .map(drop)
        .map_err(|reject| format!("{}: {reject}", reject.reason()))
}

#[test]
fn every_input_example_validates_and_decodes_and_every_wrong_one_does_neither() {
    for kind in Kind::ALL {
        let validator = validator(kind.name());
        let (good, bad) = (examples(kind.name()), examples(&format!("invalid/{}", kind.name())));
        assert!(good.len() >= 4 && bad.len() >= 4, "{}: too few examples", kind.name());
        for (path, bytes) in good {
            let value: Value = serde_json::from_slice(&bytes).expect("JSON");
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", path.display());
            assert_eq!(decodes(kind, &bytes), Ok(()), "{}", path.display());
        }
        for (path, bytes) in bad {
            let value: Value = serde_json::from_slice(&bytes).expect("JSON");
            assert!(!validator.is_valid(&value), "{} validates", path.display());
            assert!(decodes(kind, &bytes).is_err(), "{} decodes", path.display());
        }
    }
}

/// A document of each kind with all the objects that hold fields with a bound.
fn document(kind: Kind) -> Value {
    let mut document = match kind {
        Kind::Commit => json!({
            "sha": "s", "author": {}, "history": {}, "approvals": [{}],
            "change": {"lines_added": 1, "lines_deleted": 1, "files": 1},
        }),
        Kind::Deploy => json!({"deploy_id": "d", "status": "started"}),
        Kind::Error => json!({}),
        Kind::Incident => json!({"incident_id": "i", "status": "detected", "caused_by": {}}),
        Kind::Review => json!({"sha": "s", "verdict": "approved", "by": "b"}),
        Kind::Service => json!({"slo": {"objective": 0.99}}),
        Kind::Override => json!({"effect": "freeze", "until": "1990-01-01T00:00:00Z", "reason": "r", "by": "b"}),
    };
    for (field, value) in [
        ("id", "i"),
        ("time", "2026-03-10T14:02:07Z"),
        ("service", "s"),
        ("source", "s"),
    ] {
        document[field] = value.into();
    }
    document
}

/// Expects ingest and schema to take a value at a path of a document of this kind, or neither to.
fn taken_by_both(kind: Kind) -> impl Fn(&str, &Value, bool) {
    let validator = validator(kind.name());
    move |path, value, is_taken| {
        let mut document = document(kind);
        let (holder, field) = path.rsplit_once('/').expect("a path");
        document.pointer_mut(holder).expect("an object")[field] = value.clone();
        let bytes = serde_json::to_vec(&document).expect("JSON");
        let told: String = value.to_string().chars().take(40).collect();
        let (decodes, is_valid) = (decodes(kind, &bytes).is_ok(), validator.is_valid(&document));
        assert_eq!(
            (decodes, is_valid),
            (is_taken, is_taken),
            "ingest and schema, {kind:?} {path} {told}"
        );
    }
}

const OF_COMMITS: &[&str] = &[
    "/sha",
    "/author/id",
    "/author/groups*",
    "/approvals/0/by",
    "/approvals/0/groups*",
    "/change_id",
    "/head_shas*",
];

/// Where identifiers stand, lists of them with a star.
fn identifiers(kind: Kind) -> Vec<&'static str> {
    let (own, is_placed): (&[&str], bool) = match kind {
        Kind::Commit => (OF_COMMITS, false),
        Kind::Deploy => (&["/deploy_id", "/version", "/previous_version", "/commits*"], true),
        Kind::Error => (&["/version", "/fingerprint", "/upstream"], true),
        Kind::Incident => (&["/incident_id", "/caused_by/deploy_id", "/caused_by/sha"], true),
        Kind::Review => (&["/sha", "/change_id", "/by", "/groups*"], false),
        Kind::Service => (&["/depends_on*"], false),
        Kind::Override => (&["/by"], true),
    };
    let common = ["/id", "/service", "/source"].into_iter();
    let placed = is_placed.then_some("/environment");
    common.chain(placed).chain(own.iter().copied()).collect()
}

#[test]
fn identifiers_have_one_bound_in_schemas_and_ingest() {
    let (longest, longer) = ("x".repeat(256), "x".repeat(257));
    let texts = [
        (&*longest, true),
        ("ü b", true),
        (&*longer, false),
        ("", false),
        ("a\u{1}", false),
        ("a\u{7f}b", false),
        ("\u{85}", false),
    ];
    for kind in Kind::ALL {
        let expect = taken_by_both(kind);
        for path in identifiers(kind) {
            for (text, is_taken) in texts {
                match path.strip_suffix('*') {
                    Some(path) => expect(path, &json!(["x", text]), is_taken),
                    None => expect(path, &text.into(), is_taken),
                }
            }
        }
    }
}

/// The greatest that is taken, and one beyond it.
#[test]
fn numbers_and_lists_have_one_bound_in_schemas_and_ingest() {
    const MOST: u64 = 1_000_000_000_000;
    let mut numbers = vec![
        (Kind::Error, "/count", MOST),
        (Kind::Error, "/requests", MOST),
        (Kind::Error, "/affected", MOST),
        (Kind::Error, "/interval_ms", 86_400_000),
        (Kind::Incident, "/severity", 5),
        (Kind::Deploy, "/exposure", 1),
        (Kind::Service, "/traffic_share", 1),
        (Kind::Service, "/slo/window_days", 366),
    ];
    for measure in [
        "/change/lines_added",
        "/change/lines_deleted",
        "/change/files",
        "/change/directories",
        "/change/subsystems",
        "/change/entropy",
        "/change/lines_before",
        "/history/developers",
        "/history/age_days",
        "/history/prior_changes",
        "/history/author_changes",
        "/history/author_recent_changes",
        "/history/author_subsystem_changes",
    ] {
        numbers.push((Kind::Commit, measure, MOST));
    }
    for (kind, path, most) in numbers {
        let expect = taken_by_both(kind);
        expect(path, &most.into(), true);
        expect(path, &(most + 1).into(), false);
        expect(path, &json!(-1), false);
    }
    let lists = [
        (Kind::Commit, "/author/groups", json!("g"), 64),
        (Kind::Commit, "/approvals", json!({}), 64),
        (Kind::Commit, "/approvals/0/groups", json!("g"), 64),
        (Kind::Commit, "/head_shas", json!("s"), 256),
        (Kind::Deploy, "/commits", json!("s"), 1_000),
        (Kind::Review, "/groups", json!("g"), 64),
        (Kind::Service, "/depends_on", json!("s"), 256),
    ];
    for (kind, path, item, most) in lists {
        let expect = taken_by_both(kind);
        expect(path, &vec![item.clone(); most].into(), true);
        expect(path, &vec![item; most + 1].into(), false);
    }
}

#[test]
fn times_have_one_bound_in_schemas_and_ingest() {
    let times = [
        ("1990-01-01T00:00:00Z", true),
        // Half an hour after 1990 began.
        ("1989-12-31T23:30:00-01:00", true),
        ("1989-12-30T23:30:00-00:00", false),
        ("1988-12-31T00:00:00Z", false),
        ("1970-01-01T00:00:00Z", false),
        ("1601-01-01T00:00:00Z", false),
        ("0001-01-01T00:00:00Z", false),
        ("2026-03-10T14:02:07.123456789Z", true),
        ("2026-03-10T14:02:07.1234567890Z", false),
        ("2016-12-31T23:59:60Z", true),
    ];
    for kind in Kind::ALL {
        let expect = taken_by_both(kind);
        for (time, is_taken) in times {
            expect("/time", &time.into(), is_taken);
        }
    }
}

#[test]
fn every_output_example_is_as_its_schema_says() {
    for name in ["decision", "heartbeat", "ingest", "verdict", "scores"] {
        let validator = validator(name);
        for (path, bytes) in examples(name) {
            let value: Value = serde_json::from_slice(&bytes).expect("JSON");
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:?}", path.display());
        }
        for (path, bytes) in examples(&format!("invalid/{name}")) {
            let value: Value = serde_json::from_slice(&bytes).expect("JSON");
            assert!(!validator.is_valid(&value), "{} validates", path.display());
        }
    }
}

/// A frozen service, a service at rest, a change under review, a person's word, an incident.
fn eventful() -> Driver {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    for i in 0..340_i64 {
        let errors = if i < 300 { 8 } else { 60 };
        let mut events = vec![minute("checkout", at(i), errors, Some(5_000))];
        let (time, until) = (at(i), at(i) + seconds(600));
        match i {
            300 => events.push(deploy("checkout", "d-1", time, "started", "")),
            310 => events.push(format!(r#"{{"kind":"commit","id":"c","time":"{time}","service":"search","sha":"4f1c","ai":{{"assistance":"authored"}},"author":{{"level":"junior"}}}}"#)),
            320 => events.push(format!(r#"{{"kind":"override","id":"o","time":"{time}","service":"search","effect":"freeze","until":"{until}","reason":"r","by":"p"}}"#)),
            325 => events.push(format!(r#"{{"kind":"incident","id":"i","time":"{time}","service":"pay","incident_id":"INC","status":"detected","severity":1}}"#)),
            _ => {}
        }
        driver.events(&events, at(i));
        driver.time(at(i) + seconds(30));
    }
    driver
}

#[test]
fn every_decision_written_validates_and_reads_back() {
    let validator = validator("decision");
    let driver = eventful();
    let codes: Vec<&str> = driver
        .decisions
        .iter()
        .flat_map(|decision| &decision.reasons)
        .map(|reason| &*reason.code)
        .collect();
    for code in [
        "new_service",
        "deploy_regression",
        "policy:ai-senior-sign-off",
        "override",
        "incident",
    ] {
        assert!(codes.contains(&code), "{code} is not among {codes:?}");
    }
    for decision in &driver.decisions {
        let bytes = control::encode_decision(decision);
        let value: Value = serde_json::from_slice(&bytes).expect("JSON");
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", String::from_utf8_lossy(&bytes));
        let read = control::decode_decision(&bytes).expect("our own decision");
        assert_eq!((read.action, read.sequence), (decision.action, decision.sequence));
    }
}

#[test]
fn every_verdict_written_validates() {
    let validator = validator("verdict");
    let (driver, view) = (eventful(), View::new());
    for (i, decision) in (0..).zip(&driver.decisions) {
        let place = holdpoint::gate::Place {
            partition: PartitionIndex(0),
            offset: holdpoint::model::Offset(i),
            timestamp: at(340),
        };
        let key = decision.subject.to_string();
        view.apply(
            place,
            control::decode(key.as_bytes(), Some(&control::encode_decision(decision))),
        );
    }
    for (service, changes) in [
        ("checkout", vec![]),
        ("search", vec!["4f1c".into(), "never".into()]),
        ("nobody", vec![]),
    ] {
        let request = Request {
            changes,
            ..Request::new(service.parse().expect("a name"), "production".parse().expect("a name"))
        };
        let bytes = control::encode_verdict(&assess(&view, &request, at(340)));
        let value: Value = serde_json::from_slice(&bytes).expect("JSON");
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", String::from_utf8_lossy(&bytes));
    }
}
