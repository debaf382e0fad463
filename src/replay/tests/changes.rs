//! Which changes were sent to review, and which of those that incidents name were among the riskiest.

use super::{
    commits_and_incidents, incident, line,
    scenario::{Scenario, replay},
};
use crate::replay::{GatedChange, side_by_side::figures};

/// Commits of which every twentieth has 9,000 lines, and every third is by AI and a junior.
#[test]
fn the_riskiest_changes_sent_to_review_are_named_with_what_makes_them_so() {
    let mut files = Scenario::usual(2).files();
    files.push(("more", commits_and_incidents()));
    let summary = replay(&files, None).summary;
    let changes = &summary.changes;
    let named = &changes.gated_riskiest;
    assert_eq!(named.len(), usize::try_from(changes.gated).expect("small").min(100));
    assert!(
        named.is_sorted_by(|a, b| a.risk_at_reference >= b.risk_at_reference),
        "{named:?}"
    );
    let is_by_risk = |change: &GatedChange| change.reasons.iter().any(|code| **code == *"risk_quantile");
    assert!(named.iter().any(is_by_risk), "{named:?}");
    // It landed before there was a quantile: a rule sent it.
    let first = &named[0];
    assert_eq!(
        (first.measures[0].feature, first.measures[0].value),
        ("lines_added", 9_000.0)
    );
    let by_rules = changes.gated_advised_only + changes.gated_by_risk;
    assert_eq!(by_rules, changes.gated, "each is sent by risk, or only advised");
    let text = summary.to_string();
    let line = format!("cart {:<12} 2026-03-02", first.sha);
    let (_, found) = text.split_once(&line).expect("the riskiest is named");
    let found = found.lines().next().expect("a line");
    assert!(found.contains(" %") && found.contains(": lines_added 9000"), "{found}");
    assert!(text.contains("the policy's budget for it is 10.0 %"), "{text}");
    assert!(text.contains("less risky ones; the page and --json name 100"), "{text}");
}

/// Of two deploys of a risky and some small commits, incidents name the one; the other names no commits. The third is of an
/// incident that names a commit beside the deploy.
#[test]
fn an_incident_that_names_a_deploy_counts_by_the_commits_of_the_deploy() {
    let told = |more: &str| {
        let mut files = Scenario::usual(2).files();
        files.push(("more", commits_and_incidents()));
        files.push(("causes", more.to_owned()));
        replay(&files, None).summary
    };
    let deploy = |n, id: &str, commits: &str| {
        line(
            n,
            401,
            &format!(r#""kind":"deploy","service":"cart","deploy_id":"{id}","status":"started"{commits}"#),
        )
    };
    let named = |n, cause: &str| {
        line(
            n,
            402,
            &format!(
                r#""kind":"incident","service":"cart","incident_id":"n{n}","status":"detected","severity":4,"caused_by":{{{cause}}}"#
            ),
        )
    };
    let capture = told("").capture;
    // That of the history names d-362 of checkout, which tells no commits.
    assert_eq!((capture.deploys_named, capture.deploys_known), (1, 0));
    let risky = deploy(0, "c-1", r#","commits":["s3","s7","s4"]"#) + &named(1, r#""deploy_id":"c-1""#);
    let capture = told(&risky).capture;
    assert_eq!(
        (capture.commits_known, capture.deploys_named, capture.deploys_known),
        (10, 2, 1)
    );
    assert_eq!(capture.riskiest[1].captured, Some(1.0), "by its riskiest commit");
    let small = deploy(0, "c-1", r#","commits":["s1","s2"]"#) + &named(1, r#""deploy_id":"c-1""#);
    let summary = told(&small);
    assert_eq!(summary.capture.deploys_known, 1);
    assert!(summary.capture.riskiest[1].captured < Some(1.0));
    let text = summary.to_string();
    assert!(
        text.contains("capture      of 10 commits and 1 deploy that incidents name"),
        "{text}"
    );
    let both = deploy(0, "c-1", r#","commits":["s1","s2"]"#) + &named(1, r#""deploy_id":"c-1","sha":"s7""#);
    assert_eq!(told(&both).capture, told("").capture, "a commit says more");
}

#[test]
fn a_summary_says_why_nothing_can_be_said_of_causes() {
    let commit = line(
        0,
        390,
        r#""kind":"commit","service":"cart","sha":"a","change":{"lines_added":9,"lines_deleted":0,"files":1}"#,
    );
    let named = incident("detected", "cart", r#","caused_by":{"deploy_id":"d"}"#);
    let cases = [
        (
            commit.clone(),
            "no incident names a commit or a deploy as its cause (caused_by)",
        ),
        (
            commit + &line(1, 391, &named),
            "incidents name 1 deploy, but no commit that was scored, and no deploy whose commits were",
        ),
    ];
    for (more, expected) in cases {
        let summary = replay(&[("more", more)], None).summary;
        let text = summary.to_string();
        assert!(
            text.contains(&format!("capture      not known: {expected}\n")),
            "{text}"
        );
        let told = figures(&summary, &summary).into_iter().map(|figure| figure.name);
        assert!(
            !told.into_iter().any(|name| name.starts_with("causes")),
            "a row of nothing"
        );
    }
}
