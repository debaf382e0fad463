//! Whether changes that AI had a part in fail more often than others of the same service and risk.
//!
//! Compared as they come, a class of changes that are merely larger is blamed for what size does, and one of a team whose
//! service fails often for what the service does. So a change is set beside those that its own service had at risk with
//! it, and each is expected to fail as often as its age and its risk say, in which neither AI nor its author's level has a
//! part.
//!
//! What is at risk is what can be counted, or a share of what is at risk says nothing of whose the next failure is: of
//! deploys that bring both classes the failure of the deploy is nobody's. So there are two kinds of *lots*, made where
//! changes are kept (`change/release.rs`), and each is set beside its own kind only:
//!
//! - a **deploy** whose changes are all of one class. It fails once, and is set beside deploys of about as many changes;
//! - a **change** of any other deploy, which fails where it is named, and is set beside other such changes.
//!
//! The null hypothesis: of all lots of a kind that a service has at risk, each is the next that is told to have failed in
//! proportion to its Λ = −Σ ln(1 − p) times h, the hazard of its age, whatever its class. Most that fails does so soon, and
//! what a team deployed last may all be of one class. At each failure, with `Λ_a` the sum of those of AI and `Λ_h` of the
//! others at risk (deployed within 7 days, not failed, and remembered by their service),
//!
//! ```text
//! h = (1 + failures at such an age so far) / the length of the stretch of ages
//! q(θ) = θ ΣhΛ_a / (θ ΣhΛ_a + ΣhΛ_h)      lik(θ) ← lik(θ) · (q(θ) if the failed one is of the AI class, else 1 − q(θ))
//! ```
//!
//! which is Cox's partial likelihood of a hazard ratio θ, with a baseline for each service and ln hΛ for an offset; h rests
//! on failures before this one, in the whole fleet, of whatever class. `lik(θ) / lik(1)` is a nonnegative martingale where
//! θ is 1, so a mixture of them passes 1/α with a chance of at most α, whenever it is looked at (Ville); the mirror image
//! asks for θ < 1. With a mixture M over all θ, {θ : M / lik(θ) < 1/α} is a confidence sequence: it holds θ at all
//! times at once with a chance of at least 1 − α. After Lindon and Malek, *Anytime-Valid Inference for Multinomial Count
//! Data* (2011.03567), and Cox, *Regression Models and Life-Tables* (1972).
//!
//! A class that was not told is its own: silence is not "human". It is counted and takes no part in the test.
//!
//! **Invariant:** state is bounded: 33 buckets of six hours, and one number per θ and stretch of ages.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use super::evidence::narrow;
use crate::model::{Assistance, Lot, N_AGES, Rivals, Timestamp};

/// A deployed change is at risk for so long.
pub(super) const AT_RISK: Duration = Duration::from_hours(7 * 24);
/// What is at risk is counted by the six hours in which it was deployed.
const BUCKET: Duration = Duration::from_hours(6);
/// A week of them, and a day for what comes late.
const BUCKETS_MAX: usize = 33;
/// Deploys are told apart by how many changes they bring, up to so many, and more.
const SIZES: [u8; 4] = [1, 2, 4, 8];
/// Where stretches of ages end, in hours; the last is that of [`AT_RISK`].
const AGES: [u32; N_AGES] = [1, 3, 6, 12, 24, 48, 96, 168];
/// What is surer to fail than this counts as this.
const PROBABILITY_MAX: f32 = 0.999;
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
    /// Failures by age, of every class.
    n_by_age: [u32; N_AGES],
    /// ln lik(θ) for each of [`thetas`], then for the alternatives and their mirror images, over ln lik(1).
    ln_grid: Vec<f64>,
    ln_more: [f64; 4],
    ln_less: [f64; 4],
    /// Deployed changes and failures by class, ever; and failures that took part in the test.
    n_deployed: [u64; 3],
    n_failed: [u64; 3],
    n_compared: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Bucket {
    begins: Timestamp,
    /// Changes at risk: human, AI, not told.
    n: [u32; 3],
}

/// What a lot is set beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Deploys of about as many changes.
    Deploys(u8),
    /// Changes by themselves.
    Changes,
}

/// A change that a service has at risk.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AtRisk<L> {
    /// What tells the deploy from others, where it is of one.
    pub(super) lot: L,
    pub(super) age: Duration,
    pub(super) ai: Assistance,
    /// The chance that it causes an incident, by a model that knows nothing of AI or of its author's level.
    pub(super) probability: f32,
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

/// How much likelier an AI change fails than another of its service and risk.
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
            n_by_age: [0; N_AGES],
            ln_grid: vec![0.0; N_THETAS],
            ln_more: [0.0; 4],
            ln_less: [0.0; 4],
            n_deployed: [0; 3],
            n_failed: [0; 3],
            n_compared: 0,
        }
    }
}

