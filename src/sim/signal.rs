//! How often a healthy service fails: its level, the day and the week, a slow drift, and how counts scatter.
//!
//! ```text
//! requests ~ Poisson(traffic · season(t) · Δt · e^(drift of traffic))
//! errors   ~ NB(mean = requests · errors per request · e^(drift of errors), size = k · Δt / 1 min)
//! ```
//! Drifts are Ornstein–Uhlenbeck processes, the AR(1) of any step length, scaled so that their exponentials have mean 1.
//! Sizes add up as negative binomials of one rate do: a minute's errors have size k whatever the reporter's interval.

use std::time::Duration;

use super::{
    chance::{Chance, real},
    family::Family,
};
use crate::model::Timestamp;

/// What traffic drifts by, and what of that is left after a minute.
const TRAFFIC_DRIFT: f64 = 0.1;
const TRAFFIC_KEPT: f64 = 0.97;
const DAY_MS: f64 = 86_400_000.0;

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signal {
    /// Mean errors a minute over a weekday; for a batch, over a minute of its run.
    pub errors_per_minute: f64,
    pub errors_per_request: f64,
    /// Negative-binomial size of a minute's errors.
    pub size: f64,
    /// Standard deviation of ln of the drift, and what is left of it after a minute.
    pub drift: f64,
    pub drift_kept: f64,
    /// Amplitude of the day's wave as a share of the mean, and its peak after midnight.
    pub day_wave: f64,
    pub peak: Duration,
    /// Weekend traffic as a share of a weekday's.
    pub weekend: f64,
}

impl Signal {
    pub(super) fn draw(family: &Family, is_batch: bool, chance: &mut Chance) -> Self {
        let errors_per_minute = chance.log_between(family.errors_per_minute);
        Self {
            errors_per_minute,
            errors_per_request: chance.log_between(family.errors_per_request),
            size: chance.log_between(family.size),
            drift: chance.between(family.drift),
            drift_kept: chance.between(family.drift_kept),
            day_wave: if is_batch { 0.0 } else { chance.between(family.day_wave) },
            peak: Duration::from_secs(3_600 * (11 + chance.below(9))),
            weekend: if is_batch { 1.0 } else { chance.between(family.weekend) },
        }
    }

    /// Traffic at an instant as a multiple of a weekday's mean.
    #[must_use]
    pub fn season(&self, at: Timestamp) -> f64 {
        let ms = u64::try_from(at.millis()).unwrap_or(0);
        let days = real(ms) / DAY_MS;
        let peak = self.peak.as_secs_f64() * 1_000.0 / DAY_MS;
        let wave = 1.0 + self.day_wave * (std::f64::consts::TAU * (days - peak)).cos();
        let week = if is_weekend(at) { self.weekend } else { 1.0 };
        wave * week
    }
}

/// Saturday or Sunday, UTC. The epoch was a Thursday.
pub(super) fn is_weekend(at: Timestamp) -> bool {
    matches!((at.millis().div_euclid(86_400_000) + 3).rem_euclid(7), 5 | 6)
}

/// A slow multiple with mean 1.
#[derive(Debug, Clone)]
pub(super) struct Drift {
    sd: f64,
    kept: f64,
    /// In standard deviations.
    state: f64,
}

impl Drift {
    pub(super) fn new(sd: f64, kept_per_minute: f64, chance: &mut Chance) -> Self {
        Self {
            sd,
            kept: kept_per_minute,
            state: chance.normal(),
        }
    }

    pub(super) fn of_traffic(chance: &mut Chance) -> Self {
        Self::new(TRAFFIC_DRIFT, TRAFFIC_KEPT, chance)
    }

    /// The multiple after `minutes` more.
    pub(super) fn pass(&mut self, minutes: f64, chance: &mut Chance) -> f64 {
        let kept = self.kept.powf(minutes);
        self.state = kept * self.state + (1.0 - kept * kept).sqrt() * chance.normal();
        (self.sd * self.state - self.sd * self.sd / 2.0).exp()
    }
}
