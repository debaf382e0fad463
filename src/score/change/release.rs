//! Which deploy brought a change, and whether it may still be told to have failed.
//!
//! A failure says something of a class of changes only where it is known whose it is. So what is at risk is what can be
//! counted: a deploy that brought nothing but known changes of one class is one *lot*, and fails as one by whatever names
//! it, its id or one of its changes; each change of any other deploy is a lot of its own, and fails only where it is
//! named.
//!
//! ```text
//! Awaited ──deploy──► Together | Apart ──failed, or forgotten──► Over
//! ```
//!
//! **Invariant:** a change is in one lot once, however often it is deployed, and a lot fails once.

use std::{mem, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Changes, Remembered, Scene};
use crate::{
    model::{Deploy, Lot, Message, Rivals, Second, Timestamp, hash_text},
    score::{
        Said,
        trend::{AT_RISK, AtRisk, Kind, class, rivals},
    },
};

/// Changes of one deploy that are told of; more ride together than anybody can tell apart.
const CHANGES_MAX: usize = 64;

/// A part of the hash of a deploy's id: of a hundred deploys, two fall together in one service of three thousand.
type DeployTag = [u8; 3];

/// What became of a change beyond its landing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(super) enum Release {
    /// No deploy brought it so far.
    #[default]
    Awaited,
    /// It is of a lot with all that its deploy brought.
    Together { deploy: DeployTag, at: Second },
    /// It is a lot by itself.
    Apart { deploy: DeployTag, at: Second },
    /// Its lot failed, or was forgotten.
    Over,
}

/// A lot that failed, and what was at risk with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Failure {
    pub(crate) lot: Lot,
    pub(crate) rivals: Rivals,
}

impl Release {
    fn deploy(self) -> Option<DeployTag> {
        match self {
            Self::Together { deploy, .. } | Self::Apart { deploy, .. } => Some(deploy),
            Self::Awaited | Self::Over => None,
        }
    }

    /// Since when it is at risk, or was.
    fn since(self) -> Option<Timestamp> {
        match self {
            Self::Together { at, .. } | Self::Apart { at, .. } => Some(at.start()),
            Self::Awaited | Self::Over => None,
        }
    }

    fn is_at_risk(self, at: Timestamp) -> bool {
        let since = self.since();
        since.is_some_and(|since| since <= at && at.since(since) < AT_RISK)
    }
}

fn tag(deploy_id: &str) -> DeployTag {
    let [a, b, c, ..] = hash_text(deploy_id).to_le_bytes();
    [a, b, c]
}

