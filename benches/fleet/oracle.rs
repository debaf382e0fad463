//! Who knows all there is to know of a fault, but not whether it happened.
//!
//! The sequential probability ratio test (Wald 1945) of the true mean with the fault against the true mean without it,
//! begun at the true onset, with the true negative-binomial size:
//!
//! ```text
//! ln Λ ← ln Λ + x ln(m₁ / m₀) − (k + x) ln((k + m₁) / (k + m₀))        alarm at Λ ≥ 1/α
//! ```
//! Means are those of each interval: traffic, hour, drift, and what callees and outages add are known to it. So Λ is a
//! martingale without the fault, and P(alarm) ≤ α (Ville). It looks when evidence steps close, as score does.

use std::{collections::BTreeMap, time::Duration};

use holdpoint::{model::Timestamp, sim::Glimpse};

/// What a watch may spend of false alarms at most, by the default policy.
pub(crate) const ALPHA: f64 = 2e-3;
/// Lengths of evidence steps, in seconds, and how long after its end a step closes.
const STEPS: [u64; 3] = [60, 300, 900];
const LATENESS: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(crate) struct Oracle {
    /// By the place of the deploy in the truth.
    tests: BTreeMap<usize, Test>,
}

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Test {
    ln_ratio: f64,
    pub(crate) alarmed_at: Option<Timestamp>,
    /// Errors and what was usual, until the alarm.
    pub(crate) errors: u64,
    pub(crate) usual: f64,
}

impl Oracle {
    pub(crate) fn see(&mut self, glimpse: &Glimpse) {
        let Some(deploy) = glimpse.fault else { return };
        let test = self.tests.entry(deploy).or_default();
        if test.alarmed_at.is_some() || glimpse.mean_without <= 0.0 {
            return;
        }
        test.errors += glimpse.errors;
        test.usual += glimpse.mean_without;
        let Glimpse {
            mean,
            mean_without,
            size,
            ..
        } = *glimpse;
        test.ln_ratio += ln_ratio(real(glimpse.errors), size, (mean_without, mean));
        if test.ln_ratio >= -ALPHA.ln() {
            test.alarmed_at = Some(closes_at(glimpse));
        }
    }

    /// When it was sure of a deploy, if it was.
    pub(crate) fn alarmed_at(&self, deploy: usize) -> Option<Timestamp> {
        self.tests.get(&deploy).and_then(|test| test.alarmed_at)
    }
}

/// ln of how much likelier so many errors are of the second mean than of the first.
pub(crate) fn ln_ratio(errors: f64, size: f64, (usual, raised): (f64, f64)) -> f64 {
    errors * (raised / usual).ln() - (size + errors) * ((size + raised) / (size + usual)).ln()
}

pub(crate) fn real(errors: u64) -> f64 {
    f64::from(u32::try_from(errors).unwrap_or(u32::MAX))
}

fn closes_at(glimpse: &Glimpse) -> Timestamp {
    let step = step(glimpse.interval);
    glimpse.time.floor(step) + step + LATENESS
}

/// The length of the evidence steps of a reporter with such intervals.
pub(crate) fn step(interval: Duration) -> Duration {
    let least = STEPS
        .into_iter()
        .map(Duration::from_secs)
        .find(|step| *step >= interval);
    least.unwrap_or(Duration::from_mins(15))
}
