//! The fleet's state machine: the limiter, and what all partitions are told.
//!
//! At most so many *new* freezes are granted an hour and four hours, per environment and mode: the scorer is software
//! too, and may not freeze the company. It also learns, per tier, above which loss a change is among the riskiest.

mod census;

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

use self::census::Census;
use super::{
    Said, Saying,
    calibration::Counts,
    policy::{Limiter, Policy},
    risk::{LearnedWeight, Learner, Rate},
    trend::{AiEvidence, AiOutlook, Trend},
};
use crate::model::{
    Bulletin, Criticality, Ground, Message, Mode, RiskWeights, Timestamp, Trace, UnitInterval, Watched, hash_text,
};

const HOUR: Duration = Duration::from_hours(1);
const FOUR_HOURS: Duration = Duration::from_hours(4);
/// A grant asked for again within this is the same grant.
const SAME: Duration = Duration::from_mins(5);
/// Grants of four hours, at most: beyond this nobody gets one. One takes up to 30 bytes of a snapshot.
const GRANTS_MAX: usize = 20_000;
/// Losses remembered per tier, and the least number that gives a quantile.
const LOSSES_MAX: usize = 500;
const LOSSES_MIN: usize = 50;
/// A quantile that moved less than this share is not told again.
const MOVED: f64 = 0.02;
/// Nor are weights of commit risk of which none moved by so much, in logits.
const WEIGHT_MOVED: f32 = 0.005;
/// Nor a rate of incidents that moved less than this share.
const RATE_MOVED: f64 = 0.05;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Fleet {
    known: Census,
    grants: VecDeque<Grant>,
    /// Per tier, the last losses in order of arrival.
    losses: [VecDeque<f64>; 4],
    told: Bulletin,
    /// What evidence is weighed by.
    counts: Counts,
    n_withheld: u64,
    /// What incidents teach of changes; `None` before the first that names one.
    learner: Option<Box<Learner>>,
    /// How often changes cause incidents.
    rate: Rate,
    trend: Trend,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Grant {
    at: Timestamp,
    /// Hashes of the names.
    service: u64,
    environment: u64,
    mode: Mode,
    ground: Ground,
}

impl Fleet {
    /// Proposals answered with no, ever.
    #[must_use]
    pub fn n_withheld(&self) -> u64 {
        self.n_withheld
    }

    /// Services known, each as often as it has environments.
    #[must_use]
    pub fn n_known(&self) -> u64 {
        self.known.total()
    }

    /// Changes known to have caused incidents, that the weights of commit risk were learned from.
    #[must_use]
    pub fn n_verdicts(&self) -> u64 {
        self.learner.as_ref().map_or(0, |learner| learner.n_verdicts())
    }

    /// The weights of commit risk with their intervals; those of other projects before the first verdict. AI assistance
    /// and the author's level are among them: what goes with them beside all measures, which is no part of any score.
    #[must_use]
    pub fn learned_weights(&self) -> Vec<LearnedWeight> {
        self.learner
            .as_ref()
            .map_or_else(|| Learner::default().learned(), |learner| learner.learned())
    }

    /// What it knows of changes that AI had a part in, for people.
    #[must_use]
    pub fn ai_outlook(&self, now: Timestamp) -> AiOutlook {
        self.trend.outlook(now)
    }

    /// How much more often changes fail that AI had a part in, with the interval and n.
    #[must_use]
    pub fn ai_evidence(&self) -> AiEvidence {
        self.trend.evidence()
    }

    pub(crate) fn step(&mut self, message: &Message<'_>, now: Timestamp, policy: &Policy, sayings: &mut Vec<Saying>) {
        match message {
            Message::Presence { environment, known, .. } => self.known.note(environment, *known),
            Message::Propose {
                service,
                environment,
                mode,
                ground,
            } => {
                let asked = Grant {
                    at: now,
                    service: hash_text(service),
                    environment: hash_text(environment),
                    mode: *mode,
                    ground: *ground,
                };
                let answer = Message::Answer {
                    service: service.clone().into_owned().into(),
                    environment: environment.clone().into_owned().into(),
                    ground: *ground,
                    granted: self.grant(asked, self.known.of(environment), &policy.limiter),
                };
                say(answer, sayings);
                if *ground == Ground::Evidence
                    && let Some(at) = self.counts.alarmed(hash_text(service), now)
                {
                    self.tell_calibration(policy.evidence.watches_per_week, Some(at), sayings);
                }
            }
            Message::Watched(watched) => self.watched(watched, now, policy, sayings),
            Message::Loss { tier, loss } => self.land(*tier, *loss, policy, sayings),
            Message::Approved { at } => self.note_approval(*at, sayings),
            Message::Verdict {
                share,
                guilty,
                beside,
                is_timely,
            } => {
                if *is_timely {
                    self.rate.reveal(f64::from(*share));
                }
                self.learn(*share, *guilty, beside, sayings);
            }
            Message::Deployed { at, n_changes } => self.trend.deployed(*at, *n_changes),
            Message::Failed { lot, rivals } => {
                self.trend.failed(lot, *rivals);
                self.tell(&[], policy, sayings);
            }
            Message::Left { lot } => self.trend.left(lot),
            // Not for the fleet.
            Message::Answer { .. }
            | Message::Bulletin(_)
            | Message::Calls { .. }
            | Message::Ask(_)
            | Message::Told(_) => {}
        }
    }

    /// Another policy is in force: what it asks of each tier is told at once, not with the tier's next change.
    pub(crate) fn reconsider(&mut self, policy: &Policy, sayings: &mut Vec<Saying>) {
        self.tell(&Criticality::ALL, policy, sayings);
    }

    /// Tells all partitions what is told of the fleet.
    fn publish(&self, sayings: &mut Vec<Saying>) {
        say(Message::Bulletin(Box::new(self.told)), sayings);
    }

    /// Told on once an hour.
    fn note_approval(&mut self, at: Timestamp, sayings: &mut Vec<Saying>) {
        if self.told.approved_at.is_none_or(|told| at.since(told) >= HOUR) {
            self.told.approved_at = Some(at);
            self.publish(sayings);
        }
    }

    /// Takes in that a change landed, and its loss.
    fn land(&mut self, tier: Criticality, loss: f64, policy: &Policy, sayings: &mut Vec<Saying>) {
        let losses = &mut self.losses[tier.index()];
        if losses.len() >= LOSSES_MAX {
            losses.pop_front();
        }
        losses.push_back(loss);
        self.rate.land_any();
        self.tell(&[tier], policy, sayings);
    }

    /// Takes in what an incident said of a change, and tells all partitions when that moved a weight.
    fn learn(&mut self, share: f32, guilty: Trace, beside: &[Trace], sayings: &mut Vec<Saying>) {
        if !beside.is_empty() {
            let learner = self.learner.get_or_insert_default();
            learner.learn(f64::from(share), guilty, beside);
        }
        let weights = self.learner.as_ref().map(|learner| learner.weights());
        let have_weights_moved = match (&self.told.weights, &weights) {
            (Some(told), Some(weights)) => has_moved(told, weights),
            (None, Some(_)) => true,
            (_, None) => false,
        };
        if have_weights_moved || self.has_rate_moved() {
            self.told.weights = weights.or(self.told.weights);
            self.note_rate();
            self.publish(sayings);
        }
    }

    /// The odds of an incident that were told; before that, those believed at first.
    fn odds_told(&self) -> f64 {
        let told = self.told.incident_odds;
        told.map_or_else(|| Rate::default().fleet_odds(), f64::from)
    }

    /// Whether the rate of incidents is another than was told.
    fn has_rate_moved(&self) -> bool {
        let seen_told = self.told.incident_odds_seen.map_or(0.0, f64::from);
        let has_moved = |told: f64, is: f64| is > 0.0 && (is / told).ln().abs() > RATE_MOVED;
        has_moved(self.odds_told(), self.rate.fleet_odds()) || has_moved(seen_told, self.rate.seen_odds())
    }

    fn note_rate(&mut self) {
        let seen = self.rate.seen_odds();
        self.told.incident_odds = Some(four_digits(self.rate.fleet_odds()));
        self.told.incident_odds_seen = (seen > 0.0).then(|| four_digits(seen));
        self.told.calibration.mean_prior = self.counts.mean_prior(self.odds_told());
    }

    /// A deploy's watch begins somewhere.
    fn watched(&mut self, watched: &Watched, now: Timestamp, policy: &Policy, sayings: &mut Vec<Saying>) {
        if self.counts.watched(watched, self.odds_told(), now) {
            let shared_alarm_at = self.told.calibration.shared_alarm_at;
            self.tell_calibration(policy.evidence.watches_per_week, shared_alarm_at, sayings);
        }
    }

    /// Tells all partitions what evidence is weighed by.
    fn tell_calibration(&mut self, presumed: f64, shared_alarm_at: Option<Timestamp>, sayings: &mut Vec<Saying>) {
        self.told.calibration = self.counts.told(presumed, self.odds_told(), shared_alarm_at);
        self.publish(sayings);
    }

    /// Whether it may freeze; `n_known` is how many services its environment has.
    fn grant(&mut self, asked: Grant, n_known: u32, limiter: &Limiter) -> bool {
        let now = asked.at;
        while self
            .grants
            .front()
            .is_some_and(|grant| now.since(grant.at) >= FOUR_HOURS)
        {
            self.grants.pop_front();
        }
        let alike = |grant: &&Grant| {
            (grant.environment, grant.mode) == (asked.environment, asked.mode)
                && (grant.ground == Ground::Incident) == (asked.ground == Ground::Incident)
        };
        let again = |grant: &Grant| {
            (grant.service, grant.ground) == (asked.service, asked.ground) && now.since(grant.at) < SAME
        };
        if self.grants.iter().filter(alike).any(again) {
            return true;
        }
        let within = |window: Duration| {
            self.grants
                .iter()
                .filter(alike)
                .filter(|grant| now.since(grant.at) < window)
                .count()
        };
        let limit = |share: UnitInterval, min| limit(n_known, share.value(), min);
        let granted = self.grants.len() < GRANTS_MAX
            && match asked.ground {
                Ground::Evidence | Ground::Burn => {
                    within(HOUR) < limit(limiter.new_per_hour_share, limiter.new_per_hour_min)
                        && within(FOUR_HOURS) < limit(limiter.new_per_four_hours_share, limiter.new_per_four_hours_min)
                }
                Ground::Incident => {
                    within(HOUR) < limit(limiter.incident_per_hour_share, limiter.incident_per_hour_min)
                }
            };
        if granted {
            self.grants.push_back(asked);
        } else {
            self.n_withheld += 1;
        }
        granted
    }

    /// Tells all partitions the quantiles of the tiers of which they may be others, and how much more often changes with AI
    /// fail, when one has moved.
    fn tell(&mut self, tiers: &[Criticality], policy: &Policy, sayings: &mut Vec<Saying>) {
        let (mut losses, mut medians) = (self.told.losses, self.told.medians);
        for tier in tiers
            .iter()
            .filter(|tier| self.losses[tier.index()].len() >= LOSSES_MIN)
        {
            let place = tier.index();
            let mut known: Vec<f64> = self.losses[place].iter().copied().collect();
            let risky = nearest_rank(&mut known, 1.0 - policy.budget(*tier).value());
            losses[place] = unless_near(losses[place], risky);
            medians[place] = unless_near(medians[place], nearest_rank(&mut known, 0.5));
        }
        let ai_multiplier = unless_near(self.told.ai_multiplier, self.trend.multiplier());
        let told = &self.told;
        if (losses, medians, ai_multiplier) != (told.losses, told.medians, told.ai_multiplier) || self.has_rate_moved()
        {
            (self.told.losses, self.told.medians) = (losses, medians);
            self.told.ai_multiplier = ai_multiplier;
            self.note_rate();
            self.publish(sayings);
        }
    }
}

fn say(message: Message<'static>, sayings: &mut Vec<Saying>) {
    sayings.push(Saying {
        by: None,
        said: Said::Message(message),
    });
}

/// The value to tell: what was told, unless it has moved by more than [`MOVED`].
fn unless_near(told: Option<f64>, value: Option<f64>) -> Option<f64> {
    match (told, value) {
        (Some(told), Some(value)) if (value - told).abs() <= MOVED * told.abs() => Some(told),
        _ => value,
    }
}

/// To four significant digits, so that machines agree.
fn four_digits(odds: f64) -> f32 {
    format!("{odds:.3e}").parse().unwrap_or(f32::MIN_POSITIVE)
}

fn has_moved(told: &RiskWeights, weights: &RiskWeights) -> bool {
    let pairs = told.linear.iter().zip(&weights.linear);
    let mut pairs = pairs.chain(told.square.iter().zip(&weights.square));
    pairs.any(|(told, weight)| (told - weight).abs() > WEIGHT_MOVED)
}

/// The greater of a share of the known services and a minimum.
fn limit(n_known: u32, share: f64, min: u32) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "a count within 0 to n_known"
    )]
    let by_share = (f64::from(n_known) * share).floor() as usize;
    by_share.max(usize::try_from(min).unwrap_or(usize::MAX))
}

/// The value that a share `quantile` of `values` does not exceed, which are put in another order; `None` where there is
/// none.
fn nearest_rank(values: &mut [f64], quantile: f64) -> Option<f64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "a rank within 1 to 500"
    )]
    let rank = ((quantile * values.len() as f64).ceil() as usize).clamp(1, values.len().max(1));
    (rank <= values.len()).then(|| *values.select_nth_unstable_by(rank - 1, f64::total_cmp).1)
}

#[cfg(test)]
mod tests;
