mod kafka;
mod values;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{Flags, Kafka, Settings, SettingsErrors, Warning};
use crate::model::Kind;

const EXAMPLE: &str = include_str!("../../deploy/holdpoint.toml");

/// What is given to one load.
#[derive(Default)]
struct Case<'a> {
    file: &'a str,
    variables: &'a [(&'a str, &'a str)],
    flags: &'a [(&'a str, &'a str)],
}

fn load(case: &Case<'_>) -> Result<(Settings, Vec<Warning>), SettingsErrors> {
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect()
    };
    let flags: Flags = owned(case.flags).into_iter().collect();
    let file = (!case.file.is_empty()).then_some((Path::new("holdpoint.toml"), case.file));
    Settings::load(file, owned(case.variables).into_iter(), &flags, &read_secret)
}

fn read_secret(path: &Path) -> io::Result<String> {
    match path.to_str() {
        Some("/run/secrets/kafka") => Ok("hunter2 \r\n".to_owned()),
        Some("/run/secrets/bundle") => Ok("line 1\nline 2\n\n".to_owned()),
        Some("/run/secrets/empty") => Ok("\n".to_owned()),
        Some("/run/secrets/large") => Ok("x".repeat((1 << 20) + 1)),
        _ => Err(io::Error::new(io::ErrorKind::PermissionDenied, "hunter2")),
    }
}

/// The values in force that are not at their default, as `key = value (source)`, or the errors, one a line.
fn outcome(case: &Case<'_>) -> String {
    match load(case) {
        Ok((settings, _)) => {
            let lines = settings
                .explain()
                .into_iter()
                .filter(|(_, _, origin)| *origin != super::Origin::Default);
            let lines: Vec<String> = lines
                .map(|(key, value, origin)| format!("{key} = {value} ({origin})"))
                .collect();
            lines.join("\n")
        }
        Err(errors) => errors.to_string(),
    }
}

fn check(case: &Case<'_>, expected: &[&str]) {
    assert_eq!(outcome(case), expected.join("\n"));
}

fn check_file(file: &str, expected: &[&str]) {
    check(
        &Case {
            file,
            ..Case::default()
        },
        expected,
    );
}

fn check_variables(variables: &[(&str, &str)], expected: &[&str]) {
    check(
        &Case {
            variables,
            ..Case::default()
        },
        expected,
    );
}

fn warnings(variables: &[(&str, &str)]) -> Vec<String> {
    let (_, warnings) = load(&Case {
        variables,
        ..Case::default()
    })
    .expect("no errors");
    warnings.iter().map(ToString::to_string).collect()
}

fn values(settings: &Settings) -> BTreeMap<String, String> {
    settings
        .explain()
        .into_iter()
        .map(|(key, value, _)| (key, value))
        .collect()
}

#[test]
fn the_example_says_every_key_at_its_default() {
    let (settings, _) = load(&Case {
        file: EXAMPLE,
        ..Case::default()
    })
    .expect("the example is valid");
    assert_eq!(values(&settings), values(&Settings::default()));
    let uncommented: Vec<&str> = EXAMPLE
        .lines()
        .map(|line| {
            if line.starts_with("# ") {
                line
            } else {
                line.trim_start_matches('#')
            }
        })
        .collect();
    let case = Case {
        file: &uncommented.join("\n").replace("kafka-password", "kafka"),
        ..Case::default()
    };
    let (settings, _) = load(&case).expect("the keys without a default are valid too");
    for (key, _, origin) in settings.explain() {
        assert_ne!(origin, super::Origin::Default, "{key} is not in the example");
    }
    assert_eq!(settings.kafka.value("sasl.password"), Some("hunter2 "));
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let settings = Settings::default();
    assert_eq!(
        (
            settings.brokers.as_str(),
            settings.group.as_str(),
            settings.listen.to_string().as_str()
        ),
        ("127.0.0.1:9092", "holdpoint", "127.0.0.1:8484")
    );
    assert_eq!(
        (settings.roles, settings.partitions, settings.replication_factor),
        (super::Roles::ALL, 12, None)
    );
    assert_eq!(
        (settings.instance, settings.advertise, settings.policy),
        (None, None, None)
    );
    assert_eq!(
        (settings.default_environment.as_str(), &settings.kafka),
        ("production", &Kafka::default())
    );
    let consumed: Vec<(&str, &str)> = settings
        .topics
        .consumed()
        .map(|(kind, topic): (Kind, &str)| (kind.name(), topic))
        .collect();
    let expected = [
        ("commit", "commits"),
        ("deploy", "deploys"),
        ("error", "errors"),
        ("incident", "incidents"),
        ("review", "reviews"),
        ("service", "services"),
        ("override", "holdpoint.overrides"),
    ];
    assert_eq!(consumed, expected);
}

