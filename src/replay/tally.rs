//! Everything that is counted on the way, and how it becomes a summary.

use std::{collections::BTreeMap, time::Duration};

use foldhash::HashSet;

use super::{
    capture::Capture,
    chronicle::Chronicle,
    copies::Copies,
    detection::Detection,
    environments::Environments,
    gated::Gated,
    holding::{HeldMs, Holding, StillHeld},
    interval::{Rate, Share},
    passing::Passing,
    strangers::Strangers,
    summary::{
        ChangeSummary, DecisionCounts, EventCounts, LearnedSummary, ModeCounts, ModeHours, Quantiles, RuleHits,
        Summary, TierSummary, count, hours, number, ratio,
    },
    told::{Told, ToldSummary},
    warnings,
};
use crate::{
    model::{Action, Body, Criticality, Decision, Event, Kind, Mode, Sequence, Subject, Timestamp, hash_text},
    score::{Partition, Policy, Said},
};

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) events: Lines,
    pub(super) holding: Holding,
    pub(super) capture: Capture,
    pub(super) detection: Detection,
    gated: Gated,
    passing: Passing,
    decisions: Decisions,
    /// The hashes of the names of services seen: some are forgotten on the way, after weeks of silence.
    services: HashSet<u64>,
    environments: Environments,
    copies: Copies,
    strangers: Strangers,
    /// The timelines of freezes, where a report is asked for.
    pub(super) chronicle: Option<Box<Chronicle>>,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// What was still held when time ended, and how long after the last event that was.
    still_held: Option<(StillHeld, Duration)>,
}

/// Lines by fate, as far as score does not count them.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) n_lines: u64,
    rejected: BTreeMap<&'static str, u64>,
}

impl Lines {
    /// `reason` is one of a closed set.
    pub(super) fn reject(&mut self, reason: &'static str) {
        self.n_lines += 1;
        *self.rejected.entry(reason).or_default() += 1;
    }
}

#[derive(Debug, Default)]
struct Decisions {
    services: BTreeMap<(Action, Mode), u64>,
    changes: BTreeMap<(Action, Mode), u64>,
    /// Changes decided for the first time, and how many of them each rule of the policy met.
    n_changes: u64,
    rules: BTreeMap<Box<str>, u64>,
}

impl Decisions {
    fn count(&mut self, decision: &Decision) {
        let key = (decision.action, decision.mode);
        if matches!(decision.subject, Subject::Service { .. }) {
            *self.services.entry(key).or_default() += 1;
            return;
        }
        *self.changes.entry(key).or_default() += 1;
        if decision.sequence != Sequence(1) {
            return;
        }
        self.n_changes += 1;
        let rules = decision
            .reasons
            .iter()
            .filter_map(|reason| reason.code.strip_prefix("policy:"));
        for rule in rules {
            *self.rules.entry(rule.into()).or_default() += 1;
        }
    }
}

impl Tally {
    /// An event, told in `file`, is about to be stepped.
    pub(super) fn note(&mut self, event: &Event<'_>, file: &str, default_environment: &str) {
        self.first = Some(self.first.map_or(event.time, |first| first.min(event.time)));
        self.last = self.last.max(Some(event.time));
        if !self.environments.note(event, default_environment) {
            self.services.insert(hash_text(&event.service));
        }
        self.copies.note(event, file);
        self.strangers.note(event);
        if let Some(chronicle) = &mut self.chronicle {
            chronicle.note(event, default_environment);
        }
        match &event.body {
            Body::Incident(incident) => {
                if let Some(cause) = &incident.caused_by {
                    self.capture.blame(&event.service, cause);
                }
            }
            Body::Deploy(deploy) => {
                self.capture.deployed(&event.service, deploy);
                self.passing.deployed(deploy, event, default_environment, &self.holding);
            }
            Body::Commit(_) | Body::Error(_) | Body::Service(_) | Body::Review(_) | Body::Override(_) => {}
        }
        self.detection
            .note(event, default_environment, &self.holding, &self.capture);
    }

