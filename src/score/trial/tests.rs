//! What the evidence promises of a service, from the records to the question for a freeze.

mod intervals;
mod trouble;
mod versions;
mod weekly;

use super::*;
use crate::model::{Calibration, Tail};

const MINUTE: Duration = Duration::from_mins(1);

fn at(minute: i64) -> Timestamp {
    Timestamp::from_millis(minute * 60_000)
}

struct Play {
    trial: Trial,
    minute: i64,
    state: u64,
}

impl Play {
    fn new(policy: &str) -> Self {
        let policy = Policy::parse(policy).expect("a policy");
        let name = |text: &str| text.to_owned();
        Self {
            trial: Trial::new(
                name("checkout").parse().expect("a name"),
                name("production").parse().expect("a name"),
                policy,
                at(0),
            ),
            minute: 0,
            state: 7,
        }
    }

    fn uniform(&mut self) -> f64 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (f64::from(u32::try_from(self.state >> 33).expect("31 bits")) + 0.5) / f64::from(1_u32 << 31)
    }

    /// A count of about that mean, a little more scattered than by chance alone.
    fn count(&mut self, mean: f64) -> u64 {
        let value = mean + mean.sqrt() * 2.0 * (self.uniform() + self.uniform() + self.uniform() - 1.5);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::as_conversions,
            reason = "small"
        )]
        let count = value.max(0.0).round() as u64;
        count
    }

    /// A minute passes in which these records came.
    fn pass(&mut self, records: &[Told<'_>]) {
        for told in records {
            assert!(self.trial.errors(at(self.minute) + Duration::from_secs(30), told));
        }
        self.minute += 1;
        self.trial.advance(at(self.minute) + Duration::from_secs(10));
    }

    fn report(&mut self, mean: f64) {
        let told = Told {
            errors: self.count(mean),
            interval: MINUTE,
            ..Told::default()
        };
        self.pass(&[told]);
    }

    fn reports(&mut self, minutes: i64, mean: f64) {
        for _ in 0..minutes {
            self.report(mean);
        }
    }

    /// A minute in which the versions had these means, of so many requests each.
    fn versions(&mut self, versions: &[(&str, f64, u64)]) {
        let counts: Vec<u64> = versions.iter().map(|(_, mean, _)| self.count(*mean)).collect();
        let told: Vec<Told<'_>> = versions
            .iter()
            .zip(counts)
            .map(|((version, _, requests), errors)| Told {
                errors,
                requests: Some(*requests),
                interval: MINUTE,
                version: Some(*version),
            })
            .collect();
        self.pass(&told);
    }

    /// A deploy at the beginning of what the next minute's record tells of.
    fn deploy(&mut self, id: &str) {
        let began = at(self.minute) - Duration::from_secs(30);
        self.trial.deploy(began, id, (None, None), None);
    }

    fn level(&self) -> f64 {
        let trial = &self.trial;
        let terms = Terms {
            tier: Criticality::Medium,
            settings: &trial.settings,
            told: &trial.bulletin.calibration,
            evidence: &trial.policy.evidence,
        };
        trial.environment.report(trial.now, &terms).errors_per_step
    }
}

/// Minutes of history, and whether thirty times the errors are put down to a deploy.
#[test]
fn nobody_is_convicted_before_there_is_a_baseline() {
    for (history, convicts) in [(15, false), (235, false), (250, true)] {
        let mut play = Play::new("");
        play.reports(history, 10.0);
        play.deploy("d");
        play.reports(20, 300.0);
        assert_eq!(play.trial.n_proposed() > 0, convicts, "after {history} minutes");
    }
}

/// Where there are none for days, four errors are evidence enough and still too few.
#[test]
fn less_than_five_errors_too_many_convict_nobody() {
    for (errors, convicts) in [(4, false), (6, true)] {
        let mut play = Play::new("");
        play.reports(3_000, 0.0);
        play.deploy("d");
        play.reports(1, 0.0);
        play.pass(&[Told {
            errors,
            interval: MINUTE,
            ..Told::default()
        }]);
        let reading = play.trial.reading().expect("it is watched");
        assert!(reading.ln_e > reading.ln_threshold, "{errors}: {reading:?}");
        assert_eq!(play.trial.n_proposed() > 0, convicts, "{errors}: {reading:?}");
    }
}

