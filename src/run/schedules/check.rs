//! What a schedule must come to: the log, the books, and what was decided, held against the core run alone.

use std::{collections::BTreeMap, io::Cursor, sync::Arc, time::Duration};

use super::{
    feed::Feed,
    fold::{Copied, Folded, Kept, fold},
    site::{INPUTS, LOG_PARTITIONS, Site},
};
use crate::{
    model::{Kind, Offset, PartitionIndex, Timestamp},
    replay::{Input, Merge, Replay},
    score::Said,
    stream::TopicPartition,
    wire::control,
};

/// By subject, the actions decided, in order, each with when.
type Actions = BTreeMap<String, Vec<(String, Timestamp)>>;

/// A decision of an instance may be of so much later than that of the core alone: time is told once a second, and while
/// catching up every ten seconds of record time.
const TOLD_WITHIN: Duration = Duration::from_secs(90);

/// Panics with what is wrong, if anything is; `is_in_time` says that decisions are to be of when they would have been.
pub(super) fn check(site: &Site, feed: &Feed, is_in_time: bool) {
    let mut actions = Actions::new();
    let mut applied = crate::score::Applied::default();
    let mut by_service: BTreeMap<String, BTreeMap<Kind, u64>> = BTreeMap::new();
    for index in 0..LOG_PARTITIONS {
        let index = PartitionIndex(i32::try_from(index).unwrap_or(0));
        let copied = Copied {
            log: copy(site, "events", index),
            control: copy(site, "control", index),
            state: copy(site, "state", index),
        };
        let told = times_told(&copied.control);
        assert!(
            told.is_sorted(),
            "an owner that was passed by tells a time that has been told already: {told:?}"
        );
        let folded = fold(&copied);
        assert!(folded.differences.is_empty(), "{}", folded.differences.join("\n"));
        assert!(
            folded.n_decisions == 0 || folded.n_snapshots > 0,
            "who speaks is snapshotted"
        );
        let counts = folded.state.applied();
        applied.duplicates += counts.duplicates;
        for (total, n) in applied.by_kind.iter_mut().zip(counts.by_kind) {
            *total += n;
        }
        assert_eq!(folded.state.n_late(), 0, "evidence is late");
        note(&folded, &mut actions, &mut by_service);
    }
    assert_eq!(by_service, feed.expected, "what each service took in");
    let n_applied: u64 = applied.by_kind.iter().sum();
    assert_eq!(n_applied + applied.duplicates, feed.n_valid, "events in the log");
    rejected_once(site, feed);
    let alone = alone(feed);
    assert!(!alone.is_empty(), "nothing was decided");
    let (actions, alone) = (in_any_order(actions), in_any_order(alone));
    let without_times = |all: &Actions| -> Vec<(String, Vec<String>)> {
        let names = |said: &Vec<(String, Timestamp)>| said.iter().map(|(action, _)| action.clone()).collect();
        all.iter()
            .map(|(subject, said)| (subject.clone(), names(said)))
            .collect()
    };
    assert_eq!(
        without_times(&actions),
        without_times(&alone),
        "decisions, and those of the core run alone"
    );
    if is_in_time {
        let all = actions.values().flatten().zip(alone.values().flatten());
        for ((action, at), (_, alone_at)) in all {
            let late = at.since(*alone_at);
            assert!(
                late <= TOLD_WITHIN,
                "{action} at {at}, and at {alone_at} by the core run alone"
            );
        }
    }
}

/// Which of two topics is read first is nobody's promise: a person's word may come before the event that makes a service
/// known, and of two words the later may come first. What is not said twice, and what it comes to, is the same.
fn in_any_order(mut actions: Actions) -> Actions {
    for said in actions.values_mut() {
        said.dedup_by(|a, b| a.0 == b.0);
        if said.len() > 1 && said[0].0 == "proceed" {
            said.remove(0);
        }
    }
    actions
}

fn copy(site: &Site, topic: &str, partition: PartitionIndex) -> Vec<Kept> {
    let partition = TopicPartition {
        topic: Arc::from(topic),
        partition,
    };
    let mut records = Vec::new();
    site.cluster.follow(&partition, &mut Offset(0), |offset, stored| {
        records.push(Kept {
            offset,
            written_at: stored.timestamp,
            key: stored.key.clone().unwrap_or_default(),
            value: stored.value.clone(),
        });
    });
    records
}

/// The times that heartbeats told, in order.
fn times_told(control: &[Kept]) -> Vec<Option<Timestamp>> {
    let records = control
        .iter()
        .filter_map(|record| control::decode(&record.key, record.value.as_deref()).ok());
    records
        .filter_map(|record| {
            if let crate::gate::Record::Heartbeat(heartbeat) = record {
                Some(heartbeat.now)
            } else {
                None
            }
        })
        .collect()
}

/// The times that the heartbeats of a partition of the log told, in order.
pub(super) fn times_told_of(site: &Site, partition: PartitionIndex) -> Vec<Option<Timestamp>> {
    times_told(&copy(site, "control", partition))
}

fn note(folded: &Folded, actions: &mut Actions, by_service: &mut BTreeMap<String, BTreeMap<Kind, u64>>) {
    for (subject, said) in &folded.said {
        for json in said.iter().flatten() {
            let decision: serde_json::Value = serde_json::from_str(json).expect("a decision is JSON");
            let action = decision["action"].as_str().unwrap_or_default().to_owned();
            let at = decision["decided_at"].as_str().and_then(|at| at.parse().ok());
            let at = at.expect("when it was decided");
            actions.entry(subject.clone()).or_default().push((action, at));
        }
    }
    for service in folded.state.services() {
        let kinds = by_service.entry(service.name().as_str().to_owned()).or_default();
        for kind in Kind::ALL {
            if service.applied(kind) > 0 {
                kinds.insert(kind, service.applied(kind));
            }
        }
    }
}

fn rejected_once(site: &Site, feed: &Feed) {
    let partition = TopicPartition {
        topic: Arc::from("rejected"),
        partition: PartitionIndex(0),
    };
    let mut places = Vec::new();
    site.cluster.follow(&partition, &mut Offset(0), |_, stored| {
        let header = |name: &str| {
            let found = stored.headers.iter().find(|header| &*header.name == name);
            found.and_then(|header| header.value.clone())
        };
        places.push((header("hp_topic"), header("hp_partition"), header("hp_offset")));
    });
    let n = places.len();
    places.sort();
    places.dedup();
    assert_eq!(
        (n, places.len()),
        (feed.n_rejected, feed.n_rejected),
        "rejects, and unique ones"
    );
}

/// What the core decides when nothing fails and everything comes in order.
fn alone(feed: &Feed) -> Actions {
    let inputs = feed
        .lines
        .iter()
        .map(|(topic, lines)| Input {
            name: (*topic).into(),
            reader: Box::new(Cursor::new(lines.clone())),
        })
        .collect();
    let kinds_are_named = INPUTS.iter().all(|(_, topic, _)| feed.lines.contains_key(topic));
    assert!(kinds_are_named, "a kind is missing in the feed");
    let mut merge = Merge::new(inputs).expect("memory is read");
    let mut replay = Replay::new(None);
    let mut actions = Actions::new();
    let mut note = |replay: &mut Replay| {
        for said in replay.take_said() {
            if let Said::Decision(decision) = said {
                let of = actions.entry(decision.subject.to_string()).or_default();
                of.push((decision.action.name().to_owned(), decision.decided_at));
            }
        }
    };
    while let Some(arrival) = merge.next().expect("memory is read") {
        replay.take(&arrival);
        note(&mut replay);
    }
    replay.finish();
    note(&mut replay);
    actions
}
