//! One deploy under watch.

mod beside;
mod length;
mod restart;
mod stages;
mod verdict;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use self::verdict::Ending;
pub use self::verdict::{ClosedWatch, WatchVerdict};
use super::{
    evidence::{EProcess, Likeness, Observation, Recent, Shares, Since, narrow},
    exposure::Exposure,
    multiple::Multiple,
    short::Short,
    steps::{Closed, Grain, Version},
};
use crate::model::{Second, Timestamp};

/// Fewer observed steps than this judge nobody healthy.
const WATCH_STEPS_MIN: u16 = 10;
/// Evidence that is no reason to act but none to call a deploy healthy either.
const LN_DOUBTFUL: f64 = std::f64::consts::LN_10;
/// Stages that have a blip and an onset of their own; a rollout in a hundred small steps is judged all along.
const STAGES_MAX: usize = 5;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) deploy_id: Box<str>,
    started_at: Second,
    stage_at: Second,
    /// Stages so far; none while no traffic has reached it.
    n_stages: u8,
    /// The judged step that was the first of each stage, from 1; 0 while it has had none.
    first_steps: [u16; STAGES_MAX],
    /// Whether there was a baseline when it began.
    pub(crate) judged: bool,
    /// What errors had risen to before it began, while they are there: they are not this deploy's.
    pub(crate) raised: Multiple,
    /// The chance that one of its changes causes an incident, from commit risk.
    prior: Short,
    exposure: Exposure,
    /// How much of the traffic the last stage added.
    restarted: Short,
    /// How many observed steps it lasts if no later stage prolongs it.
    horizon: u16,
    /// The observed step that is its last.
    last_step: u16,
    /// The version it brings, and the one it takes the place of; none where they are not told apart.
    version: Version,
    previous: Version,
    /// How its shares scattered: what is usual if it turns out healthy.
    pub(crate) shares: Shares,
    /// How many errors more its last step had than its share of all; 0 where that was no step beside a control.
    last_residual: Short,
    /// Whether a judged step had no control.
    was_uncontrolled: bool,
    /// What an earlier watch of the same deploy found, if there was one.
    pub(crate) earlier: Option<WatchVerdict>,
    process: EProcess,
    /// How much of its last stage's blip it took in by now, in 1/200, rounded up: records of several producers tell of the
    /// same seconds. 0: the last step it took in was none of restarts.
    seen_of_blip: u8,
    ln_e_max: f32,
    /// When it was first convicted; 1970 while it is not.
    alarmed_at: Second,
}

// Six of them beside all else are within 4 KiB.
const _: () = assert!(size_of::<Watch>() <= 152);

/// A closed step, and what it is judged by.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) closed: &'a Closed,
    pub(crate) grain: Grain,
    pub(crate) observation: &'a Observation,
    /// The steps up to this one.
    pub(crate) recent: &'a Recent,
    /// The margin where attempts are known.
    pub(crate) margin: f64,
    /// How alike the shares of healthy versions are.
    pub(crate) likeness: Likeness,
    /// What a step counts as at most, as a multiple of what is expected.
    pub(crate) spike: f64,
    /// How much of the traffic restarts for a deploy under watch, of which errors had not risen before: the part of what the
    /// step tells in which it may make errors, times its share.
    pub(crate) restarting: f64,
    /// How long restarts alone make errors.
    pub(crate) blip: Duration,
    /// Up to how many times as many as usual.
    pub(crate) blip_errors: f64,
}

impl Watch {
    /// `versions`: the one it brings, and the one it takes the place of.
    pub(crate) fn new(
        deploy_id: &str,
        started_at: Timestamp,
        judged: bool,
        prior: f64,
        versions: (Version, Version),
    ) -> Self {
        Self {
            deploy_id: deploy_id.into(),
            started_at: Second::of(started_at),
            stage_at: Second::of(started_at),
            n_stages: 0,
            first_steps: [0; STAGES_MAX],
            judged,
            raised: Multiple::NONE,
            prior: Short::of(prior),
            exposure: Exposure::default(),
            restarted: Short::default(),
            horizon: WATCH_STEPS_MIN,
            last_step: WATCH_STEPS_MIN,
            version: versions.0,
            previous: versions.1,
            shares: Shares::default(),
            last_residual: Short::default(),
            was_uncontrolled: false,
            earlier: None,
            process: EProcess::new(),
            seen_of_blip: 0,
            ln_e_max: 0.0,
            alarmed_at: Second::default(),
        }
    }

    /// It lasts for so many observed steps.
    pub(crate) fn lasting(mut self, horizon: u16) -> Self {
        self.horizon = horizon;
        self.last_step = horizon;
        self
    }

