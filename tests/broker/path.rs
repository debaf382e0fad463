//! The whole path: inputs keyed and partitioned as producers please, decisions, gates.

use std::time::Duration;

use holdpoint::model::Timestamp;
use serde_json::{Value, json};

use crate::{
    reproduction,
    support::{Instance, Record, Site, brokers, eventually, now},
};

const ENFORCE: &str = "mode = \"enforce\"\n";

fn record(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("JSON")
}

/// A report of a service's last minute.
fn minute(service: &str, at: Timestamp, errors: u64) -> Vec<u8> {
    record(
        &json!({"kind": "error", "id": format!("{service}-{}", at.millis()), "time": at.to_string(), "service": service,
        "environment": "production", "count": errors, "requests": 6_000, "interval_ms": 60_000}),
    )
}

/// Six hours of two services, ten errors a minute each; from the deploy half an hour ago on, `checkout` has sixty.
fn history(end: Timestamp) -> Vec<Record> {
    let mut records = Vec::new();
    for i in 0..360_u32 {
        let at = end - Duration::from_secs(u64::from(360 - i) * 60);
        let usual = 8 + u64::from(i * 7 % 5);
        let broken = if i >= 330 { 60 } else { usual };
        records.push(("errors", i, at, minute("checkout", at, broken)));
        records.push(("errors", i + 2, at, minute("search", at, usual)));
    }
    for (service, id) in [("checkout", "d-81"), ("search", "d-82")] {
        let at = end - Duration::from_mins(30);
        let deploy = json!({"kind": "deploy", "id": id, "time": at.to_string(), "service": service, "environment": "production",
            "deploy_id": id, "status": "started", "commits": [format!("{service}-sha")]});
        records.push(("deploys", 1, at, record(&deploy)));
        let landed = at - Duration::from_mins(1);
        let commit = json!({"kind": "commit", "id": format!("c-{id}"), "time": landed.to_string(), "service": service,
            "sha": format!("{service}-sha"), "change": {"lines_added": 30, "lines_deleted": 2, "files": 3}});
        records.push(("commits", 2, landed, record(&commit)));
    }
    records.sort_by_key(|(_, _, at, _)| *at);
    records
}

/// Six hours are caught up by two instances, one of which is killed on the way: nothing is late, and what was to be
/// frozen is.
#[test]
fn hours_of_downtime_are_caught_up_with_nothing_late() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(
        brokers,
        "downtime",
        &[("errors", 5), ("deploys", 2), ("commits", 3)],
        ENFORCE,
    );
    let history = history(now());
    site.send(&history);
    let (first, second) = (Instance::start(&site, "a"), Instance::start(&site, "b"));
    // Whichever is the first in its group.
    eventually("some of it is taken in", || {
        let has_taken = |instance: &Instance| {
            let (status, body) = instance.answer("/metrics")?;
            Some(status == 200 && body.contains("holdpoint_events_consumed_total{"))
        };
        (has_taken(&first)? || has_taken(&second)?).then_some(())
    });
    second.kill();
    let late = |instance: &Instance| {
        let metrics = instance.metrics();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("holdpoint_events_late_total"));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
    };
    eventually("checkout is frozen", || {
        (site.gate("checkout", &[]).0 == 20).then_some(())
    });
    let n_errors = u64::try_from(history.iter().filter(|(topic, ..)| *topic == "errors").count()).expect("small");
    eventually("all is applied", || {
        let applied = |service: &str| first.service(service)?["applied"]["error"].as_u64();
        (applied("checkout")? + applied("search")? == n_errors).then_some(())
    });
    assert_eq!(late(&first), Some(0));
    assert_eq!(first.terminate(), 0);
    reproduction::check(&site);
    let decisions = site.decisions();
    let last = |subject: &str| decisions[subject].last().expect("a decision")["action"].clone();
    assert_eq!(last("service:checkout@production"), "freeze");
    assert_eq!(last("service:search@production"), "proceed");
}

