//! The shape of a day: 96 quarter-hours as multiples of the level.

use serde::{Deserialize, Serialize};

use crate::{
    model::Timestamp,
    score::{evidence::narrow, steps::Grain},
};

const QUARTER_HOURS: usize = 96;
/// A quarter-hour's shape is drawn to the level with the weight of so many steps, or so many expected errors.
const PRIOR: f64 = 10.0;
/// What a quarter-hour's average remembers, in days of its steps: a half-life of 14 days.
const MEMORY_DAYS: f64 = 14.0 / std::f64::consts::LN_2;

/// The quarter-hours: the multiple of the level, and how many steps speak for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile(Box<Cells>);

/// A multiple of the level from 0 to 256, to a part in eight thousand; below 1/128 in equal steps.
///
/// Four bits of exponent and twelve of fraction, cut from an `f32` that is scaled to where its exponents are these. A
/// profile is read and written with each step of each service: a logarithm would be a tenth of what that costs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Ratio(u16);

impl Ratio {
    /// 2⁻¹¹⁹: 256 times it has the exponent that no longer fits, and its 128th part is the least normal number.
    const SCALE: f32 = f32::from_bits((127 - 119) << 23);
    /// Bits of an `f32`'s fraction that are cut off.
    const CUT: u32 = 11;

    fn of(value: f64) -> Self {
        let bits = (narrow(value.max(0.0)) * Self::SCALE).to_bits();
        // To the nearest, the even one of two.
        let rounded = (bits + (1 << (Self::CUT - 1)) - 1 + ((bits >> Self::CUT) & 1)) >> Self::CUT;
        Self(u16::try_from(rounded).unwrap_or(u16::MAX))
    }

    fn value(self) -> f64 {
        f64::from(f32::from_bits(u32::from(self.0) << Self::CUT)) / f64::from(Self::SCALE)
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
        usize::try_from(at.quarter_hour().rem_euclid(96)).unwrap_or(0)
    }

    /// The multiple of the level that is usual at `at`.
    pub(super) fn ratio(&self, at: Timestamp) -> f64 {
        self.0.ratio[Self::index(at)].value()
    }

    /// Whether the quarter-hour of `at` was seen on any day.
    pub(super) fn has(&self, at: Timestamp) -> bool {
        self.0.n[Self::index(at)] > 0
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A quarter-hour whose errors double is about half-way there after a fortnight, by steps of one minute and of five.
    #[test]
    fn what_a_quarter_hour_was_like_counts_half_after_about_fourteen_days() {
        let at = Timestamp::from_millis(0);
        for (interval_ms, n_steps) in [(60_000, 15), (300_000, 3)] {
            let grain = Grain::for_interval(interval_ms);
            let mut profile = Profile::new();
            for day in 0..114 {
                let times = if day < 100 { 1.0 } else { 2.0 };
                for _ in 0..n_steps {
                    profile.learn(at, (times * 20.0, 1.0), grain, 20.0);
                }
            }
            let ratio = profile.ratio(at);
            assert!((1.4..1.6).contains(&ratio), "{interval_ms}: {ratio}");
        }
    }

    #[test]
    fn a_ratio_is_kept_to_a_part_in_eight_thousand() {
        for exact in [0.0, 1.0, 0.5, 1.0 / 128.0, 96.0] {
            assert!((Ratio::of(exact).value() - exact).abs() < f64::EPSILON, "{exact}");
        }
        let mut ratio = 1.0 / 128.0;
        while ratio < 255.0 {
            let back = Ratio::of(ratio).value();
            assert!(
                (back / ratio - 1.0).abs() <= 1.0 / 8_192.0,
                "{ratio} came back as {back}"
            );
            ratio *= 1.003;
        }
        for small in [1e-9, 1e-5, 0.003] {
            assert!((Ratio::of(small).value() - small).abs() <= 1.0 / 1_048_576.0, "{small}");
        }
        for odd in [-1.0, f64::NAN] {
            assert!(Ratio::of(odd).value().abs() < f64::EPSILON, "{odd}");
        }
        for much in [256.0, 1e9, f64::INFINITY] {
            assert!((255.0..256.0).contains(&Ratio::of(much).value()), "{much}");
        }
    }
}
