//! An error budget at work: how it burns, and what that asks for.

use std::time::Duration;

use super::Environment;
use crate::{
    model::{Criticality, Second, Slo, Timestamp},
    score::{
        slo::{Budget, Stretch},
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

    pub(crate) fn budget(&self) -> Option<&Budget> {
        self.concerns.as_ref()?.budget.as_deref()
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
}
