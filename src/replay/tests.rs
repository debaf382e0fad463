//! Histories through the whole path.

#![expect(clippy::format_push_string, reason = "a history's text, built once")]

mod changes;
mod comparison;
mod detection;
mod ends;
mod environments;
mod fates;
mod learned;
mod page;
mod passing;
mod report;
mod scenario;
mod scores;
mod told;
mod warnings;

use std::collections::BTreeSet;

use scenario::{Chance, Outcome, Scenario, Text, at, replay};

use super::{Replay, Report};
use crate::model::{Action, Decision, Mode, Subject};

const ENFORCE: &str = "mode = \"enforce\"\n";

fn freezes(outcome: &Outcome) -> Vec<&Decision> {
    let decisions = outcome.decisions.iter();
    decisions.filter(|decision| decision.action == Action::Freeze).collect()
}

fn service(decision: &Decision) -> &str {
    match &decision.subject {
        Subject::Service { service, .. } => service.as_str(),
        Subject::Change(change) => change.service.as_str(),
    }
}

fn balances(outcome: &Outcome) -> bool {
    let events = &outcome.summary.events;
    events.consumed == events.applied + events.duplicates + events.rejected
}

/// A line of a history; `n` makes it another event than the others.
fn line(n: usize, minute: i64, fields: &str) -> String {
    format!("{{\"id\":\"more-{n}\",\"time\":\"{}\",{fields}}}\n", at(minute))
}

