use super::{Case, check_file, check_variables, outcome};

#[test]
fn values_outside_of_what_is_allowed_are_refused() {
    let long = "x".repeat(257);
    let cases: [(&str, &[&str]); 10] = [
        (
            "BROKERS",
            &[
                "", "a:1,", ",", "a:0", "a:65536", "a:b", "::1", "[::1", "http//x", "a b:1", "[x]:1", "user@a:1",
            ],
        ),
        ("GROUP", &["", " ", "a/b", ".", "..", &long, "ä"]),
        ("INSTANCE", &["", "a\u{7}b", &long]),
        (
            "LISTEN",
            &[
                "",
                "8484",
                ":8484",
                "localhost:8484",
                "127.0.0.1",
                "127.0.0.1:65536",
                "::1:8484:",
            ],
        ),
        (
            "ADVERTISE",
            &[
                "",
                "holdpoint:8484",
                "ftp://a",
                "http://",
                "http://:1",
                "http://a:",
                "http://a:65536",
                "http://[a]:1",
                "http://a/?b",
                "http://a b",
                "http://a/#",
            ],
        ),
        ("ROLES", &["", "Ingest", "ingest;score", "ingest,", "all"]),
        (
            "PARTITIONS",
            &["", "0", "1001", "-1", "1.5", "0x10", "99999999999999999999"],
        ),
        ("REPLICATION_FACTOR", &["", "0", "32768"]),
        ("DEFAULT_ENVIRONMENT", &["", "a\nb", &long]),
        ("TOPICS_STATE", &["", ".", "..", "a,b", "a b", &long]),
    ];
    for (name, texts) in cases {
        for text in texts {
            let outcome = outcome(&Case {
                variables: &[(&format!("HOLDPOINT_{name}"), text)],
                ..Case::default()
            });
            assert!(
                outcome.starts_with(&format!("HOLDPOINT_{name}: `")),
                "{text:?} gave {outcome}"
            );
        }
    }
    let secret = outcome(&Case {
        variables: &[("HOLDPOINT_ADVERTISE", "http://me:hunter2@a")],
        ..Case::default()
    });
    assert!(
        secret.contains("not one with `@`") && !secret.contains("hunter2"),
        "{secret}"
    );
}

#[test]
fn values_are_taken_as_meant() {
    check_variables(
        &[
            ("HOLDPOINT_BROKERS", "SSL://a:1, [::1]:9092,b_c"),
            ("HOLDPOINT_GROUP", " team-a.holdpoint "),
            ("HOLDPOINT_INSTANCE", "host:8484"),
            ("HOLDPOINT_LISTEN", "[::1]:0"),
            ("HOLDPOINT_ADVERTISE", "https://a.example:8484/holdpoint/"),
            ("HOLDPOINT_POLICY", "/etc/holdpoint/policy.toml"),
            ("HOLDPOINT_TOPICS_ERRORS", "errors, crashes"),
            ("HOLDPOINT_TOPICS_CONTROL", "b.control"),
            ("HOLDPOINT_PARTITIONS", "1000"),
            ("HOLDPOINT_REPLICATION_FACTOR", "3"),
            ("HOLDPOINT_DEFAULT_ENVIRONMENT", "prod @ eu: größer"),
        ],
        &[
            "brokers = SSL://a:1,[::1]:9092,b_c (HOLDPOINT_BROKERS)",
            "group = team-a.holdpoint (HOLDPOINT_GROUP)",
            "instance = host:8484 (HOLDPOINT_INSTANCE)",
            "listen = [::1]:0 (HOLDPOINT_LISTEN)",
            "advertise = https://a.example:8484/holdpoint (HOLDPOINT_ADVERTISE)",
            "policy = /etc/holdpoint/policy.toml (HOLDPOINT_POLICY)",
            "topics.errors = errors,crashes (HOLDPOINT_TOPICS_ERRORS)",
            "topics.control = b.control (HOLDPOINT_TOPICS_CONTROL)",
            "partitions = 1000 (HOLDPOINT_PARTITIONS)",
            "replication_factor = 3 (HOLDPOINT_REPLICATION_FACTOR)",
            "default_environment = prod @ eu: größer (HOLDPOINT_DEFAULT_ENVIRONMENT)",
        ],
    );
    let one_string = "topics.errors = 'a,b'\nbrokers = ['a:1', 'b:2']\nroles = 'api'";
    let expected = [
        "brokers = a:1,b:2 (holdpoint.toml:2:1)",
        "roles = api (holdpoint.toml:3:1)",
    ];
    check_file(
        one_string,
        &[expected[0], expected[1], "topics.errors = a,b (holdpoint.toml:1:1)"],
    );
}

#[test]
fn a_topic_serves_one_purpose() {
    let own = "each of Holdpoint's own topics is used for one thing";
    let kinds = "a topic may carry several kinds, told by each record's own `kind`, so list it once";
    let cases: [(&str, &str, &[String]); 7] = [
        (
            "TOPICS_ERRORS",
            "a,a",
            &["`topics.errors` must be a list without repetitions, not `a` twice".to_owned()],
        ),
        (
            "TOPICS_ERRORS",
            "commits",
            &[format!(
                "`topics.errors` names topic `commits`, and so does `topics.commits`: {kinds}"
            )],
        ),
        (
            "TOPICS_COMMITS",
            "errors",
            &[format!(
                "`topics.commits` names topic `errors`, and so does `topics.errors`: {kinds}"
            )],
        ),
        (
            "TOPICS_STATE",
            "errors",
            &[format!(
                "`topics.state` names topic `errors`, and so does `topics.errors`: {own}"
            )],
        ),
        (
            "TOPICS_ERRORS",
            "a,holdpoint.events",
            &[format!(
                "`topics.errors` names topic `holdpoint.events`, and so does `topics.events`: {own}"
            )],
        ),
        (
            "TOPICS_REVIEWS",
            "holdpoint.overrides",
            &[format!(
                "`topics.reviews` names topic `holdpoint.overrides`, and so does `topics.overrides`: {own}"
            )],
        ),
        (
            "TOPICS_EVENTS",
            "holdpoint.control",
            &[format!(
                "`topics.events` names topic `holdpoint.control`, and so does `topics.control`: {own}"
            )],
        ),
    ];
    for (name, text, expected) in cases {
        let name = format!("HOLDPOINT_{name}");
        let expected: Vec<String> = expected.iter().map(|error| format!("{name}: {error}")).collect();
        assert_eq!(
            outcome(&Case {
                variables: &[(&name, text)],
                ..Case::default()
            }),
            expected.join("\n")
        );
    }
}

#[test]
fn topics_may_trade_names() {
    check_variables(
        &[
            ("HOLDPOINT_TOPICS_ERRORS", "commits"),
            ("HOLDPOINT_TOPICS_COMMITS", "errors"),
        ],
        &[
            "topics.commits = errors (HOLDPOINT_TOPICS_COMMITS)",
            "topics.errors = commits (HOLDPOINT_TOPICS_ERRORS)",
        ],
    );
}
