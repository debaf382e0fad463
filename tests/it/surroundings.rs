//! Several services that call each other: who is blamed, who is frozen, and who is not.

use holdpoint::model::{Action, Decision};

use crate::support::{Driver, at, deploy, minute, seconds};

/// Minutes of history before anything happens.
const HISTORY: i64 = 330;

/// What happens to a service from the end of the history on.
#[derive(Clone, Copy)]
struct Part {
    service: &'static str,
    depends_on: &'static [&'static str],
    /// Minutes after the history at which it deploys.
    deploys_at: Option<i64>,
    /// Minutes after the history from which on its errors are six times as many, and until when.
    rises_at: Option<i64>,
    falls_at: i64,
    /// From when to when they are so once more, and whether it begins with a second deploy.
    again: (i64, i64),
    deploys_again: bool,
    /// Minutes after the history at which its deploy is rolled back.
    rolled_back_at: Option<i64>,
    /// Whether it tells of errors at all.
    tells: bool,
    /// Errors a minute then.
    risen_to: u64,
    /// Minutes after the history at which an incident opens that freezes nothing.
    incident_at: Option<i64>,
}

const QUIET: Part = Part {
    service: "",
    depends_on: &[],
    deploys_at: None,
    rises_at: None,
    falls_at: i64::MAX,
    again: (i64::MAX, i64::MAX),
    deploys_again: false,
    rolled_back_at: None,
    tells: true,
    risen_to: 60,
    incident_at: None,
};

fn play(parts: &[Part], minutes: i64) -> Driver {
    play_after(HISTORY, parts, minutes)
}

/// The same after a history of so many minutes.
fn play_after(history: i64, parts: &[Part], minutes: i64) -> Driver {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    let catalog: Vec<String> = parts
        .iter()
        .map(|part| {
            let names: Vec<String> = part.depends_on.iter().map(|name| format!("\"{name}\"")).collect();
            format!(
                r#"{{"kind":"service","id":"c-{0}","time":"{1}","service":"{0}","depends_on":[{2}]}}"#,
                part.service,
                at(0),
                names.join(",")
            )
        })
        .collect();
    driver.events(&catalog, at(0));
    for i in 0..history + minutes {
        let mut events = Vec::new();
        for (n, part) in parts.iter().enumerate() {
            let jitter = u64::try_from((i * 7 + i64::try_from(n).expect("small") * 3) % 5).expect("small");
            let minute_after = i - history;
            let first = part.rises_at.unwrap_or(i64::MAX)..part.falls_at;
            let risen = first.contains(&minute_after) || (part.again.0..part.again.1).contains(&minute_after);
            if part.tells {
                events.push(minute(
                    part.service,
                    at(i),
                    if risen { part.risen_to } else { 8 } + jitter,
                    Some(6_000),
                ));
            }
            if part.deploys_at.is_some_and(|deploys_at| i == history + deploys_at) {
                events.push(deploy(
                    part.service,
                    &format!("d-{}", part.service),
                    at(i),
                    "started",
                    "",
                ));
            }
        }
        for part in parts
            .iter()
            .filter(|part| part.deploys_again && part.again.0 == i - history)
        {
            let id = format!("d-{}-2", part.service);
            events.push(deploy(part.service, &id, at(i), "started", ""));
        }
        for part in parts.iter().filter(|part| part.incident_at == Some(i - history)) {
            events.push(format!(
                r#"{{"kind":"incident","id":"i-{0}","time":"{1}","service":"{0}","incident_id":"i-{0}","status":"detected","severity":4}}"#,
                part.service,
                at(i)
            ));
        }
        for part in parts.iter().filter(|part| part.rolled_back_at == Some(i - history)) {
            events.push(deploy(
                part.service,
                &format!("d-{}", part.service),
                at(i),
                "rolled_back",
                "",
            ));
        }
        driver.events(&events, at(i));
        driver.time(at(i) + seconds(15));
        driver.time(at(i) + seconds(30));
    }
    driver
}

