//! Which deploy a regression is put down to, if any.
//!
//! A posterior over the deploys under watch of the service itself, those of what it calls within three hops and of what
//! calls it, and the background, which is none of them:
//!
//! ```text
//! P(d) ∝ π_d · g(path) · s(d) · Σ_j w_d(j) Σ_r v_r Π_{t ≥ j} L_r(x_t)
//! ```
//!
//! The sum is how much likelier the errors of the service itself are, had they risen at step j: `w_d` puts its mass on
//! the first steps after d's own stages, that of the background on all steps alike, those before every deploy included.
//! That is the veto of a deploy that came after the rise. π is the chance that d's changes cause an incident; g is 1 for
//! the service's own deploys, .6 a hop for what it calls, ¼ for what calls it; s is what d's own service has seen,
//! between a twentieth and twenty times, and for a caller at most once. It is bounded because the two series share their
//! requests: their product would count one rise of errors twice.
//!
//! Blame is never α-controlled: it names the three likeliest with their probabilities, and never a person. A rollback is
//! not watched, and so never among them.

mod inquiry;
mod trail;

use serde::{Deserialize, Serialize};

pub(crate) use self::{
    inquiry::{Asker, Askers, DEPENDENTS_MIN, Inquiry},
    trail::{Rise, Trail, is_unusual},
};
use super::evidence::{LN_WEIGHT, ln_add};
use crate::model::{MAX_SUSPECTS, Path, ServiceId, Suspect, Timestamp, UnitInterval};

/// The chance that a regression in a watch is of none of the deploys.
pub(crate) const BACKGROUND_PRIOR: f64 = 0.01;
/// What a deploy's own service may take from it or add to it: a twentieth, and twenty times.
const LN_SUPPORT_MAX: f64 = 2.995_732_273_553_991;
/// Evidence in its own service from which on a deploy is implicated by it.
pub(crate) const IMPLICATED: f64 = 20.0;

/// One deploy that could be it, or with neither id nor onset of its own that it is none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    /// `None`: none of the deploys of its service.
    pub(crate) deploy_id: Option<Box<str>>,
    /// Whose it is and how that is reached; `None`: the service's own.
    pub(crate) of: Option<(ServiceId, Path)>,
    pub(crate) started_at: Timestamp,
    pub(crate) stage_at: Timestamp,
    /// The chance it had before the evidence.
    pub(crate) prior: f32,
    /// ln of the evidence against it in its own service; `None` where that cannot be judged or was counted already.
    pub(crate) ln_e: Option<f32>,
}

/// One that a regression is put down to, and how likely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Blamed {
    pub(crate) deploy_id: Option<Box<str>>,
    /// `None`: the service's own.
    pub(crate) of: Option<(ServiceId, Path)>,
    pub(crate) probability: f64,
}

impl Blamed {
    pub(crate) fn suspect(&self, own: &ServiceId) -> Suspect {
        Suspect {
            deploy_id: self.deploy_id.clone(),
            service: self.of.as_ref().map_or(own, |(service, _)| service).clone(),
            probability: UnitInterval::clamped(self.probability),
        }
    }
}

/// What a rise of errors is put down to.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Posterior {
    /// The likeliest first, at most three.
    pub(crate) blamed: Vec<Blamed>,
    /// The chance that it is another service's.
    pub(crate) elsewhere: f64,
}

fn ln_path(path: Path) -> f64 {
    match path {
        Path::Callee(hops) => f64::from(hops) * 0.6_f64.ln(),
        Path::Caller => 0.25_f64.ln(),
    }
}

