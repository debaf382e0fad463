//! How counts scatter around what is expected: the size of a negative binomial, for single steps and for blocks of them.
//!
//! For blocks of b = 1, 2, 4 … 32 observed steps in a row, with X errors where M were expected, by moments:
//!
//! ```text
//! 1/k_b = Σ[(X − M)² − X] / ΣM²          ρ = Σ e_t e_{t−1} / Σ e_t²
//! ```
//!
//! ρ is of steps that followed one another here. Those under watch are known as sums only, and say nothing of it: counted
//! among the squares, they would make whoever deploys all day look as if no step told of the next.
//!
//! A block's size holds whatever hangs the steps together: where they are independent `k_b` grows as b, where an excursion
//! of the rate outlasts the block it stays `k_1`. So what is judged by blocks needs no model of the dependence.

use serde::{Deserialize, Serialize};

use crate::score::{evidence::narrow, policy::Evidence};

/// Lengths of blocks: 1, 2, 4, 8, 16 and 32 steps.
pub(crate) const SCALES: usize = 6;
/// Errors that come in bursts, a hundred at once and then none for hours, have a size of hundredths: taken for more,
/// each burst would be evidence.
const SIZE_MIN: f64 = 0.02;
/// No rate is known better than to a tenth.
const SIZE_MAX: f64 = 100.0;
/// What is presumed of single steps, with the weight of so many: a size of 5, half an hour.
const INVERSE_PRIOR: f64 = 1.0 / 5.0;
const PRIOR_STEPS: f64 = 30.0;
/// How much the steps of a source hang together that showed few of them yet, with the same weight: one night's run of a
/// batch does not tell what the next will be like.
const RHO_PRIOR: f64 = 0.5;
/// A longer block is presumed to scatter as its half does, with the weight of so many blocks.
const PRIOR_BLOCKS: f64 = 4.0;
/// A rate's excursions beyond this autocorrelation are left to the blocks.
const RHO_MAX: f64 = 0.9;

/// Decayed sums over blocks of one length.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Moments {
    /// Σ (X − M)² − X.
    over: f32,
    /// Σ M².
    squares: f32,
    /// Σ M.
    means: f32,
    n: f32,
}

impl Moments {
    fn note(&mut self, x: f64, m: f64) {
        self.over += narrow((x - m) * (x - m) - x);
        self.squares += narrow(m * m);
        self.means += narrow(m);
        self.n += 1.0;
    }

    /// 1/k: the moments drawn to `prior` with the weight of `n_prior` blocks, and one standard error upward, since
    /// counts taken to be steadier than they are convict the healthy.
    fn inverse(&self, prior: f64, n_prior: f64) -> f64 {
        let n = f64::from(self.n);
        let raw = if self.squares > 0.0 {
            f64::from(self.over) / f64::from(self.squares)
        } else {
            prior
        };
        let drawn = (n * raw.max(0.0) + n_prior * prior) / (n + n_prior);
        let per_mean = if self.means > 0.0 {
            n / f64::from(self.means)
        } else {
            0.0
        };
        // Of a sample variance: √(2/n) of itself; here of the variance in units of M².
        drawn + (2.0 / (n + n_prior)).sqrt() * (drawn + per_mean)
    }
}

/// A block of which the first half is there; `expected` is 0 while it is not.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Half {
    errors: f32,
    expected: f32,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Scatter {
    moments: [Moments; SCALES],
    halves: [Half; SCALES - 1],
    /// Σ e·e₋₁ and Σ e² of steps that followed another, and how many they were.
    lagged: f32,
    followed: f32,
    n_followed: f32,
    /// 0: none goes before the next.
    last_residual: f32,
}

/// The sizes to judge by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sizes {
    /// Of single steps judged one after the other.
    pub(crate) step: f64,
    /// Of whole blocks of 1, 2, 4 … steps.
    pub(crate) blocks: [f64; SCALES],
}

impl Sizes {
    /// The size of a block of `n_steps`, which scatters no more than the longest one known that fits into it.
    pub(crate) fn of_block(&self, n_steps: u16) -> f64 {
        let n_steps = n_steps.max(1);
        let scale = usize::try_from(n_steps.ilog2()).unwrap_or(SCALES).min(SCALES - 1);
        let times = f64::from(n_steps) / f64::from(1_u16 << scale);
        // Beyond the longest, blocks add up as independent ones.
        if scale == SCALES - 1 {
            self.blocks[scale] * times
        } else {
            self.blocks[scale]
        }
    }
}

impl Scatter {
    /// Takes in one step with `x` errors where `m` were expected.
    pub(super) fn note(&mut self, x: f64, m: f64) {
        let residual = x - m;
        if self.last_residual != 0.0 {
            self.lagged += narrow(residual * f64::from(self.last_residual));
            self.followed += narrow(residual * residual);
            self.n_followed += 1.0;
        }
        self.last_residual = narrow(residual);
        let (mut x, mut m) = (x, m);
        for scale in 0..SCALES {
            self.moments[scale].note(x, m);
            let Some(half) = self.halves.get_mut(scale) else { break };
            if half.expected <= 0.0 {
                *half = Half {
                    errors: narrow(x),
                    expected: narrow(m),
                };
                break;
            }
            let first = std::mem::take(half);
            x += f64::from(first.errors);
            m += f64::from(first.expected);
        }
    }

