//! What the fleet learns from its incidents: weights, each with how well it is known.
//!
//! When an incident names the change that caused it, that change is compared with some that landed about then and are
//! not known to have caused any. That is the likelihood of a matched case-control study (conditional logistic
//! regression; Breslow & Day 1980): what all of them share, as the rate of incidents of their service and their time,
//! drops out, so it matters neither that most faults come to light months later nor that services differ. Nothing waits
//! to be called clean. The posterior is kept as a normal one and moved by a step of Newton's for each comparison (an
//! extended Kalman filter of the weights; Fahrmeir 1992), so weights that are known well move little.
//!
//! **Invariant:** the covariance is symmetric, and no variance is above its prior.

use serde::{Deserialize, Serialize};

use super::{
    trace::{AI_FEATURE, LEVEL_FEATURE, N_FEATURES, features},
    weights::COLD_START,
};
use crate::model::{MEASURE_NAMES, N_MEASURES, RiskWeights, Trace};

/// Comparisons of one verdict are not independent: together they count as so many.
const COMPARISONS_WEIGHT: f64 = 3.0;
/// How far weights may be from those of other projects (variances).
const LINEAR_PRIOR: f64 = 1.0 / 100.0;
const SQUARE_PRIOR: f64 = 1.0 / 1_000.0;
/// AI and the author's level: tight, about 0.
const MADE_PRIOR: f64 = 1.0 / 400.0;
/// The share of what is known that each verdict lets go of: fleets change, so what is learned must never be final.
const FORGET: f64 = 1e-5;
/// The least curvature of a comparison that is decided already.
const CURVATURE_MIN: f64 = 1e-4;
/// The half of an interval that holds 95 %, in standard deviations.
const INTERVAL_SD: f64 = 1.96;

/// A weight as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LearnedWeight {
    pub feature: &'static str,
    /// What it was before anything was learned: of other projects.
    pub cold_start: f64,
    /// In logits: per standard deviation of a measure; of AI against none; per step of the author's level.
    pub weight: f64,
    /// The interval that holds it with a chance of 95 %.
    pub low: f64,
    pub high: f64,
    /// How far a measure's weight grows, or shrinks, away from its mean; `None` of what is no measure.
    pub square: Option<LearnedSquare>,
    /// Whether it is part of the score. AI and the author's level are not.
    pub is_scored: bool,
}

/// The weight of a measure's z² − 1, in logits; 0 before anything was learned.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LearnedSquare {
    pub weight: f64,
    pub low: f64,
    pub high: f64,
}

impl LearnedWeight {
    /// Whether what was learned is another weight than before, beyond what chance would do to it: its interval does not
    /// hold what it was.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.cold_start < self.low || self.cold_start > self.high
    }
}

impl LearnedSquare {
    /// Whether it is another than 0, beyond what chance would do to it.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }
}

/// The weights, as a normal distribution.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Learner {
    mean: [f64; N_FEATURES],
    covariance: [[f64; N_FEATURES]; N_FEATURES],
    n_verdicts: u64,
}

impl Default for Learner {
    fn default() -> Self {
        let mut learner = Self {
            mean: [0.0; N_FEATURES],
            covariance: [[0.0; N_FEATURES]; N_FEATURES],
            n_verdicts: 0,
        };
        for (i, weight) in COLD_START.linear.into_iter().chain(COLD_START.square).enumerate() {
            learner.mean[i] = f64::from(weight);
        }
        for i in 0..N_FEATURES {
            learner.covariance[i][i] = prior(i);
        }
        learner
    }
}

fn prior(feature: usize) -> f64 {
    match feature {
        ..N_MEASURES => LINEAR_PRIOR,
        N_MEASURES..AI_FEATURE => SQUARE_PRIOR,
        _ => MADE_PRIOR,
    }
}

impl Learner {
    pub(crate) fn n_verdicts(&self) -> u64 {
        self.n_verdicts
    }

    /// A change caused an incident, with a chance of `share`, and those beside it did not.
    pub(crate) fn learn(&mut self, share: f64, guilty: Trace, beside: &[Trace]) {
        let Ok(n_beside) = u32::try_from(beside.len()) else {
            return;
        };
        if n_beside == 0 {
            return;
        }
        self.n_verdicts += 1;
        self.forget();
        let guilty = features(guilty);
        let weight = share * COMPARISONS_WEIGHT.min(f64::from(n_beside)) / f64::from(n_beside);
        for other in beside {
            let other = features(*other);
            self.compare(&std::array::from_fn(|i| guilty[i] - other[i]), weight);
        }
    }

    /// Moves all variances a little towards their priors.
    fn forget(&mut self) {
        for (i, row) in self.covariance.iter_mut().enumerate() {
            for value in row.iter_mut() {
                *value *= 1.0 - FORGET;
            }
            row[i] += FORGET * prior(i);
        }
    }

    /// One step for a pair that differs by `difference`, the guilty one less the other.
    fn compare(&mut self, difference: &[f64; N_FEATURES], weight: f64) {
        let logit = dot(&self.mean, difference);
        // The chance, by the weights, that it were the other one.
        let surprise = 1.0 / (1.0 + logit.exp());
        let curvature = weight * (surprise * (1.0 - surprise)).max(CURVATURE_MIN);
        let direction: [f64; N_FEATURES] = std::array::from_fn(|i| dot(&self.covariance[i], difference));
        let scale = 1.0 / (1.0 + curvature * dot(&direction, difference));
        for i in 0..N_FEATURES {
            for j in 0..N_FEATURES {
                self.covariance[i][j] -= curvature * scale * direction[i] * direction[j];
            }
            self.mean[i] += weight * surprise * scale * direction[i];
        }
    }

    /// What changes are scored by: to four digits, which is more than is known of any weight.
    pub(crate) fn weights(&self) -> RiskWeights {
        RiskWeights {
            linear: std::array::from_fn(|i| narrow(self.mean[i])),
            square: std::array::from_fn(|i| narrow(self.mean[N_MEASURES + i])),
        }
    }

    /// The weights with their intervals: of each measure, of AI assistance, and of the author's level.
    pub(crate) fn learned(&self) -> Vec<LearnedWeight> {
        let measures = MEASURE_NAMES.into_iter().enumerate().map(|(i, name)| (i, name, true));
        let made = [(AI_FEATURE, "ai", false), (LEVEL_FEATURE, "author_level", false)];
        measures
            .chain(made)
            .map(|(i, feature, is_scored)| {
                let [weight, low, high] = self.interval(i);
                let square = is_scored.then(|| {
                    let [weight, low, high] = self.interval(N_MEASURES + i);
                    LearnedSquare { weight, low, high }
                });
                let cold_start = COLD_START.linear.get(i).filter(|_| is_scored);
                LearnedWeight {
                    feature,
                    cold_start: cold_start.map_or(0.0, |weight| four_digits(f64::from(*weight))),
                    weight,
                    low,
                    high,
                    square,
                    is_scored,
                }
            })
            .collect()
    }

    /// A weight, and where it is with a chance of 95 %.
    fn interval(&self, feature: usize) -> [f64; 3] {
        let half = INTERVAL_SD * self.covariance[feature][feature].max(0.0).sqrt();
        [0.0, -half, half].map(|by| four_digits(self.mean[feature] + by))
    }
}

fn dot(a: &[f64; N_FEATURES], b: &[f64; N_FEATURES]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn four_digits(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "four digits of a weight"
)]
fn narrow(value: f64) -> f32 {
    four_digits(value) as f32
}
