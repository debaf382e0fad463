//! What the evidence promises where records name the version.

use super::*;

impl Play {
    /// A version takes the place of the first one, on a share of the traffic.
    fn canary(&mut self, share: f64) {
        let versions = (Some("v2"), Some("v1"));
        self.trial
            .deploy(at(self.minute), "canary", versions, Some(UnitInterval::clamped(share)));
    }
}

/// A canary at a tenth of the traffic: what strikes both versions at once, the new one alone, and the old one alone.
#[test]
fn a_control_cancels_what_strikes_both() {
    for (old, new, convicts) in [
        (1.0, 1.0, false),
        (8.0, 8.0, false),
        (8.0, 1.0, false),
        (1.0, 6.0, true),
    ] {
        let mut play = Play::new("");
        for _ in 0..400 {
            play.versions(&[("v1", 30.0, 10_000)]);
        }
        play.canary(0.1);
        for _ in 0..60 {
            play.versions(&[("v1", 27.0 * old, 9_000), ("v2", 3.0 * new, 1_000)]);
        }
        assert_eq!(
            play.trial.n_proposed() > 0,
            convicts,
            "{old} times on the old, {new} on the new"
        );
    }
}

/// The new version's share of the traffic, how many times the usual errors it has, and the old one. Of a hundredth as many
/// stand beside the old version's, though all together hardly rise; from a half on, all are held against the baseline.
#[test]
fn a_control_is_the_larger_side_however_small_the_other() {
    for (share, new, old, convicts) in [
        (0.01, 10.0, 1.0, true),
        (0.01, 1.0, 1.0, false),
        (0.4, 4.0, 4.0, false),
        (0.6, 4.0, 4.0, true),
    ] {
        let mut play = Play::new("");
        for _ in 0..400 {
            play.versions(&[("v1", 30.0, 10_000)]);
        }
        play.canary(share);
        let requests = if share < 0.1 {
            (100, 9_900)
        } else if share < 0.5 {
            (4_000, 6_000)
        } else {
            (6_000, 4_000)
        };
        for _ in 0..60 {
            play.versions(&[
                ("v1", 30.0 * (1.0 - share) * old, requests.1),
                ("v2", 30.0 * share * new, requests.0),
            ]);
        }
        assert_eq!(
            play.trial.n_proposed() > 0,
            convicts,
            "{new} times on {share}, {old} on the rest"
        );
    }
}

/// A canary at a tenth of the traffic, of a service that tells no requests. Where the old version's record is lost the
/// canary's usual errors do not stand beside nothing; nor where it has taken over all traffic before that is told. Where
/// errors are rare none of the old version's are the best evidence that there is.
#[test]
fn an_old_version_that_is_not_heard_is_no_control() {
    fn told<'a>(&(version, errors): &(&'a str, u64)) -> Told<'a> {
        Told {
            errors,
            interval: MINUTE,
            version: Some(version),
            ..Told::default()
        }
    }
    let canary = |usual: u64, steps: &[(&[(&str, u64)], usize)]| {
        let mut play = Play::new("");
        for i in 0..400 {
            let old = ("v1", usual + i % (usual / 15 + 2));
            play.pass(&[told(&old)]);
        }
        play.canary(0.1);
        for (records, n) in steps {
            for _ in 0..*n {
                play.pass(&records.iter().map(told).collect::<Vec<_>>());
            }
        }
        play.trial.n_proposed() > 0
    };
    let both: &[(&str, u64)] = &[("v1", 279), ("v2", 31)];
    assert!(
        !canary(300, &[(both, 5), (&[("v2", 31)], 1), (both, 5)]),
        "a record is lost"
    );
    let few: &[(&str, u64)] = &[("v1", 3), ("v2", 1)];
    assert!(
        !canary(4, &[(few, 5), (&[("v2", 10)], 1), (few, 5)]),
        "one of few is lost"
    );
    assert!(!canary(300, &[(both, 5), (&[("v2", 310)], 20)]), "it has taken over");
    assert!(canary(300, &[(both, 5), (&[("v2", 1_500)], 20)]), "and then fails");
    assert!(
        canary(300, &[(both, 5), (&[("v1", 279), ("v2", 310)], 20)]),
        "both are heard"
    );
    assert!(canary(2, &[(&[("v1", 0), ("v2", 3)], 60)]), "errors are rare");
}

/// A service's errors scatter much from minute to minute, on all of its instances alike. Nothing is known of how versions
/// scatter beside each other when the first one has a few in a hundred of the traffic: that it has its usual share of the
/// errors in each step is no evidence, and from some steps on it says so. Six times its share is.
#[test]
fn what_scatters_with_the_hour_does_not_convict_a_first_canary() {
    for (share, times, convicts) in [(0.02, 1.0, false), (0.05, 1.0, false), (0.05, 6.0, true)] {
        let mut play = Play::new("");
        let both = |play: &mut Play, share: f64, times: f64| {
            let hour = 1_000.0 * (0.2 + 1.6 * play.uniform());
            let (old, new) = (10_000.0 * (1.0 - share), 10_000.0 * share);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::as_conversions,
                reason = "small"
            )]
            let (old, new) = (old as u64, new as u64);
            play.versions(&[("v1", hour * (1.0 - share), old), ("v2", hour * share * times, new)]);
        };
        for _ in 0..400 {
            both(&mut play, 0.0, 0.0);
        }
        play.canary(share);
        let mut ln_e_max = 0.0_f64;
        for _ in 0..60 {
            both(&mut play, share, times);
            ln_e_max = play
                .trial
                .reading()
                .map_or(ln_e_max, |reading| ln_e_max.max(reading.ln_e));
        }
        assert_eq!(ln_e_max > 10.0_f64.ln(), convicts, "{share}, {times} times: {ln_e_max}");
    }
}

