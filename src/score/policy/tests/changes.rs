//! Rules over attributes of a change.

use super::{super::Policy, policy};
use crate::model::{Ai, Author, Commit, MEASURE_NAMES, Timestamp};

fn commit(path: &str, lines: f64, files: f64) -> Commit<'_> {
    let mut measures = [None; MEASURE_NAMES.len()];
    for (name, value) in [("lines_added", lines - 1.0), ("lines_deleted", 1.0), ("files", files)] {
        let place = MEASURE_NAMES
            .iter()
            .position(|known| *known == name)
            .expect("a measure");
        measures[place] = Some(value);
    }
    Commit {
        sha: "a".into(),
        repository: None,
        author: Author::default(),
        ai: Ai::default(),
        measures,
        paths: vec!["README.md".into(), path.into()],
        approvals: Vec::new(),
        change_id: None,
        head_shas: Vec::new(),
    }
}

fn is_met(when: &str, commit: &Commit<'_>, time: &str) -> bool {
    let text = format!("[[rule]]\nname = \"r\"\nwhen = {{ {when} }}\nthen.action = \"extra_review\"\n");
    let policy = policy(&text);
    let condition = policy.rules[2].condition.as_ref().expect("a condition");
    condition.is_met(commit, time.parse::<Timestamp>().expect("an instant"))
}

#[test]
fn a_rule_asks_for_paths_size_and_time_of_landing() {
    let noon = "2026-03-06T12:00:00Z";
    for (when, meant, not_meant) in [
        (
            "paths = [\"db/**\", \"*.sql\"]",
            commit("db/a/b", 1.0, 1.0),
            commit("src/db/a", 1.0, 1.0),
        ),
        ("min_lines = 500", commit("a", 500.0, 1.0), commit("a", 499.0, 1.0)),
        ("min_files = 20", commit("a", 1.0, 20.0), commit("a", 900.0, 19.0)),
        (
            "paths = [\"db/**\"], min_lines = 9",
            commit("db/a", 9.0, 1.0),
            commit("db/a", 8.0, 1.0),
        ),
    ] {
        assert!(is_met(when, &meant, noon), "{when}");
        assert!(!is_met(when, &not_meant, noon), "{when}");
    }
    let any = commit("a", 1.0, 1.0);
    let without = Commit {
        measures: [None; MEASURE_NAMES.len()],
        ..commit("a", 1.0, 1.0)
    };
    assert!(
        !is_met("min_lines = 1", &without, noon),
        "what is not told is not large"
    );
    // Friday noon in Greenwich is 1:45 on Saturday on the Chatham Islands, 13 h 45 min ahead in their summer.
    for (when, expected) in [
        ("weekdays = [\"fri\"]", true),
        ("weekdays = [\"fri\"], zone = \"Pacific/Chatham\"", false),
        (
            "weekdays = [\"sat\"], zone = \"Pacific/Chatham\", hours = \"01:45-01:46\"",
            true,
        ),
        ("hours = \"12:00-12:01\"", true),
        ("hours = \"11:00-12:00\"", false),
        ("hours = \"18:00-12:01\"", true),
        ("hours = \"18:00-06:00\"", false),
        // Over midnight: of the day on which they begin.
        ("weekdays = [\"thu\"], hours = \"18:00-12:01\"", true),
        ("weekdays = [\"fri\"], hours = \"18:00-12:01\"", false),
        ("weekdays = [\"fri\"], hours = \"11:00-06:00\"", true),
        ("weekdays = [\"thu\"], hours = \"11:00-06:00\"", false),
    ] {
        assert_eq!(is_met(when, &any, noon), expected, "{when}");
    }
}

#[test]
fn what_is_wrong_with_a_condition_is_said_with_its_place() {
    let text = "[[rule]]\nname = \"r\"\nthen.action = \"extra_review\"\n[rule.when]\npaths = [\"\"]\nmin_lines = 0\nhours = \"late\"\nweekdays = [\"friday\"]\ntiers = []\nzone = \"UTC\"\n";
    let faults = Policy::parse(text).expect_err("faulty").to_string();
    let starts: Vec<&str> = faults
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(place, _)| place)
        .collect();
    assert_eq!(starts, ["5:10:", "6:13:", "7:9:", "8:13:", "9:9:"], "{faults}");
    let alone = "[[rule]]\nname = \"r\"\nwhen.zone = \"UTC\"\nthen.action = \"extra_review\"\n";
    assert!(
        Policy::parse(alone)
            .expect_err("faulty")
            .to_string()
            .contains("means nothing alone")
    );
}

#[test]
fn a_rule_with_another_condition_has_another_tag() {
    let tag = |when: &str| {
        let text = format!("[[rule]]\nname = \"r\"\nwhen = {{ {when} }}\nthen.action = \"extra_review\"\n");
        policy(&text).rules[2]
            .condition
            .as_ref()
            .map(|condition| condition.tag())
    };
    assert_eq!(tag("min_lines = 5"), tag("min_lines = 5, ai = [\"authored\"]"));
    assert_ne!(tag("min_lines = 5"), tag("min_lines = 6"));
    assert_eq!(
        tag("services = [\"a\"]"),
        None,
        "whom it is about is known whenever it is asked"
    );
}
