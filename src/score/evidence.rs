//! The e-process that watches a deploy: a mixture over when a fault began and how large it is.
//!
//! Per closed step, with x errors where m were to be expected, in logarithms:
//!
//! ```text
//! S_r  ← (S_r + w_t) · L_r(x)        rest ← rest − w_t        E = rest + Σ v_r S_r
//! ln L_r = x ln r − (k + x) [ln(k + r m) − ln(k + m)]          v_r = 1/6
//! ```
//!
//! Each `S_r` is a sum of products begun at every step (the Shiryaev–Roberts form), so late faults are found and good
//! data before them does not bury them. Under "no change" E is a nonnegative supermartingale that begins at 1, so
//! P(sup E ≥ 1/α) ≤ α (Ville). The likelihood ratio is of negative-binomial counts with size k; r multiplies the
//! greatest harmless mean. After Shin, Ramdas and Rinaldo, *E-detectors*.
//!
//! **Invariant:** the mass injected over a watch never exceeds 1.

use serde::{Deserialize, Serialize};

/// The multiples of the greatest harmless mean that a fault may have.
pub(crate) const MULTIPLIERS: [f64; 6] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0];
const N: usize = MULTIPLIERS.len();
/// ln `v_r`, all equal.
pub(crate) const LN_WEIGHT: f64 = -1.791_759_469_228_055;
/// The multipliers from this index on (r ≥ 5) are judged during a restart's blip.
const BLIP_FROM: usize = 3;
/// The shares of all mass that the stages of a deploy get; further stages get nothing of their own.
const STAGE_MASS: [f64; 5] = [0.3, 0.1, 0.05, 0.03, 0.02];
/// The mass spread over all steps, so that a fault may begin at any of them.
const SPREAD_MASS: f64 = 0.5;

/// What one step showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Observation {
    /// Errors.
    pub(crate) errors: f64,
    /// The greatest harmless mean: the baseline's, raised by the margin. Above 0.
    pub(crate) harmless: f64,
    /// The baseline's mean itself.
    pub(crate) expected: f64,
    /// The negative-binomial size to judge by.
    pub(crate) size: f64,
    /// 1, or ½ for a step whose silence is taken for zero errors.
    pub(crate) weight: f64,
}

/// ln `L_r` for each multiplier.
pub(crate) fn ln_ratios(o: &Observation) -> [f64; N] {
    let (x, m, k) = (o.errors, o.harmless, o.size);
    let base = (k + m).ln();
    MULTIPLIERS.map(|r| o.weight * (x * r.ln() - (k + x) * ((k + r * m).ln() - base)))
}

/// ln(eᵃ + eᵇ).
pub(crate) fn ln_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}

/// One e-process: 6 sums, the mass not yet injected, and per multiplier what was seen since its sum last equalled
/// its injected mass, which is where the fault it speaks for began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EProcess {
    ln_s: [f32; N],
    rest: f32,
    errors: [f32; N],
    expected: [f32; N],
    since_steps: [u16; N],
    /// Observed steps so far.
    n_steps: u16,
}

/// Errors and expectation since a supposed onset.
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

    /// One-sided 95 % lower bound of [`Since::ratio`]: the mean at which so many errors over n steps would be 1.645
    /// standard deviations too many, by the negative-binomial variance μ + μ²/(k n) *of that mean* (Wilson's way).
    /// With the variance of what was seen instead, small k would leave no bound above 0 for many steps, however many
    /// errors there are.
    pub(crate) fn ratio_low(self, size: f64) -> f64 {
        const Z: f64 = 1.645;
        let x = f64::from(self.errors);
        let (b, spread) = (2.0 * x + Z * Z, Z * Z / (size * f64::from(self.n_steps.max(1))));
        let mean = 2.0 * x * x / (b + (b * b - 4.0 * x * x * (1.0 - spread)).max(0.0).sqrt());
        mean / f64::from(self.expected).max(1e-9)
    }
}

impl EProcess {
    pub(crate) fn new() -> Self {
        Self {
            ln_s: [f32::NEG_INFINITY; N],
            rest: 1.0,
            errors: [0.0; N],
            expected: [0.0; N],
            since_steps: [0; N],
            n_steps: 0,
        }
    }

