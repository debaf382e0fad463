//! The e-process that watches a deploy: a mixture over when a fault began and how large it is.
//!
//! Per closed step, in logarithms:
//!
//! ```text
//! S_r  ← (S_r + w_t) · L_r            rest ← rest − w_t        E = rest + Σ v_r S_r + scan
//! (A) with a control: L_r of `control`                            v_r = 1/6
//! (B) without: ln L_r = x ln r − (k + x) [ln(k + r m) − ln(k + m)]
//! ```
//!
//! Each `S_r` is a sum of products begun at every step (the Shiryaev–Roberts form), so late faults are found and good
//! data before them does not bury them. Under "no change" that part is a nonnegative supermartingale. In (B) the
//! likelihood ratio is of negative-binomial counts with size k, x errors where m is the greatest harmless mean. The
//! other part, `scan`, is evidence of whole blocks. Without what it loses with each step it is a sum that only grows, and
//! whose mean at the end is at most its mass. With M = the first part plus the conditional mean of what that sum will be at
//! the end, M is a supermartingale that begins at 1. E without that loss is at most M, and E at most that, so
//! P(sup E ≥ 1/α) ≤ α (Ville) all the more. After Shin, Ramdas and Rinaldo, *E-detectors*.
//!
//! **Invariant:** the mass injected over a watch never exceeds 1.

mod control;
mod recovery;
mod scan;
mod shares;
mod since;

use serde::{Deserialize, Serialize};

use self::scan::{Place, Scan};
pub(crate) use self::{
    control::{Control, DECLARED_MIN, SHARE_MAX, SHARE_MIN},
    recovery::{Recovery, Still},
    scan::{Blocks, Recent},
    shares::{Likeness, Shares},
    since::Since,
};
use super::baseline::Sizes;

/// The multiples of the greatest harmless mean that a fault may have.
pub(crate) const MULTIPLIERS: [f64; 6] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0];
/// Their logarithms.
const LN_MULTIPLIERS: [f64; 6] = [
    0.405_465_108_108_164_4,
    std::f64::consts::LN_2,
    1.098_612_288_668_109_8,
    1.609_437_912_434_100_3,
    std::f64::consts::LN_10,
    3.401_197_381_662_155_5,
];
const N: usize = MULTIPLIERS.len();
/// ln `v_r`, all equal.
const LN_WEIGHT: f64 = -1.791_759_469_228_055;
/// The shares of all mass that the stages of a deploy get; further stages get nothing of their own.
const STAGE_MASS: [f64; 5] = [0.3, 0.08, 0.04, 0.02, 0.01];
/// The mass spread over all steps, so that a fault may begin at any of them.
const SPREAD_MASS: f64 = 0.5;
/// A later stage lets a watch last beyond that: so much, over the horizon's number of steps, is laid in each further step of
/// the mass that is left by then. In as many steps again that is .39 of it, the first step's part the largest. A twentieth of
/// all is left where each stage has had its own, and more where there were fewer.
const LATE_SHARE: f64 = 0.5;
/// Of a stage's, what a fault has that begins while instances restart; the rest is of the first step after it.
const RESTART_SHARE: f64 = 0.5;
/// Of each, what is evidence of blocks; the rest is of steps.
const BLOCK_SHARE: f64 = 1.0 / 3.0;
/// Lengths of blocks that share it.
const N_LENGTHS: f64 = 6.0;

/// What one step showed, against the baseline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Observation {
    /// Errors.
    pub(crate) errors: f64,
    /// Those of them that count as evidence; see [`without_spike`].
    pub(crate) counted: f64,
    /// The greatest harmless mean: the baseline's, raised by the margin. Above 0.
    pub(crate) harmless: f64,
    /// The baseline's mean itself.
    pub(crate) expected: f64,
    /// The negative-binomial sizes to judge by.
    pub(crate) sizes: Sizes,
}

impl Observation {
    /// ln `L_r` per multiplier of variant (B), if a fault strikes the share `exposure` of the traffic; `size` as it is to
    /// be judged by.
    pub(crate) fn ln_ratios(&self, size: f64, exposure: f64) -> [f64; N] {
        let m = self.harmless;
        let null = Null::new(self.counted, m, size);
        multiplied(exposure).map(|(r, ln_r)| null.ln_ratio(r * m, ln_r))
    }

    /// The same where up to `least` times the harmless mean are put down to something else: only what is beyond that
    /// speaks for a fault, and only what is `spike` times that is a spike.
    pub(crate) fn ln_ratios_beyond(&self, least: f64, size: f64, exposure: f64, spike: f64) -> [f64; N] {
        let x = self
            .counted
            .max(without_spike(self.errors, self.expected * least, spike));
        let m = self.harmless;
        let null = Null::new(x, least * m, size);
        multiplied(exposure).map(|(r, _)| {
            let r = r.max(least);
            null.ln_ratio(r * m, (r / least).ln())
        })
    }
}

