//! People's words, and what stands when they end.

use holdpoint::model::Action;

use crate::support::{Driver, at, deploy, minute, seconds};

fn say(service: &str, id: &str, (minute, minutes): (i64, u64), effect: &str, environment: &str) -> String {
    let (time, until) = (at(minute), at(minute) + seconds(minutes * 60));
    format!(
        r#"{{"kind":"override","id":"{id}","time":"{time}","service":"{service}","effect":"{effect}","until":"{until}","reason":"r","by":"p"{environment}}}"#
    )
}

/// The actions decided for a service in an environment, each with whether it has an end.
fn actions(driver: &Driver, key: &str) -> Vec<(Action, bool)> {
    let of = driver
        .decisions
        .iter()
        .filter(|decision| decision.subject.to_string() == key);
    of.map(|decision| (decision.action, decision.valid_until.is_some()))
        .collect()
}

#[test]
fn what_stands_after_a_word_has_no_end_of_the_word_left() {
    for (effect, expected) in [("proceed", Action::Proceed), ("freeze", Action::Freeze)] {
        let mut driver = Driver::with_policy("");
        driver.events(&[minute("checkout", at(0), 1, None)], at(0));
        driver.events(&[say("checkout", "o", (1, 10), effect, "")], at(1));
        for i in 2..20 {
            driver.time(at(i));
        }
        let expected = [(Action::Proceed, false), (expected, true), (Action::Proceed, false)];
        // A word to proceed changes no action, so its end alone makes it a decision of its own.
        assert_eq!(actions(&driver, "service:checkout@production"), expected, "{effect}");
    }
}

#[test]
fn a_word_on_all_environments_counts_in_one_seen_later() {
    let mut driver = Driver::with_policy("");
    driver.events(&[say("checkout", "o", (0, 60), "freeze", "")], at(0));
    driver.events(
        &[minute("checkout", at(1), 1, None).replace("production", "staging")],
        at(1),
    );
    assert_eq!(actions(&driver, "service:checkout@staging"), [(Action::Freeze, true)]);
}

#[test]
fn a_word_taken_back_does_not_stand_again_by_an_older_one_that_comes_late() {
    let mut driver = Driver::with_policy("");
    driver.events(&[say("checkout", "o-2", (10, 0), "freeze", "")], at(10));
    driver.time(at(11));
    driver.events(&[say("checkout", "o-1", (5, 60), "freeze", "")], at(12));
    assert!(
        actions(&driver, "service:checkout@production")
            .iter()
            .all(|(action, _)| *action == Action::Proceed)
    );
}

#[test]
fn a_deploy_that_was_judged_is_not_watched_again_by_a_late_status() {
    let mut driver = Driver::with_policy("");
    for i in 0..260 {
        driver.events(&[minute("checkout", at(i), 3, Some(1_000))], at(i));
        driver.time(at(i) + seconds(30));
        if i == 100 || i == 250 {
            let status = if i == 100 { "started" } else { "succeeded" };
            driver.events(&[deploy("checkout", "d", at(i), status, "")], at(i));
        }
    }
    let report = driver.partition.report("checkout").expect("it was seen");
    assert!(report.environments[0].watches.is_empty());
}