    /// Observed steps so far.
    pub(crate) fn n_steps(&self) -> u16 {
        self.n_steps
    }

    /// Takes in one step. `stage` says which stage (0 the first) has its first judged step now, if one has;
    /// `horizon` is how many steps the watch lasts, over which the spread mass is laid out as 1/j.
    pub(crate) fn observe(&mut self, observation: &Observation, stage: Option<usize>, horizon: u16) {
        self.n_steps = self.n_steps.saturating_add(1);
        let j = f64::from(self.n_steps);
        let harmonic = f64::from(horizon.max(1)).ln() + 0.577_215_664_901_532_9 + 0.5 / f64::from(horizon.max(1));
        let spread = if self.n_steps <= horizon {
            SPREAD_MASS / (j * harmonic.max(1.0))
        } else {
            0.0
        };
        let staged = stage.and_then(|stage| STAGE_MASS.get(stage)).copied().unwrap_or(0.0);
        self.inject(observation, (spread + staged).min(f64::from(self.rest)));
    }

    /// Takes in one step with all mass on the first: for a process that asks "is it still so?".
    pub(crate) fn observe_at_once(&mut self, observation: &Observation) {
        self.n_steps = self.n_steps.saturating_add(1);
        let mass = if self.n_steps == 1 { f64::from(self.rest) } else { 0.0 };
        self.inject(observation, mass);
    }

    fn inject(&mut self, observation: &Observation, mass: f64) {
        self.rest = (self.rest - narrow(mass)).max(0.0);
        let ln_mass = mass.ln();
        for (i, ratio) in ln_ratios(observation).into_iter().enumerate() {
            let ln_s = f64::from(self.ln_s[i]);
            if ln_s <= ln_mass {
                (self.errors[i], self.expected[i], self.since_steps[i]) = (0.0, 0.0, 0);
            }
            self.ln_s[i] = narrow(ln_add(ln_s, ln_mass) + ratio);
            self.errors[i] += narrow(observation.errors);
            self.expected[i] += narrow(observation.expected);
            self.since_steps[i] = self.since_steps[i].saturating_add(1);
        }
    }

    /// ln E.
    pub(crate) fn ln_e(&self) -> f64 {
        let sums = self.ln_s.iter().map(|ln_s| f64::from(*ln_s) + LN_WEIGHT);
        sums.fold(f64::from(self.rest).ln(), ln_add)
    }

    /// What was seen since the estimated onset: that of the leading multiplier.
    pub(crate) fn since_onset(&self) -> Since {
        let leading = (0..N)
            .max_by(|a, b| self.ln_s[*a].total_cmp(&self.ln_s[*b]))
            .unwrap_or(0);
        Since {
            errors: self.errors[leading],
            expected: self.expected[leading],
            n_steps: self.since_steps[leading],
        }
    }
}

/// Seven digits: a logarithm of hundreds to a ten-thousandth, a count of millions to the unit.
pub(crate) fn narrow(value: f64) -> f32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::as_conversions,
        reason = "seven digits are enough, and a watch is kept by the thousand"
    )]
    let narrowed = value as f32;
    narrowed
}

/// The judgement of the first minute after a restart: only large multiples count, against a threshold a hundred
/// times the usual.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Blip {
    ln_l: [f32; N - BLIP_FROM],
    pub(crate) since: Since,
}

/// How much higher the threshold is during a blip: ln 100.
pub(crate) const LN_BLIP_FACTOR: f64 = 4.605_170_185_988_092;

impl Blip {
    pub(crate) fn observe(&mut self, observation: &Observation) {
        for (ln_l, ratio) in self.ln_l.iter_mut().zip(&ln_ratios(observation)[BLIP_FROM..]) {
            *ln_l += narrow(*ratio);
        }
        self.since.errors += narrow(observation.errors);
        self.since.expected += narrow(observation.expected);
        self.since.n_steps = self.since.n_steps.saturating_add(1);
    }

    /// ln E of the even mixture over the large multiples.
    pub(crate) fn ln_e(&self) -> f64 {
        let sums = self.ln_l.iter().map(|ln_l| f64::from(*ln_l));
        sums.fold(f64::NEG_INFINITY, ln_add) - 3.0_f64.ln()
    }
}

