//! Every example validates and decodes, every wrong one is refused by both, and what the program writes validates.

use std::{fs, path::PathBuf};

use holdpoint::{
    gate::{Request, View, assess},
    ingest::{self, Origin},
    model::{Kind, PartitionIndex},
    wire::control,
};
use jsonschema::Validator;
use serde_json::Value;

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
