//! What is published of a service, in what order, and when.

use std::{collections::BTreeMap, time::Duration};

use holdpoint::model::{Action, Decision};

use crate::{
    script::{
        Act, BY_JUNIOR, ENFORCE, again, check, commit, drive, event, incident, play, policy, seen_a_senior, tell,
        until, word,
    },
    support::{Driver, at, deploy, minute, seconds},
};

#[test]
fn a_persons_word_stands_over_all_until_its_end() {
    check(
        "a freeze ends by itself",
        ENFORCE,
        vec![word("a", 5, "freeze", 35), until(40)],
        &[
            "5 production#1 enforce freeze override until 35",
            "35 production#2 enforce proceed no_baseline",
        ],
    );
    check(
        "a later word replaces it, an earlier one that comes late does not",
        ENFORCE,
        vec![
            word("a", 5, "freeze", 60),
            word("b", 10, "proceed", 30),
            (
                12,
                event(
                    "override",
                    "c",
                    7,
                    &format!(
                        r#""environment":"production","effect":"freeze","until":"{}","reason":"r","by":"p""#,
                        at(90)
                    ),
                ),
            ),
            until(61),
        ],
        &[
            "5 production#1 enforce freeze override until 60",
            "10 production#2 enforce proceed override until 30",
            "30 production#3 enforce proceed no_baseline",
        ],
    );
    check(
        "taken back",
        ENFORCE,
        vec![word("a", 5, "freeze", 60), word("b", 10, "freeze", 10), until(61)],
        &[
            "5 production#1 enforce freeze override until 60",
            "10 production#2 enforce proceed no_baseline",
        ],
    );
    check(
        "it lets proceed what an incident freezes",
        ENFORCE,
        vec![incident("i", 5, "detected", 1), word("a", 8, "proceed", 20), until(21)],
        &[
            "5 production#1 enforce proceed new_service",
            "5 production#2 enforce extra_review incident until 65",
            "5 production#3 enforce freeze incident until 245",
            "8 production#4 enforce proceed override until 20",
            "20 production#5 enforce freeze incident until 245",
        ],
    );
}

#[test]
fn an_incident_freezes_until_it_is_resolved_and_never_for_ever() {
    check(
        "resolved: then half an hour of extra review",
        ENFORCE,
        vec![
            incident("i", 5, "detected", 2),
            incident("i", 25, "resolved", 2),
            until(60),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "5 production#2 enforce extra_review incident until 65",
            "5 production#3 enforce freeze incident until 245",
            "25 production#4 enforce extra_review cooldown until 55",
            "55 production#5 enforce proceed no_baseline",
        ],
    );
    check(
        "of the third severity: none",
        ENFORCE,
        vec![incident("i", 5, "detected", 3), until(60)],
        &["5 production#1 enforce proceed new_service"],
    );
    check(
        "forgotten by those who opened it: four hours after its last word",
        ENFORCE,
        vec![
            incident("i", 5, "detected", 1),
            incident("i", 65, "detected", 1),
            until(400),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "5 production#2 enforce extra_review incident until 65",
            "5 production#3 enforce freeze incident until 245",
            "65 production#4 enforce freeze incident until 305",
            "305 production#5 enforce extra_review cooldown until 335",
            "335 production#6 enforce proceed no_baseline",
        ],
    );
}

