//! How great E becomes where nothing was deployed: what the model leaves out is measured, and raises the threshold.
//!
//! At instants chosen by a hash of service, environment and time the detector is started as if a deploy had begun. Each
//! such window's greatest ln E goes into a sketch of the service's own and, with the next deploy, to the fleet, which
//! pools them by tier and by the rate of errors. The tail beyond the .9 quantile u is taken for exponential, with the
//! mean excess β: P(max ln E > u + y) = .1 e^(−y/β). β is that of a sample censored at the .97 quantile. A service's own
//! tail counts as n/(n + 200), the pool's as much of the rest, and what is left is Ville's bound, P(max E > q) ≤ 1/q,
//! which is u = ln 10 and β = 1.
//!
//! **Invariant:** a window that saw a deploy of any kind, an incident, a freeze for errors or an alarm shared by services is
//! in no sketch.

use serde::{Deserialize, Serialize};

use super::{
    evidence::{EProcess, Seen, narrow},
    policy::Evidence,
};
use crate::model::{Second, Tail, Timestamp};

const N_BINS: usize = 32;
/// Bins are of equal width in ln(1 + ln E), so many to one.
const BINS_PER_UNIT: f64 = 6.0;
/// Windows not yet told to the fleet; further ones are its own only.
const UNTOLD_MAX: usize = 16;
/// A sketch of a service forgets half of what it holds beyond this.
const WINDOWS_MAX: u32 = 1_000;
/// Fewer windows give no tail.
const WINDOWS_MIN: f64 = 20.0;
/// The share of windows that are its tail, and of those whose ln E is known to be beyond the rest and no more: errors that
/// had a cause, in a callee or an outage, and no matter of chance.
const TAIL: f64 = 0.1;
const CENSORED: f64 = 0.03;
/// The mean excess is drawn to Ville's with the weight of so many windows beyond u.
const EXCESS_PRIOR: f64 = 5.0;
/// A window that waits for observed steps longer than a watch does is given up.
const WINDOW_MAX: std::time::Duration = std::time::Duration::from_hours(26);
/// One quarter-hour in so many begins a window, where none is on.
const ONE_IN: u64 = 4;

/// Counts of windows by their greatest ln E.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Sketch {
    counts: [u16; N_BINS],
}

/// The bin of a greatest ln E.
fn bin(ln_e: f64) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "within 0 to 31"
    )]
    let bin = (BINS_PER_UNIT * ln_e.max(0.0).ln_1p()).min(31.0) as u8;
    bin
}

/// The least ln E of a bin.
fn edge(bin: usize) -> f64 {
    (f64::from(u32::try_from(bin).unwrap_or(u32::MAX)) / BINS_PER_UNIT).exp_m1()
}

impl Sketch {
    pub(crate) fn note(&mut self, bin: u8, windows_max: u32) {
        if let Some(count) = self.counts.get_mut(usize::from(bin)) {
            *count = count.saturating_add(1);
        }
        if self.counts.iter().map(|count| u32::from(*count)).sum::<u32>() > windows_max {
            self.counts = self.counts.map(|count| count / 2);
        }
    }

    pub(crate) fn n(&self) -> f64 {
        self.counts.iter().map(|count| f64::from(*count)).sum()
    }

    /// The ln E that `above` windows exceed; within a bin they are taken to lie evenly.
    fn exceeded_by(&self, above: f64) -> f64 {
        let mut above = above;
        for i in (0..N_BINS).rev() {
            let count = f64::from(self.counts[i]);
            if count > 0.0 && count >= above {
                return edge(i) + (edge(i + 1) - edge(i)) * (1.0 - above / count);
            }
            above -= count;
        }
        0.0
    }

    /// The tail beyond the .9 quantile; that of Ville's bound while there are too few windows.
    pub(crate) fn tail(&self) -> Tail {
        let n = self.n();
        if n < WINDOWS_MIN {
            return Tail {
                n: narrow(n),
                ..Tail::default()
            };
        }
        let (u, most) = (self.exceeded_by(TAIL * n), self.exceeded_by(CENSORED * n));
        let (mut excess, mut n_known) = (EXCESS_PRIOR, EXCESS_PRIOR);
        for (i, count) in self.counts.iter().enumerate() {
            let (low, high) = (edge(i), edge(i + 1));
            let part =
                |from: f64, to: f64| f64::from(*count) * ((to.min(high) - from.max(low)) / (high - low)).max(0.0);
            // What lies evenly in a bin: some of it below u, some known, the rest beyond what is told apart.
            let known = part(u, most);
            excess += known * (f64::midpoint(low.max(u), high.min(most)) - u) + part(most, f64::INFINITY) * (most - u);
            n_known += known;
        }
        Tail {
            n: narrow(n),
            u: narrow(u),
            excess: narrow(excess / n_known),
        }
    }
}

/// The chance that a healthy window's greatest ln E exceeds `ln_e`; at least .1 below the tail.
fn exceeds(tail: &Tail, ln_e: f64) -> f64 {
    TAIL * (-(ln_e - f64::from(tail.u)).max(0.0) / f64::from(tail.excess).max(0.05)).exp()
}

/// What evidence must reach, and what that follows from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Threshold {
    /// Placebo windows of the service itself.
    pub(crate) n: f32,
    /// ln of the quantile of max E that the threshold ought to be.
    pub(crate) ln_quantile: f32,
    /// ln of what E must reach.
    pub(crate) ln_e: f32,
    /// Whether the quantile was beyond what calibration may ask for.
    pub(crate) is_noisy: bool,
}

