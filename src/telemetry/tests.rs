//! What documents, alerts and dashboards say of metrics, and what the program writes, is what is listed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::*;

const REFERENCE: &str = include_str!("../../docs/reference.md");
const RULES: &str = include_str!("../../deploy/prometheus/rules.yml");
const RULES_TEST: &str = include_str!("../../deploy/prometheus/rules_test.yml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/dashboards/holdpoint.json");
const README: &str = include_str!("../../README.md");

/// What Prometheus gives every series.
const OF_TARGETS: [&str; 2] = ["job", "instance"];

fn is_of_name(c: char) -> bool {
    c.is_ascii_lowercase() || c == '_'
}

/// The words that begin `text`, and are parted by commas.
fn comma_separated(text: &str) -> Vec<&str> {
    text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect()
}

/// The name of a metric as it stands in a text, and what is behind it.
fn names(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.match_indices("holdpoint_").map(|(at, _)| {
        let named = &text[at..];
        named.split_at(named.find(|c| !is_of_name(c)).unwrap_or(named.len()))
    })
}

/// The labels of a metric, named with what the exposition appends to the name of a histogram. A query must have it, since
/// there is no series without.
fn labels(named: &str, is_query: bool) -> BTreeSet<&'static str> {
    let find = |list: &[Metric], name: &str| {
        let found = list.iter().find(|(listed, _, _)| *listed == name);
        found.map(|(_, labels, _)| labels.iter().copied().collect::<BTreeSet<_>>())
    };
    let plain = find(&COUNTERS, named).or_else(|| find(&GAUGES, named));
    let part = |suffix| find(&HISTOGRAMS, named.strip_suffix(suffix)?);
    let bucket = || part("_bucket").map(|labels| labels.into_iter().chain(["le"]).collect());
    let whole = || find(&HISTOGRAMS, named).filter(|_| !is_query);
    plain
        .or_else(bucket)
        .or_else(|| part("_sum"))
        .or_else(|| part("_count"))
        .or_else(whole)
        .unwrap_or_else(|| panic!("{named} is listed nowhere, or a histogram asked for whole"))
}

/// What is between the parentheses that `text` begins with.
fn in_parentheses(text: &str) -> &str {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return &text[1..at],
            ')' => depth -= 1,
            _ => {}
        }
    }
    panic!("not closed: {text}");
}

/// Checks that all labels by which `query` picks and sums are those of what it picks and sums. Gives the labels of its
/// result, at most.
fn check_query(query: &str) -> BTreeSet<&str> {
    let is_known = |named: &str, label: &str| OF_TARGETS.contains(&label) || labels(named, true).contains(label);
    let mut picked: BTreeSet<&str> = OF_TARGETS.into();
    for (named, behind) in names(query) {
        picked.extend(labels(named, true));
        let braces = behind.strip_prefix('{').map(|behind| behind.split('}').next());
        for matcher in comma_separated(braces.flatten().unwrap_or_default()) {
            let label = matcher.split(|c| !is_of_name(c)).next().unwrap_or_default();
            assert!(is_known(named, label), "{named} has no label {label}: {query}");
        }
    }
    let mut summed = BTreeSet::new();
    for (at, by) in query.match_indices(" by ") {
        let by = in_parentheses(&query[at + by.len()..]);
        let of = query[at..].split_once(") (").map(|(_, of)| of).expect("of something");
        let of = in_parentheses(&query[query.len() - of.len() - 1..]);
        for label in comma_separated(by) {
            for (named, _) in names(of) {
                assert!(is_known(named, label), "{named} is not summed by {label}: {query}");
            }
            summed.insert(label);
        }
    }
    if query.contains(" by ") { summed } else { picked }
}

/// Checks that what is said of a query's result names labels it has.
fn check_said(query: &str, said: &str, mark: &str) {
    let has = check_query(query);
    for (at, _) in said.match_indices(mark) {
        let label = said[at + mark.len()..]
            .split(|c| !is_of_name(c))
            .next()
            .unwrap_or_default();
        assert!(has.contains(label), "{label} is no label of {query}");
    }
}

#[test]
fn alerts_ask_for_metrics_and_labels_that_there_are() {
    let alerts: Vec<&str> = RULES.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 10, "only {} alerts were found", alerts.len());
    for alert in alerts {
        let behind = alert.split_once("expr: ").expect("an expression").1;
        let end = ["\n        for:", "\n        labels:"]
            .iter()
            .filter_map(|key| behind.find(key))
            .min();
        check_said(&behind[..end.expect("more than that")], alert, "$labels.");
    }
    let series: Vec<&str> = RULES_TEST.split("- series: ").skip(1).collect();
    assert!(series.len() > 20, "only {} series were found", series.len());
    for series in series {
        check_query(series.lines().next().unwrap_or_default());
    }
}

