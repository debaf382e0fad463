use super::{
    Whose::{Doubtful, Elsewhere, Own as Itself},
    *,
};
use crate::score::{evidence::Since, kinds::Kinds};

/// What it is, when the own deploy began, who else there is, whether services alarm together, and whose it is.
type Case<'a> = (&'a str, i64, &'a [(Path, Health)], bool, Whose);

fn minutes(n: i64) -> Timestamp {
    Timestamp::from_millis(1_772_409_600_000 + n * 60_000)
}

fn ill(since: i64) -> Health {
    Health::Ill {
        since: minutes(since),
        is_held: false,
    }
}

/// Errors rise at minute 100, by all estimates.
fn rise(is_shared: bool) -> Rise<'static> {
    Rise {
        onsets: Onsets {
            evidence: minutes(100),
            unrest: minutes(100),
            little: minutes(100),
        },
        step: Duration::from_mins(1),
        convicted: Some("own"),
        is_shared,
        was_waited_for: false,
        hints: Hints::default(),
        named: None,
    }
}

/// The same, of errors that name a callee.
fn rise_naming(callee: &'static str) -> Rise<'static> {
    let since = Since {
        errors: 100.0,
        expected: 20.0,
        n_steps: 5,
    };
    Rise {
        hints: Hints::of(&Kinds::naming(callee, 90, 100), since, Some(0.0), false),
        named: Some(callee),
        ..rise(false)
    }
}

/// Errors rise at minute 100; the own deploy was at `own_at`, another service's at minute 100.
fn judge(own_at: i64, others: &[(Path, Health)], is_shared: bool) -> Posterior {
    judge_of(&rise(is_shared), own_at, others)
}

fn judge_of(rise: &Rise<'_>, own_at: i64, others: &[(Path, Health)]) -> Posterior {
    let own = Own {
        deploy_id: "own",
        prior: 0.01,
        ln_e: 12.0,
        at_stage: density_ratio([f64::from(i32::try_from(100 - own_at).expect("small"))]),
        came_after: own_at > 101,
    };
    let others: Vec<Candidate> = others
        .iter()
        .map(|(path, state)| Candidate {
            deploy_id: Some("other".into()),
            service: "api".parse().expect("a name"),
            path: *path,
            state: *state,
            started_at: Second::of(minutes(100)),
            stage_at: Second::of(minutes(100)),
            weight: if matches!(state, Health::Ill { .. }) { 0.9 } else { 0.01 },
            seen_from: Second::of(minutes(105)),
        })
        .collect();
    put_down(rise, &[own], &others)
}

#[test]
fn only_what_is_ill_itself_and_fell_ill_with_it_is_frozen_in_the_place_of_the_service() {
    let callee = Path::Callee(1);
    let cases: &[Case<'_>] = &[
        ("nobody else", 100, &[], false, Itself),
        ("a callee that is well", 100, &[(callee, Health::Well)], false, Itself),
        (
            "a callee that says nothing",
            0,
            &[(callee, Health::Unknown)],
            false,
            Doubtful,
        ),
        (
            "the same, and others alarm too",
            0,
            &[(callee, Health::Unknown)],
            true,
            Elsewhere,
        ),
        ("a callee that is ill", 0, &[(callee, ill(100))], false, Elsewhere),
        (
            "the same, deployed with it",
            100,
            &[(callee, ill(100))],
            false,
            Elsewhere,
        ),
        ("three hops away", 100, &[(Path::Callee(3), ill(97))], false, Elsewhere),
        ("one that is ill for an hour", 100, &[(callee, ill(40))], false, Itself),
        ("one that falls ill later", 100, &[(callee, ill(120))], false, Itself),
        ("a caller that is ill", 0, &[(Path::Caller, ill(100))], false, Itself),
    ];
    for (case, own_at, others, is_shared, expected) in cases {
        let posterior = judge(*own_at, others, *is_shared);
        assert_eq!(posterior.whose, *expected, "{case}: {posterior:#?}");
    }
}

/// An own deploy of a quarter of an hour ago, and another service's just before the rise.
#[test]
fn who_shows_nothing_for_long_or_suffers_is_named_after_the_own_deploy() {
    let named = |was_waited_for: bool, path: Path, state: Health| {
        let rise = Rise {
            was_waited_for,
            ..rise(false)
        };
        let posterior = judge_of(&rise, 85, &[(path, state)]);
        posterior.blamed[0].deploy_id.as_deref() == Some("own")
    };
    let callee = Path::Callee(1);
    assert!(!named(false, callee, Health::Well), "it may not show yet");
    assert!(named(true, callee, Health::Well), "it had its time");
    assert!(!named(true, callee, Health::Unknown), "it tells nothing");
    assert!(named(false, Path::Caller, Health::Well), "it would suffer");
    assert!(!named(false, Path::Caller, ill(100)), "it may have made it fail");
    let suffers = Health::Suffers { since: minutes(100) };
    assert!(named(false, Path::Caller, suffers), "it has another explanation");
}

#[test]
fn a_fault_is_the_likelier_the_sooner_it_shows_after_a_stage() {
    let of = |steps: f64| density_ratio([steps]);
    let (near, soon, late, before) = (of(3.0), of(10.0), of(100.0), of(-4.0));
    assert!(
        near > soon && soon > late && late > before,
        "{near} {soon} {late} {before}"
    );
    assert!(
        (density_ratio([110.0, 2.0]) - near).abs() < 1e-9,
        "the stage that it goes best with"
    );
}

#[test]
fn a_callee_that_has_seen_no_step_since_the_rise_is_waited_for() {
    let judge = |seen_from| {
        let rise = rise(false);
        let own = Own {
            deploy_id: "own",
            prior: 0.01,
            ln_e: 12.0,
            at_stage: density_ratio([100.0]),
            came_after: false,
        };
        let callee = Candidate {
            deploy_id: None,
            service: "api".parse().expect("a name"),
            path: Path::Callee(1),
            state: Health::Well,
            started_at: Second::of(Timestamp::MIN),
            stage_at: Second::of(Timestamp::MIN),
            weight: 1.0,
            seen_from: Second::of(minutes(seen_from)),
        };
        put_down(&rise, &[own], &[callee]).whose
    };
    assert_eq!((judge(99), judge(100)), (Doubtful, Itself));
}

/// Who tells of five minutes at a time shows a rise up to three steps later.
#[test]
fn a_callee_is_later_by_its_own_steps() {
    let weight_of = |since, step| {
        let callee = Candidate {
            deploy_id: Some("other".into()),
            service: "api".parse().expect("a name"),
            path: Path::Callee(1),
            state: ill(since),
            started_at: Second::of(minutes(since)),
            stage_at: Second::of(minutes(since + step)),
            weight: 0.9,
            seen_from: Second::of(minutes(115)),
        };
        weight(&callee, &rise(false))
    };
    assert!((weight_of(110, 5) - weight_of(100, 1)).abs() < 1e-9);
    assert!((weight_of(115, 5) - weight_of(105, 1)).abs() < 1e-9);
    assert!(
        (weight_of(120, 5) - weight_of(108, 1)).abs() < 1e-9,
        "and falls by them"
    );
}

/// Three minutes more are e times as unlikely, until the callee's is no more than an older trouble, or one that came later.
#[test]
fn rises_go_together_the_worse_the_further_they_are_apart() {
    let at = |since: i64| together(minutes(since), minutes(100), Duration::from_mins(1));
    for since in 95..=105 {
        assert!((at(since) - ANCHORED).abs() < 1e-9, "{since}");
    }
    for (since, beyond) in [(92, 1.0), (89, 2.0), (108, 1.0), (114, 3.0)] {
        assert!((at(since) - ANCHORED * f64::exp(-beyond)).abs() < 1e-9, "{since}");
    }
    assert!((at(60) - EARLIER).abs() < 1e-9 && (at(140) - 1.0 / ANCHORED).abs() < 1e-9);
}

#[test]
fn a_late_fault_is_rather_the_deploys_than_nobodys_unless_services_alarm_together() {
    let first = |is_shared| judge(0, &[], is_shared).blamed[0].deploy_id.clone();
    assert_eq!(first(false).as_deref(), Some("own"));
    assert_eq!(first(true), None);
    assert_eq!(
        judge(130, &[], false).blamed[0].deploy_id,
        None,
        "errors rose before it"
    );
}

/// The same errors are no two witnesses; and of one that they hardly speak against e⁻⁴ is left.
#[test]
fn of_two_own_deploys_one_is_likelier_by_the_fourth_root_of_its_evidence() {
    let own = |deploy_id, ln_e| Own {
        deploy_id,
        prior: 0.01,
        ln_e,
        at_stage: ANCHORED,
        came_after: false,
    };
    for (ln_times, ln_likelier) in [(2.0, 0.5), (8.0, 2.0), (40.0, 4.0)] {
        let posterior = put_down(&rise(false), &[own("own", 50.0), own("beside", 50.0 - ln_times)], &[]);
        let of = |id: &str| {
            let mut blamed = posterior.blamed.iter();
            let found = blamed.find(|blamed| blamed.deploy_id.as_deref() == Some(id));
            found.expect("named").probability
        };
        let shown = (of("own") / of("beside")).ln();
        assert!((shown - ln_likelier).abs() < 1e-3, "{ln_times}: {shown}");
    }
}

#[test]
fn what_errors_name_is_why_unless_an_own_deploy_goes_better_with_them() {
    let whose = |rise: &Rise<'_>, own_at, others: &[(Path, Health)]| judge_of(rise, own_at, others).whose;
    let of_db = rise_naming("db");
    assert_eq!(whose(&of_db, 40, &[]), Whose::Named);
    let blamed = judge_of(&of_db, 40, &[]).blamed;
    assert_eq!(blamed[0].of.as_ref().map(|of| of.as_str()), Some("db"));
    assert_eq!(blamed[0].deploy_id, None);
    assert_eq!(whose(&of_db, 99, &[]), Itself, "a deploy may break how it is called");
    assert_eq!(whose(&rise(false), 40, &[]), Itself, "nothing is named");
    let behind = [(Path::Callee(2), Health::Unknown)];
    assert_eq!(
        whose(&of_db, 40, &behind),
        Doubtful,
        "another's deploy goes better with it"
    );
    let of_api = rise_naming("api");
    let api = [(Path::Callee(1), Health::Unknown)];
    assert_eq!(whose(&of_api, 40, &api), Whose::Named);
}