/// A canary of one in twenty, of a service that scatters much and tells its attempts: once the old version's record is lost,
/// and eight times its usual errors are no more than one instance in twenty has now and then.
#[test]
fn the_part_that_is_heard_alone_scatters_as_a_part_does() {
    let mut play = Play::new("");
    let minute = |play: &mut Play, old: Option<u64>, new: Option<u64>| {
        let told = |version, errors, requests| Told {
            errors,
            requests: Some(requests),
            interval: MINUTE,
            version: Some(version),
        };
        let old = old.map(|errors| told("v1", errors, 9_500));
        let new = new.map(|errors| told("v2", errors, 500));
        play.pass(&old.into_iter().chain(new).collect::<Vec<_>>());
    };
    for i in 0..400 {
        minute(&mut play, Some(20 + i * 37 % 161), None);
    }
    play.canary(0.05);
    for i in 0..10 {
        minute(&mut play, Some(20 + i * 37 % 161), Some(5));
    }
    let before = play.trial.reading().expect("it is watched").ln_e;
    minute(&mut play, None, Some(40));
    let after = play.trial.reading().expect("it is watched").ln_e;
    assert!(after < before + 1.5, "{before} {after}");
}

/// The same in the minute in which it restarts.
#[test]
fn the_part_that_is_heard_alone_scatters_as_a_part_does_while_it_restarts() {
    let mut play = Play::new("");
    let told = |version, errors, requests| Told {
        errors,
        requests: Some(requests),
        interval: MINUTE,
        version: Some(version),
    };
    for i in 0..400 {
        play.pass(&[told("v1", 20 + i * 37 % 161, 9_500)]);
    }
    play.canary(0.05);
    play.pass(&[told("v2", 60, 500)]);
    let ln_e = play.trial.reading().expect("it is watched").ln_e;
    assert!(ln_e < 1.0, "{ln_e}");
}

/// Shares of instances are told with two digits, and two in a hundred are enough.
#[test]
fn a_declared_share_of_two_in_a_hundred_has_a_control() {
    let mut play = Play::new("");
    let told = |version, errors| Told {
        errors,
        interval: MINUTE,
        version: Some(version),
        ..Told::default()
    };
    for i in 0..400 {
        play.pass(&[told("v1", 990 + i % 21)]);
    }
    play.canary(0.02);
    for i in 0..10 {
        play.pass(&[told("v1", 970 + i % 21), told("v2", 120)]);
    }
    assert!(
        play.trial.n_proposed() > 0,
        "a tenth more of all errors, and six times its own"
    );
}

/// Deployed again, a version stands beside nothing but itself: judged against the baseline, a fault shows.
#[test]
fn the_same_version_again_is_judged_by_the_baseline() {
    let mut play = Play::new("");
    play.trial.deploy(at(0), "first", (Some("v1"), None), None);
    for _ in 0..400 {
        play.versions(&[("v1", 30.0, 10_000)]);
    }
    play.trial.deploy(at(play.minute), "again", (Some("v1"), None), None);
    for _ in 0..20 {
        play.versions(&[("v1", 150.0, 10_000)]);
    }
    assert!(play.trial.n_proposed() > 0);
}

/// Instances that restart make ten times their errors for a minute, as they may. What that does to a canary's share is no
/// scatter: after six healthy ones the seventh, at four times its errors, is convicted about as surely as if none had.
#[test]
fn restarts_do_not_teach_how_shares_scatter() {
    let seventh = |restarting: f64| {
        let mut play = Play::new("");
        for _ in 0..400 {
            play.versions(&[("v0", 100.0, 10_000)]);
        }
        for i in 0..7 {
            let ids = (format!("v{i}"), format!("v{}", i + 1));
            let both = |play: &mut Play, times: f64| {
                play.versions(&[(&ids.0, 80.0, 8_000), (&ids.1, 20.0 * times, 2_000)]);
            };
            play.trial.deploy(
                at(play.minute),
                &ids.1,
                (Some(&ids.1), Some(&ids.0)),
                Some(UnitInterval::clamped(0.2)),
            );
            both(&mut play, restarting);
            for _ in 0..if i < 6 { 130 } else { 5 } {
                both(&mut play, if i < 6 { 1.0 } else { 4.0 });
            }
        }
        assert_eq!(play.trial.verdicts(), [WatchVerdict::Healthy; 6]);
        play.trial.reading().expect("it is watched").ln_e
    };
    let (quiet, restarted) = (seventh(1.0), seventh(9.0));
    assert!(restarted > 0.8 * quiet, "{quiet} {restarted}");
}
