//! What the last sixty steps of a service in an environment held: from which of them on there were too many errors.
//!
//! Kept while a deploy is watched, and from the first step with unusually many errors on: what came before it was usual,
//! and that is all there is to know of it. So services at rest keep none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ln_mixture;
use crate::{
    model::Timestamp,
    score::{
        evidence::{MULTIPLIERS, Observation, ln_add, ln_ratios},
        short::Short,
        steps::Grain,
    },
};

const STEPS_MAX: usize = 60;
/// As a number.
const STEPS: f64 = 60.0;
/// As good as impossible, and still a number.
const LN_MIN: f64 = -700.0;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trail {
    /// Errors, and the greatest harmless mean; of a step that showed nothing both are 0.
    seen: Vec<[Short; 2]>,
    /// The start of the step after the last.
    next: Timestamp,
    grain: Grain,
    /// Steps since the last that held unusually many errors.
    since_unusual: u8,
}

/// Errors beyond a harmless mean by more than chance likes: three deviations of a negative-binomial count, and at least
/// five.
pub(crate) fn is_unusual(errors: f64, harmless: f64, size: f64) -> bool {
    errors >= harmless + (3.0 * (harmless + harmless * harmless / size).sqrt()).max(5.0)
}

impl Trail {
    pub(crate) fn new(grain: Grain) -> Self {
        Self {
            seen: Vec::with_capacity(STEPS_MAX),
            next: Timestamp::MIN,
            grain,
            since_unusual: 0,
        }
    }

    /// Takes in the step that begins at `start`; steps come in order, and one that is left out showed nothing.
    pub(crate) fn observe(&mut self, start: Timestamp, grain: Grain, observation: Option<&Observation>) {
        if grain != self.grain {
            *self = Self::new(grain);
        }
        let step = grain.duration();
        let gap = if self.next == Timestamp::MIN {
            0
        } else {
            start.since(self.next).as_millis() / step.as_millis().max(1)
        };
        for _ in 0..gap.min(STEPS_MAX.try_into().unwrap_or(u128::MAX)) {
            self.push([Short::default(); 2]);
        }
        let (errors, harmless) = observation.map_or((0.0, 0.0), |seen| (seen.errors, seen.weight * seen.harmless));
        self.push([Short::of(errors), Short::of(harmless)]);
        self.next = start + step;
        let unusual = observation.is_some_and(|seen| is_unusual(errors, harmless, seen.size));
        self.since_unusual = if unusual {
            0
        } else {
            self.since_unusual.saturating_add(1)
        };
    }

    fn push(&mut self, step: [Short; 2]) {
        if self.seen.len() >= STEPS_MAX {
            self.seen.remove(0);
        }
        self.seen.push(step);
    }

    /// Nothing unusual is in it any more.
    pub(crate) fn is_usual(&self) -> bool {
        usize::from(self.since_unusual) >= STEPS_MAX
    }

    /// How much likelier the steps are if errors rose at one of them, for each of them.
    pub(crate) fn rise(&self, size: f64) -> Rise {
        let mut suffix = [0.0; MULTIPLIERS.len()];
        let (mut start, step) = (self.next, self.grain.duration());
        let mut onsets = Vec::with_capacity(self.seen.len());
        for [errors, harmless] in self.seen.iter().rev() {
            start = start - step;
            if harmless.value() > 0.0 {
                let observation = Observation {
                    errors: errors.value(),
                    harmless: harmless.value(),
                    expected: harmless.value(),
                    size,
                    weight: 1.0,
                };
                for (sum, ln) in suffix.iter_mut().zip(ln_ratios(&observation)) {
                    *sum += ln;
                }
            }
            onsets.push((start, ln_mixture(&suffix)));
        }
        Rise { onsets, step }
    }
}

/// Steps, the last first, each with ln of how much likelier all from it on are if errors rose there:
/// `Σ_r v_r Π_{t ≥ j} L_r`.
#[derive(Debug)]
pub(crate) struct Rise {
    onsets: Vec<(Timestamp, f64)>,
    step: Duration,
}

impl Rise {
    /// ln of the mean over the onsets, each with the mass that `weigh` gives the step of that start and length.
    pub(super) fn ln_factor(&self, weigh: impl Fn(Timestamp, Duration) -> f64) -> f64 {
        let onsets = self.onsets.iter();
        let sum = onsets.fold(f64::NEG_INFINITY, |sum, (start, ln)| {
            ln_add(sum, weigh(*start, self.step).ln() + ln)
        });
        sum.max(LN_MIN)
    }

    /// The same for an onset at any of the steps of a trail, each alike.
    pub(crate) fn ln_anywhere(&self) -> f64 {
        self.ln_factor(|_, _| 1.0 / STEPS)
    }
}