/// That so many errors are a count of a negative binomial with the mean m and the size k.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Null {
    errors: f64,
    size: f64,
    /// ln(k + m).
    ln_sum: f64,
}

impl Null {
    pub(crate) fn new(errors: f64, mean: f64, size: f64) -> Self {
        Self {
            errors,
            size,
            ln_sum: (size + mean).ln(),
        }
    }

    /// ln of how much likelier they are where the mean is r m: x ln r − (k + x) [ln(k + r m) − ln(k + m)].
    pub(crate) fn ln_ratio(self, times_mean: f64, ln_r: f64) -> f64 {
        let (x, k) = (self.errors, self.size);
        x * ln_r - (k + x) * ((k + times_mean).ln() - self.ln_sum)
    }
}

/// What is left of each multiple r where only a part of the traffic meets it, 1 + p(r − 1), and its logarithm.
fn multiplied(exposure: f64) -> [(f64, f64); N] {
    let mut multiplied = [(1.0, 0.0); N];
    for ((left, r), ln_r) in multiplied.iter_mut().zip(MULTIPLIERS).zip(LN_MULTIPLIERS) {
        *left = if exposure >= 1.0 {
            (r, ln_r)
        } else {
            let r = 1.0 + exposure * (r - 1.0);
            (r, r.ln())
        };
    }
    multiplied
}

/// The errors of a step that count where `expected` were: at most `multiple` times as many, and ten.
///
/// Real counts have spikes that no negative binomial of the rest makes. Learned from whole, one of them would make all
/// scatter look so large that no fault showed for days; judged whole, it would convict by itself.
/// Fewer errors than there were are never more evidence: each L grows with x.
pub(crate) fn without_spike(errors: f64, expected: f64, multiple: f64) -> f64 {
    errors.min(multiple * expected + 10.0)
}

/// ln(eᵃ + eᵇ).
fn ln_add(a: f64, b: f64) -> f64 {
    let (high, low) = if a >= b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}

/// One step as a process takes it in.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    /// ln `L_r` per multiplier.
    pub(crate) ln_ratios: [f64; N],
    pub(crate) errors: f64,
    pub(crate) expected: f64,
    /// Where the step is judged against the baseline, and so has a part in blocks.
    pub(crate) blocks: Option<Blocks<'a>>,
}

/// Small multiples and large ones remember apart where what they speak for began: the small ones' sums outlive good data
/// for longer.
const GROUPS: [std::ops::Range<usize>; 2] = [0..2, 2..N];
/// The multiple of the expected errors up to which they speak for "harmless" rather than for the least multiplier of the
/// group: (r − 1)/ln r · (1 + δ) of Poisson counts, with r = 1.5 and 3, δ = .25. A rise has not begun before the errors
/// since then are more than that (the last zero of Page's cumulative sum, which is the likeliest beginning); a large mass
/// on the first step of the watch would else hold the onset there.
const INDIFFERENT: [f64; GROUPS.len()] = [1.54, 2.28];

/// One e-process: 6 sums, the mass not yet injected, and for small and large multiples what was seen since the greatest
/// of their sums last equalled its injected mass, which is where the fault they speak for began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct EProcess {
    ln_s: [f32; N],
    rest: f32,
    since: [Since; GROUPS.len()],
    scan: Scan,
    /// Observed steps so far; and those since the last that was no part of blocks.
    n_steps: u16,
    n_unbroken: u16,
}

impl EProcess {
    pub(crate) fn new() -> Self {
        Self {
            ln_s: [f32::NEG_INFINITY; N],
            rest: 1.0,
            since: [Since::default(); GROUPS.len()],
            scan: Scan::new(),
            n_steps: 0,
            n_unbroken: 0,
        }
    }

    /// Observed steps so far.
    pub(crate) fn n_steps(&self) -> u16 {
        self.n_steps
    }

    /// Takes in one step. `stages` are the steps, from 1, that were the first of each stage, this one perhaps among
    /// them; 0: it has had none. `horizon` is how many steps the watch lasts if no stage prolongs it, over which the
    /// spread mass is laid out as 1/j.
    pub(crate) fn observe(&mut self, seen: &Seen<'_>, stages: &[u16], horizon: u16) {
        self.take_in(seen, stages, horizon, 1.0);
    }

    /// Takes in the first step after a restart, some of which [`EProcess::observe_restart`] has seen.
    pub(crate) fn observe_restarted(&mut self, seen: &Seen<'_>, stages: &[u16], horizon: u16) {
        self.take_in(seen, stages, horizon, 1.0 - RESTART_SHARE);
    }

