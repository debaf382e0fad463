//! Two policies over one history, read once: what would change.

use std::{cmp::Reverse, collections::BTreeSet};

use serde::Serialize;

use super::{
    drive::Replay,
    holding::{Passes, Total},
    merge::Arrival,
    policies::ComparedPolicies,
    riskiest::Riskiest,
    summary::{Summary, count, hours},
};
use crate::{
    ingest::Reject,
    model::{Action, Decision, EnvironmentId, Mode, Sequence, ServiceId, Subject, UnitInterval},
    score::Said,
};

/// Changes decided differently that are named: the riskiest of them in the file's order. The rest is counted.
const CHANGES_MAX: usize = 500;
/// Services held differently that are named, those with the greatest difference first.
const SERVICES_MAX: usize = 500;

/// Two replays side by side: A by the policy in use, B by the one to be compared with it.
#[derive(Debug)]
pub struct Comparison {
    a: Replay,
    b: Replay,
    policies: ComparedPolicies,
    /// Without those that are named.
    changes: ChangeDifferences,
    riskiest: Riskiest<ChangeDifference>,
    /// How much of what A said is compared already.
    n_compared: usize,
}

/// Changes on which the two decided differently when they landed.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ChangeDifferences {
    pub compared: u64,
    pub differ: u64,
    /// Sent to extra review by one and not by the other.
    pub reviewed_only_by_a: u64,
    pub reviewed_only_by_b: u64,
    /// Sent to extra review by both, which binds under one of them only.
    pub only_in_mode: u64,
    /// Not of those that differ: of low loss under one of the two only, so that it passes a freeze that lets low loss by.
    pub differ_in_low_loss: u64,
    /// The riskiest of them, 500 at most, in the file's order.
    pub first: Vec<ChangeDifference>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangeDifference {
    pub service: ServiceId,
    pub sha: Box<str>,
    pub time: String,
    pub a: Side,
    pub b: Side,
}

/// What one of the two policies said of a change.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    pub action: Action,
    pub mode: Mode,
    /// The codes of its reasons.
    pub reasons: Vec<Box<str>>,
}

/// Services that the two held for other times.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct ServiceDifferences {
    /// Services in an environment that either held.
    pub held: u64,
    pub differ: u64,
    /// Of those, the ones that differ in windows of the policy and people's words alone, be it in whether these bind. None
    /// of them is named.
    pub differ_only_as_told: u64,
    /// Of those, the others that are held for as long, to a tenth of an hour. They come last of those named, and are not
    /// shown to people.
    pub differ_only_in_when: u64,
    /// Of all that differ, those held for the same times, which bind under one of them only, or not as long.
    pub only_in_mode: u64,
    /// Whether they differ in hours or not: services whose freezes let low loss by at other times, and those of which
    /// changes must be known at other times, or in another mode.
    pub differ_in_low_loss: u64,
    pub differ_in_known_changes: u64,
    pub freezes_of_a: u64,
    /// Of those, the ones during which B froze too.
    pub freezes_of_a_shared: u64,
    pub freezes_of_b: u64,
    pub freezes_of_b_shared: u64,
    /// Those with the greatest difference.
    pub first: Vec<ServiceDifference>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceDifference {
    pub service: ServiceId,
    pub environment: EnvironmentId,
    pub a: HeldFor,
    pub b: HeldFor,
}

