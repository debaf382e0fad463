//! The input partitions that an ingest worker holds: where it is in each, and what that says of time.
//!
//! They are read in step: a record too far ahead of the others is held back, one a partition, until they have come
//! near. So an hour of downtime is caught up minute by minute, and nothing that would have been on time is late.
//!
//! **Invariant:** a watermark is never above the clock, and falls only with a clock that is set back.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    model::{Offset, Timestamp},
    stream::{Header, Record, TopicPartition},
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
    /// The end, as the broker said of late.
    end: Option<Offset>,
    /// The greatest record time taken; `None` before the first record.
    newest: Option<Timestamp>,
    /// The least record time of the last batch that held any of it.
    least: Option<Timestamp>,
    /// Nothing of it was taken in this batch yet.
    untouched: bool,
    /// The next record, taken from the client and too far ahead to be taken in.
    held_back: Option<HeldBack>,
    watermark: Timestamp,
    /// The watermark as of the last commit: what came after it has told nobody.
    told: Timestamp,
    /// When anything of it was last heard.
    heard_at: Timestamp,
}

/// A record that waits for its time, with all that it came with.
#[derive(Debug, Clone)]
pub(crate) struct HeldBack {
    pub(crate) offset: Offset,
    pub(crate) at: Timestamp,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<Header>,
}

