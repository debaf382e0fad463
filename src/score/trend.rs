//! Whether changes that AI had a part in fail more often than others of the same risk and tier.
//!
//! Compared without strata, a class of changes that are merely larger is blamed for what size does. So changes are set
//! beside those of the same tier and the same quarter of commit risk, in which neither AI nor the author has a part.
//!
//! What is at risk is what can be counted, or a share of what is at risk says nothing of whose the next failure is: of
//! deploys that bring both classes the failure of the deploy is nobody's. So there are two kinds of *lots*, made where
//! changes are kept (`change/release.rs`), and each is set beside its own kind only:
//!
//! - a **deploy** whose changes are all of one class. It fails once, and is set beside deploys of about as many changes, in
//!   the quarter of its changes' mean risk. In a stratum it counts as its changes: had deploys of three and of four
//!   changes the same chance each, or each of their changes, makes little difference there, and none elsewhere;
//! - a **change** of any other deploy, which fails where it is named, and is set beside other such changes.
//!
//! The null hypothesis: of all that is at risk in a stratum, which change's lot is the next that is told to have failed
//! does not depend on its class. At each failure, with `n_a` AI and `n_h` other changes of its stratum at risk (deployed
//! within 7 days, not failed, and remembered by their service),
//!
//! ```text
//! q(θ) = θ n_a / (θ n_a + n_h)      lik(θ) ← lik(θ) · (q(θ) if the failed one is of the AI class, else 1 − q(θ))
//! ```
//!
//! which is Cox's partial likelihood of a hazard ratio θ. `lik(θ) / lik(1)` is a nonnegative martingale where θ is 1, so
//! a mixture of them passes 1/α with a chance of at most α, whenever it is looked at (Ville); the mirror image asks for
//! θ < 1. With a mixture M over all θ, {θ : M / lik(θ) < 1/α} is a confidence sequence: it holds θ at all times at once
//! with a chance of at least 1 − α. After Lindon and Malek, *Anytime-Valid Inference for Multinomial Count Data*
//! (2011.03567), and Cox, *Regression Models and Life-Tables* (1972).
//!
//! The quarters are set anew every four weeks; what was deployed before stays in the one it was deployed in.
//!
//! A class that was not told is its own: silence is not "human". It is counted and takes no part in the test.
//!
//! **Invariant:** state is bounded: 33 buckets of six hours, 500 probabilities, two sets of quarters, one number per θ.

use std::{collections::VecDeque, num::NonZeroU8, time::Duration};

use serde::{Deserialize, Serialize};

use super::evidence::narrow;
use crate::model::{Assistance, Criticality, Lot, Timestamp, Unit};

/// A deployed change is at risk for so long.
pub(super) const AT_RISK: Duration = Duration::from_hours(7 * 24);
/// What is at risk is counted by the six hours in which it was deployed.
const BUCKET: Duration = Duration::from_hours(6);
/// A week of them, and a day for what comes late.
const BUCKETS_MAX: usize = 33;
const N_BINS: usize = 4;
/// Deploys are told apart by how many changes they bring, up to so many, and more; then there are changes by themselves.
const SIZES: [u8; 4] = [1, 2, 4, 8];
const N_SIZES: usize = SIZES.len() + 2;
const N_STRATA: usize = 4 * N_BINS * N_SIZES;
/// Probabilities from which the quarters are told, and the least number for it.
const PROBABILITIES_MAX: usize = 500;
const PROBABILITIES_MIN: usize = 100;
/// The quarters stand still for so long: a change is to be in one stratum while it is at risk.
const EDGES_LAST: Duration = Duration::from_hours(28 * 24);
/// θ from 1/8 to 8, evenly in its logarithm.
const N_THETAS: usize = 97;
const LN_THETA_MAX: f64 = 2.079_441_541_679_835_7;
/// What the tests for more and, mirrored, for less are mixed of.
const ALTERNATIVES: [f64; 4] = [1.25, 1.5, 2.0, 3.0];
/// 1/α, for α = .05.
const CONVICTS: f64 = 20.0;
/// Failures with both classes at risk, before which nothing is told.
pub const AI_FAILURES_MIN: u64 = 20;
/// However sure it is, a class weighs no more than so many times another.
const MULTIPLIER_MAX: f64 = 3.0;

