//! What `docs/reference.md` says that it lists, it lists whole, in the tables where readers look for it. Those of metrics are
//! checked by tests in `telemetry`.

use std::collections::BTreeSet;

use holdpoint::ingest::Reject;

const REFERENCE: &str = include_str!("../../docs/reference.md");

/// The names in `column` of the tables of a section, whose heads begin with `head`.
fn listed(section: &str, head: &str, column: usize) -> BTreeSet<&'static str> {
    let section = REFERENCE
        .split("\n## ")
        .find_map(|part| part.strip_prefix(section)?.strip_prefix('\n'))
        .unwrap_or_else(|| panic!("no section {section}"));
    let rows = section.lines().skip_while(|line| !line.starts_with(head));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let names: BTreeSet<&str> = rows
        .flat_map(|row| {
            let cell = row.split(" | ").nth(column).expect("as many cells as columns");
            cell.split(" · ").flat_map(of_entry)
        })
        .collect();
    assert!(!names.is_empty(), "no rows under {head}");
    names
}

/// The names that an entry is about; behind a colon is what they mean.
fn of_entry(entry: &'static str) -> impl Iterator<Item = &'static str> {
    let names = entry.split(':').next().unwrap_or_default();
    names.split('`').skip(1).step_by(2)
}

/// The string literals that are a single word, as codes and keys are, each with whether it is a key of evidence. No literal
/// or comment of the sources read here holds a quote.
fn words(source: &'static str) -> Vec<(&'static str, bool)> {
    let parts: Vec<&str> = source.split('"').collect();
    let literals = parts.chunks(2).zip(parts.chunks(2).skip(1));
    literals
        .filter_map(|(with_literal, behind)| {
            let is_key = behind[0].trim_start_matches([',', ' ', '\n']).starts_with("Evidence::");
            with_literal.get(1).map(|literal| (*literal, is_key))
        })
        .filter(|(literal, _)| literal.len() > 1 && literal.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect()
}

#[test]
fn every_reject_reason_is_in_the_reference() {
    let reasons = BTreeSet::from(Reject::REASONS);
    assert_eq!(listed("Reject reasons", "| reason |", 0), reasons);
}

#[test]
fn every_reason_code_and_evidence_key_is_in_the_reference() {
    let sources = [
        include_str!("../../src/score/change.rs"),
        include_str!("../../src/score/decide.rs"),
        include_str!("../../src/score/decide/grounds.rs"),
        include_str!("../../src/score/decide/incident.rs"),
        include_str!("../../src/score/decide/kinds.rs"),
        include_str!("../../src/score/decide/ought.rs"),
        include_str!("../../src/score/decide/people.rs"),
        include_str!("../../src/score/decide/regression.rs"),
    ];
    let words: Vec<(&str, bool)> = sources.into_iter().flat_map(words).collect();
    // Whose approval a reason's text asks for is no code.
    let of = |is_key: bool| {
        words
            .iter()
            .filter(move |(word, is)| *is == is_key && *word != "anybody")
    };
    let codes: BTreeSet<&str> = of(false).map(|(word, _)| *word).collect();
    let keys: BTreeSet<&str> = of(true).map(|(word, _)| *word).collect();
    let mut listed_codes = listed("Reason codes", "| code |", 0);
    // Named after what the policy says.
    listed_codes.retain(|code| !code.starts_with("policy"));
    assert_eq!(listed_codes, codes);
    assert_eq!(listed("Reason codes", "| evidence |", 1), keys);
}
