//! What was seen since a supposed onset.

use serde::{Deserialize, Serialize};

/// Errors and expectation since a supposed onset. Packed, for there are three in a watch: two bytes less each.
#[repr(C, packed(2))]
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Since {
    pub(crate) errors: f32,
    pub(crate) expected: f32,
    pub(crate) n_steps: u16,
}

impl Since {
    /// Errors beyond the expected.
    pub(crate) fn excess(self) -> f64 {
        f64::from(self.errors) - f64::from(self.expected)
    }

    /// Errors as a multiple of the expected.
    pub(crate) fn ratio(self) -> f64 {
        f64::from(self.errors) / f64::from(self.expected).max(1e-9)
    }

    /// One-sided 95 % lower bound of [`Since::ratio`]: the mean at which so many errors would be 1.645 standard
    /// deviations too many, by the negative-binomial variance μ + μ²/k *of that mean* (Wilson's way), k = `size` that of
    /// all its steps together. With the variance of what was seen instead, small k would leave no bound above 0 for many
    /// steps, however many errors there are.
    pub(crate) fn ratio_low(self, size: f64) -> f64 {
        const Z: f64 = 1.645;
        let x = f64::from(self.errors);
        let (b, spread) = (2.0 * x + Z * Z, Z * Z / size);
        let mean = 2.0 * x * x / (b + (b * b - 4.0 * x * x * (1.0 - spread)).max(0.0).sqrt());
        mean / f64::from(self.expected).max(1e-9)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bound is where the score equals 1.645, it rises with what is known, and it is there for the smallest sizes.
    #[test]
    fn the_lower_bound_of_the_ratio_is_that_of_a_score() {
        for (errors, size) in [(900.0_f32, 0.1), (900.0, 3.2), (60.0, 30.0), (5.0, 40.0)] {
            let since = Since {
                errors,
                expected: 8.0,
                n_steps: 1,
            };
            let mean = since.ratio_low(size) * 8.0;
            let x = f64::from(errors);
            let score = (x - mean) / (mean + mean * mean / size).sqrt();
            assert!((score - 1.645).abs() < 1e-6, "{errors} {size}: {score}");
            assert!(0.0 < mean && mean < x && since.ratio_low(size) < since.ratio_low(10.0 * size));
        }
        assert!(Since::default().ratio_low(1.0).abs() < 1e-12, "nothing seen");
    }
}
