//! What a policy lets by while services are frozen, and where it wants changes to be known.
//!
//! `freeze.low_loss_passes` and `require_known_changes` hold no service for another hour and send no change to review: they
//! show only in what a gate answers to a deploy. So it is counted here what each would mean to the changes and deploys of
//! the history, whether the policy has it or not.

use foldhash::{HashMap, HashSet};
use serde::Serialize;

use super::{
    fates::hash,
    holding::{Held, Holding, OVERRIDE},
    latest::Latest,
    summary::{ModeCounts, ModeHours, count},
    told::Told,
};
use crate::model::{Action, Change, Decision, Deploy, Event, EventHash, Mode, Sequence, Subject, Timestamp};

/// Changes remembered that landed while their service was frozen: 4 MiB. Further ones are counted, and not asked for what
/// became of them.
const LANDED_MAX: usize = 100_000;
/// Deploys whose first status is remembered: 10 MiB.
const DEPLOYS_MAX: usize = 200_000;

/// Changes that landed while something found froze their service, in any environment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct WhileFrozen {
    pub landed: u64,
    /// Of those, the ones of low loss: what `freeze.low_loss_passes` lets by, or would.
    pub low_loss: u64,
    /// Of those, the ones that the policy lets by in every environment in which the service was frozen.
    pub let_by: u64,
    /// Of all that landed, and of those of low loss, the ones that incidents or reverts name as their cause.
    pub failed: u64,
    pub low_loss_failed: u64,
    /// How long the freezes stood that let low loss by, summed over services.
    pub let_by_hours: ModeHours,
}

/// What `require_known_changes` asks, or would.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct KnownChanges {
    /// Decisions on services that require it, whatever their action, and how long these stood. It binds where enforced.
    pub decisions: ModeCounts,
    pub hours: ModeHours,
    /// Deploys that name their changes, rollbacks apart.
    pub deploys: u64,
    /// Of those, the ones that name a change on which no decision stood as they began.
    pub unknown: u64,
    /// Of those, the ones whose service required known changes: enforced, a gate's answer is unknown, and follows the
    /// fail mode.
    pub unanswered: ModeCounts,
}

#[derive(Debug)]
pub(super) struct Passing {
    /// Changes on which a decision stands: as many as score remembers.
    known: HashSet<u64>,
    /// Whether each that landed while its service was frozen is of low loss.
    landed: HashMap<u64, bool>,
    n_landed: u64,
    n_low_loss: u64,
    n_let_by: u64,
    requiring: ModeCounts,
    deploys: Latest<u64, ()>,
    n_deploys: u64,
    n_unknown: u64,
    unanswered: ModeCounts,
}

impl Default for Passing {
    fn default() -> Self {
        Self {
            known: HashSet::default(),
            landed: HashMap::default(),
            n_landed: 0,
            n_low_loss: 0,
            n_let_by: 0,
            requiring: ModeCounts::NONE,
            deploys: Latest::new(DEPLOYS_MAX),
            n_deploys: 0,
            n_unknown: 0,
            unanswered: ModeCounts::NONE,
        }
    }
}

impl ModeCounts {
    const NONE: Self = Self { shadow: 0, enforce: 0 };

    fn add(&mut self, mode: Mode) {
        match mode {
            Mode::Shadow => self.shadow += 1,
            Mode::Enforce => self.enforce += 1,
        }
    }

    pub(super) fn all(self) -> u64 {
        self.shadow + self.enforce
    }
}

fn of_change(change: &Change) -> u64 {
    hash(change.service.as_str(), &change.sha)
}

impl Passing {
    /// A deploy is told of, in the default environment where it names none. Its first status counts.
    pub(super) fn deployed(&mut self, deploy: &Deploy<'_>, event: &Event<'_>, default: &str, holding: &Holding) {
        if deploy.commits.is_empty() || super::detection::is_taken_back(deploy) {
            return;
        }
        let environment = event.environment.as_deref().unwrap_or(default);
        let key = EventHash::of(&event.service, environment, &deploy.deploy_id).0;
        if self.deploys.get(key).is_some() {
            return;
        }
        self.deploys.remember(key, || ());
        self.n_deploys += 1;
        let mut shas = deploy.commits.iter();
        if shas.all(|sha| self.known.contains(&hash(&event.service, sha))) {
            return;
        }
        self.n_unknown += 1;
        let standing = holding.of(&event.service, Some(environment), event.time);
        for held in standing.filter(|held| held.wants_known()) {
            self.unanswered.add(held.mode);
        }
    }

    /// A decision came; what stands for services is in `holding`.
    pub(super) fn decided(&mut self, decision: &Decision, holding: &Holding) {
        match &decision.subject {
            Subject::Service { .. } => {
                let is_word = decision.reasons.first().is_some_and(|reason| *reason.code == *OVERRIDE);
                if decision.requires_known_changes && !is_word {
                    self.requiring.add(decision.mode);
                }
            }
            Subject::Change(change) => {
                let change_hash = of_change(change);
                self.known.insert(change_hash);
                if decision.sequence == Sequence(1) {
                    let at = decision.decided_at;
                    self.land((change, change_hash), decision.low_loss, holding, at);
                }
            }
        }
    }

    fn land(&mut self, (change, hash): (&Change, u64), is_low: bool, holding: &Holding, at: Timestamp) {
        let is_frozen = |held: &&Held| held.action == Action::Freeze;
        let freezes = || holding.of(change.service.as_str(), None, at).filter(is_frozen);
        let is_found = freezes().any(|held| Told::of(&held.ground).is_none());
        // What was forgotten lands once.
        if !is_found || self.landed.contains_key(&hash) {
            return;
        }
        self.n_landed += 1;
        self.n_low_loss += u64::from(is_low);
        self.n_let_by += u64::from(is_low && freezes().all(|held| held.lets_low_loss_by));
        if self.landed.len() < LANDED_MAX {
            self.landed.insert(hash, is_low);
        }
    }

    pub(super) fn forget(&mut self, subject: &Subject) {
        if let Subject::Change(change) = subject {
            self.known.remove(&of_change(change));
        }
    }

    /// `has_failed` says whether an incident names a change, by its hash.
    pub(super) fn while_frozen(&self, let_by_hours: ModeHours, has_failed: impl Fn(u64) -> bool) -> WhileFrozen {
        let failed = || self.landed.iter().filter(|(change, _)| has_failed(**change));
        WhileFrozen {
            landed: self.n_landed,
            low_loss: self.n_low_loss,
            let_by: self.n_let_by,
            failed: count(failed().count()),
            low_loss_failed: count(failed().filter(|(_, is_low)| **is_low).count()),
            let_by_hours,
        }
    }

    pub(super) fn known_changes(&self, hours: ModeHours) -> KnownChanges {
        KnownChanges {
            decisions: self.requiring,
            hours,
            deploys: self.n_deploys,
            unknown: self.n_unknown,
            unanswered: self.unanswered,
        }
    }
}
