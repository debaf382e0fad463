//! What is usual for a service in an environment: a level, its shape over the day, and how counts scatter.
//!
//! All sums are of evidence steps of one length. The level is errors per step, and per request where requests are
//! told, from sums with a half-life of 3 days. The shape is 96 quarter-hours as multiples of the level, each an
//! average that begins at 1 and moves slowly where errors are rare. The scatter is the size k of a negative
//! binomial, by moments of the residuals, cut down for their autocorrelation.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    evidence::narrow,
    steps::{Closed, Grain},
};
use crate::model::Timestamp;

const QUARTER_HOURS: usize = 96;
const QUARTER_HOUR_MS: i64 = 15 * 60 * 1000;
const LEVEL_HALF_LIFE: Duration = Duration::from_hours(72);
/// A quarter-hour's average remembers at most this many steps: about a half-life of 14 days of one-minute steps.
const CELL_STEPS_MAX: u8 = 250;
/// A quarter-hour's shape is drawn to the level with the weight of so many steps, or so many expected errors.
const CELL_PRIOR: f64 = 10.0;
/// Without more history than this, errors convict nobody: with a quarter of an hour of it, a fifth of healthy deploys
/// at one error in ten minutes would be convicted.
const STEPS_MIN: u32 = 60;
const AGE_MIN: Duration = Duration::from_hours(4);
/// Attempts that count as seen before any are: a rate learned from few attempts stays near one in a thousand.
const PRIOR_REQUESTS: f64 = 1_000.0;
const SIZE_MIN: f64 = 0.3;
const SIZE_MAX: f64 = 100.0;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Baseline {
    /// Errors and steps, decayed.
    errors: f64,
    steps: f64,
    /// Errors and attempts of the steps that told attempts, decayed.
    errors_of_requests: f64,
    requests: f64,
    cells: Cells,
    /// Moments of the residuals e = x − m: Σe² − x, Σm², Σe·e₋₁, Σe², decayed.
    over: f64,
    mean_square: f64,
    lagged: f64,
    square: f64,
    last_residual: f64,
    n_observed: u32,
    first: Option<Timestamp>,
}

/// The quarter-hours: the multiple of the level, and how many steps speak for it.
#[derive(Debug, Clone, PartialEq)]
struct Cells(Box<Shape>);

#[derive(Debug, Clone, PartialEq)]
struct Shape {
    ratio: [f32; QUARTER_HOURS],
    n: [u8; QUARTER_HOURS],
}

impl Serialize for Cells {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Most cells of a young service were never seen: they travel as nothing.
        let cells = (0_u8..).zip(self.0.ratio).zip(self.0.n);
        let seen: Vec<(u8, f32, u8)> = cells
            .filter(|(_, n)| *n > 0)
            .map(|((i, ratio), n)| (i, ratio, n))
            .collect();
        seen.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Cells {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut cells = Self::new();
        for (i, ratio, n) in Vec::<(u8, f32, u8)>::deserialize(deserializer)? {
            let i = usize::from(i);
            if i >= QUARTER_HOURS {
                return Err(serde::de::Error::custom("no such quarter-hour"));
            }
            cells.0.ratio[i] = ratio;
            cells.0.n[i] = n;
        }
        Ok(cells)
    }
}

impl Cells {
    fn new() -> Self {
        Self(Box::new(Shape {
            ratio: [1.0; QUARTER_HOURS],
            n: [0; QUARTER_HOURS],
        }))
    }

    fn index(at: Timestamp) -> usize {
        usize::try_from(at.millis().div_euclid(QUARTER_HOUR_MS).rem_euclid(96)).unwrap_or(0)
    }
}

/// What a step of known attempts, or of none, is expected to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Expectation {
    /// Mean errors; above 0.
    pub(crate) mean: f64,
    /// Whether it was made from the step's attempts.
    pub(crate) by_requests: bool,
}

impl Baseline {
    pub(crate) fn new() -> Self {
        Self {
            errors: 0.0,
            steps: 0.0,
            errors_of_requests: 0.0,
            requests: 0.0,
            cells: Cells::new(),
            over: 0.0,
            mean_square: 0.0,
            lagged: 0.0,
            square: 0.0,
            last_residual: 0.0,
            n_observed: 0,
            first: None,
        }
    }

    /// Whether there is enough of it to convict anybody by.
    pub(crate) fn is_known(&self, now: Timestamp) -> bool {
        self.n_observed >= STEPS_MIN && self.first.is_some_and(|first| now.since(first) >= AGE_MIN)
    }

    pub(crate) fn n_observed(&self) -> u32 {
        self.n_observed
    }

    /// Mean errors per step, all day.
    pub(crate) fn level(&self, grain: Grain) -> f64 {
        // One error is presumed, and the time in which services usually have one: a minute.
        (self.errors + 1.0) / (self.steps + 60_000.0 / grain.millis_f64())
    }

    /// The mean to expect in the step that begins at `start`.
    pub(crate) fn expect(&self, grain: Grain, start: Timestamp, requests: Option<u64>) -> Expectation {
        let shape = f64::from(self.cells.0.ratio[Cells::index(start)]);
        match requests {
            Some(requests) if self.requests > 0.0 => {
                let rate = (self.errors_of_requests + 1.0) / (self.requests + PRIOR_REQUESTS);
                Expectation {
                    mean: (rate * count(requests)).max(1e-9),
                    by_requests: true,
                }
            }
            Some(_) | None => Expectation {
                mean: (self.level(grain) * shape).max(1e-9),
                by_requests: false,
            },
        }
    }

