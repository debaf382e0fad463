use super::{Case, check, check_file, check_variables, load, outcome};

#[test]
fn properties_of_librdkafka_are_passed_on() {
    let file = "[kafka]\nsecurity.protocol = 'SASL_SSL'\n'ssl.ca.location' = '/ca.pem'\nlinger.ms = 5\nlog_level = 7\n\
                socket.keepalive.enable = true\nsasl.password_file = '/run/secrets/kafka'";
    let variables = [
        ("HOLDPOINT_KAFKA_SSL_KEY_PEM_FILE", "/run/secrets/bundle"),
        ("HOLDPOINT_KAFKA_SASL_OAUTHBEARER_ASSERTION_FILE", "/token"),
        ("HOLDPOINT_KAFKA_COMPRESSION_TYPE", "lz4"),
    ];
    let (settings, warnings) = load(&Case {
        file,
        variables: &variables,
        ..Case::default()
    })
    .expect("no errors");
    let expected = [
        ("compression.type", "lz4"),
        ("linger.ms", "5"),
        ("log_level", "7"),
        ("sasl.oauthbearer.assertion.file", "/token"),
        ("sasl.password", "hunter2 "),
        ("security.protocol", "SASL_SSL"),
        ("socket.keepalive.enable", "true"),
        ("ssl.ca.location", "/ca.pem"),
        ("ssl.key.pem", "line 1\nline 2\n"),
    ];
    assert_eq!(settings.kafka.iter().collect::<Vec<_>>(), expected);
    assert_eq!(warnings, []);
    let explained = outcome(&Case {
        file,
        variables: &variables,
        ..Case::default()
    });
    assert!(
        explained.contains("kafka.sasl.password = *** (holdpoint.toml:7:1)"),
        "{explained}"
    );
    assert!(
        explained.contains("kafka.ssl.key.pem = *** (HOLDPOINT_KAFKA_SSL_KEY_PEM_FILE)"),
        "{explained}"
    );
}

#[test]
fn properties_that_a_guarantee_rests_on_are_refused_with_the_reason() {
    let cases = [
        ("ISOLATION_LEVEL", "records of aborted transactions must not be read"),
        (
            "ENABLE_AUTO_COMMIT",
            "offsets are committed in the transaction that writes what came of them",
        ),
        (
            "ACKS",
            "every write must be acknowledged by all replicas in sync, once and in order",
        ),
        (
            "MAX_IN_FLIGHT_REQUESTS_PER_CONNECTION",
            "every write must be acknowledged by all replicas in sync, once and in order",
        ),
        ("BOOTSTRAP_SERVERS", "use the setting `brokers`"),
        ("GROUP_INSTANCE_ID", "use the setting `instance`"),
        ("LOG_LEVEL", "its name is `log_level`, which only the file can say"),
    ];
    for (name, reason) in cases {
        let property = name.to_lowercase().replace('_', ".");
        let error = format!("HOLDPOINT_KAFKA_{name}: `kafka.{property}` cannot be set: {reason}");
        check_variables(&[(&format!("HOLDPOINT_KAFKA_{name}"), "1")], &[&error]);
    }
    let others = "isolation.level enable.auto.commit auto.commit.interval.ms enable.auto.offset.store acks \
        request.required.acks enable.idempotence enable.gapless.guarantee transactional.id group.id group.instance.id \
        client.id bootstrap.servers metadata.broker.list partitioner auto.offset.reset max.in.flight \
        message.timeout.ms delivery.timeout.ms transaction.timeout.ms session.timeout.ms enable.partition.eof \
        partition.assignment.strategy group.protocol allow.auto.create.topics";
    for property in others.split_whitespace() {
        for name in [property.to_owned(), format!("{property}_file")] {
            let text = outcome(&Case {
                file: &format!("kafka.{name} = '/run/secrets/kafka'"),
                ..Case::default()
            });
            let expected = format!("holdpoint.toml:1:1: `kafka.{property}` cannot be set: ");
            assert!(text.starts_with(&expected), "{name}: {text}");
        }
    }
}

