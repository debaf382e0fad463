//! An error budget at work: what it asks for, and the freezes that no deploy's own evidence asks for.

use std::time::Duration;

use super::{COOLDOWN, COOLDOWN_RELAPSED, Environment, PROPOSE_EVERY, RELAPSE_LEASE, RELAPSE_WINDOW, Scene};
use crate::{
    model::{Criticality, Ground, Slo, Timestamp},
    score::{
        lease::{Because, Lease},
        slo::{Alert, Budget, Stretch},
        steps::Closed,
    },
};

/// The extra review that an alert asks for lasts at least so long.
const ALERT_MIN: Duration = Duration::from_mins(15);
/// Errors go on while the budget burns at its pace or faster over half an hour.
const GOES_ON: f64 = 1.0;
/// Where an objective is known, no deploy is convicted that does not burn the budget at this rate over five minutes.
const CONVICTS_FROM: f64 = 2.0;
/// So many freezes within [`RELAPSE_WINDOW`], the one that begins included, are a relapse.
const RELAPSED_FROM: usize = 3;

impl Environment {
    /// The catalog says that there is an objective, another one, or none.
    pub(crate) fn set_slo(&mut self, slo: Option<Slo>) {
        match (&mut self.budget, slo) {
            (Some(budget), Some(slo)) => budget.set(slo),
            (budget @ None, Some(slo)) => *budget = Some(Box::new(Budget::new(slo))),
            (budget, None) => *budget = None,
        }
    }

    /// Takes a closed step into the budget, if there is one.
    pub(super) fn spend(&mut self, closed: &Closed) {
        if let Some(budget) = &mut self.budget {
            let end = closed.start + self.steps.grain.duration();
            budget.observe((closed.start, end), closed.errors, closed.requests);
        }
    }

    /// Whether errors go on, by the budget.
    pub(super) fn is_burning(&self) -> bool {
        let budget = self.budget.as_ref();
        budget
            .and_then(|budget| budget.rate(Stretch::HalfHour))
            .is_some_and(|rate| rate >= GOES_ON)
    }

    /// Whether the budget lets evidence convict: it burns, the service is critical, or nobody can tell.
    pub(super) fn lets_convict(&self, tier: Criticality) -> bool {
        let budget = self.budget.as_ref();
        let rate = budget.and_then(|budget| budget.rate(Stretch::FiveMinutes));
        tier == Criticality::Critical || rate.is_none_or(|rate| rate >= CONVICTS_FROM)
    }

    /// Lets the alert of the budget come, change and go; one that came lasts a quarter of an hour.
    pub(super) fn settle_alert(&mut self, now: Timestamp) {
        let Some(budget) = &mut self.budget else { return };
        budget.raised = match (budget.raised, budget.alert()) {
            (None, Some(alert)) => Some((alert, now)),
            (Some((_, since)), Some(alert)) => Some((alert, since)),
            (Some((_, since)), None) if now.since(since) >= ALERT_MIN => None,
            (raised, None) => raised,
        };
    }

    /// What asks for a freeze that is no deploy's.
    fn because(&self, scene: &Scene<'_>) -> Option<Because> {
        let meets = |alert| self.budget.as_ref().is_some_and(|budget| budget.meets(alert).is_some());
        // After a freeze there is extra review first: or four hours at most would be for ever.
        if self.cooldown_until.is_none() && meets(Alert::Page) {
            return Some(Because::Burn);
        }
        if self.cooldown_until.is_none()
            && let Some(n) = self.n_dependents(scene.context.now)
        {
            return Some(Because::Dependents(n));
        }
        (scene.settings.freeze.spent_budget && meets(Alert::Spent)).then_some(Because::Spent)
    }

    /// Asks for, renews and ends the freezes that are no deploy's.
    pub(super) fn settle_lease(&mut self, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        let because = self.because(scene).filter(|_| self.hold.is_none());
        let burning = self.is_burning();
        let Some(lease) = &mut self.lease else {
            if let Some(because) = because {
                self.lease = Some(Box::new(Lease::proposed(because, now)));
                self.propose(Ground::Burn, scene);
            }
            return;
        };
        if lease.granted.is_some() {
            let goes_on = match lease.because {
                Because::Burn => burning,
                Because::Spent | Because::Dependents(_) => {
                    because.is_some_and(|because| because.is_like(lease.because))
                }
            };
            let goes_on = goes_on || (burning && lease.because != Because::Spent);
            if !lease.renew(scene.settings.freeze.lease, goes_on, now) {
                let spent = lease.because == Because::Spent;
                self.lease = None;
                if !spent {
                    self.cool_down(now + self.cooldown(now));
                }
            }
        } else if because.is_some_and(|because| because.is_like(lease.because)) {
            if now >= lease.asked_at + PROPOSE_EVERY {
                lease.asked_at = now;
                self.propose(Ground::Burn, scene);
            }
        } else {
            self.lease = None;
        }
    }

    /// The fleet's answer to it.
    pub(super) fn answer_lease(&mut self, granted: bool, scene: &Scene<'_>) {
        let now = scene.context.now;
        let Some(mut lease) = self.lease.take() else { return };
        // A deploy was convicted meanwhile: that freeze is enough.
        if self.hold.is_some() && lease.because != Because::Spent {
            return;
        }
        if lease.granted.is_none() {
            lease.withheld = !granted;
            if granted {
                let length = if lease.because == Because::Spent {
                    scene.settings.freeze.lease
                } else {
                    self.begin_freeze(scene.settings.freeze.lease, now)
                };
                lease.grant(length, now);
                self.elevated_since = None;
            }
        }
        self.lease = Some(lease);
    }

    /// A freeze begins, in the place of one by burn or dependents: how long its lease is, four hours where it is the third
    /// in six.
    pub(super) fn begin_freeze(&mut self, lease: Duration, now: Timestamp) -> Duration {
        self.lease = self.lease.take().filter(|lease| lease.because == Because::Spent);
        self.freezes.retain(|since| now.since(*since) < RELAPSE_WINDOW);
        self.freezes.reserve_exact(1);
        self.freezes.push(now);
        if self.freezes.len() >= RELAPSED_FROM {
            RELAPSE_LEASE
        } else {
            lease
        }
    }

    /// Whether the freeze that stands is the third in six hours.
    pub(crate) fn has_relapsed(&self, now: Timestamp) -> bool {
        let recent = |since: &&Timestamp| now.since(**since) < RELAPSE_WINDOW + RELAPSE_LEASE;
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