/// What the fleet knows of changes that AI had a part in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Trend {
    buckets: VecDeque<Bucket>,
    probabilities: VecDeque<f32>,
    edges: Option<Edges>,
    /// Those in force before: of what was deployed then.
    edges_before: Option<Edges>,
    /// ln lik(θ) for each of [`thetas`], then for the alternatives and their mirror images, over ln lik(1).
    ln_grid: Vec<f64>,
    ln_more: [f64; 4],
    ln_less: [f64; 4],
    /// Deployed changes and failures by class, ever; and failures that took part in the test.
    n_deployed: [u64; 3],
    n_failed: [u64; 3],
    n_compared: u64,
}

/// Where quarters of commit risk end, and since when that holds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Edges {
    ends: [f32; N_BINS - 1],
    since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Bucket {
    begins: Timestamp,
    /// Per stratum, changes: human, AI, not told. There are [`N_STRATA`].
    counts: Vec<[u32; 3]>,
}

/// What is known of AI-assisted changes in the fleet, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AiEvidence {
    /// Changes deployed and failures, by class; ever.
    pub deployed: Classes,
    pub failed: Classes,
    /// Failures that both classes could have had: what the comparison rests on.
    pub n_compared: u64,
    /// `None`: not enough data.
    pub comparison: Option<Comparison>,
    /// What an AI change's loss is multiplied by: 1 until even the lower bound is above it.
    pub multiplier: f64,
}

/// The same while it is at work.
#[derive(Debug, Clone, PartialEq)]
pub struct AiOutlook {
    pub evidence: AiEvidence,
    /// Changes deployed within 7 days, any of which may fail yet, less those that have.
    pub at_risk: Classes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Classes {
    /// Without AI, as told.
    pub human: u64,
    /// Assisted or authored.
    pub ai: u64,
    /// Not told.
    pub unknown: u64,
}

/// How much likelier an AI change fails than another of its tier and risk.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Comparison {
    /// The likeliest ratio, and what it lies within with 95 % at all times at once; from ⅛ to 8.
    pub ratio: f64,
    pub ratio_low: f64,
    pub ratio_high: f64,
    /// Evidence that it is above 1, and that it is below; 20 convicts at 5 %, whenever it is looked at.
    pub e_more: f64,
    pub e_less: f64,
}

impl Default for Trend {
    fn default() -> Self {
        Self {
            buckets: VecDeque::new(),
            probabilities: VecDeque::new(),
            edges: None,
            edges_before: None,
            ln_grid: vec![0.0; N_THETAS],
            ln_more: [0.0; 4],
            ln_less: [0.0; 4],
            n_deployed: [0; 3],
            n_failed: [0; 3],
            n_compared: 0,
        }
    }
}

/// A change by itself.
pub(super) fn lot_of(unit: Unit, deployed_at: Timestamp) -> Lot {
    Lot {
        ai: unit.ai,
        probability: unit.probability,
        deployed_at,
        n_changes: None,
    }
}

/// All that a deploy brought, as one; `None` unless it is of one class.
pub(super) fn one_lot(units: &[Unit], deployed_at: Timestamp) -> Option<Lot> {
    let n_changes = NonZeroU8::new(u8::try_from(units.len()).ok()?)?;
    let first = units.first()?.ai;
    let is_alike = units.iter().all(|unit| class(unit.ai) == class(first));
    let sum: f64 = units.iter().map(|unit| f64::from(unit.probability)).sum();
    is_alike.then(|| Lot {
        ai: first,
        probability: narrow(sum / f64::from(n_changes.get())),
        deployed_at,
        n_changes: Some(n_changes),
    })
}

/// How many changes it stands for.
fn weight(lot: &Lot) -> u32 {
    lot.n_changes.map_or(1, |n| u32::from(n.get()))
}

/// Without AI, with it, not told: assisted and authored are one class, as the question is whether AI was in it.
fn class(ai: Assistance) -> usize {
    match ai {
        Assistance::None => 0,
        Assistance::Assisted | Assistance::Authored => 1,
        Assistance::Unknown => 2,
    }
}

fn thetas() -> impl Iterator<Item = f64> {
    (0..N_THETAS).map(theta)
}

fn theta(i: usize) -> f64 {
    let steps = f64::from(u8::try_from(i).unwrap_or(u8::MAX)) - f64::from(u8::try_from(N_THETAS / 2).unwrap_or(0));
    (LN_THETA_MAX * steps / f64::from(u8::try_from(N_THETAS / 2).unwrap_or(1))).exp()
}

