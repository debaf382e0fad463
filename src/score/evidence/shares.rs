//! How alike the shares of healthy versions are from step to step: how far they scatter, and how long they wander.

use serde::{Deserialize, Serialize};

use super::{control::Control, narrow};
use crate::score::{baseline::Sizes, short::Short};

/// A share p scatters by many steps of nearly none and few of much more: a variance that n steps show has the relative error
/// √((2 + 6/(c p))/n), a beta's excess of kurtosis being some 6/(c p). So a step tells as much as p/(p + 3/c) of one of all the
/// traffic, with c of 5.
const RARE: f64 = 0.6;
/// Of healthy watches, so many steps weigh as much as what is presumed of scatter.
const PRIOR_STEPS: f64 = 30.0;
const CONCENTRATION_MIN: f64 = 1.0;
const CONCENTRATION_MAX: f64 = 1_000.0;
/// Of how all errors hang together, so much is presumed of shares that did not show it yet.
const OF_ALL: f64 = 0.5;
/// What hangs together for longer is not told apart from versions that are as bad.
const RHO_MAX: f64 = 0.9;

/// What to judge shares by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Likeness {
    /// The concentration of the beta by which the share of one step scatters.
    pub(crate) concentration: f64,
    /// So many steps of shares alone tell what one would of independent ones, (1 + ρ)/(1 − ρ): 1 or more.
    pub(crate) steps_as_one: f64,
}

/// How far the shares of healthy versions scatter: by moments, 1/(c + 1) = Σ[(x − np)² − np(1−p)] / Σ n(n−1)p(1−p).
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Shares {
    over: f32,
    squares: f32,
    /// Steps, each for what it tells, see [`RARE`].
    n_steps: f32,
    /// Σ of residuals times those of the step before, (x − np)(x₋₁ − n₋₁p₋₁).
    lagged: f32,
}

impl Shares {
    /// Takes in a step; `last` is the residual of the one before, 0 where none goes before, and that of this one from then on.
    pub(crate) fn note(&mut self, control: &Control, last: &mut Short) {
        let n = control.new + control.old;
        let scatter = control.share * (1.0 - control.share);
        let residual = control.new - n * control.share;
        self.over += narrow(residual * residual - n * scatter);
        self.squares += narrow(n * (n - 1.0) * scatter);
        self.n_steps += narrow(control.share / (control.share + RARE));
        self.lagged += narrow(residual * last.value());
        *last = Short::signed(residual);
    }

    /// Takes in what a healthy watch showed. What is older counts for less: half after 2,500 steps.
    pub(crate) fn learn(&mut self, watch: Self) {
        let kept = 0.5_f32.powf(watch.n_steps / 2_500.0);
        self.over = self.over * kept + watch.over;
        self.squares = self.squares * kept + watch.squares;
        self.n_steps = self.n_steps * kept + watch.n_steps;
        self.lagged = self.lagged * kept + watch.lagged;
    }

    /// What to judge by, where all errors together have these sizes.
    pub(crate) fn likeness(&self, sizes: &Sizes) -> Likeness {
        let rho = self.rho(sizes.blocks[0] / sizes.step);
        Likeness {
            concentration: self.concentration(sizes.blocks[0]),
            steps_as_one: (1.0 + rho) / (1.0 - rho),
        }
    }

    /// ρ of what shares scatter of their own, 0 to .9: their lagged products over their squares less those of chance. √Σ are
    /// two standard errors of what chance makes of the first, and 1/√n one of the rest: as much is put down to chance. Drawn to
    /// half of how all errors hang together, of which so many steps tell `as_one`: the hour is a part of that, which both share.
    fn rho(&self, as_one: f64) -> f64 {
        let prior = OF_ALL * ((as_one - 1.0) / (as_one + 1.0)).max(0.0);
        let (over, n) = (f64::from(self.over).max(0.0), f64::from(self.n_steps));
        let (lagged, chance) = (f64::from(self.lagged), f64::from(self.squares).sqrt());
        let shown = if over > 0.0 {
            ((lagged - chance - over / n.sqrt()) / (over + chance)).max(0.0)
        } else {
            0.0
        };
        ((n * shown + PRIOR_STEPS * prior) / (n + PRIOR_STEPS)).min(RHO_MAX)
    }

