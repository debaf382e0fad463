//! The fleet's state machine: the blast limiter, and what all partitions are told.
//!
//! At most so many *new* freezes are granted an hour and four hours, per environment and mode: the scorer is software
//! too, and may not freeze the company. It also learns, per tier, above which loss a change is among the riskiest.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    Said, Saying,
    change::tier_index,
    policy::{Limiter, Policy},
    trend::{AiEvidence, Trend},
};
use crate::model::{Bulletin, Criticality, Ground, Message, Mode, Timestamp, hash_text};

const HOUR: Duration = Duration::from_hours(1);
const FOUR_HOURS: Duration = Duration::from_hours(4);
/// A grant asked for again within this is the same grant.
const SAME: Duration = Duration::from_mins(5);
/// Grants of four hours, at most: beyond this nobody gets one.
const GRANTS_MAX: usize = 100_000;
/// Losses remembered per tier, and the least number that gives a quantile.
const LOSSES_MAX: usize = 500;
const LOSSES_MIN: usize = 50;
/// A quantile that moved less than this share is not told again.
const MOVED: f64 = 0.02;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Fleet {
    /// Hashes of the known services, by environment.
    known: BTreeMap<Box<str>, BTreeSet<u64>>,
    grants: VecDeque<Grant>,
    /// Per tier, the last losses in order of arrival.
    losses: [VecDeque<f64>; 4],
    told: Bulletin,
    n_withheld: u64,
    trend: Trend,
}

/// What the fleet as a whole is known by, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FleetReport {
    /// Known services in all environments.
    pub n_services: usize,
    /// New freezes granted within the last four hours, and proposals answered with no, ever.
    pub n_granted: usize,
    pub n_withheld: u64,
    /// Per tier, low to critical: the loss above which risk alone asks for extra review, and the median loss.
    pub losses: [Option<f64>; 4],
    pub medians: [Option<f64>; 4],
    pub ai: AiEvidence,
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

    /// Known services in all environments.
    #[must_use]
    pub fn n_known(&self) -> usize {
        self.known.values().map(BTreeSet::len).sum()
    }

    #[must_use]
    pub fn report(&self) -> FleetReport {
        FleetReport {
            n_services: self.n_known(),
            n_granted: self.grants.len(),
            n_withheld: self.n_withheld,
            losses: self.told.losses,
            medians: self.told.medians,
            ai: self.trend.evidence(),
        }
    }

    pub(crate) fn step(&mut self, message: &Message<'_>, now: Timestamp, policy: &Policy, sayings: &mut Vec<Saying>) {
        match message {
            Message::Presence {
                service,
                environment,
                known,
            } => {
                let services = self.known.entry(environment.as_ref().into()).or_default();
                if *known {
                    services.insert(hash_text(service));
                } else {
                    services.remove(&hash_text(service));
                }
                self.known.retain(|_, services| !services.is_empty());
            }
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
                let n_known = self.known.get(environment.as_ref()).map_or(0, BTreeSet::len);
                let granted = self.grant(asked, n_known, &policy.limiter);
                let answer = Message::Answer {
                    service: service.clone().into_owned().into(),
                    environment: environment.clone().into_owned().into(),
                    ground: *ground,
                    granted,
                };
                sayings.push(Saying {
                    by: None,
                    said: Said::Message(answer),
                });
            }
            Message::Loss { tier, loss } => {
                let losses = &mut self.losses[tier_index(*tier)];
                if losses.len() >= LOSSES_MAX {
                    losses.pop_front();
                }
                losses.push_back(*loss);
                self.tell(policy, sayings);
            }
            Message::Approved { at } => {
                let hours_later = self.told.approved_at.is_none_or(|told| at.since(told) >= HOUR);
                if hours_later {
                    self.told.approved_at = Some(*at);
                    sayings.push(Saying {
                        by: None,
                        said: Said::Message(Message::Bulletin(self.told)),
                    });
                }
            }
            Message::Deployed { tier, at, units } => self.trend.deployed(*tier, *at, units),
            Message::Failed { tier, at, unit } => {
                self.trend.failed(*tier, *at, *unit);
                self.tell(policy, sayings);
            }
            // Not for the fleet.
            Message::Answer { .. }
            | Message::Bulletin(_)
            | Message::Calls { .. }
            | Message::Ask(_)
            | Message::Told(_) => {}
        }
    }

    /// Whether it may freeze; `n_known` is how many services its environment has.
    fn grant(&mut self, asked: Grant, n_known: usize, limiter: &Limiter) -> bool {
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
        let granted = self.grants.len() < GRANTS_MAX
            && match asked.ground {
                Ground::Evidence | Ground::Burn => {
                    within(HOUR) < limit(n_known, limiter.new_per_hour_share.value(), limiter.new_per_hour_min)
                        && within(FOUR_HOURS)
                            < limit(
                                n_known,
                                limiter.new_per_four_hours_share.value(),
                                limiter.new_per_four_hours_min,
                            )
                }
                Ground::Incident => {
                    within(HOUR)
                        < limit(
                            n_known,
                            limiter.incident_per_hour_share.value(),
                            limiter.incident_per_hour_min,
                        )
                }
            };
        if granted {
            self.grants.push_back(asked);
        } else {
            self.n_withheld += 1;
        }
        granted
    }

    /// Tells all partitions the quantiles and what AI changes weigh, when one of them has moved.
    fn tell(&mut self, policy: &Policy, sayings: &mut Vec<Saying>) {
        let mut bulletin = Bulletin {
            ai_multiplier: moved(self.told.ai_multiplier, self.trend.multiplier()),
            ..self.told
        };
        for tier in Criticality::ALL {
            let (place, known) = (tier_index(tier), &self.losses[tier_index(tier)]);
            if known.len() < LOSSES_MIN {
                continue;
            }
            let mut sorted: Vec<f64> = known.iter().copied().collect();
            sorted.sort_unstable_by(f64::total_cmp);
            let quantile = |share| nearest_rank(&sorted, share);
            bulletin.losses[place] = moved(self.told.losses[place], quantile(1.0 - policy.budget(tier).value()));
            bulletin.medians[place] = moved(self.told.medians[place], quantile(0.5));
        }
        if bulletin != self.told {
            self.told = bulletin;
            sayings.push(Saying {
                by: None,
                said: Said::Message(Message::Bulletin(self.told)),
            });
        }
    }
}

