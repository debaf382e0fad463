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
use crate::score::ln_gamma;

/// Shares of traffic below these make no control: those that are declared are of instances, and of few are far off.
pub(crate) const SHARE_MIN: f64 = 0.002;
pub(crate) const DECLARED_MIN: f64 = 0.02;
/// Nor do shares from this on: the other side is no larger, and soon gone; the baseline tells more.
pub(crate) const SHARE_MAX: f64 = 0.5;
/// A share p scatters by many steps of nearly none and few of much more: a variance that n steps show has the relative error
/// √((2 + 6/(c p))/n), a beta's excess of kurtosis being some 6/(c p). So a step tells as much as p/(p + 3/c) of one of all the
/// traffic, with c of 5.
const RARE: f64 = 0.6;
/// Of healthy watches, so many steps weigh as much as what is presumed of scatter.
const PRIOR_STEPS: f64 = 30.0;
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
    /// `known` is what is known of how shares scatter, `seen` what the watch itself has shown before this step: where that is
    /// less scatter, the lesser L of both counts, which is evidence whichever is true.
    pub(crate) fn ln_ratios(&self, least: f64, known: Concentration, seen: f64) -> [f64; N] {
        let mut ln_ratios = self.ln_ratios_of(least, known);
        if seen > known.least {
            let seen = Concentration {
                least: seen,
                is_shown: false,
            };
            for (ratio, other) in ln_ratios.iter_mut().zip(self.ln_ratios_of(least, seen)) {
                *ratio = ratio.min(other);
            }
        }
        ln_ratios
    }

    /// The same for one concentration. If that is no more than the least there may be, each L is divided by the greatest mean
    /// that it has where shares scatter less. L of x errors is about `x^(c q_r − c q₀)`: where that bends down, as of a small
    /// part of the traffic, no law of x has a greater mean than the line through L at the whole numbers around x's own mean
    /// (Jensen), and the usual errors in every step would speak for a fault; where it bends up less scatter has less mean.
    fn ln_ratios_of(&self, least: f64, c: Concentration) -> [f64; N] {
        let n = self.new + self.old;
        if n <= 0.0 {
            return [0.0; N];
        }
        let mut ln_ratios = self.ln_ratios_at(least, c.least);
        if !c.is_shown {
            let mean = n * self.worse(least);
            let (below, part) = (mean.floor(), mean.fract());
            let at = |new: f64| {
                Self {
                    new,
                    old: n - new,
                    ..*self
                }
                .ln_ratios_at(least, c.least)
            };
            let ends = at(below).into_iter().zip(at((below + 1.0).min(n)));
            for (ratio, (low, high)) in ln_ratios.iter_mut().zip(ends) {
                *ratio -= ((1.0 - part) * low.exp() + part * high.exp()).max(1.0).ln();
            }
        }
        ln_ratios
    }

    fn ln_ratios_at(&self, least: f64, c: f64) -> [f64; N] {
        let null = self.ln_marginal(least, c);
        MULTIPLIERS.map(|r| self.ln_marginal(r.max(least), c) - null)
    }

    /// The new version's share of the errors at r times the greatest harmless rate.
    fn worse(&self, r: f64) -> f64 {
        let worse = r * self.share * (1.0 + self.margin);
        worse / (worse + 1.0 - self.share)
    }

    /// ln of the chance of x among x + y at r times the greatest harmless rate, up to what all r share.
    fn ln_marginal(&self, r: f64, c: f64) -> f64 {
        let q = self.worse(r);
        let (of_new, of_old) = (c * q, c * (1.0 - q));
        ln_beta(self.new + of_new, self.old + of_old) - ln_beta(of_new, of_old)
    }

    /// How many errors the new version would have if it were as the old one.
    pub(crate) fn expected(&self) -> f64 {
        (self.old + 0.5) * self.share / (1.0 - self.share)
    }
}

