//! Rises of errors that come at the same time each week and last less than an hour: a Monday's logins, a weekly report.
//!
//! Up to six quarter-hours of the week (UTC), each with how many times what is usual by days it has, and in how many of the
//! last weeks it had it. What was seen once may be a fault that was mended. What was seen in two weeks on end is expected
//! from then on, as the lesser of the two, and then follows half-way what comes, up to a doubling; a week without takes one
//! of up to four back. Weeks of which nothing is known, since a deploy was watched that was not healthy or an incident was
//! open, count for nothing.

use serde::{Deserialize, Serialize};

use crate::{
    model::Timestamp,
    score::{multiple::Multiple, short::Short},
};

/// Quarter-hours kept: of one rise of an hour and one of half of it.
const RISES_MAX: usize = 6;
const QUARTERS_A_WEEK: i64 = 7 * 96;
/// What is less is no rise.
const TIMES_MIN: f64 = 2.0;
/// Weeks in which it was seen: from how many on it is expected, and how many are counted.
const WEEKS_EXPECTED: u16 = 2;
const WEEKS_MAX: u16 = 4;

/// A quarter-hour of the week in the lower ten bits, and the weeks in which it was seen above; 0: none is kept here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct WeeklyRise(u16);

const WEEK: u16 = 1 << 10;

impl WeeklyRise {
    fn weeks(self) -> u16 {
        self.0 / WEEK
    }

    fn is_at(self, quarter: u16) -> bool {
        self.0 % WEEK == quarter && self.0 >= WEEK
    }
}

/// The quarter-hour that is seen, in the lower ten bits, and what of it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
struct Open(u16);

impl Open {
    const IS_ON: u16 = 1 << 10;
    const IS_RISEN: u16 = 1 << 11;
    const IS_UNKNOWN: u16 = 1 << 12;

    fn is(self, what: u16) -> bool {
        self.0 & what != 0
    }

    fn quarter(self) -> u16 {
        self.0 % WEEK
    }
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Week {
    rises: [WeeklyRise; RISES_MAX],
    times: [Multiple; RISES_MAX],
    open: Open,
    /// Its errors since the first of its steps that was kept, and how many were usual.
    errors: Short,
    usual: Short,
}

// What its baseline has room for.
const _: () = assert!(size_of::<Week>() <= 24);

fn quarter_of_week(at: Timestamp) -> u16 {
    u16::try_from(at.quarter_hour().rem_euclid(QUARTERS_A_WEEK)).unwrap_or(0)
}

impl Week {
    fn place(&self, quarter: u16) -> Option<usize> {
        self.rises.iter().position(|rise| rise.is_at(quarter))
    }

    /// How many times what is usual by days is expected at `at`: 1 at most times.
    pub(super) fn times(&self, at: Timestamp) -> f64 {
        let expected = self
            .place(quarter_of_week(at))
            .filter(|i| self.rises[*i].weeks() >= WEEKS_EXPECTED);
        expected.and_then(|i| self.times[i].value()).unwrap_or(1.0)
    }

    /// Whether a step at `at` tells of a rise that is kept, or comes after one that is seen.
    pub(super) fn minds(&self, at: Timestamp) -> bool {
        self.open != Open::default() || self.place(quarter_of_week(at)).is_some()
    }

    /// Takes in a step of `errors` where `usual` are by days, nothing is watched and nothing was wrong; `is_risen` where
    /// errors are far above what is expected.
    pub(super) fn note(&mut self, at: Timestamp, (errors, usual): (f64, f64), is_risen: bool) {
        self.turn_to(at);
        if !is_risen && !self.minds(at) {
            return;
        }
        self.open.0 |= quarter_of_week(at) | Open::IS_ON | if is_risen { Open::IS_RISEN } else { 0 };
        self.errors = Short::of(self.errors.value() + errors);
        self.usual = Short::of(self.usual.value() + usual);
    }

    /// What a step at `at` shows is not what comes each week.
    pub(super) fn pass(&mut self, at: Timestamp) {
        self.turn_to(at);
        self.open.0 |= quarter_of_week(at) | Open::IS_ON | Open::IS_UNKNOWN;
    }

    /// A quarter-hour ends with the first step of another.
    fn turn_to(&mut self, at: Timestamp) {
        if !self.open.is(Open::IS_ON) || self.open.quarter() == quarter_of_week(at) {
            return;
        }
        let open = std::mem::take(&mut self.open);
        let (errors, usual) = (std::mem::take(&mut self.errors), std::mem::take(&mut self.usual));
        if !open.is(Open::IS_UNKNOWN) {
            self.learn(open.quarter(), (errors.value(), usual.value()), open.is(Open::IS_RISEN));
        }
    }

