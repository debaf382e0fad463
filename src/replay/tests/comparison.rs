//! Two policies side by side.

use super::scenario::{Scenario, Text, merged, replay};
use crate::replay::{Compared, ComparedSummary, Comparison, Replay, Summary};

fn compare(files: &[Text], a: Option<&str>, b: Option<&str>) -> (Summary, Compared, Vec<String>) {
    let mut comparison = Comparison::new(Replay::new(a), Replay::new(b));
    let mut merge = merged(files);
    let mut said = Vec::new();
    while let Some(arrival) = merge.next().expect("memory reads") {
        comparison.take(&arrival);
        said.extend(comparison.take_said().map(|said| format!("{said:?}")));
    }
    comparison.finish();
    said.extend(comparison.take_said().map(|said| format!("{said:?}")));
    (comparison.a().summary(), comparison.compared(), said)
}

fn files() -> Vec<Text> {
    let mut files = Scenario::usual(2).files();
    files.push(("more", super::commits_and_incidents()));
    files
}

#[test]
fn a_policy_compared_with_itself_shows_no_difference() {
    for policy in [None, Some("mode = \"enforce\"\n")] {
        let (a, compared, _) = compare(&files(), policy, policy);
        assert!(compared.is_same(), "{compared:?}");
        assert_eq!(a, compared.b);
        assert_eq!(compared.changes.compared, 200);
        assert_eq!(compared.services.freezes_of_a, compared.services.freezes_of_a_shared);
        assert!(compared.services.freezes_of_a > 0);
        let text = ComparedSummary {
            a: &a,
            compared: &compared,
        }
        .to_string();
        assert!(text.contains("both decide alike everywhere"), "{text}");
    }
}

#[test]
fn each_side_is_what_it_is_alone() {
    let other = "[review]\nbudget = 0.5\n[freeze]\nwatch = \"30m\"\nlease = \"2h\"\n";
    let (a, compared, _) = compare(&files(), None, Some(other));
    assert_eq!(a, replay(&files(), None).summary);
    assert_eq!(compared.b, replay(&files(), Some(other)).summary);
    let (a, compared, _) = compare(&files(), Some(other), None);
    assert_eq!(a, replay(&files(), Some(other)).summary);
    assert_eq!(compared.b, replay(&files(), None).summary);
}

#[test]
fn what_would_change_is_named() {
    let other = "mode = \"enforce\"\n[review]\nbudget = 0.5\n[freeze]\nlease = \"4h\"\n";
    let (a, compared, said) = compare(&files(), None, Some(other));
    let (_, _, said_alone) = compare(&files(), None, None);
    assert_eq!(said, said_alone, "what A says is said, and only that");
    let changes = &compared.changes;
    assert!(
        changes.reviewed_only_by_b > 0 && changes.reviewed_only_by_a == 0,
        "{changes:?}"
    );
    assert_eq!(changes.first.len(), usize::try_from(changes.differ).expect("small"));
    let first = &compared.services.first[0];
    assert_eq!(first.service.as_str(), "checkout");
    assert!(first.b.freeze_hours > first.a.freeze_hours, "{first:?}");
    assert_eq!(
        (first.a.freeze_hours_enforced, first.b.freeze_hours_enforced),
        (0.0, first.b.freeze_hours)
    );
    let both = ComparedSummary {
        a: &a,
        compared: &compared,
    };
    let json = serde_json::to_value(&both).expect("JSON");
    assert_eq!(json["policy"], serde_json::json!(a.policy));
    assert_eq!(json["compared"]["b"]["policy"], serde_json::json!(compared.b.policy));
    let text = both.to_string();
    assert!(text.contains("checkout@production: frozen"), "{text}");
}
