//! A decision's JSON, as `schemas/decision.v1.schema.json` has it.

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use super::{check_schema, instant, to_json};
use crate::{
    gate::{KeptText, StandingDecision, StandingReason, Unreadable},
    model::{
        Action, ApprovalKind, Cause, Change, Decision, DecisionId, EnvironmentId, Evidence, Exemption, Level, Mode,
        Obligation, Offset, PartitionIndex, Reason, Sequence, ServiceId, Subject, Suspect, Timestamp, UnitInterval,
        When,
    },
};

const NAME: &str = "holdpoint.decision";

/// The fields in the order in which they are written.
#[derive(Serialize)]
struct Written<'a> {
    schema: &'static str,
    id: String,
    sequence: Sequence,
    subject: SubjectJson<'a>,
    action: Action,
    mode: Mode,
    #[serde(with = "instant")]
    decided_at: Timestamp,
    #[serde(with = "instant::option")]
    valid_until: Option<Timestamp>,
    #[serde(with = "instant::option", skip_serializing_if = "Option::is_none")]
    frozen_since: Option<Timestamp>,
    risk: Option<UnitInterval>,
    reasons: Vec<ReasonWritten<'a>>,
    to_lift: &'a [Box<str>],
    obligations: &'a [Obligation],
    exempt: &'a [Exemption],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    incidents: &'a [Box<str>],
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    requires_known_changes: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    low_loss: bool,
    suspects: Vec<SuspectWritten<'a>>,
    policy: &'a str,
    model: &'a str,
    cause: CauseWritten<'a>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum SubjectJson<'a> {
    Service {
        service: Cow<'a, ServiceId>,
        environment: Cow<'a, EnvironmentId>,
    },
    Change {
        service: Cow<'a, ServiceId>,
        sha: Cow<'a, str>,
    },
}

#[derive(Serialize)]
struct ReasonWritten<'a> {
    code: &'a str,
    text: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threshold: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    evidence: &'a BTreeMap<&'static str, Evidence>,
}

#[derive(Serialize)]
struct SuspectWritten<'a> {
    deploy_id: Option<&'a str>,
    service: &'a ServiceId,
    probability: UnitInterval,
}

#[derive(Serialize)]
#[serde(untagged)]
enum CauseWritten<'a> {
    Record {
        topic: &'a str,
        partition: PartitionIndex,
        offset: Offset,
    },
    Line {
        file: &'a str,
        line: u64,
    },
    Time {
        #[serde(with = "instant")]
        time: Timestamp,
    },
    Policy {
        policy: &'a str,
    },
}

/// A decision as it is published: one line, the same bytes for the same decision.
///
/// Probabilities are rounded to 1e-6. A figure that is no finite number is left out, or null within the evidence.
///
/// # Panics
/// If a freeze has no end: that would be our own mistake, and must not reach a pipeline.
#[must_use]
pub fn encode_decision(decision: &Decision) -> Vec<u8> {
    assert!(
        decision.action != Action::Freeze || decision.valid_until.is_some(),
        "a freeze has an end"
    );
    to_json(&Written {
        schema: "holdpoint.decision/1",
        id: DecisionId {
            subject: &decision.subject,
            sequence: decision.sequence,
        }
        .to_string(),
        sequence: decision.sequence,
        subject: subject_written(&decision.subject),
        action: decision.action,
        mode: decision.mode,
        decided_at: decision.decided_at,
        valid_until: decision.valid_until,
        frozen_since: decision.frozen_since,
        risk: decision.risk.map(UnitInterval::rounded),
        reasons: decision.reasons.iter().map(reason_written).collect(),
        to_lift: &decision.to_lift,
        obligations: &decision.obligations,
        exempt: &decision.exempt,
        incidents: &decision.incidents,
        requires_known_changes: decision.requires_known_changes,
        low_loss: decision.low_loss,
        suspects: decision.suspects.iter().map(suspect_written).collect(),
        policy: &decision.policy,
        model: &decision.model,
        cause: cause_written(&decision.cause),
    })
}

fn subject_written(subject: &Subject) -> SubjectJson<'_> {
    match subject {
        Subject::Service { service, environment } => SubjectJson::Service {
            service: Cow::Borrowed(service),
            environment: Cow::Borrowed(environment),
        },
        Subject::Change(change) => SubjectJson::Change {
            service: Cow::Borrowed(&change.service),
            sha: change.sha.as_ref().into(),
        },
    }
}

fn reason_written(reason: &Reason) -> ReasonWritten<'_> {
    let Reason {
        code,
        text,
        value,
        threshold,
        evidence,
    } = reason;
    let finite = |figure: &Option<f64>| figure.filter(|figure| figure.is_finite());
    ReasonWritten {
        code,
        text,
        value: finite(value),
        threshold: finite(threshold),
        evidence,
    }
}

