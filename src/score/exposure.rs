//! How much of the traffic a deploy has reached.

use serde::{Deserialize, Serialize};

/// A share in fifty-thousandths, so that decimals of four places are exact, and what a deploy has reached is the same
/// number wherever it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Exposure(u16);

const ALL: u16 = 50_000;

impl Exposure {
    /// The nearest; some traffic is never none.
    pub(crate) fn of(share: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::as_conversions,
            reason = "within 0 to 50,000"
        )]
        let parts = (share.clamp(0.0, 1.0) * f64::from(ALL)).round() as u16;
        Self(if share > 0.0 { parts.max(1) } else { parts })
    }

    pub(crate) fn value(self) -> f64 {
        f64::from(self.0) / f64::from(ALL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_some_traffic_is_never_none() {
        for share in [0.0, 0.002, 0.05, 0.1, 0.3333, 0.5, 0.999, 1.0] {
            let back = Exposure::of(share).value();
            assert!((back - share).abs() < 1e-12, "{share} came back as {back}");
        }
        assert!(Exposure::of(1e-9) > Exposure::default());
        assert!(Exposure::of(f64::NAN) == Exposure::default());
    }
}
