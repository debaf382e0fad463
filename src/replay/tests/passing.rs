//! What `freeze.low_loss_passes` and `require_known_changes` mean to changes and deploys.

use super::{scenario::written, *};
use crate::replay::{ComparedPolicies, Comparison, Summary};

/// Checkout is frozen from some minutes after the bad deploy of minute 362 on; a change lands every other minute before,
/// and each ten minutes in the hour after, of which every second is large.
fn files() -> Vec<Text> {
    let commit = |sha: &str, lines: u64| {
        format!(
            r#""kind":"commit","service":"checkout","sha":"{sha}","change":{{"lines_added":{lines},"lines_deleted":0,"files":1}}"#
        )
    };
    let deploy = |deploy_id: &str, sha: &str| {
        format!(
            r#""kind":"deploy","service":"search","environment":"production","deploy_id":"{deploy_id}","status":"started","commits":["{sha}"]"#
        )
    };
    let mut more = String::new();
    let mut add = |minute: i64, fields: &str| more += &line(more.len(), minute, fields);
    for i in 0..150 {
        add(2 * i, &commit(&format!("s{i}"), 10 + 20 * i.unsigned_abs() % 997));
    }
    for i in 0..6 {
        add(380 + i, &commit(&format!("f{i}"), if i % 2 == 0 { 1 } else { 9_000 }));
    }
    add(390, &commit("x", 10).replace("checkout", "search"));
    for sha in ["f0", "f1"] {
        let cause = format!(r#","caused_by":{{"sha":"{sha}"}}"#);
        add(
            391,
            &incident("detected", "checkout", &cause).replace("\"i\"", &format!("\"{sha}\"")),
        );
    }
    // Told twice; the second has a change that was never seen.
    for (minute, deploy_id, sha) in [(400, "known", "x"), (400, "unseen", "y"), (401, "unseen", "y")] {
        add(minute, &deploy(deploy_id, sha));
    }
    // A person's freeze lets no low loss by.
    let word = format!(
        r#""kind":"override","service":"cart","effect":"freeze","until":"{}","reason":"r","by":"p""#,
        at(420)
    );
    add(380, &word);
    add(385, &commit("p", 1).replace("checkout", "cart"));
    let mut files = Scenario::usual(2).files();
    files.push(("more", more));
    files
}

fn compared(a: &str, b: &str) -> (Summary, crate::replay::Compared, String, String) {
    let policies = ComparedPolicies::new(("a.toml", a), ("b.toml", b)).expect("both are good");
    let comparison = Comparison::new(Replay::new(Some(a)), Replay::new(Some(b)), policies);
    written(comparison, &files())
}

#[test]
fn what_low_loss_lets_by_is_counted_and_compared() {
    let (a, found, text, html) = compared("", "[freeze]\nlow_loss_passes = true\n");
    let of = |summary: &Summary| {
        let frozen = &summary.while_frozen;
        (frozen.landed, frozen.low_loss, frozen.let_by)
    };
    assert_eq!((of(&a), of(&found.b)), ((6, 3, 0), (6, 3, 3)));
    let frozen = &a.while_frozen;
    assert_eq!((frozen.failed, frozen.low_loss_failed), (2, 1));
    assert!(
        found.b.while_frozen.let_by_hours.shadow > 1.0,
        "{:?}",
        found.b.while_frozen
    );
    let services = &found.services;
    assert_eq!((services.differ, services.differ_in_low_loss), (0, 1));
    assert!(!found.is_same() && !text.contains("decide alike everywhere"), "{text}");
    for expected in [
        "frozen out   6 changes landed while something found froze their service; incidents name 2",
        "             3 of low loss, of which incidents name 1; freeze.low_loss_passes lets 0 by\n",
        "             changes landed while frozen           6           6          +0\n",
        "             hours low loss passes               0.0 ",
        "               let by for it                       0           3          +3\n",
        "at the gate  1 service whose freezes let low loss by at other times\n",
    ] {
        assert!(text.contains(expected), "no `{expected}` in {text}");
    }
    assert!(
        !html.contains("<strong>Nothing.</strong>") && html.contains("Freezes of 1 service let changes of low loss by")
    );
    let (_, same, ..) = compared(
        "[freeze]\nlow_loss_passes = true\n",
        "[freeze]\nlow_loss_passes = true\n",
    );
    assert!(same.is_same());
}

/// No change is decided otherwise and no service held for other hours.
#[test]
fn where_changes_must_be_known_is_counted_and_compared() {
    let in_mode = |mode: &str| format!("mode = \"{mode}\"\nrequire_known_changes = true\n");
    let (a, found, text, html) = compared("", &in_mode("shadow"));
    let of = |summary: &Summary| {
        let known = &summary.known_changes;
        let unanswered = (known.unanswered.shadow, known.unanswered.enforce);
        (known.deploys, known.unknown, unanswered)
    };
    assert_eq!((of(&a), of(&found.b)), ((2, 1, (0, 0)), (2, 1, (1, 0))));
    assert_eq!(a.known_changes.decisions.shadow, 0);
    let decisions = replay(&files(), Some(&in_mode("shadow"))).decisions;
    let requires = |decision: &&Decision| decision.requires_known_changes && &*decision.reasons[0].code != "override";
    let n = decisions.iter().filter(requires).count();
    assert_eq!(found.b.known_changes.decisions.shadow, crate::replay::summary::count(n));
    assert_eq!((found.services.differ, found.services.differ_in_known_changes), (0, 3));
    assert!(!found.is_same() && !text.contains("decide alike everywhere"), "{text}");
    for expected in [
        "1 of 2 deploys that name their changes name one that is not known; require_known_changes leaves 0 unknown (0 enforced)",
        "             deploys left unknown for it           0           1          +1\n",
        "at the gate  3 services whose changes must be known at other times, or in another mode\n",
    ] {
        assert!(text.contains(expected), "no `{expected}` in {text}");
    }
    assert!(!html.contains("<strong>Nothing.</strong>") && html.contains("in another mode, of 3 services."));
    // It binds where enforced, and in no hour that anything is held for.
    let (_, found, ..) = compared(&in_mode("shadow"), &in_mode("enforce"));
    assert_eq!(found.services.differ_in_known_changes, 3);
    assert_eq!(found.b.known_changes.unanswered.enforce, 1);
}

/// A change is forgotten two weeks after the last word of it.
#[test]
fn a_change_that_was_forgotten_is_not_known() {
    let unknown = |days: i64| {
        let minute = days * 24 * 60;
        let deploy = r#""kind":"deploy","service":"s","environment":"production","deploy_id":"d","status":"started","commits":["x"]"#;
        let service = |n, minute| line(n, minute, r#""kind":"service","service":"s""#);
        let lines = line(0, 0, r#""kind":"commit","service":"s","sha":"x""#)
            + &service(1, minute - 1)
            + &line(2, minute, deploy)
            + &service(3, minute + 1);
        let known = replay(&[("all", lines)], None).summary.known_changes;
        assert_eq!(known.deploys, 1);
        known.unknown
    };
    assert_eq!((unknown(13), unknown(15)), (0, 1));
}