#[test]
fn what_comes_late_again_or_in_numbers_lifts_and_brings_no_freeze() {
    let frozen = [
        "5 production#1 enforce proceed new_service",
        "5 production#2 enforce extra_review incident until 65",
        "5 production#3 enforce freeze incident until 245",
    ];
    let minor: Vec<_> = (0..12).map(|i| incident(&format!("m{i}"), 6, "detected", 5)).collect();
    let told = play(
        ENFORCE,
        [vec![incident("i", 5, "detected", 1)], minor, vec![until(30)]].concat(),
    );
    let actions: Vec<bool> = told[3..]
        .iter()
        .map(|line| line.contains("enforce freeze incident"))
        .collect();
    assert_eq!(
        (&told[..3], actions.contains(&false)),
        (
            &frozen[..].iter().map(ToString::to_string).collect::<Vec<_>>()[..],
            false
        ),
        "a dozen minor ones"
    );
    check(
        "its detection again, after its end",
        ENFORCE,
        vec![
            incident("i", 5, "detected", 2),
            incident("i", 25, "resolved", 2),
            (90, again(incident("i", 5, "detected", 2))),
            until(100),
        ],
        &[
            &frozen[..],
            &[
                "25 production#4 enforce extra_review cooldown until 55",
                "55 production#5 enforce proceed no_baseline",
            ],
        ]
        .concat(),
    );
    check(
        "resolved before it is told of",
        ENFORCE,
        vec![
            incident("i", 25, "resolved", 1),
            (26, again(incident("i", 5, "detected", 1))),
            until(30),
        ],
        &["25 production#1 enforce proceed new_service"],
    );
    let past: Vec<_> = (0..10)
        .map(|i| (600, again(incident(&format!("p{i}"), 5, "detected", 1))))
        .collect();
    let told = play(
        ENFORCE,
        [past, vec![incident("i", 601, "detected", 1), until(602)]].concat(),
    );
    assert!(
        told.iter().any(|line| line.contains("enforce freeze")),
        "the past uses up no grants: {told:#?}"
    );
}