impl Changes {
    /// A deploy to the default environment is under way: says what it brought, unless that is nothing, or known already.
    ///
    /// It is one lot only if all that it lists is remembered, was in no deploy before, and is of one class.
    pub(crate) fn bring(&mut self, deploy: &Deploy<'_>, at: Timestamp) -> Option<Message<'static>> {
        let mut shas: Vec<&str> = deploy.commits.iter().map(AsRef::as_ref).collect();
        shas.sort_unstable();
        shas.dedup();
        let n_listed = shas.len();
        shas.retain(|sha| {
            let known = self.list.find(sha);
            known.is_some_and(|change| change.release == Release::Awaited)
        });
        let is_all = shas.len() == n_listed && n_listed <= CHANGES_MAX;
        shas.truncate(CHANGES_MAX);
        let mut n_changes = [0; 3];
        for change in shas.iter().filter_map(|sha| self.list.find(sha)) {
            n_changes[class(change.ai)] += 1;
        }
        if shas.is_empty() {
            return None;
        }
        let (deploy, at) = (tag(&deploy.deploy_id), Second::of(at));
        // It may have begun before all of its commits were known.
        let has_begun = self.list.iter().any(|change| change.release.deploy() == Some(deploy));
        let is_alike = n_changes.iter().filter(|n| **n > 0).count() == 1;
        let release = if is_all && is_alike && !has_begun {
            Release::Together { deploy, at }
        } else {
            Release::Apart { deploy, at }
        };
        self.list.for_each(|change| {
            let is_brought = shas.binary_search(&&*change.sha).is_ok();
            if is_brought {
                change.release = release;
            }
            is_brought
        });
        Some(Message::Deployed {
            at: at.start(),
            n_changes,
        })
    }

    /// A deploy failed at `at`: the lot that it is, if it is one and was at risk. What it is not, is nobody's failure.
    pub(crate) fn fail_deploy(&mut self, deploy_id: &str, at: Timestamp) -> Option<Failure> {
        let deploy = tag(deploy_id);
        let is_of = |release: &Release| matches!(release, Release::Together { deploy: own, .. } if *own == deploy);
        let release = self.list.iter().map(|change| change.release).find(is_of)?;
        self.fail(release, None, at)
    }

    /// A change failed at `at`: its lot, if that was at risk.
    pub(crate) fn fail_change(&mut self, sha: &str, at: Timestamp) -> Option<Failure> {
        let release = self.list.find(sha)?.release;
        self.fail(release, Some(sha), at)
    }

    fn fail(&mut self, release: Release, sha: Option<&str>, at: Timestamp) -> Option<Failure> {
        let at_risk = self.at_risk_with(release, at);
        let lot = self.end(release, sha, at)?;
        let kind = match release {
            Release::Together { .. } => Kind::Deploys(lot.n_changes),
            Release::Awaited | Release::Apart { .. } | Release::Over => Kind::Changes,
        };
        Some(Failure {
            lot,
            rivals: rivals((kind, at.since(lot.deployed_at)), at_risk),
        })
    }

    /// The changes at risk at `at` that are released as those of `release` are: together, or each by itself.
    fn at_risk_with(&self, release: Release, at: Timestamp) -> Vec<AtRisk<Release>> {
        let is_alike = |own: Release| mem::discriminant(&own) == mem::discriminant(&release);
        let changes = self.list.iter();
        let at_risk = changes.filter(|change| is_alike(change.release) && change.release.is_at_risk(at));
        let at_risk = at_risk.map(|change| AtRisk {
            lot: change.release,
            age: change.release.since().map_or(Duration::ZERO, |since| at.since(since)),
            ai: change.ai,
            probability: change.probability,
        });
        at_risk.collect()
    }

    /// Takes a lot out of what is at risk: that of the change `sha`, or all that is together in `release`.
    fn end(&mut self, release: Release, sha: Option<&str>, at: Timestamp) -> Option<Lot> {
        let deployed_at = release.since().filter(|_| release.is_at_risk(at))?;
        let (mut n_changes, mut ai) = (0_u8, None);
        self.list.for_each(|change| {
            let is_meant = matches!(release, Release::Together { .. }) || sha == Some(&*change.sha);
            let is_over = is_meant && change.release == release;
            if is_over {
                change.release = Release::Over;
                n_changes = n_changes.saturating_add(1);
                ai = Some(change.ai);
            }
            is_over
        });
        Some(Lot {
            ai: ai?,
            deployed_at,
            n_changes,
        })
    }

    /// Whether a change of this sha is remembered.
    pub(crate) fn knows(&self, sha: &str) -> bool {
        self.list.find(sha).is_some()
    }

    /// The `n` oldest changes are about to be forgotten for want of room: nothing could be told of them any more.
    pub(super) fn leave_oldest(&mut self, n: usize, scene: &mut Scene<'_>) {
        let leaving = Self::at_risk(self.list.iter().take(n), scene.context.at);
        self.leave(leaving, scene.context.at, scene.said);
    }

    /// The changes that `is_gone` are about to be forgotten for their age.
    pub(super) fn leave_old(&mut self, is_gone: impl Fn(&Remembered) -> bool, at: Timestamp, said: &mut Vec<Said>) {
        let leaving = Self::at_risk(self.list.iter().filter(|change| is_gone(change)), at);
        self.leave(leaving, at, said);
    }

    fn at_risk<'a>(changes: impl Iterator<Item = &'a Remembered>, at: Timestamp) -> Vec<(Box<str>, Release)> {
        let changes = changes.filter(|change| change.release.is_at_risk(at));
        changes.map(|change| (change.sha.clone(), change.release)).collect()
    }

    fn leave(&mut self, leaving: Vec<(Box<str>, Release)>, at: Timestamp, said: &mut Vec<Said>) {
        for (sha, release) in leaving {
            if let Some(lot) = self.end(release, Some(&sha), at) {
                said.push(Said::Message(Message::Left { lot }));
            }
        }
    }
}
