//! What came of a replay, as `--json` prints it.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    adjusted::{Cell, OddsRatio},
    gated::GatedChange,
    interval::{Rate, Share},
    passing::{KnownChanges, WhileFrozen},
    told::ToldSummary,
};
use crate::{
    model::{Criticality, UnitInterval},
    score::{AiEvidence, LearnedWeight},
};

/// A rule of the policy that meets more of the changes than this is one that people learn to work around.
pub(super) const RULE_SHARE_MAX: f64 = 0.25;

/// What came of a replay. The order of the fields, and of the keys of every map, is fixed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    pub schema: &'static str,
    /// `sha256:` and the digest of the policy.
    pub policy: Box<str>,
    /// The times of the first and the last event.
    pub from: Option<String>,
    pub to: Option<String>,
    /// Up to when time ran on.
    pub until: Option<String>,
    /// Services that an event is of.
    pub services: u64,
    pub events: EventCounts,
    pub decisions: DecisionCounts,
    /// How long services were held, in hours summed over them. A person's freeze counts as enforced: it holds in any mode.
    pub held_hours: BTreeMap<&'static str, ModeHours>,
    /// Of freezes and their hours those by windows of the policy, and by people.
    pub told: ToldSummary,
    pub changes: ChangeSummary,
    pub while_frozen: WhileFrozen,
    pub known_changes: KnownChanges,
    pub capture: CaptureSummary,
    pub deploys: DeployCounts,
    pub freezes: FreezeCounts,
    pub detection: DetectionSummary,
    /// The same by tier of the service, as the policy and the catalog had it when it happened; those without anything
    /// are left out.
    pub tiers: BTreeMap<&'static str, TierSummary>,
    pub ai: AiSummary,
    pub learned: LearnedSummary,
    pub warnings: Vec<String>,
}

/// Lines by fate: consumed = applied + duplicates + rejected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventCounts {
    pub consumed: u64,
    pub applied: u64,
    pub duplicates: u64,
    pub rejected: u64,
    /// Applied, but too late to be evidence.
    pub late: u64,
    /// Applied ones.
    pub by_kind: BTreeMap<&'static str, u64>,
    pub rejected_by_reason: BTreeMap<&'static str, u64>,
}

/// Decisions by action and mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecisionCounts {
    pub services: BTreeMap<&'static str, ModeCounts>,
    pub changes: BTreeMap<&'static str, ModeCounts>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct ModeCounts {
    pub shadow: u64,
    pub enforce: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ModeHours {
    pub shadow: f64,
    pub enforce: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangeSummary {
    pub scored: u64,
    /// Sent to extra review when they landed.
    pub gated: u64,
    pub gated_share: Option<f64>,
    /// Of those, the ones that risk sent, whether or not a rule did too.
    pub gated_by_risk: u64,
    pub gated_by_risk_share: Option<f64>,
    /// The share that the policy lets risk send, where a tier has none of its own.
    pub review_budget: UnitInterval,
    /// Only advised, whatever the mode: rules ask for approvals of a level, and none of a known level was seen.
    pub gated_advised_only: u64,
    /// The riskiest that were sent, 100 at most, the riskiest first.
    pub gated_riskiest: Vec<GatedChange>,
    pub rules: Vec<RuleHits>,
    pub fates: ChangeFates,
}

/// Which changes incidents and reverts name as their cause: of those sent to extra review, and of those let by. Of the
/// commits whose scores were kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ChangeFates {
    pub gated_failed: u64,
    pub gated_failed_share: Option<Share>,
    pub let_by_failed: u64,
    pub let_by_failed_share: Option<Share>,
}

/// How many changes a rule of the policy asked something of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleHits {
    pub name: Box<str>,
    pub hits: u64,
    pub share: Option<f64>,
}

/// Of the commits and deploys that incidents and reverts name as their cause, how many were among the riskiest. A deploy
/// stands where the riskiest of its commits does, and was sent to review if any of them was.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CaptureSummary {
    pub commits_named: u64,
    /// Of those, the ones whose score is known.
    pub commits_known: u64,
    /// Named by incidents that name no commit.
    pub deploys_named: u64,
    /// Of those, the ones that told of a commit whose score is known. The shares are of commits and deploys that are known.
    pub deploys_known: u64,
    /// The share of commits whose scores were kept; below 1, the figures are of a sample.
    pub sampled: f64,
    pub riskiest: Vec<Captured>,
    /// The share that was sent to extra review.
    pub gated: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Captured {
    pub share: f64,
    pub captured: Option<f64>,
    pub interval: Option<Share>,
}

/// Seconds that half of the cases do not exceed, and nine in ten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    pub n: u64,
    pub p50: u64,
    pub p90: u64,
    pub max: u64,
}

impl Quantiles {
    /// Of values in ascending order; `None` of none.
    pub(super) fn of(ascending: &[u64]) -> Option<Self> {
        let at = |tenths: usize| ascending.get((ascending.len() * tenths).div_ceil(10).saturating_sub(1));
        Some(Self {
            n: count(ascending.len()),
            p50: *at(5)?,
            p90: *at(9)?,
            max: *ascending.last()?,
        })
    }
}

/// Changes by how AI had part in them, as their authors said.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AiSummary {
    pub classes: Vec<AiClass>,
    /// With AI against without, within services and tenths of their tier's risk; `None` for fewer than 5 failures on
    /// either side that both could have had.
    pub same_risk: Option<OddsRatio>,
    /// By tier and quarter of risk, to look at.
    pub strata: Vec<Cell>,
    /// What the fleet's own test had come to at the end: of changes that were deployed, by rollbacks and incidents.
    pub tested: AiEvidence,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AiClass {
    pub assistance: &'static str,
    pub changes: u64,
    pub gated: u64,
    pub gated_share: Option<f64>,
    /// Named by incidents or reverts as their cause.
    pub failed: u64,
    pub failed_share: Option<Share>,
}

