//! Numbers in two bytes, for what is kept by the hundred.

use serde::{Deserialize, Serialize};

use super::evidence::narrow;

/// A number in the upper half of an `f32`, rounded to even: within one part in 256, exact for whole numbers up to
/// 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Short(u16);

/// Far beyond every count, and far below where rounding up would leave the finite.
const MAX: f64 = 1e30;
const SIGN: u16 = 0x8000;

impl Short {
    /// The nearest; what is below 0 or no number is 0.
    pub(crate) fn of(value: f64) -> Self {
        let bits = narrow(if value > 0.0 { value.min(MAX) } else { 0.0 }).to_bits();
        let rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
        Self(u16::try_from(rounded).unwrap_or(0))
    }

    /// The nearest, below 0 too.
    pub(crate) fn signed(value: f64) -> Self {
        let size = Self::of(value.abs());
        Self(if value < 0.0 { size.0 | SIGN } else { size.0 })
    }

    pub(crate) fn value(self) -> f64 {
        f64::from(f32::from_bits(u32::from(self.0) << 16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_counts_are_exact_and_large_ones_near() {
        for n in 0..=256_u32 {
            assert!(
                (Short::of(f64::from(n)).value() - f64::from(n)).abs() < f64::EPSILON,
                "{n}"
            );
        }
        for value in [0.013, 257.0, 99_999.0, 3.2e12] {
            let back = Short::of(value).value();
            assert!((back / value - 1.0).abs() <= 1.0 / 256.0, "{value} came back as {back}");
            let below = Short::signed(-value).value();
            assert!((below + back).abs() < f64::EPSILON, "-{value} came back as {below}");
        }
        for odd in [-1.0, f64::NAN] {
            assert_eq!(Short::of(odd), Short::default(), "{odd}");
        }
        assert!(Short::of(f64::INFINITY).value().is_finite());
    }
}