/// What is known of the concentration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Concentration {
    /// It is no less than this.
    pub(crate) least: f64,
    /// Shares were seen to scatter about as much; else they may scatter less, and not at all.
    pub(crate) is_shown: bool,
}

/// How far the shares of healthy versions scatter: by moments, 1/(c + 1) = Σ[(x − np)² − np(1−p)] / Σ n(n−1)p(1−p).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Shares {
    over: f32,
    squares: f32,
    /// Steps, each for what it tells, see [`RARE`].
    n_steps: f32,
}

impl Shares {
    pub(crate) fn note(&mut self, control: &Control) {
        let n = control.new + control.old;
        let scatter = control.share * (1.0 - control.share);
        let residual = control.new - n * control.share;
        self.over += narrow(residual * residual - n * scatter);
        self.squares += narrow(n * (n - 1.0) * scatter);
        self.n_steps += narrow(control.share / (control.share + RARE));
    }

    /// Takes in what a healthy watch showed. What is older counts for less: half after 2,500 steps.
    pub(crate) fn learn(&mut self, watch: Self) {
        let kept = 0.5_f32.powf(watch.n_steps / 2_500.0);
        self.over = self.over * kept + watch.over;
        self.squares = self.squares * kept + watch.squares;
        self.n_steps = self.n_steps * kept + watch.n_steps;
    }

    /// The concentration to judge by: 1/(c + 1) as healthy watches showed it and one standard error more, drawn to that of
    /// `size`, the size of all errors together, with the weight of what tells it to within itself and of 30 steps. Where instances scatter
    /// independently of each other c is that size, where it is shared more.
    pub(crate) fn concentration(&self, size: f64) -> Concentration {
        let prior = 1.0 / (size + 1.0);
        let (squares, n) = (f64::from(self.squares), f64::from(self.n_steps));
        let weight = squares / (squares + 0.5 / (prior * prior)) * n / (n + PRIOR_STEPS);
        let (shown, open) = self.inverse();
        Concentration {
            least: of_inverse(weight * (shown + open) + (1.0 - weight) * prior),
            is_shown: weight > 0.5 && shown > 2.0 * open,
        }
    }

    /// The least concentration that these steps alone show.
    pub(crate) fn least(&self) -> f64 {
        let (shown, open) = self.inverse();
        of_inverse(shown + open)
    }

    /// 1/(c + 1), and one standard error; a whole one if nothing was seen. Of a binomial's residuals, p(1−p) at most ¼:
    /// chance alone leaves √(½/Σ) open.
    fn inverse(&self) -> (f64, f64) {
        let (over, squares, n) = (f64::from(self.over), f64::from(self.squares), f64::from(self.n_steps));
        if squares <= 0.0 {
            return (0.0, 1.0);
        }
        let shown = (over / squares).max(0.0);
        (shown, (0.5 / squares).sqrt() + shown * (2.0 / n).sqrt())
    }
}