/// What incidents that name changes had taught of commit risk at the end, the whole fleet together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LearnedSummary {
    /// Changes known to have caused incidents that were compared with those beside them.
    pub verdicts: u64,
    /// Of each measure, and of AI and the author's level, which are in no score.
    pub weights: Vec<LearnedWeight>,
}

/// One tier.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TierSummary {
    /// Commits whose scores were kept.
    pub commits: u64,
    /// Of those, the ones that caused incidents; and deploys that did, by the riskiest of their commits.
    pub commits_known: u64,
    pub deploys_known: u64,
    pub riskiest: Vec<Captured>,
    pub watched: u64,
    pub alarm_after_seconds: Option<Quantiles>,
    pub evidence_borne_out: u64,
    pub evidence_not_borne_out: u64,
    pub not_borne_out_share: Option<Share>,
    pub not_borne_out_per_100_deploys: Option<Rate>,
    pub held_hours: BTreeMap<&'static str, ModeHours>,
    /// Of those of freezes, the ones by windows of the policy and by people.
    pub told_hours: ModeHours,
}

impl CaptureSummary {
    /// Of how many causes the shares are.
    pub(super) fn n_known(&self) -> u64 {
        self.commits_known + self.deploys_known
    }
}

impl TierSummary {
    /// For how long something that was found froze services.
    pub(super) fn frozen_hours(&self) -> ModeHours {
        let all = self.held_hours.get("freeze").copied().unwrap_or(ModeHours::ZERO);
        all.without(self.told_hours)
    }

    /// Whether nothing happened in it.
    pub(super) fn is_empty(&self) -> bool {
        let held = self.held_hours.values().any(|hours| hours.shadow + hours.enforce > 0.0);
        self.commits == 0 && self.watched == 0 && !held
    }
}

/// Watched deploys by verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeployCounts {
    pub watched: u64,
    pub healthy: u64,
    pub regressed: u64,
    pub unknown: u64,
    pub alarm_after_seconds_median: Option<u64>,
    pub alarm_after_seconds: Option<Quantiles>,
}

/// New freezes, in either mode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FreezeCounts {
    /// By the code of their reason.
    pub by_ground: BTreeMap<Box<str>, u64>,
    /// Freezes by evidence with an incident that was open, or one or a deploy taken back within two hours on either side;
    /// or whose own deploy was taken back, or named by an incident, within a day.
    pub evidence_borne_out: u64,
    pub evidence_not_borne_out: u64,
    /// Of the weeks in which errors were told; `None` for less than a day of them.
    pub not_borne_out_per_week: Option<f64>,
    pub not_borne_out_per_week_interval: Option<Rate>,
    /// Of all freezes by evidence, those without.
    pub not_borne_out_share: Option<Share>,
    /// For 100 watched deploys.
    pub not_borne_out_per_100_deploys: Option<Rate>,
    /// Proposals that the limiter refused, one a minute while a freeze is due.
    pub withheld: u64,
    /// Services, each in an environment, whose freezes it refused.
    pub withheld_services: u64,
}

/// What incidents say of freezes and watches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DetectionSummary {
    pub incidents: u64,
    /// Incidents whose service a freeze by evidence held already.
    pub incidents_frozen_before: u64,
    /// Incidents at a time at which no errors had been told for a day, so that nothing could freeze by them.
    pub incidents_without_errors: u64,
    /// Of those with errors.
    pub frozen_before_share: Option<Share>,
    /// How long before them the freeze had begun.
    pub frozen_before_seconds: Option<Quantiles>,
    /// Deploys that incidents name as their cause, and what their watches found.
    pub deploys_blamed: u64,
    pub blamed_regressed: u64,
    pub blamed_healthy: u64,
    /// Not watched, or too little seen.
    pub blamed_unknown: u64,
}

impl Summary {
    /// The tiers in which something happened, the weightiest first.
    pub(super) fn tiers_by_weight(&self) -> impl Iterator<Item = (&'static str, &TierSummary)> {
        let tiers = Criticality::ALL.into_iter().rev();
        tiers.filter_map(|tier| {
            self.tiers
                .get_key_value(tier.name())
                .map(|(name, summary)| (*name, summary))
        })
    }
}

/// `part` of `whole` to six decimals; `None` of nothing.
pub(super) fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| round(number(part) / number(whole), 1e6))
}

#[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "counts far below 2⁵³")]
pub(super) fn number(count: u64) -> f64 {
    count as f64
}

/// How many there are, as counts are kept.
pub(super) fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

pub(super) fn round(value: f64, per_unit: f64) -> f64 {
    (value * per_unit).round() / per_unit
}

/// Milliseconds as hours to three decimals.
pub(super) fn hours(ms: i64) -> f64 {
    let duration = std::time::Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    round(duration.as_secs_f64() / 3_600.0, 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_cases_do_not_exceed_the_median_and_nine_in_ten_the_other() {
        let of = |n: u64| {
            let quantiles = Quantiles::of(&(1..=n).collect::<Vec<_>>());
            quantiles.map(|of| (of.p50, of.p90, of.max))
        };
        assert_eq!(
            [0, 1, 2, 3, 10, 11].map(of),
            [
                None,
                Some((1, 1, 1)),
                Some((1, 2, 2)),
                Some((2, 3, 3)),
                Some((5, 9, 10)),
                Some((6, 10, 11)),
            ]
        );
    }
}
