//! What is said of a service whose errors go on: with nothing deployed, or longer than a freeze may last.

use holdpoint::model::{Action, Decision, Evidence};

use crate::{
    script::{Act, ENFORCE, drive, until},
    support::{Driver, at, deploy, minute, seconds},
};

const HOUR: i64 = 60;
const DEPLOYED_AT: i64 = 48 * HOUR;

/// Two days of eight to twelve errors a minute, a deploy, and then so many for so many minutes each, with what else happens
/// at which of them.
fn play(policy: &str, minutes: &[(i64, u64)], events: &[(i64, String)]) -> Vec<Decision> {
    let mut script = Vec::new();
    let mut i = 0;
    for (n, errors) in [&[(DEPLOYED_AT, 8)], minutes].concat() {
        for _ in 0..n {
            let jitter = u64::try_from(i * 7 % 5).expect("small");
            script.push((i, Act::Event(minute("checkout", at(i), errors + jitter, Some(6_000)))));
            if i == DEPLOYED_AT {
                script.push((i, Act::Event(deploy("checkout", "d-81", at(i - 1), "started", ""))));
            }
            for (_, event) in events.iter().filter(|(minute, _)| DEPLOYED_AT + minute == i) {
                script.push((i, Act::Event(event.clone())));
            }
            i += 1;
        }
    }
    script.push(until(i + 2));
    drive(policy, script).decisions
}

/// Each time that another action or another ground was decided: minutes since the deploy, action, reasons.
fn told(decisions: &[Decision]) -> Vec<String> {
    let told = decisions.iter().map(|decision| {
        let minutes = (decision.decided_at.millis() - at(DEPLOYED_AT).millis()) / 60_000;
        let codes: Vec<&str> = decision.reasons.iter().map(|reason| &*reason.code).collect();
        (minutes, format!("{} {}", decision.action.name(), codes.join(" ")))
    });
    let mut told: Vec<(i64, String)> = told.collect();
    told.dedup_by(|a, b| a.1 == b.1);
    told.into_iter()
        .map(|(minutes, what)| format!("{minutes} {what}"))
        .collect()
}

const FROZEN: [&str; 5] = [
    "-2880 proceed new_service",
    "3 extra_review deploy_regression",
    "3 freeze deploy_regression",
    "243 extra_review cooldown errors_go_on",
    "273 extra_review errors_go_on",
];

#[test]
fn errors_that_outlast_a_freeze_are_told_until_they_are_back() {
    let back = |hours: i64| [(hours * HOUR, 60), (2 * HOUR, 8)];
    let rolled_back = deploy("checkout", "d-81", at(DEPLOYED_AT + 6 * HOUR), "rolled_back", "");
    let rollback = [(6 * HOUR, rolled_back)];
    let none: [(i64, String); 0] = [];
    for (case, events) in [("by itself", &none[..]), ("rolled back", &rollback)] {
        let decisions = play(ENFORCE, &back(6), events);
        let expected = [&FROZEN[..], &["369 proceed healthy"]].concat();
        assert_eq!(told(&decisions), expected, "{case}");
    }
    // What was told beside the cooldown is taken back as soon as it holds no more.
    let soon = told(&play(ENFORCE, &[(4 * HOUR + 8, 60), (2 * HOUR, 8)], &[]));
    let expected = [&FROZEN[..4], &["254 extra_review cooldown", "273 proceed healthy"]].concat();
    assert_eq!(soon, expected);
    let said = told(&play(ENFORCE, &back(2), &[]));
    assert!(!said.iter().any(|line| line.contains("errors_go_on")), "{said:#?}");
    // The level of a day and a half is not usual yet, and this ends all the same.
    let decisions = play(ENFORCE, &back(36), &[]);
    let expected = [&FROZEN[..], &["1680 proceed healthy"]].concat();
    assert_eq!(told(&decisions), expected);
    // An hour at a time, so that whoever goes by a decision is never without one.
    let extra_review = decisions
        .iter()
        .filter(|decision| &*decision.reasons[0].code == "errors_go_on");
    let spans: Vec<u64> = extra_review
        .map(|decision| {
            decision
                .valid_until
                .expect("it ends")
                .since(decision.decided_at)
                .as_secs()
                / 60
        })
        .collect();
    assert_eq!((spans.len(), spans.iter().max()), (25, Some(&60)), "{spans:?}");
}

