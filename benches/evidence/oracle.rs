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

/// Who knows the mean and the scatter, and neither the multiple nor the instant: the even mixture of Wald's tests over the
/// multiples that score looks for, begun at each step. Under the null it is a supermartingale from 1, so it alarms at 1/α
/// in at most α of the cases.
#[derive(Debug)]
pub(crate) struct Searcher {
    tests: Vec<Oracle>,
    size: f64,
    n_steps: usize,
}

/// What score looks for.
const MULTIPLES: [f64; 6] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0];

impl Searcher {
    /// For watches of `n_steps`.
    pub(crate) fn new(size: f64, n_steps: usize) -> Self {
        Self {
            tests: Vec::new(),
            size,
            n_steps,
        }
    }

    /// Takes in `x` errors where `mean` would be usual; returns ln of its e-value so far.
    pub(crate) fn observe(&mut self, x: f64, mean: f64) -> f64 {
        self.tests.extend(MULTIPLES.map(|r| Oracle::new(self.size, r)));
        let ln_ratios: Vec<f64> = self.tests.iter_mut().map(|test| test.observe(x, mean)).collect();
        let greatest = ln_ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = ln_ratios.iter().map(|ln_ratio| (ln_ratio - greatest).exp()).sum();
        let n_begun = u32::try_from(MULTIPLES.len() * self.n_steps).expect("small");
        greatest + sum.ln() - f64::from(n_begun).ln()
    }
}