/// The actions published of a service after the history, each with its first reason and its first suspect.
fn told(driver: &Driver, service: &str) -> Vec<String> {
    let of_service = |decision: &&Decision| decision.subject.service().as_str() == service;
    let held = |decision: &&Decision| decision.action != Action::Proceed;
    let decisions = driver.decisions.iter().filter(of_service).filter(held);
    let mut told: Vec<String> = decisions
        .map(|decision| {
            let suspect = decision.suspects.first().map_or("nobody".to_owned(), |suspect| {
                suspect.deploy_id.as_deref().unwrap_or("background").to_owned()
            });
            format!("{} {} {suspect}", decision.action.name(), decision.reasons[0].code)
        })
        .collect();
    told.dedup();
    told
}

fn freezes(driver: &Driver, service: &str) -> usize {
    told(driver, service)
        .iter()
        .filter(|line| line.starts_with("freeze"))
        .count()
}

/// After how many minutes from the end of the history a service was frozen.
fn freeze_after(driver: &Driver, service: &str) -> Option<i64> {
    let of_service = |decision: &&Decision| decision.subject.service().as_str() == service;
    let mut decisions = driver.decisions.iter().filter(of_service);
    let freeze = decisions.find(|decision| decision.action == Action::Freeze)?;
    Some((freeze.decided_at.millis() - at(HISTORY).millis()).div_euclid(60_000))
}

const WEB: Part = Part {
    service: "web",
    depends_on: &["api"],
    ..QUIET
};
const API: Part = Part {
    service: "api",
    depends_on: &["db"],
    ..QUIET
};
const DB: Part = Part { service: "db", ..QUIET };
/// Its errors rise twenty minutes after a deploy of its own.
const SUFFERING_WEB: Part = Part {
    deploys_at: Some(-20),
    rises_at: Some(0),
    ..WEB
};
/// Its errors rise with its deploy.
const GUILTY_API: Part = Part {
    deploys_at: Some(0),
    rises_at: Some(0),
    ..API
};

#[test]
fn a_guilty_callee_is_frozen_and_its_caller_with_a_deploy_of_its_own_is_not() {
    for (case, web_deploys_at) in [("before", -20), ("at the same time", 0), ("after", 2)] {
        let web = Part {
            deploys_at: Some(web_deploys_at),
            rises_at: Some(0),
            ..WEB
        };
        let driver = play(&[web, GUILTY_API, DB], 30);
        assert_eq!(freezes(&driver, "web"), 0, "{case}: {:#?}", told(&driver, "web"));
        // One that came after the rise is not even asked about.
        let reviewed = if web_deploys_at > 0 {
            "extra_review evidence_elevated nobody"
        } else {
            "extra_review dependency_regression d-api"
        };
        assert!(
            told(&driver, "web").contains(&reviewed.to_owned()),
            "{case}: {:#?}",
            told(&driver, "web")
        );
        assert!(
            told(&driver, "api").contains(&"freeze deploy_regression d-api".to_owned()),
            "{case}: {:#?}",
            told(&driver, "api")
        );
    }
}

#[test]
fn a_callee_two_hops_away_is_found() {
    let web = Part {
        deploys_at: Some(-30),
        rises_at: Some(0),
        ..WEB
    };
    let api = Part {
        rises_at: Some(0),
        ..API
    };
    let db = Part {
        deploys_at: Some(0),
        rises_at: Some(0),
        ..DB
    };
    let driver = play(&[web, api, db], 30);
    assert_eq!(freezes(&driver, "web"), 0, "{:#?}", told(&driver, "web"));
    assert!(
        told(&driver, "web").contains(&"extra_review dependency_regression d-db".to_owned()),
        "{:#?}",
        told(&driver, "web")
    );
    assert!(told(&driver, "db").contains(&"freeze deploy_regression d-db".to_owned()));
}

#[test]
fn a_service_whose_own_deploy_it_is_is_frozen_whatever_its_callee_deploys() {
    for (case, api_deploys_at) in [("before", -20), ("at the same time", 0), ("after", 2)] {
        let web = Part {
            deploys_at: Some(0),
            rises_at: Some(0),
            ..WEB
        };
        let api = Part {
            deploys_at: Some(api_deploys_at),
            ..API
        };
        let driver = play(&[web, api, DB], 30);
        assert!(
            told(&driver, "web").contains(&"freeze deploy_regression d-web".to_owned()),
            "{case}: {:#?}",
            told(&driver, "web")
        );
        assert_eq!(freezes(&driver, "api"), 0, "{case}");
    }
}

