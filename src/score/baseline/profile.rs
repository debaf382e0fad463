//! The shape of a day: 96 quarter-hours as multiples of the level.

use serde::{Deserialize, Serialize};

use crate::{model::Timestamp, score::steps::Grain};

const QUARTER_HOURS: usize = 96;
pub(super) const QUARTER_HOUR_MS: i64 = 15 * 60 * 1000;
/// A quarter-hour's shape is drawn to the level with the weight of so many steps, or so many expected errors.
const PRIOR: f64 = 10.0;
/// What a quarter-hour's average remembers, in days of its steps: a half-life of 14 days.
const MEMORY_DAYS: f64 = 14.0 / std::f64::consts::LN_2;

/// The quarter-hours: the multiple of the level, and how many steps speak for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile(Box<Cells>);

/// A multiple of the level from 0 to 300, to a part in two thousand: in equal steps of ln(1 + 20 x).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Ratio(u16);

impl Ratio {
    const STEPS: f64 = 7_500.0;

    fn of(value: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::as_conversions,
            reason = "within 0 to 65,535"
        )]
        let steps = ((20.0 * value.max(0.0)).ln_1p() * Self::STEPS).round().min(65_535.0) as u16;
        Self(steps)
    }

    fn value(self) -> f64 {
        (f64::from(self.0) / Self::STEPS).exp_m1() / 20.0
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Cells {
    ratio: [Ratio; QUARTER_HOURS],
    n: [u8; QUARTER_HOURS],
}

impl Serialize for Profile {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Most cells of a young service were never seen: they travel as nothing.
        let cells = (0_u8..).zip(self.0.ratio).zip(self.0.n);
        let seen: Vec<(u8, Ratio, u8)> = cells
            .filter(|(_, n)| *n > 0)
            .map(|((i, ratio), n)| (i, ratio, n))
            .collect();
        seen.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Profile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut profile = Self::new();
        for (i, ratio, n) in Vec::<(u8, Ratio, u8)>::deserialize(deserializer)? {
            let i = usize::from(i);
            if i >= QUARTER_HOURS {
                return Err(serde::de::Error::custom("no such quarter-hour"));
            }
            profile.0.ratio[i] = ratio;
            profile.0.n[i] = n;
        }
        Ok(profile)
    }
}

impl Profile {
    pub(super) fn new() -> Self {
        Self(Box::new(Cells {
            ratio: [Ratio::of(1.0); QUARTER_HOURS],
            n: [0; QUARTER_HOURS],
        }))
    }

    fn index(at: Timestamp) -> usize {
        usize::try_from(quarter(at).rem_euclid(96)).unwrap_or(0)
    }

    /// The multiple of the level that is usual at `at`.
    pub(super) fn ratio(&self, at: Timestamp) -> f64 {
        self.0.ratio[Self::index(at)].value()
    }

    /// Learns from so many errors in so many steps of the quarter-hour of `at`, where the level is `level` errors a step.
    pub(super) fn learn(&mut self, at: Timestamp, (errors, n_steps): (f64, f64), grain: Grain, level: f64) {
        let ratio = errors / (n_steps * level);
        let i = Self::index(at);
        let cells = &mut self.0;
        let known = f64::from(cells.n[i]);
        let memory = PRIOR.max(PRIOR / level) + known;
        let weight = (n_steps / (memory + n_steps - 1.0)).min(1.0);
        let before = cells.ratio[i].value();
        cells.ratio[i] = Ratio::of(before + weight * (ratio - before));
        let steps_max = (MEMORY_DAYS * 15.0 / grain.minutes()).min(250.0);
        cells.n[i] = truncated((known + n_steps).min(steps_max));
    }
}

/// The quarter-hour that holds `at`, counted from the epoch.
pub(super) fn quarter(at: Timestamp) -> i64 {
    at.millis().div_euclid(QUARTER_HOUR_MS)
}

fn truncated(n: f64) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "within 0 to 250"
    )]
    let n = n.ceil() as u8;
    n
}
