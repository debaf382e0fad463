//! What stands for each service, for how long, and how long it stood in all.

use std::collections::BTreeMap;

use xxhash_rust::xxh3::xxh3_64;

use super::{
    detection::{EVIDENCE, blamed},
    summary::count,
    tier::ByTier,
    told::Told,
};
use crate::model::{Action, Criticality, Decision, EnvironmentId, Mode, ServiceId, Subject, Timestamp, hash_text};

/// Services, in environments, that were ever held, of which totals are kept: 200 bytes each.
const PLACES_MAX: usize = 200_000;
/// Freezes remembered of each, to find them again in another replay; the totals count all.
const SPANS_MAX: usize = 256;
/// Deploys remembered for which a service was frozen without a break.
const BLAMED_MAX: usize = 16;

/// The code of a person's word.
pub(super) const OVERRIDE: &str = "override";

/// The decision that stands for a service in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) action: Action,
    /// Whether it binds: a person's word does in any mode.
    pub(super) mode: Mode,
    /// Of a freeze: changes of low loss pass.
    pub(super) lets_low_loss_by: bool,
    requires_known_changes: bool,
    pub(super) tier: Criticality,
    /// The code of its reason.
    pub(super) ground: Box<str>,
    since: Timestamp,
    /// When the action was first decided that this decision goes on with.
    pub(super) began: Timestamp,
    valid_until: Option<Timestamp>,
    /// Of one by evidence, since when evidence has frozen it: another ground may have stood for it meanwhile.
    pub(super) convicted_at: Option<Timestamp>,
    /// The hashes of the deploys that it was frozen for by evidence, without a break up to here, and since when.
    blamed: Vec<(u64, Timestamp)>,
}

impl Held {
    /// Whether it has been frozen for this deploy, by evidence, and frozen ever since.
    pub(super) fn was_frozen_for(&self, deploy_id: &str) -> bool {
        self.convicted_for(hash_text(deploy_id)).is_some()
    }

    fn convicted_for(&self, deploy: u64) -> Option<Timestamp> {
        let mut blamed = self.blamed.iter();
        blamed.find(|(known, _)| *known == deploy).map(|(_, since)| *since)
    }

    /// Takes over from what it goes on with, if from anything; it is by evidence that blames this deploy, or none that is named.
    fn convict(&mut self, deploy: Option<u64>, before: Option<Timestamp>) {
        let since = deploy.and_then(|deploy| self.convicted_for(deploy));
        let since = before.or(since).unwrap_or(self.since);
        self.convicted_at = Some(since);
        if let Some(deploy) = deploy
            && self.convicted_for(deploy).is_none()
            && self.blamed.len() < BLAMED_MAX
        {
            self.blamed.push((deploy, since));
        }
    }

    pub(super) fn is_in_force(&self, at: Timestamp) -> bool {
        self.valid_until.is_none_or(|until| at < until)
    }

    /// Whether a change never seen makes a gate's answer unknown, where it binds: not where a person's word stands.
    pub(super) fn wants_known(&self) -> bool {
        self.requires_known_changes && *self.ground != *OVERRIDE
    }

    fn end(&self, at: Timestamp) -> Timestamp {
        self.valid_until.map_or(at, |until| until.min(at)).max(self.since)
    }
}

/// What is held when time ends: the first by name, and how many others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StillHeld {
    pub(super) service: ServiceId,
    pub(super) environment: EnvironmentId,
    /// The code of its reason.
    pub(super) ground: Box<str>,
    pub(super) until: Option<Timestamp>,
    pub(super) n_others: u64,
}

/// Milliseconds for which something stood: that only told, and that bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct HeldMs {
    pub(super) shadow: i64,
    pub(super) enforce: i64,
}

impl HeldMs {
    fn add(&mut self, mode: Mode, ms: i64) {
        match mode {
            Mode::Shadow => self.shadow += ms,
            Mode::Enforce => self.enforce += ms,
        }
    }

