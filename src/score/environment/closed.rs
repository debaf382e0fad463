//! What a closed step comes to: learned from where nothing is watched, judged where something is.

use std::time::Duration;

use super::{
    Environment, PLACEBO_EVERY_MS, Scene,
    trouble::{beside_raised, times_raised},
};
use crate::{
    model::Timestamp,
    score::{
        Context,
        baseline::{Expectation, count},
        evidence::{Blocks, Observation, Recent, Seen, without_spike},
        policy::{Evidence, Policy, Settings},
        steps::Closed,
        unrest::Unrest,
        watch::{Step, Watch},
    },
};

/// Where nothing is watched, errors that rose are learned from after this: what lasts so long may be a new level.
const TROUBLE_MAX: Duration = Duration::from_hours(1);
/// So many usual steps make up for one that was passed over: an hour of them takes a week.
const TROUBLE_A_WEEK: u16 = 7 * 24;
/// Before a service was told of for so long all is learned from: what every night brings is not known yet.
const USUAL_DAYS: Duration = Duration::from_hours(48);

impl Environment {
    /// Closes the steps that are over while nothing is watched: only the baseline learns, and a placebo window sees.
    pub(crate) fn pass_quiet_steps(&mut self, settings: &Settings, context: &Context<'_>) {
        let Context { now, policy, .. } = *context;
        while let Some(closed) = self.steps.close(now, policy.lateness) {
            self.spend(&closed);
            self.learn(&closed, settings, context);
            if closed.n_records == 0 && self.presence.is_silent(&policy.evidence) {
                // Nothing is learned from here to the next record, and nothing is known.
                self.unrest = Unrest::default();
                self.steps.skip_empty(now, policy.lateness);
                self.abandon_placebo(closed.start);
            }
        }
    }

    fn learn(&mut self, closed: &Closed, settings: &Settings, context: &Context<'_>) {
        let is_known = self.is_known(closed, &context.policy.evidence);
        let touched = self.incidents.touch(closed.start);
        if touched || self.has_lease_for_errors() {
            self.abandon_placebo(closed.start + self.steps.grain.duration());
        }
        let mut judged = None;
        if !is_known {
            self.unrest.pass();
        } else if self.unrest.minds(closed.errors) && self.baseline.is_known(closed.start, &context.policy.evidence) {
            let (observation, _) = self.judge(closed, settings, context.policy);
            self.unrest.observe(&observation);
            if self.unrest.may_rise() && self.placebo.as_ref().is_none_or(|placebo| !placebo.is_on()) {
                // A deploy that comes into it is held against what it was before.
                self.note_recent(&observation);
            }
            judged = Some(observation);
        }
        if is_known {
            self.observe_outlasting(closed, settings, context.policy);
        }
        self.learn_week(closed, is_known && !touched);
        if !is_known || touched {
            self.baseline.break_off();
            return;
        }
        self.observe_placebo(closed, judged, settings, context);
        if self.baseline.comes_weekly(closed.start) || self.is_passed_over(closed) {
            self.baseline.break_off();
            return;
        }
        if self.placebo.as_ref().is_none_or(|placebo| !placebo.is_on()) {
            self.baseline.anchor_anew(closed.start);
        }
        self.baseline
            .learn(self.steps.grain, closed, context.policy.evidence.spike_learned);
    }

    /// Learns what comes each week at this time, for an hour at most: not what a fault left behind for which the service was
    /// frozen, nor before it is known what every day brings.
    fn learn_week(&mut self, closed: &Closed, is_known: bool) {
        let is_wrong = self.has_lease_for_errors() || self.cooldown_until.is_some() || self.outlasting().is_some();
        if !is_known || is_wrong {
            self.baseline.pass_week(closed.start);
            return;
        }
        let grain = self.steps.grain;
        let end = closed.start + grain.duration();
        let since = self.unrest.since(end, grain.duration());
        let is_young = since.is_some_and(|since| end.since(since) <= TROUBLE_MAX);
        let is_risen = is_young && self.baseline.is_older(closed.start, USUAL_DAYS);
        self.baseline.learn_week(grain, closed, is_risen);
    }

    /// Whether a step where nothing is watched shows trouble of which nobody told, and not what is usual: errors are far above
    /// that. An hour of steps a week may be passed over. What lasts longer or comes oftener is usual, and is learned: a new
    /// level, and what every night brings.
    fn is_passed_over(&mut self, closed: &Closed) -> bool {
        if !self.unrest.is_on() {
            self.passed_over = self.passed_over.saturating_sub(1);
            return false;
        }
        let most = u128::from(TROUBLE_A_WEEK) * TROUBLE_MAX.as_millis() / self.steps.grain.duration().as_millis();
        let is_old = self.baseline.is_older(closed.start, USUAL_DAYS);
        let is_passed_over = is_old && u128::from(self.passed_over) < most;
        if is_passed_over {
            self.passed_over = self.passed_over.saturating_add(TROUBLE_A_WEEK);
        }
        is_passed_over
    }

    /// Lets a placebo window see a step in which nothing was deployed, as it was `judged` if it was, and begins one where it
    /// is time for it.
    fn observe_placebo(
        &mut self,
        closed: &Closed,
        mut judged: Option<Observation>,
        settings: &Settings,
        context: &Context<'_>,
    ) {
        let is_quarter = closed.start.millis().rem_euclid(PLACEBO_EVERY_MS) == 0;
        if is_quarter {
            self.known.forget();
        }
        let begins = is_quarter && self.baseline.is_known(closed.start, &context.policy.evidence);
        if begins {
            let horizon = self.horizon(settings, context.policy);
            let placebo = self.placebo.get_or_insert_default();
            if placebo.begin(self.seed, closed.start, horizon) {
                self.baseline.anchor(closed.start);
                // Something else is expected by that.
                judged = None;
            }
        }
        if self.placebo.as_ref().is_none_or(|placebo| !placebo.is_on()) {
            return;
        }
        let observation = judged.unwrap_or_else(|| self.judge(closed, settings, context.policy).0);
        self.note_recent(&observation);
        let recent = self.recent.get_or_insert_with(|| Box::new(Recent::new()));
        let seen = Seen {
            ln_ratios: observation.ln_ratios(observation.sizes.step, 1.0),
            errors: observation.errors,
            expected: observation.expected,
            blocks: Some(Blocks {
                recent,
                sizes: &observation.sizes,
                harmless: observation.harmless / observation.expected,
                exposure: 1.0,
                spike: context.policy.evidence.spike_judged,
            }),
        };
        let shared_alarm_at = context.bulletin.calibration.shared_alarm_at;
        if let Some(placebo) = &mut self.placebo {
            placebo.observe(closed.start, &seen, shared_alarm_at);
        }
    }

    fn note_recent(&mut self, observation: &Observation) {
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
    fn is_known(&mut self, closed: &Closed, evidence: &Evidence) -> bool {
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
    fn judge(&self, closed: &Closed, settings: &Settings, policy: &Policy) -> (Observation, Allowance) {
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
