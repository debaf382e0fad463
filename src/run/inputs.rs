//! The input partitions that an ingest worker holds: where it is in each, and what that says of time.
//!
//! **Invariant:** a watermark never falls and is never above the clock.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    model::{Offset, Timestamp},
    stream::TopicPartition,
};

/// Input partitions are read in step: none further ahead of the last one, in record time, than this.
const STEP: Duration = Duration::from_secs(30);
/// An input partition that cannot be fetched for so long holds up the others no more.
const UNFETCHABLE_AFTER: Duration = Duration::from_secs(30);

/// One input partition.
#[derive(Debug, Clone)]
pub(crate) struct Input {
    /// Where reading goes on once everything taken is committed.
    pub(crate) committed: Offset,
    /// Behind the last record taken.
    pub(crate) position: Offset,
    /// The end, as the broker said since it was assigned.
    end: Option<Offset>,
    /// The greatest record time taken; `None` before the first record.
    newest: Option<Timestamp>,
    /// The least record time of the last batch that held any of it.
    least: Option<Timestamp>,
    watermark: Timestamp,
    /// When anything of it was last heard.
    heard_at: Timestamp,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    held: BTreeMap<TopicPartition, Input>,
}

impl Inputs {
    pub(crate) fn hold(&mut self, partition: TopicPartition, position: Offset, now: Timestamp) {
        let input = Input {
            committed: position,
            position,
            end: None,
            newest: None,
            least: None,
            watermark: Timestamp::MIN,
            heard_at: now,
        };
        self.held.insert(partition, input);
    }

    pub(crate) fn let_go(&mut self, partition: &TopicPartition) {
        self.held.remove(partition);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(crate) fn partitions(&self) -> Vec<TopicPartition> {
        self.held.keys().cloned().collect()
    }

    pub(crate) fn positions(&self) -> Vec<(TopicPartition, Offset)> {
        self.held.iter().map(|(partition, input)| (partition.clone(), input.position)).collect()
    }

    pub(crate) fn committed(&self) -> Vec<(TopicPartition, Offset)> {
        self.held.iter().map(|(partition, input)| (partition.clone(), input.committed)).collect()
    }

    /// Records behind the end, where it is known.
    pub(crate) fn lag(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.held.iter().filter_map(|(partition, input)| Some((partition, (input.end?.0 - input.position.0).max(0))))
    }

    pub(crate) fn note_end(&mut self, partition: &TopicPartition, end: Option<Offset>, now: Timestamp) {
        if let Some(input) = self.held.get_mut(partition)
            && end.is_some()
        {
            if input.end != end || input.is_at_end() {
                input.heard_at = now;
            }
            input.end = end;
        }
    }

    /// A record was taken.
    pub(crate) fn note_taken(&mut self, partition: &TopicPartition, offset: Offset, at: Timestamp, now: Timestamp) {
        if let Some(input) = self.held.get_mut(partition) {
            input.position = offset.next();
            input.newest = Some(input.newest.map_or(at, |newest| newest.max(at)));
            input.least = Some(input.least.map_or(at, |least| least.min(at)));
            input.heard_at = now;
        }
    }

    /// A batch begins: what the last one held is forgotten where the next one holds some.
    pub(crate) fn begin_batch(&mut self) {
        for input in self.held.values_mut() {
            if !input.is_at_end() {
                continue;
            }
            input.least = None;
        }
    }

    /// What was taken is committed.
    pub(crate) fn note_committed(&mut self) {
        for input in self.held.values_mut() {
            input.committed = input.position;
        }
    }

    /// What was taken is not committed, and never will be: back to where it is.
    pub(crate) fn rewind(&mut self) {
        for input in self.held.values_mut() {
            input.position = input.committed;
        }
    }

    /// Up to which record time each may be read: a step ahead of the last one, of `peers` too.
    pub(crate) fn limit(&self, peers: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let fetchable = self.held.values().filter(|input| now.since(input.heard_at) < UNFETCHABLE_AFTER);
        let least = fetchable.map(|input| input.progress(now)).chain(peers).min().unwrap_or(now);
        if least == Timestamp::MIN { Timestamp::MIN } else { least + STEP }
    }

    /// Whether records of `partition` may be taken now, and whether only one, to learn where it is in time.
    pub(crate) fn may_take(&self, partition: &TopicPartition, limit: Timestamp, now: Timestamp) -> Take {
        let Some(input) = self.held.get(partition) else { return Take::Nothing };
        match input.newest {
            None if limit == Timestamp::MIN => Take::One,
            None => Take::Many,
            Some(_) if input.is_at_end() => Take::Many,
            Some(_) if input.progress(now) <= limit => Take::Many,
            Some(_) => Take::Nothing,
        }
    }

    /// Whether any of them has records left that are older than the clock by more than a step.
    pub(crate) fn is_behind(&self, now: Timestamp) -> bool {
        self.held.values().any(|input| !input.is_at_end() && input.progress(now) + STEP < now)
    }

    /// Raises each watermark to what is known now, and gives them.
    pub(crate) fn watermarks(&mut self, now: Timestamp) -> Vec<(&TopicPartition, Timestamp)> {
        for input in self.held.values_mut() {
            let known = if input.is_at_end() { now } else { input.least.unwrap_or(Timestamp::MIN) };
            input.watermark = input.watermark.max(known.min(now));
        }
        let fetchable = self.held.iter().filter(|(_, input)| now.since(input.heard_at) < UNFETCHABLE_AFTER);
        fetchable.map(|(partition, input)| (partition, input.watermark)).collect()
    }

    /// The least watermark of all; `None` while one is not known.
    pub(crate) fn least_watermark(&self) -> Option<Timestamp> {
        self.held.values().map(|input| input.watermark).min().filter(|least| *least != Timestamp::MIN)
    }
}

/// How much of a partition may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Take {
    Nothing,
    One,
    Many,
}

