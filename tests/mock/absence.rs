//! Brokers that are not there, or do not answer: the service waits, alive and not ready; a gate says what it does not
//! know, in time.

use std::time::{Duration, Instant};

use rdkafka::{
    mocking::MockCluster,
    producer::DefaultProducerContext,
    types::{
        RDKafkaApiKey,
        RDKafkaRespErr::{
            RD_KAFKA_RESP_ERR_NO_ERROR as NO_ERROR,
            RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as TOPIC_AUTHORIZATION_FAILED,
        },
    },
};
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

/// Asks; how long that took, the exit status, the answer, and what is said on stderr.
#[expect(clippy::disallowed_methods, reason = "how long a gate took")]
fn timed_gate(cluster: &Cluster, service: &str, timeout: &str, fail_mode: &str) -> (Duration, i32, Value, String) {
    let began = Instant::now();
    let output = cluster
        .site
        .command(&["gate", "--service", service, "--environment", "production", "--json"])
        .args(["--brokers", &cluster.site.brokers])
        .args(["--timeout", timeout, "--fail-mode", fail_mode])
        .output()
        .expect("the gate runs");
    let took = began.elapsed();
    let answer = serde_json::from_slice(&output.stdout).expect("JSON");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    (took, output.status.code().expect("an exit status"), answer, complaint)
}

