//! Rollouts whose stages are hours apart, deploys that are tried again, and what is said of deploys late or again.

use holdpoint::{
    model::{Action, Message},
    score::{Said, WatchVerdict},
};

use crate::support::{Driver, at, deploy, minute, seconds};

/// Minutes of history before anything happens.
const HISTORY: i64 = 330;
/// Steps of a watch of so many errors.
const WATCH: u32 = 120;

/// A status of a deploy, so many minutes after the history.
type Status<'a> = (i64, &'a str, &'a str, &'a str);

fn status((minutes, id, status, more): Status<'_>) -> String {
    let time = at(HISTORY + minutes);
    deploy("web", id, time, status, more).replacen(
        &format!(r#""id":"{id}-{status}""#),
        &format!(r#""id":"{id}-{status}-{minutes}""#),
        1,
    )
}

/// The history and so many minutes after it, with 8 to 12 errors a minute, and seven times as many while `faulty`.
/// `arrivals`: what arrives when, in minutes after the history.
fn run(minutes: i64, faulty: std::ops::Range<i64>, arrivals: &[(i64, String)]) -> Driver {
    let mut driver = Driver::with_policy("mode = \"enforce\"\n");
    for i in -HISTORY..minutes {
        let time = at(HISTORY + i);
        let usual = 8 + u64::try_from((i + HISTORY) * 7 % 5).expect("small");
        let errors = if faulty.contains(&i) { 7 * usual } else { usual };
        let mut events = vec![minute("web", time, errors, Some(6_000))];
        events.extend(
            arrivals
                .iter()
                .filter(|(at, _)| *at == i)
                .map(|(_, event)| event.clone()),
        );
        driver.events(&events, time);
        driver.time(time + seconds(15));
    }
    driver
}

/// Statuses that arrive when they are of.
fn timely(statuses: &[Status<'_>]) -> Vec<(i64, String)> {
    statuses.iter().map(|of| (of.0, status(*of))).collect()
}

/// The minutes after the history at which a freeze began.
fn frozen(driver: &Driver) -> Vec<u64> {
    let services = driver.decisions.iter();
    let mut since: Vec<u64> = services
        .filter(|decision| decision.action == Action::Freeze)
        .filter_map(|decision| decision.frozen_since)
        .map(|since| since.since(at(HISTORY)).as_secs() / 60)
        .collect();
    since.dedup();
    since
}

/// The watches that are over, and how many steps each saw.
fn closed(driver: &Driver) -> Vec<(&str, WatchVerdict, u32)> {
    let closed = driver.said.iter().filter_map(|said| match said {
        Said::Closed(watch) => Some((&*watch.deploy_id, watch.verdict, u32::from(watch.n_steps))),
        Said::Decision(_) | Said::Forget(_) | Said::Scored(_) | Said::Message(_) => None,
    });
    closed.collect()
}

/// How many watches were opened.
fn n_opened(driver: &Driver) -> usize {
    let is_opened = |said: &&Said| matches!(said, Said::Message(Message::Watched(_)));
    driver.said.iter().filter(is_opened).count()
}

/// Each stage after the end of the watch before it.
#[test]
fn a_fault_that_shows_in_a_late_stage_only_freezes() {
    let rollout = [
        (0, "d", "started", r#","exposure":0.05"#),
        (130, "d", "progressing", r#","exposure":0.5"#),
        (260, "d", "succeeded", ""),
    ];
    for stage in [130, 260] {
        let driver = run(stage + 60, stage + 20..1_000, &timely(&rollout));
        let frozen = frozen(&driver);
        let minutes = i64::try_from(frozen[0]).expect("small") - stage;
        assert!((20..35).contains(&minutes), "stage at {stage}: {frozen:?}");
    }
    let driver = run(400, 0..0, &timely(&rollout));
    assert!(frozen(&driver).is_empty());
    let verdicts: Vec<_> = closed(&driver).into_iter().map(|(_, verdict, _)| verdict).collect();
    assert_eq!(verdicts, [WatchVerdict::Healthy; 3]);
}

/// The second stage ten minutes before the end of the watch; errors rise when it would have been over.
#[test]
fn a_stage_is_watched_for_as_long_as_a_deploy() {
    let rollout = [
        (0, "d", "started", r#","exposure":0.05"#),
        (110, "d", "progressing", r#","exposure":1"#),
    ];
    let driver = run(300, 0..0, &timely(&rollout));
    let [("d", WatchVerdict::Healthy, n_steps)] = closed(&driver)[..] else {
        panic!("{:?}", closed(&driver));
    };
    assert!((225..=230).contains(&n_steps), "{n_steps}");
    for rise in [125, 170, 215] {
        let driver = run(250, rise..1_000, &timely(&rollout));
        let frozen = frozen(&driver);
        let minutes = i64::try_from(frozen[0]).expect("small") - rise;
        assert!((0..15).contains(&minutes), "{rise}: {frozen:?}");
    }
}

/// One per cent more each ten minutes: no watch lasts as long as that, and there are not as many as stages.
#[test]
fn a_rollout_in_a_hundred_steps_is_watched_in_parts() {
    let stages: Vec<(i64, String)> = (1..=100)
        .map(|n: i64| {
            let exposure = format!(r#","exposure":{}.{:02}"#, n / 100, n % 100);
            (n * 10, status((n * 10, "d", "progressing", &exposure)))
        })
        .collect();
    let driver = run(1_300, 0..0, &stages);
    let quiet = closed(&driver);
    assert!((5..=10).contains(&quiet.len()), "{quiet:?}");
    assert!(
        quiet
            .iter()
            .all(|(_, verdict, n)| *verdict == WatchVerdict::Healthy && (WATCH..=2 * WATCH).contains(n)),
        "{quiet:?}"
    );
    let driver = run(1_100, 1_050..2_000, &stages);
    assert_eq!(frozen(&driver).len(), 1, "the last stage is watched too");
}

/// A canary is watched when another deploy freezes the service; when that is over it goes on to all of the traffic.
#[test]
fn a_deploy_that_goes_on_after_a_freeze_is_watched() {
    let statuses = [
        (0, "canary", "started", r#","exposure":0.05"#),
        (20, "bad", "started", ""),
        (40, "bad", "rolled_back", ""),
        (160, "canary", "progressing", r#","exposure":1"#),
    ];
    for second_fault in [false, true] {
        let mut arrivals = timely(&statuses);
        // The fault of the first freeze, told in one minute's report each.
        for i in 25..40 {
            arrivals.push((
                i,
                minute("web", at(HISTORY + i), 90, Some(1)).replacen("web-", "fault-", 1),
            ));
        }
        let faulty = if second_fault { 170..1_000 } else { 0..0 };
        let driver = run(320, faulty, &arrivals);
        let of_canary: Vec<_> = closed(&driver).into_iter().filter(|(id, ..)| *id == "canary").collect();
        let frozen = frozen(&driver);
        if second_fault {
            assert!(
                matches!(
                    of_canary[..],
                    [(_, WatchVerdict::Unknown, _), (_, WatchVerdict::Regressed, _)]
                ),
                "{of_canary:?}"
            );
            assert!(frozen.len() == 2 && (170..185).contains(&frozen[1]), "{frozen:?}");
        } else {
            assert!(
                matches!(
                    of_canary[..],
                    [(_, WatchVerdict::Unknown, _), (_, WatchVerdict::Healthy, 110..)]
                ),
                "{of_canary:?}"
            );
            assert_eq!(frozen.len(), 1);
        }
    }
}

/// A pipeline that is run again keeps the id of its deploy.
#[test]
fn a_deploy_that_is_tried_again_is_watched_again() {
    for end in ["failed", "rolled_back"] {
        for again in ["started", "progressing"] {
            let statuses = [(0, "d", "started", ""), (30, "d", end, ""), (60, "d", again, "")];
            let driver = run(100, 75..1_000, &timely(&statuses));
            let frozen = frozen(&driver);
            assert!(
                frozen.len() == 1 && (75..90).contains(&frozen[0]),
                "{end}, {again}: {frozen:?}"
            );
            // The first try's statuses again, by a mirror: they are neither a third one nor the end of the second.
            let mut arrivals = timely(&statuses);
            for first in &statuses[..2] {
                arrivals.push((74, status(*first)));
                arrivals.push((220, status(*first)));
            }
            let driver = run(300, 0..0, &arrivals);
            assert!(
                matches!(
                    closed(&driver)[..],
                    [(_, WatchVerdict::Unknown, 25..30), (_, WatchVerdict::Healthy, 115..)]
                ),
                "{end}, {again}: {:?}",
                closed(&driver)
            );
            assert_eq!(n_opened(&driver), 2, "{end}, {again}");
        }
    }
}

/// What is said of a deploy whose watch is over, late or again, opens none where it says nothing further.
#[test]
fn a_deploy_that_is_over_is_not_watched_again_for_what_is_known_of_it() {
    let rollout = [
        (0, "d", "started", r#","exposure":0.1"#),
        (20, "d", "progressing", r#","exposure":1"#),
        (50, "d", "succeeded", ""),
    ];
    let mut arrivals = timely(&rollout[..2]);
    for (minutes, known) in [(200, 0), (201, 1), (202, 2), (230, 2)] {
        arrivals.push((minutes, status(rollout[known])));
    }
    let driver = run(300, 0..0, &arrivals);
    assert_eq!(n_opened(&driver), 1, "{:?}", closed(&driver));

    // Taken back it is over, whatever comes late, and whatever the pipeline says of itself.
    let statuses = [(0, "d", "started", ""), (30, "d", "rolled_back", "")];
    let mut arrivals = timely(&statuses);
    arrivals.push((60, status(statuses[0])));
    arrivals.push((61, status((29, "d", "progressing", ""))));
    arrivals.push((62, status((40, "d", "succeeded", ""))));
    arrivals.push((63, status(statuses[1])));
    let driver = run(100, 0..0, &arrivals);
    assert_eq!(n_opened(&driver), 1, "{:?}", closed(&driver));
}

/// Fifteen deploys, and hours later a mirror that sends all of their statuses again.
#[test]
fn what_a_mirror_sends_again_after_hours_opens_no_watch() {
    let mut arrivals = Vec::new();
    for n in 0..15 {
        let id = format!("d-{n}");
        let statuses = [(n * 10, &*id, "started", ""), (n * 10 + 5, &*id, "failed", "")];
        for of in statuses {
            arrivals.push((of.0, status(of)));
            arrivals.push((400 + n, status(of)));
        }
    }
    let driver = run(430, 0..0, &arrivals);
    assert_eq!(n_opened(&driver), 15);
    // A deploy that nobody spoke of before is watched all the same.
    arrivals.push((425, status((425, "another", "started", ""))));
    assert_eq!(n_opened(&run(430, 0..0, &arrivals)), 16);
}

/// Of deploys in quick succession the oldest make room before they were seen for long.
#[test]
fn a_watch_that_makes_room_says_that_a_deploy_is_well_only_where_it_has_seen_a_fifth() {
    for (apart, verdict) in [
        (2, WatchVerdict::Unknown),
        (4, WatchVerdict::Unknown),
        (8, WatchVerdict::Healthy),
    ] {
        let statuses: Vec<String> = (0..7).map(|n| format!("d-{n}")).collect();
        let arrivals: Vec<(i64, String)> = (0..7)
            .zip(&statuses)
            .map(|(n, id)| (n * apart, status((n * apart, id, "started", ""))))
            .collect();
        let driver = run(6 * apart + 2, 0..0, &arrivals);
        let closed = closed(&driver);
        assert!(
            matches!(closed[..], [("d-0", of, _)] if of == verdict),
            "{apart} minutes apart: {closed:?}"
        );
    }
}

/// A version that was taken back is deployed again as a canary beside the one it had replaced: what each tells stands beside
/// the other's.
#[test]
fn a_version_that_was_taken_back_stands_beside_the_other_when_it_comes_again() {
    let first = r#","version":"v2","previous_version":"v1","exposure":0.1"#;
    let rollback = r#","version":"v1","change_kind":"rollback""#;
    let again = r#","version":"v2","exposure":0.1"#;
    for (case, ended, second) in [
        ("failed", (20, "d-1", "failed", ""), again),
        ("rolled back", (20, "d-1", "rolled_back", ""), again),
        (
            "rolled back by another deploy",
            (140, "r-1", "succeeded", rollback),
            again,
        ),
        ("with the other named", (140, "other", "failed", ""), first),
    ] {
        let (ended_at, again_at) = (ended.0, ended.0 + 20);
        let statuses = [
            (0, "d-1", "started", first),
            ended,
            (again_at, "d-2", "started", second),
        ];
        let mut driver = Driver::with_policy("mode = \"enforce\"\n");
        for i in -HISTORY..again_at + 40 {
            let time = at(HISTORY + i);
            let jitter = u64::try_from((i + HISTORY) * 7 % 5).expect("small");
            let of = |errors: u64, requests: u64, version: &str| {
                minute("web", time, errors, Some(requests))
                    .replace(r#""count""#, &format!(r#""version":"{version}","count""#))
                    .replace(r#""id":""#, &format!(r#""id":"{version}"#))
            };
            let mut events = vec![of(8 + jitter, 6_000, "v1")];
            if (0..ended_at).contains(&i) {
                events.push(of(1, 600, "v2"));
            } else if i >= again_at {
                events.push(of(60 + jitter, 600, "v2"));
            }
            events.extend(statuses.iter().filter(|of| of.0 == i).map(|of| status(*of)));
            driver.events(&events, time);
            driver.time(time + seconds(15));
        }
        let mut decisions = driver.decisions.iter();
        let freeze = decisions.find(|decision| decision.action == Action::Freeze);
        let text = &freeze.unwrap_or_else(|| panic!("{case}: it is frozen")).reasons[0].text;
        assert!(
            text.contains("the version beside it since deploy d-2"),
            "{case}: {text}"
        );
    }
}