/// What ten times the errors add to what is usual: for so many minutes, after so many days, on so many days one after the
/// other, the last of which tells.
#[test]
fn trouble_of_which_nobody_told_is_learned_from_where_it_lasts_or_comes_back() {
    const DAY: i64 = 24 * 60;
    let added = |minutes: i64, after: i64, days: i64| {
        let mut play = Play::new("");
        play.reports(after * DAY, 10.0);
        for _ in 1..days {
            play.reports(minutes, 100.0);
            play.reports(DAY - minutes, 10.0);
        }
        let before = play.level();
        play.reports(minutes, 100.0);
        play.level() - before
    };
    let (once, early) = (added(40, 3, 1), added(40, 1, 1));
    assert!(once < 0.06, "{once}");
    assert!(early > 0.5, "what is usual of a day is not known yet: {early}");
    let (long, nightly) = (added(180, 3, 1), added(40, 3, 3));
    assert!(long > 0.5, "a new level: {long}");
    assert!(nightly > 0.2, "what every night brings: {nightly}");
}

/// Minutes of a fault that the fleet grants no freeze for, and whether it is asked for one in the last ten minutes of half an
/// hour more of it, or of usual errors.
#[test]
fn a_freeze_that_is_withheld_is_asked_for_while_errors_are_above_what_is_usual() {
    let cases = [
        (150, 80.0, true),
        (150, 10.0, false),
        (200, 80.0, true),
        (270, 80.0, false),
    ];
    for (minutes, then, asks) in cases {
        let mut play = Play::new("");
        play.reports(300, 10.0);
        play.deploy("d");
        let mut asked = 0;
        for minute in 0..minutes + 30 {
            play.report(if minute < minutes { 80.0 } else { then });
            play.trial.refuse();
            if minute == minutes + 20 {
                asked = play.trial.n_proposed();
            }
        }
        assert_eq!(play.trial.n_proposed() > asked, asks, "{minutes} minutes, then {then}");
        assert_eq!(play.trial.verdicts().is_empty(), asks, "{minutes} minutes, then {then}");
    }
}

/// Where errors swing twentyfold a spike of three steps convicts nobody, and the fourth in a row counts in full.
#[test]
fn what_lasts_convicts_where_spikes_do_not() {
    for (lasts, convicts) in [(3, false), (4, true)] {
        let mut play = Play::new("");
        let swing = |play: &mut Play| play.report(if play.minute % 2 == 0 { 10.0 } else { 200.0 });
        for _ in 0..250 {
            swing(&mut play);
        }
        play.deploy("d");
        for n in 0..80 {
            if n % 40 < lasts {
                play.report(1_575.0);
            } else {
                swing(&mut play);
            }
        }
        assert_eq!(play.trial.n_proposed() > 0, convicts, "for {lasts} steps");
    }
}

/// A source that tells something every minute and then nothing has said nothing good of the deploy.
#[test]
fn silence_of_a_dense_source_is_never_healthy() {
    let mut play = Play::new("");
    play.reports(600, 10.0);
    play.deploy("d");
    play.reports(5, 10.0);
    for _ in 0..27 * 60 {
        play.pass(&[]);
    }
    assert_eq!(play.trial.verdicts(), [WatchVerdict::Unknown]);
}

/// One that tells only what fails, every tenth minute, and is silent between, is healthy by that; silent for a day, it
/// is not.
#[test]
fn silence_of_a_sparse_source_counts_until_it_lasts() {
    for (goes_on, verdict) in [(true, WatchVerdict::Healthy), (false, WatchVerdict::Unknown)] {
        let mut play = Play::new("evidence.watch_errors = 0");
        let told = Told {
            errors: 1,
            ..Told::default()
        };
        for n in 0..6_000 {
            play.pass(if n % 10 == 0 { std::slice::from_ref(&told) } else { &[] });
        }
        play.deploy("d");
        for n in 0..27 * 60 {
            let comes = goes_on && n % 10 == 0;
            play.pass(if comes { std::slice::from_ref(&told) } else { &[] });
        }
        assert_eq!(play.trial.verdicts(), [verdict], "goes on: {goes_on}");
    }
}

/// What is deployed by day shows first in the run of the night: those hours of silence are none in which it was well.
#[test]
fn the_next_run_of_a_nightly_batch_is_close_to_a_deploy_by_day() {
    let mut play = Play::new("");
    let day = |play: &mut Play| (0..700).for_each(|_| play.pass(&[]));
    for _ in 0..3 {
        play.reports(40, 10.0);
        day(&mut play);
        day(&mut play);
    }
    play.reports(40, 10.0);
    day(&mut play);
    play.deploy("d");
    day(&mut play);
    play.reports(15, 80.0);
    let proposal = play.trial.environment.proposal.as_ref().expect("it is convicted");
    let own = &proposal.found.suspects[0];
    assert_eq!(own.deploy_id.as_deref(), Some("d"));
    assert!(own.probability > 0.9, "{:?}", proposal.found.suspects);
}

