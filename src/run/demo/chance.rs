//! Seeded chance: the same seed draws the same numbers on every machine.

/// A generator of 64-bit numbers (Steele, Lea and Flood's `SplitMix64`): small, and good enough for a play.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 up to, and never, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        let high = u32::try_from(self.next() >> 32).unwrap_or(u32::MAX);
        f64::from(high) / 4_294_967_296.0
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// From 0 up to, and never, `n`; 0 for an `n` of 0.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    pub(crate) fn is(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of `items`, which are at least one.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let n = u64::try_from(items.len()).unwrap_or(u64::MAX);
        &items[usize::try_from(self.below(n)).unwrap_or(0)]
    }

    /// Fisher and Yates.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let n = u64::try_from(last + 1).unwrap_or(u64::MAX);
            items.swap(last, usize::try_from(self.below(n)).unwrap_or(0));
        }
    }

    /// A negative-binomial count with this mean and size: variance mean + mean²/size. By the inverse of its
    /// distribution, with p(x + 1) = p(x) · (x + size) / (x + 1) · mean / (size + mean).
    pub(crate) fn scattered(&mut self, mean: f64, size: f64) -> u32 {
        let share = mean / (size + mean);
        let mut probability = (1.0 - share).powf(size);
        let mut left = self.unit();
        let mut x = 0;
        while left >= probability && x < 100_000 {
            left -= probability;
            probability *= (f64::from(x) + size) / (f64::from(x) + 1.0) * share;
            x += 1;
            if probability < 1e-12 && f64::from(x) > mean {
                break;
            }
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scattered_counts_have_the_mean_and_variance_asked_for() {
        let mut chance = Chance::new(42);
        let counts: Vec<f64> = (0..20_000).map(|_| f64::from(chance.scattered(6.0, 10.0))).collect();
        let mean = counts.iter().sum::<f64>() / 20_000.0;
        let variance = counts.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!((5.9..6.1).contains(&mean), "{mean}");
        assert!((9.0..10.2).contains(&variance), "{variance}");
    }
}