/// Λ by class and age of what is at risk with a lot of some `age`, as far as it is of its kind.
pub(super) fn rivals<L: Copy + Ord>((kind, age): (Kind, Duration), mut at_risk: Vec<AtRisk<L>>) -> Rivals {
    at_risk.sort_by_key(|change| change.lot);
    let lots = at_risk.chunk_by(|a, b| a.lot == b.lot);
    let is_of_kind = |lot: &&[AtRisk<L>]| match kind {
        Kind::Deploys(n_changes) => size(lot.len()) == size(usize::from(n_changes)),
        Kind::Changes => true,
    };
    let mut hazards = [[0.0; N_AGES]; 3];
    for change in lots.filter(is_of_kind).flatten() {
        let hazard = -(-f64::from(change.probability.min(PROBABILITY_MAX))).ln_1p();
        hazards[class(change.ai)][stretch(change.age)] += hazard;
    }
    let [human, ai, _] = hazards.map(|hazards| hazards.map(narrow));
    Rivals {
        human,
        ai,
        age: u8::try_from(stretch(age)).unwrap_or(u8::MAX),
    }
}

/// Which stretch an age is in.
fn stretch(age: Duration) -> usize {
    let ends = AGES.iter().take(N_AGES - 1);
    ends.filter(|hours| age.as_secs() >= u64::from(**hours) * 3_600).count()
}

/// Deploys of so many changes are alike.
fn size(n_changes: usize) -> usize {
    SIZES.iter().filter(|size| n_changes > usize::from(**size)).count()
}

/// Without AI, with it, not told: assisted and authored are one class, as the question is whether AI was in it.
pub(super) fn class(ai: Assistance) -> usize {
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
    /// A deploy brought so many changes of each class at `at`.
    pub(crate) fn deployed(&mut self, at: Timestamp, n_changes: [u32; 3]) {
        for (n, more) in self.n_deployed.iter_mut().zip(n_changes) {
            *n += u64::from(more);
        }
        if let Some(bucket) = self.bucket(at) {
            for (n, more) in bucket.n.iter_mut().zip(n_changes) {
                *n = n.saturating_add(more);
            }
        }
    }

    /// A lot is at risk no more.
    pub(crate) fn left(&mut self, lot: &Lot) {
        let begins = lot.deployed_at.floor(BUCKET);
        if let Some(bucket) = self.buckets.iter_mut().find(|bucket| bucket.begins == begins) {
            let n = &mut bucket.n[class(lot.ai)];
            *n = n.saturating_sub(u32::from(lot.n_changes));
        }
    }

    /// A lot failed that was at risk with its `rivals`, which it is among.
    pub(crate) fn failed(&mut self, lot: &Lot, rivals: Rivals) {
        self.n_failed[class(lot.ai)] += 1;
        self.left(lot);
        let (human, ai) = (self.hazard(rivals.human), self.hazard(rivals.ai));
        if let Some(n) = self.n_by_age.get_mut(usize::from(rivals.age)) {
            *n = n.saturating_add(1);
        }
        let failed_ai = match lot.ai {
            Assistance::None => false,
            Assistance::Assisted | Assistance::Authored => true,
            Assistance::Unknown => return,
        };
        // Where only one class is at risk, its failing says nothing.
        if human <= 0.0 || ai <= 0.0 {
            return;
        }
        self.n_compared += 1;
        let ln_share = |theta: f64| {
            let of_class = if failed_ai { theta * ai } else { human };
            (of_class / (theta * ai + human)).ln()
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

    /// What adds up to how likely the next failure is of these: Λ by age, times the hazard of the age.
    fn hazard(&self, lambdas: [f32; N_AGES]) -> f64 {
        let mut begins = 0;
        let mut sum = 0.0;
        for ((ends, n), lambda) in AGES.into_iter().zip(self.n_by_age).zip(lambdas) {
            sum += f64::from(lambda) * (1.0 + f64::from(n)) / f64::from(ends - begins);
            begins = ends;
        }
        sum
    }

    /// The buckets of what is at risk at `at`.
    fn buckets_at_risk(&self, at: Timestamp) -> impl Iterator<Item = &Bucket> {
        let is_within = move |bucket: &&Bucket| bucket.begins <= at && at.since(bucket.begins) < AT_RISK;
        self.buckets.iter().filter(is_within)
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
            self.buckets.insert(place, Bucket { begins, n: [0; 3] });
        }
        self.buckets.get_mut(place)
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
        for bucket in self.buckets_at_risk(now) {
            for (n, more) in n_at_risk.iter_mut().zip(bucket.n) {
                *n += u64::from(more);
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