    pub(super) fn all(self) -> i64 {
        self.shadow + self.enforce
    }

    fn sum<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        all.fold(Self::default(), |sum, held| Self {
            shadow: sum.shadow + held.shadow,
            enforce: sum.enforce + held.enforce,
        })
    }
}

/// For how long something stood, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stood {
    pub(super) ms: HeldMs,
    /// A hash of the times, in either mode: what ends less what begins, so that it does not depend on how often what
    /// stood was renewed.
    when: u64,
}

impl Stood {
    fn add(&mut self, mode: Mode, since: Timestamp, end: Timestamp) {
        let hash = |at: Timestamp| xxh3_64(&at.millis().to_le_bytes());
        self.ms.add(mode, end.millis() - since.millis());
        self.when = self.when.wrapping_add(hash(end)).wrapping_sub(hash(since));
    }

    /// The times, whatever of them bound.
    fn times(self) -> (i64, u64) {
        (self.ms.all(), self.when)
    }
}

/// How long one service was held in one environment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Total {
    /// Frozen for what was found. One that begins by a window or a person's word is none of them.
    pub(super) freeze: Stood,
    pub(super) extra_review: Stood,
    pub(super) n_freezes: u64,
    /// Frozen by a window or a person's word.
    pub(super) told: Stood,
    /// When the last freeze ended, whatever it was for after its beginning.
    frozen_until: Option<Timestamp>,
    /// From when to when it was frozen for what was found, windows and words that went on with it included.
    pub(super) freezes: Vec<(Timestamp, Timestamp)>,
}

impl Total {
    /// Whether it is the same but for what of it bound.
    pub(super) fn is_but_for_mode(&self, other: &Self) -> bool {
        let times = |of: &Self| (of.freeze.times(), of.extra_review.times(), of.told.times());
        (times(self), self.n_freezes, &self.freezes) == (times(other), other.n_freezes, &other.freezes)
    }

    /// Whether windows and people's words are all that is different.
    pub(super) fn is_found_like(&self, other: &Self) -> bool {
        self.freeze == other.freeze && self.extra_review == other.extra_review && self.freezes == other.freezes
    }

    /// Whether a freeze that begins at `since` goes on with the last one. It then lasts until `end`.
    fn go_on(&mut self, since: Timestamp, end: Timestamp) -> bool {
        let goes_on = self.frozen_until.is_some_and(|until| until >= since);
        if goes_on {
            self.frozen_until = self.frozen_until.max(Some(end));
        }
        goes_on
    }
}

/// What passes of one service in one environment, and what is asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Passes {
    /// Frozen, and changes of low loss pass.
    low_loss: Stood,
    /// Changes must be known.
    known: Stood,
}

impl Passes {
    /// Whether low loss passes at other times, whatever of the freezes bound.
    pub(super) fn differ_in_low_loss(&self, other: &Self) -> bool {
        self.low_loss.times() != other.low_loss.times()
    }

    /// Whether changes must be known at other times, or this binds otherwise: it does nothing in shadow.
    pub(super) fn differ_in_known(&self, other: &Self) -> bool {
        self.known != other.known
    }
}

/// All of them: as many as services have environments.
#[derive(Debug, Default)]
pub(super) struct Holding {
    standing: BTreeMap<ServiceId, BTreeMap<EnvironmentId, Held>>,
    /// How long what ended had stood.
    held: BTreeMap<Action, ByTier<HeldMs>>,
    /// Of freezes, by windows and by people.
    windows: ByTier<HeldMs>,
    words: ByTier<HeldMs>,
    totals: BTreeMap<(ServiceId, EnvironmentId), Total>,
    /// Of those in which low loss ever passed, or changes had to be known.
    passes: BTreeMap<(ServiceId, EnvironmentId), Passes>,
}