/// The value to tell: what was told, unless it has moved by more than [`MOVED`], come or gone.
fn moved(told: Option<f64>, value: Option<f64>) -> Option<f64> {
    match (told, value) {
        (Some(told), Some(value)) if (value - told).abs() <= MOVED * told.abs() => Some(told),
        _ => value,
    }
}

/// The greater of a share of the known services and a minimum.
fn limit(n_known: usize, share: f64, min: u32) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "a count within 0 to n_known"
    )]
    let by_share = (n_known as f64 * share).floor() as usize;
    by_share.max(usize::try_from(min).unwrap_or(usize::MAX))
}

/// The value that a share `quantile` of `sorted` does not exceed; `None` where there is none.
fn nearest_rank(sorted: &[f64], quantile: f64) -> Option<f64> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        clippy::as_conversions,
        reason = "a rank within 1 to 500"
    )]
    let rank = ((quantile * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * 60_000)
    }

    fn asks(fleet: &mut Fleet, service: &str, minute: i64) -> bool {
        let mut sayings = Vec::new();
        let message = Message::Propose {
            service: service.into(),
            environment: "production".into(),
            mode: Mode::Enforce,
            ground: Ground::Evidence,
        };
        fleet.step(&message, at(minute), &Policy::default(), &mut sayings);
        matches!(
            &sayings[..],
            [Saying {
                said: Said::Message(Message::Answer { granted: true, .. }),
                ..
            }]
        )
    }

    #[test]
    fn five_new_freezes_an_hour_and_ten_in_four_are_granted_to_a_small_fleet() {
        let mut fleet = Fleet::default();
        let granted: Vec<bool> = (0..7).map(|i| asks(&mut fleet, &format!("s{i}"), i)).collect();
        assert_eq!(granted, [true, true, true, true, true, false, false]);
        assert!(asks(&mut fleet, "s1", 5), "the same proposal again is the same grant");
        assert!(asks(&mut fleet, "s9", 61), "an hour after the first");
        let later: Vec<bool> = (0..8).map(|i| asks(&mut fleet, &format!("t{i}"), 130)).collect();
        assert_eq!(later.iter().filter(|granted| **granted).count(), 4, "ten in four hours");
        assert_eq!(fleet.n_withheld(), 6);
    }
}
