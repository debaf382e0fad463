//! Evidence from whole blocks of steps, valid however the steps hang together.
//!
//! For blocks of b = 1, 2, 4 … 32 steps, laid at every quarter of their length and at the beginning of each stage, with
//! X errors where M would be harmless:
//!
//! ```text
//! E = Σ_blocks w Σ_r v_r L_r(X)          ln L_r = X ln r − (k_b + X) [ln(k_b + r M) − ln(k_b + M)]
//! ```
//!
//! Each L is an e-value of its block alone: its mean is at most 1 where the block's sum is a negative binomial of size
//! `k_b`, whatever it has to do with the blocks beside it. So the mean of the sum is at most Σ w ≤ 1, and since the sum
//! only grows, P(sup E ≥ 1/α) ≤ α by Markov's inequality. What is kept is less than the sum: its ln loses 1/15 with each
//! step, so that an alarm passes when what raised it has, and the bound holds all the more. A product over the same steps
//! would need the dependence modelled: to be safe it must divide k by (1 + ρ)/(1 − ρ), which leaves an autocorrelated rate
//! almost no power.

use serde::{Deserialize, Serialize};

use super::{LN_WEIGHT, Null, Since, ln_add, multiplied, narrow, without_spike};
use crate::score::{
    baseline::{SCALES, Sizes},
    short::Short,
};

/// The steps of the longest block.
const STEPS: usize = 1 << (SCALES - 1);
/// A spike is over after so many steps.
const SPIKE_STEPS: usize = 3;
/// What ln of the sum loses with each step.
const FADES: f64 = 1.0 / 15.0;

/// The last observed steps of an environment, the newest first: errors, and how many were expected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Recent {
    errors: [Short; STEPS],
    expected: [Short; STEPS],
}

/// Sums over the last so many steps.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    n_steps: u16,
    errors: f64,
    /// Those that count as evidence.
    counted: f64,
    expected: f64,
}

impl Recent {
    pub(crate) fn new() -> Self {
        Self {
            errors: [Short::default(); STEPS],
            expected: [Short::default(); STEPS],
        }
    }

    pub(crate) fn push(&mut self, errors: f64, expected: f64) {
        for (steps, newest) in [(&mut self.errors, errors), (&mut self.expected, expected)] {
            steps.copy_within(..STEPS - 1, 1);
            steps[0] = Short::of(newest);
        }
    }

    /// Takes sums over fewer steps on to the last `n`, each counted as at most `spike` times what was expected; see
    /// [`Recent::counted`].
    fn extend(&self, sums: &mut Sums, n: u16, spike: f64) {
        for i in usize::from(sums.n_steps)..usize::from(n) {
            let (errors, expected) = (self.errors[i].value(), self.expected[i].value());
            sums.errors += errors;
            sums.counted += self.counted((errors, expected), spike, i + 1);
            sums.expected += expected;
        }
        sums.n_steps = n;
    }

    /// The errors that count of a step before which there were those from the `n_after`-th on: at most `spike` times what
    /// was expected ([`without_spike`]), or as many times as in each of the three before. A fault lasts.
    pub(crate) fn counted(&self, (errors, expected): (f64, f64), spike: f64, n_after: usize) -> f64 {
        let cut = without_spike(errors, expected, spike);
        if cut < errors {
            without_spike(errors, expected, spike.max(self.lasting(n_after)))
        } else {
            cut
        }
    }

    /// Errors, and how many were expected, of `n` steps before which there were those from the `n_after`-th on.
    pub(crate) fn sums(&self, n_after: u16, n: u16) -> (f64, f64) {
        let of = |steps: &[Short; STEPS]| {
            let steps = steps.iter().skip(n_after.into()).take(n.into());
            steps.map(|step| step.value()).sum()
        };
        (of(&self.errors), of(&self.expected))
    }

    /// The multiple of what was expected that each of the [`SPIKE_STEPS`] steps reached from the `n_after`-th on; 0 where
    /// they are not all known.
    fn lasting(&self, n_after: usize) -> f64 {
        let steps = self.errors.iter().zip(&self.expected).skip(n_after).take(SPIKE_STEPS);
        if steps.len() < SPIKE_STEPS {
            return 0.0;
        }
        let multiple = |(errors, expected): (&Short, &Short)| match expected.value() {
            expected if expected > 0.0 => errors.value() / expected,
            _ => 0.0,
        };
        steps.map(multiple).fold(f64::INFINITY, f64::min)
    }
}

