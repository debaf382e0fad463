//! When a deploy freezes its service, and when it does not.

use holdpoint::model::{Action, Evidence, Mode};

use crate::support::{Driver, at, deploy, minute, seconds};

/// Minutes of history before the deploy, errors before and after it, how many minutes after; then whether it freezes.
struct Case {
    name: &'static str,
    history: i64,
    usual: u64,
    after: u64,
    requests: Option<u64>,
    freezes: bool,
}

fn run(case: &Case) -> Driver {
    run_under("mode = \"enforce\"\n", case)
}

fn run_under(policy: &str, case: &Case) -> Driver {
    let mut driver = Driver::with_policy(policy);
    for i in 0..case.history + 60 {
        let jitter = u64::try_from(i * 7 % 5).expect("small");
        let errors = if i < case.history {
            case.usual + jitter
        } else {
            case.after + jitter
        };
        let time = at(i);
        let mut events = vec![minute("checkout", time, errors, case.requests)];
        if i == case.history {
            events.push(deploy("checkout", "d-81", time, "started", ""));
        }
        driver.events(&events, time);
        driver.time(time + seconds(30));
    }
    driver
}

#[test]
fn a_deploy_freezes_its_service_when_errors_multiply_and_only_then() {
    let cases = [
        ("six times with requests", 330, (8, 60), Some(6_000), true),
        ("six times without requests", 330, (8, 60), None, true),
        ("as before", 330, (8, 8), Some(6_000), false),
        ("a little more", 330, (8, 9), Some(6_000), false),
        ("too short a history", 200, (8, 60), Some(6_000), false),
        ("rare errors", 600, (1, 12), None, true),
        ("twice at a time of day never seen", 330, (8, 19), None, false),
        ("the same a day later", 330 + 1_440, (8, 19), None, true),
    ];
    for (name, history, (usual, after), requests, freezes) in cases {
        let case = Case {
            name,
            history,
            usual,
            after,
            requests,
            freezes,
        };
        let driver = run(&case);
        let frozen: Vec<_> = driver
            .decisions
            .iter()
            .filter(|decision| decision.action == Action::Freeze)
            .collect();
        assert_eq!(
            !frozen.is_empty(),
            case.freezes,
            "{}: {:#?}",
            case.name,
            driver.partition.report("checkout")
        );
        if let Some(freeze) = frozen.first() {
            let minutes = freeze.decided_at.since(at(case.history)).as_secs() / 60;
            assert!(minutes <= 15, "{}: after {minutes} minutes", case.name);
            assert_eq!(freeze.mode, Mode::Enforce);
            assert!(freeze.valid_until.is_some_and(|until| until > freeze.decided_at));
            assert_eq!(freeze.suspects[0].deploy_id.as_deref(), Some("d-81"), "{}", case.name);
        }
    }
}

/// Without a margin there is nothing to double, so that the margin tells nothing of requests.
#[test]
fn a_freeze_says_whether_errors_were_held_against_requests_also_without_a_margin() {
    for (requests, how) in [
        (Some(6_000), "(per request)"),
        (None, "(per minute, requests not known)"),
    ] {
        let case = Case {
            name: how,
            history: 330 + 1_440,
            usual: 8,
            after: 60,
            requests,
            freezes: true,
        };
        let driver = run_under("mode = \"enforce\"\nfreeze.margin = 0\n", &case);
        let freeze = driver
            .decisions
            .iter()
            .find(|decision| decision.action == Action::Freeze)
            .expect(how);
        assert!(freeze.reasons[0].text.contains(how), "{}", freeze.reasons[0].text);
    }
}

/// Five and a half hours of 8 to 12 errors a minute; then, minute by minute, errors and requests, with events of a
/// deploy at the beginning of one. Tells the minutes after which it was frozen, and whether anything but proceed still stands at the end.
fn after(minutes: &[(u64, u64)], deploys: &[(usize, &str, &str)]) -> (Option<u64>, bool) {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    for i in 0..330 {
        let jitter = u64::try_from(i * 7 % 5).expect("small");
        driver.events(&[minute("checkout", at(i), 8 + jitter, Some(6_000))], at(i));
        driver.time(at(i) + seconds(30));
    }
    for ((i, (errors, requests)), time) in minutes.iter().enumerate().zip(330..) {
        let mut events = vec![minute("checkout", at(time), *errors, Some(*requests))];
        for (_, status, more) in deploys.iter().filter(|(at, ..)| *at == i) {
            events.push(deploy("checkout", "d-81", at(time - 1), status, more));
        }
        driver.events(&events, at(time));
        driver.time(at(time) + seconds(30));
    }
    let frozen = driver
        .decisions
        .iter()
        .find(|decision| decision.action == Action::Freeze);
    let last = driver.decisions.last().expect("it was seen");
    (
        frozen.map(|freeze| freeze.decided_at.since(at(330)).as_secs() / 60),
        last.action != Action::Proceed,
    )
}