    /// The concentration to judge by: 1/(c + 1) as healthy watches showed it and one standard error more, drawn to that of
    /// `size`, the size of all errors together, with the weight of what tells it to within itself and of 30 steps. Where instances scatter
    /// independently of each other c is that size, where it is shared more.
    fn concentration(&self, size: f64) -> f64 {
        let prior = 1.0 / (size + 1.0);
        let (squares, n) = (f64::from(self.squares), f64::from(self.n_steps));
        let weight = squares / (squares + 0.5 / (prior * prior)) * n / (n + PRIOR_STEPS);
        let (shown, open) = self.inverse();
        let inverse = weight * (shown + open) + (1.0 - weight) * prior;
        (1.0 / inverse - 1.0).clamp(CONCENTRATION_MIN, CONCENTRATION_MAX)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// One step in a hundred has fifty times the usual errors on two in a thousand of the traffic, which is what 1/(c + 1) of ¼
    /// and more looks like: a hundred steps without are no sign that shares do not scatter.
    #[test]
    fn what_scatters_seldom_is_not_taken_for_what_scatters_little() {
        let watch = |steps: u32, share: f64| {
            let mut watch = Shares::default();
            for _ in 0..steps {
                let control = Control {
                    new: (1_000.0 * share).round(),
                    old: 1_000.0 - (1_000.0 * share).round(),
                    share,
                    margin: 0.25,
                };
                watch.note(&control, &mut Short::default());
            }
            watch.concentration(5.0)
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
        assert!((first - 30.0).abs() < 1e-9);
        let mut concentrations = Vec::new();
        for _ in 0..1_000 {
            let mut watch = Shares::default();
            for new in [2.0, 5.0, 8.0] {
                let control = Control {
                    new,
                    old: 10.0 - new,
                    share: 0.5,
                    margin: 0.25,
                };
                watch.note(&control, &mut Short::default());
            }
            shares.learn(watch);
            concentrations.push(shares.concentration(30.0));
        }
        // Watches long past count for less: from some thousand steps on nothing moves.
        assert!(concentrations[..200].is_sorted_by(|a, b| a > b), "{concentrations:?}");
        let (last, shown) = (concentrations[999], 22.5 / 3.5 - 1.0);
        assert!(0.9 * shown < last && last < shown, "{last} of {shown}");
    }

    /// Shares of .4 and .6 in turns of ten steps, or of one: the first hang together, the second do the opposite.
    #[test]
    fn steps_tell_less_where_healthy_shares_were_seen_to_wander() {
        let shown = |turn: u32, n_watches: u32, as_one: f64| {
            let mut shares = Shares::default();
            for _ in 0..n_watches {
                let (mut watch, mut last) = (Shares::default(), Short::default());
                for step in 0..120 {
                    let new = if (step / turn).is_multiple_of(2) { 400.0 } else { 600.0 };
                    let control = Control {
                        new,
                        old: 1_000.0 - new,
                        share: 0.5,
                        margin: 0.25,
                    };
                    watch.note(&control, &mut last);
                }
                shares.learn(watch);
            }
            shares.rho(as_one)
        };
        // 11 of 119 steps follow on one of the other kind: ρ of .82, of which one watch, of 54 steps of all traffic, leaves half.
        let (first, many) = (shown(10, 1, 1.0), shown(10, 100, 1.0));
        assert!(
            (0.4..0.5).contains(&first) && (0.78..0.82).contains(&many),
            "{first} {many}"
        );
        assert!(shown(1, 100, 1.0) < 1e-9, "{}", shown(1, 100, 1.0));
        // Of errors of which nineteen steps tell what one would ρ is .9: half of it is presumed until shares show their own.
        let presumed = shown(1, 0, 19.0);
        assert!((presumed - 0.45).abs() < 1e-9, "{presumed}");
        assert!(shown(1, 100, 19.0) < 0.01, "{}", shown(1, 100, 19.0));
    }
}
