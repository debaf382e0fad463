//! How many of the changes that caused incidents were among the riskiest, and what became of changes by who made them.
//!
//! An incident names a change, or a deploy that brought some: then it is not known which of them it was, and the riskiest
//! stands for all. Who reviews that one has the deploy before them. What became of changes is of those named themselves.
//!
//! Exact up to [`SCORES_MAX`] commits. Beyond, the scores of every second commit are dropped, then of every second of
//! those left, and so on: by the hash of the commit, so that which ones stay does not depend on their order, and a
//! commit that caused an incident is dropped as likely as any other.

use std::collections::{BTreeMap, BTreeSet};

use foldhash::{HashMap, HashMapExt};

use super::{
    adjusted::{Cell, Counts, OddsRatio},
    fates::hash,
    interval::Share,
    summary::{AiClass, AiSummary, CaptureSummary, Captured, ChangeFates, count, number, ratio, round},
};
use crate::{
    model::{Assistance, CausedBy, Criticality, Deploy, hash_text},
    score::{AiEvidence, ScoredChange},
};

/// Scores kept: 50 MiB.
const SCORES_MAX: usize = 1_000_000;
/// Commits named by incidents that are remembered.
const CULPRITS_MAX: usize = 100_000;
/// Deploys whose commits are remembered, and commits of all of them: 40 MiB.
const DEPLOYS_MAX: usize = 200_000;
const DEPLOYED_MAX: usize = 2_000_000;
/// The shares of the riskiest that are looked at.
pub(super) const SHARES: [f64; 4] = [0.05, 0.10, 0.20, 0.50];
/// Those with AI are shown beside those without in quarters of risk, and compared in tenths, service by service.
const QUARTERS: usize = 4;
const TENTHS: usize = 10;

const CLASSES: [(Assistance, &str); 4] = [
    (Assistance::None, "none"),
    (Assistance::Assisted, "assisted"),
    (Assistance::Authored, "authored"),
    (Assistance::Unknown, "unknown"),
];

#[derive(Debug)]
pub(super) struct Capture {
    scores: HashMap<u64, Score>,
    /// A commit is kept if these bits of its hash are 0.
    mask: u64,
    culprits: BTreeSet<u64>,
    /// The commits that deploys brought, and how many these are.
    deploys: HashMap<u64, Box<[u64]>>,
    n_deployed: usize,
    /// Deploys named by incidents that name no commit.
    named_deploys: BTreeSet<u64>,
    n_scored: u64,
    n_gated: u64,
}

/// By tier, tenth of its risk, and service.
type Strata = BTreeMap<(Criticality, usize, u32), Counts>;

#[derive(Debug, Clone, Copy)]
struct Score {
    /// At the reference rate of incidents: the rate of a day says nothing of changes of other days.
    risk: f32,
    /// A part of its service's hash.
    service: u32,
    gated: bool,
    tier: Criticality,
    assistance: Assistance,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            scores: HashMap::new(),
            mask: 0,
            culprits: BTreeSet::new(),
            deploys: HashMap::new(),
            n_deployed: 0,
            named_deploys: BTreeSet::new(),
            n_scored: 0,
            n_gated: 0,
        }
    }
}