/// Forty minutes after the deploy nobody can tell a late fault from an outage: it is frozen, and the deploy named first.
#[test]
fn a_late_fault_is_put_down_to_the_deploy() {
    let web = Part {
        deploys_at: Some(0),
        rises_at: Some(40),
        ..WEB
    };
    let driver = play(&[web, API, DB], 60);
    assert!(
        told(&driver, "web").contains(&"freeze deploy_regression d-web".to_owned()),
        "{:#?}",
        told(&driver, "web")
    );
}

#[test]
fn a_dependency_that_alarms_many_is_frozen_in_their_place() {
    let caller = |service| Part {
        service,
        depends_on: &["db"],
        deploys_at: Some(-25),
        rises_at: Some(0),
        ..QUIET
    };
    let silent_db = Part {
        deploys_at: Some(0),
        tells: false,
        ..DB
    };
    let driver = play(&[caller("a"), caller("b"), caller("c"), silent_db], 30);
    for service in ["a", "b", "c"] {
        assert_eq!(freezes(&driver, service), 0, "{:#?}", told(&driver, service));
        assert!(
            told(&driver, service).contains(&"extra_review dependency_regression d-db".to_owned()),
            "{:#?}",
            told(&driver, service)
        );
    }
    assert!(
        told(&driver, "db")
            .iter()
            .any(|line| line.starts_with("freeze dependents_regressed")),
        "{:#?}",
        told(&driver, "db")
    );
    // One that is well, as its own errors say, is not frozen for what others suffer.
    let healthy_db = Part {
        deploys_at: Some(-25),
        ..DB
    };
    let driver = play(&[caller("a"), caller("b"), caller("c"), healthy_db], 30);
    assert_eq!(freezes(&driver, "db"), 0, "{:#?}", told(&driver, "db"));
}

#[test]
fn those_that_call_each_other_in_a_circle_ask_and_answer_to_an_end() {
    let parts = [
        Part {
            service: "x",
            depends_on: &["y", "x"],
            deploys_at: Some(0),
            rises_at: Some(0),
            ..QUIET
        },
        Part {
            service: "y",
            depends_on: &["z"],
            deploys_at: Some(0),
            rises_at: Some(0),
            ..QUIET
        },
        Part {
            service: "z",
            depends_on: &["x", "y", "never-seen"],
            deploys_at: Some(0),
            rises_at: Some(0),
            ..QUIET
        },
    ];
    let driver = play(&parts, 20);
    let n: usize = ["x", "y", "z"].iter().map(|service| freezes(&driver, service)).sum();
    assert!(n > 0, "somebody is frozen");
}

/// The guilty callee recovers and the service does so with it: what was explained convicts nobody afterwards. What goes on
/// after that is the service's own.
#[test]
fn what_a_callee_explained_is_no_evidence_once_it_is_over() {
    let cases = [("it falls with it", 20, 0), ("it stays", i64::MAX, 1)];
    for (case, falls_at, frozen) in cases {
        let web = Part {
            falls_at,
            ..SUFFERING_WEB
        };
        let api = Part {
            falls_at: 20,
            rolled_back_at: Some(20),
            ..GUILTY_API
        };
        let driver = play(&[web, api, DB], 90);
        assert!(
            told(&driver, "web").contains(&"extra_review dependency_regression d-api".to_owned()),
            "{case}: {:#?}",
            told(&driver, "web")
        );
        assert_eq!(
            freezes(&driver, "web").min(1),
            frozen,
            "{case}: {:#?}",
            told(&driver, "web")
        );
    }
}

/// The callee is ill, well for longer than its freeze and the cool-down last, and ill again by its next deploy: it is frozen
/// both times, and who suffers from it, with a deploy of its own under watch, never.
#[test]
fn a_callee_that_falls_ill_again_is_frozen_again_and_its_caller_is_not() {
    let web = Part {
        falls_at: 20,
        again: (95, 115),
        ..SUFFERING_WEB
    };
    let api = Part {
        falls_at: 20,
        again: (95, 115),
        deploys_again: true,
        ..GUILTY_API
    };
    let driver = play(&[web, api, DB], 180);
    let told_of = |service| told(&driver, service).join("\n");
    let (web, api) = (told_of("web"), told_of("api"));
    assert!(!web.contains("freeze"), "{web}");
    for deploy in ["d-api\n", "d-api-2\n"] {
        assert!(
            web.contains(&format!("extra_review dependency_regression {deploy}")),
            "{web}"
        );
        assert!(api.contains(&format!("freeze deploy_regression {deploy}")), "{api}");
    }
    assert_eq!(freezes(&driver, "api"), 2, "{api}");
}

