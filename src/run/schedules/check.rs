//! What a schedule must come to: the log, the books, and what was decided, held against the core run alone.

mod exchange;

use std::{collections::BTreeMap, io::Cursor, sync::Arc, time::Duration};

use self::exchange::Exchange;
pub(super) use self::exchange::Talk;
use super::{
    feed::{Feed, POLICY},
    fold::{Copied, Folded, Kept, fold},
    plan::Scenario,
    site::{INPUTS, LOG_PARTITIONS, SCORE_GROUP, Site},
};
use crate::{
    model::{Kind, Offset, PartitionIndex, Timestamp},
    replay::{Input, Merge, Replay},
    score::Said,
    stream::TopicPartition,
    wire::control,
};

/// By subject, what was decided, in order.
type Decided = BTreeMap<String, Vec<Action>>;

/// What was decided, for what reason before all others, and as of when.
#[derive(Debug)]
struct Action {
    name: String,
    code: String,
    at: Timestamp,
}

/// A decision of an instance may be of so much later than that of the core alone: time is told once a second, and while
/// catching up every ten seconds of record time.
const TOLD_WITHIN: Duration = Duration::from_secs(90);
/// The reason of a freeze by evidence.
const BY_EVIDENCE: &str = "deploy_regression";

/// Panics with what is wrong, if anything is. Else tells what services asked each other.
pub(super) fn check(site: &Site, feed: &Feed, scenario: Scenario) -> Talk {
    let mut exchange = Exchange::new();
    let mut actions = Decided::new();
    let mut applied = crate::score::Applied::default();
    let mut by_service: BTreeMap<String, BTreeMap<Kind, u64>> = BTreeMap::new();
    let (mut n_known, mut n_environments) = (0, 0);
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
        let scored = site.cluster.committed(SCORE_GROUP, &partition("events", index));
        exchange.begin();
        let folded = fold(&copied, &mut |entry, offset, state, said| {
            exchange.hear(entry, state.now());
            // What was read and not committed is said to nobody yet.
            if scored.is_some_and(|scored| offset < scored) {
                exchange.say(said);
            }
        });
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
        n_known += folded.state.fleet().n_known();
        let services = folded.state.services();
        let reports = services
            .iter()
            .filter_map(|service| folded.state.report(service.name().as_str()));
        n_environments += reports.map(|report| report.environments.len()).sum::<usize>();
        note(&folded, &mut actions, &mut by_service);
    }
    assert_eq!(
        usize::try_from(n_known),
        Ok(n_environments),
        "services that the fleet counts, and those there are"
    );
    assert_eq!(by_service, feed.expected, "what each service took in");
    let talk = exchange.check();
    let n_applied: u64 = applied.by_kind.iter().sum();
    assert_eq!(n_applied + applied.duplicates, feed.n_valid, "events in the log");
    once_each(site, feed);
    let alone = alone(feed, scenario);
    assert!(!alone.is_empty(), "nothing was decided");
    let (mut actions, mut alone) = (in_any_order(actions), in_any_order(alone));
    // Who is not answered in time goes on without, and is frozen itself: others may not answer while they are restored.
    for service in exchange.unheard() {
        let subject = format!("service:{service}@production");
        for actions in [&mut actions, &mut alone] {
            assert!(actions.remove(&subject).is_some(), "{subject} decided nothing");
        }
    }
    hold(&actions, &alone, scenario);
    talk
}

/// Holds what was decided against what the core decides that runs alone.
fn hold(actions: &Decided, alone: &Decided, scenario: Scenario) {
    let without_times = |all: &Decided| -> Vec<(String, Vec<String>)> {
        let names = |said: &Vec<Action>| said.iter().map(|action| action.name.clone()).collect();
        all.iter()
            .map(|(subject, said)| (subject.clone(), names(said)))
            .collect()
    };
    assert_eq!(
        without_times(actions),
        without_times(alone),
        "decisions, and those of the core run alone"
    );
    if scenario == Scenario::Downtime {
        let all = actions.values().flatten().zip(alone.values().flatten());
        // The fleet grants a freeze by evidence, and its word takes its time while record time flies.
        for (action, alone) in all.filter(|(action, _)| action.code != BY_EVIDENCE) {
            let late = action.at.since(alone.at);
            assert!(late <= TOLD_WITHIN, "{action:?}, and {alone:?} by the core run alone");
        }
    }
}

