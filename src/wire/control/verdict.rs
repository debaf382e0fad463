//! A verdict's JSON: the answer of `GET /v1/verdict`, and what `gate --json` prints.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{instant, to_json};
use crate::{
    gate::{Answer, AskedChange, ExitStatus, Finding, Unreadable, Verdict, for_terminals, merge},
    model::{Effect, Timestamp},
};

#[derive(Serialize)]
struct Before {
    verdict: &'static str,
    known: bool,
    enforced: bool,
    exit_status: u8,
}

#[derive(Serialize)]
struct After<'a> {
    text: &'a str,
    changes: Vec<ChangeWritten<'a>>,
    r#override: Option<WordWritten<'a>>,
}

#[derive(Serialize)]
struct ChangeWritten<'a> {
    sha: &'a str,
    known: bool,
}

#[derive(Serialize)]
struct WordWritten<'a> {
    id: &'a str,
    effect: &'static str,
    #[serde(with = "instant")]
    until: Timestamp,
    reason: &'a str,
}

/// The verdict as one JSON object on one line, the decision in it byte for byte as its writer wrote it.
#[must_use]
pub fn encode_verdict(verdict: &Verdict) -> Vec<u8> {
    let before = Before {
        verdict: verdict.verdict.name(),
        known: verdict.known,
        enforced: verdict.enforced,
        exit_status: verdict.exit_status.code(),
    };
    let word = verdict.word.as_ref().map(|word| WordWritten {
        id: &word.id,
        effect: match word.effect {
            Effect::Proceed => "proceed",
            Effect::Freeze => "freeze",
        },
        until: word.until,
        reason: &word.reason,
    });
    let changes = verdict
        .changes
        .iter()
        .map(|change| ChangeWritten {
            sha: &change.sha,
            known: change.known,
        })
        .collect();
    let after = to_json(&After {
        text: &verdict.text,
        changes,
        r#override: word,
    });
    // The decision is valid JSON, or it would not stand: it goes between two objects opened up for it.
    let mut json = to_json(&before);
    json.pop();
    json.extend_from_slice(b",\"decision\":");
    match &verdict.decision {
        Some(decision) => json.extend_from_slice(decision.json.text().as_bytes()),
        None => json.extend_from_slice(b"null"),
    }
    json.push(b',');
    json.extend_from_slice(&after[1..]);
    json
}

/// An answer as a client reads it.
#[derive(Serialize, Deserialize)]
struct VerdictJson {
    verdict: String,
    known: bool,
    enforced: bool,
    exit_status: u8,
    #[serde(default)]
    decision: Value,
    text: String,
    #[serde(default)]
    changes: Vec<ChangeJson>,
    /// The override, and what this program does not know.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct ChangeJson {
    sha: Box<str>,
    known: bool,
}

/// Reads an answer, and makes its text fit for terminals and logs. One whose exit status or finding this program does not
/// know is refused: to guess could deploy into a freeze.
pub fn decode_verdict(json: &[u8]) -> Result<Answer, Unreadable> {
    let read: VerdictJson = serde_json::from_slice(json).map_err(Unreadable::NotAsExpected)?;
    let verdict = Finding::ALL.into_iter().find(|finding| finding.name() == read.verdict);
    let exit_status = ExitStatus::from_code(read.exit_status).filter(|status| *status != ExitStatus::Usage);
    let (Some(verdict), Some(exit_status)) = (verdict, exit_status) else {
        return Err(Unreadable::Schema {
            schema: format!("{} {}", read.verdict, read.exit_status),
        });
    };
    let asked = |ChangeJson { sha, known }| AskedChange { sha, known };
    Ok(Answer {
        verdict,
        known: read.known,
        enforced: read.enforced,
        exit_status,
        // Who answers may be a proxy, or whoever is between.
        text: for_terminals(&read.text).into(),
        changes: read.changes.into_iter().map(asked).collect(),
    })
}

/// Reads the answers to all parts of a question, and makes of them the answer to the whole with its JSON. That of one
/// part is passed on byte for byte; of several, the decision and the override are those of the part that decides.
///
/// # Panics
/// Without parts.
pub fn merge_verdicts(mut parts: Vec<Vec<u8>>) -> Result<(Answer, Vec<u8>), Unreadable> {
    let answers: Vec<Answer> = parts
        .iter()
        .map(|part| decode_verdict(part))
        .collect::<Result<_, _>>()?;
    let (index, answer) = merge(&answers);
    let gravest = parts.swap_remove(index);
    if parts.is_empty() {
        return Ok((answer, gravest));
    }
    let read: VerdictJson = serde_json::from_slice(&gravest).map_err(Unreadable::NotAsExpected)?;
    let change = |AskedChange { sha, known }: &AskedChange| ChangeJson {
        sha: sha.clone(),
        known: *known,
    };
    let json = to_json(&VerdictJson {
        known: answer.known,
        text: answer.text.to_string(),
        changes: answer.changes.iter().map(change).collect(),
        ..read
    });
    Ok((answer, json))
}
