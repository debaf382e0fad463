//! What a pipeline asks before it deploys.

use crate::model::{ChangeKind, EnvironmentId, ServiceId};

/// May these changes of this service go to this environment?
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub service: ServiceId,
    pub environment: EnvironmentId,
    /// Commits as they landed; may be empty.
    pub changes: Vec<Box<str>>,
    pub kind: ChangeKind,
    /// The incident a hotfix is for.
    pub incident: Option<Box<str>>,
    pub fail_mode: FailMode,
}

impl Request {
    /// A release without named changes that fails open.
    #[must_use]
    pub fn new(service: ServiceId, environment: EnvironmentId) -> Self {
        let (kind, fail_mode) = (ChangeKind::default(), FailMode::default());
        Self {
            service,
            environment,
            changes: Vec::new(),
            kind,
            incident: None,
            fail_mode,
        }
    }
}

/// What "not known" means to a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FailMode {
    /// Go on, and say so.
    #[default]
    Open,
    /// Stop.
    Closed,
}

impl FailMode {
    /// `open` or `closed`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "open" => Some(Self::Open),
            "closed" => Some(Self::Closed),
            _ => None,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// The kinds that can be asked about; `None` for any other name.
#[must_use]
pub fn parse_kind(name: &str) -> Option<ChangeKind> {
    match name {
        "release" => Some(ChangeKind::Release),
        "rollback" => Some(ChangeKind::Rollback),
        "hotfix" => Some(ChangeKind::Hotfix),
        "security" => Some(ChangeKind::Security),
        _ => None,
    }
}
