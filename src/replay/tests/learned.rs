//! What incidents taught, as a replay tells it.

use std::fmt::Write as _;

use super::{
    page::tags,
    scenario::{Text, at, merged},
};
use crate::{
    replay::{Replay, Report, Summary},
    score::LearnedWeight,
};

const SMALL: &str = r#""ai":{"assistance":"none"},"change":{"lines_added":1,"lines_deleted":2,"files":1}"#;
const USUAL: &str = r#""ai":{"assistance":"none"},"change":{"lines_added":60,"lines_deleted":2,"files":1}"#;
const WITH_AI: &str = r#""ai":{"assistance":"authored"},"change":{"lines_added":60,"lines_deleted":2,"files":1}"#;

/// A commit an hour, each [`USUAL`] but every fifth, which is `fifth`; incidents name `n_named` of the latter.
fn history(fifth: &str, n_named: usize) -> Vec<Text> {
    let mut lines = String::new();
    for i in 0..300_usize {
        let time = at(i64::try_from(i * 60).expect("small"));
        let change = if i.is_multiple_of(5) { fifth } else { USUAL };
        writeln!(
            lines,
            r#"{{"kind":"commit","id":"c-{i}","time":"{time}","service":"checkout","sha":"{i:040x}","author":{{"id":"Ada Lovelace","level":"senior"}},{change}}}"#
        )
        .expect("memory");
    }
    for i in (0..n_named).map(|n| 5 * n + 50) {
        let time = at(17_900 + i64::try_from(i).expect("small"));
        writeln!(
            lines,
            r#"{{"kind":"incident","id":"i-{i}","time":"{time}","service":"checkout","incident_id":"{i}","severity":5,"status":"resolved","caused_by":{{"sha":"{i:040x}"}}}}"#
        )
        .expect("memory");
    }
    vec![("history.ndjson", lines)]
}

fn replayed(files: &[Text]) -> (Summary, String) {
    let mut replay = Replay::new(None);
    let mut merge = merged(files);
    while let Some(arrival) = merge.next().expect("memory reads") {
        replay.take(&arrival);
    }
    replay.finish();
    let summary = replay.summary();
    let html = Report::new(&replay, &summary).html();
    (summary, html)
}

fn line<'a>(text: &'a str, start: &str) -> Option<&'a str> {
    text.lines().find(|line| line.starts_with(start))
}

fn weight<'a>(summary: &'a Summary, feature: &str) -> &'a LearnedWeight {
    let mut weights = summary.learned.weights.iter();
    weights.find(|weight| weight.feature == feature).expect("there")
}

#[test]
fn what_incidents_taught_is_told_in_each_form() {
    let (summary, html) = replayed(&history(SMALL, 40));
    assert_eq!(summary.learned.verdicts, 40);
    let lines_added = weight(&summary, "lines_added");
    assert!(lines_added.is_scored && lines_added.has_moved(), "{lines_added:?}");
    assert!(lines_added.weight < lines_added.cold_start && lines_added.square.is_some());

    let text = summary.to_string();
    let learned = line(&text, "learned ").expect("a line");
    let told = format!(
        "by 40 verdicts, in logits: lines_added 0.57 -> {:.2} ({:.2} to {:.2})",
        lines_added.weight, lines_added.low, lines_added.high
    );
    assert!(learned.contains(&told), "{learned}");
    assert!(!learned.contains("developers"), "which nothing was told of: {learned}");

    let json = serde_json::to_value(&summary).expect("JSON");
    assert_eq!(json["learned"]["verdicts"], 40);
    let features = json["learned"]["weights"].as_array().expect("a list");
    assert_eq!(features.len(), 16);
    assert_eq!(features[4]["feature"], "lines_added");
    assert_eq!(features[4]["cold_start"], 0.567);
    assert_eq!(features[4]["weight"], lines_added.weight);

    tags(&html);
    let (_, section) = html.split_once("<h2>What incidents taught</h2>").expect("a section");
    let (section, _) = section.split_once("</section>").expect("its end");
    assert!(section.contains("After 40 verdicts"), "{section}");
    let row = section
        .split("<tr>")
        .find(|row| row.contains("lines added"))
        .expect("it");
    let bold = format!("<td>+0.57</td><td><strong>−{:.2}</strong>", lines_added.weight.abs());
    assert!(row.contains(&bold), "{row}");
}

/// Those with AI fail, and are else as all others: AI has a weight, and no score has it.
#[test]
fn ai_and_level_are_inputs_of_the_policy_and_in_no_score() {
    let (summary, html) = replayed(&history(WITH_AI, 40));
    for feature in ["ai", "author_level"] {
        let input = weight(&summary, feature);
        assert!(!input.is_scored && input.square.is_none(), "{input:?}");
        assert_eq!(input.cold_start.to_bits(), 0.0_f64.to_bits());
    }
    let text = summary.to_string();
    let beside = line(&text, "             in no score").expect("a line");
    assert!(
        beside.contains("ai +0.") && !beside.contains("author_level"),
        "{beside}"
    );
    let (measures, inputs) = html.split_once("input, not scored").expect("a table of its own");
    assert!(inputs.contains("AI, against none") && !measures.contains("AI, against none"));
    assert!(!text.contains("Lovelace") && !html.contains("Lovelace"));
}

#[test]
fn a_history_that_taught_nothing_says_so() {
    let (summary, html) = replayed(&history(SMALL, 0));
    let text = summary.to_string();
    assert_eq!(
        line(&text, "learned "),
        Some("learned      nothing yet that is beyond chance: 0 verdicts")
    );
    assert!(html.contains("Nothing is learned yet: 0 verdicts."));

    let (summary, html) = replayed(&history(SMALL, 1));
    let text = summary.to_string();
    assert_eq!(
        line(&text, "learned "),
        Some("learned      nothing yet that is beyond chance: 1 verdict")
    );
    assert!(html.contains("After 1 verdicts <strong>nothing is beyond chance yet</strong>"));

    let (summary, html) = replayed(&[("none", String::new())]);
    assert_eq!(line(&summary.to_string(), "learned "), None);
    assert!(!html.contains("What incidents taught"));
}
