//! Which deploy a regression is put down to, if any.
//!
//! A posterior over the deploys under watch of the service itself, what goes wrong in what it calls within three hops, the
//! deploys of what calls it, and the background, which is none of them:
//!
//! ```text
//! own deploy d                       π_d · a(d) · max((E_d / max E)^¼, 1/55)
//! callee that is ill, cause c        g · n · P(c there) · (.36 for a deploy, .06 for none)
//! callee that suffers from another   .1 of that of one that is ill
//! callee that is not, deploy d       π_d · g · a(d) · (1/20 if it is well, 1/400 if it had time to show otherwise)
//! callee that is well, no deploy     .01 · g · (.3 if it was heard since)
//! caller, deploy d                   π_d · ¼ · a(d) · (1/400 if it is well, 1/20 else)
//! background                         .01
//! ```
//!
//! π is the chance that d's changes cause an incident; a how well the rise goes with d's stages: 36 close to one, 11/j where
//! it began j steps later, 1/36 where it began before. g is .6 a hop. .36 is .01 · 36, a usual deploy close to the rise; a
//! callee whose trouble no deploy made may be ill of this service's own, but seldom is. n is how well the two rises go
//! together: 36 within five minutes and e-fold less each three minutes beyond, at least .3 where the callee's is older and
//! 1/36 where it came later. What the trouble there is put down to is the callee's own posterior. A callee that had five
//! minutes more to fall ill and did not is hardly why. Whoever calls a service that fails suffers from it: a caller that
//! is well has hardly made it fail, and that one is ill says nothing. All of it is multiplied by what the errors say
//! themselves of where they come from ([`hints`]).
//!
//! Everything is a ratio of densities over the steps in which a rise could have begun, so 36 = .3 · 120: the mass on the
//! first step of a stage against an even spread over a watch of two hours; and 11 = .5 · 120 / H₁₂₀, where the other half is
//! laid out as 1/j.
//!
//! When the rise began is known in three ways, each as likely: from the evidence against the deploy, and from two cumulative
//! sums that look for a large multiple and a small one ([`super::unrest`]). a and n are means over them. Evidence that
//! reaches back to the beginning of its watch has begun no later, and takes the earlier date.
//!
//! The background does not win against an own deploy whose evidence convicts it, unless services alarm together, errors had
//! risen before, or they say themselves that it is not of a deploy ([`hints`]): a fault that shows late is rather that
//! deploy's than nobody's.
//!
//! Blame is never α-controlled: it names the three likeliest with their probabilities, and never a person. A rollback is
//! not watched, and so never among them.

mod hints;
mod inquiry;
mod posterior;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use self::{
    hints::Hints,
    inquiry::{Askers, DEPENDENTS_MIN, Inquiry},
    posterior::{Posterior, Whose, put_down},
};
use crate::model::{Health, Path, Second, ServiceId, Suspect, Timestamp, UnitInterval};