/// A service deployed every half hour, whose errors grow from 10 to 13: its baseline follows, and does not when they
/// grow to five times.
#[test]
fn healthy_watches_teach_and_regressed_ones_do_not() {
    let mut play = Play::new("");
    play.reports(2_880, 10.0);
    for n in 0..2 * 96 {
        play.deploy(&format!("d-{n}"));
        play.reports(30, 13.0);
    }
    let level = play.level();
    assert!(
        (11.3..13.5).contains(&level),
        "it has learned from watches alone: {level}"
    );
    assert!(
        play.trial
            .verdicts()
            .iter()
            .all(|verdict| *verdict == WatchVerdict::Healthy)
    );

    let mut play = Play::new("");
    play.reports(2_880, 10.0);
    play.deploy("bad");
    play.reports(125, 50.0);
    assert_eq!(play.trial.verdicts(), [WatchVerdict::Regressed]);
    assert!((9.5..10.5).contains(&play.level()), "{}", play.level());
}

/// A fault that begins when the two hours are nearly over is still looked at; a watch of which nothing speaks against its
/// deploy is over by then, and so is one whose errors have long been as they were.
#[test]
fn a_watch_in_doubt_goes_on_beyond_its_length() {
    let after = |usual: i64, raised: i64| {
        let mut play = Play::new("");
        play.reports(2_880, 10.0);
        play.deploy("d");
        play.reports(usual, 10.0);
        play.reports(raised, 25.0);
        play
    };
    assert_eq!(after(121, 0).trial.verdicts(), [WatchVerdict::Healthy]);
    let mut lasts = after(117, 4);
    assert!(lasts.trial.verdicts().is_empty() && lasts.trial.n_proposed() == 0);
    lasts.report(25.0);
    assert_eq!(lasts.trial.n_proposed(), 1);
    let mut passes = after(117, 4);
    passes.reports(60, 10.0);
    assert_eq!(passes.trial.verdicts(), [WatchVerdict::Healthy]);
}

/// A service whose errors rise as far where nothing was deployed: what would convict a quiet one does not convict it,
/// and where it would need too much it is called noisy, and convicted by no less than that.
#[test]
fn placebo_windows_raise_the_threshold_of_a_service_that_is_noisy() {
    let threshold = |trial: &Trial| trial.reading().expect("watched");
    for (mean_ln_e, is_noisy) in [(0.1, false), (1.6, false), (12.0, true)] {
        let mut play = Play::new("");
        play.reports(600, 10.0);
        let windows = (0..1_000).map(|i| -mean_ln_e * ((f64::from(i) + 0.5) / 1_000.0_f64).ln());
        play.trial.environment.replace_placebo(windows);
        play.deploy("d");
        play.report(10.0);
        let reading = threshold(&play.trial);
        assert_eq!(reading.is_noisy, is_noisy, "{mean_ln_e}: {reading:?}");
        assert_eq!(
            reading.ln_threshold > 500_f64.ln() + 1.0,
            mean_ln_e > 1.0,
            "{mean_ln_e}: {reading:?}"
        );
        while threshold(&play.trial).ln_e < reading.ln_threshold {
            assert_eq!(play.trial.n_proposed(), 0, "{mean_ln_e}: below the threshold");
            play.report(30.0);
        }
        assert_eq!(
            play.trial.n_proposed() == 0,
            is_noisy,
            "{mean_ln_e}: {:?}",
            threshold(&play.trial)
        );
        play.reports(20, 100.0);
        assert!(play.trial.n_proposed() > 0, "{mean_ln_e}: beyond all noise");
    }

    let mut pooled = Play::new("");
    pooled.reports(600, 10.0);
    pooled.deploy("d");
    pooled.report(10.0);
    let threshold = |trial: &Trial| trial.reading().expect("watched");
    assert!(
        (threshold(&pooled.trial).ln_threshold - 500_f64.ln()).abs() < 1e-3,
        "its own windows are few"
    );
    let mut calibration = Calibration::default();
    for tail in calibration.tails.iter_mut().flatten() {
        *tail = Tail {
            n: 500.0,
            u: 9.0,
            excess: 6.0,
        };
    }
    pooled.trial.tell(Bulletin {
        calibration,
        ..Bulletin::default()
    });
    assert!(
        threshold(&pooled.trial).is_noisy,
        "as its like are: {:?}",
        threshold(&pooled.trial)
    );
    while threshold(&pooled.trial).ln_e < threshold(&pooled.trial).ln_threshold {
        pooled.report(30.0);
    }
    assert_eq!(
        pooled.trial.n_proposed(),
        0,
        "a noisy service is reviewed and not frozen"
    );
}