fn suspects(decision: &Decision) -> Vec<&str> {
    let ids = decision.suspects.iter().map(|suspect| suspect.deploy_id.as_deref());
    ids.map(|id| id.unwrap_or("nobody")).collect()
}

#[test]
fn it_says_since_when_of_which_deploy_and_what_ends_it() {
    let decisions = play(ENFORCE, &[(6 * HOUR, 60)], &[]);
    let last = decisions.last().expect("it was seen");
    let (since, until) = (at(DEPLOYED_AT), at(DEPLOYED_AT + 28 * HOUR));
    assert_eq!(
        *last.reasons[0].text,
        *format!(
            "errors have been above what is usual since {since}, longer than a freeze may last; most likely by d-81"
        )
    );
    let risen_since = last.reasons[0].evidence.get("risen_since");
    assert_eq!(risen_since, Some(&Evidence::Text(since.to_string().into())));
    let wait = format!("wait: it ends when errors are back, and {until} at the latest");
    assert_eq!(last.to_lift, ["roll back d-81".into(), wait.clone().into()]);
    assert_eq!(suspects(last), ["d-81"]);

    // Taken back, and yet errors go on: it is not the deploy that makes them.
    let taken_back = |hour: i64| deploy("checkout", "d-81", at(DEPLOYED_AT + hour * HOUR), "rolled_back", "");
    let rollback = deploy(
        "checkout",
        "d-82",
        at(DEPLOYED_AT + 5 * HOUR),
        "started",
        r#","change_kind":"rollback""#,
    );
    for (case, hour, event) in [
        ("after the freeze", 5, taken_back(5)),
        ("by a rollback", 5, rollback),
        ("during the freeze", 3, taken_back(3)),
    ] {
        let decisions = play(ENFORCE, &[(5 * HOUR + 30, 60)], &[(hour * HOUR, event)]);
        let last = decisions.last().expect("it was seen");
        assert_eq!(
            (&*last.reasons[0].code, suspects(last).len()),
            ("errors_go_on", 0),
            "{case}"
        );
        assert_eq!(last.to_lift, [wait.clone().into()], "{case}");
    }
    // During the cooldown it is said at once.
    let minute = 4 * HOUR + 10;
    let event = deploy("checkout", "d-81", at(DEPLOYED_AT + minute), "rolled_back", "");
    let decisions = play(ENFORCE, &[(minute + 3, 60)], &[(minute, event)]);
    let last = decisions.last().expect("it was seen");
    assert_eq!(
        (&*last.reasons[0].code, last.reasons.len(), suspects(last).len()),
        ("cooldown", 2, 0)
    );
}

/// Of errors that nobody deployed: after an hour far above what is usual, and no sooner.
#[test]
fn errors_that_no_deploy_brought_are_told_after_an_hour_until_they_are_back() {
    let quiet = |minutes: i64, errors: u64| {
        let mut script = Vec::new();
        for i in 0..DEPLOYED_AT + minutes + 2 * HOUR {
            let risen = (0..minutes).contains(&(i - DEPLOYED_AT));
            let jitter = u64::try_from(i * 7 % 5).expect("small");
            let errors = if risen { errors } else { 8 } + jitter;
            script.push((i, Act::Event(minute("checkout", at(i), errors, Some(6_000)))));
        }
        script.push(until(DEPLOYED_AT + minutes + 2 * HOUR + 2));
        told(&drive(ENFORCE, script).decisions)
    };
    let nothing = ["-2880 proceed new_service"];
    assert_eq!(quiet(50, 60), nothing, "over within the hour");
    assert_eq!(quiet(3 * HOUR, 14), nothing, "not far above what is usual");
    assert_eq!(
        quiet(3 * HOUR, 60),
        [
            "-2880 proceed new_service",
            "59 extra_review errors_go_on",
            "186 proceed healthy"
        ]
    );
}