fn suspect_written(suspect: &Suspect) -> SuspectWritten<'_> {
    let Suspect {
        deploy_id,
        service,
        probability,
    } = suspect;
    SuspectWritten {
        deploy_id: deploy_id.as_deref(),
        service,
        probability: probability.rounded(),
    }
}

fn cause_written(cause: &Cause) -> CauseWritten<'_> {
    match cause {
        Cause::Record {
            topic,
            partition,
            offset,
        } => CauseWritten::Record {
            topic,
            partition: *partition,
            offset: *offset,
        },
        Cause::Line { file, line } => CauseWritten::Line { file, line: *line },
        Cause::Time(time) => CauseWritten::Time { time: *time },
        Cause::Policy(policy) => CauseWritten::Policy { policy },
    }
}

/// What a reader needs; the rest stays in the bytes.
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
    sequence: Sequence,
    #[serde(borrow)]
    subject: SubjectJson<'a>,
    action: Action,
    mode: Mode,
    #[serde(with = "instant")]
    decided_at: Timestamp,
    #[serde(with = "instant::option", default)]
    valid_until: Option<Timestamp>,
    #[serde(with = "instant::option", default)]
    frozen_since: Option<Timestamp>,
    #[serde(default)]
    risk: Option<UnitInterval>,
    #[serde(borrow, default)]
    reasons: Vec<ReasonRead<'a>>,
    #[serde(default)]
    to_lift: Vec<Box<str>>,
    #[serde(borrow, default)]
    obligations: Vec<ObligationRead<'a>>,
    #[serde(borrow, default)]
    exempt: Vec<Cow<'a, str>>,
    #[serde(default)]
    incidents: Vec<Box<str>>,
    #[serde(default)]
    requires_known_changes: bool,
    #[serde(default)]
    low_loss: bool,
}

#[derive(Deserialize)]
struct ReasonRead<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ObligationRead<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    count: u8,
    #[serde(default)]
    level: Option<Level>,
    #[serde(default)]
    group: Option<Box<str>>,
    #[serde(default)]
    when: When,
}

/// Reads a decision, and keeps its bytes.
///
/// A freeze without an end is refused. Kinds of exemption or obligation that a later program added are passed over:
/// they can only let more by, or ask for what this one cannot name.
pub fn decode_decision(value: &[u8]) -> Result<StandingDecision, Unreadable> {
    // Of strings that nobody reads, the parser does not ask whether they are text.
    let text = std::str::from_utf8(value).map_err(|_not_text| Unreadable::NotUtf8)?;
    let read: Read<'_> = serde_json::from_str(text).map_err(Unreadable::NotAsExpected)?;
    check_schema(&read.schema, NAME)?;
    if read.action == Action::Freeze && read.valid_until.is_none() {
        return Err(Unreadable::EndlessFreeze);
    }
    Ok(StandingDecision {
        sequence: read.sequence,
        subject: match read.subject {
            SubjectJson::Service { service, environment } => Subject::Service {
                service: service.into_owned(),
                environment: environment.into_owned(),
            },
            SubjectJson::Change { service, sha } => Subject::Change(Change {
                service: service.into_owned(),
                sha: sha.into(),
            }),
        },
        action: read.action,
        mode: read.mode,
        decided_at: read.decided_at,
        valid_until: read.valid_until,
        frozen_since: read.frozen_since,
        risk: read.risk,
        reasons: read.reasons.into_iter().map(standing_reason).collect(),
        to_lift: read.to_lift.into(),
        obligations: read.obligations.into_iter().filter_map(obligation).collect(),
        exempt: read.exempt.iter().filter_map(|name| exemption(name)).collect(),
        incidents: read.incidents.into(),
        requires_known_changes: read.requires_known_changes,
        low_loss: read.low_loss,
        json: on_one_line(text),
    })
}

fn standing_reason(read: ReasonRead<'_>) -> StandingReason {
    StandingReason {
        code: read.code.into(),
        text: read.text.into(),
    }
}

fn obligation(read: ObligationRead<'_>) -> Option<Obligation> {
    let ObligationRead {
        kind,
        count,
        level,
        group,
        when,
    } = read;
    (kind == "approval").then_some(Obligation {
        kind: ApprovalKind::Approval,
        count,
        level,
        group,
        when,
    })
}

fn exemption(name: &str) -> Option<Exemption> {
    match name {
        "rollback" => Some(Exemption::Rollback),
        "hotfix" => Some(Exemption::Hotfix),
        "security" => Some(Exemption::Security),
        _ => None,
    }
}

/// The value, which was read as JSON before. Line breaks in JSON stand between its parts only, where a space does as well:
/// what is passed on fits on a line of NDJSON and into a server-sent event.
fn on_one_line(text: &str) -> KeptText {
    let text = text.trim();
    if text.contains(['\n', '\r']) {
        KeptText::new(&text.replace(['\n', '\r'], " "))
    } else {
        KeptText::new(text)
    }
}