/// A part of the hash of a service's name: of fleets of a thousand, one in ten thousand has two of the same.
fn tag(service: &str) -> u32 {
    let [a, b, c, d, ..] = hash_text(service).to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

impl Capture {
    pub(super) fn score(&mut self, scored: &ScoredChange, tier: Criticality) {
        self.n_scored += 1;
        self.n_gated += u64::from(scored.gated);
        let hash = hash(scored.change.service.as_str(), &scored.change.sha);
        if hash & self.mask != 0 {
            return;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::as_conversions,
            reason = "a probability to seven digits"
        )]
        let risk = scored.at_reference.value() as f32;
        // A commit scored again after it was forgotten: its first score is the one it was judged by.
        self.scores.entry(hash).or_insert(Score {
            risk,
            service: tag(scored.change.service.as_str()),
            gated: scored.gated,
            tier,
            assistance: scored.ai,
        });
        while self.scores.len() > SCORES_MAX {
            self.mask = self.mask << 1 | 1;
            let mask = self.mask;
            self.scores.retain(|hash, _| hash & mask == 0);
        }
    }

    /// A deploy is told of: the first word of it that has its commits counts.
    pub(super) fn deployed(&mut self, service: &str, deploy: &Deploy<'_>) {
        let (n, id) = (deploy.commits.len(), hash(service, &deploy.deploy_id));
        let is_full = self.deploys.len() >= DEPLOYS_MAX || self.n_deployed + n > DEPLOYED_MAX;
        if n == 0 || is_full || self.deploys.contains_key(&id) {
            return;
        }
        self.n_deployed += n;
        let commits = deploy.commits.iter().map(|sha| hash(service, sha));
        self.deploys.insert(id, commits.collect());
    }

    /// Whether a deploy is known to have brought a commit, both by their hashes.
    pub(super) fn has_brought(&self, deploy: u64, commit: u64) -> bool {
        self.deploys
            .get(&deploy)
            .is_some_and(|commits| commits.contains(&commit))
    }

    /// An incident names its cause: a commit, or a deploy.
    pub(super) fn blame(&mut self, service: &str, cause: &CausedBy<'_>) {
        let (named, id) = match (&cause.sha, &cause.deploy_id) {
            (Some(sha), _) => (&mut self.culprits, sha),
            (None, Some(deploy_id)) => (&mut self.named_deploys, deploy_id),
            (None, None) => return,
        };
        if named.len() < CULPRITS_MAX {
            named.insert(hash(service, id));
        }
    }

    /// Whether an incident names a commit, by its hash.
    pub(super) fn is_culprit(&self, commit: u64) -> bool {
        self.culprits.contains(&commit)
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

    /// Commits that incidents name.
    fn guilty(&self) -> impl Iterator<Item = Score> {
        let known = |culprit| self.scores.get(culprit).copied();
        self.culprits.iter().filter_map(known)
    }

    /// Deploys that incidents name, each as the riskiest of its commits, sent to review if any of them was.
    fn guilty_deploys(&self) -> impl Iterator<Item = Score> {
        let brought = self.named_deploys.iter().filter_map(|deploy| self.deploys.get(deploy));
        brought.filter_map(|commits| {
            let known = commits.iter().filter_map(|commit| self.scores.get(commit).copied());
            known.reduce(|one, other| {
                let riskier = if other.risk > one.risk { other } else { one };
                let gated = one.gated || other.gated;
                Score { gated, ..riskier }
            })
        })
    }

    /// Of the changes of one tier, or of all.
    pub(super) fn curve(&self, tier: Option<Criticality>) -> Curve {
        let is_meant = |score: &Score| tier.is_none_or(|tier| score.tier == tier);
        let mut scores: Vec<f32> = self
            .scores
            .values()
            .filter(|score| is_meant(score))
            .map(|score| score.risk)
            .collect();
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        let mut guilty: Vec<Score> = self.guilty().filter(is_meant).collect();
        let n_commits = guilty.len();
        guilty.extend(self.guilty_deploys().filter(is_meant));
        let size = |n: usize| number(count(n));
        let ranks = guilty.iter().map(|score| {
            let above = scores.partition_point(|other| *other > score.risk);
            let not_below = scores.partition_point(|other| *other >= score.risk);
            (size(above), size(not_below - above).max(1.0))
        });
        Curve {
            ranks: ranks.collect(),
            n_scores: scores.len(),
            n_commits,
            n_gated: guilty.iter().filter(|score| score.gated).count(),
        }
    }

    pub(super) fn summary(&self) -> CaptureSummary {
        let curve = self.curve(None);
        CaptureSummary {
            commits_named: count(self.culprits.len()),
            commits_known: curve.n_commits(),
            deploys_named: count(self.named_deploys.len()),
            deploys_known: curve.n_known() - curve.n_commits(),
            sampled: self.sampled(),
            riskiest: curve.marks(),
            gated: ratio(count(curve.n_gated), curve.n_known()),
        }
    }

    /// What was asked of changes, and which of them caused incidents.
    pub(super) fn fates(&self) -> ChangeFates {
        let (mut gated, mut let_by) = (0, 0);
        for score in self.guilty() {
            *if score.gated { &mut gated } else { &mut let_by } += 1;
        }
        let n_gated = count(self.scores.values().filter(|score| score.gated).count());
        let n_let_by = count(self.scores.len()) - n_gated;
        ChangeFates {
            gated_failed: gated,
            gated_failed_share: self.failed_share(gated, n_gated),
            let_by_failed: let_by,
            let_by_failed_share: self.failed_share(let_by, n_let_by),
        }
    }

    /// Where no incident names a change that is known, nothing is known of failures: that is not none.
    fn failed_share(&self, failed: u64, changes: u64) -> Option<Share> {
        self.guilty().next().and_then(|_| Share::of(failed, changes))
    }

    /// Changes by how AI had part in them.
    pub(super) fn ai(&self, tested: AiEvidence) -> AiSummary {
        let classes = CLASSES.map(|(assistance, name)| {
            let of_class = |score: &&Score| score.assistance == assistance;
            let changes = count(self.scores.values().filter(of_class).count());
            let gated = self.scores.values().filter(of_class);
            let gated = count(gated.filter(|score| score.gated).count());
            let failed = count(self.guilty().filter(|score| score.assistance == assistance).count());
            AiClass {
                assistance: name,
                changes,
                gated,
                gated_share: ratio(gated, changes),
                failed,
                failed_share: self.failed_share(failed, changes),
            }
        });
        let (cells, strata) = self.cells();
        AiSummary {
            classes: classes.into(),
            same_risk: OddsRatio::of(strata.values()),
            strata: cells,
            tested,
        }
    }

    /// Changes with AI and without by quarters of risk within each tier, and what they are compared in: by services and
    /// tenths. What is not known is in neither.
    fn cells(&self) -> (Vec<Cell>, Strata) {
        let (mut cells, mut strata) = (Vec::new(), Strata::new());
        for tier in Criticality::ALL {
            let mut scores: Vec<(f32, u64, Score)> = self
                .scores
                .iter()
                .filter(|(_, score)| score.tier == tier && score.assistance != Assistance::Unknown)
                .map(|(hash, score)| (score.risk, *hash, *score))
                .collect();
            scores.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let n = scores.len();
            let mut quarters = [Counts::default(); QUARTERS];
            for (place, (_, hash, score)) in scores.into_iter().enumerate() {
                let (has_ai, failed) = (score.assistance != Assistance::None, self.culprits.contains(&hash));
                quarters[place * QUARTERS / n].add(has_ai, failed);
                let stratum = strata.entry((tier, place * TENTHS / n, score.service)).or_default();
                stratum.add(has_ai, failed);
            }
            let quarters = quarters.into_iter().enumerate();
            cells.extend(quarters.filter(|_| n > 0).map(|(quarter, counts)| Cell {
                tier: tier.name(),
                risk_quarter: quarter + 1,
                counts,
            }));
        }
        (cells, strata)
    }
}

/// Where the guilty stand among all changes by risk.
#[derive(Debug, Clone, Default)]
pub(super) struct Curve {
    /// Of each guilty one, how many changes are riskier, and how many just as risky, itself included.
    ranks: Vec<(f64, f64)>,
    n_scores: usize,
    /// The others of the ranks are of deploys.
    n_commits: usize,
    n_gated: usize,
}

impl Curve {
    pub(super) fn n_scored(&self) -> u64 {
        count(self.n_scores)
    }

    pub(super) fn n_commits(&self) -> u64 {
        count(self.n_commits)
    }

    pub(super) fn n_known(&self) -> u64 {
        count(self.ranks.len())
    }

    fn n_guilty(&self) -> f64 {
        number(self.n_known())
    }

    /// How many of the guilty are among the riskiest `share` of all. Equal scores at the edge count with the chance
    /// that they are taken: a model that gives all the same captures no more than chance does.
    fn n_captured(&self, share: f64) -> f64 {
        let taken = share * number(self.n_scored());
        let of = |(above, alike): &(f64, f64)| ((taken - above) / alike).clamp(0.0, 1.0);
        self.ranks.iter().map(of).sum()
    }

    /// The same as a share of the guilty; `None` if there are none.
    pub(super) fn captured(&self, share: f64) -> Option<f64> {
        (!self.ranks.is_empty()).then(|| round(self.n_captured(share) / self.n_guilty(), 1e6))
    }

    pub(super) fn marks(&self) -> Vec<Captured> {
        let mark = |share| Captured {
            share,
            captured: self.captured(share),
            interval: Share::of_weight(self.n_captured(share), self.n_guilty()),
        };
        SHARES.into_iter().map(mark).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Change, Timestamp, UnitInterval};

    fn scored(i: usize, probability: f64, ai: Assistance) -> ScoredChange {
        ScoredChange {
            change: Change {
                service: "s".parse().expect("a name"),
                sha: i.to_string().into(),
            },
            time: Timestamp::from_millis(0),
            probability: UnitInterval::clamped(probability),
            at_reference: UnitInterval::clamped(probability),
            ai,
            gated: probability > 0.8,
            contributions: Vec::new(),
        }
    }

    fn by_sha(i: usize) -> CausedBy<'static> {
        CausedBy {
            sha: Some(i.to_string().into()),
            deploy_id: None,
        }
    }

    fn with(probabilities: &[f64], culprits: &[usize]) -> Vec<Option<f64>> {
        let mut capture = Capture::default();
        for (i, probability) in probabilities.iter().enumerate() {
            capture.score(&scored(i, *probability, Assistance::None), Criticality::Medium);
        }
        for culprit in culprits {
            capture.blame("s", &by_sha(*culprit));
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

    /// AI makes most changes of a service that fails three times as often as another whose changes look as risky.
    #[test]
    fn what_a_service_does_is_not_put_down_to_ai_that_is_used_there() {
        let mut capture = Capture::default();
        for i in 0..4_000 {
            let is_frail = i % 2 == 0;
            let service = if is_frail { "frail" } else { "steady" };
            let has_ai = i / 2 % 10 < if is_frail { 8 } else { 2 };
            let assistance = if has_ai { Assistance::Assisted } else { Assistance::None };
            let mut change = scored(i, 0.1, assistance);
            change.change.service = service.parse().expect("a name");
            capture.score(&change, Criticality::Medium);
            if i / 20 % 10 < if is_frail { 3 } else { 1 } {
                capture.blame(service, &by_sha(i));
            }
        }
        let (cells, strata) = capture.cells();
        let odds = OddsRatio::of(strata.values()).expect("enough");
        assert!(odds.low < 1.0 && odds.high > 1.0, "{odds:?}");
        let crude = OddsRatio::of(cells.iter().map(|cell| &cell.counts)).expect("enough");
        assert!(crude.low > 1.0, "the confounder is one: {crude:?}");
    }

    /// AI makes the riskier half of the changes here, and of equal risk fails as often as people do.
    #[test]
    fn a_larger_mix_of_risky_changes_is_not_put_down_to_ai() {
        let mut capture = Capture::default();
        for i in 0..4_000 {
            let risky = i % 2 == 0;
            let ai = i % 10 < if risky { 8 } else { 2 };
            let assistance = if ai { Assistance::Authored } else { Assistance::None };
            let probability = if risky { 0.4 } else { 0.1 };
            capture.score(&scored(i, probability, assistance), Criticality::Medium);
            // Four times as many of the risky ones, whoever made them.
            if i / 10 % 20 < if risky { 8 } else { 2 } {
                capture.blame("s", &by_sha(i));
            }
        }
        let ai = capture.ai(crate::score::Fleet::default().ai_evidence());
        let failed = |place: usize| ai.classes[place].failed_share.expect("changes").share;
        assert!(failed(2) > 1.3 * failed(0), "{ai:?}");
        let same_risk = ai.same_risk.expect("failures on both sides");
        assert!(same_risk.low < 1.0 && same_risk.high > 1.0, "{same_risk:?}");
        assert_eq!((ai.classes[3].changes, ai.classes[3].failed_share), (0, None));
    }
}
