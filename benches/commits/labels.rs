//! When it becomes known what a commit did.
//!
//! The data says which commits were buggy, not when that came to light, so delays are drawn: lognormal with a median of
//! 180 days.

use crate::{chance::Chance, history::History};

pub(crate) const DAY: i64 = 86_400;
/// A commit without a bug for so long is taken for clean, until one is revealed.
pub(crate) const CLEAN_AFTER: i64 = 90 * DAY;
const MEDIAN_DAYS: f64 = 180.0;

/// When the bug of each commit is revealed, in seconds since 1970; `None` for those without.
pub(crate) type Reveals = Vec<Option<i64>>;

/// What is known by when.
#[derive(Clone, Copy)]
pub(crate) enum Latency {
    /// Everything as soon as it lands: what a table of oldest and newest commits takes for granted.
    None,
    /// Lognormal with this spread.
    Lognormal { sigma: f64, seed: u64 },
}

impl Latency {
    /// In seconds.
    pub(crate) fn clean_after(self) -> i64 {
        match self {
            Self::None => 0,
            Self::Lognormal { .. } => CLEAN_AFTER,
        }
    }
}

pub(crate) fn reveals(history: &History, latency: Latency) -> Reveals {
    let mut chance = Chance::new(match latency {
        Latency::None => 0,
        Latency::Lognormal { seed, .. } => seed,
    });
    let landed = history.commits.iter();
    landed
        .map(|commit| {
            let delay = match latency {
                Latency::None => 1,
                Latency::Lognormal { sigma, .. } => seconds(MEDIAN_DAYS * (sigma * normal(&mut chance)).exp()),
            };
            commit.is_buggy.then_some(commit.at + delay)
        })
        .collect()
}

/// The labels known at `now`, as a baseline is fitted on them: `None` where nothing is known yet.
pub(crate) fn known(history: &History, reveals: &Reveals, clean_after: i64, now: i64) -> Vec<Option<bool>> {
    let pairs = history.commits.iter().zip(reveals);
    pairs
        .map(|(commit, reveal)| {
            if reveal.is_some_and(|at| at <= now) {
                Some(true)
            } else if commit.at + clean_after <= now {
                Some(false)
            } else {
                None
            }
        })
        .collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "days within centuries"
)]
pub(crate) fn seconds(days: f64) -> i64 {
    (days.min(36_500.0) * 86_400.0) as i64
}

/// Uniform within 0 and 1, neither of them included.
#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "53 bits of it")]
pub(crate) fn unit(chance: &mut Chance) -> f64 {
    ((chance.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

/// Standard normal (Box and Muller, 1958).
pub(crate) fn normal(chance: &mut Chance) -> f64 {
    (-2.0 * unit(chance).ln()).sqrt() * (std::f64::consts::TAU * unit(chance)).cos()
}