/// What suffered is let go soon after what it suffered from is well, though that learned of its own trouble how much its
/// errors scatter: nothing watched it.
#[test]
fn who_recovers_with_its_callee_is_let_go_within_half_an_hour() {
    let web = Part {
        falls_at: 22,
        ..SUFFERING_WEB
    };
    let api = Part {
        rises_at: Some(0),
        falls_at: 20,
        ..API
    };
    let driver = play(&[web, api, DB], 60);
    let of_web = |decision: &&Decision| decision.subject.service().as_str() == "web";
    let last = driver.decisions.iter().rfind(of_web).expect("it was held");
    assert!(
        last.action == Action::Proceed && last.decided_at < at(HISTORY + 50) && freezes(&driver, "web") == 0,
        "{last:#?}"
    );
}

/// A callee that fails without a deploy fell ill when its errors rose, and not when somebody opened an incident for it: who
/// is convicted ten minutes later suffers from it.
#[test]
fn a_callee_with_an_incident_fell_ill_when_its_errors_rose() {
    for incident_at in [None, Some(3)] {
        let web = Part {
            risen_to: 15,
            ..SUFFERING_WEB
        };
        let api = Part {
            rises_at: Some(0),
            incident_at,
            ..API
        };
        let driver = play(&[web, api, DB], 60);
        let told = told(&driver, "web");
        assert!(
            told.contains(&"extra_review dependency_regression background".to_owned()) && freezes(&driver, "web") == 0,
            "{incident_at:?}: {told:#?}"
        );
    }
}

/// A deploy that was taken back while others were blamed is frozen for by nobody.
#[test]
fn nobody_is_frozen_for_a_deploy_that_was_taken_back_meanwhile() {
    let web = Part {
        rolled_back_at: Some(10),
        ..SUFFERING_WEB
    };
    let api = Part {
        falls_at: 15,
        rolled_back_at: Some(15),
        ..GUILTY_API
    };
    let driver = play(&[web, api, DB], 60);
    assert_eq!(freezes(&driver, "web"), 0, "{:#?}", told(&driver, "web"));
}

/// A callee that deployed close to the rise and tells nothing of itself may yet turn out to be why: for five minutes.
#[test]
fn a_service_in_doubt_waits_five_minutes_for_its_callee() {
    let frozen_after = |api_deploys_at: Option<i64>| {
        let api = Part {
            deploys_at: api_deploys_at,
            tells: false,
            ..API
        };
        let driver = play(&[SUFFERING_WEB, api, DB], 30);
        freeze_after(&driver, "web").expect("it is frozen in the end")
    };
    let (at_once, in_doubt) = (frozen_after(None), frozen_after(Some(0)));
    assert!(
        (5..=6).contains(&(in_doubt - at_once)),
        "frozen after {at_once} and after {in_doubt} minutes"
    );
}

/// A callee that deployed with the rise, had its five minutes and is well is not named before the own deploy that is frozen.
#[test]
fn a_callee_that_stays_well_is_named_after_the_own_deploy() {
    let api = Part {
        deploys_at: Some(0),
        ..API
    };
    let web = Part {
        deploys_at: Some(-60),
        ..SUFFERING_WEB
    };
    let driver = play(&[web, api, DB], 30);
    let told = told(&driver, "web");
    let frozen = told.iter().find(|line| line.starts_with("freeze"));
    assert_eq!(
        frozen.map(String::as_str),
        Some("freeze deploy_regression d-web"),
        "{told:#?}"
    );
}