impl Holding {
    /// A decision on a service of this tier came. Returns what it takes the place of, if that was still in force.
    pub(super) fn take(&mut self, decision: &Decision, tier: Criticality) -> Option<Held> {
        let Subject::Service { service, environment } = &decision.subject else {
            return None;
        };
        let ground = decision.reasons.first().map_or("", |reason| &reason.code);
        let mut held = Held {
            action: decision.action,
            mode: if ground == OVERRIDE {
                Mode::Enforce
            } else {
                decision.mode
            },
            lets_low_loss_by: decision.low_loss && decision.action == Action::Freeze,
            requires_known_changes: decision.requires_known_changes,
            tier,
            ground: ground.into(),
            since: decision.decided_at,
            began: decision.decided_at,
            valid_until: decision.valid_until,
            convicted_at: None,
            blamed: Vec::new(),
        };
        let mut convicted_at = None;
        let environments = self.standing.entry(service.clone()).or_default();
        let before = environments.get(environment);
        // One that is renewed at the instant of its end goes on.
        let goes_on = |before: &&Held| before.valid_until.is_none_or(|until| decision.decided_at <= until);
        if let Some(before) = before.filter(goes_on).filter(|before| before.action == held.action) {
            held.began = before.began;
            held.blamed.clone_from(&before.blamed);
            convicted_at = before.convicted_at;
        }
        if held.action == Action::Freeze && ground == EVIDENCE {
            held.convict(blamed(decision).map(hash_text), convicted_at);
        }
        let before = environments.insert(environment.clone(), held)?;
        let in_force = goes_on(&&before);
        self.count(service, environment, &before, decision.decided_at);
        in_force.then_some(before)
    }

    /// The subject is forgotten.
    pub(super) fn forget(&mut self, subject: &Subject, at: Timestamp) {
        let Subject::Service { service, environment } = subject else {
            return;
        };
        let Some(environments) = self.standing.get_mut(service) else {
            return;
        };
        let held = environments.remove(environment);
        if environments.is_empty() {
            self.standing.remove(service);
        }
        if let Some(held) = held {
            self.count(service, environment, &held, at);
        }
    }

    fn count(&mut self, service: &ServiceId, environment: &EnvironmentId, held: &Held, at: Timestamp) {
        let end = held.end(at);
        let ms = end.millis() - held.since.millis();
        let by_tier = self.held.entry(held.action).or_default();
        by_tier.of_mut(held.tier).add(held.mode, ms);
        self.count_passes((service, environment), held, end);
        if held.action == Action::Proceed {
            return;
        }
        let told = Told::of(&held.ground).filter(|_| held.action == Action::Freeze);
        match told {
            Some(Told::Window) => self.windows.of_mut(held.tier).add(held.mode, ms),
            Some(Told::Person) => self.words.of_mut(held.tier).add(held.mode, ms),
            None => {}
        }
        let key = (service.clone(), environment.clone());
        if self.totals.len() >= PLACES_MAX && !self.totals.contains_key(&key) {
            return;
        }
        let total = self.totals.entry(key).or_default();
        if held.action == Action::ExtraReview {
            total.extra_review.add(held.mode, held.since, end);
            return;
        }
        // Renewed, or gone over to another ground.
        let goes_on = total.go_on(held.since, end);
        if told.is_some() {
            total.told.add(held.mode, held.since, end);
            return;
        }
        total.freeze.add(held.mode, held.since, end);
        total.frozen_until = total.frozen_until.max(Some(end));
        if !goes_on {
            total.n_freezes += 1;
            if total.freezes.len() < SPANS_MAX {
                total.freezes.push((held.since, end));
            }
        } else if let Some((_, until)) = total.freezes.last_mut().filter(|_| total.n_freezes <= count(SPANS_MAX)) {
            *until = end.max(*until);
        }
    }