impl ServiceDifference {
    /// Whether its hours differ as they are shown: one may be held for as long at other times.
    pub(super) fn is_seen(&self) -> bool {
        let shown = |held: &HeldFor| {
            let hours = [
                held.freeze_hours,
                held.freeze_hours_enforced,
                held.extra_review_hours,
                held.extra_review_hours_enforced,
            ];
            hours.map(|hours| format!("{hours:.1}"))
        };
        shown(&self.a) != shown(&self.b)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct HeldFor {
    /// Frozen for what was found, windows and people's words apart.
    pub freezes: u64,
    pub freeze_hours: f64,
    /// Of those, the ones that would have blocked.
    pub freeze_hours_enforced: f64,
    /// Frozen by windows of the policy and by people.
    pub told_hours: f64,
    pub told_hours_enforced: f64,
    pub extra_review_hours: f64,
    pub extra_review_hours_enforced: f64,
}

/// What would change, beside both summaries.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    pub b: Summary,
    pub policies: ComparedPolicies,
    pub changes: ChangeDifferences,
    pub services: ServiceDifferences,
}

impl Compared {
    /// Whether the two decided alike everywhere.
    #[must_use]
    pub fn is_same(&self) -> bool {
        let (changes, services) = (&self.changes, &self.services);
        let in_hours = changes.differ + services.differ;
        let in_passes = changes.differ_in_low_loss + services.differ_in_low_loss + services.differ_in_known_changes;
        in_hours + in_passes == 0
    }
}

/// A summary, and what another policy would have made of the same history. The fields are those of A's summary, with
/// `compared` beside them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ComparedSummary<'a> {
    #[serde(flatten)]
    pub a: &'a Summary,
    pub compared: &'a Compared,
}

impl Comparison {
    /// `policies` are those of the two.
    #[must_use]
    pub fn new(a: Replay, b: Replay, policies: ComparedPolicies) -> Self {
        Self {
            a,
            b,
            policies,
            changes: ChangeDifferences::default(),
            riskiest: Riskiest::new(CHANGES_MAX),
            n_compared: 0,
        }
    }

    /// Takes in one line. Says why, if it is refused.
    pub fn take(&mut self, arrival: &Arrival<'_>) -> Option<Reject> {
        let refused = self.a.take(arrival);
        self.b.take(arrival);
        self.compare_said();
        refused
    }

    /// After the last line.
    pub fn finish(&mut self) {
        self.a.finish();
        self.b.finish();
        self.compare_said();
    }

    /// What the policy in use gave.
    #[must_use]
    pub fn a(&self) -> &Replay {
        &self.a
    }

    /// What A said since the last call, in order.
    pub fn take_said(&mut self) -> std::vec::Drain<'_, Said> {
        self.n_compared = 0;
        self.a.take_said()
    }

    #[must_use]
    pub fn b(&self) -> &Replay {
        &self.b
    }

    /// Both have taken in the same events: what they say first on a change, they say now.
    fn compare_said(&mut self) {
        let said_by_a = first_words(self.a.said.get(self.n_compared..).unwrap_or_default());
        for a in said_by_a {
            let mut said_by_b = first_words(&self.b.said);
            if let Some(b) = said_by_b.find(|b| b.subject == a.subject)
                && self.changes.compare(a, b)
                && let Subject::Change(change) = &a.subject
            {
                let risk = a.risk.unwrap_or(UnitInterval::ZERO);
                self.riskiest.offer(risk, || ChangeDifference {
                    service: change.service.clone(),
                    sha: change.sha.clone(),
                    time: a.decided_at.to_string(),
                    a: Side::of(a),
                    b: Side::of(b),
                });
            }
        }
        self.n_compared = self.a.said.len();
        self.b.said.clear();
    }

    /// What would change. Ask when it is finished.
    #[must_use]
    pub fn compared(&self) -> Compared {
        Compared {
            b: self.b.summary(),
            policies: self.policies.clone(),
            changes: ChangeDifferences {
                first: self.riskiest.in_order().cloned().collect(),
                ..self.changes.clone()
            },
            services: self.services(),
        }
    }

    fn compare_passes(&self, differences: &mut ServiceDifferences) {
        let (a, b) = (self.a.passes(), self.b.passes());
        let places: BTreeSet<&(ServiceId, EnvironmentId)> = a.keys().chain(b.keys()).collect();
        let none = Passes::default();
        for place in places {
            let (a, b) = (a.get(place).unwrap_or(&none), b.get(place).unwrap_or(&none));
            differences.differ_in_low_loss += u64::from(a.differ_in_low_loss(b));
            differences.differ_in_known_changes += u64::from(a.differ_in_known(b));
        }
    }

    fn services(&self) -> ServiceDifferences {
        let (a, b) = (self.a.held_totals(), self.b.held_totals());
        let places: BTreeSet<&(ServiceId, EnvironmentId)> = a.keys().chain(b.keys()).collect();
        let none = Total::default();
        let mut differences = ServiceDifferences {
            held: count(places.len()),
            ..ServiceDifferences::default()
        };
        self.compare_passes(&mut differences);
        let mut found: Vec<([i64; 4], ServiceDifference)> = Vec::new();
        for place in places {
            let (a, b) = (a.get(place).unwrap_or(&none), b.get(place).unwrap_or(&none));
            differences.freezes_of_a += a.n_freezes;
            differences.freezes_of_b += b.n_freezes;
            differences.freezes_of_a_shared += n_shared(a, b);
            differences.freezes_of_b_shared += n_shared(b, a);
            if a == b {
                continue;
            }
            differences.differ += 1;
            differences.only_in_mode += u64::from(a.is_but_for_mode(b));
            if a.is_found_like(b) {
                differences.differ_only_as_told += 1;
                continue;
            }
            let (service, environment) = place.clone();
            let difference = ServiceDifference {
                service,
                environment,
                a: held_for(a),
                b: held_for(b),
            };
            let apart = |of: fn(&Total) -> i64| (of(a) - of(b)).abs();
            differences.differ_only_in_when += u64::from(!difference.is_seen());
            let ms = [
                apart(|total| total.freeze.ms.all()),
                apart(|total| total.extra_review.ms.all()),
                apart(|total| total.freeze.ms.enforce),
                apart(|total| total.extra_review.ms.enforce),
            ];
            found.push((ms, difference));
        }
        // Places are in the order of their names, which a stable sort keeps for equal differences.
        found.sort_by_key(|(ms, _)| Reverse(*ms));
        differences.first = found
            .into_iter()
            .take(SERVICES_MAX)
            .map(|(_, difference)| difference)
            .collect();
        differences
    }
}

