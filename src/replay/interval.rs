//! How sure a count is: exact 95 % intervals of shares and of rates.
//!
//! Exact, because the counts that matter here are small: of three freezes, or none, the usual approximations say
//! nothing true.

use serde::Serialize;

use super::summary::{number, round};
use crate::score::ln_gamma;

/// Beyond each end of an interval lies this much: 95 % are within.
const TAIL: f64 = 0.025;
/// Halvings of an interval of values: past the last digit of a double.
const HALVINGS: usize = 80;

/// A share with its 95 % interval, after C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits
/// illustrated in the case of the binomial" (Biometrika 26, 1934). All from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    pub share: f64,
    pub low: f64,
    pub high: f64,
}

/// Events per unit with their 95 % interval, after F. Garwood, "Fiducial limits for the Poisson distribution"
/// (Biometrika 28, 1936).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rate {
    pub rate: f64,
    pub low: f64,
    pub high: f64,
}

impl Share {
    /// `part` of `whole`; `None` of nothing.
    #[must_use]
    pub fn of(part: u64, whole: u64) -> Option<Self> {
        Self::of_weight(number(part), number(whole))
    }

    /// Where ties are counted by halves, `part` need not be whole.
    pub(super) fn of_weight(part: f64, whole: f64) -> Option<Self> {
        if whole <= 0.0 {
            return None;
        }
        let part = part.clamp(0.0, whole);
        let low = if part <= 0.0 {
            0.0
        } else {
            solve(1.0, |p| beta_regularized(p, part, whole - part + 1.0) >= TAIL)
        };
        let high = if part >= whole {
            1.0
        } else {
            solve(1.0, |p| beta_regularized(p, part + 1.0, whole - part) >= 1.0 - TAIL)
        };
        Some(Self {
            share: round(part / whole, 1e6),
            low: round(low, 1e4),
            high: round(high, 1e4),
        })
    }
}

impl Rate {
    /// `n` events in so many `units`; `None` in none.
    #[must_use]
    pub fn of(n: u64, units: f64) -> Option<Self> {
        if units <= 0.0 {
            return None;
        }
        let n = number(n);
        let above = n + 10.0 * (n + 1.0).sqrt() + 20.0;
        let low = if n > 0.0 {
            solve(above, |mean| gamma_regularized(n, mean) >= TAIL)
        } else {
            0.0
        };
        let high = solve(above, |mean| gamma_regularized(n + 1.0, mean) >= 1.0 - TAIL);
        Some(Self {
            rate: round(n / units, 1e3),
            low: round(low / units, 1e3),
            high: round(high / units, 1e3),
        })
    }
}

/// The least value from 0 to `above` for which `is_reached`, which holds from some value on.
fn solve(above: f64, is_reached: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, above);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if is_reached(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// The regularized incomplete beta function `I_x(a, b)`: the continued fraction of Press et al., "Numerical Recipes",
/// §6.4, evaluated as Lentz does.
fn beta_regularized(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_regularized(1.0 - x, b, a);
    }
    let ln_front = ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p();
    let mut fraction = Lentz::new(1.0, 1.0 - (a + b) * x / (a + 1.0));
    let mut m = 1.0;
    while !fraction.is_done() {
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        fraction.step(even, 1.0);
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        fraction.step(odd, 1.0);
        m += 1.0;
    }
    ln_front.exp() * fraction.value / a
}

/// The regularized lower incomplete gamma function `P(a, x)`: its series below a + 1, its continued fraction above
/// (Press et al., §6.2).
fn gamma_regularized(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        while term > sum * f64::EPSILON {
            n += 1.0;
            term *= x / n;
            sum += term;
        }
        return front * sum;
    }
    let mut fraction = Lentz::new(f64::INFINITY, x + 1.0 - a);
    let mut i = 1.0;
    while !fraction.is_done() {
        fraction.step(-i * (i - a), x + 1.0 - a + 2.0 * i);
        i += 1.0;
    }
    1.0 - front * fraction.value
}

/// A continued fraction, from its first denominator on.
struct Lentz {
    c: f64,
    d: f64,
    value: f64,
    factor: f64,
    n_steps: u32,
}

impl Lentz {
    /// More steps than any of the arguments here need: a bound, not a precision.
    const STEPS_MAX: u32 = 1_000_000;

    fn new(c: f64, denominator: f64) -> Self {
        let d = 1.0 / Self::away_from_zero(denominator);
        Self {
            c,
            d,
            value: d,
            factor: 0.0,
            n_steps: 0,
        }
    }

    fn away_from_zero(value: f64) -> f64 {
        if value.abs() < f64::MIN_POSITIVE {
            f64::MIN_POSITIVE
        } else {
            value
        }
    }

    fn step(&mut self, numerator: f64, denominator: f64) {
        self.d = 1.0 / Self::away_from_zero(numerator.mul_add(self.d, denominator));
        self.c = Self::away_from_zero(denominator + numerator / self.c);
        self.factor = self.d * self.c;
        self.value *= self.factor;
        self.n_steps += 1;
    }

    fn is_done(&self) -> bool {
        (self.factor - 1.0).abs() < 1e-14 || self.n_steps > Self::STEPS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of R 4: `binom.test(k, n)$conf.int`.
    #[test]
    fn shares_have_the_intervals_of_clopper_and_pearson() {
        let cases = [
            (0, 10, 0.0, 0.3085),
            (1, 10, 0.0025, 0.4450),
            (5, 20, 0.0866, 0.4910),
            (10, 10, 0.6915, 1.0),
            (30, 1_000, 0.0203, 0.0426),
        ];
        for (part, whole, low, high) in cases {
            let share = Share::of(part, whole).expect("of something");
            assert!(
                (share.low - low).abs() < 2e-4 && (share.high - high).abs() < 2e-4,
                "{part} of {whole}: {share:?}"
            );
        }
        assert_eq!(Share::of(0, 0), None);
    }

    /// Values of R 4: `poisson.test(n)$conf.int`.
    #[test]
    fn rates_have_the_intervals_of_garwood() {
        let cases = [
            (0, 0.0, 3.689),
            (1, 0.025, 5.572),
            (10, 4.795, 18.390),
            (100, 81.364, 121.627),
        ];
        for (n, low, high) in cases {
            let rate = Rate::of(n, 1.0).expect("in something");
            assert!(
                (rate.low - low).abs() < 2e-3 && (rate.high - high).abs() < 2e-3,
                "{n}: {rate:?}"
            );
        }
        assert_eq!(Rate::of(3, 0.0), None);
    }
}