impl HeldBack {
    pub(crate) fn of(record: &Record<'_>, at: Timestamp) -> Self {
        Self {
            offset: record.offset,
            at,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            headers: (record.headers)(),
        }
    }
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
            untouched: true,
            held_back: None,
            watermark: Timestamp::MIN,
            told: Timestamp::MIN,
            heard_at: now,
        };
        self.held.insert(partition, input);
    }

    pub(crate) fn let_go(&mut self, partition: &TopicPartition) {
        self.held.remove(partition);
    }

    pub(crate) fn len(&self) -> usize {
        self.held.len()
    }

    pub(crate) fn holds(&self, partition: &TopicPartition) -> bool {
        self.held.contains_key(partition)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(crate) fn partitions(&self) -> Vec<TopicPartition> {
        self.held.keys().cloned().collect()
    }

    pub(crate) fn positions(&self) -> Vec<(TopicPartition, Offset)> {
        self.held
            .iter()
            .map(|(partition, input)| (partition.clone(), input.position))
            .collect()
    }

    pub(crate) fn committed(&self) -> Vec<(TopicPartition, Offset)> {
        self.held
            .iter()
            .map(|(partition, input)| (partition.clone(), input.committed))
            .collect()
    }

    /// Records behind the end, where it is known.
    pub(crate) fn lag(&self) -> impl Iterator<Item = (&TopicPartition, i64)> {
        self.held
            .iter()
            .filter_map(|(partition, input)| Some((partition, (input.end?.0 - input.position.0).max(0))))
    }

    pub(crate) fn note_end(&mut self, partition: &TopicPartition, end: Option<Offset>, now: Timestamp) {
        if let Some(input) = self.held.get_mut(partition) {
            let was_at_end = input.is_at_end();
            input.end = end;
            // Of one that was read so far, that there is more is news. Of any other it is none: its records are.
            if was_at_end || input.is_at_end() {
                input.heard_at = now;
            }
        }
    }

    /// A record was taken.
    pub(crate) fn note_taken(&mut self, partition: &TopicPartition, offset: Offset, at: Timestamp, now: Timestamp) {
        if let Some(input) = self.held.get_mut(partition) {
            input.position = offset.next();
            input.newest = Some(input.newest.map_or(at, |newest| newest.max(at)));
            input.least = Some(
                input
                    .least
                    .filter(|_| !input.untouched)
                    .map_or(at, |least| least.min(at)),
            );
            input.untouched = false;
            input.heard_at = now;
        }
    }

    /// Whether offsets are left before the end of any whose next record is not known.
    pub(crate) fn has_unread(&self) -> bool {
        self.held
            .values()
            .any(|input| input.held_back.is_none() && !input.is_at_end())
    }

    /// Those of which there is something to read that may be read, or of which nobody says whether there is, each with
    /// where.
    pub(crate) fn unread(&self) -> impl Iterator<Item = (TopicPartition, Offset)> {
        self.held
            .iter()
            .filter(|(_, input)| input.held_back.is_none() && !input.is_at_end())
            .map(|(partition, input)| (partition.clone(), input.position))
    }

    /// The client has read up to `position`, and what was before it and was not given is no record.
    pub(crate) fn note_passed(&mut self, partition: &TopicPartition, position: Offset, now: Timestamp) {
        if let Some(input) = self.held.get_mut(partition)
            && input.held_back.is_none()
            && position > input.position
        {
            input.position = position;
            input.heard_at = now;
        }
    }

    /// A batch begins.
    pub(crate) fn begin_batch(&mut self) {
        for input in self.held.values_mut() {
            input.untouched = true;
        }
    }

    /// Holds a record back until its time has come.
    pub(crate) fn hold_back(&mut self, partition: &TopicPartition, record: HeldBack, now: Timestamp) {
        if let Some(input) = self.held.get_mut(partition) {
            input.heard_at = now;
            input.held_back = Some(record);
        }
    }

    /// The record held back of `partition`, if its time has come.
    pub(crate) fn release(&mut self, partition: &TopicPartition, limit: Timestamp) -> Option<HeldBack> {
        self.held
            .get_mut(partition)?
            .held_back
            .take_if(|record| record.at <= limit)
    }

    /// What was taken is committed.
    pub(crate) fn note_committed(&mut self) {
        for input in self.held.values_mut() {
            input.committed = input.position;
            input.told = input.watermark;
        }
    }

    /// What was taken is not committed, and never will be: back to where it is. What it said of time is unsaid too, or
    /// records that come again would be before it.
    pub(crate) fn rewind(&mut self) {
        for input in self.held.values_mut() {
            input.position = input.committed;
            input.held_back = None;
            input.newest = None;
            input.least = None;
            input.watermark = input.told;
        }
    }

    /// Up to which record time each may be read: a step ahead of the last one, of `peers` too.
    pub(crate) fn limit(&self, peers: Option<Timestamp>, now: Timestamp) -> Timestamp {
        let own = self.read_to(now);
        let least = peers.map_or(own, |peers| own.min(peers));
        if least == Timestamp::MIN {
            Timestamp::MIN
        } else {
            least + STEP
        }
    }

    /// How far in record time the one that is furthest behind is read; [`Timestamp::MIN`] while that is not known.
    pub(crate) fn read_to(&self, now: Timestamp) -> Timestamp {
        let progress = self.fetchable(now).map(|(_, input)| input.progress(now));
        progress.min().unwrap_or(now)
    }

    /// Whether a record waits for its time.
    pub(crate) fn holds_back(&self) -> bool {
        self.held.values().any(|input| input.held_back.is_some())
    }

    /// Whether nothing of `partition` may be taken until its held record is released.
    pub(crate) fn is_held_back(&self, partition: &TopicPartition) -> bool {
        self.held.get(partition).is_some_and(|input| input.held_back.is_some())
    }

    /// Whether any of them has records left that are older than the clock by more than a step.
    pub(crate) fn is_behind(&self, now: Timestamp) -> bool {
        self.fetchable(now)
            .any(|(_, input)| !input.is_at_end() && input.progress(now) + STEP < now)
    }

    /// Raises each watermark to what is known now, and gives them.
    pub(crate) fn watermarks(&mut self, now: Timestamp) -> Vec<(&TopicPartition, Timestamp)> {
        for input in self.held.values_mut() {
            let known = match &input.held_back {
                Some(record) => record.at,
                None if input.is_at_end() => now,
                None => input.least.unwrap_or(Timestamp::MIN),
            };
            input.watermark = input.watermark.min(now).max(known.min(now));
        }
        self.fetchable(now)
            .map(|(partition, input)| (partition, input.watermark))
            .collect()
    }

    /// Those that have not been out of reach for long.
    fn fetchable(&self, now: Timestamp) -> impl Iterator<Item = (&TopicPartition, &Input)> {
        self.held
            .iter()
            .filter(move |(_, input)| input.held_back.is_some() || now.since(input.heard_at) < UNFETCHABLE_AFTER)
    }

    /// The least watermark of all in reach; `None` while one is not known.
    pub(crate) fn least_watermark(&self, now: Timestamp) -> Option<Timestamp> {
        self.fetchable(now)
            .map(|(_, input)| input.watermark)
            .min()
            .filter(|least| *least != Timestamp::MIN)
    }
}

impl Input {
    fn is_at_end(&self) -> bool {
        self.end.is_some_and(|end| self.position >= end)
    }

