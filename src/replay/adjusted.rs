//! Changes with AI against changes without, of the same service and like risk.
//!
//! Compared as they come, AI is found guilty of being given other changes, or changes of other services. So they are
//! compared within each service and tenth of its tier's risk, and the comparisons are put together: N. Mantel and
//! W. Haenszel, "Statistical aspects of the analysis of data from retrospective studies of disease" (JNCI 22, 1959), with
//! the variance of J. Robins, N. Breslow and S. Greenland, "Estimators of the Mantel–Haenszel variance consistent in both
//! sparse data and large-strata limiting models" (Biometrics 42, 1986). It describes one recorded history, looked at once;
//! it is no test to be repeated.

use serde::Serialize;

use super::summary::{number, round};

/// With fewer failures on either side there is nothing to say.
const FAILED_MIN: u64 = 5;
/// Standard deviations of a normal distribution that hold 95 %.
const DEVIATIONS: f64 = 1.959_964;

/// Changes of one tier and one quarter of risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Cell {
    pub tier: &'static str,
    /// 1 holds the least risky.
    pub risk_quarter: usize,
    #[serde(flatten)]
    pub counts: Counts,
}

/// Changes with AI and without, and how many of them caused incidents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    pub with_ai: u64,
    pub with_ai_failed: u64,
    pub without_ai: u64,
    pub without_ai_failed: u64,
}

/// How the odds of failing with AI compare with those without, service and risk being alike: 1 is no difference.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct OddsRatio {
    pub ratio: f64,
    pub low: f64,
    pub high: f64,
}

impl Counts {
    pub(super) fn add(&mut self, has_ai: bool, failed: bool) {
        let (n, n_failed) = if has_ai {
            (&mut self.with_ai, &mut self.with_ai_failed)
        } else {
            (&mut self.without_ai, &mut self.without_ai_failed)
        };
        *n += 1;
        *n_failed += u64::from(failed);
    }
}

impl OddsRatio {
    /// `None` where there is not enough data: fewer than 5 failures on either side that both sides could have had.
    pub(super) fn of<'a>(strata: impl Iterator<Item = &'a Counts> + Clone) -> Option<Self> {
        // What could not have been of either says nothing.
        let strata = strata.filter(|stratum| stratum.with_ai > 0 && stratum.without_ai > 0);
        let sum = |of: fn(&Counts) -> u64| strata.clone().map(of).sum::<u64>();
        if sum(|stratum| stratum.with_ai_failed).min(sum(|stratum| stratum.without_ai_failed)) < FAILED_MIN {
            return None;
        }
        // In the letters of the paper: R, S, PR, PS + QR and QS, each summed over the strata.
        let (mut for_ai_sum, mut against_sum, mut alike_for, mut mixed, mut apart_against) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for stratum in strata {
            let all = number(stratum.with_ai + stratum.without_ai);
            let (failed, failed_without) = (number(stratum.with_ai_failed), number(stratum.without_ai_failed));
            let (well, well_without) = (
                number(stratum.with_ai) - failed,
                number(stratum.without_ai) - failed_without,
            );
            let concordant = (failed + well_without) / all;
            let discordant = (well + failed_without) / all;
            let (for_ai, against) = (failed * well_without / all, well * failed_without / all);
            for_ai_sum += for_ai;
            against_sum += against;
            alike_for += concordant * for_ai;
            mixed += concordant * against + discordant * for_ai;
            apart_against += discordant * against;
        }
        if for_ai_sum <= 0.0 || against_sum <= 0.0 {
            return None;
        }
        let variance = alike_for / (2.0 * for_ai_sum * for_ai_sum)
            + mixed / (2.0 * for_ai_sum * against_sum)
            + apart_against / (2.0 * against_sum * against_sum);
        let (ratio, spread) = (for_ai_sum / against_sum, (DEVIATIONS * variance.sqrt()).exp());
        Some(Self {
            ratio: round(ratio, 1e3),
            low: round(ratio / spread, 1e3),
            high: round(ratio * spread, 1e3),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(with: (u64, u64), without: (u64, u64)) -> Counts {
        Counts {
            with_ai: with.1,
            with_ai_failed: with.0,
            without_ai: without.1,
            without_ai_failed: without.0,
        }
    }

    /// By hand: 10·85/200 over 15·90/200, and for one table the variance is 1/10 + 1/90 + 1/15 + 1/85.
    #[test]
    fn one_table_has_the_odds_ratio_and_the_variance_of_woolf() {
        let found = OddsRatio::of([counts((10, 100), (15, 100))].iter()).expect("enough");
        let spread = (DEVIATIONS * (0.1_f64 + 1.0 / 90.0 + 1.0 / 15.0 + 1.0 / 85.0).sqrt()).exp();
        let ratio = 850.0 / 1_350.0;
        assert!((found.ratio - ratio).abs() < 1e-3, "{found:?}");
        assert!((found.low - ratio / spread).abs() < 1e-3, "{found:?}");
        assert!((found.high - ratio * spread).abs() < 1e-3, "{found:?}");
        assert_eq!(OddsRatio::of([counts((4, 100), (15, 100))].iter()), None, "too few");
        assert_eq!(OddsRatio::of([].iter()), None);
        let apart = [counts((90, 100), (0, 0)), counts((0, 0), (80, 100))];
        assert_eq!(OddsRatio::of(apart.iter()), None, "none that both could have had");
        let both = counts((10, 100), (15, 100));
        let mixed = OddsRatio::of([both, apart[0], apart[1]].iter());
        assert_eq!(mixed, OddsRatio::of([both].iter()), "they say nothing");
    }
}