impl Threshold {
    /// max(least, 1/α, min(Q, cap/α)), with Q the (1 − α) quantile of the mixture of own and pooled windows, and of
    /// Ville's bound where they are few: of twenty of which three met an outage nothing follows for one in five hundred.
    pub(crate) fn of(alpha: f64, own: &Tail, pool: &Tail, evidence: &Evidence) -> Self {
        let weight = |tail: &Tail| {
            let n = f64::from(tail.n);
            if n < WINDOWS_MIN {
                0.0
            } else {
                n / (n + evidence.calibration_weight)
            }
        };
        let (of_own, of_pool, ville) = (weight(own), weight(pool), Tail::default());
        let chance = |ln_e: f64| {
            let like = of_pool * exceeds(pool, ln_e) + (1.0 - of_pool) * exceeds(&ville, ln_e);
            of_own * exceeds(own, ln_e) + (1.0 - of_own) * like
        };
        let (mut low, mut high) = (0.0, 700.0);
        for _ in 0..40 {
            let middle = f64::midpoint(low, high);
            if chance(middle) > alpha {
                low = middle;
            } else {
                high = middle;
            }
        }
        let ln_least = (1.0 / alpha).max(evidence.e_value_min).ln();
        let ln_cap = (evidence.calibration_max / alpha).ln();
        Self {
            n: own.n,
            ln_quantile: narrow(high),
            ln_e: narrow(ln_least.max(high.min(ln_cap))),
            is_noisy: high > ln_cap,
        }
    }

    /// Whether `ln_e`, though it reaches the threshold, is no more than what rises for no reason.
    pub(crate) fn is_noise(&self, ln_e: f64) -> bool {
        self.is_noisy && ln_e < f64::from(self.ln_quantile)
    }

    /// Where windows without a deploy say nothing: with a control beside it.
    pub(crate) fn without(alpha: f64, evidence: &Evidence) -> Self {
        Self {
            n: 0.0,
            ln_quantile: 0.0,
            ln_e: narrow((1.0 / alpha).max(evidence.e_value_min).ln()),
            is_noisy: false,
        }
    }
}

/// A service's own windows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Placebo {
    sketch: Sketch,
    /// Bins of windows that the fleet does not know of, and how many there are.
    untold: [u8; UNTOLD_MAX],
    n_untold: u8,
    /// No window begins with a step before.
    quiet_from: Second,
    window: Option<Box<Window>>,
}

/// The window that is on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Window {
    began: Timestamp,
    horizon: u16,
    ln_e_max: f32,
    process: EProcess,
}

impl Placebo {
    pub(crate) fn tail(&self) -> Tail {
        self.sketch.tail()
    }

    pub(crate) fn take_untold(&mut self) -> Vec<u8> {
        let n = usize::from(std::mem::take(&mut self.n_untold));
        self.untold.iter().take(n).copied().collect()
    }

    /// One that has seen windows with these greatest ln E.
    #[cfg(test)]
    pub(crate) fn of(windows: impl Iterator<Item = f64>) -> Self {
        let mut placebo = Self::default();
        for ln_e in windows {
            placebo.sketch.note(bin(ln_e), u32::MAX);
        }
        placebo
    }

    /// Whether a window is on.
    pub(crate) fn is_on(&self) -> bool {
        self.window.is_some()
    }

    /// Gives up the window that is on; none begins with a step before `from`.
    pub(crate) fn abandon(&mut self, from: Timestamp) {
        self.window = None;
        self.quiet_from = self.quiet_from.max(Second::of(from));
    }

    /// Begins a window with the quarter-hour of `start`, or not, by a hash of it and `seed`; none where one is on. Whether
    /// it did.
    pub(crate) fn begin(&mut self, seed: u32, start: Timestamp, horizon: u16) -> bool {
        let begins = self.window.is_none()
            && start >= self.quiet_from.start()
            && mixed(seed, start.quarter_hour().unsigned_abs()).is_multiple_of(ONE_IN);
        if begins {
            self.window = Some(Box::new(Window {
                began: start,
                horizon,
                ln_e_max: 0.0,
                process: EProcess::new(),
            }));
        }
        begins
    }

    /// Takes in the step that begins at `start`. `shared_alarm_at` is when many services last alarmed at once.
    pub(crate) fn observe(&mut self, start: Timestamp, seen: &Seen<'_>, shared_alarm_at: Option<Timestamp>) {
        let Some(window) = &mut self.window else { return };
        window.process.observe(seen, &[1], window.horizon);
        if window.process.may_exceed(f64::from(window.ln_e_max)) {
            window.ln_e_max = window.ln_e_max.max(narrow(window.process.ln_e()));
        }
        if window.process.n_steps() < window.horizon {
            if start.since(window.began) >= WINDOW_MAX {
                self.window = None;
            }
            return;
        }
        if shared_alarm_at.is_none_or(|at| at < window.began) {
            let bin = bin(f64::from(window.ln_e_max));
            self.sketch.note(bin, WINDOWS_MAX);
            if let Some(place) = self.untold.get_mut(usize::from(self.n_untold)) {
                *place = bin;
                self.n_untold += 1;
            }
        }
        self.window = None;
    }
}

/// A number that follows from both and looks like chance (the finalizer of `splitmix64`).
fn mixed(seed: u32, quarter: u64) -> u64 {
    let mut z = (u64::from(seed) << 32) ^ quarter;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (z ^ (z >> 31)) >> 7
}

#[cfg(test)]
mod tests;