    /// Takes in all of a quarter-hour that a healthy watch saw. It makes no rise known, since what it counts is cut.
    pub(super) fn take_in(&mut self, at: Timestamp, seen: (f64, f64)) {
        self.learn(quarter_of_week(at), seen, false);
    }

    fn learn(&mut self, quarter: u16, (errors, usual): (f64, f64), is_risen: bool) {
        let times = (errors + 1.0) / (usual + 1.0);
        let seen = Multiple::of(times);
        let Some(i) = self.place(quarter) else {
            if is_risen && times >= TIMES_MIN {
                self.keep(quarter, seen);
            }
            return;
        };
        let (rise, known) = (&mut self.rises[i], &mut self.times[i]);
        if seen <= known.root() {
            rise.0 -= WEEK;
            if rise.weeks() == 0 {
                *rise = WeeklyRise::default();
            }
            return;
        }
        *known = if rise.weeks() < WEEKS_EXPECTED {
            seen.min(*known)
        } else {
            known.toward(seen)
        };
        if rise.weeks() < WEEKS_MAX {
            rise.0 += WEEK;
        }
    }

    /// Keeps a rise that was seen for the first time, if there is room: in the place of the least that was seen once.
    fn keep(&mut self, quarter: u16, times: Multiple) {
        let is_free = |i: &usize| self.rises[*i].weeks() == 0;
        let may_leave = |i: &usize| self.rises[*i].weeks() == 1 && self.times[*i] < times;
        let free = (0..RISES_MAX).find(is_free);
        let place = free.or_else(|| (0..RISES_MAX).filter(may_leave).min_by_key(|i| self.times[*i]));
        if let Some(i) = place {
            self.rises[i] = WeeklyRise(quarter | WEEK);
            self.times[i] = times;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// Weeks in which the third hour has so many times ten errors a minute; 0: nothing is known of it.
    fn after(weeks: &[f64]) -> Week {
        let mut week = Week::default();
        for (n, times) in (0..).zip(weeks) {
            for minute in 0..7 * 24 * 60 {
                let at = Timestamp::from_millis((n * 7 * 24 * 60 + minute) * 60_000);
                let is_at = (180..195).contains(&minute);
                if is_at && *times == 0.0 {
                    week.pass(at);
                } else {
                    let times = if is_at { *times } else { 1.0 };
                    let is_risen = times >= 3.0 * week.times(at);
                    week.note(at, (10.0 * times, 10.0), is_risen);
                }
            }
        }
        week
    }

    #[test]
    fn what_comes_in_two_weeks_is_expected_in_the_third_and_forgotten_when_it_comes_no_more() {
        let cases: [(&[f64], f64); 12] = [
            (&[5.0], 1.0),
            (&[5.0, 5.0], 5.0),
            (&[5.0, 8.0], 5.0),
            (&[30.0, 4.0], 1.0),
            (&[5.0, 1.0, 5.0], 1.0),
            (&[5.0, 0.0, 5.0], 5.0),
            (&[5.0, 5.0, 1.0], 1.0),
            (&[5.0, 5.0, 5.0, 1.0], 5.0),
            (&[5.0, 5.0, 5.0, 5.0, 1.0, 1.0, 1.0], 1.0),
            (&[5.0, 5.0, 20.0], 7.1),
            (&[5.0, 5.0, 900.0], 7.1),
            (&[1.9, 1.9], 1.0),
        ];
        for (weeks, expected) in cases {
            let times = after(weeks).times(Timestamp::from_millis(3 * HOUR));
            assert!((times / expected - 1.0).abs() < 0.05, "{weeks:?}: {times}");
        }
    }

    #[test]
    fn the_greatest_are_kept_and_none_that_is_expected_makes_room() {
        let mut week = Week::default();
        let at = |hour: i64| Timestamp::from_millis(hour * HOUR);
        // Three that come twice, and eight others once.
        for (hour, times) in [(0, 3.0), (5, 3.0), (10, 3.0), (168, 3.0), (173, 3.0), (178, 3.0)]
            .into_iter()
            .chain((0..8).map(|n| (183 + 5 * n, 4.0 + f64::from(u32::try_from(n * 3 % 8).expect("small")))))
        {
            week.note(at(hour), (10.0 * times, 10.0), true);
            week.note(at(hour + 1), (10.0, 10.0), false);
        }
        let is_expected = |hour: &i64| (week.times(at(*hour)) - 3.0).abs() < 0.2;
        assert!([0, 5, 10].iter().all(is_expected), "{week:?}");
        let once = week.rises.iter().zip(week.times).filter(|(rise, _)| rise.weeks() == 1);
        let mut kept: Vec<f64> = once.filter_map(|(_, times)| times.value()).map(f64::round).collect();
        kept.sort_by(f64::total_cmp);
        assert_eq!(kept, [8.0, 9.0, 10.0], "{week:?}");
    }
}
