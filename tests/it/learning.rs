//! What incidents teach: through the log, for the whole fleet, and long after the change is forgotten.

use std::collections::BTreeSet;

use holdpoint::{
    model::{Timestamp, hash_text},
    score::{LearnedWeight, Said, ScoredChange},
};

use crate::support::{Driver, at, deploy};

const DAY: i64 = 24 * 60;

fn commit(service: &str, sha: &str, time: Timestamp, lines_added: u32) -> String {
    format!(
        r#"{{"kind":"commit","id":"c-{sha}","time":"{time}","service":"{service}","sha":"{sha}",
            "change":{{"lines_added":{lines_added},"lines_deleted":2,"files":1}}}}"#
    )
}

fn incident(service: &str, id: &str, time: Timestamp, caused_by: &str) -> String {
    format!(
        r#"{{"kind":"incident","id":"i-{id}","time":"{time}","service":"{service}","incident_id":"{id}","severity":5,
            "status":"resolved","caused_by":{{{caused_by}}}}}"#
    )
}

/// A commit every hour, every fifth of them small and the others larger.
fn history(service: &str, n: i64) -> Driver {
    let mut driver = Driver::default();
    for i in 0..n {
        let lines_added = if i % 5 == 0 { 1 } else { 60 };
        driver.events(
            &[commit(service, &format!("{i:040x}"), at(i * 60), lines_added)],
            at(i * 60),
        );
    }
    driver
}

fn weight(driver: &Driver, feature: &str) -> LearnedWeight {
    let learned = driver.partition.fleet().learned_weights();
    *learned.iter().find(|weight| weight.feature == feature).expect("there")
}

fn last_scored(driver: &Driver) -> &ScoredChange {
    let scored = driver.said.iter().rev().find_map(|said| match said {
        Said::Scored(change) => Some(&**change),
        Said::Decision(_) | Said::Forget(_) | Said::Message(_) | Said::Closed(_) => None,
    });
    scored.expect("a commit landed")
}

#[test]
fn an_incident_that_names_a_change_teaches_the_fleet_what_it_was_like() {
    let mut driver = history("checkout", 200);
    let before = weight(&driver, "lines_added");
    for i in (20..180).step_by(5) {
        let caused_by = format!(r#""sha":"{i:040x}""#);
        driver.events(
            &[incident("checkout", &i.to_string(), at(12_000 + i), &caused_by)],
            at(12_000 + i),
        );
    }
    assert_eq!(driver.partition.fleet().n_verdicts(), 32);
    let after = weight(&driver, "lines_added");
    assert!(
        after.weight < before.weight - 0.1,
        "small ones did: {before:?} {after:?}"
    );
    assert!(after.high - after.low < before.high - before.low);
    // Another service of the fleet is scored by it.
    driver.events(&[commit("search", "aaaa", at(13_000), 1)], at(13_000));
    let small = last_scored(&driver).probability;
    let mut untaught = Driver::default();
    untaught.events(&[commit("search", "aaaa", at(13_000), 1)], at(13_000));
    let untaught = last_scored(&untaught).probability;
    assert!(small.value() > untaught.value() * 1.1, "{small:?} and {untaught:?}");
}

#[test]
fn a_change_forgotten_long_ago_still_teaches_once() {
    let mut driver = history("checkout", 100);
    driver.time(at(60 * DAY));
    let remembered = |driver: &Driver| driver.partition.report("checkout").expect("there").changes_remembered;
    assert_eq!(remembered(&driver), 0);
    let caused_by = format!(r#""sha":"{:040x}""#, 30);
    let cases = [
        ("first", caused_by.as_str(), 1),
        ("again", caused_by.as_str(), 1),
        ("unknown", r#""sha":"ffff""#, 1),
    ];
    for (i, (id, caused_by, n_verdicts)) in (0..).zip(cases) {
        let time = at(60 * DAY + i);
        driver.events(&[incident("checkout", id, time, caused_by)], time);
        assert_eq!(driver.partition.fleet().n_verdicts(), n_verdicts, "{id}");
    }
    // A year after, it is not known any more.
    driver.events(&[commit("checkout", "bbbb", at(400 * DAY), 5)], at(400 * DAY));
    let caused_by = format!(r#""sha":"{:040x}""#, 40);
    driver.events(
        &[incident("checkout", "late", at(400 * DAY), &caused_by)],
        at(400 * DAY),
    );
    assert_eq!(driver.partition.fleet().n_verdicts(), 1);
}

/// Of thousands of incidents about changes that nobody remembers, dozens would be put down to recent ones, if seventeen
/// bits told one from another.
#[test]
fn an_incident_of_a_change_never_seen_is_not_put_down_to_one_whose_hash_begins_alike() {
    let mut driver = history("checkout", 300);
    let begins = |sha: &str| hash_text(sha) >> (64 - 17);
    let landed: BTreeSet<u64> = (0..300).map(|i| begins(&format!("{i:040x}"))).collect();
    let alike = (1_000_000..).map(|i| format!("{i:040x}"));
    let alike = alike.filter(|sha| landed.contains(&begins(sha))).take(20);
    for (i, sha) in (0..).zip(alike) {
        let time = at(18_000 + i);
        driver.events(&[incident("checkout", &sha, time, &format!(r#""sha":"{sha}""#))], time);
    }
    assert_eq!(driver.partition.fleet().n_verdicts(), 0);
}

#[test]
fn an_incident_of_a_deploy_is_shared_among_its_few_commits() {
    let cases = [
        ("one", 1_usize, 1),
        ("two", 2, 2),
        ("eight", 8, 8),
        ("too many to say", 9, 0),
        ("none", 0, 0),
    ];
    for (case, n_commits, n_verdicts) in cases {
        let mut driver = history("checkout", 60);
        let shas: Vec<String> = (20..20 + n_commits).map(|i| format!("\"{i:040x}\"")).collect();
        let commits = format!(r#","commits":[{}]"#, shas.join(","));
        driver.events(
            &[deploy("checkout", "d-1", at(3_700), "succeeded", &commits)],
            at(3_700),
        );
        for (id, status) in [("detected", "failed"), ("once more", "rolled_back")] {
            // Pipelines say with each status what is in a deploy.
            let again = deploy("checkout", "d-1", at(3_790), status, &commits);
            driver.events(&[again], at(3_790));
            let event = incident("checkout", id, at(3_800), r#""deploy_id":"d-1""#);
            driver.events(&[event], at(3_800));
            assert_eq!(driver.partition.fleet().n_verdicts(), n_verdicts, "{case}, {id}");
        }
    }
}

#[test]
fn incidents_raise_the_probability_of_all_changes_of_their_service() {
    let mut driver = history("checkout", 200);
    let before = last_scored(&driver).probability.value();
    for i in 100..120 {
        let caused_by = format!(r#""sha":"{i:040x}""#);
        driver.events(
            &[incident("checkout", &i.to_string(), at(12_000 + i), &caused_by)],
            at(12_000 + i),
        );
    }
    driver.events(&[commit("checkout", "aaaa", at(13_000), 60)], at(13_000));
    let after = last_scored(&driver);
    assert!(after.probability.value() > 3.0 * before, "{before} and {after:?}");
    assert_eq!(after.contributions[0].feature, "incident_rate");
}
