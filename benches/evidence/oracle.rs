//! The best that anybody could do: a likelihood ratio that knows the mean, the scatter, the multiple and the instant.

/// Wald's test of one hypothesis against one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Oracle {
    size: f64,
    multiple: f64,
    ln_ratio: f64,
}

impl Oracle {
    /// For counts of a negative binomial of size `size` whose mean became `multiple` times as large.
    pub(crate) fn new(size: f64, multiple: f64) -> Self {
        Self {
            size,
            multiple,
            ln_ratio: 0.0,
        }
    }

    /// Takes in `x` errors where `mean` would be usual; returns ln of the ratio so far.
    pub(crate) fn observe(&mut self, x: f64, mean: f64) -> f64 {
        let (k, r) = (self.size, self.multiple);
        self.ln_ratio += if k > 1e6 {
            x * r.ln() - mean * (r - 1.0)
        } else {
            x * r.ln() - (k + x) * ((k + r * mean).ln() - (k + mean).ln())
        };
        self.ln_ratio
    }
}