impl Input {
    fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| self.position >= end)
    }

    /// How far in time it is read; [`Timestamp::MIN`] while unknown.
    fn progress(&self, now: Timestamp) -> Timestamp {
        if self.is_at_end() { now } else { self.newest.unwrap_or(Timestamp::MIN) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PartitionIndex;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn partition(index: i32) -> TopicPartition {
        TopicPartition { topic: "errors".into(), partition: PartitionIndex(index) }
    }

    #[test]
    fn a_partition_far_ahead_waits_for_the_one_behind() {
        let mut inputs = Inputs::default();
        let (ahead, behind) = (partition(0), partition(1));
        inputs.hold(ahead.clone(), Offset(0), at(10_000));
        inputs.hold(behind.clone(), Offset(0), at(10_000));
        let limit = inputs.limit(None, at(10_000));
        assert_eq!(inputs.may_take(&ahead, limit, at(10_000)), Take::One, "where each is in time is not known yet");
        inputs.note_taken(&ahead, Offset(0), at(500), at(10_000));
        inputs.note_taken(&behind, Offset(0), at(100), at(10_000));
        let limit = inputs.limit(None, at(10_000));
        assert_eq!(limit, at(130));
        assert_eq!(inputs.may_take(&ahead, limit, at(10_000)), Take::Nothing);
        assert_eq!(inputs.may_take(&behind, limit, at(10_000)), Take::Many);
        assert!(inputs.is_behind(at(10_000)));
        assert_eq!(inputs.watermarks(at(10_000)).iter().map(|(_, at)| *at).min(), Some(at(100)));
        inputs.note_end(&behind, Some(Offset(1)), at(10_001));
        assert_eq!(inputs.may_take(&ahead, inputs.limit(None, at(10_001)), at(10_001)), Take::Many, "the other is at its end");
    }

    #[test]
    fn a_partition_that_cannot_be_fetched_holds_up_nobody_after_half_a_minute() {
        let mut inputs = Inputs::default();
        inputs.hold(partition(0), Offset(0), at(0));
        inputs.hold(partition(1), Offset(0), at(0));
        inputs.note_taken(&partition(0), Offset(0), at(1_000), at(29));
        assert_eq!(inputs.limit(None, at(29)), Timestamp::MIN);
        assert_eq!(inputs.limit(None, at(31)), at(1_030));
    }
}