/// Asks with a timeout of one second; the exit status, the answer, and what is said on stderr.
fn gate(cluster: &Cluster, service: &str, fail_mode: &str) -> (i32, Value, String) {
    let (took, status, answer, complaint) = timed_gate(cluster, service, "1s", fail_mode);
    assert!(took < Duration::from_secs(3), "{fail_mode}: {took:?}");
    (status, answer, complaint)
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

/// A cluster whose policy binds, and an instance that froze `frozen` for an incident and let `s0` by.
struct Frozen {
    cluster: Cluster,
    logged: Logged,
    overrides: String,
}

impl Frozen {
    fn start(cluster: Cluster) -> Self {
        cluster.site.set_policy("mode = \"enforce\"\n");
        let logged = Logged::start(&cluster.site, "ingest,score,api");
        let overrides = cluster.site.topic("overrides");
        let frozen = Self {
            cluster,
            logged,
            overrides,
        };
        frozen.cluster.site.send(&events(0..1));
        frozen.break_out("frozen");
        wait_applied(&frozen.logged.instance, 1);
        frozen
    }

    /// An incident, for which a service is frozen.
    fn break_out(&self, service: &str) {
        let at = now();
        let incident = json!({"kind": "incident", "id": service, "time": at.to_string(), "service": service,
            "incident_id": service, "status": "detected", "severity": 1});
        let value = serde_json::to_vec(&incident).expect("JSON");
        self.cluster.site.send(&[("incidents", 0, at, value)]);
    }

    /// Both ways what is held stays so, and all else is unknown; answers name the topic, and why: `gates` say so of
    /// themselves, the instance by its `view`.
    fn assert_control_alone_is_obeyed(&self, gates: &str, view: &str) {
        let names_it = |text: &str, why: &str| text.contains(&self.overrides) && text.contains(why);
        let is_unknown = |answer: &Value, why| names_it(&answer["text"].to_string(), why) && answer["known"] == false;
        let is_held = |answer: &Value, why| is_unknown(answer, why) && answer["text"].to_string().contains("is frozen");
        eventually("what is held stays so", || {
            let (status, answer, _) = gate(&self.cluster, "frozen", "open");
            (status == 20 && is_held(&answer, gates)).then_some(())
        });
        eventually("so it does over HTTP", || {
            let answer = asked(&self.logged, "frozen");
            (answer["exit_status"] == 20 && is_held(&answer, view)).then_some(())
        });
        let answer = asked(&self.logged, "s0");
        assert!(answer["verdict"] == "unknown" && is_unknown(&answer, view), "{answer}");
        for (fail_mode, expected) in [("open", 0), ("closed", 30)] {
            let (status, answer, _) = gate(&self.cluster, "s0", fail_mode);
            assert!(status == expected && is_unknown(&answer, gates), "{answer}");
        }
        let reasons = self.logged.not_ready().expect("not ready");
        assert!(
            reasons.get("view").is_some_and(|why| names_it(why, view)),
            "{reasons:?}"
        );
    }

    fn assert_all_is_known(&self) {
        self.logged.instance.wait_ready();
        eventually("all is known", || {
            let (status, answer, _) = gate(&self.cluster, "s0", "closed");
            (status == 0 && answer["known"] == true).then_some(())
        });
        assert_eq!(gate(&self.cluster, "frozen", "open").0, 20);
    }
}

/// Misspelt, or not made yet: a person may have said anything.
#[test]
fn without_a_topic_of_overrides_nothing_is_let_by_as_known_until_it_is_made() {
    let frozen = Frozen::start(Cluster::without_overrides("wordless"));
    frozen.assert_control_alone_is_obeyed("there is no topic", "there is no topic");
    frozen.cluster.make_overrides();
    frozen.assert_all_is_known();
}

/// Misspelt where an authorizer hides what there is, or without the right to it.
#[test]
fn where_overrides_may_not_be_read_nothing_is_let_by_as_known_until_they_may() {
    let cluster = Cluster::start("hidden");
    cluster.fail_topic("overrides", TOPIC_AUTHORIZATION_FAILED);
    let frozen = Frozen::start(cluster);
    frozen.assert_control_alone_is_obeyed("authorization failed", "authorization failed");
    frozen.cluster.fail_topic("overrides", NO_ERROR);
    frozen.assert_all_is_known();
}

/// As whoever may describe the topic and not read it. Nobody else fetches anything.
#[test]
fn a_gate_that_may_not_read_overrides_does_not_ask_again_until_its_time_is_over() {
    let cluster = Cluster::start("unread");
    let word = json!({"kind": "override", "id": "o", "time": now().to_string(), "service": "checkout",
        "effect": "freeze", "until": (now() + Duration::from_hours(1)).to_string(), "reason": "r", "by": "mira"});
    let word = serde_json::to_vec(&word).expect("JSON");
    cluster.site.send(&[("overrides", 0, now(), word)]);
    cluster.fail(RDKafkaApiKey::Fetch, &[TOPIC_AUTHORIZATION_FAILED; 500]);
    let (took, status, answer, _) = timed_gate(&cluster, "checkout", "10s", "closed");
    assert_eq!((status, &answer["known"]), (30, &Value::Bool(false)), "{answer}");
    assert!(answer["text"].to_string().contains("uthorization"), "{answer}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

/// What no broker leads is waited for, by a gate until its time is over.
#[test]
fn where_nobody_leads_overrides_nothing_is_let_by_as_known_until_somebody_does() {
    let cluster = Cluster::start("leaderless");
    cluster.lead_overrides(None);
    let frozen = Frozen::start(cluster);
    frozen.assert_control_alone_is_obeyed("overrides-0", "no leader");
    frozen.cluster.lead_overrides(Some(1));
    frozen.assert_all_is_known();
}

/// An instance that runs keeps the words it has read, and hears what control says since.
#[test]
fn control_is_followed_while_overrides_no_longer_are() {
    let frozen = Frozen::start(Cluster::start("withdrawn"));
    frozen.logged.instance.wait_ready();
    frozen.cluster.fail_topic("overrides", TOPIC_AUTHORIZATION_FAILED);
    eventually("the view meets it", || {
        let log = frozen.logged.log();
        log.lines()
            .any(|line| line.contains("not followed") && line.contains("authorization failed"))
            .then_some(())
    });
    frozen.break_out("frozen-since");
    eventually("what came since is held", || {
        let answer = asked(&frozen.logged, "frozen-since");
        (answer["exit_status"] == 20 && answer["known"] == true).then_some(())
    });
    assert_eq!(frozen.logged.count("holdpoint_client_rebuilds_total", &[]), 0);
}
