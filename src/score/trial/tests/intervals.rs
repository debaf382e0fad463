//! What the evidence promises wherever in a minute records end, and however long their intervals are.

use super::*;
use crate::score::steps::Grain;

/// Errors that are so many times the usual for a stretch of seconds.
type Rise = (f64, std::ops::Range<i64>);

fn second(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

impl Play {
    /// A copy that meets another chance.
    fn again(&self, seed: u64) -> Self {
        Self {
            trial: self.trial.clone(),
            minute: self.minute,
            state: self.state ^ (seed << 20),
        }
    }

    /// A record at each `interval` of seconds up to the minute `until`, of usually `mean` errors a minute, that ends `phase`
    /// seconds after a whole one; `interval` and `phase` are what they are from this minute on.
    fn tell_every(&mut self, (interval, phase): (i64, i64), until: i64, mean: f64, (times, rise): Rise) {
        for minute in self.minute..until {
            self.minute = minute + 1;
            for at in minute * 60..minute * 60 + 60 {
                if (at - phase).rem_euclid(interval) == 0 {
                    let shared = (at.min(rise.end) - (at - interval).max(rise.start)).max(0);
                    let seconds = |n: i64| f64::from(i32::try_from(n).expect("small"));
                    let usual = mean / 60.0 * (seconds(interval) + (times - 1.0) * seconds(shared));
                    let told = Told {
                        errors: self.count(usual),
                        interval: Duration::from_secs(interval.unsigned_abs()),
                        ..Told::default()
                    };
                    // Times are kept to ten seconds.
                    assert!(self.trial.errors(second(at / 10 * 10), &told), "it comes in time");
                }
            }
            self.trial.advance(at(self.minute) + Duration::from_secs(10));
        }
    }
}

/// Minutes of history before a deploy.
const HISTORY: i64 = 600;
const MEANS: [f64; 5] = [1.0, 10.0, 50.0, 200.0, 1_000.0];

/// Seconds after the minute at which records end that do not end on it.
const PHASES: [i64; 8] = [3, 11, 17, 26, 34, 42, 48, 57];

/// In how many of 200 deploys that come with `times` the errors for `lasts` seconds a freeze is asked for within a quarter of
/// an hour, where records of a minute end so many seconds after it.
fn n_convicted(phases: &[i64], (times, lasts): (f64, i64)) -> usize {
    let mut n = 0;
    for mean in MEANS {
        for phase in phases {
            let mut known = Play::new("");
            known.tell_every((60, *phase), HISTORY, mean, (1.0, 0..0));
            for seed in (0..40).step_by(phases.len()) {
                let mut play = known.again(seed + phase.unsigned_abs());
                let deployed = HISTORY * 60 + (5 + 7 * i64::try_from(seed).expect("small") + 3 * phase) % 60;
                play.trial.deploy(second(deployed), "d", (None, None), None);
                let rise = (times, deployed..deployed + lasts);
                play.tell_every((60, *phase), HISTORY + 15, mean, rise);
                n += usize::from(play.trial.n_proposed() > 0);
            }
        }
    }
    n
}

/// A deploy restarts all instances, and for a minute there are ten times the errors. The record that ends on the next whole
/// minute holds most of them, though its step has hardly begun when they are over.
#[test]
fn no_restart_convicts_wherever_in_its_minute_a_record_ends() {
    let restart = (10.0, 60);
    assert_eq!((n_convicted(&[0], restart), n_convicted(&PHASES, restart)), (0, 0));
}

/// Five times the errors from the deploy on: as many are found where records end on whole minutes as elsewhere.
#[test]
fn faults_are_found_wherever_in_its_minute_a_record_ends() {
    let fault = (5.0, 3_600);
    let (whole, other) = (n_convicted(&[0], fault), n_convicted(&PHASES, fault));
    assert!(whole >= 160 && whole + 4 >= other, "{whole} of {other}");
}

/// A service that told each minute is deployed, and its records come of other intervals, or after a while in which none
/// came: seconds of each interval, for so many minutes. The usual errors, and five times as many.
#[test]
fn longer_intervals_under_watch_convict_nobody_and_keep_faults() {
    let cases: [(&str, &[(i64, i64)]); 5] = [
        ("five minutes from the deploy on", &[(300, 360)]),
        ("two from a while after it on", &[(60, 10), (120, 240)]),
        ("a quarter of an hour from the deploy on", &[(900, 360)]),
        ("once, for what was not told before", &[(60, 3), (300, 5), (60, 60)]),
        ("an hour at once", &[(60, 30), (3_600, 60), (60, 60)]),
    ];
    for (name, stretches) in cases {
        for mean in MEANS {
            let mut known = Play::new("");
            known.tell_every((60, 0), HISTORY, mean, (1.0, 0..0));
            for (times, convicts) in [(1.0, false), (5.0, true)] {
                let mut n = 0;
                for seed in 0..5 {
                    let mut play = known.again(seed);
                    play.trial.deploy(second(HISTORY * 60 + 5), "d", (None, None), None);
                    for (interval, minutes) in stretches {
                        let until = play.minute + minutes;
                        play.tell_every((*interval, 0), until, mean, (times, HISTORY * 60..i64::MAX));
                    }
                    n += usize::from(play.trial.n_proposed() > 0);
                }
                let expected = if convicts { 4..=5 } else { 0..=0 };
                assert!(expected.contains(&n), "{name}, {mean} a minute, {times} times: {n}");
            }
        }
    }
}

/// A canary whose records are of five minutes, and name a version, beside an old version that tells each minute; attempts
/// told or not.
#[test]
fn five_minutes_of_a_canary_do_not_stand_beside_one_of_the_old_version() {
    for (told, times, convicts) in [(true, 1, false), (true, 6, true), (false, 1, false)] {
        let mut play = Play::new("");
        let record = |version, errors, requests: u64, minutes| Told {
            errors,
            requests: told.then_some(requests),
            interval: Duration::from_mins(minutes),
            version: Some(version),
        };
        for i in 0..400 {
            play.pass(&[record("v1", 295 + i % 11, 100_000, 1)]);
        }
        let versions = (Some("v2"), Some("v1"));
        let share = Some(UnitInterval::clamped(0.1));
        play.trial.deploy(at(play.minute), "canary", versions, share);
        for i in 0..120 {
            let old = record("v1", 265 + i % 11, 90_000, 1);
            let new = record("v2", times * (145 + i % 11), 50_000, 5);
            let n = if i % 5 == 4 { 2 } else { 1 };
            play.pass(&[old, new][..n]);
        }
        assert_eq!(
            play.trial.n_proposed() > 0,
            convicts,
            "attempts told: {told}, {times} times"
        );
    }
}

/// A quarter of an hour in one record, of a service that tells each minute and of which nothing is watched: what was learned
/// of steps of a minute stays.
#[test]
fn one_long_interval_wipes_nothing_that_was_learned() {
    let mut play = Play::new("");
    play.tell_every((60, 0), HISTORY, 10.0, (1.0, 0..0));
    let told = Told {
        errors: 150,
        interval: Duration::from_mins(15),
        ..Told::default()
    };
    assert!(play.trial.errors(at(HISTORY), &told));
    play.trial.advance(at(HISTORY + 1) + Duration::from_secs(10));
    play.minute += 1;
    assert_eq!(play.trial.environment.grain(), Grain::ONE_MINUTE);
    let before = play.level();
    play.tell_every((60, 0), HISTORY + 60, 10.0, (1.0, 0..0));
    assert_eq!(play.trial.environment.grain(), Grain::ONE_MINUTE);
    assert!((9.5..10.5).contains(&before), "{before}");
    play.tell_every((900, 0), HISTORY + 180, 10.0, (1.0, 0..0));
    assert!(
        play.trial.environment.grain() > Grain::ONE_MINUTE,
        "that is how it tells"
    );
}

/// Steps stay as long as they were while something is watched: of a record of five of them the four without one go by, and
/// the watch is over after about as long as it would have been.
#[test]
fn a_watch_lasts_no_longer_by_the_clock_where_intervals_become_longer() {
    for (interval, until) in [(60, 125), (300, 180), (900, 240)] {
        let mut play = Play::new("");
        play.tell_every((60, 0), HISTORY, 20.0, (1.0, 0..0));
        play.trial.deploy(second(HISTORY * 60 + 5), "d", (None, None), None);
        let mut lasted = 0;
        while play.trial.reading().is_some() && lasted < 1_000 {
            play.tell_every((interval, 0), play.minute + 5, 20.0, (1.0, 0..0));
            lasted += 5;
        }
        assert!((120..=until).contains(&lasted), "{interval} s: {lasted} minutes");
    }
}
