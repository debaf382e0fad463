//! What a closed step comes to where something is watched: it is judged.

use std::time::Duration;

use super::{
    Environment, Scene,
    trouble::{beside_raised, times_raised},
};
use crate::{
    model::Timestamp,
    score::{
        baseline::{Expectation, count},
        evidence::{Observation, Recent, without_spike},
        policy::{Evidence, Policy, Settings},
        steps::Closed,
        unrest::Unrest,
        watch::{Step, Watch},
    },
};

impl Environment {
    pub(super) fn note_recent(&mut self, observation: &Observation) {
        let recent = self.recent.get_or_insert_with(|| Box::new(Recent::new()));
        recent.push(observation.errors, observation.expected);
    }

    /// How many observed steps a watch that begins with the next one lasts.
    pub(super) fn horizon(&self, settings: &Settings, policy: &Policy) -> u16 {
        let level = self.baseline.level(self.steps.grain);
        Watch::horizon(
            self.steps.grain,
            settings.freeze.watch,
            level,
            policy.evidence.watch_errors,
        )
    }

    /// Takes in whether a step holds a record. Whether what it shows is known.
    pub(super) fn is_known(&mut self, closed: &Closed, evidence: &Evidence) -> bool {
        let grain = self.steps.grain;
        let is_known = self.presence.observe(closed, grain, evidence);
        let is_beyond = closed.requests.is_none() && closed.is_beyond_steps(grain);
        is_known && !self.is_awaited(closed) && !is_beyond
    }

    /// Where intervals are longer than steps, the record that tells of one without any is still to come.
    fn is_awaited(&self, closed: &Closed) -> bool {
        closed.n_records == 0 && self.wanted_grain() > self.steps.grain
    }

    /// A step beside the baseline, and what it was judged with.
    pub(super) fn judge(&self, closed: &Closed, settings: &Settings, policy: &Policy) -> (Observation, Allowance) {
        let expectation = self.baseline.expect(self.steps.grain, closed.start, closed.requests);
        self.judge_by(expectation, closed, settings, policy)
    }

    /// A step beside what is expected of one of its length.
    pub(super) fn judge_by(
        &self,
        mut expectation: Expectation,
        closed: &Closed,
        settings: &Settings,
        policy: &Policy,
    ) -> (Observation, Allowance) {
        if !expectation.by_requests {
            expectation.mean *= f64::from(closed.n_steps(self.steps.grain));
        }
        let mut margin = margin(settings, expectation.by_requests);
        if !expectation.is_of_known_hour {
            margin += policy.evidence.unseen_margin;
        }
        let (errors, spike) = (count(closed.errors), policy.evidence.spike_judged);
        let counted = match &self.recent {
            Some(recent) => recent.counted((errors, expectation.mean), spike, 0),
            None => without_spike(errors, expectation.mean, spike),
        };
        let observation = Observation {
            errors,
            counted,
            expected: expectation.mean,
            harmless: expectation.mean * (1.0 + margin),
            sizes: self.baseline.sizes(&policy.evidence),
        };
        let allowance = Allowance {
            margin,
            by_requests: expectation.by_requests,
        };
        (observation, allowance)
    }

    /// One closed step while something is watched: the baseline stands still.
    pub(super) fn observe(&mut self, closed: &Closed, scene: &mut Scene<'_>) {
        let (grain, policy) = (self.steps.grain, scene.context.policy);
        if !self.is_known(closed, &policy.evidence) {
            if self.presence.is_silent(&policy.evidence) {
                self.unrest = Unrest::default();
            }
            self.unrest.pass();
            if self.is_awaited(closed) {
                self.watches.iter_mut().for_each(Watch::pass);
            }
            return;
        }
        let (observation, allowance) = self.judge(closed, scene.settings, policy);
        self.observe_outlasting(closed, scene.settings, policy);
        let is_elsewhere = self.is_elsewhere();
        // Of the steps before: which allowance this one has rests on none of its errors.
        let risen_since = self.unrest.since(closed.start, grain.duration());
        if self.baseline.is_known(scene.context.now, &policy.evidence) {
            self.unrest.observe(&observation);
        }
        let restarting = self.restarting(closed, risen_since, policy.evidence.restart_blip);
        self.note_recent(&observation);
        let is_level = self.settle_trouble(closed, allowance.by_requests);
        let recent = self.recent.get_or_insert_with(|| Box::new(Recent::new()));
        let step = Step {
            closed,
            grain,
            observation: &observation,
            recent,
            margin: scene.settings.freeze.margin,
            likeness: self.shares.likeness(&observation.sizes),
            spike: policy.evidence.spike_judged,
            restarting,
            blip: policy.evidence.restart_blip,
            blip_errors: policy.evidence.restart_errors,
        };
        if let Some(hold) = &mut self.hold {
            // Errors under a freeze are put down to what it is for: a deploy that came meanwhile, the one that mends it
            // perhaps, is judged by what follows.
            hold.observe(closed.start, &observation);
            return;
        }
        if is_elsewhere {
            self.follow_kinds();
            return;
        }
        for watch in &mut self.watches {
            match times_raised(watch, &self.baseline, (closed.start, allowance.by_requests)) {
                None => watch.observe(&step),
                Some(times) if is_level => {
                    let observation = &beside_raised(&observation, times, (step.recent, step.spike));
                    watch.observe(&Step { observation, ..step });
                }
                Some(_) => {}
            }
        }
        self.settle_kinds(scene);
        if !self.incidents.touch(closed.start) {
            if self.baseline.is_known(scene.context.now, &policy.evidence) {
                let spike = policy.evidence.spike_learned;
                let is_well = !self.unrest.is_on() && !self.watches.iter().any(Watch::is_suspect);
                self.pending.let_out(&mut self.baseline, grain, closed.start, is_well);
                self.pending.keep((closed, grain), &observation, spike);
            } else {
                // Nobody can be convicted by it yet, and a service deployed from its first hour on must learn too.
                self.baseline.learn(grain, closed, policy.evidence.spike_learned);
            }
        }
        self.convict(closed.start + grain.duration(), allowance, scene);
    }

    /// How much of the traffic restarts in a step for any of the deploys under watch. Errors that had risen before a restart
    /// are not of it.
    fn restarting(&self, closed: &Closed, risen_since: Option<Timestamp>, blip: Duration) -> f64 {
        let length = self.steps.grain.duration();
        let may_be_of = |watch: &&Watch| risen_since.is_none_or(|since| watch.stage_at() < since + length);
        let restarts = self.watches.iter().filter(may_be_of);
        restarts.map(|watch| watch.restarting(closed, blip)).fold(0.0, f64::max)
    }
}

/// How a step beside the baseline was judged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allowance {
    /// Up to this share more errors than expected are harmless.
    pub(super) margin: f64,
    /// Whether errors were held against requests.
    pub(super) by_requests: bool,
}

/// The margin of harmless growth: doubled where it cannot be held against the traffic.
pub(crate) fn margin(settings: &Settings, by_requests: bool) -> f64 {
    if by_requests {
        settings.freeze.margin
    } else {
        2.0 * settings.freeze.margin
    }
}