/// Whether errors are back to what is harmless rather than at twice of it: Π NB(x; m) / NB(x; 2m).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Recovery {
    ln_ratio: f64,
}

impl Recovery {
    pub(crate) fn observe(&mut self, o: &Observation) {
        let (x, m, k) = (o.errors, o.harmless, o.size);
        self.ln_ratio -= o.weight * (x * 2.0_f64.ln() - (k + x) * ((k + 2.0 * m).ln() - (k + m).ln()));
    }

    /// Twenty to one for "recovered".
    pub(crate) fn shown(self) -> bool {
        self.ln_ratio >= 20.0_f64.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(errors: f64) -> Observation {
        Observation {
            errors,
            harmless: 12.5,
            expected: 10.0,
            size: 10.0,
            weight: 1.0,
        }
    }

    /// The bound is where the score equals 1.645, it rises with what is known, and it is there for the smallest sizes.
    #[test]
    fn the_lower_bound_of_the_ratio_is_that_of_a_score() {
        for (errors, n_steps, size) in [(900.0_f32, 1, 0.1), (900.0, 4, 0.8), (60.0, 1, 30.0), (5.0, 20, 2.0)] {
            let since = Since {
                errors,
                expected: 8.0,
                n_steps,
            };
            let mean = since.ratio_low(size) * 8.0;
            let x = f64::from(errors);
            let score = (x - mean) / (mean + mean * mean / (size * f64::from(n_steps))).sqrt();
            assert!((score - 1.645).abs() < 1e-6, "{errors} {n_steps} {size}: {score}");
            assert!(0.0 < mean && mean < x && since.ratio_low(size) < since.ratio_low(10.0 * size));
        }
        assert!(Since::default().ratio_low(1.0).abs() < 1e-12, "nothing seen");
    }

    #[test]
    fn injected_mass_never_exceeds_one() {
        let mut process = EProcess::new();
        for step in 0..400_usize {
            process.observe(&seen(10.0), (step % 20 == 0).then_some(step / 20), 120);
            assert!(process.rest >= 0.0, "step {step}");
        }
    }

    #[test]
    fn five_times_the_errors_convict_within_minutes_and_the_baseline_never_does() {
        let mut healthy = EProcess::new();
        let mut faulty = EProcess::new();
        for step in 0..120_usize {
            healthy.observe(&seen(10.0), (step == 0).then_some(0), 120);
            faulty.observe(
                &seen(if step < 30 { 10.0 } else { 50.0 }),
                (step == 0).then_some(0),
                120,
            );
            if step < 30 {
                assert!(faulty.ln_e() < 100_f64.ln());
            }
            if step == 36 {
                assert!(faulty.ln_e() > 1000_f64.ln(), "ln E is {}", faulty.ln_e());
                assert!(faulty.since_onset().n_steps <= 8, "{:?}", faulty.since_onset());
            }
        }
        assert!(healthy.ln_e() <= 0.0, "{}", healthy.ln_e());
    }

    /// Ville's bound on seeded negative-binomial counts at the greatest harmless mean itself.
    #[test]
    fn under_the_null_the_maximum_passes_one_in_alpha_at_most_alpha_often() {
        let mut rng = 42_u64;
        let mut uniform = move || {
            rng = rng
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            f64::from(u32::try_from(rng >> 33).expect("31 bits")) / f64::from(1_u32 << 31)
        };
        let mut alarms = 0;
        for _trial in 0..2_000 {
            let mut process = EProcess::new();
            let alarmed = (0..120_usize).any(|step| {
                // A geometric count (negative binomial of size 1) with mean 12.5.
                let errors = (uniform().max(1e-12).ln() / (12.5_f64 / 13.5).ln()).floor();
                let o = Observation {
                    errors,
                    harmless: 12.5,
                    expected: 10.0,
                    size: 1.0,
                    weight: 1.0,
                };
                process.observe(&o, (step == 0).then_some(0), 120);
                process.ln_e() >= 100_f64.ln()
            });
            alarms += i32::from(alarmed);
        }
        assert!(alarms <= 30, "{alarms} of 2000 at a nominal 20");
    }
}
