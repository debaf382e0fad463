//! `holdpoint topics ensure` and `verify`: Holdpoint's own topics, as they must be.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};

use super::{
    connection,
    restore::{beside, restore},
};
use crate::{
    clock::Stopwatch,
    config::Settings,
    model::PartitionIndex,
    stream::{
        Fault,
        kafka::{Admin, Created, KafkaReader, TopicDescription, TopicPlan, Tuning},
    },
};

const DAY_MS: u64 = 86_400_000;
/// By the broker's clock: what an instance whose own is wrong writes of time is held against it.
const DATED_BY_BROKER: (&str, &str) = ("message.timestamp.type", "LogAppendTime");
/// Of what is compacted: the segment being written is not, and whoever starts reads all of it. With the broker's usual
/// gibibyte, 5,000 services of a partition that all change would each be read 160 times.
const SEGMENT_BYTES: u64 = 128 << 20;
/// How long to wait for new topics to have leaders.
const USABLE_WITHIN: Duration = Duration::from_secs(30);
/// How long a group may have no coordinator: a new cluster makes the topic for that with the first question.
const COORDINATED_WITHIN: Duration = Duration::from_secs(30);
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(200);
/// A client that once looked at a cluster in trouble may not mend itself: each attempt has a new one.
const ATTEMPTS: u32 = 4;

/// The topics that Holdpoint owns, and how each must be.
#[must_use]
pub fn plans(settings: &Settings) -> Vec<TopicPlan> {
    let topics = &settings.topics;
    let n_partitions = u32::from(settings.partitions);
    let replication = settings.replication_factor.map(u32::from);
    let plan = |name: &str, n_partitions: u32, configs: &[(&str, String)]| TopicPlan {
        name: name.to_owned(),
        n_partitions,
        replication,
        configs: configs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
    };
    let delete = |days: u64| {
        vec![
            ("cleanup.policy", "delete".to_owned()),
            ("retention.ms", (days * DAY_MS).to_string()),
        ]
    };
    let dated = |mut configs: Vec<(&'static str, String)>| {
        configs.push((DATED_BY_BROKER.0, DATED_BY_BROKER.1.to_owned()));
        configs
    };
    let compact = |name: &str| {
        // What stands is found by its key for ever; a reader that was away a week still sees what was forgotten.
        let configs = vec![
            ("cleanup.policy", "compact".to_owned()),
            ("min.cleanable.dirty.ratio", "0.1".to_owned()),
            ("segment.ms", (6 * 3_600_000_u64).to_string()),
            ("segment.bytes", SEGMENT_BYTES.to_string()),
            ("delete.retention.ms", (7 * DAY_MS).to_string()),
        ];
        let configs = if name == topics.control {
            dated(configs)
        } else {
            configs
        };
        plan(name, n_partitions, &configs)
    };
    vec![
        plan(&topics.overrides, n_partitions, &dated(delete(90))),
        plan(&topics.events, n_partitions, &dated(delete(7))),
        compact(&topics.state),
        compact(&topics.control),
        plan(&topics.rejected, n_partitions, &delete(14)),
    ]
}

/// Creates the topics that are not there, and returns when all are usable. Says what it did, a line a topic.
pub fn ensure(settings: &Settings) -> anyhow::Result<String> {
    let plans = plans(settings);
    let names: Vec<&str> = plans.iter().map(|plan| plan.name.as_str()).collect();
    let created = attempt(settings, |admin| {
        let created = admin.create(&plans)?;
        // What was refused will not become usable.
        if !created.iter().any(|fate| matches!(fate, Created::Refused(_))) {
            admin.wait_usable(&names, USABLE_WITHIN)?;
        }
        Ok(created)
    })?;
    let mut lines = String::new();
    let mut refused = Vec::new();
    for (plan, created) in plans.iter().zip(created) {
        match created {
            Created::Made => writeln!(lines, "{}: created, {} partitions", plan.name, plan.n_partitions)?,
            Created::Existed => writeln!(lines, "{}: there already", plan.name)?,
            Created::Refused(why) => refused.push(format!("{}: {why}", plan.name)),
        }
    }
    if !refused.is_empty() {
        bail!("refused by the cluster:\n  {}", refused.join("\n  "));
    }
    Ok(lines)
}