fn of_inverse(inverse: f64) -> f64 {
    (1.0 / inverse - 1.0).clamp(CONCENTRATION_MIN, CONCENTRATION_MAX)
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

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
                for (mean, ratio) in means.iter_mut().zip(control.ln_ratios_at(1.0, c)) {
                    *mean += (chance + ratio).exp();
                }
            }
            for mean in means {
                assert!((least..=most).contains(&mean), "{worse}: {means:?}");
            }
        }
    }

    /// The mean of each L over all x of a step with `n` errors, at the null's edge, where shares have the concentration
    /// `truth`.
    fn means(n: u32, share: f64, truth: f64, known: Concentration, seen: f64) -> [f64; N] {
        let (errors, q) = (f64::from(n), 1.25 * share / (1.25 * share + 1.0 - share));
        let mut means = [0.0; N];
        for x in 0..=n {
            let x = f64::from(x);
            let ln_choose = ln_gamma(errors + 1.0) - ln_gamma(x + 1.0) - ln_gamma(errors - x + 1.0);
            let (of_new, of_old) = (truth * q, truth * (1.0 - q));
            let chance = ln_choose + ln_beta(x + of_new, errors - x + of_old) - ln_beta(of_new, of_old);
            let control = Control {
                new: x,
                old: errors - x,
                share,
                margin: 0.25,
            };
            for (mean, ratio) in means.iter_mut().zip(control.ln_ratios(1.0, known, seen)) {
                *mean += (chance + ratio).exp();
            }
        }
        means
    }

    /// Of a small part of the traffic L grows with hardly more than the logarithm of x, and held against a null that scatters
    /// much, shares that scatter little would be evidence in every step.
    #[test]
    fn whoever_scatters_less_than_is_known_has_no_evidence_of_it() {
        let known = |is_shown| Concentration { least: 5.0, is_shown };
        for share in [0.002, 0.01, 0.02, 0.05, 0.2, 0.4] {
            for n in [1, 10, 100, 1_000] {
                for truth in [5.0, 8.0, 20.0, 100.0, 1e6] {
                    let means = means(n, share, truth, known(false), 1.0);
                    assert!(
                        means.iter().all(|mean| *mean < 1.0 + 1e-6),
                        "{share} of {n}, {truth}: {means:?}"
                    );
                }
            }
        }
        assert!(means(100, 0.01, 1e6, known(true), 1.0).iter().any(|mean| *mean > 1.8));
    }

    /// What is known has changed: the watch shows it by itself.
    #[test]
    fn shares_that_scatter_less_than_was_shown_are_no_evidence_once_that_is_seen() {
        let known = Concentration {
            least: 5.0,
            is_shown: true,
        };
        for share in [0.02, 0.05] {
            let mut shares = Shares::default();
            for _ in 0..10 {
                shares.note(&Control {
                    new: 100.0 * share,
                    old: 100.0 * (1.0 - share),
                    share,
                    margin: 0.25,
                });
            }
            assert!(means(100, share, 1e6, known, 1.0).iter().any(|mean| *mean > 1.2));
            let means = means(100, share, 1e6, known, shares.least());
            assert!(means.iter().all(|mean| *mean < 1.0), "{share}: {means:?}");
        }
    }

    /// One step in a hundred has fifty times the usual errors on two in a thousand of the traffic, which is what 1/(c + 1) of ¼
    /// and more looks like: a hundred steps without are no sign that shares do not scatter.
    #[test]
    fn what_scatters_seldom_is_not_taken_for_what_scatters_little() {
        let watch = |steps: u32, share: f64| {
            let mut watch = Shares::default();
            for _ in 0..steps {
                watch.note(&Control {
                    new: (1_000.0 * share).round(),
                    old: 1_000.0 - (1_000.0 * share).round(),
                    share,
                    margin: 0.25,
                });
            }
            watch.concentration(5.0).least
        };
        assert!(watch(120, 0.002) < 5.1, "{}", watch(120, 0.002));
        assert!(watch(120, 0.4) > 10.0, "{}", watch(120, 0.4));
    }

    /// Nothing known: the size of all errors. Then x = 2, 5 or 8 of 10 at even shares, in turn: a variance of 6 where chance
    /// alone makes 2.5, so 1/(c + 1) = 3.5/22.5, and a standard error more.
    #[test]
    fn the_concentration_is_that_of_all_errors_until_healthy_watches_show_another() {
        let mut shares = Shares::default();
        let first = shares.concentration(30.0);
        assert!((first.least - 30.0).abs() < 1e-9 && !first.is_shown);
        let mut concentrations = Vec::new();
        for _ in 0..1_000 {
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
            concentrations.push(shares.concentration(30.0).least);
        }
        // Watches long past count for less: from some thousand steps on nothing moves.
        assert!(concentrations[..200].is_sorted_by(|a, b| a > b), "{concentrations:?}");
        let (last, shown) = (concentrations[999], 22.5 / 3.5 - 1.0);
        assert!(0.9 * shown < last && last < shown, "{last} of {shown}");
        assert!(shares.concentration(30.0).is_shown);
    }
}
