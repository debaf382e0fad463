//! What stands for each service, and for how long.

use std::collections::BTreeMap;

use crate::model::{Action, Decision, EnvironmentId, Mode, ServiceId, Subject, Timestamp};

/// The decision that stands for a service in an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) action: Action,
    pub(super) mode: Mode,
    /// The code of its reason.
    pub(super) ground: Box<str>,
    since: Timestamp,
    valid_until: Option<Timestamp>,
}

impl Held {
    pub(super) fn is_in_force(&self, at: Timestamp) -> bool {
        self.valid_until.is_none_or(|until| at < until)
    }

    fn end(&self, at: Timestamp) -> Timestamp {
        self.valid_until.map_or(at, |until| until.min(at)).max(self.since)
    }
}

/// All of them: as many as services have environments.
#[derive(Debug, Default)]
pub(super) struct Holding {
    standing: BTreeMap<ServiceId, BTreeMap<EnvironmentId, Held>>,
    /// How long what ended had stood, in milliseconds.
    held_ms: BTreeMap<(Action, Mode), i64>,
}

impl Holding {
    /// A decision on a service came. Returns what it takes the place of, if that was still in force.
    pub(super) fn take(&mut self, decision: &Decision) -> Option<Held> {
        let Subject::Service { service, environment } = &decision.subject else {
            return None;
        };
        let held = Held {
            action: decision.action,
            mode: decision.mode,
            ground: decision.reasons.first().map_or("", |reason| &reason.code).into(),
            since: decision.decided_at,
            valid_until: decision.valid_until,
        };
        let environments = self.standing.entry(service.clone()).or_default();
        let before = environments.insert(environment.clone(), held)?;
        // One that is renewed at the instant of its end goes on.
        let in_force = before.valid_until.is_none_or(|until| decision.decided_at <= until);
        self.count(&before, decision.decided_at);
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
            self.count(&held, at);
        }
    }

    fn count(&mut self, held: &Held, at: Timestamp) {
        let ms = held.end(at).millis() - held.since.millis();
        *self.held_ms.entry((held.action, held.mode)).or_default() += ms;
    }

    /// Whether anything but proceed stands.
    pub(super) fn is_any_held(&self, now: Timestamp) -> bool {
        let mut all = self.standing.values().flat_map(BTreeMap::values);
        all.any(|held| held.action != Action::Proceed && held.is_in_force(now))
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
        for (_, environments) in std::mem::take(&mut self.standing) {
            for held in environments.values() {
                self.count(held, at);
            }
        }
    }

    pub(super) fn held_ms(&self, action: Action, mode: Mode) -> i64 {
        self.held_ms.get(&(action, mode)).copied().unwrap_or(0)
    }
}
