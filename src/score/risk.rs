//! Commit risk: the chance that a change causes an incident.
//!
//! `p = σ(w·z + b)`: fourteen measures in their logarithms, standardised by the service's own decayed moments shrunk
//! to those of other projects, weighted as learned across projects. The measures are those of Kamei et al., *A
//! Large-Scale Empirical Study of Just-in-Time Quality Assurance* (TSE 2013). A bug is not an outage: p is shifted to
//! the rate of incidents. Nothing of the author's level or of AI is in it.

use std::{fmt::Write as _, sync::LazyLock};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::model::{MEASURE_NAMES, Measures, N_MEASURES};

/// Weights learned across projects, in the order of [`MEASURE_NAMES`].
const WEIGHTS: [f64; N_MEASURES] = [
    -0.002, 0.065, 0.058, 0.040, 0.567, 0.093, 0.078, 0.447, 0.115, -0.058, -0.106, -0.129, 0.043, 0.119,
];
const INTERCEPT: f64 = -1.386;
/// Mean and standard deviation of each measure across projects, after the logarithm where it is taken.
const MOMENTS: [(f64, f64); N_MEASURES] = [
    (0.75, 0.16),
    (0.97, 0.40),
    (1.13, 0.54),
    (0.77, 0.91),
    (2.76, 1.56),
    (2.00, 1.56),
    (7.13, 1.70),
    (0.46, 0.50),
    (3.07, 1.29),
    (3.64, 1.60),
    (4.50, 1.64),
    (6.15, 2.32),
    (3.54, 1.66),
    (4.33, 2.01),
];
/// Entropy and fix stand as they are; all others as ln(1 + x).
const AS_IS: [usize; 2] = [3, 7];
/// Own moments weigh against those above as so many commits.
const MOMENTS_PRIOR: f64 = 50.0;
/// Own moments forget half in so many commits.
const MOMENTS_HALF_LIFE: f64 = 500.0;
/// The share of commits that cause an incident: the mean of Beta(1, 99).
pub(crate) const INCIDENT_RATE: f64 = 0.01;

/// What one feature added to a change's logit.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    pub feature: &'static str,
    /// The measure as reported.
    pub value: f64,
    pub logit: f64,
}

/// `sha256:` and the digest of the constants above: which model spoke.
pub(crate) fn model_digest() -> Box<str> {
    static DIGEST: LazyLock<Box<str>> = LazyLock::new(|| {
        let text = format!(
            "{WEIGHTS:?}{INTERCEPT}{MOMENTS:?}{INCIDENT_RATE}{}",
            super::STEP_VERSION
        );
        let mut digest = String::from("sha256:");
        for byte in Sha256::digest(text) {
            write!(digest, "{byte:02x}").expect("writing to memory cannot fail");
        }
        digest.into()
    });
    DIGEST.clone()
}

/// The measures of one service's changes: their decayed moments.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Moments {
    means: [f32; N_MEASURES],
    squares: [f32; N_MEASURES],
    weights: [f32; N_MEASURES],
}

impl Moments {
    /// The chance that a change with these measures causes an incident, and what each measure adds to its logit.
    pub(crate) fn score(&self, measures: &Measures) -> (f64, Vec<Contribution>) {
        let mut logit = INTERCEPT;
        let mut contributions = Vec::with_capacity(N_MEASURES);
        for (i, measure) in measures.iter().enumerate() {
            // A measure that was not told is an average one.
            let Some(measure) = *measure else { continue };
            let (mean, sd) = self.of(i);
            let part = WEIGHTS[i] * ((scaled(i, measure) - mean) / sd).clamp(-10.0, 10.0);
            logit += part;
            contributions.push(Contribution {
                feature: MEASURE_NAMES[i],
                value: measure,
                logit: (part * 1e6).round() / 1e6,
            });
        }
        // Shifted from the rate of bugs, at which the weights were learned, to that of incidents.
        let shifted = logit - INTERCEPT + (INCIDENT_RATE / (1.0 - INCIDENT_RATE)).ln();
        (1.0 / (1.0 + (-shifted).exp()), contributions)
    }

    fn of(&self, i: usize) -> (f64, f64) {
        let (mean, sd) = MOMENTS[i];
        let weight = f64::from(self.weights[i]);
        let total = weight + MOMENTS_PRIOR;
        let own = f64::from(self.means[i]);
        let shrunk = (weight * own + MOMENTS_PRIOR * mean) / total;
        let variance = (f64::from(self.squares[i])
            + MOMENTS_PRIOR * (sd * sd + (mean - own) * (mean - own) * weight / total))
            / total;
        (shrunk, variance.max(1e-4).sqrt())
    }

    /// Takes the measures into the decayed moments (West's weighted update).
    pub(crate) fn learn(&mut self, measures: &Measures) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::as_conversions,
            reason = "moments to seven digits"
        )]
        let keep = 0.5_f64.powf(1.0 / MOMENTS_HALF_LIFE) as f32;
        for (i, measure) in measures.iter().enumerate() {
            let Some(measure) = *measure else { continue };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::as_conversions,
                reason = "moments to seven digits"
            )]
            let x = scaled(i, measure) as f32;
            let (mean, square, weight) = (&mut self.means[i], &mut self.squares[i], &mut self.weights[i]);
            *weight = *weight * keep + 1.0;
            let delta = x - *mean;
            *mean += delta / *weight;
            *square = *square * keep + delta * (x - *mean);
        }
    }
}

fn scaled(i: usize, measure: f64) -> f64 {
    if AS_IS.contains(&i) { measure } else { measure.ln_1p() }
}