    /// The negative-binomial size to judge by: that of the residuals, within 0.3 to 100, divided by 3 and by what
    /// autocorrelation takes from independence, and by what a short history leaves open.
    pub(crate) fn size(&self, grain: Grain) -> f64 {
        let k = if self.over > 0.0 {
            self.mean_square / self.over
        } else {
            SIZE_MAX
        };
        // Few residuals say little: the prior is a size of 5 with the weight of a day's tenth.
        let n = f64::from(self.n_observed.min(1_000_000));
        let k = (n + 30.0) / (n / k.clamp(SIZE_MIN, SIZE_MAX) + 30.0 / 5.0);
        let rho = if self.square > 0.0 {
            (self.lagged / self.square).clamp(0.0, 0.9)
        } else {
            0.0
        };
        let k = k / (3.0 * ((1.0 + rho) / (1.0 - rho) * grain.minutes()).max(1.0));
        1.0 / (1.0 / k + 1.0 / (self.errors + 1.0))
    }

    /// Learns from one step outside watches and incidents. `weight` is ½ where silence was taken for zero.
    pub(crate) fn learn(&mut self, grain: Grain, step: &Closed, weight: f64) {
        let Closed {
            start,
            errors,
            requests,
            ..
        } = *step;
        let x = count(errors);
        let expected = self.expect(grain, start, requests);
        // What the first hour is held against is not known yet: a level from a few steps would fill the shape and the
        // scatter with its own error.
        let has_level = self.n_observed >= STEPS_MIN;
        if has_level {
            let residual = x - expected.mean;
            self.over += weight * (residual * residual - x);
            self.mean_square += weight * expected.mean * expected.mean;
            self.lagged += weight * residual * self.last_residual;
            self.square += weight * residual * residual;
            self.last_residual = residual;
        }
        if has_level {
            let level = self.level(grain);
            let cell = Cells::index(start);
            let (ratio, n) = (&mut self.cells.0.ratio[cell], &mut self.cells.0.n[cell]);
            let memory = CELL_PRIOR.max(CELL_PRIOR / level) + f64::from(*n);
            *ratio += narrow(weight / memory * (x / level - f64::from(*ratio)));
            *n = n.saturating_add(1).min(CELL_STEPS_MAX);
        }
        self.errors += weight * x;
        self.steps += weight;
        if let Some(requests) = requests {
            self.errors_of_requests += x;
            self.requests += count(requests);
        }
        self.n_observed = self.n_observed.saturating_add(1);
        self.first.get_or_insert(start);
    }

    /// Lets `n_steps` steps pass: what was learned counts for less.
    pub(crate) fn decay(&mut self, grain: Grain, n_steps: i64) {
        let kept = 0.5_f64
            .powf(count(n_steps.unsigned_abs()) * grain.millis_f64() / (LEVEL_HALF_LIFE.as_secs_f64() * 1_000.0));
        for sum in [
            &mut self.errors,
            &mut self.steps,
            &mut self.errors_of_requests,
            &mut self.requests,
            &mut self.over,
            &mut self.mean_square,
            &mut self.lagged,
            &mut self.square,
        ] {
            *sum *= kept;
        }
    }

    /// Takes the sums over to steps of another length. The scatter is learned anew: it is not that of other steps.
    pub(crate) fn regrain(&mut self, from: Grain, to: Grain) {
        self.steps *= from.millis_f64() / to.millis_f64();
        self.over = 0.0;
        self.mean_square = 0.0;
        self.lagged = 0.0;
        self.square = 0.0;
        self.last_residual = 0.0;
    }
}

/// Counts are far below 2⁵³.
pub(crate) fn count(n: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "ingest refuses counts beyond 10¹²"
    )]
    let value = n as f64;
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_steps_gives_the_level_the_shape_and_a_size_near_the_truth() {
        let mut baseline = Baseline::new();
        let grain = Grain::ONE_MINUTE;
        for minute in 0..3 * 1_440_i64 {
            let start = Timestamp::from_millis(minute * 60_000);
            // 20 by day, 4 by night, alternating by ±50 %.
            let mean = if (minute / 60) % 24 < 12 { 20 } else { 4 };
            baseline.decay(grain, 1);
            let errors = if minute % 2 == 0 {
                mean + mean / 2
            } else {
                mean - mean / 2
            };
            let step = Closed {
                start,
                errors,
                requests: None,
                n_records: 1,
            };
            baseline.learn(grain, &step, 1.0);
        }
        let day = baseline
            .expect(grain, Timestamp::from_millis(86_400_000 * 3 + 3_600_000), None)
            .mean;
        let night = baseline
            .expect(grain, Timestamp::from_millis(86_400_000 * 3 + 20 * 3_600_000), None)
            .mean;
        assert!((15.0..23.0).contains(&day), "{day}");
        assert!((3.0..6.0).contains(&night), "{night}");
        assert!(baseline.is_known(Timestamp::from_millis(86_400_000 * 3)));
        let size = baseline.size(grain);
        assert!((0.3..10.0).contains(&size), "{size}");
    }
}