#[test]
fn records_of_three_topics_become_decisions_that_gates_obey() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(
        brokers,
        "path",
        &[("errors", 5), ("deploys", 2), ("commits", 3)],
        ENFORCE,
    );
    site.send(&history(now()));
    let instance = Instance::start(&site, "a");
    instance.wait_ready();

    let frozen = eventually("checkout is frozen", || {
        let (status, text) = site.gate("checkout", &[]);
        (status == 20).then_some(text)
    });
    assert!(frozen.contains("d-81"), "{frozen}");
    let (status, text) = eventually("the scorer of search is caught up", || {
        let (status, text) = site.gate("search", &["--change", "search-sha"]);
        (!text.contains("not known")).then_some((status, text))
    });
    assert_eq!(status, 0, "{text}");
    // Over HTTP the same; a rollback passes.
    let url = instance.url.clone();
    let over_http = |arguments: &[&str]| {
        let mut command = site.command(&[
            "gate",
            "--service",
            "checkout",
            "--environment",
            "production",
            "--url",
            &url,
        ]);
        command
            .env_remove("HOLDPOINT_BROKERS")
            .args(arguments)
            .status()
            .expect("runs")
            .code()
    };
    assert_eq!(over_http(&[]), Some(20));
    assert_eq!(over_http(&["--kind", "rollback"]), Some(0));

    an_override_counts_at_once_and_is_taken_back(&site);
    an_incident_freezes_until_it_is_resolved(&site);

    assert_eq!(instance.terminate(), 0);
    reproduction::check(&site);
    let decisions = site.decisions();
    assert_eq!(decisions["change:search:search-sha"].len(), 1);
    let blamed = |decision: &Value| decision["reasons"][0]["code"] == "deploy_regression";
    assert!(!decisions["service:search@production"].iter().any(blamed));
}

fn an_override_counts_at_once_and_is_taken_back(site: &Site) {
    let say = |effect: &str, length: &str| {
        let mut command = site.command(&[
            "override",
            "--service",
            "checkout",
            "--effect",
            effect,
            "--for",
            length,
            "--reason",
            "test",
        ]);
        assert!(command.status().expect("runs").success());
    };
    say("proceed", "10m");
    assert_eq!(site.gate("checkout", &[]).0, 0);
    eventually("the override is decided on", || {
        let decisions = site.decisions();
        let last = decisions["service:checkout@production"].last().expect("one").clone();
        (last["action"] == "proceed" && last["reasons"][0]["code"] == "override").then_some(())
    });
    say("proceed", "0");
    assert_eq!(
        eventually("frozen again", || {
            let (status, _) = site.gate("checkout", &[]);
            (status == 20).then_some(status)
        }),
        20
    );
}

fn an_incident_freezes_until_it_is_resolved(site: &Site) {
    let at = now();
    let incident = |status: &str, at: Timestamp| {
        record(
            &json!({"kind": "incident", "id": format!("i-{status}"), "time": at.to_string(), "service": "search",
            "incident_id": "INC-1", "status": status, "severity": 1}),
        )
    };
    site.send(&[("incidents", 0, at, incident("detected", at))]);
    eventually("search is frozen", || (site.gate("search", &[]).0 == 20).then_some(()));
    let (hotfix, text) = site.gate("search", &["--kind", "hotfix", "--incident", "INC-1"]);
    assert_eq!(hotfix, 0, "{text}");
    let at = now();
    site.send(&[("incidents", 0, at, incident("resolved", at))]);
    eventually("search is no longer frozen", || {
        (site.gate("search", &[]).0 != 20).then_some(())
    });
}

#[test]
fn poison_among_good_is_rejected_once_with_its_reason_and_the_books_balance() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "poison", &[("errors", 3)], "");
    let at = now() - Duration::from_mins(1);
    let mut records = Vec::new();
    for i in 0..300_u32 {
        records.push((
            "errors",
            i,
            at,
            minute("checkout", at + Duration::from_millis(u64::from(i)), 1),
        ));
        if i % 3 == 0 {
            let poison: &[u8] = [&b"{"[..], b"\xff\xfe", b"[]", b"{\"kind\":\"error\"}", b"nonsense"]
                [usize::try_from(i / 3 % 5).expect("small")];
            records.push(("errors", i, at, poison.to_vec()));
        }
    }
    site.send(&records);
    let instance = Instance::start(&site, "a");
    instance.wait_ready();
    eventually("all are applied", || {
        (instance.service("checkout")?["applied"]["error"] == 300).then_some(())
    });
    eventually("all poison is rejected", || {
        (site.read("rejected").len() >= 100).then_some(())
    });
    let rejected = site.read("rejected");
    let mut origins: Vec<_> = rejected
        .iter()
        .map(|record| {
            (
                record.headers["hp_topic"].clone(),
                record.headers["hp_partition"].clone(),
                record.headers["hp_offset"].clone(),
            )
        })
        .collect();
    origins.sort();
    origins.dedup();
    assert_eq!((rejected.len(), origins.len()), (100, 100), "each once");
    assert!(
        rejected
            .iter()
            .all(|record| !record.headers["hp_reason"].is_empty() && record.value.is_some())
    );
    let n_inputs: u64 = site
        .read("events")
        .iter()
        .map(|record| record.headers["hp_inputs"].parse::<u64>().expect("a count"))
        .sum();
    assert_eq!(n_inputs + 100, 400, "consumed = events + rejected");
    assert_eq!(instance.terminate(), 0);
    reproduction::check(&site);
}
