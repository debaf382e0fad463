//! How many times what is usual, in a byte.

use serde::{Deserialize, Serialize};

/// A multiple from 1 to 60,097, in sixteenths of a doubling, which is a part in 46; or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Multiple(u8);

const DOUBLING: u8 = 16;
const PER_DOUBLING: f64 = 16.0;

impl Multiple {
    pub(crate) const NONE: Self = Self(0);

    /// The nearest; no less than 1.
    pub(crate) fn of(multiple: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::as_conversions,
            reason = "clamped to what it may be"
        )]
        let code = (multiple.max(1.0).log2() * PER_DOUBLING + 1.0)
            .round()
            .clamp(1.0, 255.0) as u8;
        Self(code)
    }

    pub(crate) fn value(self) -> Option<f64> {
        let doublings = f64::from(self.0.checked_sub(1)?) / PER_DOUBLING;
        Some(doublings.exp2())
    }

    /// Half-way to another, by their logarithms, but not by more than half a doubling above.
    pub(crate) fn toward(self, other: Self) -> Self {
        let most = self.0.saturating_add(DOUBLING);
        Self(self.0.midpoint(other.0.min(most)))
    }

    /// Its square root, or the next below.
    pub(crate) fn root(self) -> Self {
        Self(self.0.div_ceil(2))
    }

    pub(crate) fn is_some(self) -> bool {
        self != Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_multiple_is_kept_to_a_part_in_forty_six() {
        for multiple in [1.0, 1.7, 8.0, 333.0, 57_000.0] {
            let back = Multiple::of(multiple).value().expect("it is one");
            assert!(
                (back / multiple - 1.0).abs() < 1.0 / 45.0,
                "{multiple} came back as {back}"
            );
        }
        for (odd, kept) in [(0.0, 1.0), (f64::NAN, 1.0), (1e9, 60_097.0), (f64::INFINITY, 60_097.0)] {
            let back = Multiple::of(odd).value().expect("it is one");
            assert!((back / kept - 1.0).abs() < 1e-4, "{odd} came back as {back}");
        }
        assert_eq!(Multiple::NONE.value(), None);
    }
}
