//! Brokers that are not there, or do not answer: the service waits, alive and not ready; a gate says what it does not
//! know, in time.

use std::time::{Duration, Instant};

use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};
use serde_json::{Value, json};

use crate::support::{Cluster, Instance, Logged, assert_one_decision_a_change, events, eventually, now, wait_applied};

fn assert_alive(instance: &Instance) {
    let (status, body) = instance.answer("/healthz").expect("alive");
    assert_eq!(status, 200, "{body}");
}

fn down(mock: &MockCluster<'static, DefaultProducerContext>) {
    mock.broker_down(1).expect("the mock takes it");
}

fn up(mock: &MockCluster<'static, DefaultProducerContext>) {
    mock.broker_up(1).expect("the mock takes it");
}

#[test]
fn an_instance_started_before_its_brokers_is_alive_and_becomes_ready() {
    let cluster = Cluster::start("late-brokers");
    cluster.site.send(&events(0..1));
    down(&cluster.mock);
    let logged = Logged::start(&cluster.site, "ingest,score,api");
    let reasons = eventually("it says what it waits for", || {
        logged
            .not_ready()
            .filter(|reasons| !reasons.values().any(|why| why == "starting"))
    });
    for part in ["view", "ingest", "score"] {
        let why = reasons.get(part).expect("no part is ready");
        assert!(why.contains("asking for"), "{part}: {why}");
    }
    assert_alive(&logged.instance);
    up(&cluster.mock);
    logged.instance.wait_ready();
    wait_applied(&logged.instance, 1);
}

/// Whatever was under way when they went is decided or taken again; nobody has to start anything anew.
#[test]
fn brokers_that_go_and_come_back_find_nothing_lost() {
    let cluster = Cluster::start("outage");
    let logged = Logged::start(&cluster.site, "ingest,score,api");
    logged.instance.wait_ready();
    // The group waits three seconds for members: then there is work under way.
    cluster.site.send(&events(0..1));
    wait_applied(&logged.instance, 1);
    cluster.site.send(&events(1..4));
    down(&cluster.mock);
    // One that was in the middle of handing over its positions is given up, and its successor cannot begin.
    eventually("the outage is noticed", || {
        let log = logged.log();
        (log.contains("AllBrokersDown") || log.contains("BrokerTransportFailure")).then_some(())
    });
    assert_alive(&logged.instance);
    up(&cluster.mock);
    wait_applied(&logged.instance, 4);
    assert_one_decision_a_change(&cluster, 4);
    logged.instance.wait_ready();
}

/// Asks with a timeout of one second; the exit status, the answer, and what is said on stderr.
#[expect(clippy::disallowed_methods, reason = "how long a gate took")]
fn gate(cluster: &Cluster, service: &str, fail_mode: &str) -> (i32, Value, String) {
    let began = Instant::now();
    let output = cluster
        .site
        .command(&["gate", "--service", service, "--environment", "production", "--json"])
        .args([
            "--brokers",
            &cluster.site.brokers,
            "--timeout",
            "1s",
            "--fail-mode",
            fail_mode,
        ])
        .output()
        .expect("the gate runs");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(3), "{fail_mode}: {took:?}");
    let answer = serde_json::from_slice(&output.stdout).expect("JSON");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code().expect("an exit status"), answer, complaint)
}

#[test]
fn a_gate_whose_brokers_do_not_answer_follows_its_fail_mode_in_time() {
    let cluster = Cluster::start("silent");
    let slow = Duration::from_mins(5);
    let silences: [(&str, &dyn Fn()); 2] = [
        ("connected, and not a word", &|| {
            cluster.mock.broker_round_trip_time(1, slow).expect("the mock takes it");
        }),
        ("no connection", &|| down(&cluster.mock)),
    ];
    for (what, fall_silent) in silences {
        fall_silent();
        let (status, answer, complaint) = gate(&cluster, "checkout", "open");
        assert_eq!((status, &answer["known"]), (0, &Value::Bool(false)), "{what}: {answer}");
        assert_eq!(answer["verdict"], "unknown", "{what}: {answer}");
        assert!(complaint.contains("fail mode is open"), "{what}: {complaint}");
        let (status, answer, _) = gate(&cluster, "checkout", "closed");
        assert_eq!(
            (status, &answer["known"]),
            (30, &Value::Bool(false)),
            "{what}: {answer}"
        );
    }
}

/// What the instance answers over HTTP.
fn asked(logged: &Logged, service: &str) -> Value {
    let path = format!("/v1/verdict?service={service}&environment=production");
    let (status, body) = logged.instance.answer(&path).expect("an answer");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).expect("JSON")
}

/// Misspelt, or not made yet: a person may have said anything.
#[test]
fn without_a_topic_of_overrides_nothing_is_let_by_as_known_until_it_is_made() {
    let cluster = Cluster::without_overrides("wordless");
    let overrides = cluster.site.topic("overrides");
    cluster.site.set_policy("mode = \"enforce\"\n");
    let logged = Logged::start(&cluster.site, "ingest,score,api");
    let at = now();
    let incident = json!({"kind": "incident", "id": "i", "time": at.to_string(), "service": "frozen", "incident_id": "i",
        "status": "detected", "severity": 1});
    cluster.site.send(&events(0..1));
    cluster
        .site
        .send(&[("incidents", 0, at, serde_json::to_vec(&incident).expect("JSON"))]);
    wait_applied(&logged.instance, 1);
    let text = eventually("what is held stays so", || {
        let (status, answer, _) = gate(&cluster, "frozen", "open");
        (status == 20 && answer["known"] == false).then(|| answer["text"].to_string())
    });
    assert!(text.contains(&overrides) && text.contains("is frozen"), "{text}");
    eventually("so it does over HTTP", || {
        let answer = asked(&logged, "frozen");
        let text = answer["text"].to_string();
        let is_so = answer["exit_status"] == 20 && text.contains(&overrides) && text.contains("is frozen");
        (is_so && answer["known"] == false).then_some(())
    });
    let answer = asked(&logged, "s0");
    assert_eq!(
        (&answer["verdict"], &answer["known"]),
        (&json!("unknown"), &json!(false)),
        "{answer}"
    );
    assert!(answer["text"].to_string().contains(&overrides), "{answer}");
    for (fail_mode, expected) in [("open", 0), ("closed", 30)] {
        let (status, answer, _) = gate(&cluster, "s0", fail_mode);
        assert_eq!((status, &answer["known"]), (expected, &json!(false)), "{answer}");
        assert!(answer["text"].to_string().contains(&overrides), "{answer}");
    }
    let reasons = logged.not_ready().expect("not ready");
    assert!(
        reasons.get("view").is_some_and(|why| why.contains(&overrides)),
        "{reasons:?}"
    );

    cluster.make_overrides();
    logged.instance.wait_ready();
    eventually("all is known", || {
        let (status, answer, _) = gate(&cluster, "s0", "closed");
        (status == 0 && answer["known"] == true).then_some(())
    });
    assert_eq!(gate(&cluster, "frozen", "open").0, 20);
}