/// The sum so far, and what was seen since the block began that spoke loudest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Scan {
    ln_sum: f32,
    pub(super) since: Since,
}

/// Blocks as a watch sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blocks<'a> {
    pub(crate) recent: &'a Recent,
    pub(crate) sizes: &'a Sizes,
    /// The greatest harmless multiple of what is expected.
    pub(crate) harmless: f64,
    /// The share of traffic that a fault would strike.
    pub(crate) exposure: f64,
    /// What a step counts as at most, as a multiple of what is expected.
    pub(crate) spike: f64,
}

/// Where a process is: its steps so far, over how many the mass is spread that is for all, and which were the first of its
/// stages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) n_steps: u16,
    pub(super) horizon: u16,
    pub(super) stages: &'a [u16],
    /// Steps since the last that has no part in blocks.
    pub(super) n_unbroken: u16,
}

impl Scan {
    pub(super) fn new() -> Self {
        Self {
            ln_sum: f32::NEG_INFINITY,
            since: Since::default(),
        }
    }

    pub(super) fn ln_e(&self) -> f64 {
        f64::from(self.ln_sum)
    }

    /// A step passes. Returns the mass laid on blocks that end with it; `masses` are what there is for stages and for
    /// all blocks, per length.
    pub(super) fn observe(&mut self, blocks: Option<&Blocks<'_>>, place: &Place<'_>, masses: (&[f64], f64)) -> f64 {
        self.ln_sum -= narrow(FADES);
        let Some(blocks) = blocks else { return 0.0 };
        let mut sums = Sums::default();
        blocks.recent.extend(&mut sums, 1, blocks.spike);
        self.since.errors += narrow(sums.errors);
        self.since.expected += narrow(sums.expected);
        self.since.n_steps = self.since.n_steps.saturating_add(1);
        let mut laid = 0.0;
        for scale in 0..SCALES {
            let mass = mass_of(1 << scale, place, masses);
            if mass > 0.0 {
                laid += mass;
                blocks.recent.extend(&mut sums, 1 << scale, blocks.spike);
                self.lay(blocks, &sums, (scale, mass));
            }
        }
        laid
    }

    /// Lays `mass` on the block that the sums are of, the one at `scale`.
    fn lay(&mut self, blocks: &Blocks<'_>, sums: &Sums, (scale, mass): (usize, f64)) {
        let Sums {
            n_steps,
            errors,
            counted: x,
            expected,
        } = *sums;
        let (m, k) = (expected * blocks.harmless, blocks.sizes.blocks[scale]);
        // Fewer errors than are harmless: next to nothing is added.
        if x <= m {
            return;
        }
        let null = Null::new(x, m, k);
        let mut ln_e = f64::NEG_INFINITY;
        for (r, ln_r) in multiplied(blocks.exposure) {
            ln_e = ln_add(ln_e, null.ln_ratio(r * m, ln_r));
        }
        let ln_part = mass.ln() + LN_WEIGHT + ln_e;
        if ln_part > f64::from(self.ln_sum) {
            self.since = Since {
                errors: narrow(errors),
                expected: narrow(expected),
                n_steps,
            };
        }
        self.ln_sum = narrow(ln_add(f64::from(self.ln_sum), ln_part));
    }
}

/// The mass of the block of `n_steps` that ends now: at the beginning of a stage its share, and at every quarter of the
/// length its part of what is spread over all.
fn mass_of(n_steps: u16, place: &Place<'_>, masses: (&[f64], f64)) -> f64 {
    let (of_stages, spread) = masses;
    if place.n_unbroken < n_steps {
        return 0.0;
    }
    let begins = place.n_steps + 1 - n_steps;
    let staged = place.stages.iter().position(|first| *first > 0 && *first == begins);
    let staged = staged.and_then(|stage| of_stages.get(stage)).copied().unwrap_or(0.0);
    let stride = (n_steps / 4).max(1);
    let n_blocks = f64::from((place.horizon / stride).max(1));
    let is_laid = place.n_steps.is_multiple_of(stride);
    staged + if is_laid { spread / n_blocks } else { 0.0 }
}
