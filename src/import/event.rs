//! The lines that go out: a commit, and the incident of a revert. Their form is that of `schemas/`.

use std::borrow::Cow;

use serde::Serialize;

use super::{
    assistance::Found,
    history::{Measured, pseudonym},
    log::Commit,
};
use crate::model::{Assistance, Confidence, ServiceId, Timestamp};

/// Paths written of a commit: as many as ingest keeps.
const PATHS_MAX: usize = 64;
/// Bytes of a path, as many as ingest keeps; with escapes, all paths stay far below the bound on a record.
const PATH_BYTES_MAX: usize = 1024;
/// The most that ingest takes of any measure: more lines than any repository has.
const MEASURE_MAX: u64 = 1_000_000_000_000;
/// A revert is known to have failed, not how badly: severity 3 freezes nothing.
const SEVERITY: u8 = 3;
const SOURCE: &str = "git";

pub(super) struct Writer<'a> {
    pub(super) service: &'a ServiceId,
    pub(super) repository: &'a str,
    pub(super) out: &'a mut Vec<u8>,
}

#[derive(Serialize)]
struct CommitLine<'a> {
    kind: &'static str,
    id: &'a str,
    time: String,
    service: &'a ServiceId,
    source: &'static str,
    repository: &'a str,
    sha: &'a str,
    author: AuthorField,
    ai: AiField,
    change: ChangeField<'a>,
    history: HistoryField,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<LabelsField>,
}

#[derive(Serialize)]
struct AuthorField {
    id: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bot: bool,
}

#[derive(Serialize)]
struct AiField {
    assistance: Assistance,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<Confidence>,
}

#[derive(Serialize)]
struct ChangeField<'a> {
    lines_added: u64,
    lines_deleted: u64,
    files: usize,
    directories: usize,
    subsystems: usize,
    entropy: f64,
    lines_before: u64,
    fix: bool,
    paths: Vec<Cow<'a, str>>,
}

#[derive(Serialize)]
struct HistoryField {
    developers: usize,
    age_days: f64,
    prior_changes: u64,
    author_changes: u32,
    author_recent_changes: f64,
    author_subsystem_changes: u64,
}

/// What speaks for `ai`, for whoever doubts it.
#[derive(Serialize)]
struct LabelsField {
    ai_evidence: String,
}

#[derive(Serialize)]
struct IncidentLine<'a> {
    kind: &'static str,
    id: String,
    time: String,
    service: &'a ServiceId,
    source: &'static str,
    incident_id: String,
    status: &'static str,
    severity: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    caused_by: Option<CausedByField<'a>>,
}

#[derive(Serialize)]
struct CausedByField<'a> {
    sha: &'a str,
}

impl Writer<'_> {
    pub(super) fn commit(&mut self, commit: &Commit, time: Timestamp, measured: &Measured, found: &Found) {
        let paths = commit.files.iter().take(PATHS_MAX).map(|file| path(&file.path));
        let line = CommitLine {
            kind: "commit",
            id: &commit.sha,
            time: time.to_string(),
            service: self.service,
            source: SOURCE,
            repository: self.repository,
            sha: &commit.sha,
            author: AuthorField {
                id: format!("{:016x}", pseudonym(commit.identity())),
                bot: found.bot,
            },
            ai: AiField {
                assistance: found.assistance,
                tools: found.tools.clone(),
                confidence: found.confidence,
            },
            change: ChangeField {
                lines_added: measured.lines_added.min(MEASURE_MAX),
                lines_deleted: measured.lines_deleted.min(MEASURE_MAX),
                files: measured.files,
                directories: measured.directories,
                subsystems: measured.subsystems,
                entropy: round(measured.entropy),
                lines_before: measured.lines_before.min(MEASURE_MAX),
                fix: measured.fix,
                paths: paths.collect(),
            },
            history: HistoryField {
                developers: measured.developers,
                age_days: round(measured.age_days),
                prior_changes: measured.prior_changes,
                author_changes: measured.author_changes,
                author_recent_changes: round(measured.author_recent_changes),
                author_subsystem_changes: measured.author_subsystem_changes,
            },
            labels: (!found.evidence.is_empty()).then(|| LabelsField {
                ai_evidence: found.evidence.join(" "),
            }),
        };
        self.line(&line);
    }

    /// An incident put down to `culprit`: over by the commit `sha`, which took it back. When it began nobody wrote
    /// down.
    pub(super) fn revert(&mut self, sha: &str, culprit: &str, time: Timestamp) {
        let name = format!("revert:{sha}:{culprit}");
        for status in ["detected", "resolved"] {
            let line = IncidentLine {
                kind: "incident",
                id: format!("{name}:{status}"),
                time: time.to_string(),
                service: self.service,
                source: SOURCE,
                incident_id: name.clone(),
                status,
                severity: SEVERITY,
                caused_by: (status == "detected").then_some(CausedByField { sha: culprit }),
            };
            self.line(&line);
        }
    }

    fn line(&mut self, line: &impl Serialize) {
        serde_json::to_writer(&mut *self.out, line).expect("numbers are finite, keys are texts, and memory takes all");
        self.out.push(b'\n');
    }
}

/// What is not UTF-8 in it is replaced, and what is too long is cut.
fn path(path: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(path) {
        Cow::Borrowed(path) => Cow::Borrowed(&path[..path.floor_char_boundary(PATH_BYTES_MAX)]),
        Cow::Owned(mut path) => {
            path.truncate(path.floor_char_boundary(PATH_BYTES_MAX));
            Cow::Owned(path)
        }
    }
}

/// To a millionth: the same on every machine. Minus zero, the sum of nothing, becomes zero.
fn round(value: f64) -> f64 {
    (value * 1e6).round() / 1e6 + 0.0
}