/// ln of a candidate's weight, but for what all have in common.
pub(crate) fn ln_weight(candidate: &Candidate, rise: &Rise) -> f64 {
    let onset = if candidate.deploy_id.is_some() {
        rise.ln_factor(|start, grain| anchored(candidate, start, grain))
    } else {
        rise.ln_anywhere()
    };
    let most = match candidate.of {
        // That the errors of a caller have risen as well is what a fault here explains no worse.
        Some((_, Path::Caller)) => 0.0,
        Some((_, Path::Callee(_))) | None => LN_SUPPORT_MAX,
    };
    let support = candidate.ln_e.map_or(0.0, f64::from).clamp(-LN_SUPPORT_MAX, most);
    let path = candidate.of.as_ref().map_or(0.0, |(_, path)| ln_path(*path));
    f64::from(candidate.prior).max(1e-9).ln() + path + support + onset
}

/// The mass on an onset in the step that begins at `start`: half of it on the first three steps after each of its stages
/// known, the rest ∝ 1/j over the steps of a watch; none before it.
fn anchored(candidate: &Candidate, start: Timestamp, grain: std::time::Duration) -> f64 {
    const STEPS: f64 = 3.0;
    /// Σ 1/j over the 120 steps of a watch.
    const HARMONIC: f64 = 5.37;
    let steps_after = |at: Timestamp| {
        (start + grain > at).then(|| (start + grain).since(at).as_secs_f64() / grain.as_secs_f64().max(1.0))
    };
    let Some(after_start) = steps_after(candidate.started_at) else {
        return 0.0;
    };
    let anchors = [candidate.started_at, candidate.stage_at];
    let n_anchors = if candidate.stage_at > candidate.started_at {
        2
    } else {
        1
    };
    let near = anchors[..n_anchors].iter();
    let near = near.filter(|at| steps_after(**at).is_some_and(|steps| steps <= STEPS));
    let share = |n: usize| f64::from(u8::try_from(n).unwrap_or(2));
    0.5 / STEPS * share(near.count()) / share(n_anchors) + 0.5 / HARMONIC / after_start.max(1.0)
}

/// The posterior over the candidates and the background of the service itself.
pub(crate) fn put_down(rise: &Rise, candidates: Vec<Candidate>) -> Posterior {
    let background = Candidate {
        deploy_id: None,
        of: None,
        started_at: Timestamp::MIN,
        stage_at: Timestamp::MIN,
        prior: super::evidence::narrow(BACKGROUND_PRIOR),
        ln_e: None,
    };
    let mut weighed: Vec<(Candidate, f64)> = candidates
        .into_iter()
        .chain([background])
        .map(|candidate| {
            let weight = ln_weight(&candidate, rise);
            (candidate, weight)
        })
        .collect();
    let total = weighed
        .iter()
        .fold(f64::NEG_INFINITY, |sum, (_, weight)| ln_add(sum, *weight));
    weighed.sort_by(|(a, a_weight), (b, b_weight)| {
        let name = |candidate: &Candidate| (candidate.of.clone(), candidate.deploy_id.clone());
        b_weight.total_cmp(a_weight).then_with(|| name(a).cmp(&name(b)))
    });
    let probability = |weight: f64| UnitInterval::clamped((weight - total).exp()).rounded().value();
    let elsewhere = weighed.iter().filter(|(candidate, _)| candidate.of.is_some());
    let elsewhere = elsewhere.map(|(_, weight)| probability(*weight)).sum();
    let mut blamed: Vec<Blamed> = weighed
        .into_iter()
        .take(MAX_SUSPECTS)
        .map(|(candidate, weight)| Blamed {
            deploy_id: candidate.deploy_id,
            of: candidate.of,
            probability: probability(weight),
        })
        .collect();
    // Collected in the place of all candidates, and kept for hours.
    blamed.shrink_to_fit();
    Posterior { blamed, elsewhere }
}

/// ln of the even mixture over the multiples that errors may have risen by.
fn ln_mixture(ln_ratios: &[f64]) -> f64 {
    ln_ratios
        .iter()
        .fold(f64::NEG_INFINITY, |sum, ln| ln_add(sum, ln + LN_WEIGHT))
}
