//! What is known of an environment, for people.

use serde::Serialize;

use super::{Environment, Terms};
use crate::{
    model::{EnvironmentId, Mode, Timestamp},
    score::slo::{Budget, Stretch},
};

/// What is known of a service in an environment, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnvironmentReport {
    pub environment: EnvironmentId,
    pub mode: Mode,
    /// The length of an evidence step.
    pub step_seconds: u32,
    /// The baseline: mean errors per step.
    pub errors_per_step: f64,
    pub observed_steps: u32,
    /// Whether the baseline suffices to freeze by.
    pub baseline_known: bool,
    /// Whether its source has been silent for longer than usual.
    pub silent: bool,
    /// Whether its source reports nearly every step.
    pub dense: bool,
    pub watches: Vec<WatchReport>,
    /// Where the catalog gives it an objective.
    pub budget: Option<BudgetReport>,
}

/// How an error budget is spent, for people. Rates are `None` without requests: 1 spends exactly the budget.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BudgetReport {
    /// The share of requests that must succeed.
    pub objective: f64,
    pub burn_five_minutes: Option<f64>,
    pub burn_hour: Option<f64>,
    pub burn_six_hours: Option<f64>,
    pub burn_three_days: Option<f64>,
    /// The share of the budget that is spent; above 1, all of it and more.
    pub spent: Option<f64>,
}

impl BudgetReport {
    fn of(budget: &Budget) -> Self {
        Self {
            objective: budget.objective(),
            burn_five_minutes: budget.rate(Stretch::FiveMinutes),
            burn_hour: budget.rate(Stretch::Hour),
            burn_six_hours: budget.rate(Stretch::SixHours),
            burn_three_days: budget.rate(Stretch::ThreeDays),
            spent: budget.rate(Stretch::Window),
        }
    }
}

/// A deploy under watch, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WatchReport {
    pub deploy_id: Box<str>,
    pub started_at: Timestamp,
    pub e_value: f64,
    pub threshold: f64,
}

impl Environment {
    pub(crate) fn report(&self, now: Timestamp, terms: &Terms<'_>) -> EnvironmentReport {
        let Terms { settings, evidence, .. } = *terms;
        let grain = self.steps.grain;
        let watches = self.watches.iter().map(|watch| WatchReport {
            deploy_id: watch.deploy_id.clone(),
            started_at: watch.started_at(),
            e_value: watch.ln_e().min(700.0).exp(),
            threshold: f64::from(self.threshold(watch, terms).ln_e).exp(),
        });
        EnvironmentReport {
            environment: self.name.clone(),
            mode: settings.mode,
            step_seconds: u32::try_from(grain.duration().as_secs()).unwrap_or(u32::MAX),
            errors_per_step: self.baseline.level(grain),
            observed_steps: self.baseline.n_observed(),
            baseline_known: self.baseline.is_known(now, evidence),
            silent: self.presence.is_silent(evidence),
            dense: self.presence.is_dense(evidence),
            watches: watches.collect(),
            budget: self.budget().map(BudgetReport::of),
        }
    }
}