/// The chance that a regression in a watch is of none of the deploys.
pub(crate) const BACKGROUND_PRIOR: f64 = 0.01;
/// An onset close to a deploy's own stage, or to that of what it calls, against one that may be anywhere.
const ANCHORED: f64 = 36.0;
/// How many steps after a stage are close to it.
const NEAR_STEPS: u32 = 3;
/// What a fault counts for one step later than that, falling with the steps since the stage: the spread mass of a watch,
/// laid out as 1/j.
const LATER: f64 = 11.0;
/// The power of E by which two watches of the same errors, which are no two witnesses, are told apart.
const E_POWER: f64 = 0.25;
/// ln of the least that is left of it: one that began earlier has more evidence of the same errors.
const LN_E_LEAST: f64 = -4.0;
/// How close two rises are that are one: each is known to a few steps.
const TOGETHER: Duration = Duration::from_mins(5);
/// In what time beyond that, a step at the least, they go together e-fold worse: one usual error just before a rise dates it early.
const FALLS: Duration = Duration::from_mins(3);
/// What a callee's older trouble counts for at least: it may have become worse.
const EARLIER: f64 = 0.3;
/// What another service's deploy counts for while that service is well; squared where that is no passing state.
const WELL: f64 = 1.0 / 20.0;
/// What a caller's deploy counts for though that caller is not well: it suffers, whatever made this service fail.
const CALLS: f64 = 1.0 / 20.0;
/// What is left of a callee's trouble of no deploy where that callee was heard since, and is well by its own errors.
const UNSEEN: f64 = 0.3;
/// What a cause there weighs before: that of a deploy close to the rise, and none. It is ill, whatever the cause: none weighs
/// less since this service may be it.
const DEPLOYED: f64 = 0.36;
const NOT_DEPLOYED: f64 = 0.06;
/// What a callee that puts its own trouble down to others counts for: where it is heard, the cause itself is named.
const SUFFERS: f64 = 0.1;
/// Evidence from which on a service is ill.
pub(crate) const ILL: f64 = 20.0;
/// What another service has that could be it: one of its deploys, or with no id none of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Candidate {
    pub(crate) deploy_id: Option<Box<str>>,
    /// Whose it is, how that is reached, and how it is.
    pub(crate) service: ServiceId,
    pub(crate) path: Path,
    pub(crate) state: Health,
    /// See [`crate::model::Clue`].
    pub(crate) started_at: Second,
    pub(crate) stage_at: Second,
    pub(crate) weight: f32,
    /// The start of the last step that it had seen when it answered.
    pub(crate) seen_from: Second,
}

/// A deploy of the service itself.
#[derive(Debug, Clone)]
pub(crate) struct Own<'a> {
    pub(crate) deploy_id: &'a str,
    pub(crate) prior: f64,
    pub(crate) ln_e: f64,
    /// How well the rise goes with its stages, see [`density_ratio`].
    pub(crate) at_stage: f64,
    /// Whether errors had risen before it began.
    pub(crate) came_after: bool,
}

/// When a rise began: by the evidence against the deploy that it convicts, and by the sums for large and small multiples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Onsets<T> {
    pub(crate) evidence: T,
    pub(crate) unrest: T,
    pub(crate) little: T,
}

/// What is known of a rise of errors beside its candidates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rise<'a> {
    /// The starts of the steps from which on errors may have risen, each as likely; and how long a step is.
    pub(crate) onsets: Onsets<Timestamp>,
    pub(crate) step: Duration,
    /// The own deploy that the evidence convicts.
    pub(crate) convicted: Option<&'a str>,
    /// Whether services alarm together.
    pub(crate) is_shared: bool,
    /// Whether what it calls had its time to show that it is ill.
    pub(crate) was_waited_for: bool,
    /// What the errors say themselves.
    pub(crate) hints: Hints,
    /// What it calls that most of them name.
    pub(crate) named: Option<&'a str>,
}

/// One that a regression is put down to, and how likely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Blamed {
    pub(crate) deploy_id: Option<Box<str>>,
    /// `None`: the service's own.
    pub(crate) of: Option<Box<ServiceId>>,
    pub(crate) probability: f64,
}

impl Blamed {
    pub(crate) fn suspect(&self, own: &ServiceId) -> Suspect {
        Suspect {
            deploy_id: self.deploy_id.clone(),
            service: self.of.as_deref().unwrap_or(own).clone(),
            probability: UnitInterval::clamped(self.probability),
        }
    }
}

fn weight_of_path(path: Path) -> f64 {
    match path {
        Path::Callee(hops) => 0.6_f64.powi(i32::from(hops)),
        Path::Caller => 0.25,
    }
}

