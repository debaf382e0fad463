//! What `docs/reference.md` says that it lists, it lists whole. Names of no metric are found by a test in `telemetry`.

use holdpoint::ingest::Reject;

const REFERENCE: &str = include_str!("../../docs/reference.md");

/// The string literals that are a single word, as codes, keys and names of metrics are. No literal or comment of the
/// sources read here holds a quote.
fn words(source: &'static str) -> Vec<&'static str> {
    source
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|literal| literal.len() > 1 && literal.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        .collect()
}

fn check(name: &str) {
    let quoted = format!("`{name}`");
    assert!(REFERENCE.contains(&quoted), "{quoted} is not in docs/reference.md");
}

#[test]
fn every_metric_is_in_the_reference() {
    let mut n_found = 0;
    for word in words(include_str!("../../src/telemetry.rs")) {
        if word.starts_with("holdpoint_") && word != "holdpoint_" {
            check(word);
            n_found += 1;
        }
    }
    assert!(n_found >= 30, "only {n_found} metrics were found");
}

#[test]
fn every_reject_reason_is_in_the_reference() {
    for reason in Reject::REASONS {
        check(reason);
    }
}

#[test]
fn every_reason_code_and_evidence_key_is_in_the_reference() {
    let sources = [
        include_str!("../../src/score/change.rs"),
        include_str!("../../src/score/decide.rs"),
        include_str!("../../src/score/decide/grounds.rs"),
        include_str!("../../src/score/decide/kinds.rs"),
    ];
    let mut n_found = 0;
    for source in sources {
        for word in words(source) {
            // Whose approval a reason's text asks for.
            if word != "anybody" {
                check(word);
                n_found += 1;
            }
        }
    }
    assert!(n_found >= 30, "only {n_found} codes and keys were found");
}
