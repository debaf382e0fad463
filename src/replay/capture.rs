//! How many of the changes that caused incidents were among the riskiest.
//!
//! Exact up to [`SCORES_MAX`] commits. Beyond, the scores of every second commit are dropped, then of every second of
//! those left, and so on: by the hash of the commit, so that which ones stay does not depend on their order, and a
//! commit that caused an incident is dropped as likely as any other.

use std::collections::BTreeSet;

use foldhash::{HashMap, HashMapExt};

use super::summary::{CaptureSummary, Captured, count, number, ratio, round};
use crate::model::{EventHash, ServiceId};

/// Scores kept: 40 MiB.
const SCORES_MAX: usize = 1_000_000;
/// Commits named by incidents that are remembered.
const CULPRITS_MAX: usize = 100_000;
/// The shares of the riskiest that are looked at.
const SHARES: [f64; 4] = [0.05, 0.10, 0.20, 0.50];

#[derive(Debug)]
pub(super) struct Capture {
    scores: HashMap<u64, Score>,
    /// A commit is kept if these bits of its hash are 0.
    mask: u64,
    culprits: BTreeSet<u64>,
    n_scored: u64,
    n_gated: u64,
}

#[derive(Debug, Clone, Copy)]
struct Score {
    probability: f32,
    gated: bool,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            scores: HashMap::new(),
            mask: 0,
            culprits: BTreeSet::new(),
            n_scored: 0,
            n_gated: 0,
        }
    }
}

/// A commit of a service.
fn hash(service: &str, sha: &str) -> u64 {
    EventHash::of(service, "", sha).0
}

impl Capture {
    pub(super) fn score(&mut self, service: &ServiceId, sha: &str, probability: f64, gated: bool) {
        self.n_scored += 1;
        self.n_gated += u64::from(gated);
        let hash = hash(service.as_str(), sha);
        if hash & self.mask != 0 {
            return;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::as_conversions,
            reason = "a probability to seven digits"
        )]
        let probability = probability as f32;
        // A commit scored again after it was forgotten: its first score is the one it was judged by.
        self.scores.entry(hash).or_insert(Score { probability, gated });
        while self.scores.len() > SCORES_MAX {
            self.mask = self.mask << 1 | 1;
            let mask = self.mask;
            self.scores.retain(|hash, _| hash & mask == 0);
        }
    }

    /// An incident was caused by this commit.
    pub(super) fn blame(&mut self, service: &str, sha: &str) {
        if self.culprits.len() < CULPRITS_MAX {
            self.culprits.insert(hash(service, sha));
        }
    }

    pub(super) fn n_scored(&self) -> u64 {
        self.n_scored
    }

    pub(super) fn n_gated(&self) -> u64 {
        self.n_gated
    }

    /// The share of commits whose scores are kept; 1 is all.
    fn sampled(&self) -> f64 {
        0.5_f64.powi(i32::try_from(self.mask.count_ones()).unwrap_or(i32::MAX))
    }

    pub(super) fn summary(&self) -> CaptureSummary {
        let guilty: Vec<Score> = self
            .culprits
            .iter()
            .filter_map(|culprit| self.scores.get(culprit).copied())
            .collect();
        let mut scores: Vec<f32> = self.scores.values().map(|score| score.probability).collect();
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        let n_gated = guilty.iter().filter(|score| score.gated).count();
        let n_known = count(guilty.len());
        CaptureSummary {
            commits_named: count(self.culprits.len()),
            commits_known: n_known,
            sampled: self.sampled(),
            riskiest: SHARES
                .into_iter()
                .map(|share| Captured {
                    share,
                    captured: captured(&guilty, &scores, share),
                })
                .collect(),
            gated: ratio(count(n_gated), n_known),
        }
    }
}

/// The share of the guilty among the riskiest `share` of all. Equal scores at the edge count with the chance that
/// they are taken: a model that gives all the same captures no more than chance does.
fn captured(guilty: &[Score], descending: &[f32], share: f64) -> Option<f64> {
    if guilty.is_empty() {
        return None;
    }
    let size = |n: usize| number(count(n));
    let taken = share * size(descending.len());
    let sum: f64 = guilty
        .iter()
        .map(|score| {
            let above = descending.partition_point(|other| *other > score.probability);
            let not_below = descending.partition_point(|other| *other >= score.probability);
            let alike = size(not_below - above).max(1.0);
            ((taken - size(above)) / alike).clamp(0.0, 1.0)
        })
        .sum();
    Some(round(sum / size(guilty.len()), 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(probabilities: &[f64], culprits: &[usize]) -> Vec<Option<f64>> {
        let service: ServiceId = "s".parse().expect("a name");
        let mut capture = Capture::default();
        for (i, probability) in probabilities.iter().enumerate() {
            capture.score(&service, &i.to_string(), *probability, *probability > 0.8);
        }
        for culprit in culprits {
            capture.blame("s", &culprit.to_string());
        }
        let summary = capture.summary();
        summary.riskiest.into_iter().map(|captured| captured.captured).collect()
    }

    #[test]
    fn the_guilty_are_found_among_the_riskiest_and_ties_count_as_chance() {
        let rising: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
        assert_eq!(with(&rising, &[99]), [Some(1.0); 4]);
        assert_eq!(with(&rising, &[99, 94]), [Some(0.5), Some(1.0), Some(1.0), Some(1.0)]);
        assert_eq!(with(&rising, &[10]), [Some(0.0); 4]);
        assert_eq!(with(&[0.3; 40], &[7]), [Some(0.05), Some(0.1), Some(0.2), Some(0.5)]);
        assert_eq!(with(&rising, &[1_000]), [None; 4], "a commit never seen is no miss");
    }
}