fn classes(n: [u64; 3]) -> Classes {
    let [human, ai, unknown] = n;
    Classes { human, ai, unknown }
}

/// ln of the mean of what `lns` are logarithms of.
fn ln_mean(lns: &[f64]) -> f64 {
    let greatest = lns.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let n = f64::from(u32::try_from(lns.len()).unwrap_or(u32::MAX).max(1));
    greatest + (lns.iter().map(|ln| (ln - greatest).exp()).sum::<f64>() / n).ln()
}

impl Trend {
    /// A deploy brought changes of a tier at `at`, all as one lot or each as one.
    pub(crate) fn deployed(&mut self, tier: Criticality, at: Timestamp, units: &[Unit], is_one_lot: bool) {
        for unit in units {
            if self.probabilities.len() >= PROBABILITIES_MAX {
                self.probabilities.pop_front();
            }
            self.probabilities.push_back(unit.probability);
            self.n_deployed[class(unit.ai)] += 1;
        }
        self.settle_edges(at);
        match one_lot(units, at).filter(|_| is_one_lot) {
            Some(lot) => self.expose(tier, &lot),
            None => units.iter().for_each(|unit| self.expose(tier, &lot_of(*unit, at))),
        }
    }

    fn expose(&mut self, tier: Criticality, lot: &Lot) {
        if let Some(stratum) = self.stratum(tier, lot)
            && let Some(bucket) = self.bucket(lot.deployed_at)
        {
            let counts = &mut bucket.counts[stratum][class(lot.ai)];
            *counts = counts.saturating_add(weight(lot));
        }
    }

    /// A lot is at risk no more. Says in which stratum it was and what that held, itself among it: human and AI changes.
    fn take_out(&mut self, tier: Criticality, at: Timestamp, lot: &Lot) -> Option<[f64; 2]> {
        let stratum = self.stratum(tier, lot)?;
        let at_risk = self.at_risk(stratum, at);
        let begins = lot.deployed_at.floor(BUCKET);
        let is_at_risk = self.buckets_at_risk(at).any(|bucket| bucket.begins == begins);
        let bucket = self.buckets.iter_mut().find(|bucket| bucket.begins == begins)?;
        let counts = &mut bucket.counts[stratum][class(lot.ai)];
        // Its service may have come to another tier since.
        let is_known = *counts >= weight(lot);
        *counts = counts.saturating_sub(weight(lot));
        (is_at_risk && is_known).then_some(at_risk)
    }

    /// A lot will not be told to have failed any more.
    pub(crate) fn left(&mut self, tier: Criticality, lot: &Lot) {
        self.take_out(tier, lot.deployed_at, lot);
    }

    /// A lot of a tier failed at `at`.
    pub(crate) fn failed(&mut self, tier: Criticality, at: Timestamp, lot: &Lot) {
        self.n_failed[class(lot.ai)] += 1;
        let Some([n_human, n_ai]) = self.take_out(tier, at, lot) else {
            return;
        };
        let failed_ai = match lot.ai {
            Assistance::None => false,
            Assistance::Assisted | Assistance::Authored => true,
            Assistance::Unknown => return,
        };
        // Where only one class is at risk, its failing says nothing.
        if n_human <= 0.0 || n_ai <= 0.0 {
            return;
        }
        self.n_compared += 1;
        let ln_share = |theta: f64| {
            let share = theta * n_ai / (theta * n_ai + n_human);
            if failed_ai { share.ln() } else { (1.0 - share).ln() }
        };
        let ln_one = ln_share(1.0);
        for (ln, theta) in self.ln_grid.iter_mut().zip(thetas()) {
            *ln += ln_share(theta) - ln_one;
        }
        for (i, theta) in ALTERNATIVES.into_iter().enumerate() {
            self.ln_more[i] += ln_share(theta) - ln_one;
            self.ln_less[i] += ln_share(1.0 / theta) - ln_one;
        }
    }

    /// The buckets of what is at risk at `at`.
    fn buckets_at_risk(&self, at: Timestamp) -> impl Iterator<Item = &Bucket> {
        let is_within = move |bucket: &&Bucket| bucket.begins <= at && at.since(bucket.begins) < AT_RISK;
        self.buckets.iter().filter(is_within)
    }

