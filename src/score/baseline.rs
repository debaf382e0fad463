//! What is usual for a service in an environment: a level, its shape over the day, and how counts scatter.
//!
//! All sums are of evidence steps of one length. The level is errors per step, and per request where requests are
//! told, from sums with a half-life of 3 days: m = (X + 1)/(T + T₀), T₀ a minute. The shape is 96 quarter-hours as
//! multiples of the level, of half-life 14 days ([`profile`]); what the hours just before were beside that counts too
//! ([`hour`]), and what comes at the same time each week ([`week`]); the scatter is that of the residuals ([`scatter`]).
//!
//! It learns from steps outside watches and incidents at once, and from those of a watch when it closes healthy
//! ([`pending`]): a service that is deployed all day must learn too, and never from a regression.

mod hour;
mod pending;
mod profile;
mod scatter;
mod week;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::{hour::Hour, pending::Quarter, profile::Profile, scatter::Scatter, week::Week};
pub(crate) use self::{
    pending::Pending,
    scatter::{SCALES, Sizes},
};
use super::{
    evidence::{narrow, without_spike},
    policy::Evidence,
    steps::{Closed, Grain},
};
use crate::model::{Second, Timestamp};

/// Quarter-hours in the half-life of the level, 3 days.
const QUARTERS_PER_HALF_LIFE: f64 = 288.0;
/// Before so many steps neither shape nor scatter are learned: a level from a few steps would fill both with its own
/// error.
const LEVEL_STEPS_MIN: u32 = 60;
/// No mean is less: logarithms are taken of it.
const MEAN_MIN: f64 = 1e-9;
/// Attempts that count as seen before any are: a rate learned from few attempts stays near one in a thousand.
const PRIOR_REQUESTS: f64 = 1_000.0;
const QUARTER_HOUR_MINUTES: f64 = 15.0;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// Errors and steps, decayed.
    errors: f32,
    steps: f32,
    /// Errors and attempts of the steps that told attempts, decayed.
    errors_of_requests: f32,
    requests: f32,
    profile: Profile,
    scatter: Scatter,
    hour: Hour,
    week: Week,
    n_observed: u16,
    /// When the first step was that it learned from; 1970 while there was none.
    first: Second,
    /// The quarter-hour up to which the sums are decayed, counted from the epoch; 0: none was yet.
    decayed_to: u32,
}

// Six watches beside it and all else are within 4 KiB.
const _: () = assert!(size_of::<Baseline>() <= 240);

/// What a step of known attempts, or of none, is expected to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expectation {
    /// Mean errors; above 0.
    pub(crate) mean: f64,
    /// Whether it was made from the step's attempts.
    pub(crate) by_requests: bool,
    /// Whether the time of day makes no difference, or what it makes is known: that quarter-hour was seen before.
    pub(crate) is_of_known_hour: bool,
}

impl Baseline {
    pub(crate) fn new() -> Self {
        Self {
            errors: 0.0,
            steps: 0.0,
            errors_of_requests: 0.0,
            requests: 0.0,
            profile: Profile::new(),
            scatter: Scatter::default(),
            hour: Hour::default(),
            week: Week::default(),
            n_observed: 0,
            first: Second::default(),
            decayed_to: 0,
        }
    }

    /// Whether there is enough of it to convict anybody by. With a quarter of an hour of history a fifth of healthy
    /// deploys at one error in ten minutes would be convicted.
    pub(crate) fn is_known(&self, now: Timestamp, evidence: &Evidence) -> bool {
        self.n_observed() >= evidence.baseline_steps && self.is_older(now, evidence.baseline_age)
    }

    /// Whether the first step was learned from at least `age` before `now`.
    pub(crate) fn is_older(&self, now: Timestamp, age: Duration) -> bool {
        self.first != Second::default() && now.since(self.first.start()) >= age
    }

    /// Whether neither shape nor scatter are learned yet.
    pub(crate) fn is_new(&self) -> bool {
        self.n_observed() < LEVEL_STEPS_MIN
    }

