//! What an error budget asks for: review, freezes, and when it lets evidence convict.

use crate::{
    script::{Act, ENFORCE, check, event, play, until},
    support::{at, deploy, minute},
};

/// Requests a minute.
const REQUESTS: u64 = 6_000;

fn catalog(fields: &str) -> (i64, Act) {
    (0, event("service", "checkout", 0, fields))
}

/// For each stretch, so many minutes with so many errors; with deploys at minutes.
fn story(fields: &str, stretches: &[(i64, u64)], deploys: &[(i64, &str)]) -> Vec<(i64, Act)> {
    let (mut script, mut i) = (vec![catalog(fields)], 0);
    for (n, errors) in stretches {
        for _ in 0..*n {
            let jitter = u64::try_from(i * 7 % 5).expect("small");
            script.push((
                i,
                Act::Event(minute("checkout", at(i), errors + jitter, Some(REQUESTS))),
            ));
            for (_, id) in deploys.iter().filter(|(minute, _)| *minute == i) {
                script.push((i, Act::Event(deploy("checkout", id, at(i - 1), "started", ""))));
            }
            i += 1;
        }
    }
    script.push(until(i + 2));
    script
}

const HUNDREDTH: &str = r#""slo":{"objective":0.99}"#;

fn freezes(told: &[String]) -> Vec<&str> {
    let freezes = told.iter().filter(|line| line.contains(" freeze "));
    freezes.map(String::as_str).collect()
}

