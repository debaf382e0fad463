//! Exactly once, whoever dies.

use std::{collections::BTreeMap, thread::sleep, time::Duration};

use serde_json::{Value, json};

use crate::{
    reproduction,
    support::{Instance, Record, Site, brokers, eventually, now},
};

const SERVICES: u32 = 40;

/// Unique events by service and kind.
type Expected = BTreeMap<String, BTreeMap<&'static str, u64>>;

/// `n` error events, commits and deploys over [`SERVICES`], some of them twice; and the unique ones by service and kind.
fn events(n: u32, run: u32) -> (Vec<Record>, Expected) {
    let mut records = Vec::new();
    let mut expected: Expected = BTreeMap::new();
    let at = now();
    for i in 0..n {
        let service = format!("s{}", i.wrapping_mul(2_654_435_761) % SERVICES);
        let time = at.to_string();
        let id = format!("{run}-{i}");
        let (topic, kind, event) = match i % 50 {
            0 => (
                "commits",
                "commit",
                json!({"id": id, "time": time, "service": service, "sha": id}),
            ),
            1 => (
                "deploys",
                "deploy",
                json!({"id": id, "time": time, "service": service, "environment": "production",
                "deploy_id": id, "status": "started"}),
            ),
            _ => (
                "errors",
                "error",
                json!({"id": id, "time": time, "service": service, "environment": "production"}),
            ),
        };
        *expected.entry(service).or_default().entry(kind).or_default() += 1;
        let value = serde_json::to_vec(&event).expect("JSON");
        records.push((topic, i, at, value.clone()));
        if i % 17 == 0 {
            // The copy comes by another partition.
            records.push((topic, i + 1, at, value));
        }
    }
    (records, expected)
}

fn add(total: &mut Expected, more: Expected) {
    for (service, kinds) in more {
        for (kind, n) in kinds {
            *total.entry(service.clone()).or_default().entry(kind).or_default() += n;
        }
    }
}

fn wait_applied(instance: &Instance, expected: &Expected) {
    for (service, kinds) in expected {
        let mut last = Value::Null;
        eventually(&format!("{service} has taken in {kinds:?}"), || {
            last = instance.service(service)?["applied"].clone();
            for (kind, n) in kinds {
                let applied = last[*kind].as_u64().unwrap_or(0);
                assert!(
                    applied <= *n,
                    "{service} took in {applied} {kind} events of {n}: one twice"
                );
            }
            kinds.iter().all(|(kind, n)| last[*kind] == *n).then_some(())
        });
    }
}

#[test]
fn two_instances_one_killed_and_a_third_joining_apply_every_event_once() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(
        brokers,
        "kill",
        &[("errors", 6), ("deploys", 2), ("commits", 3)],
        "mode = \"enforce\"\n",
    );
    let first = Instance::start(&site, "a");
    let second = Instance::start(&site, "b");
    first.wait_ready();
    second.wait_ready();
    let (records, mut expected) = events(6_000, 1);
    site.send(&records);
    let (records, more) = events(12_000, 2);
    add(&mut expected, more);
    let (before, after) = records.split_at(6_000);
    site.send(before);
    second.kill();
    site.send(after);
    let third = Instance::start(&site, "c");
    let (records, more) = events(6_000, 3);
    add(&mut expected, more);
    site.send(&records);
    third.wait_ready();
    wait_applied(&first, &expected);
    // Sequences are checked in here.
    let decisions = site.decisions();
    let n_commits: u64 = expected.values().filter_map(|kinds| kinds.get("commit")).sum();
    let n_changes = decisions.keys().filter(|key| key.starts_with("change:")).count();
    assert_eq!(
        u64::try_from(n_changes).expect("small"),
        n_commits,
        "a decision for every commit"
    );
    assert_eq!(first.terminate(), 0);
    assert_eq!(third.terminate(), 0);
    let checked = reproduction::check(&site);
    // How often a service was snapshotted depends on how much each transaction took in: once at least, for each has spoken.
    assert!(
        checked.n_decisions > 480 && checked.n_snapshots >= usize::try_from(SERVICES).expect("few"),
        "{checked:?}"
    );
}

/// A broker that was killed may leave records of a transaction undecided, and whoever waits for them waits for ever. The
/// same producer's next decision decides them: so each begins with one, wherever it may write.
#[test]
fn a_producer_first_decides_what_its_predecessor_may_have_left() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "left", &[("errors", 2)], "");
    let first = Instance::start(&site, "a");
    first.wait_ready();
    assert_eq!(first.terminate(), 0);
    // Nothing was refused, so all there is on this topic is of that: in each partition an aborted record and its mark.
    assert!(site.read("rejected").is_empty());
    let ends = site.ends("rejected");
    assert!(ends.iter().all(|end| *end == 2), "{ends:?}");
    let second = Instance::start(&site, "a");
    second.wait_ready();
    assert!(site.ends("rejected").iter().all(|end| *end == 4));
    assert_eq!(second.terminate(), 0);
    reproduction::check(&site);
}

#[test]
fn a_restored_state_equals_the_live_one_and_its_tail_says_nothing() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "restore", &[("errors", 4)], "");
    let live = Instance::start(&site, "a");
    live.wait_ready();
    let (records, expected) = events(5_000, 1);
    site.send(&records);
    wait_applied(&live, &expected);
    let report = |instance: &Instance, service: &str| instance.service(service);
    let before: BTreeMap<String, Value> = expected
        .keys()
        .map(|service| (service.clone(), eventually("a report", || report(&live, service))))
        .collect();
    // Long enough for every message and decision of the last events to be out.
    sleep(Duration::from_secs(2));
    let said = site.decisions();
    live.kill();
    let restored = Instance::start(&site, "a");
    restored.wait_ready();
    for (service, before) in &before {
        let after = eventually("a report", || report(&restored, service));
        assert_eq!(after["applied"], before["applied"], "{service}");
        assert_eq!(after["duplicates"], before["duplicates"], "{service}");
        assert_eq!(after["late"], before["late"], "{service}");
        assert_eq!(after["changes_remembered"], before["changes_remembered"], "{service}");
        assert_eq!(after["decisions"], before["decisions"], "{service}");
    }
    sleep(Duration::from_secs(2));
    assert_eq!(site.decisions(), said, "nothing is said again");
    assert_eq!(restored.terminate(), 0);
    reproduction::check(&site);
}