fn incident(status: &str, service: &str, more: &str) -> String {
    format!(r#""kind":"incident","service":"{service}","incident_id":"i","status":"{status}","severity":4{more}"#)
}

#[test]
fn a_bad_deploy_freezes_its_service_within_minutes_and_a_good_one_nothing() {
    for seed in 0..6 {
        for (policy, mode) in [(None, Mode::Shadow), (Some(ENFORCE), Mode::Enforce)] {
            for with_requests in [true, false] {
                let outcome = replay(
                    &Scenario {
                        with_requests,
                        ..Scenario::usual(seed)
                    }
                    .files(),
                    policy,
                );
                let frozen: BTreeSet<&str> = freezes(&outcome).into_iter().map(service).collect();
                assert_eq!(frozen, BTreeSet::from(["checkout"]), "seed {seed}");
                let first = freezes(&outcome)[0];
                let minutes = first.decided_at.since(at(362)).as_secs() / 60;
                assert!(
                    minutes <= 12,
                    "seed {seed}, requests {with_requests}: after {minutes} minutes"
                );
                assert_eq!((first.mode, outcome.summary.events.late), (mode, 0));
                assert_eq!(outcome.summary.deploys.regressed, 1);
                assert_eq!(outcome.summary.deploys.healthy, 1);
                assert!(balances(&outcome));
            }
        }
    }
}

#[test]
fn a_healthy_service_is_never_frozen() {
    for seed in 0..10 {
        let deploys = (0..14).map(|i| (365 + i * 140, "checkout", 1)).collect();
        let scenario = Scenario {
            minutes: 2_400,
            deploys,
            with_requests: seed % 2 == 0,
            ..Scenario::usual(100 + seed)
        };
        let outcome = replay(&scenario.files(), Some(ENFORCE));
        assert!(freezes(&outcome).is_empty(), "seed {seed}");
        assert_eq!(outcome.summary.deploys.watched, 14, "seed {seed}");
        assert_eq!(outcome.summary.deploys.healthy, 14, "seed {seed}");
    }
}

#[test]
fn the_same_files_give_the_same_bytes_in_any_order_of_arguments() {
    let mut files = Scenario::usual(7).files();
    // A third file whose lines stand at the same times as those of the first.
    files.push(("a-copy.ndjson", files[0].1.clone()));
    let first = replay(&files, None);
    assert_eq!(first.written, replay(&files, None).written);
    let orders: [[usize; 3]; 3] = [[2, 1, 0], [1, 0, 2], [0, 2, 1]];
    for order in orders {
        let shuffled: Vec<Text> = order.iter().map(|i| files[*i].clone()).collect();
        assert_eq!(first.written, replay(&shuffled, None).written, "{order:?}");
    }
}

fn decided(outcome: &Outcome) -> Vec<String> {
    let decisions = outcome.decisions.iter();
    decisions
        .map(|decision| {
            format!(
                "{} {} {:?} {} {:?} {:?}",
                decision.subject,
                decision.sequence,
                decision.action,
                decision.decided_at,
                decision.valid_until,
                decision.reasons
            )
        })
        .collect()
}

/// Every tenth line comes again up to 200 lines later, which is less than ten minutes of the window.
#[test]
fn duplicates_in_any_order_change_no_decision() {
    let files = Scenario::usual(3).files();
    let plain = replay(&files, None);
    let mut chance = Chance::new(11);
    let mut lines: Vec<(u64, &str)> = Vec::new();
    for (place, line) in (0_u64..).step_by(10).zip(files[0].1.lines()) {
        lines.push((place, line));
        if chance.below(10) == 0 {
            // 21 lines of three services are seven minutes.
            lines.push((place + 1 + 10 * chance.below(21), line));
        }
    }
    let n_copies = lines.len() - files[0].1.lines().count();
    lines.sort_by_key(|(place, _)| *place);
    let text: String = lines.iter().flat_map(|(_, line)| [line, "\n"]).collect();
    let outcome = replay(&[("errors.ndjson", text), files[1].clone()], None);
    assert_eq!(decided(&outcome), decided(&plain));
    assert_eq!(outcome.summary.events.applied, plain.summary.events.applied);
    assert_eq!(
        outcome.summary.events.duplicates,
        u64::try_from(n_copies).expect("small")
    );
    assert!(n_copies > 50 && balances(&outcome));
}

/// Poison: what is no event, and events whose clock went wrong.
#[test]
fn poison_lines_are_rejected_and_change_nothing() {
    let files = Scenario::usual(5).files();
    let plain = replay(&files, None);
    let future = r#"{"kind":"error","id":"f","time":"2099-01-01T00:00:00Z","service":"checkout"}"#;
    let poisons = [
        future,
        "{",
        "\u{0}\u{1}",
        r#"{"kind":"error"}"#,
        "[]",
        r#"{"kind":"error","id":"x","time":"1970-01-01T00:00:00Z","service":"checkout"}"#,
    ];
    // Before the first line, in the middle and after the last; two kinds next to each other.
    for place in [0, 500, files[0].1.lines().count()] {
        for (i, poison) in poisons.iter().enumerate() {
            let mut lines: Vec<&str> = files[0].1.lines().collect();
            lines.insert(place, "");
            lines.insert(place, "not JSON");
            lines.insert(place, poison);
            let text = lines.join("\r\n");
            let outcome = replay(&[("errors.ndjson", text), files[1].clone()], None);
            let events = &outcome.summary.events;
            assert_eq!(events.rejected, 2, "{i} at {place}: {:?}", events.rejected_by_reason);
            let n_future = events.rejected_by_reason.get("in_the_future").copied();
            assert_eq!(n_future, (i == 0).then_some(1), "{i} at {place}");
            assert!(balances(&outcome));
            // The line in which each decision has its cause has moved.
            assert_eq!(decided(&outcome), decided(&plain), "{i} at {place}");
        }
    }
}

fn errors(times: &[&str]) -> String {
    let lines = times
        .iter()
        .enumerate()
        .map(|(i, time)| format!(r#"{{"kind":"error","id":"{i}","time":"2026-03-02T{time}Z","service":"s"}}"#) + "\n");
    lines.collect()
}

#[test]
fn a_line_far_ahead_counts_if_the_next_one_confirms_it() {
    // The times of a file's lines, and how many of them are from the future.
    let cases: [(&[&str], u64); 11] = [
        (&["08:00:00", "08:05:00", "08:01:00"], 0),
        (&["08:00:00", "08:05:01", "08:00:00"], 1),
        (&["08:00:00", "09:00:00", "08:55:00"], 0),
        // What does not confirm the second needs to be confirmed itself.
        (&["08:00:00", "09:00:00", "08:54:59"], 2),
        (&["08:00:00", "09:00:00"], 1),
        // As far as others went: of commits, the last one is as good as those before.
        (&["06:00:00", "06:40:00", "07:20:00"], 0),
        (&["06:00:00", "06:40:00", "07:20:01"], 1),
        (&["08:00:00"], 0),
        (&["09:00:00", "08:00:00", "08:00:30"], 1),
        // The newest first.
        (&["09:00:00", "08:00:00", "07:00:00"], 0),
        (&["08:00:00", "23:00:00", "09:00:00", "09:01:00"], 1),
    ];
    for (times, n_future) in cases {
        let outcome = replay(&[("a", errors(times))], None);
        let found = outcome.summary.events.rejected_by_reason.get("in_the_future").copied();
        assert_eq!(found.unwrap_or(0), n_future, "{times:?}");
    }
}

/// Memory is bounded, whatever a file holds.
#[test]
fn a_line_far_ahead_is_not_confirmed_by_one_behind_too_many_that_cannot_be_read() {
    for (n_unreadable, n_future) in [(63, None), (64, Some(1))] {
        let text = errors(&["08:00:00", "09:00:00"]) + &"{\n".repeat(n_unreadable) + &errors(&["09:00:30", "09:01:00"]);
        let outcome = replay(&[("a", text)], None);
        let found = outcome.summary.events.rejected_by_reason.get("in_the_future").copied();
        assert_eq!(found, n_future, "{n_unreadable}");
    }
}

/// A line is refused for what it was held against, and that is named: its file has no clock.
#[test]
fn a_line_out_of_time_says_what_it_was_held_against() {
    // The times of two files' lines.
    let cases: [(&[&str], &[&str], &str); 3] = [
        (
            &["09:00:00", "08:00:00", "08:00:30"],
            &[],
            "`time` is 2026-03-02T09:00:00.000Z, more than 5 minutes after the line behind it, 2026-03-02T08:00:00.000Z, \
             from which its file goes on",
        ),
        (
            &["08:00:00", "09:00:00", "08:00:30"],
            &[],
            "`time` is 2026-03-02T09:00:00.000Z, more than 5 minutes after 2026-03-02T08:00:00.000Z, the latest before it in \
             its file, and the line behind it does not confirm it",
        ),
        (
            &["08:00:00", "09:00:00"],
            &["08:01:00"],
            "`time` is 2026-03-02T09:00:00.000Z, more than 5 minutes after 2026-03-02T08:01:00.000Z, the latest of all files \
             so far, and no line follows to confirm it",
        ),
    ];
    for (a, b, expected) in cases {
        let files = [("a", errors(a)), ("b", errors(b))];
        let (mut merge, mut replay) = (scenario::merged(&files), Replay::new(None));
        let mut refused = Vec::new();
        while let Some(arrival) = merge.next().expect("memory reads") {
            refused.extend(replay.take(&arrival).map(|reject| reject.to_string()));
        }
        assert_eq!(refused, [expected]);
    }
}

/// The last line of a file with few of them is on time when the other files have come as far.
#[test]
fn a_files_last_line_counts_when_the_others_have_come_as_far() {
    let deploy = |time: &str| {
        format!(
            r#"{{"kind":"deploy","id":"{time}","time":"2026-03-02T{time}Z","service":"s","deploy_id":"{time}","status":"started"}}"#
        ) + "\n"
    };
    let minutes: Vec<String> = (0..120)
        .map(|i| format!("{:02}:{:02}:00", 8 + i / 60, i % 60))
        .collect();
    let minutes: Vec<&str> = minutes.iter().map(String::as_str).collect();
    let deploys = deploy("08:10:00") + &deploy("09:30:00");
    let outcome = replay(&[("errors", errors(&minutes)), ("deploys", deploys)], None);
    assert_eq!(
        (
            outcome.summary.events.rejected,
            outcome.summary.events.by_kind["deploy"]
        ),
        (0, 2)
    );
    let late = deploy("08:10:00") + &deploy("18:30:00");
    let outcome = replay(&[("errors", errors(&minutes)), ("deploys", late)], None);
    assert_eq!(
        (
            outcome.summary.events.rejected,
            outcome.summary.events.by_kind["deploy"]
        ),
        (1, 1)
    );
    assert_eq!(outcome.summary.to.as_deref(), Some("2026-03-02T09:59:00.000Z"));
}

#[test]
fn time_runs_on_until_nothing_is_open() {
    let scenario = Scenario {
        minutes: 372,
        ..Scenario::usual(1)
    };
    let outcome = replay(&scenario.files(), Some(ENFORCE));
    let mut last = std::collections::BTreeMap::new();
    for decision in &outcome.decisions {
        last.insert(service(decision), decision.action);
    }
    assert_eq!(
        last["checkout"],
        Action::Proceed,
        "its freeze and its cool-down have ended"
    );
    assert_eq!(outcome.summary.deploys.watched, 2, "both watches have ended");
    let held = outcome.summary.held_hours["freeze"].enforce;
    assert!((1.0..=4.0).contains(&held), "{held}");
    assert_eq!(replay(&[("none", String::new())], None).summary.until, None);
}

/// 200 commits, the riskiest of which cause incidents, and an incident that names a deploy.
fn commits_and_incidents() -> String {
    let mut more = String::new();
    for i in 0..200 {
        // Every third change is by AI and a junior; changes with many lines cause incidents.
        let who = if i % 3 == 0 {
            r#""ai":{"assistance":"authored"},"author":{"level":"junior"},"#
        } else {
            ""
        };
        let lines = if i % 20 == 7 { 9_000 } else { 10 + i };
        let time = at(i * 2);
        more += &format!(
            "{{\"kind\":\"commit\",\"id\":\"c{i}\",\"time\":\"{time}\",\"service\":\"cart\",{who}\"sha\":\"s{i}\",\
             \"change\":{{\"lines_added\":{lines},\"lines_deleted\":0,\"files\":1}}}}\n"
        );
        if i % 20 == 7 {
            more += &format!(
                "{{\"kind\":\"incident\",\"id\":\"i{i}\",\"time\":\"{time}\",\"service\":\"cart\",\"incident_id\":\"i{i}\",\
                 \"status\":\"detected\",\"severity\":4,\"caused_by\":{{\"sha\":\"s{i}\"}}}}\n"
            );
        }
    }
    more += &format!(
        "{{\"kind\":\"incident\",\"id\":\"i\",\"time\":\"{}\",\"service\":\"checkout\",\"incident_id\":\"i\",\
         \"status\":\"detected\",\"caused_by\":{{\"deploy_id\":\"d-362\"}}}}\n{{\"kind\":\"review\"}}\n",
        at(402)
    );
    more
}

#[test]
fn the_summary_tells_what_was_asked() {
    let mut files = Scenario::usual(2).files();
    files.push(("more", commits_and_incidents()));
    let Outcome { summary, .. } = replay(&files, None);
    assert_eq!(
        (
            summary.changes.scored,
            summary.capture.commits_named,
            summary.capture.commits_known
        ),
        (200, 10, 10)
    );
    let captured: Vec<Option<f64>> = summary
        .capture
        .riskiest
        .iter()
        .map(|captured| captured.captured)
        .collect();
    assert_eq!(captured, [Some(1.0); 4]);
    assert!(
        summary.capture.gated.is_some_and(|gated| gated > 0.5),
        "{:?}",
        summary.capture
    );
    let rule = &summary.changes.rules[0];
    assert_eq!(
        (&*rule.name, rule.hits, rule.share),
        ("ai-senior-sign-off", 67, Some(0.335))
    );
    assert!(
        summary.warnings[0].contains("34 % of the changes"),
        "{:?}",
        summary.warnings
    );
    assert_eq!(
        (summary.detection.incidents, summary.detection.incidents_frozen_before),
        (11, 1)
    );
    assert_eq!(
        (summary.detection.deploys_blamed, summary.detection.blamed_regressed),
        (1, 1)
    );
    assert_eq!(
        (
            summary.freezes.evidence_borne_out,
            summary.freezes.evidence_not_borne_out
        ),
        (1, 0)
    );
    let text = summary.to_string();
    let (answers, changes) = text.split_once("to review ").expect("changes by name");
    assert!(
        answers.contains("100 % in the riskiest 5 %") && answers.lines().count() < 30,
        "{text}"
    );
    assert!(changes.lines().count() <= 23, "{text}");
}

#[test]
fn a_service_that_is_forgotten_on_the_way_is_counted() {
    let error = |service: &str, n: i64| {
        let fields = format!(r#""kind":"error","service":"{service}""#);
        line(usize::try_from(n).expect("small"), n * 24 * 60, &fields)
    };
    let usual: String = (1..110).map(|day| error("search", day)).collect();
    let outcome = replay(&[("errors", error("gone", 0) + &usual)], None);
    assert_eq!((outcome.summary.events.applied, outcome.summary.services), (110, 2));
}
