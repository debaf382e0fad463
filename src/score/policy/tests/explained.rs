//! Explanations: the values are those that hold, and stand where they are said to stand.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::super::{Asked, Explanation, Origin, Value, explain};
use crate::model::{Criticality, Timestamp};

const LAYERED: &str = "\
mode = \"enforce\"
freeze.margin = 0.5
freeze.watch = \"90m\"

[limiter]
new_per_hour_min = 7

[tiers.critical]
freeze.margin = 0.1
review.budget = 0.2

[services.shop]
tier = \"critical\"
freeze.lease = \"30m\"

[services.shop.environments.staging]
mode = \"shadow\"

[environments.staging]
mode = \"enforce\"
freeze.margin = 0.2
freeze.lease = \"15m\"

[[rule]]
name = \"schema\"
when = { paths = [\"db/**\"], tiers = [\"low\"] }
then = { action = \"extra_review\", level = \"senior\" }

[[window]]
name = \"weekend\"
effect = \"deny\"
zone = \"Europe/Berlin\"
from = 2026-03-06T18:00:00
length = \"62h\"
repeat = \"FREQ=WEEKLY\"
";

fn explained(text: &str, service: &str, environment: &str, criticality: Option<Criticality>) -> Explanation {
    let asked = Asked {
        service,
        environment,
        criticality,
        now: "2026-03-07T12:00:00Z".parse::<Timestamp>().expect("an instant"),
    };
    explain(text, &asked).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

fn value<'a>(explanation: &'a Explanation, key: &str) -> (&'a str, String) {
    let value = explanation.values.iter().find(|value| value.key == key).expect(key);
    (&value.value, value.origin.to_string())
}

#[test]
fn every_value_is_of_the_narrowest_table_that_has_it() {
    let staging = explained(LAYERED, "shop", "staging", Some(Criticality::Low));
    for (key, expected) in [
        ("tier", ("critical", "line 13, services.shop")),
        ("mode", ("shadow", "line 17, services.shop.environments.staging")),
        ("freeze.lease", ("30m", "line 14, services.shop")),
        ("freeze.margin", ("0.2", "line 21, environments.staging")),
        ("review.budget", ("0.2", "line 10, tiers.critical")),
        ("freeze.watch", ("90m", "line 3")),
        ("freeze.false_freezes_per_week", ("0.5", "default")),
        ("limiter.new_per_hour_min", ("7", "line 6")),
        ("lateness", ("10s", "default")),
    ] {
        let (found, origin) = value(&staging, key);
        assert_eq!((found, origin.as_str()), expected, "{key}");
    }
    assert_eq!(
        value(&explained(LAYERED, "shop", "production", None), "mode").0,
        "enforce"
    );
    let other = explained(LAYERED, "other", "production", Some(Criticality::High));
    assert_eq!(value(&other, "tier"), ("high", "the catalog, as told".to_owned()));
    assert_eq!(
        value(&explained("", "other", "production", None), "tier"),
        ("medium", "default".to_owned())
    );
}

#[test]
fn rules_and_windows_are_told_in_words_with_their_lines() {
    let shop = explained(LAYERED, "shop", "production", None);
    let rule = shop
        .rules
        .iter()
        .find(|rule| &*rule.name == "schema")
        .expect("the rule");
    assert_eq!(
        rule.text,
        "1 approval by senior or above where a path is as db/**, but none that a bot made without AI"
    );
    assert!(!rule.applies, "a critical service is not of the low tier");
    assert_eq!(rule.not_of, Some("service"));
    assert_eq!(
        shop.rules[0].text,
        "1 approval by senior or above where AI is assisted or authored, the author's level is junior or mid"
    );
    assert_eq!(rule.origin.to_string(), "line 24");
    assert_eq!(shop.rules[0].origin, Origin::Default);
    assert_eq!(shop.windows[0].text, "closes now, until 2026-03-09 08:00 Europe/Berlin");
    assert_eq!(shop.now, "closed by weekend until 2026-03-09 08:00 Europe/Berlin");
    let text = shop.to_string();
    assert!(
        text.contains("  freeze.margin                      0.1              line 9, tiers.critical\n"),
        "{text}"
    );
    let json = serde_json::to_value(&shop).expect("JSON");
    assert_eq!(
        json["values"][0],
        serde_json::json!({"key": "tier", "value": "critical", "origin": {"from": "file", "line": 13, "table": "services.shop"}})
    );
}

#[test]
fn how_evidence_is_weighed_and_how_many_have_a_level_is_told() {
    let text = "evidence.e_value_min = 500\n[levels]\nsenior = [\"group:leads\", \"4711\"]\nmid = []\n";
    let shop = explained(text, "shop", "production", None);
    for (key, expected) in [
        ("evidence.e_value_min", ("500", "line 1")),
        ("evidence.baseline_age", ("4h", "default")),
        ("evidence.restart_blip", ("1m", "default")),
        ("evidence.dense_share", ("0.8", "default")),
        ("levels.senior", ("2 listed", "line 3")),
        ("levels.mid", ("0 listed", "line 4")),
        ("levels.staff", ("0 listed", "default")),
    ] {
        let (found, origin) = value(&shop, key);
        assert_eq!((found, origin.as_str()), expected, "{key}");
    }
    // All that the shipped file lists, which has every key.
    let shipped = include_str!("../../../../deploy/policy.toml");
    let keys = shipped.lines().skip_while(|line| *line != "[evidence]").skip(1);
    for line in keys.take_while(|line| !line.is_empty()) {
        let key = line.split(' ').next().expect("a key");
        let is_told = |value: &Value| value.key.strip_prefix("evidence.") == Some(key);
        assert!(shop.values.iter().any(is_told), "{key}");
    }
}

#[test]
fn what_a_rule_does_not_mean_and_where_a_window_does_not_hold_is_told() {
    let text = "\
[[rule]]
name = \"all\"
when = {}
then = { action = \"extra_review\" }
[[rule]]
name = \"people\"
when = { ai = [\"none\", \"assisted\"] }
then = { action = \"extra_review\" }
[[window]]
name = \"there\"
effect = \"deny\"
services = [\"shop\"]
environments = [\"production\"]
from = 2026-03-06T18:00:00
length = \"1h\"
";
    let staging = explained(text, "shop", "staging", None);
    let rules: Vec<&str> = staging.rules.iter().skip(2).map(|rule| rule.text.as_str()).collect();
    let expected = [
        "1 approval by anybody for every change, but none that a bot made without AI",
        "1 approval by anybody where AI is none or assisted, but none that a bot made without AI",
    ];
    assert_eq!(rules, expected);
    for (service, environment, expected) in [
        ("shop", "production", "is over (line 9)\n"),
        ("shop", "staging", "is over (line 9) – not of this environment\n"),
        ("other", "production", "is over (line 9) – not of this service\n"),
    ] {
        let text = explained(text, service, environment, None).to_string();
        assert!(text.contains(expected), "{text}");
    }
}

/// What is switched off holds for nobody, and its line says why.
#[test]
fn a_rule_or_window_that_is_switched_off_is_told_with_its_line() {
    let text = "\
[[rule]]
name = \"ai-authored-sign-off\"
enabled = false
[[rule]]
name = \"all\"
when = {}
then = { action = \"extra_review\" }
[[window]]
name = \"weekend\"
enabled = false
effect = \"deny\"
from = 2026-03-06T18:00:00
length = \"1h\"
";
    let shop = explained(text, "shop", "production", None);
    let rules: Vec<(&str, bool, String)> = shop
        .rules
        .iter()
        .map(|rule| (&*rule.name, rule.applies, rule.origin.to_string()))
        .collect();
    let expected = [
        ("ai-senior-sign-off", true, "default".to_owned()),
        ("all", true, "line 4".to_owned()),
        ("ai-authored-sign-off", false, "line 1".to_owned()),
    ];
    assert_eq!(rules, expected);
    let text = shop.to_string();
    for expected in [
        "  ai-authored-sign-off: switched off (line 1)\n",
        "\nwindows\n  weekend: switched off (line 8)\n",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_policy_with_faults_is_not_explained() {
    let asked = Asked {
        service: "shop",
        environment: "production",
        criticality: None,
        now: Timestamp::from_millis(0),
    };
    assert!(explain("mode = 1", &asked).is_err());
}

/// A key, and values of it.
const KEYS: [(&str, [&str; 3]); 8] = [
    ("mode", ["\"shadow\"", "\"enforce\"", "\"shadow\""]),
    ("require_known_changes", ["true", "false", "true"]),
    ("freeze.false_freezes_per_week", ["0.25", "3", "100"]),
    ("freeze.margin", ["0", "0.125", "7.5"]),
    ("freeze.watch", ["\"15m\"", "\"3h\"", "\"24h\""]),
    ("freeze.lease", ["\"15m\"", "\"90m\"", "\"4h\""]),
    ("freeze.spent_budget", ["true", "false", "true"]),
    ("freeze.low_loss_passes", ["true", "false", "true"]),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever is set where: the value shown is the one at the line it is said to come from, and that is the narrowest
    /// that sets it.
    #[test]
    fn the_line_that_is_named_holds_the_value_that_counts(
        set in prop::collection::vec((0_usize..5, 0_usize..KEYS.len(), 0_usize..3), 0..16),
        tier in prop::sample::select(Criticality::ALL.to_vec()),
    ) {
        let tier_table = format!("tiers.{}", tier.name());
        let tables = ["", &tier_table, "environments.eu", "services.shop", "services.shop.environments.eu"];
        let mut text = String::new();
        let mut expected = vec![None; KEYS.len()];
        for (layer, table) in tables.iter().enumerate() {
            if layer > 0 {
                write!(text, "\n[{table}]\n").expect("memory");
            }
            for (key, (name, values)) in KEYS.iter().enumerate() {
                if let Some((.., choice)) = set.iter().find(|(at, of, _)| (*at, *of) == (layer, key)) {
                    writeln!(text, "{name} = {}", values[*choice]).expect("memory");
                    expected[key] = Some((values[*choice].trim_matches('"'), text.lines().count(), table));
                }
            }
        }
        let explanation = explained(&text, "shop", "eu", Some(tier));
        let default = explained("", "shop", "eu", Some(tier));
        for ((name, _), expected) in KEYS.iter().zip(expected) {
            let found = explanation.values.iter().find(|value| value.key == *name).expect("a key");
            if let Some((value, line, table)) = expected {
                prop_assert_eq!(&found.value, value);
                prop_assert_eq!(&found.origin, &Origin::File { line, table: (*table).to_owned() });
            } else {
                prop_assert_eq!(found, default.values.iter().find(|value| value.key == *name).expect("a key"));
            }
        }
    }
}
