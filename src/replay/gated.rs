//! Which changes were sent to extra review when they landed, why, and the riskiest of them by name.

use serde::Serialize;

use super::{riskiest::Riskiest, summary::round};
use crate::{
    model::{Action, Change, Decision, Mode, Sequence, ServiceId, Subject, UnitInterval},
    score::{Contribution, ScoredChange},
};

/// Changes that are named; the rest is counted.
const NAMED_MAX: usize = 100;
/// Measures named of each: those that add most to its risk.
const MEASURES_MAX: usize = 3;

/// What a decision says where risk asked for review, and where it only advises since nobody could approve.
const BY_RISK: &str = "risk_quantile";
const ADVISED_ONLY: &str = "no_review_source";

/// A change sent to extra review.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GatedChange {
    pub service: ServiceId,
    pub sha: Box<str>,
    pub time: String,
    pub risk: UnitInterval,
    /// The same at the reference rate of incidents, which the order goes by.
    pub risk_at_reference: UnitInterval,
    pub mode: Mode,
    /// The codes of its reasons.
    pub reasons: Vec<Box<str>>,
    /// What adds most to its risk, the greatest first; none where it is no riskier than others.
    pub measures: Vec<GatedMeasure>,
}

/// A measure of a change, and what it adds to its risk in logits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GatedMeasure {
    pub feature: &'static str,
    pub value: f64,
    pub logit: f64,
}

#[derive(Debug)]
pub(super) struct Gated {
    riskiest: Riskiest<GatedChange>,
    pub(super) n_by_risk: u64,
    pub(super) n_advised_only: u64,
    /// The change decided last, whose score is said next.
    decided: Option<Decided>,
}

#[derive(Debug)]
struct Decided {
    change: Change,
    mode: Mode,
    reasons: Vec<Box<str>>,
}

impl Default for Gated {
    fn default() -> Self {
        Self {
            riskiest: Riskiest::new(NAMED_MAX),
            n_by_risk: 0,
            n_advised_only: 0,
            decided: None,
        }
    }
}

impl Gated {
    pub(super) fn decided(&mut self, decision: &Decision) {
        let Subject::Change(change) = &decision.subject else {
            return;
        };
        let is_sent = decision.sequence == Sequence(1) && decision.action == Action::ExtraReview;
        self.decided = is_sent.then(|| Decided {
            change: change.clone(),
            mode: decision.mode,
            reasons: decision.reasons.iter().map(|reason| reason.code.clone()).collect(),
        });
    }

    /// The score of what was decided.
    pub(super) fn scored(&mut self, scored: &ScoredChange) {
        let Some(decided) = self.decided.take().filter(|decided| decided.change == scored.change) else {
            return;
        };
        let is_for = |code: &str| decided.reasons.iter().any(|reason| **reason == *code);
        self.n_by_risk += u64::from(is_for(BY_RISK));
        self.n_advised_only += u64::from(is_for(ADVISED_ONLY));
        self.riskiest.offer(scored.at_reference, || GatedChange {
            service: decided.change.service,
            sha: decided.change.sha,
            time: scored.time.to_string(),
            risk: scored.probability,
            risk_at_reference: scored.at_reference,
            mode: decided.mode,
            reasons: decided.reasons,
            measures: measures(&scored.contributions),
        });
    }

    /// The riskiest first.
    pub(super) fn riskiest(&self) -> Vec<GatedChange> {
        self.riskiest.by_risk().cloned().collect()
    }
}

/// The first of the contributions is the service's own rate, which all its changes have.
fn measures(contributions: &[Contribution]) -> Vec<GatedMeasure> {
    let own = contributions.iter().skip(1);
    let mut adding: Vec<&Contribution> = own.filter(|contribution| contribution.logit > 0.0).collect();
    // Stable: of equal ones the first.
    adding.sort_by(|a, b| b.logit.total_cmp(&a.logit));
    let measure = |contribution: &Contribution| GatedMeasure {
        feature: contribution.feature,
        value: round(contribution.value, 1e6),
        logit: contribution.logit,
    };
    adding.into_iter().take(MEASURES_MAX).map(measure).collect()
}

impl GatedChange {
    /// Enough of the sha to find it by.
    pub(super) fn short_sha(&self) -> String {
        self.sha.chars().take(12).collect()
    }

    /// `lines_added 9000, entropy 3.17`.
    pub(super) fn measures_text(&self) -> String {
        let measures = self.measures.iter();
        let texts: Vec<String> = measures
            .map(|measure| format!("{} {}", measure.feature, round(measure.value, 100.0)))
            .collect();
        texts.join(", ")
    }
}
