//! Which of the deploys under watch a regression is put down to.
//!
//! A posterior over the deploys of the service itself and the background. Blame is never α-controlled: it names the
//! three likeliest with their probabilities, and never a person.

use crate::model::{MAX_SUSPECTS, ServiceId, Suspect, UnitInterval};

/// The chance that a regression in a watch is of none of the deploys.
const BACKGROUND_PRIOR: f64 = 0.01;
/// An onset close to a deploy's own stage is this much likelier under the deploy than under a background that may
/// begin at any of the last 120 steps: 0.3 of the mass on one step against 1/120 of it.
const ANCHORED: f64 = 36.0;

/// One deploy that could be it.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<'a> {
    pub(crate) deploy_id: &'a str,
    /// The chance it had before the evidence.
    pub(crate) prior: f64,
    pub(crate) ln_e: f64,
    /// Whether the estimated onset is within three steps of one of its stages.
    pub(crate) anchored: bool,
}

/// The likeliest first; sums to at most 1.
pub(crate) fn suspects(service: &ServiceId, candidates: &[Candidate<'_>]) -> Vec<Suspect> {
    let Some(highest) = candidates.iter().map(|candidate| candidate.ln_e).max_by(f64::total_cmp) else {
        return Vec::new();
    };
    let mut weights: Vec<(Option<&str>, f64)> = candidates
        .iter()
        .map(|candidate| {
            let anchored = if candidate.anchored { ANCHORED } else { 1.0 };
            (
                Some(candidate.deploy_id),
                candidate.prior * anchored * (candidate.ln_e - highest).exp(),
            )
        })
        .collect();
    weights.push((None, BACKGROUND_PRIOR));
    let total: f64 = weights.iter().map(|(_, weight)| weight).sum();
    weights.sort_by(|(a_id, a), (b_id, b)| b.total_cmp(a).then(a_id.cmp(b_id)));
    weights.truncate(MAX_SUSPECTS);
    weights
        .into_iter()
        .map(|(deploy_id, weight)| Suspect {
            deploy_id: deploy_id.map(Into::into),
            service: service.clone(),
            probability: UnitInterval::clamped(weight / total).rounded(),
        })
        .collect()
}