/// A history, and an hour after it, of a service and of what it calls: what they tell in a minute after the history, and
/// when they deploy.
fn caller_and_callee(tell: impl Fn(i64) -> Vec<String>, deploys: [(&str, i64); 2]) -> Driver {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    let catalog = r#""kind":"service","id":"c","service":"web","depends_on":["api"]"#;
    driver.events(&[format!(r#"{{{catalog},"time":"{}"}}"#, at(0))], at(0));
    for i in 0..HISTORY + 60 {
        let minute_after = i - HISTORY;
        let mut events = tell(minute_after);
        for (service, deploys_at) in deploys {
            if minute_after == deploys_at {
                events.push(deploy(service, &format!("d-{service}"), at(i), "started", ""));
            }
        }
        driver.events(&events, at(i));
        driver.time(at(i) + seconds(15));
        driver.time(at(i) + seconds(30));
    }
    driver
}

/// A callee that tells five minutes at a time shows its rise one of its own steps after who suffers from it.
#[test]
fn a_callee_that_tells_every_five_minutes_may_show_its_rise_later() {
    let tell = |after: i64| {
        let i = HISTORY + after;
        let jitter = u64::try_from(i * 7 % 5).expect("small");
        let risen = if after >= 0 { 16 } else { 8 };
        let mut events = vec![minute("web", at(i), risen + jitter, Some(6_000))];
        if i % 5 == 4 {
            let errors = if after >= 10 { 400 } else { 40 } + jitter;
            let record = minute("api", at(i), errors, Some(30_000));
            events.push(record.replace("60000", "300000"));
        }
        events
    };
    let driver = caller_and_callee(tell, [("web", -20), ("api", 4)]);
    assert_eq!(freezes(&driver, "web"), 0, "{:#?}", told(&driver, "web"));
    assert_eq!(freezes(&driver, "api"), 1, "{:#?}", told(&driver, "api"));
}

/// A callee is frozen, and its errors are half above the usual ones from the ninth minute on: it is not well for that.
#[test]
fn a_callee_in_a_lull_of_its_freeze_is_still_ill() {
    let tell = |after: i64| {
        let i = HISTORY + after;
        let jitter = u64::try_from(i * 7 % 5).expect("small");
        let (web, api) = match after {
            ..0 => (8, 8),
            0..8 => (18, 60),
            8.. => (18, 14),
        };
        [("web", web), ("api", api)]
            .map(|(service, errors)| minute(service, at(i), errors + jitter, Some(6_000)))
            .to_vec()
    };
    let driver = caller_and_callee(tell, [("web", -20), ("api", 0)]);
    assert_eq!(freezes(&driver, "web"), 0, "{:#?}", told(&driver, "web"));
    assert_eq!(freezes(&driver, "api"), 1, "{:#?}", told(&driver, "api"));
}

/// What nothing holds explains for no longer than the longest freeze, however ill it still is.
#[test]
fn a_callee_that_is_not_held_explains_for_four_hours_at_most() {
    let api = Part {
        rises_at: Some(0),
        risen_to: 6_000,
        ..API
    };
    let driver = play(&[SUFFERING_WEB, api, DB], 270);
    assert_eq!(freezes(&driver, "api"), 0, "{:#?}", told(&driver, "api"));
    let after = freeze_after(&driver, "web").expect("it is frozen in the end");
    assert!((235..260).contains(&after), "frozen after {after} minutes");
}

/// A callee that nobody deployed fails for three hours: after two the hours before have made that usual of it.
#[test]
fn a_callee_that_fails_for_hours_is_ill_all_the_while() {
    let (web, api) = (SUFFERING_WEB, API);
    let parts = [
        Part { falls_at: 183, ..web },
        Part {
            rises_at: Some(0),
            falls_at: 180,
            ..api
        },
        DB,
    ];
    let driver = play_after(49 * 60, &parts, 240);
    assert_eq!(freezes(&driver, "web"), 0, "{:#?}", told(&driver, "web"));
    assert!(
        told(&driver, "api").contains(&"extra_review errors_go_on nobody".to_owned()),
        "{:#?}",
        told(&driver, "api")
    );
}

/// A callee that is frozen for its errors, or whose errors have outlasted its freeze, explains those of its callers as long as
/// they last; a deploy there in between is no new trouble. Who goes on when the callee is back is judged anew.
#[test]
fn a_callee_that_is_held_explains_for_as_long_as_its_errors_go_on() {
    const BACK_AT: i64 = 420;
    let web = Part {
        falls_at: BACK_AT + 3,
        ..SUFFERING_WEB
    };
    for again in [i64::MAX, 245] {
        let api = Part {
            falls_at: BACK_AT,
            again: (again, BACK_AT),
            deploys_again: true,
            ..GUILTY_API
        };
        let driver = play(&[web, api, DB], BACK_AT + 60);
        let case = format!("deployed again at {again}");
        assert_eq!(freezes(&driver, "web"), 0, "{case}: {:#?}", told(&driver, "web"));
        assert!(freezes(&driver, "api") > 0, "{case}: {:#?}", told(&driver, "api"));
    }
    let api = Part {
        falls_at: BACK_AT,
        ..GUILTY_API
    };
    let driver = play(&[SUFFERING_WEB, api, DB], BACK_AT + 40);
    let after = freeze_after(&driver, "web").expect("it is frozen in the end");
    assert!((BACK_AT..BACK_AT + 30).contains(&after), "frozen after {after} minutes");
}

/// It is named hours after its watch and its freeze are over, to who is deployed meanwhile.
#[test]
fn a_deploy_whose_errors_outlast_its_freeze_is_still_named_to_callers() {
    let web = Part {
        deploys_at: Some(300),
        rises_at: Some(310),
        ..WEB
    };
    let driver = play(&[web, GUILTY_API, DB], 340);
    let told = told(&driver, "web");
    assert_eq!(
        told.last().map(String::as_str),
        Some("extra_review dependency_regression d-api"),
        "{told:#?}"
    );
}

/// However long they go on.
#[test]
fn a_deploy_into_trouble_is_not_convicted_of_it() {
    let web = Part {
        deploys_at: Some(10),
        rises_at: Some(0),
        ..WEB
    };
    let driver = play(&[web, API, DB], 6 * 60);
    assert_eq!(freezes(&driver, "web"), 0, "{:#?}", told(&driver, "web"));
}

/// Errors that had risen before a deploy are not its own; that it is told late does not make it one that came late.
#[test]
fn a_deploy_told_late_is_judged_and_one_that_came_late_is_not() {
    for (case, deployed_at, frozen) in [("told late", 0, 1), ("came late", 6, 0)] {
        let mut driver = Driver::with_policy("mode = \"enforce\"\n");
        for i in 0..HISTORY + 40 {
            let risen = i >= HISTORY;
            let jitter = u64::try_from(i * 7 % 5).expect("small");
            let mut events = vec![minute("web", at(i), if risen { 60 } else { 8 } + jitter, Some(6_000))];
            // Told six minutes after the rise in both cases.
            if i == HISTORY + 6 {
                events.push(deploy("web", "d-web", at(HISTORY + deployed_at), "started", ""));
            }
            driver.events(&events, at(i));
            driver.time(at(i) + seconds(15));
            driver.time(at(i) + seconds(30));
        }
        assert_eq!(
            freezes(&driver, "web").min(1),
            frozen,
            "{case}: {:#?}",
            told(&driver, "web")
        );
    }
}

/// What suffers goes on for some minutes after what it suffered from is well: what was seen before convicts nobody meanwhile.
#[test]
fn who_recovers_later_than_its_callee_is_judged_by_what_follows() {
    let web = Part {
        falls_at: 27,
        ..SUFFERING_WEB
    };
    let api = Part {
        rises_at: Some(0),
        falls_at: 20,
        ..API
    };
    let driver = play(&[web, api, DB], 60);
    assert_eq!(freezes(&driver, "web"), 0, "{:#?}", told(&driver, "web"));
}

/// The web is deployed, and forty minutes later its errors rise for half an hour: so many a minute more than usual, told with
/// what `kind` says, where usual ones are told with `usual`.
fn rise_of(usual: &str, (more, kind): (i64, &str)) -> Driver {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    let catalog = r#""kind":"service","id":"c","service":"web","depends_on":["api"]"#;
    driver.events(&[format!(r#"{{{catalog},"time":"{}"}}"#, at(0))], at(0));
    for i in 0..HISTORY + 330 {
        let record = |what: &str, count: i64, kind: &str| {
            format!(
                r#"{{"kind":"error","id":"{what}-{i}","time":"{}","service":"web","environment":"production","count":{count},"interval_ms":60000{kind}}}"#,
                at(i)
            )
        };
        let mut events = vec![record("usual", 8 + i * 7 % 5, usual)];
        if (40..70).contains(&(i - HISTORY)) {
            events.push(record("more", more, kind));
        }
        if i == HISTORY {
            events.push(deploy("web", "d-web", at(i), "started", ""));
        }
        driver.events(&events, at(i));
        driver.time(at(i) + seconds(15));
        driver.time(at(i) + seconds(30));
    }
    driver
}

#[test]
fn errors_say_themselves_where_they_come_from() {
    for (case, kind, expected) in [
        ("nothing is said", "", "freeze deploy_regression d-web"),
        (
            "a kind that was never seen",
            r#","fingerprint":"NullPointer""#,
            "freeze deploy_regression d-web",
        ),
        (
            "the usual kind",
            r#","fingerprint":"Timeout""#,
            "freeze deploy_regression background",
        ),
        (
            "another than it calls",
            r#","upstream":"mail""#,
            "freeze deploy_regression background",
        ),
        (
            "what it calls",
            r#","fingerprint":"NullPointer","upstream":"api""#,
            "extra_review dependency_regression background",
        ),
    ] {
        let driver = rise_of(r#","fingerprint":"Timeout""#, (50, kind));
        let told = told(&driver, "web");
        assert!(told.iter().any(|line| line == expected), "{case}: {told:#?}");
        let is_frozen = told.iter().any(|line| line.starts_with("freeze"));
        assert_eq!(is_frozen, expected.starts_with("freeze"), "{case}: {told:#?}");
    }
    // It is over soon after the callee's trouble is, also where usual errors are the callee's.
    for usual in ["", r#","upstream":"api""#] {
        let driver = rise_of(usual, (50, r#","upstream":"api""#));
        assert_eq!(freezes(&driver, "web"), 0, "{usual}");
        let last = driver.decisions.last().expect("it was held");
        let after = last.decided_at.since(at(HISTORY + 70));
        assert_eq!(last.action, Action::Proceed, "{usual}");
        assert!(after <= seconds(40 * 60), "{usual}: {after:?}");
    }
    // A gateway's usual errors are its callees'.
    let driver = rise_of(r#","upstream":"api","requests":6000"#, (18, ""));
    let told = told(&driver, "web");
    assert!(told.contains(&"freeze deploy_regression d-web".to_owned()), "{told:#?}");
}

/// A deploy is taken back while its service asks one that never answers: the next deploy is judged all the same.
#[test]
fn a_deploy_taken_back_while_it_is_asked_about_leaves_no_question_behind() {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    let catalog = r#""kind":"service","id":"c","service":"web","depends_on":["api","never-seen"]"#;
    driver.events(&[format!(r#"{{{catalog},"time":"{}"}}"#, at(0))], at(0));
    for i in 0..HISTORY + 60 {
        let after = i - HISTORY;
        let jitter = u64::try_from(i * 7 % 5).expect("small");
        let (web, api) = match after {
            0..20 => (40, 60),
            30.. => (60, 8),
            _ => (8, 8),
        };
        let mut events = [("web", web), ("api", api)]
            .map(|(service, errors)| minute(service, at(i), errors + jitter, Some(6_000)))
            .to_vec();
        let deploys = [
            ("web", "d-0", -20),
            ("web", "d-1", 0),
            ("api", "d-api", 0),
            ("web", "d-2", 30),
        ];
        for (service, deploy_id, deployed_at) in deploys {
            if after == deployed_at {
                events.push(deploy(service, deploy_id, at(i), "started", ""));
            }
        }
        driver.events(&events, at(i));
        driver.time(at(i) + seconds(15));
        // Two seconds after its step closed and it asked once more.
        if after == 10 {
            let taken_back = deploy("web", "d-1", at(i) + seconds(17), "rolled_back", "");
            driver.events(&[taken_back], at(i) + seconds(17));
        }
        driver.time(at(i) + seconds(30));
    }
    let told = told(&driver, "web");
    assert!(told.contains(&"freeze deploy_regression d-2".to_owned()), "{told:#?}");
}
