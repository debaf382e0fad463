//! Commit risk: the chance that a change causes an incident.
//!
//! ```text
//! measures ─ log ─► moments ─ z ─► weights ─ Σ w·z + v·(z² − 1) ─► rate ─► p
//!                                    ▲                              ▲
//!             fleet: learning ◄─ verdicts ◄─ traces ─ an incident names its change
//! ```
//!
//! Fourteen measures of a change, after Kamei et al., *A Large-Scale Empirical Study of Just-in-Time Quality Assurance*
//! (TSE 2013), are standardized by the service's own moments, so that a change is compared with its like; weighted as
//! learned across projects, then as the fleet learns from its incidents; and set to the rate of incidents of the
//! service. Nothing of the author's level or of AI is in the score: what goes with them is learned beside it, and
//! reported with its interval.
//!
//! `docs/commit-risk.md` has the formulas, and the figures they rest on.

mod learning;
mod moments;
mod rate;
mod trace;
mod weights;

use std::{fmt::Write as _, sync::LazyLock};

use sha2::{Digest, Sha256};

pub(crate) use self::{
    learning::Learner,
    moments::{Moments, Scaled},
    rate::Rate,
    trace::{Circumstances, is_of, is_revealed, pack, revealed},
};
pub use self::{
    learning::{LearnedSquare, LearnedWeight},
    weights::Contribution,
};
use crate::model::{Bulletin, Measures, RiskWeights};

/// A change's relative risk, its place among its like, and what made it so.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Score {
    /// The chance that it causes an incident; rounded as it is published, so that machines agree.
    pub(crate) probability: f64,
    /// The same if the fleet's rate of incidents were the reference: what it is held against those of other days by.
    /// Rounded too.
    pub(crate) at_reference: f64,
    /// In logits; with the first, the rate's own, they add up to the probability's.
    pub(crate) contributions: Vec<Contribution>,
    /// Its risk as a multiple of that of a change of average measures.
    pub(crate) ratio: f64,
}

/// Scores a change by what the fleet told: its weights, or as long as it has learned none those of other projects.
pub(crate) fn score(measures: &Measures, scaled: &Scaled, rate: &Rate, bulletin: &Bulletin) -> Score {
    let weights = bulletin.weights.as_ref().unwrap_or(&weights::COLD_START);
    let (logit, parts) = weights::weigh(measures, scaled, weights);
    let (odds, ratio) = (rate.odds(bulletin), logit.exp());
    Score {
        probability: rounded(rate::probability(odds * ratio)),
        at_reference: rounded(rate::probability(rate.odds_at_reference(bulletin) * ratio)),
        contributions: std::iter::once(rate::contribution(odds)).chain(parts).collect(),
        ratio,
    }
}

/// To the millionth, as on the wire.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// `sha256:` and the digest of the constants and the weights in force: which model spoke.
pub(crate) fn model_digest(learned: Option<&RiskWeights>) -> Box<str> {
    static COLD_START: LazyLock<Box<str>> = LazyLock::new(|| digest(&weights::COLD_START));
    learned.map_or_else(|| COLD_START.clone(), digest)
}

fn digest(weights: &RiskWeights) -> Box<str> {
    let mut sha = Sha256::new();
    sha.update(super::STEP_VERSION.to_le_bytes());
    for weight in weights.linear.iter().chain(&weights.square) {
        sha.update(weight.to_le_bytes());
    }
    for (mean, sd) in moments::COLD_START {
        sha.update(mean.to_le_bytes());
        sha.update(sd.to_le_bytes());
    }
    let mut digest = String::from("sha256:");
    for byte in sha.finalize() {
        write!(digest, "{byte:02x}").expect("writing to memory cannot fail");
    }
    digest.into()
}

#[cfg(test)]
mod tests;