#[test]
fn no_secret_is_shown() {
    let file = "kafka.sasl.password = 'hunter2'\nkafka.sasl.pasword = 'hunter2'\nkafka.ssl.key.pem = 'hunter2'\n\
        kafka.ssl.key.password = 'hunter2'\nkafka.sasl.oauthbearer.config = 'hunter2'\nkafka.ssl_key = 'hunter2'\n\
        kafka.sasl.jaas.config = 'hunter2'\nkafka.my.token = 'hunter2'\nkafka.ssl.keystore.password = 'hunter2'\n\
        kafka.sasl.username = 'me'";
    let (settings, _) = load(&Case {
        file,
        ..Case::default()
    })
    .expect("no errors");
    let shown = format!("{settings:?} {:?}", settings.explain());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(
        shown.contains(r#""sasl.username": "me""#) && shown.contains(r#""sasl.password": "***""#),
        "{shown}"
    );
}

#[test]
fn a_mistake_in_a_property_is_told_without_its_value() {
    let cases: [(&str, &[&str]); 8] = [
        (
            "kafka.sasl.password = ['hunter2']",
            &["`kafka.sasl.password` must be a string, not empty and without NUL, not an array"],
        ),
        (
            "kafka.sasl.password = 4711",
            &["`kafka.sasl.password` must be a string, not empty and without NUL, not a number"],
        ),
        (
            "kafka.sasl.password = ' '",
            &["`kafka.sasl.password` must be a string, not empty and without NUL, not empty"],
        ),
        // Who writes the secret in the place of its path does not find it in the log.
        (
            "kafka.sasl.password_file = 'hunter2'",
            &["cannot read the file that `kafka.sasl.password_file` names: permission denied"],
        ),
        (
            "kafka.sasl.password_file = '/run/secrets/empty'",
            &[
                "`kafka.sasl.password_file` must be the path of a file that holds 1 byte to 1 MiB of text \
                 without NUL, not of an empty one",
            ],
        ),
        (
            "kafka.sasl.password_file = '/run/secrets/large'",
            &[
                "`kafka.sasl.password_file` must be the path of a file that holds 1 byte to 1 MiB of text \
                 without NUL, not of a larger one",
            ],
        ),
        (
            "kafka.Sasl.password = 'hunter2'",
            &["`kafka.Sasl.password` must be a property of librdkafka, in lower case, not this"],
        ),
        (
            "kafka.linger.ms = 0.5",
            &[
                "`kafka.linger.ms` must be a string, whole number or boolean, not empty and without NUL, not a \
                 decimal number",
            ],
        ),
    ];
    for (file, expected) in cases {
        let expected: Vec<String> = expected
            .iter()
            .map(|error| format!("holdpoint.toml:1:1: {error}"))
            .collect();
        assert_eq!(
            outcome(&Case {
                file,
                ..Case::default()
            }),
            expected.join("\n")
        );
    }
}

#[test]
fn a_secret_is_given_once_by_each_source_and_read_only_if_in_force() {
    check_file(
        "kafka.sasl.password = 'a'\nkafka.sasl.password_file = '/run/secrets/kafka'",
        &["holdpoint.toml:2:1: `kafka.sasl.password` is given twice, first by holdpoint.toml:1:1"],
    );
    check_file(
        "kafka.sasl.username = 'a'\nkafka.'sasl.username' = 'b'",
        &["holdpoint.toml:2:1: `kafka.sasl.username` is given twice, first by holdpoint.toml:1:1"],
    );
    check(
        &Case {
            file: "kafka.sasl.password_file = '/does/not/exist'",
            variables: &[("HOLDPOINT_KAFKA_SASL_PASSWORD", "b")],
            ..Case::default()
        },
        &["kafka.sasl.password = *** (HOLDPOINT_KAFKA_SASL_PASSWORD)"],
    );
}
