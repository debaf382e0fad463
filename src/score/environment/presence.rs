//! How regularly a source reports, and what a step without a record says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    model::{Second, Timestamp},
    score::{
        evidence::narrow,
        policy::Evidence,
        steps::{Closed, Grain},
    },
};

/// Half-life of what is known about how regularly a source reports, in milliseconds: half a day.
const HALF_LIFE_MS: f64 = 43_200_000.0;
/// Before so many steps nothing is dense.
const DENSE_STEPS_MIN: f64 = 10.0;

/// Steps with a record, and all steps, decayed; and how many were without one since the last that had one.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Presence {
    present: f32,
    steps: f32,
    missing_run: u32,
    silence: Silence,
}

/// The last stretch of which a source told nothing, from the first step of which nothing is known to the first that had a
/// record again: all of the day for a nightly batch.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Silence {
    from: Second,
    /// Before `from` while it lasts.
    until: Second,
}

impl Silence {
    fn between(self, from: Timestamp, to: Timestamp) -> Duration {
        let lasts = self.until < self.from;
        let until = if lasts { to } else { to.min(self.until.start()) };
        until.since(from.max(self.from.start()))
    }
}

impl Presence {
    /// How much of the time between two instants nothing was told, by the last such stretch.
    pub(super) fn silent_between(self, from: Timestamp, to: Timestamp) -> Duration {
        self.silence.between(from, to)
    }

    fn share(self) -> f64 {
        if self.steps > 0.0 {
            f64::from(self.present) / f64::from(self.steps)
        } else {
            0.0
        }
    }

    /// Whether so many of its steps carry a record that one without is missing, and no good news.
    pub(super) fn is_dense(self, evidence: &Evidence) -> bool {
        f64::from(self.steps) >= DENSE_STEPS_MIN && self.share() >= evidence.dense_share
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
        let was_silent = self.is_silent(evidence);
        self.missing_run = if present { 0 } else { self.missing_run.saturating_add(1) };
        match (was_silent, self.is_silent(evidence)) {
            (false, true) => self.silence.from = Second::of(closed.start),
            (true, false) => self.silence.until = Second::of(closed.start),
            (false, false) | (true, true) => {}
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_takes_from_what_it_overlaps_and_nothing_else() {
        let at = |minute: i64| Timestamp::from_millis(minute * 60_000);
        let minutes = |silence: Silence, from, to| silence.between(at(from), at(to)).as_secs() / 60;
        let over = Silence {
            from: Second::of(at(10)),
            until: Second::of(at(40)),
        };
        let spans = [(0, 5), (0, 20), (20, 30), (30, 60), (0, 60), (50, 60)];
        assert_eq!(spans.map(|(from, to)| minutes(over, from, to)), [0, 10, 10, 10, 30, 0]);
        let lasts = Silence {
            from: Second::of(at(50)),
            ..over
        };
        assert_eq!(spans.map(|(from, to)| minutes(lasts, from, to)), [0, 0, 0, 10, 10, 10]);
        assert_eq!(minutes(Silence::default(), 0, 60), 0);
    }
}
