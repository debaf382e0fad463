//! What was so: which deploys are bad and how, who suffers of them, and what came of no deploy.

use crate::model::{ChangeKind, Timestamp};

/// A deploy reached a share of the traffic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    pub at: Timestamp,
    /// As its records say: of instances.
    pub declared: f64,
    /// Of the traffic.
    pub share: f64,
}

/// How a bad deploy ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Taken back.
    RolledBack,
    /// Another deploy came after it, which mended it.
    Mended,
}

/// What a bad deploy does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// Errors on the new version as a multiple of the usual ones.
    pub factor: f64,
    /// Its first error at the earliest: not before the new version has traffic.
    pub from: Timestamp,
    pub until: Timestamp,
    pub ending: Ending,
    /// The share of traffic that had it at its beginning.
    pub share: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Deploy {
    /// The service's place in the fleet.
    pub service: usize,
    /// `None`: production.
    pub preview: Option<u32>,
    pub id: Box<str>,
    pub kind: ChangeKind,
    pub stages: Vec<Stage>,
    /// Number of the version it brings, and of the one before. A redeploy, a config or a flag brings none: they agree.
    pub version: u32,
    pub previous: u32,
    pub shas: Vec<Box<str>>,
    pub fault: Option<Fault>,
}

impl Deploy {
    /// Its first status.
    #[must_use]
    pub fn started_at(&self) -> Timestamp {
        self.stages.first().map_or(Timestamp::NEVER, |stage| stage.at)
    }

    /// When all traffic was on it.
    #[must_use]
    pub fn completed_at(&self) -> Timestamp {
        self.stages.last().map_or(Timestamp::NEVER, |stage| stage.at)
    }
}

/// A service failed and took others with it, and no deploy did it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outage {
    pub service: usize,
    pub from: Timestamp,
    pub until: Timestamp,
    pub factor: f64,
}

/// What raises a service's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The place of a bad deploy in [`Truth::deploys`].
    Deploy(usize),
    /// The place of an outage in [`Truth::outages`].
    Outage(usize),
    /// Instances restart: no fault.
    Blip,
}

/// A stretch in which something raises a service's errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raise {
    pub from: Timestamp,
    pub until: Timestamp,
    /// Further errors as a multiple of the usual ones of the traffic that has them.
    pub excess: f64,
    /// All traffic, or that on versions from this one on.
    pub versions_from: Option<u32>,
    pub cause: Cause,
    /// The callee it came by; `None` where it began.
    pub by: Option<usize>,
}

/// A client that repeats one failing call without end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Storm {
    pub service: usize,
    pub from: Timestamp,
    pub until: Timestamp,
    /// Errors in ten seconds.
    pub errors: u64,
}

/// A stretch whose records never come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub service: usize,
    pub from: Timestamp,
    pub until: Timestamp,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Truth {
    pub deploys: Vec<Deploy>,
    pub outages: Vec<Outage>,
    pub storms: Vec<Storm>,
    pub gaps: Vec<Gap>,
    /// By service in production, in the order of their beginnings.
    pub raises: Vec<Vec<Raise>>,
}

impl Truth {
    /// What raises errors of a service in production somewhere between two instants.
    pub fn raised(&self, service: usize, from: Timestamp, until: Timestamp) -> impl Iterator<Item = &Raise> {
        let raises = self.raises.get(service).map_or(&[][..], Vec::as_slice);
        raises
            .iter()
            .filter(move |raise| raise.from < until && raise.until > from)
    }
}
