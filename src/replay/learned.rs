//! What incidents taught, as people read it: only what they taught beyond chance.

use std::fmt;

use super::{
    summary::{LearnedSummary, Summary},
    text::counted,
};
use crate::score::{LearnedSquare, LearnedWeight};

impl LearnedSummary {
    /// The measures whose weights, or the weights of their squares, are others than before, beyond chance.
    pub(super) fn moved(&self) -> impl Iterator<Item = &LearnedWeight> {
        let scored = self.weights.iter().filter(|weight| weight.is_scored);
        scored.filter(|weight| weight.has_moved() || weight.square.as_ref().is_some_and(LearnedSquare::has_moved))
    }

    /// AI and the author's level: what a policy may ask about, and no score has in it.
    pub(super) fn beside(&self) -> impl Iterator<Item = &LearnedWeight> {
        self.weights.iter().filter(|weight| !weight.is_scored)
    }
}

impl Summary {
    /// Nothing where no change was scored.
    pub(super) fn write_learned(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.changes.scored == 0 {
            return Ok(());
        }
        let n = counted(self.learned.verdicts, "verdict");
        let moved: Vec<String> = self.learned.moved().map(moved).collect();
        if moved.is_empty() {
            writeln!(f, "learned      nothing yet that is beyond chance: {n}")?;
        } else {
            writeln!(f, "learned      by {n}, in logits: {}", moved.join(", "))?;
        }
        let beside: Vec<String> = self
            .learned
            .beside()
            .filter(|weight| weight.has_moved())
            .map(|weight| {
                format!(
                    "{} {:+.2} ({:.2} to {:.2})",
                    weight.feature, weight.weight, weight.low, weight.high
                )
            })
            .collect();
        if beside.is_empty() {
            return Ok(());
        }
        writeln!(f, "             in no score, risk being alike: {}", beside.join(", "))
    }
}

/// `lines_added 0.57 -> 0.21 (0.10 to 0.32)`, and its square if that has moved.
fn moved(weight: &LearnedWeight) -> String {
    let own = weight.has_moved().then(|| {
        let (before, after) = (weight.cold_start, weight.weight);
        format!(" {before:.2} -> {after:.2} ({:.2} to {:.2})", weight.low, weight.high)
    });
    let square = weight.square.filter(LearnedSquare::has_moved);
    let square = square.map(|square| {
        format!(
            " squared {:+.2} ({:.2} to {:.2})",
            square.weight, square.low, square.high
        )
    });
    let parts = own.into_iter().chain(square);
    std::iter::once(weight.feature.to_owned()).chain(parts).collect()
}