    /// It goes on where an earlier watch of the same deploy has ended.
    pub(crate) fn following(mut self, earlier: Option<WatchVerdict>) -> Self {
        self.earlier = earlier;
        self
    }

    /// Errors had risen before it began.
    pub(crate) fn amid(mut self, raised: Multiple) -> Self {
        self.raised = raised;
        self
    }

    /// What had risen before it is over: by the usual level nothing was seen of it yet, and it has all of its time for that.
    pub(crate) fn leave_trouble(&mut self) {
        self.raised = Multiple::NONE;
        if self.process.n_steps() > 0 {
            self.last_step = self.process.n_steps().saturating_add(self.horizon);
            self.begin_anew();
        }
    }

    /// What was seen so far is explained by something else: it is judged by what follows.
    pub(crate) fn begin_anew(&mut self) {
        self.horizon = self.left().max(WATCH_STEPS_MIN);
        self.last_step = self.horizon;
        self.process = EProcess::new();
        // Its stages were long ago: none of the steps to come is the first of one.
        for first in &mut self.first_steps {
            *first = if *first > 0 { u16::MAX } else { 0 };
        }
        self.seen_of_blip = 0;
        self.ln_e_max = 0.0;
        self.clear_alarm();
    }

    /// The chance that one of its changes causes an incident, from commit risk.
    pub(crate) fn prior(&self) -> f64 {
        self.prior.value()
    }

    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at.start()
    }

    /// It is convicted at `now`, and may have been before.
    pub(crate) fn alarm(&mut self, now: Timestamp) {
        if !self.has_alarmed() {
            self.alarmed_at = Second::of(now);
        }
    }

    /// It is convicted no more.
    pub(crate) fn clear_alarm(&mut self) {
        self.alarmed_at = Second::default();
    }

    /// When it was first convicted, if it is.
    pub(crate) fn alarmed_at(&self) -> Timestamp {
        self.alarmed_at.start()
    }

    pub(crate) fn has_alarmed(&self) -> bool {
        self.alarmed_at != Second::default()
    }

    fn is_doubtful(&self) -> bool {
        self.process.ln_e() >= LN_DOUBTFUL
    }

    /// Whether something speaks against the deploy, little as it may be.
    pub(crate) fn is_suspect(&self) -> bool {
        self.has_alarmed() || self.is_doubtful() || self.raised.is_some()
    }

    /// Takes in a step, unless what it tells of was over before the deploy reached any traffic.
    pub(crate) fn observe(&mut self, step: &Step<'_>) {
        let of_stage = step.closed.until > self.stage_at();
        if self.n_stages == 0 || (self.n_stages == 1 && !of_stage) {
            return;
        }
        let control = self.control(step);
        let stage = usize::from(self.n_stages) - 1;
        let own = self.restarting(step.closed, step.blip);
        // Where versions are told apart, another's restart is in neither's errors.
        let others = if control.is_none() { step.restarting } else { 0.0 };
        if own.max(others) > 0.0 {
            self.was_uncontrolled |= control.is_none();
            let beyond = self.beyond_restarts(step, control.as_ref(), own.max(others));
            let seen = self.take_of_blip(step, own > 0.0);
            self.process.observe_restart(&beyond, (stage, seen));
            self.last_residual = Short::default();
        } else {
            let has_restarted = std::mem::take(&mut self.seen_of_blip) > 0;
            if of_stage && self.first_steps[stage] == 0 {
                self.first_steps[stage] = self.process.n_steps().saturating_add(1);
            }
            self.was_uncontrolled |= control.is_none();
            let seen = self.seen(step, control.as_ref());
            if has_restarted {
                self.process.observe_restarted(&seen, &self.first_steps, self.horizon);
            } else {
                self.process.observe(&seen, &self.first_steps, self.horizon);
            }
            if let Some(control) = &control {
                self.shares.note(control, &mut self.last_residual);
            } else {
                self.last_residual = Short::default();
            }
        }
        self.ln_e_max = self.ln_e_max.max(narrow(self.ln_e()));
    }

    /// The evidence against it.
    pub(crate) fn ln_e(&self) -> f64 {
        self.process.ln_e()
    }

    pub(crate) fn since_onset(&self) -> Since {
        self.process.since_onset()
    }

    /// Whether it was judged by what is usual and has seen something yet, be it in restarts.
    pub(crate) fn has_judged(&self) -> bool {
        self.judged && (self.process.n_steps() > 0 || self.seen_of_blip > 0)
    }
}

#[cfg(test)]
mod tests;
