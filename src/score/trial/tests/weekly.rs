//! Errors that rise at the same time each week, for less than an hour.

use super::*;
use crate::model::IncidentStatus;

const DAY: i64 = 24 * 60;
const WEEK: i64 = 7 * DAY;
/// The fourth day of each week at eight, for forty minutes: five times the errors.
const RISES_AT: i64 = 4 * DAY + 8 * 60;
const LASTS: i64 = 40;
const USUAL: f64 = 10.0;

fn is_rise(minute: i64) -> bool {
    (RISES_AT..RISES_AT + LASTS).contains(&minute.rem_euclid(WEEK))
}

impl Play {
    /// Minutes up to `until`, with so many times the usual errors where `times` says so, of so many requests if they are told.
    fn weekly(&mut self, until: i64, requests: Option<u64>, times: impl Fn(i64) -> f64) {
        while self.minute < until {
            let told = Told {
                errors: self.count(USUAL * times(self.minute)),
                requests,
                interval: MINUTE,
                version: None,
            };
            self.pass(&[told]);
        }
    }
}

fn rises(minute: i64) -> f64 {
    if is_rise(minute) { 5.0 } else { 1.0 }
}

/// Whether a deploy at `minute` is convicted within an hour in which there are so many times the usual errors.
fn convicts(play: &Play, requests: Option<u64>, minute: i64, times: impl Fn(i64) -> f64) -> bool {
    let mut play = Play {
        trial: play.trial.clone(),
        ..*play
    };
    play.weekly(minute, requests, rises);
    play.deploy("d");
    play.weekly(minute + 60, requests, times);
    play.trial.n_proposed() > 0
}

#[test]
fn a_rise_that_comes_each_week_convicts_nobody_from_the_third_week_on() {
    for requests in [None, Some(6_000)] {
        let mut play = Play::new("");
        for week in 0..5 {
            play.weekly(week * WEEK + RISES_AT - 60, requests, rises);
            let convicted = convicts(&play, requests, week * WEEK + RISES_AT, rises);
            assert_eq!(convicted, week < 2, "in week {week}, requests {requests:?}");
            // Half an hour late.
            let late = convicts(&play, requests, week * WEEK + RISES_AT + 20, rises);
            assert!(week < 2 || !late, "late in week {week}, requests {requests:?}");
        }
        let now = 4 * WEEK + RISES_AT;
        assert!(convicts(&play, requests, now, |_| 25.0), "five times as many as that");
        assert!(convicts(&play, requests, now + DAY, |_| 5.0), "the day after");
        assert!(convicts(&play, requests, now + 90, |_| 5.0), "an hour after it");
        let before = play.level();
        play.weekly(now + LASTS, requests, rises);
        let added = play.level() - before;
        assert!(added < 0.03, "what is usual of other hours: {added}");
    }
}

/// What it is, in how many weeks, and what happens at its beginning and its end.
type Case = (&'static str, i64, fn(&mut Play), fn(&mut Play));

/// What was seen once may be a fault that was mended; with an incident, or while a deploy was watched that was convicted of
/// it, it was one.
#[test]
fn a_fault_that_was_mended_is_not_usual_a_week_later() {
    let cases: [Case; 3] = [
        ("seen once", 1, |_| (), |_| ()),
        (
            "twice with an incident",
            2,
            |play| play.trial.incident(at(play.minute), IncidentStatus::Detected),
            |play| play.trial.incident(at(play.minute), IncidentStatus::Resolved),
        ),
        ("twice after a deploy", 2, |play| play.deploy("bad"), |_| ()),
    ];
    for (case, weeks, begins, ends) in cases {
        let mut play = Play::new("");
        for week in 1..=weeks {
            play.weekly(week * WEEK + RISES_AT, None, |_| 1.0);
            begins(&mut play);
            play.weekly(week * WEEK + RISES_AT + LASTS, None, rises);
            ends(&mut play);
        }
        let now = (weeks + 1) * WEEK + RISES_AT;
        play.weekly(now - 60, None, |_| 1.0);
        assert!(convicts(&play, None, now, rises), "{case}");
    }
}

/// It is forgotten after as many weeks as it was seen, less one; be it that healthy deploys were watched in them.
#[test]
fn a_rise_that_comes_no_more_is_forgotten() {
    for is_watched in [false, true] {
        let mut play = Play::new("");
        play.weekly(3 * WEEK, None, rises);
        for (week, convicted) in (3..).zip([false, false, true]) {
            play.weekly(week * WEEK + RISES_AT - 60, None, |_| 1.0);
            let is_convicted = convicts(&play, None, week * WEEK + RISES_AT, rises);
            assert_eq!(is_convicted, convicted, "in week {week}, watched: {is_watched}");
            if is_watched {
                play.deploy(&format!("healthy-{week}"));
            }
            play.weekly((week + 1) * WEEK, None, |_| 1.0);
            assert!(
                play.trial
                    .verdicts()
                    .iter()
                    .all(|verdict| *verdict == WatchVerdict::Healthy)
            );
        }
    }
}