#[test]
fn the_dashboard_asks_for_metrics_and_labels_that_there_are() {
    fn walk(value: &serde_json::Value, n_found: &mut usize) {
        if let Some(query) = value["expr"].as_str() {
            check_said(query, value["legendFormat"].as_str().unwrap_or_default(), "{{");
            *n_found += 1;
        }
        match value {
            serde_json::Value::Array(values) => values.iter().for_each(|value| walk(value, n_found)),
            serde_json::Value::Object(values) => values.values().for_each(|value| walk(value, n_found)),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_) => {}
        }
    }
    let mut n_found = 0;
    walk(&serde_json::from_str(DASHBOARD).expect("JSON"), &mut n_found);
    assert!(n_found > 15, "only {n_found} queries were found");
}

#[test]
fn texts_name_only_metrics_that_there_are() {
    let mut n_found = 0;
    for text in [README, REFERENCE, RULES, RULES_TEST, DASHBOARD] {
        for (named, behind) in names(text) {
            labels(named, behind.starts_with('{'));
            n_found += 1;
        }
    }
    assert!(n_found > 80, "only {n_found} names were found");
}

/// Each in the table of its kind, with its labels, and nothing else there.
#[test]
fn the_reference_lists_each_metric_with_its_labels() {
    let section = REFERENCE
        .split("\n## ")
        .find(|section| section.starts_with("Metrics\n"));
    let section = section.expect("a section on metrics");
    for (title, list) in [
        ("Counters", &COUNTERS[..]),
        ("Gauges", &GAUGES),
        ("Histograms", &HISTOGRAMS),
    ] {
        let table = section.split("\n### ").find(|part| part.starts_with(title));
        let rows = table.expect("a table").lines().filter_map(|line| {
            let mut cells = line.strip_prefix("| `holdpoint_")?.split(" | ");
            let name = format!("holdpoint_{}", cells.next()?.trim_end_matches('`'));
            // `topic`, or `stage`: with its values.
            let labels = cells.next()?.split(';').flat_map(|part| {
                let part = part.split(':').next().unwrap_or_default();
                part.split('`').skip(1).step_by(2)
            });
            Some((name, labels.collect::<BTreeSet<&str>>()))
        });
        let listed = list.iter().map(|(name, labels, _)| {
            let labels: BTreeSet<&str> = labels.iter().copied().collect();
            ((*name).to_owned(), labels)
        });
        assert_eq!(
            rows.collect::<BTreeMap<_, _>>(),
            listed.collect::<BTreeMap<_, _>>(),
            "{title}"
        );
    }
}

/// As its sources have them: through the recorder, or, where series come and go, as text.
#[test]
fn the_program_writes_each_metric_with_its_labels() {
    let mut written: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let calls = source.match_indices("metrics::").filter_map(|(at, _)| {
            let (kind, _) = source[at..].split_once('(')?;
            ["counter!", "gauge!", "histogram!"]
                .iter()
                .any(|of| kind.ends_with(of))
                .then(|| in_parentheses(&source[at + kind.len()..]))
        });
        for call in calls {
            let name = call.trim().trim_matches('"').split('"').next().unwrap_or_default();
            let before_arrows = call.match_indices("\" => ").map(|(at, _)| &call[..at]);
            let labels = before_arrows.filter_map(|before| before.rsplit('"').next().map(str::to_owned));
            if name.starts_with("holdpoint_") {
                written.entry(name.to_owned()).or_default().extend(labels);
            }
        }
    }
    for statement in include_str!("../api/metrics.rs").split("\"holdpoint_").skip(1) {
        let name = statement.split(|c| !is_of_name(c)).next().unwrap_or_default();
        let labels = statement.split("{{").skip(1);
        let labels = labels.filter_map(|label| label.split('=').next().map(str::to_owned));
        written.entry(format!("holdpoint_{name}")).or_default().extend(labels);
    }
    let listed = [&COUNTERS[..], &GAUGES, &HISTOGRAMS];
    let listed = listed.into_iter().flatten().map(|(name, labels, _)| {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        ((*name).to_owned(), labels)
    });
    assert_eq!(written, listed.collect::<BTreeMap<_, BTreeSet<_>>>());
}

fn sources(folder: &Path) -> Vec<String> {
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources.extend(self::sources(&path));
        } else if path.extension().is_some_and(|of| of == "rs") {
            sources.push(fs::read_to_string(&path).expect("a source"));
        }
    }
    sources
}
