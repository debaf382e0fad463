//! What a closed step comes to where nothing is watched: it is learned from.

use std::time::Duration;

use super::Environment;
use crate::{
    model::Timestamp,
    score::{
        Context,
        evidence::{Blocks, Observation, Recent, Seen},
        policy::Settings,
        steps::Closed,
        unrest::Unrest,
    },
};

/// Where nothing is watched, errors that rose are learned from after this: what lasts so long may be a new level.
const TROUBLE_MAX: Duration = Duration::from_hours(1);
/// So many usual steps make up for one that was passed over: an hour of them takes a week.
const TROUBLE_A_WEEK: u16 = 7 * 24;
/// Before a service was told of for so long all is learned from: what every night brings is not known yet.
pub(super) const USUAL_DAYS: Duration = Duration::from_hours(48);

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
        } else if (self.unrest.minds(closed.errors) || self.outlasting().is_some())
            && self.baseline.is_known(closed.start, &context.policy.evidence)
        {
            let (observation, _) = self.judge(closed, settings, context.policy);
            self.unrest.observe(&observation);
            let may_matter = self.unrest.may_rise() || self.outlasting().is_some();
            if may_matter && self.placebo.as_ref().is_none_or(|placebo| !placebo.is_on()) {
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
        let goes_on = self.told_outlasting(closed.start).is_some();
        let is_wrong = goes_on || self.has_lease_for_errors() || self.cooldown_until().is_some();
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
        let is_quarter = closed.start.millis().rem_euclid(Timestamp::QUARTER_HOUR_MS) == 0;
        if is_quarter {
            self.usual_kinds.forget();
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
}