#[test]
fn flags_win_over_variables_and_these_over_the_file() {
    check(
        &Case {
            file: "group = 'a'\npartitions = 1\nroles = ['api']\nkafka.debug = 'a'\nkafka.linger.ms = 1",
            variables: &[
                ("HOLDPOINT_PARTITIONS", "2"),
                ("HOLDPOINT_ROLES", "score"),
                ("HOLDPOINT_KAFKA_DEBUG", "b"),
            ],
            flags: &[("roles", "ingest, api"), ("default_environment", "staging")],
        },
        &[
            "group = a (holdpoint.toml:1:1)",
            "roles = ingest,api (--roles)",
            "partitions = 2 (HOLDPOINT_PARTITIONS)",
            "default_environment = staging (--default-environment)",
            "kafka.debug = b (HOLDPOINT_KAFKA_DEBUG)",
            "kafka.linger.ms = 1 (holdpoint.toml:5:1)",
        ],
    );
}

#[test]
fn all_mistakes_are_told_at_once_each_with_its_place() {
    check(
        &Case {
            file: "\n\n    brokrs = 'b'\npartitions = 0\n[topics]\nerrors = ['ok', 'not ok', 3]",
            variables: &[("HOLDPOINT_LISTEN", "localhost"), ("HOLDPOINT_GROUP", "")],
            flags: &[("roles", "ingest,scores"), ("polcy", "x")],
        },
        &[
            "holdpoint.toml:3:5: unknown key `brokrs`, did you mean `brokers`?",
            "holdpoint.toml:4:1: `partitions` must be a whole number from 1 to 1000, not `0`",
            "holdpoint.toml:6:17: `topics.errors` must be 1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` \
             and `-`, and not `.` or `..`, not `not ok`",
            "holdpoint.toml:6:27: `topics.errors` must be a string or an array of strings, at least one, not `3`",
            "HOLDPOINT_GROUP: `group` must be 1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`, and \
             not `.` or `..`, not empty",
            "HOLDPOINT_LISTEN: `listen` must be an IP address and a port, as in 127.0.0.1:8484, not `localhost`",
            "--polcy: unknown key `polcy`, did you mean `policy`?",
            "--roles: `roles` must be one or more of ingest, score and api, not `scores`",
        ],
    );
}

/// A value that another overrides is checked all the same.
#[test]
fn an_overridden_mistake_is_a_mistake() {
    check(
        &Case {
            file: "partitions = '12'",
            variables: &[("HOLDPOINT_PARTITIONS", "12")],
            ..Case::default()
        },
        &["holdpoint.toml:1:1: `partitions` must be a whole number from 1 to 1000, not the string `12`"],
    );
}

