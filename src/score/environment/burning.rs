//! An error budget at work: what it asks for, and the freezes that no deploy's own evidence asks for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{COOLDOWN, COOLDOWN_RELAPSED, Environment, PROPOSE_EVERY, RELAPSE_LEASE, RELAPSE_WINDOW, Scene};
use crate::{
    model::{Action, Criticality, Ground, Second, Slo, Timestamp},
    score::{
        blame::{Askers, Inquiry},
        evidence::narrow,
        lease::{Because, Lease},
        slo::{Alert, Budget, Stretch},
        steps::Closed,
        watch::Watch,
    },
};

/// The extra review that an alert asks for lasts at least so long.
const ALERT_MIN: Duration = Duration::from_mins(15);
/// Errors go on while the budget burns at its pace or faster over half an hour.
const GOES_ON: f64 = 1.0;
/// Where an objective is known, no deploy is convicted that does not burn the budget at this rate over five minutes.
const CONVICTS_FROM: f64 = 2.0;
/// So many freezes within [`RELAPSE_WINDOW`], the one that begins included, are a relapse.
pub(super) const RELAPSED_FROM: usize = 3;

/// What concerns an environment beside its own deploys.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Concerns {
    budget: Option<Box<Budget>>,
    lease: Option<Box<Lease>>,
    /// Asked of its surroundings, while a freeze is proposed.
    pub(super) inquiry: Option<Box<Inquiry>>,
    /// Who depends on it and alarms.
    pub(super) askers: Option<Box<Askers>>,
    /// Changes that landed since the last freeze began, and their Λ.
    queue: Queue,
}

/// What waits behind a freeze.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Queue {
    pub(crate) n_changes: u32,
    /// −Σ ln(1 − p): the chance that one of them causes an incident is 1 − e^−Λ.
    pub(crate) lambda: f32,
}

impl Environment {
    /// The catalog says that there is an objective, another one, or none.
    pub(crate) fn set_slo(&mut self, slo: Option<Slo>) {
        let Some(slo) = slo else {
            if let Some(concerns) = &mut self.concerns {
                concerns.budget = None;
            }
            self.drop_empty_concerns();
            return;
        };
        let budget = &mut self.concerns.get_or_insert_default().budget;
        match budget {
            Some(budget) => budget.set(slo),
            None => *budget = Some(Box::new(Budget::new(slo))),
        }
    }

    pub(super) fn drop_empty_concerns(&mut self) {
        self.concerns = self.concerns.take().filter(|known| **known != Concerns::default());
    }

    pub(crate) fn budget(&self) -> Option<&Budget> {
        self.concerns.as_ref()?.budget.as_deref()
    }

