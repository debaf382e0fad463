//! The grounds that are no deploy's own evidence: budgets, dependents, and what a freeze leaves behind.

use std::collections::BTreeMap;

use super::{
    figures::{round, significant},
    ought::{COOLDOWN_CODE, OUTLASTING_CODE, Ought, plain},
};
use crate::{
    model::{Action, Evidence, Reason, ServiceId, Suspect, Timestamp, UnitInterval},
    score::{
        environment::{Environment, Outlasting},
        lease::{Because, Lease},
        slo::Alert,
    },
};

impl Environment {
    pub(super) fn by_lease(&self, lease: &Lease, action: Action, until: Timestamp) -> Ought {
        let reason = match lease.because {
            Because::Burn => self.burn_reason(Alert::Page),
            Because::Spent => self.burn_reason(Alert::Spent),
            Because::Dependents(n) => {
                let mut reason = Reason::new(
                    "dependents_regressed",
                    format!("errors rose in {n} or more services that depend on it, and something here may be why"),
                );
                reason.value = Some(f64::from(n));
                reason
            }
        };
        plain(action, Some(until), reason)
    }

    pub(super) fn burn_reason(&self, alert: Alert) -> Reason {
        let (long, short, threshold) = alert.condition();
        let spent = alert == Alert::Spent;
        let code = if spent { "slo_budget_spent" } else { "slo_burn" };
        let Some(budget) = self.budget() else {
            return Reason::new(code, "errors spent its error budget");
        };
        let rate = round(budget.rate(long).unwrap_or(0.0), 100.0);
        let text = if spent {
            format!("{rate} times the error budget of its objective is spent")
        } else {
            format!(
                "errors spend its error budget at {rate} times the rate its objective allows, over {} and {}",
                long.text(),
                short.text()
            )
        };
        let mut reason = Reason::new(code, text);
        let (errors, requests) = budget.counts(short);
        reason.value = Some(rate);
        reason.threshold = Some(threshold);
        reason.evidence = BTreeMap::from([
            ("burn_long", Evidence::Number(rate)),
            (
                "burn_short",
                Evidence::Number(round(budget.rate(short).unwrap_or(0.0), 100.0)),
            ),
            ("window_long", Evidence::Text(long.text().into())),
            ("window_short", Evidence::Text(short.text().into())),
            ("errors", Evidence::Number(significant(errors))),
            ("requests", Evidence::Number(significant(requests))),
            ("objective", Evidence::Number(budget.objective())),
        ]);
        reason
    }

    /// The extra review after a freeze; with what has waited behind it, which comes all at once.
    pub(super) fn cooldown_reason(&self) -> Reason {
        let queue = self.queue();
        if queue.n_changes == 0 {
            return Reason::new(COOLDOWN_CODE, "a freeze has just ended");
        }
        let risk = -(-f64::from(queue.lambda)).exp_m1();
        let what = if queue.n_changes == 1 {
            "a change has waited behind it".to_owned()
        } else {
            format!(
                "{} changes have waited behind it: deploy them a few at a time",
                queue.n_changes
            )
        };
        let mut reason = Reason::new(COOLDOWN_CODE, format!("a freeze has just ended, and {what}"));
        reason.evidence = BTreeMap::from([
            ("queued_changes", Evidence::Count(u64::from(queue.n_changes))),
            ("queued_lambda", Evidence::Number(significant(f64::from(queue.lambda)))),
            ("queued_risk", Evidence::Number(significant(risk))),
        ]);
        reason
    }

    /// There is no freeze, or none any more, and errors go on.
    pub(super) fn outlasting_reason(&self, outlasting: Outlasting) -> Reason {
        let since = outlasting.since;
        let text = match self.was_frozen_for() {
            Some((deploy_id, _)) => {
                format!(
                    "errors have been above what is usual since {since}, longer than a freeze may last; most likely by {deploy_id}"
                )
            }
            None if outlasting.a_freeze => {
                format!("errors have been above what is usual since {since}, longer than a freeze may last")
            }
            None => format!("errors have been far above what is usual since {since}"),
        };
        let mut reason = Reason::new(OUTLASTING_CODE, text);
        reason.evidence = BTreeMap::from([("risen_since", Evidence::Text(since.to_string().into()))]);
        reason
    }

    /// The deploy that was frozen for, of errors that outlast that.
    pub(super) fn suspects_of_rise(&self, service: &ServiceId) -> Vec<Suspect> {
        let suspect = |(deploy_id, probability): (&str, UnitInterval)| Suspect {
            deploy_id: Some(deploy_id.into()),
            service: service.clone(),
            probability,
        };
        self.was_frozen_for().map(suspect).into_iter().collect()
    }

    /// Frozen for the third time in six hours: somebody must look.
    pub(super) fn note_relapse(&self, ought: &mut Ought, now: Timestamp) {
        if self.has_relapsed(now) {
            ought.reasons.push(Reason::new(
                "relapse",
                "frozen for the third time in six hours: page who owns it",
            ));
        }
    }
}

/// The fleet granted no freeze.
pub(super) fn withhold(ought: &mut Ought) {
    for reason in &mut ought.reasons {
        reason.code = "limiter_withheld".into();
        reason.text = format!("{}; the fleet's limit on new freezes is reached", reason.text).into();
    }
}
