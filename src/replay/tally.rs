//! Everything that is counted on the way, and how it becomes a summary.

use std::collections::BTreeMap;

use super::{
    capture::Capture,
    detection::Detection,
    holding::Holding,
    summary::{
        ChangeSummary, DecisionCounts, EventCounts, ModeCounts, ModeHours, RuleHits, Summary, count, hours, ratio,
        warnings,
    },
};
use crate::{
    model::{Action, Body, Decision, Event, Kind, Mode, Sequence, Subject, Timestamp},
    score::{Partition, Said},
};

#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) events: Lines,
    pub(super) holding: Holding,
    capture: Capture,
    detection: Detection,
    decisions: Decisions,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
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
    /// An event is about to be stepped.
    pub(super) fn note(&mut self, event: &Event<'_>) {
        self.first = Some(self.first.map_or(event.time, |first| first.min(event.time)));
        self.last = self.last.max(Some(event.time));
        self.detection.note(event, &self.holding);
        if let Body::Incident(incident) = &event.body
            && let Some(sha) = incident.caused_by.as_ref().and_then(|cause| cause.sha.as_deref())
        {
            self.capture.blame(&event.service, sha);
        }
    }

    /// Something was said at `now`.
    pub(super) fn hear(&mut self, said: &Said, now: Timestamp) {
        match said {
            Said::Decision(decision) => {
                self.decisions.count(decision);
                let before = self.holding.take(decision);
                self.detection.decided(decision, before.as_ref());
            }
            Said::Forget(subject) => self.holding.forget(subject, now),
            Said::Scored(scored) => {
                let change = &scored.change;
                self.capture
                    .score(&change.service, &change.sha, scored.probability.value(), scored.gated);
            }
            Said::Closed(watch) => self.detection.closed(watch),
            Said::Message(_) => {}
        }
        self.detection.pass_time(now);
    }

    pub(super) fn finish(&mut self, now: Timestamp) {
        self.holding.finish(now);
        self.detection.finish();
    }

    pub(super) fn summary(&self, partition: &Partition) -> Summary {
        let recorded = match (self.first, self.last) {
            (Some(first), Some(last)) => last.since(first),
            _ => std::time::Duration::ZERO,
        };
        let mut summary = Summary {
            schema: "holdpoint.replay/1",
            policy: partition.policy().digest.clone(),
            from: self.first.map(|at| at.to_string()),
            to: self.last.map(|at| at.to_string()),
            until: self.last.map(|_| partition.now().to_string()),
            services: count(partition.n_services()),
            events: self.event_counts(partition),
            decisions: DecisionCounts {
                services: by_mode(&self.decisions.services),
                changes: by_mode(&self.decisions.changes),
            },
            held_hours: self.held_hours(),
            changes: self.change_summary(),
            capture: self.capture.summary(),
            deploys: self.detection.deploys(),
            freezes: self.detection.freezes(partition.fleet().n_withheld(), recorded),
            detection: self.detection.summary(),
            warnings: Vec::new(),
        };
        summary.warnings = warnings(&summary, partition.policy());
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
        let held = [Action::ExtraReview, Action::Freeze].into_iter();
        held.map(|action| {
            let modes = ModeHours {
                shadow: hours(self.holding.held_ms(action, Mode::Shadow)),
                enforce: hours(self.holding.held_ms(action, Mode::Enforce)),
            };
            (action.name(), modes)
        })
        .collect()
    }

    fn change_summary(&self) -> ChangeSummary {
        let n = self.decisions.n_changes;
        ChangeSummary {
            scored: self.capture.n_scored(),
            gated: self.capture.n_gated(),
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
        }
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
