//! Evidence with a control: errors on the deployed version beside those on the others in the same step.
//!
//! x errors on the new version and y on the old, of n = x + y, where the new one has the share p of the traffic. If it is
//! up to 1 + δ times as bad, its share of the errors is up to q₀; at r times that, `q_r`:
//!
//! ```text
//! q₀ = p(1+δ) / (p(1+δ) + 1−p)        q_r = r p(1+δ) / (r p(1+δ) + 1−p)
//! ln L_r = lnB(x + c q_r, y + c(1−q_r)) − lnB(c q_r, c(1−q_r)) − [the same with q₀]
//! ```
//!
//! What strikes both alike, the hour, the traffic, a shared fault, is in x and y alike and cancels. The beta-binomial's
//! concentration c says how far the shares of healthy versions scatter beyond chance. The conditional test is that of
//! Lindon and Malek, *Anytime-valid inference for multinomial count data*; the margin makes its null one-sided.

use serde::{Deserialize, Serialize};

use super::{MULTIPLIERS, N, narrow};

/// Shares of traffic below these make no control: those that are declared are of instances, and of few are far off.
pub(crate) const SHARE_MIN: f64 = 0.002;
pub(crate) const DECLARED_MIN: f64 = 0.02;
/// Nor do shares from this on: the other side is no larger, and soon gone; the baseline tells more.
pub(crate) const SHARE_MAX: f64 = 0.5;
const CONCENTRATION_MIN: f64 = 1.0;
const CONCENTRATION_MAX: f64 = 1_000.0;

/// Errors of one step on both sides.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Control {
    /// Errors on the new version, and on the old.
    pub(crate) new: f64,
    pub(crate) old: f64,
    /// The new version's share of the traffic.
    pub(crate) share: f64,
    /// The margin: doubled where the share is one of instances and not of requests.
    pub(crate) margin: f64,
}

impl Control {
    /// ln `L_r` per multiplier, where the new version may be up to `least` times as bad for another reason.
    ///
    /// `known` is the concentration that is known, `seen` what the watch itself has shown before this step. Of a part of a
    /// tenth or less, c q is so small that L grows with hardly more than the logarithm of x: where shares scatter less than c
    /// says, the usual errors in every step speak for a fault. So the lesser L of both counts, which is evidence whichever is
    /// true.
    pub(crate) fn ln_ratios(&self, least: f64, known: f64, seen: f64) -> [f64; N] {
        let mut ln_ratios = self.ln_ratios_beyond(least, known);
        if seen > known {
            for (ratio, other) in ln_ratios.iter_mut().zip(self.ln_ratios_beyond(least, seen)) {
                *ratio = ratio.min(other);
            }
        }
        ln_ratios
    }

    /// The same where the new version may be up to `least` times as bad for another reason.
    fn ln_ratios_beyond(&self, least: f64, c: f64) -> [f64; N] {
        let Self { new: x, old: y, .. } = *self;
        let null = self.ln_marginal(least, c);
        if x + y <= 0.0 {
            return [0.0; N];
        }
        MULTIPLIERS.map(|r| self.ln_marginal(r.max(least), c) - null)
    }

    /// ln of the chance of x among x + y at r times the greatest harmless rate, up to what all r share.
    fn ln_marginal(&self, r: f64, c: f64) -> f64 {
        let worse = r * self.share * (1.0 + self.margin);
        let q = worse / (worse + 1.0 - self.share);
        let (of_new, of_old) = (c * q, c * (1.0 - q));
        ln_beta(self.new + of_new, self.old + of_old) - ln_beta(of_new, of_old)
    }

    /// How many errors the new version would have if it were as the old one.
    pub(crate) fn expected(&self) -> f64 {
        (self.old + 0.5) * self.share / (1.0 - self.share)
    }
}

/// How far the shares of healthy versions scatter: by moments, 1/(c + 1) = Σ[(x − np)² − np(1−p)] / Σ n(n−1)p(1−p).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Shares {
    over: f32,
    squares: f32,
    n_steps: f32,
}

impl Shares {
    pub(crate) fn note(&mut self, control: &Control) {
        let n = control.new + control.old;
        let scatter = control.share * (1.0 - control.share);
        let residual = control.new - n * control.share;
        self.over += narrow(residual * residual - n * scatter);
        self.squares += narrow(n * (n - 1.0) * scatter);
        self.n_steps += 1.0;
    }

    /// Takes in what a healthy watch showed. What is older counts for less: half after 10,000 steps.
    pub(crate) fn learn(&mut self, watch: Self) {
        let kept = 0.5_f32.powf(watch.n_steps / 10_000.0);
        self.over = self.over * kept + watch.over;
        self.squares = self.squares * kept + watch.squares;
        self.n_steps = self.n_steps * kept + watch.n_steps;
    }

    /// The concentration to judge by: 1/(c + 1) as healthy watches showed it and one standard error more, drawn to that of
    /// `size`, the size of all errors together, with the weight of what tells it to within itself. Where instances scatter
    /// independently of each other c is that size, where it is shared more.
    pub(crate) fn concentration(&self, size: f64) -> f64 {
        let prior = 1.0 / (size + 1.0);
        let squares = f64::from(self.squares);
        let weight = squares / (squares + 0.5 / (prior * prior));
        let inverse = weight * self.inverse() + (1.0 - weight) * prior;
        (1.0 / inverse - 1.0).clamp(CONCENTRATION_MIN, CONCENTRATION_MAX)
    }

