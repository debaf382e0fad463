//! Seeded chance and the distributions drawn from it.
//!
//! One generator (Steele, Lea and Flood's `SplitMix64`), from which each part of a fleet takes a branch of its own: a
//! service draws the same numbers whatever its neighbors do, so a parameter changed in one place changes nothing
//! elsewhere.
//!
//! **Invariant:** the same seed gives the same draws. Logarithms and powers are the platform's, so the last bit of a
//! draw is promised for one build only.

/// A stream of draws.
#[derive(Debug, Clone)]
pub(super) struct Chance(u64);

/// Golden ratio of 64 bits: the step of `SplitMix64`.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
/// From this mean on a Poisson count is drawn by rejection rather than by search.
const REJECTION_FROM: f64 = 30.0;
/// Up to so many trials are drawn one by one.
const TRIALS_MAX: u64 = 32;

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A stream of its own for the part called `label`.
    pub(super) fn branch(&self, label: u64) -> Self {
        let mut root = Self(self.0 ^ label.wrapping_add(1).wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(root.next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above 0 and below 1.
    pub(super) fn unit(&mut self) -> f64 {
        (real(self.next() >> 12) + 0.5) / 4_503_599_627_370_496.0
    }

    pub(super) fn between(&mut self, range: (f64, f64)) -> f64 {
        range.0 + (range.1 - range.0) * self.unit()
    }

    /// Even on a logarithmic scale; both ends above 0.
    pub(super) fn log_between(&mut self, range: (f64, f64)) -> f64 {
        self.between((range.0.ln(), range.1.ln())).exp()
    }

    /// From 0 up to, and never, `n`; 0 for an `n` of 0.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(super) fn place(&mut self, n: usize) -> usize {
        let n = u64::try_from(n).unwrap_or(u64::MAX);
        usize::try_from(self.below(n)).unwrap_or(0)
    }

    pub(super) fn is(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of `items`, which are at least one.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.place(items.len())]
    }

    /// Milliseconds, even between two numbers of seconds.
    pub(super) fn seconds(&mut self, range: (f64, f64)) -> std::time::Duration {
        std::time::Duration::from_millis(whole(self.between(range) * 1_000.0))
    }

    /// Standard normal, by Box and Muller.
    pub(super) fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Gamma with this shape and scale 1 (Marsaglia and Tsang, *A Simple Method for Generating Gamma Variables*, 2000).
    pub(super) fn gamma(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let power = self.unit().powf(1.0 / shape);
            return self.gamma(shape + 1.0) * power;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.unit().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v;
            }
        }
    }

    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        if mean >= REJECTION_FROM {
            return self.poisson_by_rejection(mean);
        }
        let (mut left, mut probability, mut x) = (self.unit(), (-mean).exp(), 0_u64);
        while left > probability && x < 1_000 {
            left -= probability;
            x += 1;
            probability *= mean / real(x);
        }
        x
    }

    /// Hörmann, *The transformed rejection method for generating Poisson random variables* (1993), algorithm PTRS.
    fn poisson_by_rejection(&mut self, mean: f64) -> u64 {
        let width = 0.931 + 2.53 * mean.sqrt();
        let slope = -0.059 + 0.024_83 * width;
        let inverse_alpha = 1.1239 + 1.1328 / (width - 3.4);
        let v_r = 0.9277 - 3.6224 / (width - 2.0);
        loop {
            let u = self.unit() - 0.5;
            let v = self.unit();
            let us = 0.5 - u.abs();
            let k = ((2.0 * slope / us + width) * u + mean + 0.43).floor();
            if us >= 0.07 && v <= v_r {
                return whole(k);
            }
            if k < 0.0 || (us < 0.013 && v > us) {
                continue;
            }
            let bound = k * mean.ln() - mean - ln_factorial(k);
            if (v * inverse_alpha / (slope / (us * us) + width)).ln() <= bound {
                return whole(k);
            }
        }
    }

    /// A negative-binomial count with this mean and size: variance mean + mean²/size. A Poisson count whose mean is
    /// gamma.
    pub(super) fn scattered(&mut self, mean: f64, size: f64) -> u64 {
        if mean <= 0.0 {
            return 0;
        }
        let rate = self.gamma(size) * mean / size;
        self.poisson(rate)
    }

    /// How many of `n` trials hit (for many, by order statistics: Devroye, *Non-Uniform Random Variate Generation*, X.4).
    pub(super) fn binomial(&mut self, n: u64, share: f64) -> u64 {
        let (mut n, mut share, mut hits) = (n, share.clamp(0.0, 1.0), 0);
        while n > TRIALS_MAX {
            let middle = n / 2 + 1;
            let (below, above) = (self.gamma(real(middle)), self.gamma(real(n + 1 - middle)));
            let at = below / (below + above);
            if at <= share {
                hits += middle;
                share = (share - at) / (1.0 - at);
                n -= middle;
            } else {
                share /= at;
                n = middle - 1;
            }
        }
        hits + (0..n).map(|_| u64::from(self.is(share))).sum::<u64>()
    }
}

