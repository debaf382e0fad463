use proptest::prelude::*;

use super::*;
use crate::{
    model::Assistance,
    score::policy::{Rule, Scope},
};

fn policy(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

/// All that is wrong with `text`, as people see it.
#[track_caller]
fn check(text: &str, faults: &str) {
    let shown: String = text.chars().take(2_000).collect();
    match Policy::parse(text) {
        Ok(_) => panic!("nothing wrong with {shown}"),
        Err(found) => assert_eq!(found.to_string(), faults, "{shown}"),
    }
}

/// With the digest of the empty text, to be held against the default.
fn undigested(text: &str) -> Policy {
    Policy {
        digest: Policy::default().digest,
        ..policy(text)
    }
}

#[test]
fn no_file_an_empty_one_and_the_shipped_one_say_the_same() {
    assert_eq!(policy(""), Policy::default());
    assert_eq!(undigested("# nothing\r\n"), Policy::default());
    assert_eq!(
        undigested(include_str!("../../../../deploy/policy.toml")),
        Policy::default()
    );
}

/// The examples in comments are good too, all at once.
#[test]
fn the_examples_of_the_shipped_file_hold() {
    let text = include_str!("../../../../deploy/policy.toml");
    let uncommented = |line: &str| match line.strip_prefix('#') {
        Some(example) if !example.is_empty() && !example.starts_with(' ') => format!("{example}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    let text: String = text.lines().map(uncommented).collect();
    // The example that switches a rule off stands before the rule itself.
    let text = text.replace("name = \"ai-authored-sign-off\"\nwhen", "name = \"second\"\nwhen");
    let policy = policy(&text);
    assert_eq!(policy.revision, Some(1));
    assert_eq!(policy.levels.members.len(), 5);
    assert_eq!(
        policy.settings("checkout", Criticality::Critical, "production").mode,
        Mode::Enforce
    );
    assert_eq!(
        policy.settings("checkout", Criticality::Critical, "staging").mode,
        Mode::Shadow
    );
    // What the file says it does not do: enforce the staging of a tier.
    assert_eq!(
        policy.settings("search", Criticality::Critical, "staging").mode,
        Mode::Shadow
    );
}

/// Each table over those before it, whatever their order in the file.
#[test]
fn a_tier_is_enforced_but_for_an_environment() {
    let fleet = policy(
        r#"
[services.ledger.environments.staging]
mode = "shadow"
[services.ledger]
mode = "enforce"
[environments.staging]
mode = "shadow"
freeze.lease = "15m"
[tiers.critical]
mode = "enforce"
freeze.lease = "2h"
freeze.margin = 0.1
"#,
    );
    for (service, tier, environment, mode, lease) in [
        ("shop", Criticality::Critical, "production", Mode::Enforce, 2 * HOUR),
        ("shop", Criticality::Critical, "staging", Mode::Shadow, 15 * MINUTE),
        ("shop", Criticality::Low, "staging", Mode::Shadow, 15 * MINUTE),
        ("shop", Criticality::Low, "production", Mode::Shadow, HOUR),
        ("ledger", Criticality::Low, "production", Mode::Enforce, HOUR),
        ("ledger", Criticality::Low, "qa", Mode::Enforce, HOUR),
        ("ledger", Criticality::Critical, "staging", Mode::Shadow, 15 * MINUTE),
    ] {
        let settings = fleet.settings(service, tier, environment);
        let found = (settings.mode, settings.freeze.lease);
        assert_eq!(found, (mode, lease), "{service} {tier:?} {environment}");
    }
    // A service's word counts in all of its environments that it says nothing of.
    let own = policy("environments.staging.mode = \"shadow\"\nservices.shop.mode = \"enforce\"");
    assert_eq!(own.settings("shop", Criticality::Low, "staging").mode, Mode::Enforce);
    // What the environment says nothing of stays the tier's.
    let staging = fleet.settings("shop", Criticality::Critical, "staging");
    assert!((staging.freeze.margin - 0.1).abs() < 1e-9);
}

#[test]
fn the_digest_is_that_of_the_bytes() {
    let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(*Policy::default().digest, *empty);
    let other = "sha256:d09ff7567c702b23a7d5d761755c0a5ef509a08d5917d7005371e3df19a3a040";
    assert_eq!(*policy("# é\n").digest, *other);
}

const EVERY_KEY: &str = r#"
revision = -7
lateness = "1m"
mode = "enforce"
require_known_changes = true
freeze = { false_freezes_per_week = 1_000, margin = 0, watch = "1d", lease = "15m", spent_budget = true, low_loss_passes = true }
review.budget = 1
[limiter]
new_per_hour_share = 0.1
new_per_hour_min = 1
new_per_four_hours_share = 0.2
new_per_four_hours_min = 2
incident_per_hour_share = 0.3
incident_per_hour_min = 0x3
[evidence]
baseline_age = "1h"
baseline_steps = 10
restart_blip = "0s"
restart_errors = 1
watch_errors = 0
spike_learned = 10
spike_judged = 20
step_caution = 2
block_caution = 2.0
unseen_margin = 1
dense_share = 0.5
silent_gaps = 3
e_value_min = 20
calibration_max = 10
calibration_weight = 100
watches_per_week = 7
[levels]
junior = ["a"]
mid = ["b"]
senior = ["group:a", "c"]
staff = ["d"]
[tiers]
critical.freeze.margin = 1
high.freeze.lease = "2h"
medium.review.budget = 0.5
low.require_known_changes = false
[environments]
"pre view" = { mode = "shadow", freeze.lease = "15m", require_known_changes = false }
[services."check out"]
tier = "low"
mode = "shadow"
freeze.watch = "600s"
environments.production = { freeze.margin = 2.5 }
"#;

fn every_tier() -> BTreeMap<Criticality, Patch> {
    let none = Patch::default();
    let critical = Patch {
        margin: Some(1.0),
        ..none.clone()
    };
    let high = Patch {
        lease: Some(2 * HOUR),
        ..none.clone()
    };
    let medium = Patch {
        budget: Some(UnitInterval::clamped(0.5)),
        ..none.clone()
    };
    let low = Patch {
        require_known_changes: Some(false),
        ..none
    };
    [
        (Criticality::Critical, critical),
        (Criticality::High, high),
        (Criticality::Medium, medium),
        (Criticality::Low, low),
    ]
    .into()
}

fn every_environment() -> BTreeMap<EnvironmentId, Patch> {
    let patch = Patch {
        mode: Some(Mode::Shadow),
        lease: Some(15 * MINUTE),
        require_known_changes: Some(false),
        ..Patch::default()
    };
    [("pre view".parse().expect("a name"), patch)].into()
}

fn every_service() -> ServicePatch {
    let patch = Patch {
        mode: Some(Mode::Shadow),
        watch: Some(10 * MINUTE),
        ..Patch::default()
    };
    let production = Patch {
        margin: Some(2.5),
        ..Patch::default()
    };
    let environments = [("production".parse().expect("a name"), production)].into();
    ServicePatch {
        tier: Some(Criticality::Low),
        patch,
        environments,
    }
}

fn every_evidence() -> Evidence {
    Evidence {
        baseline_age: HOUR,
        baseline_steps: 10,
        restart_blip: Duration::ZERO,
        restart_errors: 1.0,
        watch_errors: 0.0,
        spike_learned: 10.0,
        spike_judged: 20.0,
        step_caution: 2.0,
        block_caution: 2.0,
        unseen_margin: 1.0,
        dense_share: 0.5,
        silent_gaps: 3.0,
        e_value_min: 20.0,
        calibration_max: 10.0,
        calibration_weight: 100.0,
        watches_per_week: 7.0,
    }
}

fn every_place() -> Policy {
    let share = UnitInterval::clamped;
    let levels = [
        ("a", Level::Junior),
        ("b", Level::Mid),
        ("group:a", Level::Senior),
        ("c", Level::Senior),
        ("d", Level::Staff),
    ];
    Policy {
        digest: digest(EVERY_KEY),
        revision: Some(-7),
        lateness: MINUTE,
        limiter: Limiter {
            new_per_hour_share: share(0.1),
            new_per_hour_min: 1,
            new_per_four_hours_share: share(0.2),
            new_per_four_hours_min: 2,
            incident_per_hour_share: share(0.3),
            incident_per_hour_min: 3,
        },
        evidence: every_evidence(),
        rules: rules::defaults(),
        windows: Vec::new(),
        levels: Levels {
            members: levels.map(|(id, level)| (id.into(), level)).into(),
        },
        base: Settings {
            tier: Criticality::Medium,
            mode: Mode::Enforce,
            freeze: Freeze {
                false_freezes_per_week: 1_000.0,
                margin: 0.0,
                watch: 24 * HOUR,
                lease: 15 * MINUTE,
                spent_budget: true,
                low_loss_passes: true,
            },
            review: Review {
                budget: UnitInterval::ONE,
            },
            require_known_changes: true,
        },
        tiers: every_tier(),
        environments: every_environment(),
        services: [("check out".parse().expect("a name"), every_service())].into(),
    }
}

#[test]
fn every_key_reaches_its_place() {
    assert_eq!(policy(EVERY_KEY), every_place());
}

/// It would do nothing: the scorer asks for a tier's.
#[test]
fn a_budget_of_one_service_is_refused() {
    let rest = "is a share of a tier's changes; set it at the top or under tiers";
    check(
        "[services.a]\nreview.budget = 0.2",
        &format!("2:8: services.a.review.budget {rest}"),
    );
    check(
        "[services.a.environments.b.review]\nbudget = 0.2",
        &format!("2:1: services.a.environments.b.review.budget {rest}"),
    );
}

#[test]
fn every_fault_is_told_at_once_and_in_its_place() {
    let cases = include_str!("tests/faults.txt").split("\n\n").skip(1);
    let mut n_cases = 0;
    for case in cases {
        let (text, expected) = case
            .split_once("\n→ ")
            .unwrap_or_else(|| panic!("without a fault: {case}"));
        check(text, &expected.trim_end().replace("\n→ ", "\n"));
        n_cases += 1;
    }
    assert!(n_cases > 10, "{n_cases}");
}

/// Carriage returns end no line, and editors do not count a byte order mark.
#[test]
fn places_are_those_that_editors_show() {
    let expected = r#"mode is 3; expected "shadow" or "enforce""#;
    check("# a\r\nmode = 3\r\n", &format!("2:8: {expected}"));
    check("\u{feff}mode = 3", &format!("1:8: {expected}"));
    let Err(faults) = Policy::parse("# é\n mode = 3") else {
        panic!("3 is no mode")
    };
    let fault = Fault {
        line: 2,
        column: 9,
        path: "mode".into(),
        text: expected[5..].into(),
    };
    assert_eq!(faults.iter().collect::<Vec<_>>(), [&fault]);
}

/// The names of the rules in force.
fn names(text: &str) -> Vec<Box<str>> {
    policy(text).rules.into_iter().map(|rule| rule.name).collect()
}

#[test]
fn rules_add_to_the_default_ones_by_name() {
    let body = "when = {}\nthen = { action = \"extra_review\" }";
    let (senior, authored) = ("ai-senior-sign-off", "ai-authored-sign-off");
    let cases: &[(&str, bool, &[&str])] = &[
        ("mine", true, &[senior, authored, "mine"]),
        ("mine", false, &[senior, authored]),
        (senior, true, &[senior, authored]),
        (senior, false, &[authored]),
    ];
    for (name, enabled, expected) in cases {
        let text = format!("[[rule]]\nname = \"{name}\"\nenabled = {enabled}\n{body}");
        assert_eq!(
            names(&text).iter().map(AsRef::as_ref).collect::<Vec<_>>(),
            *expected,
            "{text}"
        );
    }
    // In the place of a default rule nothing of it is kept.
    let every = Rule {
        name: senior.into(),
        ai: Vec::new(),
        author_level: Vec::new(),
        scope: Scope::default(),
        condition: None,
        approvals: 1,
        level: None,
    };
    assert_eq!(
        policy(&format!("[[rule]]\nname = \"{senior}\"\n{body}")).rules[0],
        every
    );
    let off = [senior, authored].map(|name| format!("[[rule]]\nname = \"{name}\"\nenabled = false\n"));
    assert_eq!(names(&off.concat()), Vec::<Box<str>>::new());
    // What is said twice in a set is said once.
    let twice =
        format!("[[rule]]\nname = \"{senior}\"\nwhen.ai = [\"none\", \"none\"]\nthen.action = \"extra_review\"");
    assert_eq!(policy(&twice).rules[0].ai, [Assistance::None]);
}

#[test]
fn what_would_grow_without_end_is_refused() {
    let rules = (0..257)
        .map(|n| format!("[[rule]]\nname = \"{n}\"\nenabled = false\n"))
        .collect::<Vec<_>>()
        .concat();
    let services = (0..50_001)
        .map(|n| format!("{n:x}={{}}\n"))
        .collect::<Vec<_>>()
        .concat();
    check(&rules, "1:1: rule is given 257 times, at most 256");
    check(
        &format!("[services]\n{services}"),
        "1:1: services names 50001 services, at most 50000",
    );
    check(
        &" ".repeat(MAX_TEXT_BYTES + 1),
        "1:1: the policy is 786433 bytes, at most 786432",
    );
    assert_eq!(undigested(&" ".repeat(MAX_TEXT_BYTES)), Policy::default());

    let long = "x".repeat(257);
    check(
        &format!("services.{long} = {{}}"),
        &format!("1:10: services.{long} has a name that is 257 bytes, at most 256"),
    );
    let short = format!("1:8: mode is \"{}…\"; expected \"shadow\" or \"enforce\"", &long[..80]);
    check(&format!("mode = \"{long}\""), &short);

    let text = (0..60_000).map(|n| format!("x{n} = 1\n")).collect::<Vec<_>>().concat();
    let faults = Policy::parse(&text).map_or_else(|faults| faults.to_string(), |_| String::new());
    assert_eq!(
        (faults.lines().count(), faults.lines().last()),
        (1_001, Some("and 59000 more"))
    );
}

proptest! {
    /// Faults are within the text, in order, and on a line each, whatever is torn out of a file.
    #[test]
    fn a_torn_file_is_read_to_the_end(at in 0_usize..6_000, size in 0_usize..40, put in "[\\[\\]{}\"'=.#\n\réa1 -]{0,6}") {
        let whole = include_str!("../../../../deploy/policy.toml");
        let mut text = whole.replace("\n#", "\n");
        let floor = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let range = floor(at)..floor(at + size);
        text.replace_range(range, &put);
        if let Err(faults) = Policy::parse(&text) {
            let places: Vec<_> = faults.iter().map(|fault| (fault.line, fault.column)).collect();
            prop_assert!(!places.is_empty() && places.is_sorted());
            prop_assert!(places.iter().all(|(line, _)| *line <= text.split('\n').count()));
            prop_assert_eq!(faults.to_string().lines().count(), places.len());
        }
    }
}
