//! Whether every input partition is spoken for.
//!
//! Workers that begin together are given their shares one after the other. One that went ahead before the others have
//! said where they are would tell a time that makes their events late: hours of them, after hours of downtime. So one
//! that is behind waits until all partitions there are have somebody who says how far it is, within a bound; and it
//! tells the log of those it does not hold that they exist, which keeps time from passing them by.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::{Clock, Stopwatch},
    model::PartitionIndex,
    run::{inputs::Inputs, viewer::Peers},
    stream::{Client, TopicPartition},
};

/// A partition that nobody takes up for so long holds up the others no more.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The input partitions there are, and since when some are nobody's.
#[derive(Debug)]
pub(super) struct Cover {
    clock: Clock,
    /// Each topic with its number of partitions.
    known: Vec<(Arc<str>, u32)>,
    /// Since the group last moved anything of ours.
    settled: Stopwatch,
    uncovered: Option<Stopwatch>,
}

impl Cover {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            known: Vec::new(),
            settled: clock.stopwatch(),
            uncovered: None,
        }
    }

    /// The group has moved something: what there is, is asked for anew. What cannot be answered stays as it was known.
    pub(super) fn look<'a>(&mut self, client: &mut impl Client, topics: impl Iterator<Item = &'a Arc<str>>) {
        self.settled = self.clock.stopwatch();
        for topic in topics {
            let Ok(count) = client.partition_count(topic) else {
                continue;
            };
            self.known.retain(|(known, _)| known != topic);
            self.known.extend(count.map(|count| (Arc::clone(topic), count)));
        }
    }

    /// Whether a worker that is behind is to wait for others to say where they are.
    pub(super) fn is_missing(&mut self, inputs: &Inputs, peers: Peers) -> bool {
        let n_known: u32 = self.known.iter().map(|(_, count)| count).sum();
        let n_held = u32::try_from(inputs.len()).unwrap_or(u32::MAX);
        if n_held.saturating_add(peers.n_partitions) >= n_known {
            self.uncovered = None;
            return false;
        }
        let since = self.uncovered.get_or_insert_with(|| self.clock.stopwatch());
        since.elapsed() < WAIT_MAX
    }

    /// Those that others are to speak for, while they may not have done so.
    pub(super) fn others(&self, inputs: &Inputs) -> Vec<TopicPartition> {
        if self.settled.elapsed() >= WAIT_MAX {
            return Vec::new();
        }
        let all = self.known.iter().flat_map(|(topic, count)| {
            (0..*count).map(|index| TopicPartition {
                topic: Arc::clone(topic),
                partition: PartitionIndex(i32::try_from(index).unwrap_or(i32::MAX)),
            })
        });
        all.filter(|partition| !inputs.holds(partition)).collect()
    }
}
