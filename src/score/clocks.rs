//! Time, as the log tells it.
//!
//! Each ingest worker appends a watermark per input partition it holds: no record before it is still to come. A log
//! partition keeps the latest per input partition, whoever sent it; `now` is the least of them and never falls. One
//! not renewed for 2 minutes, by the wall clocks in the entries, leaves the minimum: the input partition is nobody's,
//! or its reader hangs, and time must not stop for all.
//!
//! A wall clock may be wrong by hours, and what never falls keeps what it was told. So nothing in an entry counts for
//! later than a few seconds after the broker dated its record.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use crate::model::{Tick, Timestamp};

/// How long a watermark counts without being renewed.
const STALE_AFTER: Duration = Duration::from_mins(2);
/// How far a clock is believed to be ahead of the broker that dates its record, at most. Brokers that are kept in time
/// differ by less, so that a tick is the same time in every partition, whoever leads it: who is asked has closed the steps
/// that the one who asks has. Errors that are told at once are still in time.
const AHEAD_MAX: Duration = Duration::from_secs(5);
/// Input partitions that a log partition keeps time for, at most: up to 17 bytes each beside the policy's text, in one
/// record.
const CLOCKS_MAX: usize = 10_000;

/// The watermarks of all input partitions, and what follows from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clocks {
    /// By topic and partition: the watermark, and the wall clock of the entry that renewed it.
    marks: BTreeMap<Box<str>, BTreeMap<i32, Mark>>,
    now: Timestamp,
    wall: Timestamp,
    n_stale: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    at: Timestamp,
    renewed_at: Timestamp,
}

impl Default for Clocks {
    fn default() -> Self {
        Self {
            marks: BTreeMap::new(),
            now: Timestamp::MIN,
            wall: Timestamp::MIN,
            n_stale: 0,
        }
    }
}

impl Clocks {
    /// No event on time is before this; [`Timestamp::MIN`] until time was told.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The latest wall clock of those who told time; [`Timestamp::MIN`] until time was told.
    #[must_use]
    pub(crate) fn wall(&self) -> Timestamp {
        self.wall
    }

    /// Watermarks left out of the minimum because nobody renews them.
    #[must_use]
    pub fn n_stale(&self) -> u32 {
        self.n_stale
    }

    /// Takes in what a record dated `written_at` says of time.
    pub(crate) fn tick(&mut self, tick: &Tick<'_>, written_at: Timestamp) {
        let latest = written_at + AHEAD_MAX;
        let wall = tick.wall.min(latest);
        self.wall = self.wall.max(wall);
        for mark in &tick.watermarks {
            if !self.marks.contains_key(mark.topic) {
                self.marks.insert(mark.topic.into(), BTreeMap::new());
            }
            let Some(marks) = self.marks.get_mut(mark.topic) else {
                continue;
            };
            let known = marks.get(&mark.partition).map(|known| known.at);
            let told = mark.at.min(latest);
            let at = known.map_or(told, |known| known.max(told));
            marks.insert(mark.partition, Mark { at, renewed_at: wall });
        }
        self.forget_the_long_gone();
        let oldest = self.wall - STALE_AFTER;
        let all = self.marks.values().flat_map(BTreeMap::values);
        let (fresh, stale): (Vec<&Mark>, Vec<&Mark>) = all.partition(|mark| mark.renewed_at >= oldest);
        self.n_stale = u32::try_from(stale.len()).unwrap_or(u32::MAX);
        if let Some(least) = fresh.iter().map(|mark| mark.at).min() {
            self.now = self.now.max(least);
        }
    }

    /// Input partitions that nobody has read for a day are gone, and the bound holds whatever comes.
    fn forget_the_long_gone(&mut self) {
        let oldest = self.wall - Duration::from_hours(24);
        for marks in self.marks.values_mut() {
            marks.retain(|_, mark| mark.renewed_at >= oldest);
        }
        self.marks.retain(|_, marks| !marks.is_empty());
        while self.marks.values().map(BTreeMap::len).sum::<usize>() > CLOCKS_MAX {
            let Some(mut last) = self.marks.last_entry() else {
                return;
            };
            last.get_mut().pop_last();
            if last.get().is_empty() {
                last.remove();
            }
        }
    }

    /// Sets time outright, where one reader sees everything there is: a replay.
    pub(crate) fn advance_to(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.wall = self.wall.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Watermark;

    /// Watermarks as (partition, seconds).
    type Seconds<'a> = &'a [(i32, i64)];

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn tick(wall: i64, told: Seconds<'_>) -> Tick<'static> {
        let watermark = |(partition, seconds): &(i32, i64)| Watermark {
            topic: "errors",
            partition: *partition,
            at: at(*seconds),
        };
        Tick {
            wall: at(wall),
            watermarks: told.iter().map(watermark).collect(),
        }
    }

    #[test]
    fn now_is_the_least_renewed_watermark_and_never_falls() {
        let mut clocks = Clocks::default();
        // The wall clock, the watermarks told as (partition, seconds), and `now` after it.
        let cases: [(i64, Seconds<'_>, i64); 6] = [
            (1_000, &[(0, 990), (1, 500)], 500),
            (1_001, &[(1, 600)], 600),
            (1_002, &[(1, 550)], 600),
            (1_003, &[(2, 100)], 600),
            (1_110, &[(0, 1_100), (1, 1_105)], 600),
            // Partition 2 was last renewed more than two minutes ago.
            (1_124, &[(0, 1_120)], 1_105),
        ];
        for (wall, marks, now) in cases {
            clocks.tick(&tick(wall, marks), at(wall));
            assert_eq!(clocks.now(), at(now), "at {wall}");
        }
        assert_eq!(clocks.n_stale(), 1);
    }

    /// For a second, whoever reads partition 1, or all of them, is wrong by ten years.
    #[test]
    fn a_clock_that_runs_ahead_takes_time_no_further_than_the_broker_has_come() {
        const YEARS: i64 = 315_000_000;
        for all in [&[(1, 1_002 + YEARS)][..], &[(0, 1_002 + YEARS), (1, 1_002 + YEARS)]] {
            let mut clocks = Clocks::default();
            // The wall clock of the instance, what it tells, and when the broker dates it.
            let cases: [(i64, Seconds<'_>, i64); 4] = [
                (1_000, &[(0, 1_000), (1, 1_000)], 1_001),
                (1_002 + YEARS, all, 1_003),
                (1_004, &[(0, 1_004)], 1_005),
                (1_004, &[(1, 1_004)], 1_005),
            ];
            for (wall, told, written_at) in cases {
                clocks.tick(&tick(wall, told), at(written_at));
                let latest = at(written_at) + AHEAD_MAX;
                assert!(clocks.now() <= latest && clocks.wall() <= latest);
                assert_eq!(clocks.n_stale(), 0, "at {wall}: the others are as fresh as before");
            }
            assert!(clocks.now() >= at(1_004));
        }
    }

    /// Else the one partition would have closed a step that the other has not.
    #[test]
    fn a_tick_is_the_same_time_in_partitions_whose_brokers_differ_a_little() {
        let now = |written_at: i64| {
            let mut clocks = Clocks::default();
            clocks.tick(&tick(1_000, &[(0, 1_000)]), at(written_at));
            (clocks.now(), clocks.wall())
        };
        assert_eq!(now(1_001), (at(1_000), at(1_000)));
        assert_eq!(now(997), now(1_001));
    }
}
