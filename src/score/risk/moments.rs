//! What is usual for a service: decayed moments of each measure, shrunk to those of other projects.
//!
//! **Invariant:** a change is standardized by the moments before it, and never again: its z does not move.

use serde::{Deserialize, Serialize};

use crate::model::{Measures, N_MEASURES};

/// Mean and standard deviation of each measure across projects, after the logarithm where it is taken.
pub(super) const COLD_START: [(f64, f64); N_MEASURES] = [
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
const PRIOR_COMMITS: f64 = 50.0;
/// Own moments forget half in so many commits.
const HALF_LIFE_COMMITS: f64 = 500.0;
/// A measure further from the mean counts as so many standard deviations.
const Z_MAX: f64 = 10.0;

/// How many standard deviations each measure is from its mean; `None` where it was not told, which counts as average.
pub(crate) type Scaled = [Option<f64>; N_MEASURES];

/// The decayed moments of one service's measures.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Moments {
    means: [f32; N_MEASURES],
    /// Sums of squared deviations.
    squares: [f32; N_MEASURES],
    /// Decayed counts: a measure may be told of some commits only.
    weights: [f32; N_MEASURES],
}

impl Moments {
    pub(crate) fn scale(&self, measures: &Measures) -> Scaled {
        std::array::from_fn(|i| {
            let (mean, sd) = self.of(i);
            measures[i].map(|measure| ((logarithm(i, measure) - mean) / sd).clamp(-Z_MAX, Z_MAX))
        })
    }

    /// The mean and standard deviation by which a measure is scaled: own and prior, pooled by their weights.
    fn of(&self, i: usize) -> (f64, f64) {
        let (mean, sd) = COLD_START[i];
        let weight = f64::from(self.weights[i]);
        let total = weight + PRIOR_COMMITS;
        let own = f64::from(self.means[i]);
        let shrunk = (weight * own + PRIOR_COMMITS * mean) / total;
        let variance = (f64::from(self.squares[i])
            + PRIOR_COMMITS * (sd * sd + (mean - own) * (mean - own) * weight / total))
            / total;
        (shrunk, variance.max(1e-4).sqrt())
    }

    /// Takes the measures into the decayed moments (West's weighted update, CACM 1979).
    #[expect(
        clippy::cast_possible_truncation,
        clippy::as_conversions,
        reason = "moments to seven digits"
    )]
    pub(crate) fn learn(&mut self, measures: &Measures) {
        let keep = 0.5_f64.powf(1.0 / HALF_LIFE_COMMITS) as f32;
        for (i, measure) in measures.iter().enumerate() {
            let Some(measure) = *measure else { continue };
            let x = logarithm(i, measure) as f32;
            let (mean, square, weight) = (&mut self.means[i], &mut self.squares[i], &mut self.weights[i]);
            *weight = *weight * keep + 1.0;
            let delta = x - *mean;
            *mean += delta / *weight;
            *square = *square * keep + delta * (x - *mean);
        }
    }
}

fn logarithm(i: usize, measure: f64) -> f64 {
    if AS_IS.contains(&i) { measure } else { measure.ln_1p() }
}
