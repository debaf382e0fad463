//! Two policies side by side.

use super::scenario::{Scenario, Text, at, merged, replay};
use crate::{
    model::{Action, Sequence},
    replay::{Compared, ComparedPolicies, ComparedSummary, Comparison, Replay, Summary},
};

fn compare(files: &[Text], a: Option<&str>, b: Option<&str>) -> (Summary, Compared, Vec<String>) {
    let texts = [a, b].map(Option::unwrap_or_default);
    let policies = ComparedPolicies::new(("a.toml", texts[0]), ("b.toml", texts[1])).expect("both are good");
    let mut comparison = Comparison::new(Replay::new(a), Replay::new(b), policies);
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

/// Nothing is decided otherwise, and what is decided binds.
#[test]
fn another_mode_alone_shows_in_what_is_enforced() {
    let (a, compared, _) = compare(&files(), None, Some("mode = \"enforce\"\n"));
    let (changes, services) = (&compared.changes, &compared.services);
    assert!(
        changes.differ > 0 && changes.only_in_mode == changes.differ,
        "{changes:?}"
    );
    assert!(
        services.differ > 0 && services.only_in_mode == services.differ,
        "{services:?}"
    );
    // What may proceed may do so in either mode.
    let is_held = changes.first.iter().all(|change| change.a.action != Action::Proceed);
    assert!(is_held && changes.differ < changes.compared);
    let text = ComparedSummary {
        a: &a,
        compared: &compared,
    }
    .to_string();
    for said in [
        "decided differently: 0 only A sends to review, 0 only B, ",
        " both send there, and only one enforces it\n",
        "services     0 of ",
        " for the same times, enforced otherwise; of A's",
        "; enforced 0.0 h and ",
    ] {
        assert!(text.contains(said), "no `{said}` in {text}");
    }
    let lines = text.lines().filter(|line| line.starts_with("               enforced"));
    let enforced: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert!(
        enforced.len() == 2
            && enforced
                .iter()
                .all(|figures| figures[1] == "0.0" && figures[2] != "0.0"),
        "{text}"
    );
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
    for expected in [
        format!("compared     A is a.toml, {}\n", a.policy),
        format!("             B is b.toml, {}\n", compared.b.policy),
        "             mode: shadow in A, enforce in B\n".to_owned(),
        "             freeze.lease: 1h in A, 4h in B\n".to_owned(),
        "             review.budget: 0.1 in A, 0.5 in B\n".to_owned(),
    ] {
        assert!(text.contains(&expected), "{text}");
    }
    assert_eq!(json["compared"]["policies"]["differ"], 3);
}

/// Of false freezes the intervals are said for all, and by tier where there are several.
#[test]
fn tiers_of_both_are_told_side_by_side() {
    let compared = |files: &[Text]| {
        let (a, compared, _) = compare(files, None, Some("[freeze]\nmargin = 10\n"));
        let text = ComparedSummary {
            a: &a,
            compared: &compared,
        }
        .to_string();
        let (_, tiers) = text.split_once("\nby tier ").expect("tiers");
        let (tiers, _) = tiers.split_once("\nchanges ").expect("what would change");
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        tiers.lines().map(words).collect::<Vec<_>>()
    };
    let mut files = files();
    let one = [
        "A B",
        "all freezes by evidence 1 0",
        "false at most 0.0 % (0.0 to 97.5) -",
    ];
    assert_eq!(compared(&files), one);
    files.push((
        "tiers",
        super::line(
            0,
            0,
            r#""kind":"service","service":"checkout","criticality":"critical""#,
        ),
    ));
    let several = compared(&files);
    assert_eq!(several[..3], one);
    let of_checkout = [
        "critical freezes by evidence 1 0",
        "false at most 0.0 % (0.0 to 97.5) -",
    ];
    assert_eq!(several[3..5], of_checkout);
    let rest = several[5..].join("\n");
    for expected in [
        "\ncaptured by riskiest 10 % - -\n",
        "\nmedium freezes by evidence 0 0\n",
        "\ncaptured by riskiest 10 % 100.0 % (69.2 to 100.0) 100.0 % (69.2 to 100.0)\n",
    ] {
        assert!(rest.contains(expected), "no {expected:?} in {rest}");
    }
    assert_eq!(several.len(), 3 + 2 * 7, "{several:?}");
}

/// Enforcing all but an environment is what shadow everywhere is, in that environment.
#[test]
fn what_holds_in_an_environment_is_compared() {
    let all = "mode = \"enforce\"\n";
    for but in ["production", "staging"] {
        let other = format!("{all}[environments.{but}]\nmode = \"shadow\"\nfreeze.lease = \"4h\"\n");
        let (a, compared, _) = compare(&files(), Some(all), Some(&other));
        let enforced = |summary: &Summary| summary.held_hours.values().any(|hours| hours.enforce > 0.0);
        assert_eq!((enforced(&a), enforced(&compared.b)), (true, but == "staging"), "{but}");
        assert_eq!(compared.is_same(), but == "staging", "{but}: {compared:?}");
    }
}

/// Six hundred that differ, in four lots from large to small and to large again; many of them are equal.
#[test]
fn of_changes_decided_differently_the_riskiest_are_named_in_the_files_order() {
    let mut commits = String::new();
    for i in 0..600 {
        let lines = [500, 0, 40, 9_000][i / 150];
        commits += &format!(
            "{{\"kind\":\"commit\",\"id\":\"c{i}\",\"time\":\"{}\",\"service\":\"s{}\",\"sha\":\"{i}\",\
             \"change\":{{\"lines_added\":{lines},\"lines_deleted\":0,\"files\":1}}}}\n",
            at(i64::try_from(i).expect("small")),
            i % 5,
        );
    }
    let files = [("commits", commits)];
    let every = "[[rule]]\nname = \"every\"\nwhen = {}\nthen = { action = \"extra_review\" }\n";
    let first = replay(&files, None).decisions.into_iter().filter(|decision| {
        decision.sequence == Sequence(1)
            && decision.action == Action::Proceed
            && decision.subject.to_string().starts_with("change:")
    });
    let mut expected: Vec<_> = first.enumerate().collect();
    let n_differ = expected.len();
    // Stable: of equal ones the first.
    expected.sort_by(|(_, a), (_, b)| b.risk.partial_cmp(&a.risk).expect("numbers"));
    expected.truncate(500);
    expected.sort_by_key(|(place, _)| *place);
    let expected: Vec<String> = expected
        .into_iter()
        .map(|(_, decision)| decision.subject.to_string())
        .collect();

    let (_, compared, _) = compare(&files, None, Some(every));
    assert!(n_differ > 520 && compared.changes.differ == u64::try_from(n_differ).expect("small"));
    let named = compared.changes.first.iter();
    let named: Vec<String> = named
        .map(|change| format!("change:{}:{}", change.service, change.sha))
        .collect();
    assert_eq!(named, expected);
}
