//! Watches of deploys: which steps they see, and what they teach when they are over.

use holdpoint::{
    model::{Action, Offset, Subject},
    score::{Partition, Said, WatchVerdict},
};

use crate::support::{Driver, at, deploy, minute, seconds};

/// Minutes of history before anything happens.
const HISTORY: i64 = 330;

/// A service's history and a deploy at its end, with 8 errors of 6,000 requests a minute.
fn deployed(policy: &str) -> Driver {
    let mut driver = Driver::with_policy(policy);
    for i in 0..HISTORY {
        tell(&mut driver, i, 8);
        driver.time(at(i) + seconds(15));
    }
    driver.events(&[deploy("web", "d-web", at(HISTORY), "started", "")], at(HISTORY));
    driver
}

fn tell(driver: &mut Driver, i: i64, errors: u64) {
    let jitter = u64::try_from(i * 7 % 5).expect("small");
    driver.events(&[minute("web", at(i), errors + jitter, Some(6_000))], at(i));
}

/// The watches that are over, and how many steps each saw.
fn closed(driver: &Driver) -> Vec<(&str, WatchVerdict, u32)> {
    let closed = driver.said.iter().filter_map(|said| match said {
        Said::Closed(watch) => Some((&*watch.deploy_id, watch.verdict, u32::from(watch.n_steps))),
        Said::Decision(_) | Said::Forget(_) | Said::Scored(_) | Said::Message(_) => None,
    });
    closed.collect()
}

/// The minute at which a quiet watch is over.
fn end_of_watch() -> i64 {
    let mut driver = deployed("");
    let over_at = (HISTORY..HISTORY + 300).find(|i| {
        tell(&mut driver, *i, 8);
        driver.time(at(*i) + seconds(15));
        !closed(&driver).is_empty()
    });
    over_at.expect("a watch ends")
}

/// Errors rise a minute after the watch is over. Time jumps over that minute, as when an instance was held up.
#[test]
fn a_jump_of_time_judges_no_watch_beyond_its_last_step() {
    let over_at = end_of_watch();
    let mut driver = deployed("mode = \"enforce\"\n");
    for i in HISTORY..=over_at {
        tell(&mut driver, i, 8);
        driver.time(at(i) + seconds(15));
    }
    let seen = closed(&driver)[0];
    assert_eq!((seen.0, seen.1), ("d-web", WatchVerdict::Healthy));

    let mut driver = deployed("mode = \"enforce\"\n");
    for i in HISTORY..over_at + 6 {
        tell(&mut driver, i, if i <= over_at { 8 } else { 2_000 });
        if i < over_at - 1 {
            driver.time(at(i) + seconds(15));
        }
    }
    driver.time(at(over_at + 6));
    assert_eq!(closed(&driver), [seen]);
}

/// Whether the deploy of `web` was found guilty, which must be the same as whether something was frozen.
fn is_convicted_and_frozen(driver: &Driver, rise_at: i64) -> bool {
    let verdict = closed(driver)
        .into_iter()
        .find(|(id, ..)| *id == "d-web")
        .expect("over")
        .1;
    let mut actions = driver.decisions.iter().map(|decision| decision.action);
    let frozen = actions.any(|action| action == Action::Freeze);
    assert_eq!(verdict == WatchVerdict::Regressed, frozen, "from minute {rise_at}");
    frozen
}

/// Whatever the step in which errors suffice, the last one too: a deploy that was found guilty is frozen for.
#[test]
fn a_deploy_convicted_in_the_last_step_of_its_watch_is_frozen_for() {
    let over_at = end_of_watch();
    let mut convicted = 0;
    for rise_at in over_at - 9..=over_at {
        let mut driver = deployed("mode = \"enforce\"\n");
        for i in HISTORY..over_at + 3 {
            tell(&mut driver, i, if i < rise_at { 8 } else { 80 });
            driver.time(at(i) + seconds(15));
        }
        convicted += u32::from(is_convicted_and_frozen(&driver, rise_at));
    }
    assert!((1..10).contains(&convicted), "some rise too late: {convicted}");
}