/// Each difference between the topics as they are and as they must be, and what of the state does not fit the log;
/// empty if there is none.
pub fn verify(settings: &Settings) -> anyhow::Result<Vec<String>> {
    let plans = plans(settings);
    let found = attempt(settings, |admin| {
        plans
            .iter()
            .map(|plan| admin.describe(&plan.name))
            .collect::<Result<Vec<_>, Fault>>()
    })?;
    let mut differences = Vec::new();
    let log_partitions = plans
        .iter()
        .zip(&found)
        .find(|(plan, _)| plan.name == settings.topics.events)
        .and_then(|(_, found)| found.as_ref())
        .map(|found| found.n_partitions);
    for (plan, found) in plans.iter().zip(&found) {
        match found {
            None => differences.push(format!(
                "{}: does not exist; `holdpoint topics ensure` creates it",
                plan.name
            )),
            Some(found) => differences.extend(differences_of(settings, plan, found, log_partitions)),
        }
    }
    if let (Some(n_partitions), true) = (log_partitions, differences.is_empty()) {
        differences.extend(state_differences(settings, n_partitions)?);
    }
    Ok(differences)
}

/// Restores each partition, as an instance would, and says which cannot be: written for another number of partitions or
/// another log, beyond the end of its log, or unreadable.
fn state_differences(settings: &Settings, n_partitions: u32) -> anyhow::Result<Vec<String>> {
    let group = format!("{}.score", settings.group);
    let mut reader = KafkaReader::new(&connection(settings), "holdpoint-topics", &group, &Tuning::default())?;
    let (events, state) = (Arc::from(&*settings.topics.events), Arc::from(&*settings.topics.state));
    let mut differences = Vec::new();
    let began = Stopwatch::start();
    for index in 0..n_partitions {
        let partition = PartitionIndex(i32::try_from(index)?);
        let (log, snapshots) = (beside(&events, partition), beside(&state, partition));
        loop {
            match restore(&mut reader, &log, &snapshots, n_partitions) {
                Ok(_) => {}
                Err(error) if lacks_coordinator(&error) && began.elapsed() < COORDINATED_WITHIN => {
                    std::thread::sleep(ASK_AGAIN_AFTER);
                    continue;
                }
                // What brokers do not answer, or refuse, is no fault of the state.
                Err(error) if error.is::<Fault>() => return Err(error),
                Err(error) => differences.push(format!("{log}: {error:#}")),
            }
            break;
        }
    }
    Ok(differences)
}

/// Whether the group has no coordinator yet, or one that is not ready: `NotCoordinator`, `CoordinatorNotAvailable`,
/// `CoordinatorLoadInProgress`.
fn lacks_coordinator(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Fault::Retry(why)) if why.contains("Coordinator"))
}

fn differences_of(
    settings: &Settings,
    plan: &TopicPlan,
    found: &TopicDescription,
    log_partitions: Option<u32>,
) -> Vec<String> {
    let mut differences = Vec::new();
    let name = &plan.name;
    if !found.is_usable {
        differences.push(format!("{name}: a partition has no leader"));
    }
    let tied = [&settings.topics.state, &settings.topics.control].contains(&name);
    if tied && log_partitions.is_some_and(|log| log != found.n_partitions) {
        differences.push(format!(
            "{name}: {} partitions, and {} has {}: they must be the same, and stay so",
            found.n_partitions,
            settings.topics.events,
            log_partitions.unwrap_or_default()
        ));
    }
    if settings.is_given("partitions") && *name == settings.topics.events && plan.n_partitions != found.n_partitions {
        differences.push(format!(
            "{name}: {0} partitions, and `partitions` is {1}: the count is fixed at creation, set `partitions` to {0}",
            found.n_partitions, plan.n_partitions
        ));
    }
    if found.configs.is_empty() {
        differences.push(format!(
            "{name}: its settings are not compared: to see them takes the right DescribeConfigs"
        ));
    }
    let differing: BTreeMap<&String, (&String, &String)> = plan
        .configs
        .iter()
        .filter(|(key, _)| ["cleanup.policy", "message.timestamp.type", "retention.ms"].contains(&key.as_str()))
        .filter_map(|(key, wanted)| Some((key, (wanted, found.configs.get(key)?))))
        .filter(|(_, (wanted, found))| wanted != found)
        .collect();
    differences.extend(
        differing
            .iter()
            .map(|(key, (wanted, found))| format!("{name}: {key} is {found}, and should be {wanted}")),
    );
    differences
}

