//! Which length of steps producers ask for by the intervals they tell.
//!
//! Longer steps wipe what was learned of the shorter ones, and there are intervals that say nothing of the days to come: a
//! collector that was held up tells of all the time since in one record. So longer steps are gone over to once such records
//! have come in several quarter-hours, and shorter ones once none has come for a day.

use serde::{Deserialize, Serialize};

use super::Grain;
use crate::model::Timestamp;

/// In so many quarter-hours of a day and the one before longer intervals are no exception.
const USUAL_FROM: u8 = 4;
const QUARTERS_PER_DAY: i64 = 96;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Intervals {
    /// By the least length that is not shorter than the interval: in how many quarter-hours of today and of yesterday
    /// records came, and in which of today the last one did, from 1.
    today: [u8; Grain::ALL.len()],
    yesterday: [u8; Grain::ALL.len()],
    last: [u8; Grain::ALL.len()],
    /// Today, in days since the epoch.
    day: u16,
}

impl Intervals {
    /// Remembers a producer's interval. What comes out of order from a quarter-hour before the last is not counted.
    pub(super) fn note(&mut self, time: Timestamp, interval_ms: u64) {
        let quarter = time.quarter_hour();
        let day = u16::try_from(quarter.div_euclid(QUARTERS_PER_DAY)).unwrap_or(0);
        let quarter = u8::try_from(quarter.rem_euclid(QUARTERS_PER_DAY) + 1).unwrap_or(0);
        if day > self.day {
            let is_next = day - 1 == self.day;
            *self = Self {
                yesterday: if is_next { self.today } else { Default::default() },
                day,
                ..Self::default()
            };
        }
        let asked = Grain::for_interval(interval_ms);
        let Some(place) = Grain::ALL.iter().position(|grain| *grain == asked) else {
            return;
        };
        if day == self.day && quarter > self.last[place] {
            self.last[place] = quarter;
            self.today[place] += 1;
        }
    }

    /// The length they ask for where steps have the length `grain`; `is_new`: there is nothing to lose by longer ones yet.
    pub(super) fn wanted(&self, grain: Grain, is_new: bool) -> Grain {
        let longest = |least: u8| {
            let places = (0..Grain::ALL.len()).rev();
            let mut often = places.filter(|place| self.today[*place] + self.yesterday[*place] >= least);
            often.next().map(|place| Grain::ALL[place])
        };
        // Instants alone say nothing of an interval: what stands, stands.
        let Some(greatest) = longest(1) else { return grain };
        let usual = longest(if is_new { 1 } else { USUAL_FROM });
        grain.min(greatest).max(usual.unwrap_or(Grain::ONE_MINUTE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Minutes at which records came, and of which intervals in minutes.
    type Records = Vec<(i64, u64)>;

    /// The length in minutes that a service wants after such records, whose steps follow what it wants.
    #[test]
    fn one_long_interval_makes_no_longer_steps() {
        let every = |n: i64, interval: u64| (0..2_880 / n).map(move |i| (i * n, interval));
        let cases: [(&str, bool, Records, i64); 8] = [
            ("the first ones", true, vec![(0, 5)], 5),
            ("one of a quarter of an hour", false, vec![(0, 1), (600, 15)], 1),
            (
                "many at once, about a quarter",
                false,
                [(0, 1)].into_iter().chain((0..100).map(|i| (600 - i % 2, 5))).collect(),
                1,
            ),
            (
                "three, and one after two days",
                false,
                vec![(0, 1), (10, 5), (30, 5), (50, 5), (2_900, 1), (2_910, 5)],
                1,
            ),
            ("all of them", false, every(5, 5).collect(), 5),
            (
                "four over midnight",
                false,
                vec![(1_400, 5), (1_420, 5), (1_441, 5), (1_460, 5)],
                5,
            ),
            (
                "long ones until yesterday",
                false,
                every(5, 5).chain((2_880..4_320).map(|i| (i, 1))).collect(),
                5,
            ),
            (
                "long ones until two days ago",
                false,
                every(5, 5).chain((2_880..4_330).map(|i| (i, 1))).collect(),
                1,
            ),
        ];
        for (name, is_new, records, minutes) in cases {
            let mut intervals = Intervals::default();
            let mut grain = Grain::ONE_MINUTE;
            for (at, interval) in records {
                intervals.note(Timestamp::from_millis(at * 60_000), interval * 60_000);
                grain = intervals.wanted(grain, is_new);
            }
            assert_eq!(grain.millis(), minutes * 60_000, "{name}");
        }
    }
}