    /// How far in time it is read; [`Timestamp::MIN`] while unknown.
    fn progress(&self, now: Timestamp) -> Timestamp {
        match &self.held_back {
            Some(record) => record.at,
            None if self.is_at_end() => now,
            // One that was at its end a moment ago is as far as it was then.
            None => self.newest.unwrap_or(Timestamp::MIN).max(self.watermark),
        }
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
        TopicPartition {
            topic: "errors".into(),
            partition: PartitionIndex(index),
        }
    }

    fn record(offset: i64, seconds: i64) -> HeldBack {
        HeldBack {
            offset: Offset(offset),
            at: at(seconds),
            key: None,
            value: None,
            headers: Vec::new(),
        }
    }

    #[test]
    fn a_partition_far_ahead_waits_for_the_one_behind() {
        let mut inputs = Inputs::default();
        let (ahead, behind) = (partition(0), partition(1));
        inputs.hold(ahead.clone(), Offset(0), at(10_000));
        inputs.hold(behind.clone(), Offset(0), at(10_000));
        assert_eq!(
            inputs.limit(None, at(10_000)),
            Timestamp::MIN,
            "where each is in time is not known yet"
        );
        inputs.hold_back(&ahead, record(0, 500), at(10_000));
        inputs.hold_back(&behind, record(0, 100), at(10_000));
        let limit = inputs.limit(None, at(10_000));
        assert_eq!(limit, at(130));
        assert!(inputs.release(&ahead, limit).is_none());
        assert!(inputs.release(&behind, limit).is_some());
        inputs.note_taken(&behind, Offset(0), at(100), at(10_000));
        assert!(inputs.is_behind(at(10_000)));
        assert_eq!(
            inputs.watermarks(at(10_000)).iter().map(|(_, at)| *at).min(),
            Some(at(100))
        );
        inputs.note_end(&behind, Some(Offset(1)), at(10_001));
        assert!(
            inputs.release(&ahead, inputs.limit(None, at(10_001))).is_some(),
            "the other is at its end"
        );
    }

    #[test]
    fn what_an_aborted_batch_said_of_time_is_unsaid() {
        let mut inputs = Inputs::default();
        inputs.hold(partition(0), Offset(0), at(10_000));
        inputs.note_taken(&partition(0), Offset(0), at(100), at(10_000));
        inputs.hold_back(&partition(0), record(1, 160), at(10_000));
        assert_eq!(inputs.watermarks(at(10_000))[0].1, at(160));
        inputs.rewind();
        assert_eq!(
            inputs.watermarks(at(10_000))[0].1,
            Timestamp::MIN,
            "the record of 100 is to come again"
        );
        assert_eq!(inputs.limit(None, at(10_000)), Timestamp::MIN);
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

    #[test]
    fn one_that_grows_and_gives_nothing_is_out_of_reach_and_one_held_back_is_not() {
        let mut inputs = Inputs::default();
        inputs.hold(partition(0), Offset(0), at(0));
        inputs.hold(partition(1), Offset(0), at(0));
        inputs.hold_back(&partition(1), record(0, 1_000), at(1));
        for second in 1..=31 {
            inputs.note_end(&partition(0), Some(Offset(second)), at(second));
            let waits = inputs.limit(None, at(second)) == Timestamp::MIN;
            assert_eq!(waits, second < 30, "second {second}");
        }
        assert_eq!(inputs.watermarks(at(100)), [(&partition(1), at(100))]);
    }

    /// Else what is read later would be late until the clock has come there again.
    #[test]
    fn a_watermark_falls_with_a_clock_that_is_set_back() {
        let mut inputs = Inputs::default();
        inputs.hold(partition(0), Offset(7), at(0));
        inputs.note_end(&partition(0), Some(Offset(7)), at(3_600));
        assert_eq!(inputs.watermarks(at(3_600))[0].1, at(3_600));
        inputs.note_end(&partition(0), Some(Offset(7)), at(60));
        assert_eq!(inputs.watermarks(at(60))[0].1, at(60));
    }

    #[test]
    fn an_end_that_is_not_known_any_more_is_not_reached() {
        let mut inputs = Inputs::default();
        inputs.hold(partition(0), Offset(7), at(0));
        inputs.note_end(&partition(0), Some(Offset(7)), at(10));
        assert_eq!(inputs.watermarks(at(10))[0].1, at(10));
        inputs.note_end(&partition(0), None, at(18));
        assert_eq!(
            inputs.watermarks(at(20))[0].1,
            at(10),
            "who knows what was written since"
        );
        assert_eq!(inputs.limit(None, at(20)), at(10) + STEP, "others go on meanwhile");
        assert_eq!(inputs.unread().count(), 1, "if it stays so, somebody is to look");
    }
}