/// The same where a callee was deployed as the errors rose, so that it is in doubt for some minutes whose they are.
#[test]
fn a_deploy_convicted_in_the_last_step_of_its_watch_is_frozen_for_when_its_callee_is_heard() {
    let over_at = end_of_watch();
    let told_of = |driver: &mut Driver, i: i64, errors: u64| {
        tell(driver, i, errors);
        driver.events(&[minute("api", at(i), 3, Some(6_000))], at(i));
        driver.time(at(i) + seconds(15));
        driver.time(at(i) + seconds(30));
    };
    let mut convicted = 0;
    for rise_at in over_at - 9..=over_at {
        let mut driver = Driver::with_policy("mode = \"enforce\"\n");
        let catalog = r#""kind":"service","id":"c","service":"web","depends_on":["api"]"#;
        driver.events(&[format!(r#"{{{catalog},"time":"{}"}}"#, at(0))], at(0));
        for i in 0..over_at + 12 {
            match i {
                HISTORY => driver.events(&[deploy("web", "d-web", at(i), "started", "")], at(i)),
                _ if i == rise_at => driver.events(&[deploy("api", "d-api", at(i), "started", "")], at(i)),
                _ => {}
            }
            told_of(&mut driver, i, if i < rise_at { 8 } else { 80 });
        }
        convicted += u32::from(is_convicted_and_frozen(&driver, rise_at));
    }
    assert!((1..10).contains(&convicted), "some rise too late: {convicted}");
}

/// Nobody takes back what is well, whatever was seen by then.
#[test]
fn a_deploy_that_was_taken_back_is_not_healthy() {
    for status in ["rolled_back", "failed"] {
        let mut driver = deployed("");
        for i in HISTORY..HISTORY + 40 {
            tell(&mut driver, i, 8);
            driver.time(at(i) + seconds(15));
        }
        let end = HISTORY + 40;
        driver.events(&[deploy("web", "d-web", at(end), status, "")], at(end));
        assert!(
            matches!(closed(&driver)[..], [("d-web", WatchVerdict::Unknown, 30..)]),
            "{status}: {:?}",
            closed(&driver)
        );
    }
}

/// An objective and callees take the place of watches: of six the oldest are closed when the catalog tells of them.
#[test]
fn the_bound_on_watches_holds_where_it_shrinks() {
    let mut driver = deployed("");
    let deploys = |driver: &mut Driver, ids: std::ops::Range<i64>| {
        for n in ids {
            let i = HISTORY + n;
            driver.events(&[deploy("web", &format!("d-{n}"), at(i), "started", "")], at(i));
        }
    };
    deploys(&mut driver, 1..6);
    assert!(closed(&driver).is_empty(), "six are watched");
    let catalog = r#""kind":"service","id":"c","service":"web","depends_on":["api"],"slo":{"objective":0.99}"#;
    driver.events(
        &[format!(r#"{{{catalog},"time":"{}"}}"#, at(HISTORY + 6))],
        at(HISTORY + 6),
    );
    let over = |driver: &Driver| {
        closed(driver)
            .iter()
            .map(|(id, _, _)| (*id).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(over(&driver), ["d-web", "d-1"], "at once");
    deploys(&mut driver, 7..8);
    assert_eq!(over(&driver), ["d-web", "d-1", "d-2"], "four are left");
}

/// Who tells of an objective, callees, versions and kinds of errors has room for two watches. Deployed every half hour, each
/// sees half of its length at most, and is healthy all the same: nothing would be learned otherwise, and what becomes usual
/// over days would convict. Errors rise by two thirds within a day.
#[test]
fn who_tells_all_and_is_deployed_every_half_hour_learns() {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    let catalog = r#""kind":"service","id":"c","service":"web","depends_on":["api"],"slo":{"objective":0.99}"#;
    driver.events(&[format!(r#"{{{catalog},"time":"{}"}}"#, at(0))], at(0));
    let end = HISTORY + 24 * 60;
    for i in 0..end {
        if i >= HISTORY && (i - HISTORY) % 30 == 0 {
            let version = format!(r#","version":"v{}""#, (i - HISTORY) / 30);
            driver.events(&[deploy("web", &format!("d-{i}"), at(i), "succeeded", &version)], at(i));
        }
        let errors = 8 + u64::try_from((i - HISTORY).max(0) * 6 / (24 * 60) + i * 7 % 5).expect("small");
        let version = (i - 1 - HISTORY).div_euclid(30).max(-1);
        let told = minute("web", at(i), errors, Some(6_000)).replace(
            r#""kind":"error""#,
            &format!(
                r#""kind":"error","version":"v{version}","fingerprint":"kind-{}""#,
                i % 2
            ),
        );
        driver.events(&[told, minute("api", at(i), 3, Some(6_000))], at(i));
        driver.time(at(i) + seconds(15));
    }
    let closed = closed(&driver);
    assert!(closed.len() >= 45, "{}", closed.len());
    for (id, verdict, n_steps) in closed {
        assert!(
            verdict == WatchVerdict::Healthy && n_steps <= 61,
            "{id}: {verdict:?} after {n_steps} steps"
        );
    }
    assert!(
        driver
            .decisions
            .iter()
            .all(|decision| decision.action != Action::Freeze)
    );
}

/// An error budget of a year is spent, and then nothing is told any more: what stands goes on, and time does not stand still.
#[test]
fn a_service_of_which_something_stands_for_a_year_has_no_deadline_in_the_past() {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    let catalog = r#""kind":"service","id":"c","service":"web","slo":{"objective":0.999,"window_days":366}"#;
    driver.events(&[format!(r#"{{{catalog},"time":"{}"}}"#, at(0))], at(0));
    for i in 0..48 * 60 {
        tell(&mut driver, i, 900);
        driver.time(at(i) + seconds(15));
    }
    for days in [50, 91, 100] {
        let now = at(days * 24 * 60);
        driver.time(now);
        let deadline = driver.partition.next_deadline().expect("it is known");
        assert!(deadline > now, "{deadline:?} on day {days}, {now:?}");
    }
    let standing = driver
        .decisions
        .iter()
        .rfind(|decision| matches!(decision.subject, Subject::Service { .. }));
    assert_eq!(
        standing.map(|decision| decision.action),
        Some(Action::ExtraReview),
        "it is spent for a year"
    );
}

/// A canary at a tenth of the traffic, told apart by version, or not: what errors are said to be held against, and what they
/// had to exceed at noon of a first day, an hour that was not seen before.
#[test]
fn a_freeze_says_what_errors_were_held_against() {
    for (versions, requests, says, threshold) in [
        (true, true, "those of the version beside it since deploy d-web", 1.25),
        (false, true, "the baseline (per request) since deploy d-web", 1.25),
        (
            false,
            false,
            "the baseline (per minute, requests not known) since deploy d-web",
            2.0,
        ),
    ] {
        let mut driver = Driver::with_policy("mode = \"enforce\"\n");
        for i in 0..HISTORY + 60 {
            let (errors, total) = if i < HISTORY { (8, 6_000) } else { (80, 600) };
            let jitter = u64::try_from(i * 7 % 5).expect("small");
            let of = |errors: u64, total: u64, version: &str| {
                let record = minute("web", at(i), errors, requests.then_some(total));
                let more = if versions {
                    format!(r#""version":"{version}","#)
                } else {
                    String::new()
                };
                record
                    .replace(r#""count""#, &format!(r#"{more}"count""#))
                    .replace(r#""id":""#, &format!(r#""id":"{version}"#))
            };
            let mut events = vec![of(8 + jitter, 6_000, "v1")];
            if i >= HISTORY {
                events.push(of(errors + jitter, total, "v2"));
            }
            if i == HISTORY {
                let more = r#","version":"v2","previous_version":"v1","exposure":0.1"#;
                events.push(deploy("web", "d-web", at(i), "started", more));
            }
            driver.events(&events, at(i));
            driver.time(at(i) + seconds(15));
        }
        let frozen = driver
            .decisions
            .iter()
            .find(|decision| decision.action == Action::Freeze);
        let reason = &frozen.expect("it is frozen").reasons[0];
        assert!(reason.text.contains(says), "{}", reason.text);
        assert_eq!(reason.threshold, Some(threshold), "{says}");
    }
}

/// Steps become shorter with the first errors after a day of a shorter interval: whoever is put back from a snapshot then
/// looks at the service as soon as those who have not stopped.
#[test]
fn a_step_that_becomes_shorter_brings_the_next_look_nearer() {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    let catalog = r#""kind":"service","id":"c","service":"web","slo":{"objective":0.99}"#;
    driver.events(&[format!(r#"{{{catalog},"time":"{}"}}"#, at(0))], at(0));
    let mut n_looked_at = 0;
    for i in 0..3 * 24 * 60 {
        let interval = if i < 24 * 60 { 5 } else { 1 };
        if i % interval == 0 {
            let event = format!(
                r#"{{"kind":"error","id":"e-{i}","time":"{}","service":"web","environment":"production","count":8,"requests":6000,"interval_ms":{}}}"#,
                at(i),
                interval * 60_000
            );
            driver.events(&[event], at(i));
            let mut restored = Partition::from_image(driver.partition.image(Offset(driver.offset), 1));
            restored.put_back(
                driver.partition.service("web").expect("known").clone(),
                Offset(driver.offset - 1),
            );
            let (live, restored) = (driver.partition.next_deadline(), restored.next_deadline());
            assert!(live <= restored, "minute {i}: {live:?} and {restored:?}");
            n_looked_at += u32::from(live == restored);
        }
        driver.time(at(i) + seconds(15));
    }
    assert!(n_looked_at > 1_000, "{n_looked_at}");
}
