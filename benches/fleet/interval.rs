//! Intervals: what so many cases can show.

/// Of 95 %, two-sided.
const Z: f64 = 1.959_963_984_540_054;

/// A share of cases with its interval (Wilson 1927).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share {
    pub(crate) hits: u32,
    pub(crate) of: u32,
}

impl Share {
    /// Counts those of `cases` that `hit`.
    pub(crate) fn of<T>(cases: impl Iterator<Item = T>, hit: impl Fn(&T) -> bool) -> Self {
        let mut share = Self { hits: 0, of: 0 };
        for case in cases {
            share.of += 1;
            share.hits += u32::from(hit(&case));
        }
        share
    }

    /// `None` without cases.
    pub(crate) fn value(self) -> Option<f64> {
        (self.of > 0).then(|| f64::from(self.hits) / f64::from(self.of))
    }

    pub(crate) fn interval(self) -> Option<(f64, f64)> {
        let share = self.value()?;
        let n = f64::from(self.of);
        let center = share + Z * Z / (2.0 * n);
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        Some((((center - half) / scale).max(0.0), ((center + half) / scale).min(1.0)))
    }
}

/// The greatest mean at which so few events, or fewer, have a chance of 5 % (Garwood 1936, one-sided).
pub(crate) fn poisson_upper(n: u32) -> f64 {
    let (mut low, mut high) = (f64::from(n), 2.0 * f64::from(n) + 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(n, middle) > 0.05 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// P(X ≤ n) of a Poisson count with this mean.
fn at_most(n: u32, mean: f64) -> f64 {
    let mut ln_term = -mean;
    let mut sum = ln_term.exp();
    for i in 1..=n {
        ln_term += (mean / f64::from(i)).ln();
        sum += ln_term.exp();
    }
    sum
}

/// The median and, by order statistics, its interval of 95 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Median {
    pub(crate) value: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) n: usize,
}

impl Median {
    /// `None` of nothing.
    pub(crate) fn of(values: impl Iterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let n = values.len();
        let middle = *values.get(n / 2)?;
        // Half of 1.96 standard deviations of Binomial(n, ½), in ranks: √n, as 1.96 / 2 is nearly 1.
        let reach = n.isqrt();
        Some(Self {
            value: middle,
            low: values[(n / 2).saturating_sub(reach)],
            high: values[(n / 2 + reach).min(n - 1)],
            n,
        })
    }
}