/// One bad minute of a service with an error in a hundred is remembered for hours, and does not go on.
#[test]
fn a_burst_of_rare_errors_does_not_go_on() {
    for (burst, gap) in [(1, 100), (3, 100), (1, 1_000), (10, 20)] {
        let mut script = Vec::new();
        for i in 0..DEPLOYED_AT + 24 * HOUR {
            let errors = match i - DEPLOYED_AT - HOUR {
                since if (0..burst).contains(&since) => 10,
                _ => u64::from(i % gap == 0),
            };
            script.push((i, Act::Event(minute("checkout", at(i), errors, Some(6_000)))));
        }
        script.push(until(DEPLOYED_AT + 24 * HOUR + 2));
        let said = told(&drive(ENFORCE, script).decisions);
        assert!(
            !said.iter().any(|line| line.contains("errors_go_on")),
            "{burst}, {gap}: {said:#?}"
        );
    }
}

#[test]
fn a_freeze_that_was_withheld_for_as_long_is_followed_by_the_same() {
    let policy = "mode = \"enforce\"\nlimiter.new_per_hour_min = 0\nlimiter.new_per_hour_share = 0\n";
    let decisions = play(policy, &[(6 * HOUR, 60), (2 * HOUR, 8)], &[]);
    assert_eq!(
        told(&decisions),
        [
            "-2880 proceed new_service",
            "3 extra_review deploy_regression",
            "3 extra_review limiter_withheld",
            "243 extra_review errors_go_on",
            "369 proceed healthy",
        ]
    );
}

/// What it is; so many errors a minute for so many minutes each; and after how many minutes the deploy is convicted.
type Case = (&'static str, &'static [(i64, u64)], std::ops::Range<i64>);

/// What a deploy that comes five hours after errors rose is convicted of: minutes since then, if it is.
fn convicted_after(minutes: &[(i64, u64)]) -> Option<i64> {
    let started = deploy("checkout", "d-82", at(DEPLOYED_AT + 5 * HOUR), "started", "");
    let minutes = [&[(5 * HOUR, 60)], minutes].concat();
    let decisions = play(ENFORCE, &minutes, &[(5 * HOUR, started)]);
    let is_of = |decision: &&Decision| {
        let suspect = decision
            .suspects
            .first()
            .and_then(|suspect| suspect.deploy_id.as_deref());
        decision.action == Action::Freeze && suspect == Some("d-82")
    };
    let convicted = decisions.iter().find(is_of)?;
    Some((convicted.decided_at.millis() - at(DEPLOYED_AT + 5 * HOUR).millis()) / 60_000)
}

/// The deploy that is to mend it, and does not or not all of it, made none of these errors.
#[test]
fn a_deploy_is_not_convicted_of_errors_that_had_risen_before_it() {
    let cases: [(&str, &[(i64, u64)]); 5] = [
        ("it mends them", &[(6 * HOUR, 8)]),
        ("it does not", &[(36 * HOUR, 60), (4 * HOUR, 8)]),
        ("it mends half of them", &[(10, 60), (6 * HOUR, 30), (4 * HOUR, 8)]),
        ("they fade hours later", &[(3 * HOUR, 60), (20, 30), (6 * HOUR, 8)]),
        ("a little worse", &[(6 * HOUR, 105), (4 * HOUR, 8)]),
    ];
    for (case, minutes) in cases {
        assert_eq!(convicted_after(minutes), None, "{case}");
    }
    let started = deploy("checkout", "d-82", at(DEPLOYED_AT + 5 * HOUR), "started", "");
    let said = told(&play(
        ENFORCE,
        &[(10 * HOUR, 60), (4 * HOUR, 8)],
        &[(5 * HOUR, started)],
    ));
    let expected = [&FROZEN[..], &["606 proceed healthy"]].concat();
    assert_eq!(said, expected, "extra review until they are back");
}