    /// Human and AI changes of a stratum at risk at `at`.
    fn at_risk(&self, stratum: usize, at: Timestamp) -> [f64; 2] {
        let counts = self.buckets_at_risk(at).map(|bucket| bucket.counts[stratum]);
        counts.fold([0.0; 2], |[human, ai], [more_human, more_ai, _]| {
            [human + f64::from(more_human), ai + f64::from(more_ai)]
        })
    }

    /// The bucket that holds `at`; the oldest makes place. `None`: it is from before all that are kept.
    fn bucket(&mut self, at: Timestamp) -> Option<&mut Bucket> {
        let begins = at.floor(BUCKET);
        let mut place = self.buckets.partition_point(|bucket| bucket.begins < begins);
        if self.buckets.get(place).is_none_or(|bucket| bucket.begins != begins) {
            if self.buckets.len() >= BUCKETS_MAX {
                place = place.checked_sub(1)?;
                self.buckets.pop_front();
            }
            let counts = vec![[0; 3]; N_STRATA];
            self.buckets.insert(place, Bucket { begins, counts });
        }
        self.buckets.get_mut(place)
    }

    fn stratum(&self, tier: Criticality, lot: &Lot) -> Option<usize> {
        let mut known = self.edges.iter().chain(&self.edges_before);
        let edges = known.find(|edges| edges.since <= lot.deployed_at)?;
        let bin = edges.ends.iter().filter(|end| lot.probability > **end).count();
        let size = lot
            .n_changes
            .map_or(0, |n| 1 + SIZES.iter().filter(|size| n.get() > **size).count());
        Some((tier.index() * N_BINS + bin) * N_SIZES + size)
    }

    /// Sets the quarters of commit risk by the last changes, once there are enough, and then every four weeks.
    fn settle_edges(&mut self, at: Timestamp) {
        let stand = self.edges.is_some_and(|edges| at < edges.since + EDGES_LAST);
        if stand || self.probabilities.len() < PROBABILITIES_MIN {
            return;
        }
        let mut sorted: Vec<f32> = self.probabilities.iter().copied().collect();
        sorted.sort_unstable_by(f32::total_cmp);
        let n = sorted.len();
        self.edges_before = self.edges;
        self.edges = Some(Edges {
            ends: [sorted[n / 4], sorted[n / 2], sorted[3 * n / 4]],
            since: at,
        });
    }

    /// What an AI change's loss is to be multiplied by; `None` for 1.
    pub(crate) fn multiplier(&self) -> Option<f64> {
        let low = self.comparison()?.ratio_low;
        (low > 1.0).then_some(low.min(MULTIPLIER_MAX))
    }

    fn comparison(&self) -> Option<Comparison> {
        if self.n_compared < AI_FAILURES_MIN {
            return None;
        }
        let ln_mixed = ln_mean(&self.ln_grid);
        let within = |i: &usize| ln_mixed - self.ln_grid[*i] < CONVICTS.ln();
        // Between a point that is refuted and the next that is not, the wider one is told.
        let low = (0..N_THETAS).find(within).unwrap_or(0).saturating_sub(1);
        let high = ((0..N_THETAS).rev().find(within).unwrap_or(N_THETAS - 1) + 1).min(N_THETAS - 1);
        let likeliest = (0..N_THETAS)
            .max_by(|a, b| self.ln_grid[*a].total_cmp(&self.ln_grid[*b]))
            .unwrap_or(0);
        Some(Comparison {
            ratio: theta(likeliest),
            ratio_low: theta(low),
            ratio_high: theta(high),
            e_more: ln_mean(&self.ln_more).min(700.0).exp(),
            e_less: ln_mean(&self.ln_less).min(700.0).exp(),
        })
    }

    pub(crate) fn outlook(&self, now: Timestamp) -> AiOutlook {
        let mut n_at_risk = [0_u64; 3];
        for counts in self.buckets_at_risk(now).flat_map(|bucket| &bucket.counts) {
            for (n, more) in n_at_risk.iter_mut().zip(counts) {
                *n += u64::from(*more);
            }
        }
        AiOutlook {
            evidence: self.evidence(),
            at_risk: classes(n_at_risk),
        }
    }

    pub(crate) fn evidence(&self) -> AiEvidence {
        AiEvidence {
            deployed: classes(self.n_deployed),
            failed: classes(self.n_failed),
            n_compared: self.n_compared,
            comparison: self.comparison(),
            multiplier: self.multiplier().unwrap_or(1.0),
        }
    }
}

#[cfg(test)]
mod tests;