#[test]
fn a_file_that_is_not_toml_says_where_and_quotes_nothing() {
    let file = "group = 'g'\nkafka.sasl.password = \"hunter2\nlisten = ?\n";
    let text = outcome(&Case {
        file,
        variables: &[("HOLDPOINT_PARTITIONS", "x")],
        ..Case::default()
    });
    assert!(text.starts_with("holdpoint.toml:2:"), "{text}");
    assert!(text.contains("holdpoint.toml:3:10: not TOML: "), "{text}");
    assert!(
        text.ends_with("HOLDPOINT_PARTITIONS: `partitions` must be a whole number from 1 to 1000, not `x`"),
        "{text}"
    );
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn an_unknown_key_is_told_with_what_it_resembles() {
    let cases = [
        (
            "[topcis]\nerrors = 'a'",
            "holdpoint.toml:1:2: unknown key `topcis`, did you mean `topics`?",
        ),
        (
            "[topics]\ncomits = 'a'",
            "holdpoint.toml:2:1: unknown key `topics.comits`, did you mean `topics.commits`?",
        ),
        (
            "[topics]\npartitions = 3",
            "holdpoint.toml:2:1: unknown key `topics.partitions`, did you mean `partitions`?",
        ),
        (
            "events = 'a'",
            "holdpoint.toml:1:1: unknown key `events`, did you mean `topics.events`?",
        ),
        ("retention = '1d'", "holdpoint.toml:1:1: unknown key `retention`"),
        (
            "topics = 'a'",
            "holdpoint.toml:1:1: `topics` must be a table, not a value",
        ),
        (
            "[[kafka]]\na = 1",
            "holdpoint.toml:1:3: `kafka` must be a table, not a value",
        ),
        (
            "brokers.a = 1",
            "holdpoint.toml:1:1: `brokers` must be a string or an array of strings, at least one, not a table",
        ),
    ];
    for (file, expected) in cases {
        check_file(file, &[expected]);
    }
}

#[test]
fn unknown_variables_are_warnings_by_name() {
    let variables = [
        ("HOLDPOINT_URL", "x"),
        ("HOLDPOINT_LOG", "x"),
        ("HOLDPOINT_CONFIG", "x"),
        ("HOLDPOINT_TEST_BROKERS", "x"),
        ("PATH", "x"),
        ("HOLDPOINT_TOPICS_EROORS", "hunter2"),
        ("HOLDPOINT_BROKER", "hunter2"),
        ("HOLDPOINT_KAFKA", "hunter2"),
        ("HOLDPOINT_KAFKA_sasl", "hunter2"),
        ("HOLDPOINT_KAFKA_SERVICE_HOST", "10.0.0.1"),
        ("HOLDPOINT_KAFKA_PORT_9092_TCP_ADDR", "10.0.0.1"),
        ("HOLDPOINT_PORT", "tcp://10.0.0.1:8484"),
    ];
    let link = |name| {
        format!(
            "{name}: not a setting but a link to a Kubernetes service; `enableServiceLinks: false` in the pod \
             leaves it out"
        )
    };
    let expected = [
        "HOLDPOINT_BROKER: no such setting, did you mean `HOLDPOINT_BROKERS`?".to_owned(),
        "HOLDPOINT_KAFKA: no such setting".to_owned(),
        link("HOLDPOINT_KAFKA_PORT_9092_TCP_ADDR"),
        link("HOLDPOINT_KAFKA_SERVICE_HOST"),
        "HOLDPOINT_KAFKA_sasl: no such setting".to_owned(),
        link("HOLDPOINT_PORT"),
        "HOLDPOINT_TOPICS_EROORS: no such setting, did you mean `HOLDPOINT_TOPICS_ERRORS`?".to_owned(),
    ];
    assert_eq!(warnings(&variables), expected);
}

#[test]
fn a_listener_for_all_asks_for_an_url_to_tell() {
    let expected = "`listen` 0.0.0.0:8484 is open to other machines and others are told `http://0.0.0.0:8484`: \
                    set `advertise` to the URL they reach it by";
    assert_eq!(warnings(&[("HOLDPOINT_LISTEN", "0.0.0.0:8484")]), [expected]);
    let advertised = [
        ("HOLDPOINT_LISTEN", "0.0.0.0:8484"),
        ("HOLDPOINT_ADVERTISE", "http://a:8484"),
    ];
    assert_eq!(warnings(&advertised), Vec::<String>::new());
}