    fn count_passes(&mut self, (service, environment): (&ServiceId, &EnvironmentId), held: &Held, end: Timestamp) {
        if !held.lets_low_loss_by && !held.wants_known() {
            return;
        }
        let key = (service.clone(), environment.clone());
        if self.passes.len() >= PLACES_MAX && !self.passes.contains_key(&key) {
            return;
        }
        let passes = self.passes.entry(key).or_default();
        if held.lets_low_loss_by {
            passes.low_loss.add(held.mode, held.since, end);
        }
        if held.wants_known() {
            passes.known.add(held.mode, held.since, end);
        }
    }

    /// Whether anything stands that is yet to end: all but a proceed without one.
    pub(super) fn ends_any(&self, now: Timestamp) -> bool {
        let mut all = self.standing.values().flat_map(BTreeMap::values);
        all.any(|held| held.is_in_force(now) && (held.action != Action::Proceed || held.valid_until.is_some()))
    }

    /// Whether a person's word stands.
    pub(super) fn is_any_word(&self, now: Timestamp) -> bool {
        let mut all = self.standing.values().flat_map(BTreeMap::values);
        all.any(|held| held.is_in_force(now) && &*held.ground == OVERRIDE)
    }

    /// What is held at the end of time; `None` if nothing is.
    pub(super) fn still_held(&self, now: Timestamp) -> Option<StillHeld> {
        let places = self.standing.iter().flat_map(|(service, environments)| {
            let places = environments.iter();
            places.map(move |(environment, held)| (service, environment, held))
        });
        let mut held = places.filter(|(.., held)| held.action != Action::Proceed && held.is_in_force(now));
        let (service, environment, first) = held.next()?;
        Some(StillHeld {
            service: service.clone(),
            environment: environment.clone(),
            ground: first.ground.clone(),
            until: first.valid_until,
            n_others: count(held.count()),
        })
    }

    /// What stands for a service at `at`, in one environment or in all.
    pub(super) fn of(&self, service: &str, environment: Option<&str>, at: Timestamp) -> impl Iterator<Item = &Held> {
        let environments = self.standing.get(service).into_iter().flatten();
        environments
            .filter(move |(name, held)| {
                environment.is_none_or(|environment| name.as_str() == environment) && held.is_in_force(at)
            })
            .map(|(_, held)| held)
    }

    /// Time ends: what stands is counted up to here.
    pub(super) fn finish(&mut self, at: Timestamp) {
        for (service, environments) in std::mem::take(&mut self.standing) {
            for (environment, held) in environments {
                self.count(&service, &environment, &held, at);
            }
        }
    }

    /// How long services of all tiers were held.
    pub(super) fn held(&self, action: Action) -> HeldMs {
        HeldMs::sum(self.held.get(&action).into_iter().flat_map(ByTier::all))
    }

    /// Of freezes of all tiers, those that were told.
    pub(super) fn told(&self, told: Told) -> HeldMs {
        HeldMs::sum(match told {
            Told::Window => self.windows.all(),
            Told::Person => self.words.all(),
        })
    }

    pub(super) fn told_of(&self, tier: Criticality) -> HeldMs {
        HeldMs::sum([self.windows.of(tier), self.words.of(tier)].into_iter())
    }

    pub(super) fn held_of(&self, action: Action, tier: Criticality) -> HeldMs {
        self.held
            .get(&action)
            .map_or_else(HeldMs::default, |by_tier| *by_tier.of(tier))
    }

    /// How long low loss passed freezes, and how long changes had to be known, over all services.
    pub(super) fn passed(&self) -> [HeldMs; 2] {
        let all = || self.passes.values();
        [
            HeldMs::sum(all().map(|passes| &passes.low_loss.ms)),
            HeldMs::sum(all().map(|passes| &passes.known.ms)),
        ]
    }

    pub(super) fn passes(&self) -> &BTreeMap<(ServiceId, EnvironmentId), Passes> {
        &self.passes
    }

    /// Every service that was ever held, in each environment.
    pub(super) fn totals(&self) -> &BTreeMap<(ServiceId, EnvironmentId), Total> {
        &self.totals
    }
}