    /// Steps learned from; 65,535 where there were more.
    pub(crate) fn n_observed(&self) -> u32 {
        self.n_observed.into()
    }

    /// Mean errors per step, all day.
    pub(crate) fn level(&self, grain: Grain) -> f64 {
        // One error is presumed, and the time in which services usually have one: a minute.
        (f64::from(self.errors) + 1.0) / (f64::from(self.steps) + 60_000.0 / grain.millis_f64())
    }

    /// The mean to expect in the step that begins at `start`.
    pub(crate) fn expect(&self, grain: Grain, start: Timestamp, requests: Option<u64>) -> Expectation {
        let usual = self.expect_by_days(grain, start, requests);
        Expectation {
            mean: (usual.mean * self.hour.factor(start)).max(MEAN_MIN),
            ..usual
        }
    }

    /// By how much the hours before raise what is usual by days at `start`, or lower it.
    pub(crate) fn factor(&self, start: Timestamp) -> f64 {
        self.hour.factor(start)
    }

    /// How many times what is usual at `now` was usual at `then` by the time of day and week; 1 where it is held against attempts.
    pub(crate) fn shape_then(&self, then: Timestamp, now: Timestamp, by_requests: bool) -> f64 {
        if by_requests {
            return 1.0;
        }
        let shape = |at| self.profile.ratio(at) * self.week.times(at);
        (shape(then) / shape(now).max(MEAN_MIN)).max(MEAN_MIN)
    }

    /// The same whatever the hours before were like.
    pub(crate) fn expect_by_days(&self, grain: Grain, start: Timestamp, requests: Option<u64>) -> Expectation {
        let by_requests = requests.is_some() && self.requests > 0.0;
        Expectation {
            mean: (self.usual(grain, start, (1.0, requests.map(count))) * self.week.times(start)).max(MEAN_MIN),
            by_requests,
            is_of_known_hour: by_requests || self.profile.has(start),
        }
    }

    /// The mean of so many steps with so many attempts that is usual, whatever the hours before and this time of the week
    /// are like.
    fn usual(&self, grain: Grain, start: Timestamp, (n_steps, requests): (f64, Option<f64>)) -> f64 {
        match requests {
            Some(requests) if self.requests > 0.0 => {
                (f64::from(self.errors_of_requests) + 1.0) / (f64::from(self.requests) + PRIOR_REQUESTS) * requests
            }
            Some(_) | None => self.level(grain) * self.profile.ratio(start) * n_steps,
        }
    }

    /// What follows on `at` is held against the hours before `at` from here on, whatever comes.
    pub(crate) fn anchor(&mut self, at: Timestamp) {
        self.decay_to(at);
        self.hour.anchor(at);
    }

    /// The same where nothing is watched, if that was said last as long ago as a watch lasts.
    pub(crate) fn anchor_anew(&mut self, at: Timestamp) {
        if self.hour.is_old(at) {
            self.anchor(at);
        }
    }

    /// The negative-binomial sizes to judge by.
    pub(crate) fn sizes(&self, evidence: &Evidence) -> Sizes {
        self.scatter.sizes(f64::from(self.errors), evidence)
    }

    /// Learns from one step outside watches and incidents, which counts as at most `spike` times what is expected.
    pub(crate) fn learn(&mut self, grain: Grain, step: &Closed, spike: f64) {
        self.decay_to(step.start);
        let (mut x, n) = (count(step.errors), f64::from(step.n_steps(grain)));
        if !self.is_new() {
            let usual = self.usual(grain, step.start, (n, step.requests.map(count)));
            let expected = (usual * self.hour.factor(step.start)).max(MEAN_MIN);
            let of_hour = without_spike(x, expected, spike);
            self.scatter.note(of_hour, expected);
            self.hour.learn(grain, step.start, (of_hour, usual));
            self.hour.note(of_hour, usual);
            x = without_spike(x, usual, spike);
            let level = self.level(grain);
            self.profile.learn(step.start, (x, n), grain, level);
        }
        self.errors += narrow(x);
        self.steps += narrow(n);
        if let Some(requests) = step.requests {
            self.errors_of_requests += narrow(x);
            self.requests += narrow(count(requests));
        }
        self.n_observed = self.n_observed.saturating_add(1);
        if self.first == Second::default() {
            self.first = Second::of(step.start);
        }
    }

