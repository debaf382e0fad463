//! Windows of the policy: they close and open by the log's time, and say so once each.

use holdpoint::model::{Action, Mode};

use crate::support::{Driver, at, minute, seconds};

/// The actions decided for `service:checkout@production`, with the reason and until when.
fn told(driver: &Driver) -> Vec<(Action, String, Option<String>)> {
    let of = driver
        .decisions
        .iter()
        .filter(|decision| decision.subject.to_string() == "service:checkout@production");
    of.map(|decision| {
        let until = decision.valid_until.map(|until| until.to_string()[11..16].to_owned());
        (decision.action, decision.reasons[0].code.to_string(), until)
    })
    .collect()
}

/// A window of half an hour, from half an hour after the driver's time begins, in a zone an hour ahead.
fn half_hour(effect: &str, fields: &str) -> String {
    let from = (at(30) + seconds(3_600)).to_string();
    format!(
        "mode = \"enforce\"\n[[window]]\nname = \"w\"\neffect = \"{effect}\"\nzone = \"Africa/Lagos\"\nfrom = {}\nlength = \"30m\"\n{fields}\n",
        &from[..19]
    )
}

fn hours(policy: &str) -> Driver {
    let mut driver = Driver::with_policy(policy);
    driver.events(&[minute("checkout", at(0), 1, None)], at(0));
    for i in 1..120 {
        driver.time(at(i));
    }
    driver
}

fn clock(minutes: i64) -> String {
    at(minutes).to_string()[11..16].to_owned()
}

