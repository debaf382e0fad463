//! What happens to services: the seven kinds of events, after validation.
//!
//! Texts are borrowed from the record they came in; what state keeps, it copies.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Timestamp, UnitInterval};

/// A kind of event, as a record's `kind` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Commit,
    Deploy,
    Error,
    Incident,
    Review,
    Service,
    Override,
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Commit,
        Self::Deploy,
        Self::Error,
        Self::Incident,
        Self::Review,
        Self::Service,
        Self::Override,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Deploy => "deploy",
            Self::Error => "error",
            Self::Incident => "incident",
            Self::Review => "review",
            Self::Service => "service",
            Self::Override => "override",
        }
    }

    /// Where this kind stands in [`Kind::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Commit => 0,
            Self::Deploy => 1,
            Self::Error => 2,
            Self::Incident => 3,
            Self::Review => 4,
            Self::Service => 5,
            Self::Override => 6,
        }
    }
}

/// One event of one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Event<'a> {
    /// Unique at the producer.
    pub id: Cow<'a, str>,
    pub time: Timestamp,
    /// Checked as a [`super::ServiceId`] is.
    pub service: Cow<'a, str>,
    /// Checked as an [`super::EnvironmentId`] is; `None` where the record named none.
    pub environment: Option<Cow<'a, str>>,
    /// Who speaks: part of the identity. The record's `source`, else its topic.
    pub source: Cow<'a, str>,
    pub body: Body<'a>,
}