#[test]
fn a_deploy_during_a_freeze_is_not_convicted_of_what_it_is_for() {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    for i in 0..560 {
        let jitter = u64::try_from(i * 7 % 5).expect("small");
        let errors = if (330..370).contains(&i) { 60 } else { 8 };
        let mut events = vec![minute("checkout", at(i), errors + jitter, Some(6_000))];
        match i {
            330 => events.push(deploy("checkout", "d-81", at(i), "started", "")),
            350 => events.push(deploy("checkout", "d-82", at(i), "started", "")),
            _ => {}
        }
        driver.events(&events, at(i));
        driver.time(at(i) + seconds(30));
    }
    let actions: Vec<Action> = driver.decisions.iter().map(|decision| decision.action).collect();
    let begins = actions
        .windows(2)
        .filter(|pair| pair[0] != Action::Freeze && pair[1] == Action::Freeze);
    assert_eq!(begins.count(), 1, "{actions:?}");
    assert_eq!(actions.last(), Some(&Action::Proceed));
}

#[test]
fn the_minute_of_a_restart_convicts_only_what_is_beyond_doubt() {
    let usual = |n: usize| vec![(10, 6_000); n];
    let started = [(0, "started", "")];
    let burst = [vec![(40, 6_000)], usual(30)].concat();
    assert_eq!(
        after(&burst, &started),
        (None, false),
        "four times as many, for a minute"
    );
    let restart = [vec![(100, 6_000)], usual(30)].concat();
    let (frozen, _) = after(&restart, &started);
    assert_eq!(frozen, None, "as many as instances that restart make");
    let ruin = [vec![(3_000, 6_000)], usual(5)].concat();
    assert_eq!(after(&ruin, &started), (Some(1), true), "half of all requests");
    let canary: Vec<(usize, &str, String)> = (0_u8..60)
        .map(|i| {
            (
                usize::from(i),
                "progressing",
                format!(r#","exposure":{}"#, 0.01 * f64::from(i + 1)),
            )
        })
        .collect();
    let canary: Vec<(usize, &str, &str)> = canary
        .iter()
        .map(|(i, status, more)| (*i, *status, more.as_str()))
        .collect();
    let (frozen, _) = after(&vec![(60, 6_000); 30], &canary);
    assert!(
        frozen.is_some_and(|minutes| minutes <= 12),
        "a stage each minute hides nothing: {frozen:?}"
    );
    let dark = [
        (0, "started", r#","exposure":0"#),
        (30, "progressing", r#","exposure":0.1"#),
    ];
    let burst = [usual(30), vec![(40, 6_000)], usual(30)].concat();
    assert_eq!(after(&burst, &dark), (None, false), "the restart is when traffic comes");
}

/// Two deploys, at minute 330 and half an hour later. Whether the first one's watch is frozen for by what comes then.
#[test]
fn a_restart_convicts_no_earlier_deploy_either_and_hides_no_fault_of_it() {
    let two_deploys = |from: usize, errors: &[u64]| {
        let mut driver = Driver::with_policy("mode = \"enforce\"\n");
        for i in 0..400_usize {
            let minute_of = i64::try_from(i).expect("small");
            let time = at(minute_of);
            let told = i.checked_sub(from).and_then(|n| errors.get(n)).copied().unwrap_or(10);
            let mut events = vec![minute("checkout", time, told, Some(6_000))];
            match i {
                330 => events.push(deploy("checkout", "d-81", at(minute_of - 1), "started", "")),
                360 => events.push(deploy("checkout", "d-82", at(minute_of - 1), "started", "")),
                _ => {}
            }
            driver.events(&events, time);
            driver.time(time + seconds(30));
        }
        let mut decisions = driver.decisions.iter();
        let frozen = decisions.find(|decision| decision.action == Action::Freeze);
        frozen.map(|freeze| freeze.decided_at.since(at(0)).as_secs() / 60)
    };
    assert_eq!(two_deploys(360, &[60]), None, "as many as instances that restart make");
    let of_the_first = two_deploys(340, &[60; 60]);
    assert!(
        of_the_first.is_some_and(|minute| minute < 350),
        "errors of the first: {of_the_first:?}"
    );
    let late = two_deploys(357, &[30; 43]);
    assert_eq!(late, Some(361), "a rise that was there before is judged in full");
}

#[test]
fn attempts_that_are_fewer_than_errors_convict_nobody() {
    let minutes = [(10, 0), (9, 2), (11, 0), (10, 0), (10, 0)];
    assert_eq!(after(&minutes, &[(0, "started", "")]), (None, false));
}

/// A deploy at minute 330 of rare errors, then a quarter of an hour in which each minute brings `records` of a kind of
/// 300 errors, of so many clients each. Whether it freezes.
fn storms(records: u64, affected: u64) -> bool {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    for i in 0..345 {
        let usual = u64::from(i % 3 == 0);
        let mut events = vec![minute("checkout", at(i), usual, None)];
        if i == 330 {
            events.push(deploy("checkout", "d-81", at(i), "started", ""));
        }
        for n in (0..records).filter(|_| i >= 330) {
            let time = at(i) + seconds(n * 60 / records);
            events.push(format!(
                r#"{{"kind":"error","id":"storm-{i}-{n}","time":"{time}","service":"checkout","environment":"production","count":300,"affected":{affected},"fingerprint":"loop"}}"#
            ));
        }
        driver.events(&events, at(i) + seconds(59));
        driver.time(at(i + 1));
    }
    driver
        .decisions
        .iter()
        .any(|decision| decision.action == Action::Freeze)
}

/// One client in a loop is told of every ten seconds, and by three instances; when every client loops, it is no noise.
#[test]
fn the_storm_of_one_client_freezes_nothing_however_often_it_is_told() {
    for (name, records, affected, freezes) in [
        ("one client, six times a minute", 6, 1, false),
        ("one client, by three instances", 18, 1, false),
        ("many clients in each record", 6, 40, true),
        ("many clients, each in a record of its own", 90, 1, true),
    ] {
        assert_eq!(storms(records, affected), freezes, "{name}");
    }
}

/// Errors of two usual kinds; from a deploy on, a third one beside them, minute by minute. What the first decision of a
/// code says, as text, fingerprint and share.
fn kinds(new: u64, code: &str) -> (String, Evidence, Evidence) {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    for i in 0..345 {
        let mut events = Vec::new();
        if i == 330 {
            events.push(deploy("checkout", "d-81", at(i), "started", ""));
        }
        let usual = [("Timeout@Stock.reserve", 5 + i % 3), ("Refused@Card.charge", 4)];
        let fault = ("NullPointer@Cart.total", i64::try_from(new).expect("small"));
        for (kind, count) in usual.into_iter().chain((i >= 330).then_some(fault)) {
            events.push(format!(
                r#"{{"kind":"error","id":"{kind}-{i}","time":"{}","service":"checkout","environment":"production","count":{count},"interval_ms":60000,"fingerprint":"{kind}"}}"#,
                at(i)
            ));
        }
        driver.events(&events, at(i));
        driver.time(at(i) + seconds(30));
    }
    let reasons = driver.decisions.iter().flat_map(|decision| &decision.reasons);
    let reason = reasons.into_iter().find(|reason| &*reason.code == code);
    let reason = reason.unwrap_or_else(|| panic!("{code}: {:#?}", driver.decisions));
    let told = |key| reason.evidence.get(key).cloned().unwrap_or(Evidence::Count(0));
    (
        reason.text.clone().into(),
        told("fingerprint"),
        told("fingerprint_share"),
    )
}

#[test]
fn a_freeze_and_a_review_by_evidence_name_the_fingerprint_that_most_errors_are_of() {
    for (new, code) in [(60, "deploy_regression"), (18, "evidence_elevated")] {
        let (text, fingerprint, share) = kinds(new, code);
        assert_eq!(fingerprint, Evidence::Text("NullPointer@Cart.total".into()), "{text}");
        let Evidence::Number(share) = share else {
            panic!("{share:?}")
        };
        // 10 usual errors beside the new ones, and some of the minutes before.
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a small count")]
        let truth = new as f64 / (new as f64 + 10.0);
        assert!(share > truth - 0.15 && share <= truth + 0.005, "{share} of {truth}");
        let percent = format!(
            "about {:.0} % of them are of fingerprint NullPointer@Cart.total",
            share * 100.0
        );
        assert!(text.ends_with(&percent), "{text}");
    }
}
