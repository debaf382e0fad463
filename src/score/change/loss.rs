//! What a change's failure would cost, as far as it decides: where that stands among its tier's last changes.
//!
//! L = p · B: the chance that it fails, and the service's blast radius; of an AI change times what the fleet has learned
//! of such, which is 1 until it is sure. This p is at the reference rate of incidents: with the rate of its day, which falls
//! with each change that nothing comes of, most changes would stand below all that landed before them.

use serde::{Deserialize, Serialize};

use crate::{
    model::{Assistance, Criticality},
    score::Context,
};

/// Where a change's loss stands among the last of its tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Rank {
    /// In the lower half.
    Low,
    Usual,
    /// Among those that risk alone sends to extra review.
    High,
}

/// What a change that landed comes to.
pub(crate) struct Landed {
    pub(crate) loss: f64,
    /// −ln(1 − p).
    pub(crate) lambda: f64,
}

/// What an AI change's loss is multiplied by: 1 until the fleet knows better.
pub(super) fn ai_weight(ai: Assistance, context: &Context<'_>) -> f64 {
    match ai {
        Assistance::None | Assistance::Unknown => 1.0,
        Assistance::Assisted | Assistance::Authored => context.bulletin.ai_multiplier.unwrap_or(1.0),
    }
}

pub(super) fn rank(loss: f64, tier: usize, context: &Context<'_>) -> Rank {
    let bulletin = context.bulletin;
    let told = |of: &[Option<f64>; 4]| of.get(tier).copied().flatten();
    if told(&bulletin.losses).is_some_and(|threshold| loss > threshold) {
        Rank::High
    } else if told(&bulletin.medians).is_some_and(|median| loss <= median) {
        Rank::Low
    } else {
        Rank::Usual
    }
}

/// How much a failure of a tier weighs.
pub(crate) fn tier_weight(tier: Criticality) -> f64 {
    match tier {
        Criticality::Low => 0.5,
        Criticality::Medium => 1.0,
        Criticality::High => 2.0,
        Criticality::Critical => 4.0,
    }
}