/// Which of two topics is read first is nobody's promise: a person's word may come before the event that makes a service
/// known, and of two words the later may come first. What is not said twice, and what it comes to, is the same.
fn in_any_order(mut actions: Decided) -> Decided {
    for said in actions.values_mut() {
        said.dedup_by(|a, b| a.name == b.name);
        if said.len() > 1 && said[0].name == "proceed" {
            said.remove(0);
        }
    }
    actions
}

fn partition(topic: &str, partition: PartitionIndex) -> TopicPartition {
    TopicPartition {
        topic: Arc::from(topic),
        partition,
    }
}

fn copy(site: &Site, topic: &str, index: PartitionIndex) -> Vec<Kept> {
    let partition = partition(topic, index);
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

fn note(folded: &Folded, actions: &mut Decided, by_service: &mut BTreeMap<String, BTreeMap<Kind, u64>>) {
    for (subject, said) in &folded.said {
        for json in said.iter().flatten() {
            let decision: serde_json::Value = serde_json::from_str(json).expect("a decision is JSON");
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            actions.entry(subject.clone()).or_default().push(Action {
                name: text(&decision["action"]),
                code: text(&decision["reasons"][0]["code"]),
                at: text(&decision["decided_at"]).parse().expect("when it was decided"),
            });
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

fn once_each(site: &Site, feed: &Feed) {
    counted_once(site, feed);
    rejected_once(site, feed);
    nothing_is_shown_of_the_dead(site);
}

/// Metrics may leave out some that an owner had applied when it died, and have none twice.
fn counted_once(site: &Site, feed: &Feed) {
    let text = site.recorder.handle().render();
    let names = ["holdpoint_events_applied_total", "holdpoint_events_duplicate_total"];
    let n_counted: u64 = text
        .lines()
        .filter(|line| names.iter().any(|name| line.starts_with(name)))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum();
    let n_valid = feed.n_valid;
    assert!(
        n_counted <= n_valid,
        "{n_counted} events are counted, of {n_valid} in the log"
    );
    if site.baton.met().is_empty() {
        assert_eq!(n_counted, n_valid, "events are counted where nothing struck");
    }
}

/// Of what one worker held that is gone, another tells.
fn nothing_is_shown_of_the_dead(site: &Site) {
    let names = [
        "holdpoint_consumer_lag_records{",
        "holdpoint_partitions_assigned ",
        "holdpoint_policy_partitions_differing ",
    ];
    let text = site.recorder.handle().render();
    for name in names {
        let mut lines = text.lines().filter(|line| line.starts_with(name)).peekable();
        assert!(lines.peek().is_some(), "{name}");
        for line in lines {
            assert!(line.ends_with(" 0"), "{line}");
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
fn alone(feed: &Feed, scenario: Scenario) -> Decided {
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
    let mut replay = Replay::new(Some(POLICY));
    let mut actions = Decided::new();
    let mut note = |replay: &mut Replay| {
        for said in replay.take_said() {
            if let Said::Decision(decision) = said {
                let of = actions.entry(decision.subject.to_string()).or_default();
                of.push(Action {
                    name: decision.action.name().to_owned(),
                    code: decision.reasons.first().map_or("", |reason| &*reason.code).to_owned(),
                    at: decision.decided_at,
                });
            }
        }
    };
    while let Some(arrival) = merge.next().expect("memory is read") {
        replay.take(&arrival);
        note(&mut replay);
    }
    // What a freeze by evidence is followed by comes after the end of those schedules.
    match scenario {
        Scenario::Running | Scenario::DayLater => replay.finish(),
        Scenario::Trouble | Scenario::Downtime => {}
    }
    note(&mut replay);
    actions
}