/// ln x!, by Stirling's series from 10 on.
fn ln_factorial(x: f64) -> f64 {
    if x < 10.0 {
        return (2..=whole(x)).map(|i| real(i).ln()).sum();
    }
    let half_ln_tau = 0.918_938_533_204_672_8;
    (x + 0.5) * x.ln() - x + half_ln_tau + 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3))
}

/// Counts and milliseconds here are far below 2⁵³.
pub(super) fn real(n: u64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "far below 2⁵³ wherever it is used"
    )]
    let value = n as f64;
    value
}

/// The whole part; 0 below 0, and for what is no number.
pub(super) fn whole(x: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "saturates, which is what is meant"
    )]
    let value = x as u64;
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: u64 = 40_000;

    /// Mean and variance of what is drawn.
    fn moments(mut draw: impl FnMut() -> f64) -> (f64, f64) {
        let drawn: Vec<f64> = (0..N).map(|_| draw()).collect();
        let mean = drawn.iter().sum::<f64>() / real(N);
        (
            mean,
            drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / real(N - 1),
        )
    }

    /// Within five standard errors of the mean asked for, and its variance within a twelfth.
    fn check(what: &str, (mean, variance): (f64, f64), asked: (f64, f64)) {
        let error = 5.0 * (asked.1 / real(N)).sqrt();
        assert!((mean - asked.0).abs() < error, "{what}: mean {mean} for {}", asked.0);
        assert!(
            (variance / asked.1 - 1.0).abs() < 1.0 / 12.0,
            "{what}: variance {variance} for {}",
            asked.1
        );
    }

    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        let mut chance = Chance::new(7);
        check("unit", moments(|| chance.unit()), (0.5, 1.0 / 12.0));
        check("normal", moments(|| chance.normal()), (0.0, 1.0));
        for shape in [0.4, 1.0, 7.5] {
            check("gamma", moments(|| chance.gamma(shape)), (shape, shape));
        }
        for mean in [0.05, 3.0, 29.9, 30.1, 4_000.0] {
            check("poisson", moments(|| real(chance.poisson(mean))), (mean, mean));
        }
        for (mean, size) in [(0.2, 0.8), (6.0, 10.0), (300.0, 5.0)] {
            let variance = mean + mean * mean / size;
            check(
                "scattered",
                moments(|| real(chance.scattered(mean, size))),
                (mean, variance),
            );
        }
        for (n, share) in [(9, 0.3), (1_000, 0.02), (50_000, 0.6)] {
            let mean = real(n) * share;
            check(
                "binomial",
                moments(|| real(chance.binomial(n, share))),
                (mean, mean * (1.0 - share)),
            );
        }
    }

    #[test]
    fn branches_are_streams_of_their_own() {
        let root = Chance::new(1);
        let firsts: std::collections::BTreeSet<u64> = (0..10_000).map(|label| root.branch(label).next()).collect();
        assert_eq!(firsts.len(), 10_000);
        assert_eq!(root.branch(3).next(), Chance::new(1).branch(3).next());
        // Neighbors do not move together.
        let mut pair: Vec<Chance> = (0..2).map(|label| root.branch(label)).collect();
        let together: f64 = (0..N).map(|_| (pair[0].unit() - 0.5) * (pair[1].unit() - 0.5)).sum();
        assert!((together / real(N)).abs() < 5.0 / 12.0 / real(N).sqrt());
    }
}
