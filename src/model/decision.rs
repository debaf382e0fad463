//! What pipelines are told: one standing decision per subject.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{Assistance, EnvironmentId, Level, Offset, PartitionIndex, Sequence, ServiceId, Timestamp, UnitInterval};

/// Suspects published with a freeze, at most: three can be looked at, ten cannot.
pub const MAX_SUSPECTS: usize = 3;

/// What a pipeline may do; the greater is the worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    #[default]
    Proceed,
    ExtraReview,
    Freeze,
}

impl Action {
    pub const ALL: [Self; 3] = [Self::Proceed, Self::ExtraReview, Self::Freeze];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Proceed => "proceed",
            Self::ExtraReview => "extra_review",
            Self::Freeze => "freeze",
        }
    }
}

/// Whether a decision binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Published, and blocks nothing.
    #[default]
    Shadow,
    Enforce,
}

impl Mode {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Shadow => "shadow",
            Self::Enforce => "enforce",
        }
    }
}

/// What a decision is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    Service {
        service: ServiceId,
        environment: EnvironmentId,
    },
    Change(Change),
}

/// A commit as it lands in a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Change {
    pub service: ServiceId,
    pub sha: Box<str>,
}

impl Subject {
    #[must_use]
    pub fn service(&self) -> &ServiceId {
        match self {
            Self::Service { service, .. } => service,
            Self::Change(change) => &change.service,
        }
    }
}

/// `service:checkout@production` or `change:checkout:4f1c…`, with `%`, `@` and `:` of the names percent-encoded: the
/// key on the control topic.
impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service { service, environment } => {
                f.write_str("service:")?;
                write_encoded(f, service.as_str())?;
                f.write_str("@")?;
                write_encoded(f, environment.as_str())
            }
            Self::Change(change) => {
                f.write_str("change:")?;
                write_encoded(f, change.service.as_str())?;
                f.write_str(":")?;
                write_encoded(f, &change.sha)
            }
        }
    }
}

fn write_encoded(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    for part in text.split_inclusive(['%', '@', ':']) {
        let Some(last) = part.chars().last().filter(|last| matches!(last, '%' | '@' | ':')) else {
            return f.write_str(part);
        };
        f.write_str(&part[..part.len() - 1])?;
        f.write_str(match last {
            '%' => "%25",
            '@' => "%40",
            _ => "%3A",
        })?;
    }
    Ok(())
}

/// A decision's id: its subject and sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionId<'a> {
    pub subject: &'a Subject,
    pub sequence: Sequence,
}

impl fmt::Display for DecisionId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.subject, self.sequence)
    }
}

/// One value that speaks for a reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Evidence {
    Count(u64),
    Number(f64),
    Text(Box<str>),
}

/// Why: a code for machines, a sentence for people, and the figures.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    pub code: Box<str>,
    pub text: Box<str>,
    pub value: Option<f64>,
    pub threshold: Option<f64>,
    pub evidence: BTreeMap<&'static str, Evidence>,
}

impl Reason {
    #[must_use]
    pub fn new(code: impl Into<Box<str>>, text: impl Into<Box<str>>) -> Self {
        Self {
            code: code.into(),
            text: text.into(),
            value: None,
            threshold: None,
            evidence: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalKind {
    Approval,
}

/// What lifts an extra review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obligation {
    pub kind: ApprovalKind,
    pub count: u8,
    pub level: Option<Level>,
    pub group: Option<Box<str>>,
    pub when: When,
}

/// The changes an obligation is about: empty lists mean all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct When {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ai: Vec<Assistance>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub author_level: Vec<Level>,
}

/// What passes a freeze.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exemption {
    Rollback,
    Hotfix,
    Security,
}

impl Exemption {
    pub const ALL: [Self; 3] = [Self::Rollback, Self::Hotfix, Self::Security];
}

/// A deploy that may be to blame; `None` is the background, none of the deploys.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    pub deploy_id: Option<Box<str>>,
    pub service: ServiceId,
    pub probability: UnitInterval,
}

/// What made a decision necessary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A record of an input topic.
    Record {
        topic: Box<str>,
        partition: PartitionIndex,
        offset: Offset,
    },
    /// A line of a recorded history.
    Line { file: Box<str>, line: u64 },
    /// Time went on.
    Time(Timestamp),
    /// A policy came into force.
    Policy(Box<str>),
}

/// What stands for a subject until the next decision on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub sequence: Sequence,
    pub subject: Subject,
    pub action: Action,
    pub mode: Mode,
    pub decided_at: Timestamp,
    /// After this instant it binds nobody; a freeze always has one.
    pub valid_until: Option<Timestamp>,
    /// Of a freeze: when its first decision was made; renewals and other grounds leave it.
    pub frozen_since: Option<Timestamp>,
    pub risk: Option<UnitInterval>,
    pub reasons: Vec<Reason>,
    pub to_lift: Vec<Box<str>>,
    pub obligations: Vec<Obligation>,
    pub exempt: Vec<Exemption>,
    /// Of a service that is held: the ids of all incidents open on it. A hotfix for one of them passes a freeze.
    pub incidents: Vec<Box<str>>,
    /// Of a service: a change never seen is not known, rather than nothing against it.
    pub requires_known_changes: bool,
    /// Of a change: its loss is in the lower half of its tier's. Of a frozen service: such changes pass.
    pub low_loss: bool,
    pub suspects: Vec<Suspect>,
    /// `sha256:` and the digest of the policy in force.
    pub policy: Box<str>,
    /// `sha256:` and the digest of the risk model's constants.
    pub model: Box<str>,
    pub cause: Cause,
}