/// The weight of what another service has.
pub(crate) fn weight(candidate: &Candidate, rise: &Rise<'_>) -> f64 {
    let of_path = weight_of_path(candidate.path) * f64::from(candidate.weight).max(1e-9);
    let of_path = of_path * rise.hints.of_other(candidate);
    let cause = if candidate.deploy_id.is_some() {
        DEPLOYED
    } else {
        NOT_DEPLOYED
    };
    let at_stage = rise.onsets.mean(|onset| {
        density_ratio(
            [candidate.started_at, candidate.stage_at].map(|stage| steps_between(stage.start(), onset, rise.step)),
        )
    });
    // Of one that is ill, both are of the step in which its errors rose.
    let step = rise
        .step
        .max(candidate.stage_at.start().since(candidate.started_at.start()));
    match (candidate.path, candidate.state) {
        (Path::Callee(_), Health::Ill { since, .. }) => {
            cause * of_path * rise.onsets.mean(|onset| together(since, onset, step))
        }
        (Path::Callee(_), Health::Suffers { since }) => {
            SUFFERS * cause * of_path * rise.onsets.mean(|onset| together(since, onset, step))
        }
        (Path::Callee(_), Health::Well) if candidate.deploy_id.is_none() => {
            let is_heard = candidate.seen_from.start() >= rise.onsets.evidence.max(rise.onsets.unrest);
            BACKGROUND_PRIOR * of_path * if is_heard { UNSEEN } else { 1.0 }
        }
        (Path::Callee(_), Health::Well) if !rise.was_waited_for => WELL * of_path * at_stage,
        (_, Health::Well) => WELL.powi(2) * of_path * at_stage,
        (Path::Caller, Health::Unknown | Health::Ill { .. } | Health::Suffers { .. }) => CALLS * of_path * at_stage,
        (Path::Callee(_), Health::Unknown) => of_path * at_stage,
    }
}

/// How well a callee's rise since `since` goes with one at `onset`; `step` is the longer of their steps.
fn together(since: Timestamp, onset: Timestamp, step: Duration) -> f64 {
    let close = TOGETHER.max(step * NEAR_STEPS);
    let (apart, least) = if since > onset {
        (since.since(onset), 1.0 / ANCHORED)
    } else {
        (onset.since(since), EARLIER)
    };
    let beyond = apart.saturating_sub(close).as_secs_f64() / FALLS.max(step).as_secs_f64();
    (ANCHORED * (-beyond).exp()).max(least)
}

/// How many steps `to` is after `from`, or before.
pub(crate) fn steps_between(from: Timestamp, to: Timestamp, step: Duration) -> f64 {
    let after = to.since(from).as_secs_f64() - from.since(to).as_secs_f64();
    (after / step.as_secs_f64()).floor()
}

/// How likely it is that a deploy's fault begins so many steps after the stages it has had, against one that may begin at
/// any step of a watch: most do close to a stage, the others the sooner the likelier, and none before.
pub(crate) fn density_ratio(steps_after: impl IntoIterator<Item = f64>) -> f64 {
    let near = f64::from(NEAR_STEPS);
    let of = |steps: f64| {
        if steps > near {
            (LATER / steps).max(1.0 / ANCHORED)
        } else if steps >= -near {
            ANCHORED
        } else {
            1.0 / ANCHORED
        }
    };
    steps_after.into_iter().map(of).fold(1.0 / ANCHORED, f64::max)
}

impl<T: Copy> Onsets<T> {
    pub(crate) fn map<U>(self, of: impl Fn(T) -> U) -> Onsets<U> {
        Onsets {
            evidence: of(self.evidence),
            unrest: of(self.unrest),
            little: of(self.little),
        }
    }

    /// The mean of a weight over them.
    pub(crate) fn mean(self, of: impl Fn(T) -> f64) -> f64 {
        let weights = self.map(of);
        (weights.evidence + weights.unrest + weights.little) / 3.0
    }
}

fn weight_of_own(own: &Own<'_>, greatest: f64, hints: &Hints) -> f64 {
    let at_stage = if own.came_after { 1.0 / ANCHORED } else { own.at_stage };
    let of_evidence = (E_POWER * (own.ln_e - greatest)).max(LN_E_LEAST).exp();
    own.prior.max(1e-9) * at_stage * of_evidence * hints.of_own()
}

#[cfg(test)]
mod tests;
