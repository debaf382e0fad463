//! What each measure weighs, and what it adds to a change's risk.

use super::rounded;
use crate::model::{MEASURE_NAMES, Measures, N_MEASURES, RiskWeights};

use super::Scaled;

/// Learned across projects, in the order of [`MEASURE_NAMES`]; no curvature is known before a fleet has learned its own.
pub(super) const COLD_START: RiskWeights = RiskWeights {
    linear: [
        -0.002, 0.065, 0.058, 0.040, 0.567, 0.093, 0.078, 0.447, 0.115, -0.058, -0.106, -0.129, 0.043, 0.119,
    ],
    square: [0.0; N_MEASURES],
};
/// Where a square stops to grow: beyond, few changes were seen to learn it from.
const SQUARE_Z_MAX: f64 = 3.0;

/// What one feature added to a change's logit.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    pub feature: &'static str,
    /// The measure as reported.
    pub value: f64,
    pub logit: f64,
}

/// The logarithm of a change's risk as a multiple of that of an average one, and what each measure adds to it.
pub(super) fn weigh(measures: &Measures, scaled: &Scaled, weights: &RiskWeights) -> (f64, Vec<Contribution>) {
    let mut logit = 0.0;
    let mut contributions = Vec::with_capacity(N_MEASURES);
    for (i, measured) in measures.iter().zip(scaled).enumerate() {
        let (Some(value), Some(z)) = measured else { continue };
        let part = f64::from(weights.linear[i]) * z + f64::from(weights.square[i]) * square(*z);
        logit += part;
        contributions.push(Contribution {
            feature: MEASURE_NAMES[i],
            value: *value,
            logit: rounded(part),
        });
    }
    (logit, contributions)
}

/// The square that is weighed beside z, 0 on average.
pub(super) fn square(z: f64) -> f64 {
    let z = z.clamp(-SQUARE_Z_MAX, SQUARE_Z_MAX);
    z * z - 1.0
}