    /// The freeze that no deploy's own evidence asks for, granted or not.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.concerns.as_ref()?.lease.as_deref()
    }

    /// Whether errors of now ask for such a freeze. Where the budget of four weeks is spent, they may be as few as ever.
    pub(super) fn has_lease_for_errors(&self) -> bool {
        self.lease().is_some_and(|lease| lease.because != Because::Spent)
    }

    fn take_lease(&mut self) -> Option<Box<Lease>> {
        self.concerns.as_mut()?.lease.take()
    }

    fn put_lease(&mut self, lease: Option<Box<Lease>>) {
        if lease.is_some() || self.concerns.is_some() {
            self.concerns.get_or_insert_default().lease = lease;
            self.drop_empty_concerns();
        }
    }

    pub(crate) fn queue(&self) -> Queue {
        self.concerns.as_ref().map(|known| known.queue).unwrap_or_default()
    }

    /// A change landed; behind a freeze it waits.
    pub(crate) fn queue_up(&mut self, lambda: f64) {
        let standing = self.standing.as_ref();
        if standing.is_some_and(|standing| standing.action == Action::Freeze) {
            let queue = &mut self.concerns.get_or_insert_default().queue;
            queue.n_changes = queue.n_changes.saturating_add(1);
            queue.lambda += narrow(lambda);
        }
    }

    /// A freeze begins: nothing waits behind it yet.
    pub(crate) fn clear_queue(&mut self) {
        if let Some(concerns) = &mut self.concerns {
            concerns.queue = Queue::default();
            self.drop_empty_concerns();
        }
    }

    /// Takes a closed step into the budget, if there is one.
    pub(super) fn spend(&mut self, closed: &Closed) {
        let end = closed.start + self.steps.grain.duration();
        if let Some(budget) = self.concerns.as_mut().and_then(|known| known.budget.as_mut()) {
            budget.observe((closed.start, end), closed.errors, closed.requests);
        }
    }

    /// Whether errors go on, by the budget.
    pub(super) fn is_burning(&self) -> bool {
        let rate = self.budget().and_then(|budget| budget.rate(Stretch::HalfHour));
        rate.is_some_and(|rate| rate >= GOES_ON)
    }

    /// Whether the budget lets evidence convict a deploy: it burns, or would if all the traffic had it, the service is
    /// critical, or nobody can tell.
    pub(super) fn lets_convict(&self, watch: &Watch, tier: Criticality) -> bool {
        let rate = self.budget().and_then(|budget| budget.rate(Stretch::FiveMinutes));
        tier == Criticality::Critical || rate.is_none_or(|rate| rate * watch.times_for_all() >= CONVICTS_FROM)
    }

    /// Lets the alert of the budget come, change and go; one that came lasts a quarter of an hour.
    pub(super) fn settle_alert(&mut self, now: Timestamp) {
        let Some(budget) = self.concerns.as_mut().and_then(|known| known.budget.as_mut()) else {
            return;
        };
        budget.raised = match (budget.raised, budget.alert()) {
            (None, Some(alert)) => Some((alert, Second::of(now))),
            (Some((_, since)), Some(alert)) => Some((alert, since)),
            (Some((_, since)), None) if now.since(since.start()) >= ALERT_MIN => None,
            (raised, None) => raised,
        };
    }

    /// What asks for a freeze that is no deploy's.
    fn because(&self, scene: &Scene<'_>) -> Option<Because> {
        if self.hold.is_some() {
            return None;
        }
        let meets = |alert| self.budget().is_some_and(|budget| budget.meets(alert));
        // After a freeze there is extra review first: or four hours at most would be for ever.
        let fresh = self.cooldown_until.is_none();
        if fresh && meets(Alert::Page) {
            return Some(Because::Burn);
        }
        let dependents = self
            .n_dependents(scene.context.policy, scene.context.now)
            .filter(|_| fresh);
        if let Some(n) = dependents {
            return Some(Because::Dependents(n));
        }
        (scene.settings.freeze.spent_budget && meets(Alert::Spent)).then_some(Because::Spent)
    }

    /// Asks for, renews and ends the freezes that are no deploy's.
    pub(super) fn settle_lease(&mut self, scene: &mut Scene<'_>) {
        if self.concerns.is_none() {
            return;
        }
        let now = scene.context.now;
        let because = self.because(scene);
        let Some(mut lease) = self.take_lease() else {
            if let Some(because) = because {
                self.put_lease(Some(Box::new(Lease::proposed(because, now))));
                self.propose(Ground::Burn, scene);
            }
            return;
        };
        let same = because.is_some_and(|because| because.is_like(lease.because));
        let stays = if lease.granted.is_none() {
            if same && now >= lease.asked_at + PROPOSE_EVERY {
                lease.asked_at = now;
                self.propose(Ground::Burn, scene);
            }
            same
        } else if lease.is_due(now) {
            let goes_on = match lease.because {
                Because::Burn => self.is_burning(),
                Because::Dependents(_) => same || self.is_burning(),
                Because::Spent => same,
            };
            let renewed = goes_on && lease.renew(scene.settings.freeze.lease, now);
            if !renewed && lease.because != Because::Spent {
                self.cool_down(now + self.cooldown(now));
            }
            renewed
        } else {
            true
        };
        if !stays && lease.because != Because::Spent {
            self.abandon_placebo(now);
        }
        self.put_lease(Some(lease).filter(|_| stays));
    }

    /// The fleet's answer to it.
    pub(super) fn answer_lease(&mut self, granted: bool, scene: &Scene<'_>) {
        let now = scene.context.now;
        // A deploy was convicted meanwhile: that freeze is enough.
        let asked = self.take_lease().filter(|_| self.hold.is_none());
        let Some(mut lease) = asked else {
            self.put_lease(None);
            return;
        };
        if lease.granted.is_none() {
            lease.withheld = !granted;
            if granted {
                let length = match lease.because {
                    Because::Spent => scene.settings.freeze.lease,
                    Because::Burn | Because::Dependents(_) => self.begin_freeze(scene.settings.freeze.lease, now),
                };
                lease.grant(length, now);
                self.elevated_since = Second::default();
            }
        }
        self.put_lease(Some(lease));
    }

    /// A freeze begins, or goes on in the place of one by burn or dependents: how long its lease is, four hours where it is the
    /// third in six.
    pub(super) fn begin_freeze(&mut self, lease: Duration, now: Timestamp) -> Duration {
        let replaced = self.take_lease();
        let is_spent = |lease: &Lease| lease.because == Because::Spent;
        let goes_on = replaced
            .as_ref()
            .is_some_and(|lease| lease.granted.is_some() && !is_spent(lease));
        self.put_lease(replaced.filter(|lease| is_spent(lease)));
        if !goes_on {
            self.freezes.rotate_right(1);
            self.freezes[0] = Second::of(now);
        }
        for since in &mut self.freezes {
            if now.since(since.start()) >= RELAPSE_WINDOW {
                *since = Second::default();
            }
        }
        if self.has_relapsed(now) { RELAPSE_LEASE } else { lease }
    }

    /// Whether the freeze that stands is the third in six hours.
    pub(crate) fn has_relapsed(&self, now: Timestamp) -> bool {
        let recent = |since: &&Second| now.since(since.start()) < RELAPSE_WINDOW + RELAPSE_LEASE;
        self.freezes.iter().filter(recent).count() >= RELAPSED_FROM
    }

    /// How long the extra review after a freeze is.
    pub(super) fn cooldown(&self, now: Timestamp) -> Duration {
        if self.has_relapsed(now) {
            COOLDOWN_RELAPSED
        } else {
            COOLDOWN
        }
    }
}
