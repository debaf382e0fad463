//! The stages of a rollout, and how well a rise goes with them.

use std::time::Duration;

use super::{STAGES_MAX, Watch};
use crate::{
    model::{Second, Timestamp},
    score::{
        blame::{density_ratio, steps_between},
        exposure::Exposure,
        short::Short,
    },
};

/// Stages prolong a watch to so many times its length at most.
const PROLONGED_MAX: u16 = 5;
/// How many steps before a stage a rise of rare errors may seem to have begun that came with it.
const EARLY_MAX: f64 = 10.0;

impl Watch {
    /// The deploy has reached `exposure` of the traffic: if that is more than before, a stage with an onset of its own, and
    /// `horizon` observed steps for what it brings to show.
    pub(crate) fn stage(&mut self, at: Timestamp, exposure: Exposure, horizon: u16) {
        if exposure <= self.exposure {
            return;
        }
        let last_step = self.process.n_steps().saturating_add(horizon);
        let longest = horizon.saturating_mul(PROLONGED_MAX);
        self.last_step = self.last_step.max(last_step.min(longest));
        self.restarted = Short::of(exposure.value() - self.exposure.value());
        self.exposure = exposure;
        if usize::from(self.n_stages) < STAGES_MAX {
            self.n_stages += 1;
            self.stage_at = self.stage_at.max(Second::of(at));
            self.seen_of_blip = 0;
        }
    }

    /// When the last stage began, to the second.
    pub(crate) fn stage_at(&self) -> Timestamp {
        self.stage_at.start()
    }

    /// How much of the traffic it has reached.
    pub(crate) fn exposure(&self) -> Exposure {
        self.exposure
    }

    /// About when its stages began: the first and the last are known, and those between taken to be even.
    fn stages(&self) -> impl Iterator<Item = Timestamp> {
        let n_later = u32::from(self.n_stages).saturating_sub(1);
        let first = if n_later == 0 {
            self.stage_at()
        } else {
            self.started_at()
        };
        let apart = self.stage_at().since(first) / n_later.max(1);
        (0..=n_later).map(move |stage| first + apart * stage)
    }

    /// How well a rise from the step at `onset` on goes with its stages, see [`density_ratio`]. What passed while the
    /// source was `silent` does not count: the first run of a nightly batch is close to a deploy of the morning before.
    pub(crate) fn at_stage(
        &self,
        onset: Timestamp,
        step: Duration,
        silent: impl Fn(Timestamp, Timestamp) -> Duration,
    ) -> f64 {
        if self.is_judged_anew() {
            return density_ratio([f64::from(self.horizon)]);
        }
        // One of the usual errors just before a rise makes it seem to have begun with that one: half of the usual time from
        // one to the next is no difference.
        let since = self.since_onset();
        let steps_per_error = f64::from(since.n_steps) / f64::from(since.expected).max(0.05);
        let early = (steps_per_error / 2.0).min(EARLY_MAX);
        density_ratio(self.stages().map(|at| {
            let silent = silent(at, onset);
            let after = steps_between(at.floor(step) + silent, onset, step);
            after.max((after + early).min(0.0))
        }))
    }

    /// Whether what was seen of its stages was explained by something else.
    fn is_judged_anew(&self) -> bool {
        self.first_steps.contains(&u16::MAX) && !self.first_steps.iter().any(|first| (1..u16::MAX).contains(first))
    }

    /// Whether what speaks against it may have begun before it did: nothing before was looked at.
    pub(crate) fn may_be_older(&self) -> bool {
        self.process.n_steps() <= self.since_onset().n_steps.saturating_add(3)
    }
}