#[test]
fn a_change_of_mode_is_published_for_what_holds_and_for_nothing_else() {
    check(
        "a freeze",
        "",
        vec![
            incident("i", 5, "detected", 1),
            policy(10, ENFORCE),
            policy(12, ""),
            until(13),
        ],
        &[
            "5 production#1 shadow proceed new_service",
            "5 production#2 shadow extra_review incident until 65",
            "5 production#3 shadow freeze incident until 245",
            "10 production#4 enforce freeze incident until 245",
            "12 production#5 shadow freeze incident until 245",
        ],
    );
    check(
        "a proceed",
        "",
        vec![incident("i", 5, "detected", 4), policy(10, ENFORCE), until(13)],
        &["5 production#1 shadow proceed new_service"],
    );
    check(
        "a demand for known changes",
        ENFORCE,
        vec![
            incident("i", 5, "detected", 4),
            policy(10, "mode = \"enforce\"\nrequire_known_changes = true\n"),
            until(13),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "10 production#2 enforce proceed no_baseline",
        ],
    );
    let strict = "require_known_changes = true\n";
    check(
        "a proceed that demands known changes",
        &format!("mode = \"enforce\"\n{strict}"),
        vec![incident("i", 5, "detected", 4), policy(10, strict), until(13)],
        &[
            "5 production#1 enforce proceed new_service",
            "10 production#2 shadow proceed no_baseline",
        ],
    );
    let staging_in_shadow = "mode = \"enforce\"\n[services.checkout.environments.staging]\nmode = \"shadow\"\n";
    let in_staging = event("error", "e", 1, r#""environment":"staging","count":1"#);
    check(
        "a change goes by the default environment, whichever was seen first",
        staging_in_shadow,
        vec![
            (1, in_staging),
            seen_a_senior(1),
            commit("4f1c", 5, BY_JUNIOR),
            policy(10, &format!("# a word\n{staging_in_shadow}")),
        ],
        &[
            "1 staging#1 shadow proceed new_service",
            "5 4f1c#1 enforce extra_review policy:ai-senior-sign-off",
        ],
    );
}

#[test]
fn what_is_silent_for_long_enough_is_forgotten() {
    let days = |n: i64| n * 24 * 60;
    check(
        "but not while a word stands",
        ENFORCE,
        vec![
            incident("i", 5, "detected", 4),
            word("a", days(6), "freeze", days(12)),
            until(days(8)),
            until(days(12) + 1),
            until(days(13) + 1),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "8640 production#2 enforce freeze override until 17280",
            "17280 production#3 enforce proceed no_baseline",
            "forget service:checkout@production",
        ],
    );
    check(
        "a change after 14 days, an environment after 7; what comes back begins again",
        ENFORCE,
        vec![
            commit("4f1c", 5, ""),
            until(days(7) + 6),
            until(days(14) + 6),
            incident("i", days(15), "detected", 4),
        ],
        &[
            "5 production#1 enforce proceed new_service",
            "5 4f1c#1 enforce proceed healthy",
            "forget service:checkout@production",
            "forget change:checkout:4f1c",
            "21600 production#1 enforce proceed new_service",
        ],
    );
}

/// The limiter takes a share of what is counted: one that is said twice or never is in it for good.
#[test]
fn the_fleet_counts_each_service_in_each_of_its_environments_while_it_is_known() {
    let mut driver = Driver::with_policy(ENFORCE);
    let error = |service: &str, environment: &str, minutes: i64| {
        format!(
            r#"{{"kind":"error","id":"{service}-{environment}-{minutes}","time":"{}","service":"{service}","environment":"{environment}"}}"#,
            at(minutes)
        )
    };
    let days = |n: i64| n * 24 * 60;
    for minutes in [0, 1, days(5)] {
        let known = ["checkout", "search"].map(|service| error(service, "production", minutes));
        driver.events(&known, at(minutes));
        // More previews than a service has room for.
        let previews = (0..20).map(|i| error("checkout", &format!("preview-{i}"), minutes));
        driver.events(&previews.collect::<Vec<_>>(), at(minutes));
        assert_eq!(driver.partition.fleet().n_known(), 17, "at {minutes}");
    }
    driver.events(&[error("search", "staging", days(6))], at(days(6)));
    assert_eq!(driver.partition.fleet().n_known(), 18);
    for (day, left) in [(11, 18), (12, 1), (13, 0)] {
        driver.time(at(days(day) + 1));
        assert_eq!(driver.partition.fleet().n_known(), left, "on day {day}");
    }
    driver.events(&[error("search", "production", days(14))], at(days(14)));
    assert_eq!(driver.partition.fleet().n_known(), 1);
}

/// Five and a half hours of eight to twelve errors a minute, a deploy, sixty for `bad` minutes, and then as before.
fn regression(bad: i64, after: i64, rolled_back_at: Option<i64>) -> Vec<(i64, Act)> {
    let mut script = Vec::new();
    for i in 0..330 + bad + after {
        let jitter = u64::try_from(i * 7 % 5).expect("small");
        let errors = if (330..330 + bad).contains(&i) { 60 } else { 8 };
        script.push((i, Act::Event(minute("checkout", at(i), errors + jitter, Some(6_000)))));
        if i == 330 {
            script.push((i, Act::Event(deploy("checkout", "d-81", at(i - 1), "started", ""))));
        }
        if Some(i) == rolled_back_at {
            script.push((i, Act::Event(deploy("checkout", "d-81", at(i), "rolled_back", ""))));
        }
    }
    script
}

#[test]
fn a_freeze_by_evidence_has_a_life() {
    check(
        "over by itself: the lease runs out",
        ENFORCE,
        regression(10, 120, None),
        &[
            "0 production#1 enforce proceed new_service",
            "333 production#2 enforce extra_review deploy_regression until 393",
            "333 production#3 enforce freeze deploy_regression until 393",
            "393 production#4 enforce extra_review cooldown until 423",
            "423 production#5 enforce proceed healthy",
        ],
    );
    check(
        "rolled back and recovered: at least a quarter of an hour",
        ENFORCE,
        regression(10, 120, Some(340)),
        &[
            "0 production#1 enforce proceed new_service",
            "333 production#2 enforce extra_review deploy_regression until 393",
            "333 production#3 enforce freeze deploy_regression until 393",
            "348 production#4 enforce extra_review cooldown until 378",
            "378 production#5 enforce proceed healthy",
        ],
    );
    let mut undone = regression(2, 120, None);
    let place = undone
        .iter()
        .position(|(minutes, _)| *minutes == 332)
        .expect("it goes on");
    let rollback = deploy("checkout", "r-1", at(332), "started", r#","change_kind":"rollback""#);
    undone.insert(place + 1, (332, Act::Event(rollback)));
    check(
        "rolled back by a deploy before the evidence sufficed",
        ENFORCE,
        undone,
        &[
            "0 production#1 enforce proceed new_service",
            "333 production#2 enforce extra_review deploy_regression until 393",
            "333 production#3 enforce freeze deploy_regression until 393",
            "348 production#4 enforce extra_review cooldown until 378",
            "378 production#5 enforce proceed healthy",
        ],
    );
    check(
        "going on: renewed, four hours at most, and then extra review until errors are back",
        ENFORCE,
        regression(300, 60, None),
        &[
            "0 production#1 enforce proceed new_service",
            "333 production#2 enforce extra_review deploy_regression until 393",
            "333 production#3 enforce freeze deploy_regression until 393",
            "393 production#4 enforce freeze deploy_regression until 453",
            "453 production#5 enforce freeze deploy_regression until 513",
            "513 production#6 enforce freeze deploy_regression until 573",
            "573 production#7 enforce extra_review cooldown errors_go_on until 603",
            "603 production#8 enforce extra_review errors_go_on until 663",
            "637 production#9 enforce proceed healthy",
        ],
    );
}

/// Renewed; by a person, in another mode and by an incident; lifted, and frozen anew.
#[test]
fn a_freeze_tells_since_when_whatever_it_goes_on_by() {
    let by_many = vec![
        incident("i", 5, "detected", 1),
        word("w", 10, "freeze", 30),
        policy(20, "mode = \"shadow\"\n"),
        incident("i", 40, "resolved", 1),
        incident("j", 60, "detected", 1),
        until(70),
    ];
    for (case, script, began) in [
        ("renewed", regression(300, 60, None), &[(333, 4)][..]),
        ("by many", by_many, &[(5, 4), (60, 1)]),
    ] {
        let told: Vec<_> = drive(ENFORCE, script)
            .decisions
            .iter()
            .map(|decision| {
                assert_eq!(
                    decision.frozen_since.is_some(),
                    decision.action == Action::Freeze,
                    "{case}"
                );
                (tell(decision), decision.frozen_since)
            })
            .collect();
        let mut runs: Vec<(i64, usize)> = Vec::new();
        for since in told.iter().filter_map(|(_, since)| *since) {
            let minutes = (since.millis() - at(0).millis()) / 60_000;
            match runs.last_mut() {
                Some((began, n)) if *began == minutes => *n += 1,
                _ => runs.push((minutes, 1)),
            }
        }
        assert_eq!(runs, began, "{case}: {told:#?}");
    }
}

/// A gate that waits goes by `valid_until`, and time is told to the service a little later than it is.
#[test]
fn what_follows_a_freeze_is_said_before_its_end() {
    let by_evidence = |bad| regression(bad, 120, None);
    let mut by_incident = vec![incident("i", 5, "detected", 1)];
    by_incident.extend((6..260).map(|i| (i, Act::Event(minute("checkout", at(i), 1, None)))));
    let mut over_incident = vec![incident("i", 5, "detected", 1), word("w", 6, "freeze", 40)];
    over_incident.extend((7..60).map(|i| (i, Act::Event(minute("checkout", at(i), 1, None)))));
    for (case, script) in [
        ("renewed", by_evidence(300)),
        ("over", by_evidence(10)),
        ("an incident that nobody resolves", by_incident),
        ("a word over an incident", over_incident),
    ] {
        let mut driver = Driver::with_policy(ENFORCE);
        let mut freezes = 0;
        for (minutes, act) in script {
            let Act::Event(json) = act else { continue };
            driver.events(&[json], at(minutes));
            for second in (0..60).step_by(5) {
                let now = at(minutes) + seconds(second);
                driver.time(now);
                let newest = driver.decisions.last().expect("it was seen");
                let is_frozen = newest.action == Action::Freeze;
                freezes += u32::from(is_frozen);
                let told_late = now + seconds(5);
                assert!(
                    !is_frozen || newest.valid_until.is_some_and(|until| told_late < until),
                    "{case}: {second} s after {minutes} min: {newest:?}"
                );
            }
        }
        assert!(freezes > 0, "{case}");
    }
}

/// Resolving one of two opens nothing, nor does waiting for the end of the first.
#[test]
fn all_incidents_that_freeze_are_to_be_resolved() {
    let mut driver = Driver::with_policy(ENFORCE);
    for (id, minutes, severity) in [("i", 0, 2), ("j", 3, 1), ("k", 4, 3)] {
        let incident = format!(
            r#"{{"kind":"incident","id":"{id}","time":"{}","service":"checkout","environment":"production","incident_id":"{id}","status":"detected","severity":{severity}}}"#,
            at(minutes)
        );
        driver.events(&[incident], at(minutes));
        driver.time(at(minutes) + seconds(1));
    }
    let last = driver.decisions.last().expect("it is frozen");
    let until = at(3) + Duration::from_hours(4);
    let wait = format!("or wait: it ends {until}");
    assert_eq!(last.to_lift, ["resolve incidents j and i".into(), wait.into()]);
    assert_eq!((last.action, last.valid_until), (Action::Freeze, Some(until)));
    let reasons: Vec<&str> = last.reasons.iter().map(|reason| &*reason.text).collect();
    assert_eq!(
        reasons,
        ["incident j of severity 1 is open", "incident i of severity 2 is open"]
    );
}

/// A partition's time trails events: the fleet's answer comes at a time before that of the incident it is for. What is minutes
/// ahead is of a wrong clock, which dates nothing that follows.
#[test]
fn a_freeze_is_no_older_than_the_incident_it_is_for() {
    let now = at(1);
    let trailing = now + Duration::from_millis(700);
    for (time, frozen_at) in [(trailing, trailing), (at(5), now)] {
        let mut driver = Driver::with_policy(ENFORCE);
        driver.time(now);
        let incident = format!(
            r#"{{"kind":"incident","id":"i","time":"{time}","service":"checkout","environment":"production","incident_id":"i","status":"detected","severity":1}}"#
        );
        driver.events(&[incident], now);
        let told = driver.decisions.iter();
        let told: Vec<_> = told
            .map(|decision| (decision.action, decision.decided_at, decision.frozen_since))
            .collect();
        let expected = [
            (Action::Proceed, time, None),
            (Action::ExtraReview, time, None),
            (Action::Freeze, frozen_at, Some(frozen_at)),
        ];
        assert_eq!(told, expected);
    }
}

/// The fleet grants new freezes: what goes on with one that stands takes no other service's.
#[test]
fn further_incidents_of_a_frozen_service_go_on_with_its_freeze_and_take_no_grant() {
    let of = |service: &str, id: &str, minutes: i64, status: &str| {
        (
            minutes,
            Act::Event(format!(
                r#"{{"kind":"incident","id":"{id}-{status}","time":"{}","service":"{service}","incident_id":"{id}","status":"{status}","severity":1}}"#,
                at(minutes)
            )),
        )
    };
    let mut script: Vec<_> = (0..10)
        .map(|i| of("s00", &format!("i{i}"), 5 + 5 * i, "detected"))
        .collect();
    script.push(of("s01", "other", 54, "detected"));
    script.push(until(55));
    let told = play(ENFORCE, script);
    assert!(
        told.iter()
            .any(|line| line.starts_with("54") && line.contains("enforce freeze incident")),
        "{told:#?}"
    );
    assert!(!told.iter().any(|line| line.contains("limiter_withheld")), "{told:#?}");
    // Ten others take all there is, and then the first of two is resolved.
    let mut script = vec![of("s00", "a", 5, "detected")];
    script.extend((1..10).map(|i| of(&format!("s{i:02}"), &format!("i{i}"), 6, "detected")));
    script.push(of("s00", "b", 15, "detected"));
    script.push(of("s00", "a", 20, "resolved"));
    script.push(until(21));
    let told = play(ENFORCE, script);
    assert_eq!(
        told.last().map(String::as_str),
        Some("20 production#5 enforce freeze incident until 255"),
        "{told:#?}"
    );
}

/// Nobody who goes by decisions alone is let through before a person's freeze is over, however short it is.
#[test]
fn a_word_with_nothing_behind_it_stands_to_its_end() {
    let mut driver = Driver::with_policy(ENFORCE);
    let freeze = format!(
        r#"{{"kind":"override","id":"w","time":"{}","service":"checkout","environment":"production","effect":"freeze","until":"{}","reason":"r","by":"p"}}"#,
        at(1),
        at(1) + seconds(8)
    );
    driver.events(&[freeze], at(1));
    let actions: Vec<Action> = (0..12)
        .map(|second| {
            driver.time(at(1) + seconds(second));
            driver.decisions.last().expect("it was seen").action
        })
        .collect();
    let frozen = actions.iter().take_while(|action| **action == Action::Freeze).count();
    assert_eq!((frozen, actions[11]), (8, Action::Proceed), "{actions:?}");
}

#[test]
fn the_fleet_is_not_frozen_as_a_whole() {
    let mut script = Vec::new();
    for i in 0..12 {
        let time = at(5);
        script.push((5, Act::Event(format!(
            r#"{{"kind":"incident","id":"i{i}","time":"{time}","service":"s{i:02}","incident_id":"i{i}","status":"detected","severity":1}}"#
        ))));
    }
    script.push(until(7));
    script.push(until(80));
    let told = play(ENFORCE, script);
    let n = |what: &str| told.iter().filter(|line| line.contains(what)).count();
    assert_eq!(n("freeze"), 12, "ten at once, two when an hour has passed: {told:#?}");
    assert_eq!(n("5 production#3 enforce freeze"), 10);
    assert_eq!(n("5 production#3 enforce extra_review limiter_withheld"), 2);
}

/// Three services more each minute for ten minutes, and each incident is told again each minute: as many freezes begin in any
/// hour as the limit lets, those that wait say so, and each comes to its turn.
#[test]
fn a_storm_of_incidents_is_let_through_by_the_hour() {
    let mut script = Vec::new();
    for minute in 5..30 {
        for service in (0..30).filter(|service| minute >= 5 + service / 3) {
            let time = at(minute);
            script.push((minute, Act::Event(format!(
                r#"{{"kind":"incident","id":"i{service}-{minute}","time":"{time}","service":"s{service:02}","incident_id":"i{service}","status":"detected","severity":1}}"#
            ))));
        }
    }
    script.push(until(200));
    let driver = drive(ENFORCE, script);
    let of = |action: Action| {
        driver
            .decisions
            .iter()
            .filter(move |decision| decision.action == action)
    };
    // One that goes on says since when.
    let begins = |decision: &&Decision| decision.frozen_since == Some(decision.decided_at);
    let begun: BTreeMap<&str, i64> = of(Action::Freeze)
        .filter(begins)
        .map(|decision| {
            let minute = (decision.decided_at.millis() - at(0).millis()) / 60_000;
            (decision.subject.service().as_str(), minute)
        })
        .collect();
    assert_eq!(begun.len(), 30, "{begun:?}");
    assert_eq!(of(Action::Freeze).filter(begins).count(), 30, "each once: {begun:?}");
    for end in begun.values() {
        let within = begun.values().filter(|begun| (end - 59..=*end).contains(begun)).count();
        assert!(within <= 10, "{within} in the hour up to minute {end}: {begun:?}");
    }
    assert!(begun.values().all(|minute| *minute <= 130), "{begun:?}");
    // An extra review stands for an hour: ten say it once, and the ten that wait for a second one twice.
    let withheld = of(Action::ExtraReview).filter(|decision| &*decision.reasons[0].code == "limiter_withheld");
    assert_eq!(withheld.count(), 30, "{begun:?}");
}