/// The opposite: what a deploy made worse, and what it brought and shows when what had risen has gone.
#[test]
fn a_deploy_amid_errors_is_convicted_of_its_own() {
    let cases: [Case; 5] = [
        ("three times as many at once", &[(2 * HOUR, 190)], 2..20),
        ("and after two hours", &[(2 * HOUR, 60), (2 * HOUR, 190)], 122..140),
        ("eleven times as many", &[(2 * HOUR, 900)], 2..6),
        ("less is left in the end", &[(3 * HOUR, 60), (2 * HOUR, 25)], 205..225),
        (
            "errors again after they were back",
            &[(3 * HOUR, 60), (HOUR, 8), (HOUR, 60)],
            241..247,
        ),
    ];
    for (case, minutes, after) in cases {
        let convicted = convicted_after(minutes);
        assert!(
            convicted.is_some_and(|minutes| after.contains(&minutes)),
            "{case}: {convicted:?}"
        );
    }
}

/// While errors rise nobody knows how far. An hour later they are held against what they were before.
#[test]
fn a_deploy_amid_rising_errors_is_judged_an_hour_after_the_rise() {
    let started = deploy("checkout", "d-82", at(DEPLOYED_AT + 16 * HOUR), "started", "");
    for (to, is_convicted) in [(60, false), (100, false), (400, true)] {
        let minutes = [(16 * HOUR - 6, 8), (6, 60), (4 * HOUR, to)];
        let decisions = play(ENFORCE, &minutes, &[(16 * HOUR, started.clone())]);
        let freeze = decisions.iter().find(|decision| decision.action == Action::Freeze);
        let after = freeze.map(|freeze| (freeze.decided_at.millis() - at(DEPLOYED_AT + 16 * HOUR).millis()) / 60_000);
        assert_eq!(after.is_some(), is_convicted, "to {to}: {after:?}");
        assert!(
            after.is_none_or(|after| (54..64).contains(&after)),
            "to {to}: {after:?}"
        );
    }
}

/// A budget that is spent twice as fast as it may be, at all times, says nothing of whether errors go on.
#[test]
fn errors_that_are_back_outlast_no_freeze_that_the_budget_has_renewed() {
    let catalog = format!(
        r#"{{"kind":"service","id":"c","time":"{}","service":"checkout","slo":{{"objective":0.9992}}}}"#,
        at(0)
    );
    let told = told(&play(ENFORCE, &[(60, 60), (6 * HOUR, 8)], &[(-DEPLOYED_AT, catalog)]));
    assert!(
        told.iter().any(|line| line.ends_with("freeze deploy_regression")),
        "{told:#?}"
    );
    assert!(told.iter().any(|line| line == "243 extra_review cooldown"), "{told:#?}");
}

/// For half an hour in the sixth hour nothing is told, and nothing at all from the seventh on.
#[test]
fn what_is_not_told_for_an_hour_is_not_said_to_go_on() {
    let mut driver = Driver::with_policy(ENFORCE);
    for i in 0..DEPLOYED_AT + 9 * HOUR {
        let since = i - DEPLOYED_AT;
        let jitter = u64::try_from(i * 7 % 5).expect("small");
        let errors = if since < 0 { 8 } else { 60 } + jitter;
        if since < 5 * HOUR || (5 * HOUR + 30..6 * HOUR).contains(&since) {
            driver.events(&[minute("checkout", at(i), errors, Some(6_000))], at(i));
        }
        if since == 0 {
            driver.events(&[deploy("checkout", "d-81", at(i - 1), "started", "")], at(i));
        }
        driver.time(at(i) + seconds(30));
    }
    let told = told(&driver.decisions);
    assert_eq!(
        told[told.len() - 2..],
        ["272 extra_review errors_go_on", "425 proceed unknown_telemetry"]
    );
}