    /// The next step does not follow on the last.
    pub(super) fn break_off(&mut self) {
        self.halves = [Half::default(); SCALES - 1];
        self.last_residual = 0.0;
    }

    /// Takes in blocks of about `n_steps` steps that were summed elsewhere: their singles' moments, and one block.
    pub(super) fn note_block(&mut self, singles: (f64, f64), block: (f64, f64), n_steps: f64) {
        let (over, squares) = singles;
        let (x, m) = block;
        let first = &mut self.moments[0];
        first.over += narrow(over);
        first.squares += narrow(squares);
        first.means += narrow(m);
        first.n += narrow(n_steps);
        let scale = (1..SCALES)
            .rev()
            .find(|scale| n_steps >= 0.75 * f64::from(1_u16 << scale));
        if let Some(scale) = scale {
            self.moments[scale].note(x, m);
        }
    }

    pub(super) fn decay(&mut self, kept: f64) {
        let kept = narrow(kept);
        for moments in &mut self.moments {
            for sum in [
                &mut moments.over,
                &mut moments.squares,
                &mut moments.means,
                &mut moments.n,
            ] {
                *sum *= kept;
            }
        }
        for sum in [&mut self.lagged, &mut self.followed, &mut self.n_followed] {
            *sum *= kept;
        }
    }

    /// How much what went before tells of the next step: ρ, 0 to 0.9. Counts steadier than chance are taken to scatter by
    /// chance: what is left of them is a level known to a hundredth, which looks as if all of it hung together.
    fn rho(&self) -> f64 {
        let n = f64::from(self.n_followed);
        let mean = f64::from(self.moments[0].means) / f64::from(self.moments[0].n).max(1.0);
        let squares = f64::from(self.followed).max(n * mean);
        let shown = if squares > 0.0 {
            (f64::from(self.lagged) / squares).max(0.0)
        } else {
            RHO_PRIOR
        };
        ((n * shown + PRIOR_STEPS * RHO_PRIOR) / (n + PRIOR_STEPS)).min(RHO_MAX)
    }

    /// The sizes to judge by, if the level itself rests on `errors` errors: 1/k of all grows by what that leaves open.
    pub(super) fn sizes(&self, errors: f64, evidence: &Evidence) -> Sizes {
        let mut inverse = self.moments[0].inverse(INVERSE_PRIOR, PRIOR_STEPS);
        let single = inverse.clamp(1.0 / SIZE_MAX, 1.0 / SIZE_MIN);
        let open = 1.0 / (errors + 1.0);
        let mut blocks = [0.0; SCALES];
        for (scale, size) in blocks.iter_mut().enumerate() {
            if scale > 0 {
                // A mean over twice as many steps scatters no more, and no less than half as much.
                let own = self.moments[scale].inverse(inverse, PRIOR_BLOCKS);
                inverse = own.clamp(inverse / 2.0, inverse);
            }
            *size = 1.0 / (inverse.clamp(1.0 / SIZE_MAX, 1.0 / SIZE_MIN) * evidence.block_caution + open);
        }
        let rho = self.rho();
        Sizes {
            step: 1.0 / (single * evidence.step_caution * (1.0 + rho) / (1.0 - rho) + open),
            blocks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 1/k = .2 by thirty steps and 0 by 170, .03 is left; √(2/200) of it and of 1/m = .1 is not known.
    #[test]
    fn counts_are_taken_to_scatter_by_one_standard_error_more() {
        let mut scatter = Scatter::default();
        for _ in 0..170 {
            scatter.note(10.0, 10.0);
        }
        let inverse = 1.0 / scatter.sizes(f64::INFINITY, &Evidence::default()).blocks[0];
        assert!((inverse - (0.03 + 0.1 * (0.03 + 0.1))).abs() < 1e-6, "{inverse}");
    }

    /// A rate that wanders with ρ = .9 from step to step, half of it learned from, then as many steps under watch as sums.
    #[test]
    fn what_watches_teach_does_not_hide_how_steps_hang_together() {
        let mut scatter = Scatter::default();
        let (mut drift, mut state) = (0.0_f64, 7_u64);
        let mut step = |scatter: Option<&mut Scatter>| {
            let uniform = |state: &mut u64| {
                *state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                f64::from(u32::try_from(*state >> 32).expect("half")) / f64::from(u32::MAX) - 0.5
            };
            drift = 0.9 * drift + 0.5 * uniform(&mut state);
            let (x, m) = (100.0 * drift.exp(), 100.0);
            if let Some(scatter) = scatter {
                scatter.note(x, m);
            }
            ((x - m) * (x - m) - x, m * m)
        };
        for _ in 0..400 {
            step(Some(&mut scatter));
        }
        let before = scatter.rho();
        assert!((0.7..0.9).contains(&before), "{before}");
        for _ in 0..100 {
            let quarter: Vec<(f64, f64)> = (0..15).map(|_| step(None)).collect();
            let sum = |of: fn(&(f64, f64)) -> f64| quarter.iter().map(of).sum::<f64>();
            scatter.note_block(
                (sum(|singles| singles.0), sum(|singles| singles.1)),
                (1_500.0, 1_500.0),
                15.0,
            );
        }
        assert!((scatter.rho() - before).abs() < 1e-6, "{} {before}", scatter.rho());
    }
}