    /// The concentration that these steps alone show.
    pub(crate) fn shown(&self) -> f64 {
        (1.0 / self.inverse() - 1.0).clamp(CONCENTRATION_MIN, CONCENTRATION_MAX)
    }

    /// 1/(c + 1) and one standard error more; 1 if nothing was seen. Of a binomial's residuals, p(1−p) at most ¼: chance alone
    /// leaves √(½/Σ) open.
    fn inverse(&self) -> f64 {
        let (over, squares, n) = (f64::from(self.over), f64::from(self.squares), f64::from(self.n_steps));
        if squares <= 0.0 {
            return 1.0;
        }
        let shown = (over / squares).max(0.0);
        shown + (0.5 / squares).sqrt() + shown * (2.0 / n).sqrt()
    }
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// ln Γ(x) for x > 0, by Stirling's series beyond 8; to 1e-10.
fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut product) = (x, 1.0);
    while x < 8.0 {
        product *= x;
        x += 1.0;
    }
    let inverse = 1.0 / x;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1_260.0 - square / 1_680.0)));
    (x - 0.5) * x.ln() - x + 0.918_938_533_204_672_7 + series - product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ln_gamma_is_that_of_factorials_and_of_a_half() {
        let mut ln_factorial = 0.0;
        for n in 1..40_u32 {
            assert!((ln_gamma(f64::from(n)) - ln_factorial).abs() < 1e-9, "{n}");
            ln_factorial += f64::from(n).ln();
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-9);
    }

    /// Sums L over all x of a step with n errors: under the null at its edge the mean is 1, below it is less.
    #[test]
    fn under_the_null_each_ratio_is_one_in_the_mean_and_less_for_a_better_version() {
        let (c, n, share, margin) = (6.0, 12.0, 0.2, 0.25);
        for (worse, least, most) in [(1.25, 1.0 - 1e-9, 1.0 + 1e-9), (1.0, 0.0, 1.0), (0.5, 0.0, 0.9)] {
            let q = worse * share / (worse * share + 1.0 - share);
            let mut means = [0.0; N];
            for x in 0..=12_u32 {
                let x = f64::from(x);
                let ln_choose = ln_gamma(n + 1.0) - ln_gamma(x + 1.0) - ln_gamma(n - x + 1.0);
                let chance = ln_choose + ln_beta(x + c * q, n - x + c * (1.0 - q)) - ln_beta(c * q, c * (1.0 - q));
                let control = Control {
                    new: x,
                    old: n - x,
                    share,
                    margin,
                };
                for (mean, ratio) in means.iter_mut().zip(control.ln_ratios(1.0, c, c)) {
                    *mean += (chance + ratio).exp();
                }
            }
            for mean in means {
                assert!((least..=most).contains(&mean), "{worse}: {means:?}");
            }
        }
    }

    /// A hundred errors in a step of which the new version has two in a hundred of the traffic, and all shares are as chance
    /// alone makes them. Held against a null that scatters much more, each L but the greatest multiples' has a mean above 1.
    #[test]
    fn shares_that_scatter_less_than_is_known_are_no_evidence_once_that_is_seen() {
        let (n, share) = (100.0, 0.02_f64);
        let means = |seen: f64| {
            let mut means = [0.0; N];
            for x in 0..=100_u32 {
                let x = f64::from(x);
                let ln_choose = ln_gamma(n + 1.0) - ln_gamma(x + 1.0) - ln_gamma(n - x + 1.0);
                let chance = ln_choose + x * share.ln() + (n - x) * (1.0 - share).ln();
                let control = Control {
                    new: x,
                    old: n - x,
                    share,
                    margin: 0.25,
                };
                for (mean, ratio) in means.iter_mut().zip(control.ln_ratios(1.0, 4.0, seen)) {
                    *mean += (chance + ratio).exp();
                }
            }
            means
        };
        assert!(means(4.0).iter().any(|mean| *mean > 1.2), "{:?}", means(4.0));
        assert!(means(1_000.0).iter().all(|mean| *mean < 1.0), "{:?}", means(1_000.0));
        let mut shares = Shares::default();
        for _ in 0..10 {
            shares.note(&Control {
                new: 2.0,
                old: 98.0,
                share,
                margin: 0.25,
            });
        }
        assert!(
            means(shares.shown()).iter().all(|mean| *mean < 1.0),
            "{}",
            shares.shown()
        );
    }

    /// Nothing known: the size of all errors. Then x = 2, 5 or 8 of 10 at even shares, in turn: a variance of 6 where chance
    /// alone makes 2.5, so 1/(c + 1) = 3.5/22.5, and a standard error more.
    #[test]
    fn the_concentration_is_that_of_all_errors_until_healthy_watches_show_another() {
        let mut shares = Shares::default();
        assert!((shares.concentration(30.0) - 30.0).abs() < 1e-9);
        let mut concentrations = Vec::new();
        for _ in 0..100 {
            let mut watch = Shares::default();
            for new in [2.0, 5.0, 8.0] {
                watch.note(&Control {
                    new,
                    old: 10.0 - new,
                    share: 0.5,
                    margin: 0.25,
                });
            }
            shares.learn(watch);
            concentrations.push(shares.concentration(30.0));
        }
        // Watches long past count for less: from some hundred steps on nothing moves.
        assert!(concentrations[..50].is_sorted_by(|a, b| a > b), "{concentrations:?}");
        let (last, shown) = (concentrations[99], 22.5 / 3.5 - 1.0);
        assert!(0.9 * shown < last && last < shown, "{last} of {shown}");
    }
}