impl ChangeDifferences {
    /// Counts a change. True: it is decided differently.
    fn compare(&mut self, a: &Decision, b: &Decision) -> bool {
        self.compared += 1;
        let binds_alike = a.mode == b.mode || a.action == Action::Proceed;
        if a.action == b.action && binds_alike {
            self.differ_in_low_loss += u64::from(a.low_loss != b.low_loss);
            return false;
        }
        self.differ += 1;
        self.reviewed_only_by_a += u64::from(a.action > b.action);
        self.reviewed_only_by_b += u64::from(b.action > a.action);
        self.only_in_mode += u64::from(a.action == b.action);
        true
    }
}

impl Side {
    fn of(decision: &Decision) -> Self {
        Self {
            action: decision.action,
            mode: decision.mode,
            reasons: decision.reasons.iter().map(|reason| reason.code.clone()).collect(),
        }
    }
}

/// The first decision on each change, in order.
fn first_words(said: &[Said]) -> impl Iterator<Item = &Decision> {
    said.iter().filter_map(|said| match said {
        Said::Decision(decision) if decision.sequence == Sequence(1) => {
            matches!(decision.subject, Subject::Change(_)).then_some(&**decision)
        }
        Said::Decision(_) | Said::Forget(_) | Said::Message(_) | Said::Scored(_) | Said::Closed(_) => None,
    })
}

/// How many of the freezes of `own` fall together with one of `other`.
fn n_shared(own: &Total, other: &Total) -> u64 {
    let overlaps = |(from, to): &&(_, _)| other.freezes.iter().any(|(begin, end)| begin < to && from < end);
    count(own.freezes.iter().filter(overlaps).count())
}

fn held_for(total: &Total) -> HeldFor {
    HeldFor {
        freezes: total.n_freezes,
        freeze_hours: hours(total.freeze.ms.all()),
        freeze_hours_enforced: hours(total.freeze.ms.enforce),
        told_hours: hours(total.told.ms.all()),
        told_hours_enforced: hours(total.told.ms.enforce),
        extra_review_hours: hours(total.extra_review.ms.all()),
        extra_review_hours_enforced: hours(total.extra_review.ms.enforce),
    }
}
