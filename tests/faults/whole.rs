//! Whether all is well again: everybody ready, everything read, one owner with a fresh voice for each partition.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use anyhow::Context as _;
use holdpoint::{
    model::{Offset, PartitionIndex},
    stream::{
        Fault, Reader as _, TopicPartition,
        kafka::{KafkaReader, Tuning},
    },
};

use crate::{
    roster::Roster,
    support::{LOG_PARTITIONS, Site, now},
    watch::Watch,
};

/// A heartbeat is due every 5 s.
const FRESH: Duration = Duration::from_secs(8);
/// A partition's own time is behind by a tick, and by what it takes to be told.
const NOW_BEHIND_MAX: Duration = Duration::from_secs(10);

/// Where partitions ended at some time.
type Ends = Vec<(TopicPartition, Offset)>;

/// Asks the cluster how far the groups have come.
pub(crate) struct Progress {
    ingest: KafkaReader,
    score: KafkaReader,
    inputs: Vec<TopicPartition>,
    log: Vec<TopicPartition>,
}

/// What is to be read before all is well; it becomes less.
#[derive(Debug, Default)]
pub(crate) struct Goal {
    /// What ingest has not come to yet; `None` before the brokers have told the ends.
    inputs: Option<Ends>,
    /// The same of score, which counts from when ingest was through.
    log: Option<Ends>,
}

impl Goal {
    /// The log alone, to its end as it is when first looked at.
    pub(crate) fn of_log() -> Self {
        Self {
            inputs: Some(Ends::new()),
            log: None,
        }
    }
}

impl Progress {
    pub(crate) fn new(site: &Site) -> anyhow::Result<Self> {
        let reader = |stage: &str| {
            let group = format!("{}.{stage}", site.prefix);
            KafkaReader::new(&site.connection, "progress", &group, &Tuning::default()).context("a reader")
        };
        let of = |topic: &str, n_partitions: u32| {
            let topic: Arc<str> = Arc::from(topic);
            (0..n_partitions).map(move |index| TopicPartition {
                topic: Arc::clone(&topic),
                partition: PartitionIndex(i32::try_from(index).expect("small")),
            })
        };
        Ok(Self {
            ingest: reader("ingest")?,
            score: reader("score")?,
            inputs: site
                .inputs()
                .flat_map(|(topic, n)| of(&topic, n).collect::<Vec<_>>())
                .collect(),
            log: of(&site.topic("events"), LOG_PARTITIONS).collect(),
        })
    }

    /// What is not yet as it should be; `None` once everything is.
    pub(crate) fn missing(&mut self, goal: &mut Goal, roster: &Roster, watch: &Watch) -> Option<String> {
        let unread = self.unread(goal);
        unread.or_else(|| silent(roster, watch)).or_else(|| unready(roster))
    }

    /// What the groups have not come to; `None` once there is nothing.
    pub(crate) fn unread(&mut self, goal: &mut Goal) -> Option<String> {
        self.look(goal).unwrap_or_else(|fault| Some(fault.to_string()))
    }

    fn look(&mut self, goal: &mut Goal) -> Result<Option<String>, Fault> {
        let inputs = match &mut goal.inputs {
            Some(inputs) => inputs,
            none => none.insert(ends(&mut self.ingest, &self.inputs)?),
        };
        if let Some(unread) = reach(&mut self.ingest, inputs)? {
            return Ok(Some(format!("ingest: {unread}")));
        }
        let log = match &mut goal.log {
            Some(log) => log,
            none => none.insert(ends(&mut self.score, &self.log)?),
        };
        Ok(reach(&mut self.score, log)?.map(|unread| format!("score: {unread}")))
    }
}

fn ends(reader: &mut KafkaReader, partitions: &[TopicPartition]) -> Result<Ends, Fault> {
    let bounds = partitions.iter().map(|partition| {
        let (_, end) = reader.bounds(partition)?;
        Ok((partition.clone(), end))
    });
    bounds.collect()
}

/// Takes out of `ends` what the group has come to, and says what is left.
fn reach(reader: &mut KafkaReader, ends: &mut Ends) -> Result<Option<String>, Fault> {
    while let Some((partition, end)) = ends.last() {
        let committed = reader.committed(partition)?;
        if end.0 > 0 && committed.is_none_or(|committed| committed < *end) {
            return Ok(Some(format!("{partition} is read to {committed:?} of {end}")));
        }
        ends.pop();
    }
    Ok(None)
}

fn silent(roster: &Roster, watch: &Watch) -> Option<String> {
    let urls: BTreeSet<&str> = roster.running().map(|(_, instance)| instance.url.as_str()).collect();
    let seen = watch.seen();
    for index in 0..LOG_PARTITIONS {
        let partition = PartitionIndex(i32::try_from(index).expect("small"));
        let Some((heartbeat, written)) = seen.voices.beats().get(&partition) else {
            return Some(format!("{partition} has no heartbeat"));
        };
        let (now, url) = (now(), &*heartbeat.url);
        if now.since(*written) > FRESH || !urls.contains(url) {
            return Some(format!("the last heartbeat of {partition} is of {url}, {written}"));
        }
        if heartbeat.now.is_none_or(|time| now.since(time) > NOW_BEHIND_MAX) {
            return Some(format!("the time of {partition} is {:?}", heartbeat.now));
        }
    }
    None
}

fn unready(roster: &Roster) -> Option<String> {
    let mut n_owned = 0;
    for (name, instance) in roster.running() {
        match instance.answer("/readyz") {
            Some((200, _)) => {}
            Some((_, why)) => return Some(format!("{name}: {why}")),
            None => return Some(format!("{name} does not answer")),
        }
        let (_, metrics) = instance.answer("/metrics")?;
        let owned = metrics
            .lines()
            .find_map(|line| line.strip_prefix("holdpoint_partitions_assigned "));
        n_owned += owned.and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
    }
    (n_owned != LOG_PARTITIONS).then(|| format!("{n_owned} owners of {LOG_PARTITIONS} partitions"))
}