impl Event<'_> {
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.body.kind()
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Body<'a> {
    #[serde(borrow)]
    Commit(Box<Commit<'a>>),
    #[serde(borrow)]
    Deploy(Box<Deploy<'a>>),
    #[serde(borrow)]
    Error(ErrorCount<'a>),
    #[serde(borrow)]
    Incident(Incident<'a>),
    #[serde(borrow)]
    Review(Box<Review<'a>>),
    #[serde(borrow)]
    Service(Box<Service<'a>>),
    #[serde(borrow)]
    Override(Override<'a>),
}

impl Body<'_> {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Commit(_) => Kind::Commit,
            Self::Deploy(_) => Kind::Deploy,
            Self::Error(_) => Kind::Error,
            Self::Incident(_) => Kind::Incident,
            Self::Review(_) => Kind::Review,
            Self::Service(_) => Kind::Service,
            Self::Override(_) => Kind::Override,
        }
    }
}

/// An author's or reviewer's standing. Policy, never score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Below every other, so that it meets no demand for a level.
    #[default]
    Unknown,
    Junior,
    Mid,
    Senior,
    Staff,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assistance {
    None,
    Assisted,
    Authored,
    /// Silence is not "human".
    #[default]
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    High,
    Medium,
    Low,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Author<'a> {
    #[serde(borrow)]
    pub id: Option<Cow<'a, str>>,
    pub level: Level,
    #[serde(borrow)]
    pub groups: Vec<Cow<'a, str>>,
    pub bot: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Ai {
    pub assistance: Assistance,
    pub confidence: Option<Confidence>,
}

/// How many measures of a change there are.
pub const N_MEASURES: usize = 14;

/// The measures of Kamei et al. (TSE 2013), in the order in which [`Measures`] holds them.
pub const MEASURE_NAMES: [&str; N_MEASURES] = [
    "subsystems",
    "directories",
    "files",
    "entropy",
    "lines_added",
    "lines_deleted",
    "lines_before",
    "fix",
    "developers",
    "age_days",
    "prior_changes",
    "author_changes",
    "author_recent_changes",
    "author_subsystem_changes",
];

/// Fourteen measures of a change, each ≥ 0 and finite; `None` where the record said nothing. `fix` is 0 or 1;
/// `entropy` is in bits, `age_days` in days, the rest are counts.
pub type Measures = [Option<f64>; N_MEASURES];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Commit<'a> {
    #[serde(borrow)]
    pub sha: Cow<'a, str>,
    #[serde(borrow)]
    pub repository: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub author: Author<'a>,
    pub ai: Ai,
    pub measures: Measures,
    #[serde(borrow)]
    pub paths: Vec<Cow<'a, str>>,
    #[serde(borrow)]
    pub approvals: Vec<Approval<'a>>,
    /// The pull or merge request it came by.
    #[serde(borrow)]
    pub change_id: Option<Cow<'a, str>>,
    /// The commits that were reviewed, before a squash or merge made this one.
    #[serde(borrow)]
    pub head_shas: Vec<Cow<'a, str>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval<'a> {
    #[serde(borrow)]
    pub by: Option<Cow<'a, str>>,
    pub level: Level,
    #[serde(borrow)]
    pub groups: Vec<Cow<'a, str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeployStatus {
    Started,
    Progressing,
    Succeeded,
    Failed,
    RolledBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    #[default]
    Release,
    Rollback,
    Hotfix,
    Security,
    Config,
    Flag,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deploy<'a> {
    #[serde(borrow)]
    pub deploy_id: Cow<'a, str>,
    pub status: DeployStatus,
    #[serde(borrow)]
    pub version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub previous_version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub commits: Vec<Cow<'a, str>>,
    /// The share of traffic or instances on the new version.
    pub exposure: Option<UnitInterval>,
    pub change_kind: ChangeKind,
}

/// Errors, and where known attempts, of an instant or of the interval that ends at the event's time.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct ErrorCount<'a> {
    /// Failures, after the rule on noise: one client's flood counts as one client.
    pub errors: u64,
    /// The flood of a client or two, of whom `errors` is the number: however many records tell of it, they are no more.
    pub is_storm: bool,
    /// Attempts in the same interval; `None` where not told.
    pub requests: Option<u64>,
    /// The length of the interval; 0 for an instant.
    pub interval_ms: u64,
    #[serde(borrow)]
    pub version: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub fingerprint: Option<Cow<'a, str>>,
    /// The callee that failed.
    #[serde(borrow)]
    pub upstream: Option<Cow<'a, str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IncidentStatus {
    Detected,
    Resolved,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident<'a> {
    #[serde(borrow)]
    pub incident_id: Cow<'a, str>,
    pub status: IncidentStatus,
    /// 1 is worst, 5 least; absent counts as 3.
    pub severity: u8,
    #[serde(borrow)]
    pub caused_by: Option<CausedBy<'a>>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CausedBy<'a> {
    #[serde(borrow)]
    pub deploy_id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub sha: Option<Cow<'a, str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReviewVerdict {
    Approved,
    Dismissed,
}

/// A person's word on a change, found by its sha or by its change id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Review<'a> {
    #[serde(borrow)]
    pub sha: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub change_id: Option<Cow<'a, str>>,
    pub verdict: ReviewVerdict,
    #[serde(borrow)]
    pub by: Cow<'a, str>,
    pub level: Level,
    #[serde(borrow)]
    pub groups: Vec<Cow<'a, str>>,
    pub bot: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    Low,
    #[default]
    Medium,
    High,
    Critical,
}

impl Criticality {
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Its place in [`Criticality::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        match self {
            Self::Low => 0,
            Self::Medium => 1,
            Self::High => 2,
            Self::Critical => 3,
        }
    }
}

/// A service level objective: the share of requests that must succeed over a window.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slo {
    pub objective: UnitInterval,
    pub window_days: u16,
}

/// What the catalog says of a service; the latest stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service<'a> {
    pub criticality: Option<Criticality>,
    #[serde(borrow)]
    pub depends_on: Vec<Cow<'a, str>>,
    pub traffic_share: Option<UnitInterval>,
    pub slo: Option<Slo>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    Proceed,
    Freeze,
}

/// A person's word on a service, with an end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Override<'a> {
    pub effect: Effect,
    /// At most 7 days after the event's time; not after it, to revoke.
    pub until: Timestamp,
    #[serde(borrow)]
    pub reason: Cow<'a, str>,
    #[serde(borrow)]
    pub by: Cow<'a, str>,
}