    /// Something was said at the partition's time.
    pub(super) fn hear(&mut self, said: &Said, partition: &Partition) {
        let now = partition.now();
        match said {
            Said::Decision(decision) => {
                self.decisions.count(decision);
                self.gated.decided(decision);
                let tier = partition.tier_of(decision.subject.service());
                let before = self.holding.take(decision, tier);
                self.passing.decided(decision, &self.holding);
                self.detection.decided(decision, tier, before.as_ref());
                if let Some(chronicle) = &mut self.chronicle {
                    chronicle.decided(decision, tier, before.as_ref());
                }
            }
            Said::Forget(subject) => {
                self.holding.forget(subject, now);
                self.passing.forget(subject);
            }
            Said::Scored(scored) => {
                let tier = partition.tier_of(&scored.change.service);
                self.capture.score(scored, tier);
                self.gated.scored(scored);
            }
            Said::Closed(watch) => {
                let tier = partition.tier_of(&watch.service);
                self.detection.closed(watch, tier);
            }
            Said::Message(_) => {}
        }
        while let Some(fate) = self.detection.pass_time(now) {
            if let Some(chronicle) = &mut self.chronicle {
                chronicle.judge(&fate);
            }
        }
    }

    /// Time ends at `now`, after the last event at `last`.
    pub(super) fn finish(&mut self, last: Timestamp, now: Timestamp) {
        self.still_held = self.holding.still_held(now).map(|held| (held, now.since(last)));
        self.holding.finish(now);
        while let Some(fate) = self.detection.finish() {
            if let Some(chronicle) = &mut self.chronicle {
                chronicle.judge(&fate);
            }
        }
        if let Some(chronicle) = &mut self.chronicle {
            chronicle.finish();
        }
    }

    pub(super) fn summary(&self, partition: &Partition, default_environment: &str) -> Summary {
        let [let_by, known] = self.holding.passed().map(mode_hours);
        let has_failed = |change| self.capture.is_culprit(change);
        let mut summary = Summary {
            schema: "holdpoint.replay/1",
            policy: partition.policy().digest.clone(),
            from: self.first.map(|at| at.to_string()),
            to: self.last.map(|at| at.to_string()),
            until: self.last.map(|_| partition.now().to_string()),
            services: count(self.services.len()),
            events: self.event_counts(partition),
            decisions: DecisionCounts {
                services: by_mode(&self.decisions.services),
                changes: by_mode(&self.decisions.changes),
            },
            held_hours: self.held_hours(),
            told: ToldSummary::NONE,
            changes: self.change_summary(partition.policy()),
            while_frozen: self.passing.while_frozen(let_by, has_failed),
            known_changes: self.passing.known_changes(known),
            capture: self.capture.summary(),
            deploys: self.detection.deploys(),
            freezes: self.detection.freezes(partition.fleet().n_withheld()),
            detection: self.detection.summary(),
            tiers: self.tiers(),
            ai: self.capture.ai(partition.fleet().ai_evidence()),
            learned: LearnedSummary {
                verdicts: partition.fleet().n_verdicts(),
                weights: partition.fleet().learned_weights(),
            },
            warnings: Vec::new(),
        };
        let told_hours = |told: Told| mode_hours(self.holding.told(told));
        summary.tell(told_hours(Told::Window), told_hours(Told::Person));
        summary.warnings = warnings::of_summary(&summary, partition.policy());
        if let Some((n, told)) = self.copies.found() {
            summary.warnings.push(warnings::of_copies(n, told));
        }
        if let Some(apart) = self.environments.apart() {
            summary.warnings.push(warnings::of_apart(&apart, default_environment));
        }
        if let Some(coarse) = self.environments.coarse() {
            summary.warnings.push(warnings::of_coarse(&coarse));
        }
        if let Some(lonely) = self.environments.lonely() {
            summary.warnings.push(warnings::of_lonely(&lonely));
        }
        if let Some(strange) = self.strangers.found() {
            summary.warnings.push(warnings::of_strange(&strange));
        }
        if let Some((still_held, run_on)) = &self.still_held {
            summary.warnings.push(warnings::of_held(still_held, *run_on));
        }
        summary
    }

