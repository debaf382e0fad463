//! What concerns the convicted deploy bears its freeze out for a day.

use std::time::Duration;

use super::*;
use crate::{
    ingest::{Origin, decode},
    model::{Body, Criticality, Timestamp},
    replay::{capture::Capture, fates::Fates},
};

const DAY: i64 = 24 * 60;

fn deploy(deploy_id: &str, more: &str) -> String {
    format!(r#""kind":"deploy","service":"checkout","environment":"production","deploy_id":"{deploy_id}",{more}"#)
}

fn is_borne_out(mut files: Vec<Text>, more: &[(i64, String)]) -> bool {
    let lines = more.iter().enumerate();
    files.push((
        "more",
        lines.map(|(n, (minute, fields))| line(n, *minute, fields)).collect(),
    ));
    let freezes = replay(&files, None).summary.freezes;
    assert_eq!(
        freezes.evidence_borne_out + freezes.evidence_not_borne_out,
        1,
        "{more:?}"
    );
    freezes.evidence_borne_out == 1
}

/// The bad deploy is of minute 362, and freezes some minutes later.
#[test]
fn what_takes_the_convicted_deploy_back_or_names_it_bears_its_freeze_out_for_a_day() {
    let told = (
        363,
        deploy("d-362", r#""status":"progressing","version":"v2","commits":["c0ffee"]"#),
    );
    let failed = |deploy_id: &str| deploy(deploy_id, r#""status":"failed""#);
    let back = |more: &str| {
        deploy(
            "d-back",
            &format!(r#""status":"started","change_kind":"rollback"{more}"#),
        )
    };
    let caused_by = |status: &str, cause: &str| incident(status, "checkout", &format!(r#","caused_by":{{{cause}}}"#));
    let later = |minute: i64, fields: String| vec![(minute, fields)];
    let afterwards = (600, deploy("d-600", r#""status":"started""#));
    let cases = [
        (later(1_500, failed("d-362")), true),
        (later(1_500, deploy("d-362", r#""status":"rolled_back""#)), true),
        (later(362 + DAY + 120, failed("d-362")), false),
        (later(1_500, failed("d-100")), false),
        (later(1_500, failed("d-362").replace("production", "staging")), false),
        // A rollback is of the deploy before it, or of the one with the version that it replaces.
        (later(1_500, back("")), true),
        (later(1_500, back(r#","previous_version":"v2""#)), true),
        (later(1_500, back(r#","previous_version":"v1""#)), false),
        (vec![afterwards.clone(), (1_500, back(""))], false),
        (vec![afterwards, (1_500, failed("d-362"))], true),
        (later(1_500, caused_by("detected", r#""deploy_id":"d-362""#)), true),
        (later(1_500, caused_by("resolved", r#""deploy_id":"d-362""#)), true),
        (later(1_500, caused_by("detected", r#""deploy_id":"d-100""#)), false),
        (later(1_500, caused_by("detected", r#""sha":"c0ffee""#)), true),
        (later(1_500, caused_by("detected", r#""sha":"decaf""#)), false),
        (later(1_500, incident("detected", "checkout", "")), false),
    ];
    for (mut more, expected) in cases {
        more.insert(0, told.clone());
        // A file's last line is confirmed by none.
        more.push((2 * DAY, r#""kind":"service","service":"checkout""#.to_owned()));
        more.push((2 * DAY + 1, r#""kind":"service","service":"checkout""#.to_owned()));
        assert_eq!(
            is_borne_out(Scenario::usual(2).files(), &more),
            expected,
            "{:?}",
            &more[1..]
        );
    }
}

/// What was found goes on for thirty hours, by whatever ground.
#[test]
fn what_takes_it_back_does_for_two_hours_after_a_freeze_that_lasts_longer() {
    let outcome = replay(&Scenario::usual(2).files(), None);
    let freeze = freezes(&outcome)[0];
    let until = freeze.decided_at + Duration::from_hours(30);
    let mut goes_on = freeze.clone();
    goes_on.valid_until = Some(until);
    goes_on.reasons[0].code = "slo_budget_spent".into();
    let mut ends = goes_on.clone();
    ends.decided_at = until;
    ends.action = Action::ExtraReview;
    for (minutes, expected) in [(110, true), (130, false)] {
        let fields = deploy("d-362", r#""status":"rolled_back""#);
        let minute = until.since(at(0)).as_secs() / 60 + minutes;
        let told = line(0, i64::try_from(minute).expect("small"), &fields);
        let origin = Origin {
            topic: "more",
            kind: None,
        };
        let event = decode(Some(told.as_bytes()), &origin, Timestamp::NEVER).expect("an event");
        let Body::Deploy(taken_back) = &event.body else {
            panic!("a deploy");
        };
        let mut fates = Fates::default();
        fates.begin(freeze, Criticality::Medium);
        fates.go_on(&goes_on);
        assert_eq!(fates.pass_time(until), None, "it may yet be taken back");
        fates.go_on(&ends);
        fates.note_deploy(taken_back, &event, "production", &Capture::default());
        let fate = fates.finish().expect("one");
        assert_eq!(fate.borne_out, expected, "{minutes}");
    }
}
