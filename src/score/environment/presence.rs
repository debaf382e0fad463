//! How regularly a source reports, and what a step without a record says.

use serde::{Deserialize, Serialize};

use crate::score::{
    evidence::narrow,
    policy::Evidence,
    steps::{Closed, Grain},
};

/// Half-life of what is known about how regularly a source reports, in milliseconds: half a day.
const HALF_LIFE_MS: f64 = 43_200_000.0;
/// Before so many steps nothing is dense.
const STEPS_MIN: f64 = 10.0;

/// Steps with a record, and all steps, decayed; and how many were without one since the last that had one.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Presence {
    present: f32,
    steps: f32,
    missing_run: u32,
}

impl Presence {
    fn share(self) -> f64 {
        if self.steps > 0.0 {
            f64::from(self.present) / f64::from(self.steps)
        } else {
            0.0
        }
    }

    /// Whether so many of its steps carry a record that one without is missing, and no good news.
    pub(super) fn is_dense(self, evidence: &Evidence) -> bool {
        f64::from(self.steps) >= STEPS_MIN && self.share() >= evidence.dense_share
    }

    /// Silent for several times its usual gap.
    pub(super) fn is_silent(self, evidence: &Evidence) -> bool {
        f64::from(self.missing_run) * self.share().max(1e-4) > evidence.silent_gaps
    }

    /// Takes in one closed step. Whether what it shows is known.
    ///
    /// Of a dense source a missing step is unknown; of a sparse one it is no error, unless the source
    /// has been silent for too long.
    pub(super) fn observe(&mut self, closed: &Closed, grain: Grain, evidence: &Evidence) -> bool {
        let was_dense = self.is_dense(evidence);
        let present = closed.n_records > 0;
        self.missing_run = if present { 0 } else { self.missing_run.saturating_add(1) };
        if !self.is_silent(evidence) {
            let kept = narrow(0.5_f64.powf(grain.millis_f64() / HALF_LIFE_MS));
            self.present = self.present * kept + f32::from(u8::from(present));
            self.steps = self.steps * kept + 1.0;
        }
        if present {
            // No requests and no errors: no evidence.
            return closed.errors > 0 || closed.requests != Some(0);
        }
        !was_dense && !self.is_silent(evidence) && self.present > 0.0
    }
}