    fn event_counts(&self, partition: &Partition) -> EventCounts {
        let applied = partition.applied();
        let kinds = Kind::ALL.into_iter();
        EventCounts {
            consumed: self.events.n_lines,
            applied: applied.by_kind.iter().sum(),
            duplicates: applied.duplicates,
            rejected: self.events.rejected.values().sum(),
            late: partition.n_late(),
            by_kind: kinds.map(|kind| (kind.name(), applied.by_kind[kind.index()])).collect(),
            rejected_by_reason: self.events.rejected.clone(),
        }
    }

    fn held_hours(&self) -> BTreeMap<&'static str, ModeHours> {
        HELD.into_iter()
            .map(|action| (action.name(), mode_hours(self.holding.held(action))))
            .collect()
    }

    fn tiers(&self) -> BTreeMap<&'static str, TierSummary> {
        let tiers = Criticality::ALL.into_iter();
        let summaries = tiers.map(|tier| (tier.name(), self.tier(tier)));
        summaries.filter(|(_, summary)| !summary.is_empty()).collect()
    }

    fn tier(&self, tier: Criticality) -> TierSummary {
        let curve = self.capture.curve(Some(tier));
        let judged = self.detection.judged(tier);
        let watched = self.detection.n_watched(tier);
        let held = |action: Action| (action.name(), mode_hours(self.holding.held_of(action, tier)));
        TierSummary {
            commits: curve.n_scored(),
            commits_known: curve.n_commits(),
            deploys_known: curve.n_known() - curve.n_commits(),
            riskiest: curve.marks(),
            watched,
            alarm_after_seconds: Quantiles::of(&self.detection.delays(Some(tier))),
            evidence_borne_out: judged.borne_out,
            evidence_not_borne_out: judged.not_borne_out,
            not_borne_out_share: Share::of(judged.not_borne_out, judged.borne_out + judged.not_borne_out),
            not_borne_out_per_100_deploys: Rate::of(judged.not_borne_out, number(watched) / 100.0),
            held_hours: HELD.into_iter().map(held).collect(),
            told_hours: mode_hours(self.holding.told_of(tier)),
        }
    }

    fn change_summary(&self, policy: &Policy) -> ChangeSummary {
        let n = self.decisions.n_changes;
        let (scored, gated) = (self.capture.n_scored(), self.capture.n_gated());
        ChangeSummary {
            scored,
            gated,
            gated_share: ratio(gated, scored),
            gated_by_risk: self.gated.n_by_risk,
            gated_by_risk_share: ratio(self.gated.n_by_risk, scored),
            review_budget: policy.base.review.budget,
            gated_advised_only: self.gated.n_advised_only,
            gated_riskiest: self.gated.riskiest(),
            rules: self
                .decisions
                .rules
                .iter()
                .map(|(name, hits)| RuleHits {
                    name: name.clone(),
                    hits: *hits,
                    share: ratio(*hits, n),
                })
                .collect(),
            fates: self.capture.fates(),
        }
    }
}

/// The actions that hold a service.
const HELD: [Action; 2] = [Action::ExtraReview, Action::Freeze];

fn mode_hours(held: HeldMs) -> ModeHours {
    ModeHours {
        shadow: hours(held.shadow),
        enforce: hours(held.enforce),
    }
}

/// Every action is named, whether it was taken or not.
fn by_mode(counts: &BTreeMap<(Action, Mode), u64>) -> BTreeMap<&'static str, ModeCounts> {
    let of = |action, mode| counts.get(&(action, mode)).copied().unwrap_or(0);
    Action::ALL
        .into_iter()
        .map(|action| {
            let modes = ModeCounts {
                shadow: of(action, Mode::Shadow),
                enforce: of(action, Mode::Enforce),
            };
            (action.name(), modes)
        })
        .collect()
}
