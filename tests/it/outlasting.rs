//! What is said of a service whose errors outlast a freeze.

use holdpoint::model::{Decision, Evidence};

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
    let expected = [&FROZEN[..], &["1681 proceed healthy"]].concat();
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

#[test]
fn it_says_since_when_and_what_ends_it() {
    let decisions = play(ENFORCE, &[(5 * HOUR, 60)], &[]);
    let last = decisions.last().expect("it was seen");
    let (since, until) = (at(DEPLOYED_AT + 1), at(DEPLOYED_AT + 1 + 28 * HOUR));
    assert_eq!(
        *last.reasons[0].text,
        *format!("errors have been above what is usual since {since}, longer than a freeze may last")
    );
    let risen_since = last.reasons[0].evidence.get("risen_since");
    assert_eq!(risen_since, Some(&Evidence::Text(since.to_string().into())));
    let to_lift = format!("wait: it ends when errors are back, and {until} at the latest");
    assert_eq!(last.to_lift, [to_lift.into()]);
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

/// The deploy that mends it is watched as any other, and one that multiplies errors again is frozen for.
#[test]
fn a_deploy_that_comes_meanwhile_is_judged_as_ever() {
    let started = |minute: i64, id: &str| deploy("checkout", id, at(DEPLOYED_AT + minute), "started", "");
    let mends = [(5 * HOUR, started(5 * HOUR, "d-82"))];
    let said = told(&play(ENFORCE, &[(5 * HOUR, 60), (4 * HOUR, 8)], &mends));
    assert_eq!(
        said.last().map(String::as_str),
        Some("316 proceed healthy"),
        "{said:#?}"
    );
    let worse = play(ENFORCE, &[(5 * HOUR, 60), (2 * HOUR, 900)], &mends);
    let last = worse.last().expect("it was seen");
    assert_eq!(
        last.suspects[0].deploy_id.as_deref(),
        Some("d-82"),
        "{:#?}",
        told(&worse)
    );
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
