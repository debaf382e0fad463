//! Evidence with a control: errors on the deployed version beside those on the others in the same step.
//!
//! x errors on the new version and y on the old, where the new one has the share p of the traffic. If it is up to r times as
//! bad as the margin δ lets it be, its share of the errors is up to `q_r` in the mean, and scatters as a beta does:
//!
//! ```text
//! q_r = r p(1+δ) / (r p(1+δ) + 1−p)        P(a, b) = B(x + a, y + b) / B(a, b)        healthy: P(c q_1, c (1−q_1))
//! bursts, r of 1.5, 3, 10:  L_r = P(c q_1, c (1−q_1) / r) / P(c q_1, c (1−q_1))
//! steady, r of 2, 5, 30:    L_r = min{ P(a, a (1−q_r) / q_r) / max_{c' ≥ c} P(c' q_1, c' (1−q_1)),  1 + λ(x/m − 1) }
//!                           a = max(c q_r, 4)        m = (x + y) q_1        λ = .95 m(r−1) / (1 + m(r−1))
//! ```
//!
//! What strikes both alike, the hour, the traffic, a shared fault, is in x and y alike and cancels. How far shares scatter,
//! c, is k where instances scatter independently (a version with the share p of a negative binomial of size k has the size
//! k p), and any more where it is the hour that makes errors scatter.
//!
//! - *Bursts.* Part of the traffic may have many steps of nearly nothing and few of much more, when it fails as when it is
//!   well. So a stays, and steps without errors say little. L goes as `Γ(y + b/r)/Γ(y + b)`, a mixture of powers t^y with
//!   t < 1: it falls with y and is convex in it, so its mean is at most 1 of a version that is better than the margin, and of
//!   every law of shares that is less in convex order than the beta, as betas of any greater c are.
//! - *Steady.* A version that has more errors in every step contradicts bursts as well as health. What is held against it is
//!   the likeliest of all concentrations (universal inference: Wasserman, Ramdas and Balakrishnan), which is for betas; and a bet
//!   on x, whose mean is at most 1 of any law with a mean of m at most. The lesser of both is sure and patient.
//!
//! Each of these is of one step by itself. Where a version's own rate wanders, so that its share is too high for minutes at a
//! time, g = (1+ρ)/(1−ρ) steps tell what one of independent ones would, and the step's evidence is divided by
//!
//! ```text
//! 1 + (g − 1) (n − 1)/(n + c)        n = x + y
//! ```
//!
//! for of what x scatters (n − 1)/(n + c) is the share's and the rest is chance, which does not hang together. A root of an L has a
//! mean of at most 1 as L has (Jensen); and so has the product of the g-th roots where steps that are g apart are independent
//! (Hölder), whatever law each has.
//!
//! The conditional test is that of Lindon and Malek, *Anytime-valid inference for multinomial count data*.

use super::{MULTIPLIERS, N, shares::Likeness};
use crate::score::ln_gamma;