#[test]
fn a_window_freezes_at_its_beginning_and_lets_go_at_its_end_in_silence_too() {
    let driver = hours(&half_hour("deny", ""));
    let told = told(&driver);
    let [
        (Action::Proceed, ..),
        (Action::Freeze, code, until),
        (Action::Proceed, _, None),
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!((code.as_str(), until.clone()), ("policy:w", Some(clock(60))));
    let freeze = driver
        .decisions
        .iter()
        .find(|decision| decision.action == Action::Freeze)
        .expect("a freeze");
    assert_eq!(
        (freeze.decided_at, freeze.mode, freeze.exempt.len()),
        (at(30), Mode::Enforce, 3)
    );
    assert!(
        freeze.reasons[0].text.ends_with("Africa/Lagos"),
        "{}",
        freeze.reasons[0].text
    );
}

#[test]
fn outside_of_an_allowed_time_it_is_closed_and_said_to_open() {
    let driver = hours(&half_hour("allow", "repeat = \"FREQ=DAILY\""));
    let told = told(&driver);
    let actions: Vec<Action> = told.iter().map(|(action, ..)| *action).collect();
    assert_eq!(actions, [Action::Freeze, Action::Proceed, Action::Freeze]);
    assert_eq!((&told[0].2, &told[2].2), (&Some(clock(30)), &Some(clock(30 + 24 * 60))));
}

#[test]
fn a_window_is_not_about_other_environments_and_a_person_stands_above_it() {
    let driver = hours(&half_hour("deny", "environments = [\"staging\"]"));
    assert_eq!(told(&driver).len(), 1);

    let mut driver = Driver::with_policy(&half_hour("deny", ""));
    driver.events(&[minute("checkout", at(0), 1, None)], at(0));
    driver.time(at(31));
    let (time, until) = (at(40), at(50));
    let word = format!(
        r#"{{"kind":"override","id":"o","time":"{time}","service":"checkout","effect":"proceed","until":"{until}","reason":"r","by":"p"}}"#
    );
    driver.events(&[word], at(40));
    for i in 41..70 {
        driver.time(at(i));
    }
    let codes: Vec<(Action, String)> = told(&driver)
        .into_iter()
        .map(|(action, code, _)| (action, code))
        .collect();
    let expected = [
        (Action::Proceed, "new_service"),
        (Action::Freeze, "policy:w"),
        (Action::Proceed, "override"),
        (Action::Freeze, "policy:w"),
    ];
    assert_eq!(codes[..4], expected.map(|(action, code)| (action, code.to_owned())));
    assert_eq!(
        codes[4..].iter().map(|(action, _)| *action).collect::<Vec<_>>(),
        [Action::Proceed]
    );
}

#[test]
fn a_window_that_comes_with_a_policy_counts_at_once_and_one_taken_back_ends_it() {
    let mut driver = hours("");
    driver.policy(2, &half_hour("allow", "repeat = \"FREQ=DAILY\""), at(120));
    driver.policy(3, "mode = \"enforce\"", at(120));
    let actions: Vec<Action> = told(&driver).iter().map(|(action, ..)| *action).collect();
    assert_eq!(actions, [Action::Proceed, Action::Freeze, Action::Proceed]);
}

#[test]
fn a_catalog_that_moves_a_service_to_a_tier_moves_it_under_the_tiers_windows() {
    let policy = half_hour("deny", "tiers = [\"critical\"]").replace("30m", "10h");
    let mut driver = Driver::with_policy(&policy);
    driver.events(&[minute("checkout", at(0), 1, None)], at(0));
    driver.time(at(40));
    assert_eq!(told(&driver).len(), 1);
    let catalog = format!(
        r#"{{"kind":"service","id":"s","time":"{}","service":"checkout","criticality":"critical"}}"#,
        at(40)
    );
    driver.events(&[catalog], at(41));
    assert_eq!(told(&driver).last().map(|(action, ..)| *action), Some(Action::Freeze));
}

/// What a word stands aside for may end before the word does.
#[test]
fn a_word_that_outlasts_a_window_by_seconds_freezes_to_its_own_end() {
    let mut driver = Driver::with_policy(&half_hour("deny", ""));
    driver.events(&[minute("checkout", at(0), 1, None)], at(0));
    let until = at(60) + seconds(5);
    let word = format!(
        r#"{{"kind":"override","id":"w","time":"{}","service":"checkout","environment":"production","effect":"freeze","until":"{until}","reason":"r","by":"p"}}"#,
        at(40)
    );
    driver.time(at(40));
    driver.events(&[word], at(40));
    for second in 0..25 * 60 {
        let now = at(40) + seconds(second);
        driver.time(now);
        let stands = told(&driver).last().map(|(action, ..)| *action);
        assert_eq!(stands == Some(Action::Freeze), now < until, "{now}");
    }
}

#[test]
fn a_catalog_that_moves_a_service_to_a_tier_decides_its_changes_anew() {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n[tiers.low]\nmode = \"shadow\"\n");
    let event = |kind: &str, id: &str, minutes: i64, fields: &str| {
        format!(
            r#"{{"kind":"{kind}","id":"{id}","time":"{}","service":"checkout",{fields}}}"#,
            at(minutes)
        )
    };
    let seen = event(
        "review",
        "r",
        0,
        r#""sha":"x","verdict":"approved","by":"s","level":"senior""#,
    );
    let change = r#""sha":"4f1c","author":{"id":"j","level":"junior"},"ai":{"assistance":"authored"},"change":{"lines_added":9,"lines_deleted":2,"files":1}"#;
    driver.events(&[seen, event("commit", "c", 1, change)], at(1));
    driver.events(&[event("service", "s", 2, r#""criticality":"low""#)], at(2));
    let of_change = driver
        .decisions
        .iter()
        .filter(|decision| decision.subject.to_string() == "change:checkout:4f1c");
    let modes: Vec<Mode> = of_change.map(|decision| decision.mode).collect();
    assert_eq!(modes, [Mode::Enforce, Mode::Shadow]);
}

/// What a change met when it landed is remembered: a review decides it again without it.
#[test]
fn a_rule_over_paths_is_met_by_an_approval_and_asks_nothing_of_changes_before_it() {
    let rule = "mode = \"enforce\"\n[[rule]]\nname = \"schema\"\nwhen = { paths = [\"db/**\"] }\nthen = { action = \"extra_review\" }\n";
    let mut driver = Driver::with_policy("");
    let commit = |sha: &str, path: &str, minutes: i64| {
        format!(
            r#"{{"kind":"commit","id":"{sha}","time":"{}","service":"checkout","sha":"{sha}","change":{{"lines_added":1,"lines_deleted":0,"files":1,"paths":["{path}"]}}}}"#,
            at(minutes)
        )
    };
    driver.events(&[commit("early", "db/a", 0)], at(0));
    driver.policy(2, rule, at(1));
    driver.events(&[commit("schema", "db/b", 2), commit("other", "src/db", 2)], at(2));
    let review = format!(
        r#"{{"kind":"review","id":"r","time":"{}","service":"checkout","sha":"schema","verdict":"approved","by":"p"}}"#,
        at(3)
    );
    driver.events(&[review], at(3));
    let of = |sha: &str| -> Vec<(Action, String)> {
        let key = format!("change:checkout:{sha}");
        let decisions = driver
            .decisions
            .iter()
            .filter(|decision| decision.subject.to_string() == key);
        decisions
            .map(|decision| (decision.action, decision.reasons[0].code.to_string()))
            .collect()
    };
    assert_eq!(of("early"), [(Action::Proceed, "healthy".to_owned())]);
    assert_eq!(of("other"), [(Action::Proceed, "healthy".to_owned())]);
    assert_eq!(
        of("schema"),
        [
            (Action::ExtraReview, "policy:schema".to_owned()),
            (Action::Proceed, "approved".to_owned())
        ]
    );
}
