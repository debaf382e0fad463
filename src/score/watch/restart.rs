//! Steps in which instances restart for a deploy, which makes errors that are no fault of it.

use std::time::Duration;

use super::{Step, Watch};
use crate::score::{
    evidence::{Control, DECLARED_MIN, Seen},
    steps::Closed,
};

/// What a blip is parted into.
const OF_BLIP: u8 = 200;

impl Watch {
    /// How much of the traffic its last stage restarts in what a step tells of: the part in which that may make errors,
    /// times the share that the stage added.
    pub(crate) fn restarting(&self, closed: &Closed, blip: Duration) -> f64 {
        if self.n_stages == 0 {
            return 0.0;
        }
        closed.part_within(self.stage_at(), self.stage_at() + blip) * self.restarted.value()
    }

    /// Which part of its last stage's blip a step tells of that none told of before.
    pub(super) fn take_of_blip(&mut self, step: &Step<'_>, is_own: bool) -> f64 {
        let part = step.closed.part_within(self.stage_at(), self.stage_at() + step.blip);
        let told = (part * step.closed.length.as_secs_f64() / step.blip.as_secs_f64().max(1.0)).min(1.0);
        let before = f64::from(self.seen_of_blip) / f64::from(OF_BLIP);
        let new = told.min((1.0 - before).max(0.0));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::as_conversions,
            reason = "a share of 200"
        )]
        let after = ((before + new) * f64::from(OF_BLIP)).ceil().min(f64::from(OF_BLIP)) as u8;
        if is_own {
            self.seen_of_blip = after.max(1);
        }
        new
    }

    /// What is seen in a step beyond what restarts explain: instances that restart make more errors for as long as that
    /// lasts; `restarting` is how much of the traffic does.
    pub(super) fn beyond_restarts<'a>(&self, step: &Step<'a>, control: Option<&Control>, restarting: f64) -> Seen<'a> {
        let seen = self.seen(step, control);
        let more = (step.blip_errors - 1.0) * restarting;
        let exposure = self.exposure.value().max(DECLARED_MIN);
        let (ln_ratios, least) = if let Some(control) = control {
            let least = 1.0 + more / control.share;
            (control.ln_ratios(least, &step.likeness), least)
        } else {
            let (least, size) = (1.0 + more, step.observation.sizes.step * self.part_heard(step));
            (
                step.observation.ln_ratios_beyond(least, size, exposure, step.spike),
                least,
            )
        };
        Seen {
            ln_ratios,
            expected: seen.expected * least,
            ..seen
        }
    }
}