    /// Takes in a step in which instances restart: what it shows beyond what that explains, and how much of the blip of the
    /// last stage. It is no part of a block, and no block reaches back over it.
    pub(crate) fn observe_restart(&mut self, beyond: &Seen<'_>, (stage, seen_of_blip): (usize, f64)) {
        self.n_unbroken = 0;
        // A step that tells of seconds of it, or perhaps of none, takes no more of the mass than that.
        let at_stage = STAGE_MASS.get(stage).copied().unwrap_or(0.0) * seen_of_blip;
        let mass = at_stage * RESTART_SHARE * (1.0 - BLOCK_SHARE);
        self.inject(beyond, mass.min(f64::from(self.rest)), 0);
    }

    /// `at_stage`: the part of a stage's mass that its first step has.
    fn take_in(&mut self, seen: &Seen<'_>, stages: &[u16], horizon: u16, at_stage: f64) {
        self.n_steps = self.n_steps.saturating_add(1);
        self.n_unbroken = if seen.blocks.is_some() {
            self.n_unbroken.saturating_add(1)
        } else {
            0
        };
        let j = f64::from(self.n_steps);
        // Of what is laid no part rests on errors: only on when stages came, and which steps were judged how.
        let rest = f64::from(self.rest);
        let late = LATE_SHARE * rest;
        let (spread, of_blocks) = if self.n_steps <= horizon {
            let harmonic = f64::from(horizon.max(1)).ln() + 0.577_215_664_901_532_9 + 0.5 / f64::from(horizon.max(1));
            (SPREAD_MASS / (j * harmonic.max(1.0)), SPREAD_MASS)
        } else {
            (late / f64::from(horizon.max(1)), late)
        };
        let is_first = stages.iter().position(|first| *first == self.n_steps);
        let of_stage = is_first.and_then(|stage| STAGE_MASS.get(stage)).copied().unwrap_or(0.0);
        let mass = (spread + at_stage * of_stage) * (1.0 - BLOCK_SHARE);
        self.inject(seen, mass.min(f64::from(self.rest)), 1);
        let share = BLOCK_SHARE / N_LENGTHS;
        let place = Place {
            n_steps: self.n_steps,
            horizon,
            stages,
            n_unbroken: self.n_unbroken,
        };
        let masses = (
            STAGE_MASS.map(|mass| mass.min(rest) * share),
            of_blocks.min(rest) * share,
        );
        let laid = self.scan.observe(seen.blocks.as_ref(), &place, (&masses.0, masses.1));
        self.rest = (self.rest - narrow(laid)).max(0.0);
    }

    fn inject(&mut self, seen: &Seen<'_>, mass: f64, n_steps: u16) {
        self.rest = (self.rest - narrow(mass)).max(0.0);
        let ln_mass = mass.ln();
        for ((group, indifferent), since) in GROUPS.into_iter().zip(INDIFFERENT).zip(&mut self.since) {
            let exposure = seen.blocks.as_ref().map_or(1.0, |blocks| blocks.exposure);
            let least = 1.0 + exposure * (indifferent - 1.0);
            let has_ended = f64::from(since.errors) <= least * f64::from(since.expected);
            if has_ended || self.ln_s[group].iter().all(|ln_s| f64::from(*ln_s) <= ln_mass) {
                *since = Since::default();
            }
            since.errors += narrow(seen.errors);
            since.expected += narrow(seen.expected);
            since.n_steps = since.n_steps.saturating_add(n_steps);
        }
        for (ln_s, ratio) in self.ln_s.iter_mut().zip(seen.ln_ratios) {
            *ln_s = narrow(ln_add(f64::from(*ln_s), ln_mass) + ratio);
        }
    }

    /// Whether ln E may be above `ln_e`, by a bound that costs less than ln E: no weighted mean is above the greatest.
    pub(crate) fn may_exceed(&self, ln_e: f64) -> bool {
        let greatest = self.ln_s.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        f64::from(self.rest) + f64::from(greatest).exp() + self.scan.ln_e().exp() > ln_e.exp()
    }

    /// ln E.
    pub(crate) fn ln_e(&self) -> f64 {
        let sums = self.ln_s.iter().map(|ln_s| f64::from(*ln_s) + LN_WEIGHT);
        ln_add(sums.fold(f64::from(self.rest).ln(), ln_add), self.scan.ln_e())
    }

    /// What was seen since the estimated onset: that of the leading multiplier, or of the leading block.
    pub(crate) fn since_onset(&self) -> Since {
        let leading = (0..N)
            .max_by(|a, b| self.ln_s[*a].total_cmp(&self.ln_s[*b]))
            .unwrap_or(0);
        if self.scan.ln_e() > f64::from(self.ln_s[leading]) + LN_WEIGHT {
            return self.scan.since;
        }
        let group = GROUPS.iter().position(|group| group.contains(&leading));
        self.since[group.unwrap_or(0)]
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

#[cfg(test)]
mod tests;
