//! Freezes one after the other: the third in six hours, whatever it rests on but a spent budget.

use holdpoint::model::{Action, Decision};

use crate::support::{Driver, at, deploy, minute, seconds};

/// The minute of the first rise, and in how many minutes the next begins.
const FIRST: i64 = 330;
const EVERY: i64 = 110;

/// Three services whose errors rise three times for a quarter of an hour, each time with a deploy of `db`, which all of them
/// call and which tells of no errors.
#[test]
fn a_third_freeze_by_dependents_is_marked_and_lasts_four_hours() {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    let callers = ["a", "b", "c"];
    let catalog = callers.map(|service| {
        format!(
            r#"{{"kind":"service","id":"c-{service}","time":"{}","service":"{service}","depends_on":["db"]}}"#,
            at(0)
        )
    });
    driver.events(&catalog, at(0));
    for i in 0..FIRST + 3 * EVERY {
        // The rise that came last, or comes next if that is near.
        let (nth, after) = (
            (i + 25 - FIRST).div_euclid(EVERY),
            (i + 25 - FIRST).rem_euclid(EVERY) - 25,
        );
        let risen = nth >= 0 && (0..15).contains(&after);
        let mut events = Vec::new();
        for (n, service) in (0..).zip(callers) {
            let jitter = u64::try_from((i * 7 + n * 3) % 5).expect("small");
            events.push(minute(service, at(i), if risen { 60 } else { 8 } + jitter, Some(6_000)));
            // Who rolls back has nothing left to ask about.
            if nth >= 0 && [-25, 20].contains(&after) {
                let status = if after < 0 { "started" } else { "rolled_back" };
                events.push(deploy(service, &format!("d-{service}-{nth}"), at(i), status, ""));
            }
        }
        if nth >= 0 && after == 0 {
            events.push(deploy("db", &format!("d-db-{nth}"), at(i), "started", ""));
        }
        driver.events(&events, at(i));
        driver.time(at(i) + seconds(15));
        driver.time(at(i) + seconds(30));
    }
    let of_db = driver.decisions.iter().filter(|d| d.subject.service().as_str() == "db");
    let frozen: Vec<(Vec<&str>, i64)> = of_db.filter(|d| d.action == Action::Freeze).map(told).collect();
    let by_dependents = vec!["dependents_regressed"];
    let relapsed = vec!["dependents_regressed", "relapse"];
    assert_eq!(
        frozen,
        [(by_dependents.clone(), 60), (by_dependents, 60), (relapsed, 240)]
    );
}

/// The codes of a freeze, and for how many minutes it holds.
fn told(freeze: &Decision) -> (Vec<&str>, i64) {
    let until = freeze.valid_until.expect("no freeze is without an end");
    let codes = freeze.reasons.iter().map(|reason| &*reason.code).collect();
    (codes, (until.millis() - freeze.decided_at.millis()) / 60_000)
}