/// Shares of traffic below these make no control: those that are declared are of instances, and of few are far off.
pub(crate) const SHARE_MIN: f64 = 0.002;
pub(crate) const DECLARED_MIN: f64 = 0.02;
/// Nor do shares from this on: the other side is no larger, and soon gone; the baseline tells more.
pub(crate) const SHARE_MAX: f64 = 0.5;
/// The least a of a version that is steadily worse: its errors scatter by half of their mean from step to step.
const STEADY: f64 = 4.0;
/// No step takes more than this part of what speaks for a steady fault.
const BET_MAX: f64 = 0.95;
/// From this a on a beta-binomial is as good as a binomial.
const NO_SCATTER: f64 = 1_000.0;

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
    /// ln `L_r` per multiplier, where the new version may be up to `least` times as bad for another reason, and shares are no
    /// less alike than `likeness` says: what the step adds to others.
    pub(crate) fn ln_ratios(&self, least: f64, likeness: &Likeness) -> [f64; N] {
        let (n, c) = (self.new + self.old, likeness.concentration);
        let of_shares = (n - 1.0).max(0.0) / (n + c);
        let told = 1.0 + (likeness.steps_as_one - 1.0) * of_shares;
        self.ln_ratios_alone(least, c).map(|ln_ratio| ln_ratio / told)
    }

    /// The same of the step by itself, where shares scatter no more than the concentration `c` says.
    fn ln_ratios_alone(&self, least: f64, c: f64) -> [f64; N] {
        let n = self.new + self.old;
        if n <= 0.0 {
            return [0.0; N];
        }
        let q = self.worse(least);
        // Of instances that restart the size is that of the version, however many errors that makes.
        let c = if least > 1.0 { c * self.share / q } else { c };
        let (of_new, of_old) = (c * q, c * (1.0 - q));
        let healthy = self.ln_chance(of_new, of_old);
        let likeliest = self.ln_likeliest(q, c).max(healthy);
        let mut ln_ratios = [0.0; N];
        for (i, (ln_ratio, r)) in ln_ratios.iter_mut().zip(MULTIPLIERS).enumerate() {
            if r <= least {
                continue;
            }
            *ln_ratio = if i % 2 == 0 {
                self.ln_chance(of_new, of_old * least / r) - healthy
            } else {
                let worse = self.worse(r);
                let of_new = (c * worse).max(STEADY);
                let steady = self.ln_chance(of_new, of_new * (1.0 - worse) / worse) - likeliest;
                steady.min(self.ln_bet(n * q, r / least))
            };
        }
        ln_ratios
    }

    /// ln of 1 + λ(x/m − 1), where x is `harmless` = m in the mean at most, and λ about the best of Poisson errors `r` times as
    /// many.
    fn ln_bet(&self, harmless: f64, r: f64) -> f64 {
        let more = harmless * (r - 1.0);
        let stake = BET_MAX * more / (1.0 + more);
        (stake * (self.new / harmless - 1.0)).ln_1p()
    }

    /// ln of the greatest chance of x where the new version's share is `q` in the mean, over concentrations from `c` on. They
    /// are taken by doubling: between two of them it may be a little greater, and yet no L has a mean above 1 there.
    fn ln_likeliest(&self, q: f64, c: f64) -> f64 {
        let binomial = self.new * q.ln() + self.old * (1.0 - q).ln();
        let doubled = std::iter::successors(Some(2.0 * c), |c| Some(2.0 * c)).take_while(|c| c * q < NO_SCATTER);
        doubled
            .map(|c| self.ln_chance(c * q, c * (1.0 - q)))
            .fold(binomial, f64::max)
    }

    /// The new version's share of the errors at r times the greatest harmless rate.
    fn worse(&self, r: f64) -> f64 {
        let worse = r * self.share * (1.0 + self.margin);
        worse / (worse + 1.0 - self.share)
    }

    /// ln of the chance of x among x + y where the share scatters as Beta(`a`, `b`), up to the number of ways.
    fn ln_chance(&self, a: f64, b: f64) -> f64 {
        ln_beta(self.new + a, self.old + b) - ln_beta(a, b)
    }

    /// How many errors the new version would have if it were as the old one.
    pub(crate) fn expected(&self) -> f64 {
        (self.old + 0.5) * self.share / (1.0 - self.share)
    }
}

fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: [f64; 7] = [0.002, 0.01, 0.02, 0.05, 0.2, 0.4, 0.499];

    /// The mean of each L over all x of a step with `n` errors, by a concentration of 5, where versions' shares of the errors
    /// scatter as Beta(`a`, `b`) does.
    fn means(n: u32, share: f64, (a, b): (f64, f64)) -> [f64; N] {
        let errors = f64::from(n);
        let mut means = [0.0; N];
        for x in 0..=n {
            let x = f64::from(x);
            let ln_choose = ln_gamma(errors + 1.0) - ln_gamma(x + 1.0) - ln_gamma(errors - x + 1.0);
            let chance = ln_choose + ln_beta(x + a, errors - x + b) - ln_beta(a, b);
            let control = Control {
                new: x,
                old: errors - x,
                share,
                margin: 0.25,
            };
            for (mean, ratio) in means.iter_mut().zip(control.ln_ratios_alone(1.0, 5.0)) {
                *mean += (chance + ratio).exp();
            }
        }
        means
    }

    /// Beta's parameters of a concentration `c`, of a version that is `worse` times as bad as the margin lets it be.
    fn beta(share: f64, c: f64, worse: f64) -> (f64, f64) {
        let errors = 1.25 * worse * share;
        let q = errors / (errors + 1.0 - share);
        (c * q, c * (1.0 - q))
    }

    /// Of what scatters as much as is known, or less down to chance alone, at the margin's edge and below.
    #[test]
    fn no_healthy_version_has_evidence_in_the_mean_however_little_it_scatters() {
        for share in SHARES {
            for n in [1, 10, 100, 1_000] {
                for truth in [5.0, 6.0, 7.07, 8.5, 12.0, 20.0, 30.0, 100.0, 300.0, 1e3, 1e4, 1e6] {
                    for worse in [1.0, 0.99, 0.8, 0.4, 0.01] {
                        let means = means(n, share, beta(share, truth, worse));
                        assert!(
                            means.iter().all(|mean| *mean < 1.0 + 1e-6),
                            "{share} of {n}, {truth}, {worse}: {means:?}"
                        );
                    }
                }
                let worse = means(n, share, beta(share, 5.0, 1.1));
                assert!(worse[0] > 1.0, "{share} of {n}: {worse:?}");
            }
        }
    }

    /// A law of shares that is no beta, and scatters less: so many times the harmless one now and then, and else none.
    #[test]
    fn no_law_of_a_harmless_mean_has_evidence_of_steady_faults() {
        for (share, often) in [(0.002, 5.1), (0.002, 27.0), (0.02, 2.2), (0.05, 5.0)] {
            let (_, b) = beta(share, 1e6, 1.0);
            let q = 1.0 - b / 1e6;
            let at = |share_now: f64| means(1_000, share, (1e7 * share_now, 1e7 * (1.0 - share_now)));
            let (some, none) = (at(often * q), at(1e-9));
            for i in [1, 3, 5] {
                let mean = some[i] / often + none[i] * (1.0 - 1.0 / often);
                assert!(mean < 1.0 + 1e-6, "{share}, one in {often}, {i}: {mean}");
            }
        }
    }

    /// A version that makes several times its errors as it restarts has its own size as it does.
    #[test]
    fn restarts_of_instances_that_scatter_are_no_evidence() {
        let (k, share, n) = (100.0, 0.02, 1_000.0);
        let control = |new: f64| Control {
            new,
            old: n - new,
            share,
            margin: 0.25,
        };
        for least in [2.0, 4.0, 10.0] {
            let q = control(0.0).worse(least);
            // Errors that are `least` times as many as the margin lets them be, of the size k p.
            let (size, mean) = (k * share, q * n);
            let chance = |x: f64| {
                ln_gamma(x + size) - ln_gamma(size) - ln_gamma(x + 1.0) + x * (mean / (mean + size)).ln()
                    - size * (mean / size).ln_1p()
            };
            let alarms = |x: &f64| {
                control(*x)
                    .ln_ratios_alone(least, k)
                    .into_iter()
                    .any(|ln_ratio| ln_ratio > 500.0_f64.ln())
            };
            let share_of_alarms: f64 = (0..1_000_u32)
                .map(f64::from)
                .filter(alarms)
                .map(|x| chance(x).exp())
                .sum();
            assert!(share_of_alarms < 1e-3, "{least}: {share_of_alarms}");
        }
    }

    /// Of a tenth of instances that scatter by themselves most minutes show little, and some very much. Of two in a thousand
    /// four times the errors are few, and seen where they come in every minute.
    #[test]
    fn versions_in_bursts_and_steadily_worse_ones_are_both_seen() {
        let of = |new: f64, old: f64, share: f64| {
            let control = Control {
                new,
                old,
                share,
                margin: 0.25,
            };
            control.ln_ratios_alone(1.0, 5.0)
        };
        assert!(of(0.0, 40.0, 0.1)[2] > -1.0, "{:?}", of(0.0, 40.0, 0.1));
        assert!(of(80.0, 30.0, 0.1)[2] > 2.5, "{:?}", of(80.0, 30.0, 0.1));
        assert!(of(10.0, 990.0, 0.002)[3] > 1.2, "{:?}", of(10.0, 990.0, 0.002));
        assert!(of(10.0, 990.0, 0.002)[2] < 0.1, "{:?}", of(10.0, 990.0, 0.002));
    }

    /// Nothing hangs together of what chance alone scatters, and nearly all of what many errors show.
    #[test]
    fn of_steps_that_hang_together_each_tells_its_part() {
        let parts = |new: f64, old: f64| {
            let control = Control {
                new,
                old,
                share: 0.2,
                margin: 0.25,
            };
            let likeness = Likeness {
                concentration: 20.0,
                steps_as_one: 10.0,
            };
            let (each, alone) = (control.ln_ratios(1.0, &likeness), control.ln_ratios_alone(1.0, 20.0));
            [0, 1, 2].map(|i| alone[i] / each[i])
        };
        for part in parts(1.0, 0.0) {
            assert!((part - 1.0).abs() < 1e-9, "{part}");
        }
        for part in parts(6_000.0, 4_000.0) {
            assert!((9.9..10.0).contains(&part), "{part}");
        }
    }
}