#[test]
fn a_burning_budget_freezes_without_any_deploy_and_lets_go_when_it_stops() {
    check(
        "half of all requests fail: after a quarter of an hour, 2 % of a month's budget is gone",
        ENFORCE,
        story(HUNDREDTH, &[(400, 8), (25, 3_000), (90, 8)], &[]),
        &[
            "0 production#1 enforce proceed new_service",
            "417 production#2 enforce extra_review slo_burn until 477",
            "417 production#3 enforce freeze slo_burn until 477",
            "477 production#4 enforce extra_review cooldown until 507",
            "507 production#5 enforce proceed healthy",
        ],
    );
    let told = play(ENFORCE, story(HUNDREDTH, &[(400, 8), (330, 3_000)], &[]));
    assert_eq!(
        freezes(&told),
        [
            "417 production#3 enforce freeze slo_burn until 477",
            "477 production#4 enforce freeze slo_burn until 537",
            "537 production#5 enforce freeze slo_burn until 597",
            "597 production#6 enforce freeze slo_burn until 657",
            "687 production#9 enforce freeze slo_burn until 747",
        ],
        "renewed to four hours, then half an hour of extra review: {told:#?}"
    );
    let without_slo = play(ENFORCE, story(r#""criticality":"high""#, &[(400, 8), (50, 3_000)], &[]));
    assert_eq!(without_slo.len(), 1, "no objective, no budget: {without_slo:#?}");
}

#[test]
fn a_slower_burn_and_a_spent_budget_ask_for_extra_review() {
    check(
        "six times what is allowed for six hours, at least a quarter of an hour",
        ENFORCE,
        story(HUNDREDTH, &[(330, 418), (60, 8)], &[]),
        &[
            "0 production#1 enforce proceed new_service",
            "310 production#2 enforce extra_review slo_burn until 370",
            "336 production#3 enforce proceed healthy",
        ],
    );
    let day = r#""slo":{"objective":0.9,"window_days":1}"#;
    let spent = [(730, 1_200), (800, 0)];
    // A budget of a day: spent after twelve hours, and until the window has passed on.
    let told = play(ENFORCE, story(day, &spent, &[]));
    assert_eq!(
        told[1],
        "720 production#2 enforce extra_review slo_budget_spent until 780"
    );
    let is_held = |line: &String| line.contains("extra_review slo_budget_spent");
    let n_held = told[1..].iter().take_while(|line| is_held(line)).count();
    assert_eq!(told.len(), n_held + 2, "and then no more: {told:#?}");
    assert!(
        told.last().is_some_and(|line| line.ends_with("proceed healthy")),
        "{told:#?}"
    );
}

#[test]
fn a_deploy_is_convicted_only_if_it_burns_the_budget() {
    let minutes = [(330, 8), (15, 60)];
    let frozen = |fields: &str| {
        let told = play(ENFORCE, story(fields, &minutes, &[(330, "d-81")]));
        told.iter().any(|line| line.contains("freeze deploy_regression"))
    };
    for (case, fields, expected) in [
        ("no objective", r#""criticality":"high""#, true),
        ("one in a hundred may fail, as many do", HUNDREDTH, false),
        ("one in a thousand may fail", r#""slo":{"objective":0.999}"#, true),
        ("critical", r#""criticality":"critical","slo":{"objective":0.99}"#, true),
    ] {
        assert_eq!(frozen(fields), expected, "{case}");
    }
}

/// A canary at a tenth of the traffic, with so many errors a minute where the same traffic of the old version has about one;
/// told apart by version, or not. The whole service burns no more than .9 of what the objective allows.
#[test]
fn a_canary_is_convicted_if_it_would_burn_the_budget_of_all_the_traffic() {
    let frozen = |errors: u64, tells_versions: bool, objective: f64| {
        let fields = format!(r#""slo":{{"objective":{objective}}}"#);
        let mut script = vec![catalog(&fields)];
        for i in 0..390 {
            let jitter = u64::try_from(i * 7 % 5).expect("small");
            let is_out = i >= 330;
            let record = |errors: u64, requests: u64, version: &str| {
                let record = minute("checkout", at(i), errors, Some(requests));
                let told = record.replace(r#""count""#, &format!(r#""version":"{version}","count""#));
                Act::Event(told.replace(r#""id":""#, &format!(r#""id":"{version}"#)))
            };
            let acts = match (tells_versions, is_out) {
                (true, true) => vec![
                    record(6 + jitter, REQUESTS * 9 / 10, "v1"),
                    record(errors, REQUESTS / 10, "v2"),
                ],
                (true, false) => vec![record(7 + jitter, REQUESTS, "v1")],
                (false, true) => vec![Act::Event(minute(
                    "checkout",
                    at(i),
                    6 + jitter + errors,
                    Some(REQUESTS),
                ))],
                (false, false) => vec![Act::Event(minute("checkout", at(i), 7 + jitter, Some(REQUESTS)))],
            };
            script.extend(acts.into_iter().map(|act| (i, act)));
            if i == 330 {
                let more = r#","version":"v2","previous_version":"v1","exposure":0.1"#;
                script.push((i, Act::Event(deploy("checkout", "d-81", at(i), "started", more))));
            }
        }
        script.push(until(392));
        let told = play(ENFORCE, script);
        told.iter().any(|line| line.contains("freeze deploy_regression"))
    };
    for tells_versions in [true, false] {
        assert!(
            frozen(45, tells_versions, 0.99),
            "7.5 times what may fail: {tells_versions}"
        );
        assert!(
            !frozen(45, tells_versions, 0.95),
            "1.5 times what may fail: {tells_versions}"
        );
    }
}

#[test]
fn the_third_freeze_in_six_hours_lasts_four_pages_and_is_followed_by_a_day_of_review() {
    let minutes = [(330, 8), (8, 60), (90, 8), (8, 60), (90, 8), (8, 60), (330, 8)];
    let deploys = [(330, "d-1"), (428, "d-2"), (526, "d-3")];
    let told = play(ENFORCE, story(r#""owner":"team""#, &minutes, &deploys));
    assert_eq!(
        freezes(&told),
        [
            "333 production#3 enforce freeze deploy_regression until 393",
            "431 production#7 enforce freeze deploy_regression until 491",
            "529 production#11 enforce freeze deploy_regression relapse until 769",
        ],
        "{told:#?}"
    );
    assert_eq!(
        told.last().map(String::as_str),
        Some("769 production#12 enforce extra_review cooldown until 2209")
    );
}

/// A deploy that is convicted while the budget's burn freezes already goes on with that freeze.
#[test]
fn a_freeze_that_goes_on_for_another_reason_counts_once() {
    let minutes = [(400, 8), (105, 3_000), (110, 8), (30, 3_000), (90, 8)];
    let told = play(ENFORCE, story(HUNDREDTH, &minutes, &[(420, "d-1")]));
    let frozen = freezes(&told);
    assert!(
        frozen.iter().any(|line| line.contains("slo_burn"))
            && frozen.iter().any(|line| line.contains("deploy_regression")),
        "{told:#?}"
    );
    assert!(!told.iter().any(|line| line.contains("relapse")), "{told:#?}");
}

#[test]
fn a_spent_budget_freezes_only_where_the_policy_says_so_and_a_day_at_a_time() {
    let day = r#""slo":{"objective":0.9,"window_days":1}"#;
    let policy = format!("{ENFORCE}freeze.spent_budget = true\n");
    let told = play(&policy, story(day, &[(2_000, 1_200), (2_300, 0)], &[]));
    assert_eq!(
        freezes(&told),
        [
            "720 production#3 enforce freeze slo_budget_spent until 2160",
            "2160 production#4 enforce freeze slo_budget_spent until 3600",
        ],
        "{told:#?}"
    );
    assert_eq!(
        told.last().map(String::as_str),
        Some("3600 production#5 enforce proceed healthy")
    );
}
