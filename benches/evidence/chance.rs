//! Random numbers by a seed: uniform, normal, gamma, Poisson.

/// `xoshiro256++` of Blackman and Vigna, seeded by `splitmix64`.
#[derive(Debug, Clone)]
pub(crate) struct Chance([u64; 4]);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        }))
    }

    fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let out = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        out
    }

    /// Above 0, below 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "53 bits")]
        let high = (self.next() >> 11) as f64;
        (high + 0.5) / 9_007_199_254_740_992.0
    }

    /// 0 to `n` − 1.
    pub(crate) fn below(&mut self, n: u32) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::as_conversions,
            reason = "below n"
        )]
        let value = (self.uniform() * f64::from(n)) as u32;
        value.min(n.saturating_sub(1))
    }

    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Of mean 1 and variance 1/`shape`; after Marsaglia and Tsang (2000).
    pub(crate) fn gamma_of_mean_one(&mut self, shape: f64) -> f64 {
        if shape < 1.0 {
            let boost = self.uniform().powf(1.0 / shape);
            return self.gamma_of_mean_one(shape + 1.0) * boost * (shape + 1.0) / shape;
        }
        let d = shape - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let x = self.normal();
            let v = (1.0 + c * x).powi(3);
            if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d - d * v + d * v.ln() {
                return d * v / shape;
            }
        }
    }

    /// By multiplication below 30, after Hörmann's PTRS (1993) above.
    #[expect(clippy::many_single_char_names, reason = "the names are the paper's")]
    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        if mean < 30.0 {
            let floor = (-mean).exp();
            let mut product = self.uniform();
            let mut n = 0;
            while product > floor {
                product *= self.uniform();
                n += 1;
            }
            return n;
        }
        let b = 0.931 + 2.53 * mean.sqrt();
        let a = -0.059 + 0.024_83 * b;
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        let v_r = 0.9277 - 3.6224 / (b - 2.0);
        loop {
            let u = self.uniform() - 0.5;
            let v = self.uniform();
            let us = 0.5 - u.abs();
            let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
            let sure = us >= 0.07 && v <= v_r;
            if !sure && (k < 0.0 || (us < 0.013 && v > us)) {
                continue;
            }
            let accepted = sure
                || (v.ln() + inverse_alpha.ln() - (a / (us * us) + b).ln())
                    <= (-mean + k * mean.ln() - ln_gamma(k + 1.0));
            if accepted {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    clippy::as_conversions,
                    reason = "a count, at least 0"
                )]
                let n = k as u64;
                return n;
            }
        }
    }
}

/// ln Γ(x) for x ≥ 1, by Stirling's series after shifting up.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    shift + (x - 0.5) * x.ln() - x + 0.918_938_533_204_672_7 + 1.0 / (12.0 * x) - 1.0 / (360.0 * x * x * x)
}