fn attempt<T>(settings: &Settings, act: impl Fn(&Admin) -> Result<T, Fault>) -> anyhow::Result<T> {
    let connection = connection(settings);
    let mut last = None;
    for _attempt in 0..ATTEMPTS {
        match Admin::new(&connection, "holdpoint-topics").and_then(|admin| act(&admin)) {
            Ok(done) => return Ok(done),
            Err(Fault::Retry(why)) => last = Some(why),
            Err(fault) => return Err(fault).with_context(|| format!("at {}", settings.brokers)),
        }
    }
    bail!("no answer from {}: {}", settings.brokers, last.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Flags;

    /// Time, heartbeats, and words dated ahead: an instance's clock may be wrong.
    #[test]
    fn what_tells_time_is_dated_by_the_broker() {
        let flags = Flags::default();
        let (settings, _) =
            Settings::load(None, std::iter::empty(), &flags, &|path| std::fs::read_to_string(path)).expect("good");
        let plans = plans(&settings);
        let is_dated = |plan: &&TopicPlan| {
            let kind = plan.configs.get(DATED_BY_BROKER.0);
            kind.is_some_and(|kind| kind == DATED_BY_BROKER.1)
        };
        let dated: Vec<&str> = plans.iter().filter(is_dated).map(|plan| plan.name.as_str()).collect();
        assert_eq!(dated, ["holdpoint.overrides", "holdpoint.events", "holdpoint.control"]);
    }

    /// Of the log, by which services are placed; whoever made the topics without saying how many may have had another
    /// number.
    #[test]
    fn a_log_of_another_partition_count_than_was_asked_for_is_told() {
        for (asked, topic, is_told) in [
            (Some("24"), "holdpoint.events", true),
            (Some("12"), "holdpoint.events", false),
            (None, "holdpoint.events", false),
            (Some("24"), "holdpoint.overrides", false),
        ] {
            let flags: Flags = asked
                .map(|n| ("partitions".to_owned(), n.to_owned()))
                .into_iter()
                .collect();
            let (settings, _) =
                Settings::load(None, std::iter::empty(), &flags, &|path| std::fs::read_to_string(path)).expect("good");
            let plans = plans(&settings);
            let plan = plans.iter().find(|plan| plan.name == topic).expect("planned");
            let found = TopicDescription {
                name: plan.name.clone(),
                n_partitions: 12,
                replication: 1,
                is_usable: true,
                configs: plan.configs.clone(),
            };
            let told = differences_of(&settings, plan, &found, Some(12));
            assert_eq!(
                told.iter().any(|line| line.contains("`partitions` is 24")),
                is_told,
                "{asked:?} {told:?}"
            );
            assert_eq!(told.len(), usize::from(is_told), "{told:?}");
        }
    }

    #[test]
    fn settings_that_differ_or_may_not_be_seen_are_told() {
        let settings = Settings::default();
        let plan = &plans(&settings)[0];
        let as_planned = || TopicDescription {
            name: plan.name.clone(),
            n_partitions: plan.n_partitions,
            replication: 1,
            is_usable: true,
            configs: plan.configs.clone(),
        };
        let told = |found: &TopicDescription| differences_of(&settings, plan, found, None);
        assert_eq!(told(&as_planned()), [""; 0]);
        let mut short = as_planned();
        short.configs.insert("retention.ms".to_owned(), "1".to_owned());
        assert_eq!(
            told(&short),
            ["holdpoint.overrides: retention.ms is 1, and should be 7776000000"]
        );
        let hidden = TopicDescription {
            configs: BTreeMap::new(),
            ..as_planned()
        };
        let lines = told(&hidden);
        assert!(
            lines.len() == 1 && lines[0].contains("DescribeConfigs"),
            "not compared, and not good for that: {lines:?}"
        );
    }
}