/// Everything there is to keep survives its snapshot, and goes on as if nothing had been.
#[test]
fn a_service_goes_on_from_its_snapshot() {
    let mut play = Play::new("");
    for n in 0..600 {
        play.versions(&[("v1", 10.0, 10_000), ("v2", 10.0, 10_000)]);
        if n == 590 {
            play.trial.deploy(at(play.minute), "d", (Some("v3"), Some("v2")), None);
        }
    }
    let bytes = postcard::to_stdvec(&play.trial.environment).expect("it has a serial form");
    let copy: Environment = postcard::from_bytes(&bytes).expect("our own bytes");
    assert_eq!(copy, play.trial.environment);
    let mut other = Play {
        trial: Trial {
            environment: copy,
            ..play.trial.clone()
        },
        minute: play.minute,
        state: play.state,
    };
    for _ in 0..30 {
        other.state = play.state;
        play.versions(&[("v2", 10.0, 10_000), ("v3", 60.0, 10_000)]);
        other.versions(&[("v2", 10.0, 10_000), ("v3", 60.0, 10_000)]);
    }
    assert_eq!(play.trial.environment, other.trial.environment);
    assert!(play.trial.n_proposed() > 0);
}

/// A placebo window is on within a day; then `act` happens, and the window is gone. Tells after how many minutes of as many
/// errors as ever the next one begins.
fn next_window(policy: &str, act: impl FnOnce(&mut Play)) -> i64 {
    let mut play = Play::new(policy);
    play.reports(5 * 60, 10.0);
    while !play.trial.environment.is_trying() {
        assert!(play.minute < 29 * 60, "none begins");
        play.report(10.0);
    }
    act(&mut play);
    assert!(!play.trial.environment.is_trying(), "a window goes on over it");
    let after = play.minute;
    while !play.trial.environment.is_trying() {
        assert!(play.minute < after + 24 * 60, "none begins again");
        play.report(10.0);
    }
    play.minute - after
}

#[test]
fn no_placebo_window_sees_a_deploy_of_any_kind() {
    let kinds = [
        (ChangeKind::Rollback, DeployStatus::Started),
        (ChangeKind::Rollback, DeployStatus::Succeeded),
        (ChangeKind::Release, DeployStatus::Failed),
    ];
    for (change_kind, status) in kinds {
        next_window("", |play| {
            let deploy = Deploy {
                deploy_id: "d".into(),
                status,
                version: None,
                previous_version: None,
                commits: Vec::new(),
                exposure: None,
                change_kind,
            };
            let time = at(play.minute);
            play.trial
                .act(|environment, scene| environment.deploy(&deploy, time, 0.01, scene));
            assert!(
                play.trial.reading().is_none(),
                "{change_kind:?} {status:?}: none is watched"
            );
        });
    }
}

/// An error budget burns and freezes a service of which nothing was deployed: no window goes on over it, and none begins
/// before the freeze is over.
#[test]
fn no_placebo_window_sees_a_freeze_by_an_error_budget() {
    let slo = crate::model::Slo {
        objective: UnitInterval::clamped(0.999),
        window_days: 28,
    };
    let burning = Told {
        errors: 200,
        requests: Some(1_000),
        interval: MINUTE,
        ..Told::default()
    };
    let mut frozen_for = 0;
    next_window("", |play| {
        play.trial.environment.set_slo(Some(slo));
        while play.trial.n_proposed == 0 {
            assert!(play.minute < 40 * 60, "its budget does not burn");
            play.pass(&[burning]);
        }
        play.trial
            .act(|environment, scene| environment.answer(Ground::Burn, true, scene));
        while play.trial.environment.lease().is_some() {
            frozen_for += 1;
            play.pass(&[burning]);
            assert!(!play.trial.environment.is_trying(), "one begins under the freeze");
        }
    });
    assert!(frozen_for >= 4 * 60 - 1, "renewed while it burns: {frozen_for}");
}

/// A rollout every two hours, in stages each of which prolongs its watch beyond the next one's beginning. The baseline learns
/// nonetheless, from what is older than a watch lasts: errors have become more by half, and are harmless.
#[test]
fn a_service_rolled_out_in_stages_all_day_is_learned_from() {
    let mut play = Play::new("freeze.margin = 1.0\n");
    for _ in 0..600 {
        play.report(10.0);
    }
    let level = |play: &Play| play.trial.environment.level();
    let before = level(&play);
    for minute in 0..24 * 60 {
        let exposure = match minute % 120 {
            0 => Some(0.1),
            55 => Some(0.5),
            110 => Some(1.0),
            _ => None,
        };
        if let Some(exposure) = exposure {
            let id = format!("d-{}", minute / 120);
            let exposure = UnitInterval::clamped(exposure);
            play.trial.deploy(at(play.minute), &id, (None, None), Some(exposure));
        }
        play.report(15.0);
    }
    assert_eq!(play.trial.n_proposed(), 0);
    let after = level(&play);
    assert!((9.5..10.5).contains(&before) && after > 12.5, "{before} {after}");
}