    /// Whether errors rise each week at `at`: nothing else is learned from them.
    pub(crate) fn comes_weekly(&self, at: Timestamp) -> bool {
        self.week.times(at) > 1.0
    }

    /// Learns what comes each week from one step outside watches and incidents.
    pub(crate) fn learn_week(&mut self, grain: Grain, step: &Closed, is_risen: bool) {
        if is_risen || self.week.minds(step.start) {
            let told = (f64::from(step.n_steps(grain)), step.requests.map(count));
            let usual = self.usual(grain, step.start, told);
            self.week.note(step.start, (count(step.errors), usual), is_risen);
        }
    }

    /// What a step shows is not what comes each week.
    pub(crate) fn pass_week(&mut self, at: Timestamp) {
        self.week.pass(at);
    }

    /// The next step to be learned from does not follow on the last.
    pub(crate) fn break_off(&mut self) {
        self.scatter.break_off();
    }

    /// Learns from what a watch that closed healthy saw in a quarter-hour.
    fn take_in(&mut self, grain: Grain, seen: &Quarter) {
        self.decay_to(seen.start());
        let usual = self.usual(
            grain,
            seen.start(),
            (
                f64::from(seen.n_steps),
                (seen.requests > 0.0).then(|| f64::from(seen.requests)),
            ),
        );
        if f64::from(seen.n_steps) * grain.minutes() >= QUARTER_HOUR_MINUTES {
            self.week.take_in(seen.start(), (f64::from(seen.errors), usual));
        }
        if self.comes_weekly(seen.start()) {
            return;
        }
        let (x, m, n) = (
            f64::from(seen.errors),
            f64::from(seen.expected),
            f64::from(seen.n_steps),
        );
        self.scatter.note_block(
            (f64::from(seen.over), f64::from(seen.squares)),
            (x, m),
            f64::from(seen.n_steps),
        );
        self.hour.note(x, usual);
        let level = self.level(grain);
        self.profile.learn(seen.start(), (x, n), grain, level);
        self.errors += seen.errors;
        self.steps += narrow(n);
        if seen.requests > 0.0 {
            self.errors_of_requests += seen.errors;
            self.requests += seen.requests;
        }
        self.n_observed = self.n_observed.saturating_add(seen.n_steps);
    }

    /// What was learned counts for less as time passes, up to the quarter-hour of `at`.
    fn decay_to(&mut self, at: Timestamp) {
        let at = u32::try_from(at.quarter_hour()).unwrap_or(0);
        let n = at.saturating_sub(self.decayed_to);
        if n == 0 || self.decayed_to == 0 {
            self.decayed_to = self.decayed_to.max(at);
            return;
        }
        self.decayed_to = at;
        let kept = 0.5_f64.powf(f64::from(n) / QUARTERS_PER_HALF_LIFE);
        for sum in [
            &mut self.errors,
            &mut self.steps,
            &mut self.errors_of_requests,
            &mut self.requests,
        ] {
            *sum *= narrow(kept);
        }
        self.scatter.decay(kept);
        self.hour.decay(f64::from(n));
    }

    /// Takes the sums over to steps of another length. The scatter is learned anew: it is not that of other steps.
    pub(crate) fn regrain(&mut self, from: Grain, to: Grain) {
        self.steps *= narrow(from.millis_f64() / to.millis_f64());
        self.scatter = Scatter::default();
        self.hour = Hour::default();
    }
}

/// Counts are far below 2⁵³.
pub(crate) fn count(n: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "ingest refuses counts beyond 10¹²"
    )]
    let value = n as f64;
    value
}

#[cfg(test)]
mod tests;
