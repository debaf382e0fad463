//! What stands: the latest decision per subject, the heartbeats, the ingest workers' marks, and people's words.
//!
//! One thread applies records in the order of their partitions; any number read. What is kept per service is bounded
//! by those who write: score keeps at most 16 environments and 512 changes of a service and deletes the record of what
//! it forgets (changes after 14 days, services after 90). Heartbeats are one per partition, words at most one per
//! service and environment, for 8 days after their end.
//!
//! **Invariants:** each offset of a partition counts once, so reading again from the beginning changes nothing. While
//! a subject lives its sequence never falls; a tombstone ends it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use dashmap::DashMap;
use foldhash::quality::RandomState;

use super::{
    listing::Recent,
    record::{ControlKey, Heartbeat, IngestMark, Record, StandingDecision, Unreadable},
    word::{Scope, Word},
};
use crate::model::{Body, EnvironmentId, Event, Offset, PartitionIndex, ServiceId, Subject, Timestamp};

/// An ingest worker not heard of for so long is gone for good; its name may never come back.
const INGEST_REMEMBERED: Duration = Duration::from_hours(1);

/// Where a record of the control topic lay, and the broker's time of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub partition: PartitionIndex,
    pub offset: Offset,
    pub timestamp: Timestamp,
}

/// A record and the broker's time of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen<T> {
    pub record: T,
    pub timestamp: Timestamp,
}

/// What became of a record.
#[derive(Debug)]
pub enum Applied {
    /// It stands.
    Decision(Arc<StandingDecision>),
    Heartbeat,
    Ingest,
    Forgotten,
    /// Its offset was read before.
    SeenBefore,
    /// The subject is further: its sequence is not above the one that stands.
    Outdated,
    /// A heartbeat, or a tombstone of a subject, on another partition than its own.
    Misplaced,
    Unreadable(Unreadable),
}

/// How many records were passed over, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    pub seen_before: u64,
    pub outdated: u64,
    pub misplaced: u64,
    pub unreadable: u64,
}

/// A decision and the partition that vouches for it.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) decision: Arc<StandingDecision>,
    pub(super) partition: PartitionIndex,
}

#[derive(Debug, Default)]
pub(super) struct OfService {
    /// In the order of their names. Most services have one or two: a tree's first node would take as much as eleven.
    pub(super) environments: Vec<(EnvironmentId, Standing)>,
    changes: BTreeMap<Box<str>, Standing>,
    pub(super) words: BTreeMap<Scope, Arc<Word>>,
}

#[derive(Debug)]
struct Position {
    next: Offset,
    newest: Timestamp,
}

#[derive(Debug, Default)]
struct Counters {
    seen_before: AtomicU64,
    outdated: AtomicU64,
    misplaced: AtomicU64,
    unreadable: AtomicU64,
}

/// The control topic and the overrides, as far as they were read.
#[derive(Debug, Default)]
pub struct View {
    pub(super) services: DashMap<ServiceId, Box<OfService>, RandomState>,
    pub(super) recent: Recent,
    pub(super) heartbeats: DashMap<PartitionIndex, Seen<Arc<Heartbeat>>, RandomState>,
    ingest: DashMap<Box<str>, Seen<IngestMark>, RandomState>,
    positions: DashMap<PartitionIndex, Position, RandomState>,
    counters: Counters,
}

impl View {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in one record, or counts that it could not be read. Records of a partition come in the order of their
    /// offsets.
    pub fn apply(&self, place: Place, read: Result<Record, Unreadable>) -> Applied {
        let applied = if self.advance(place) {
            self.apply_next(place, read)
        } else {
            Applied::SeenBefore
        };
        let counter = match &applied {
            Applied::Decision(_) | Applied::Heartbeat | Applied::Ingest | Applied::Forgotten => return applied,
            Applied::SeenBefore => &self.counters.seen_before,
            Applied::Outdated => &self.counters.outdated,
            Applied::Misplaced => &self.counters.misplaced,
            Applied::Unreadable(_) => &self.counters.unreadable,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        applied
    }

    /// Takes in an override, as ingest's own decoder read it. True: it is the newest of its service and environment.
    /// An event of another kind says nothing here.
    pub fn apply_override(&self, event: &Event<'_>) -> bool {
        let Body::Override(said) = &event.body else {
            return false;
        };
        let Ok(service) = event.service.parse::<ServiceId>() else {
            return false;
        };
        let Ok(scope) = event
            .environment
            .as_deref()
            .map(str::parse::<EnvironmentId>)
            .transpose()
        else {
            return false;
        };
        let word = Word::new(said, event);
        let mut of_service = self.services.entry(service).or_default();
        if of_service
            .words
            .get(&scope)
            .is_some_and(|known| known.age_order(&word).is_gt())
        {
            return false;
        }
        of_service.words.insert(scope, Arc::new(word));
        true
    }

    /// Forgets words that ended long ago and ingest workers long silent. To be called every minute or so.
    pub fn sweep(&self, now: Timestamp) {
        self.services.retain(|_, of_service| {
            of_service.words.retain(|_, word| !word.is_forgotten(now));
            !of_service.is_empty()
        });
        self.ingest
            .retain(|_, seen| now.since(seen.timestamp) <= INGEST_REMEMBERED);
    }

    /// The latest decision on a service in an environment, in force or not.
    #[must_use]
    pub fn decision(&self, service: &ServiceId, environment: &EnvironmentId) -> Option<Arc<StandingDecision>> {
        self.standing(service, environment).map(|standing| standing.decision)
    }

    /// The latest decisions on a service, by environment.
    #[must_use]
    pub fn decisions(&self, service: &ServiceId) -> Vec<Arc<StandingDecision>> {
        let of_service = self.services.get(service);
        of_service
            .iter()
            .flat_map(|known| &known.environments)
            .map(|(_, standing)| standing.decision.clone())
            .collect()
    }

    /// The latest decision on a change, in force or not.
    #[must_use]
    pub fn change(&self, service: &ServiceId, sha: &str) -> Option<Arc<StandingDecision>> {
        Some(self.services.get(service)?.changes.get(sha)?.decision.clone())
    }

    /// The newest word on a service in an environment, be it about that one or about all; it may have ended.
    #[must_use]
    pub fn word(&self, service: &ServiceId, environment: &EnvironmentId) -> Option<Arc<Word>> {
        self.services.get(service)?.word(Some(environment)).cloned()
    }

    /// The last heartbeat of a partition's owner.
    #[must_use]
    pub fn heartbeat(&self, partition: PartitionIndex) -> Option<Seen<Arc<Heartbeat>>> {
        self.heartbeats.get(&partition).map(|seen| seen.clone())
    }

    /// The marks of the ingest workers heard of, by instance.
    #[must_use]
    pub fn ingest_marks(&self) -> Vec<Seen<IngestMark>> {
        let mut marks: Vec<_> = self.ingest.iter().map(|seen| seen.clone()).collect();
        marks.sort_unstable_by(|a, b| a.record.instance.cmp(&b.record.instance));
        marks
    }

    /// Where reading a partition goes on; `None` before its first record.
    #[must_use]
    pub fn position(&self, partition: PartitionIndex) -> Option<Offset> {
        self.positions.get(&partition).map(|position| position.next)
    }

    #[must_use]
    pub fn counts(&self) -> Counts {
        let Counters {
            seen_before,
            outdated,
            misplaced,
            unreadable,
        } = &self.counters;
        let [seen_before, outdated, misplaced, unreadable] =
            [seen_before, outdated, misplaced, unreadable].map(|counter| counter.load(Ordering::Relaxed));
        Counts {
            seen_before,
            outdated,
            misplaced,
            unreadable,
        }
    }

    pub(super) fn standing(&self, service: &ServiceId, environment: &EnvironmentId) -> Option<Standing> {
        self.services.get(service)?.environment(environment).cloned()
    }

    /// Whether the record at `place` is one not read before; if so, reading goes on behind it.
    fn advance(&self, place: Place) -> bool {
        let mut position = self.positions.entry(place.partition).or_insert(Position {
            next: Offset(0),
            newest: Timestamp::MIN,
        });
        if place.offset < position.next {
            if place.timestamp <= position.newest {
                return false;
            }
            // An offset read before with a time never seen: the topic was deleted and made again. Nothing of the old
            // one holds, and its high sequences would shut out the new one's.
            self.forget_partition(place.partition);
        }
        position.next = place.offset.next();
        position.newest = position.newest.max(place.timestamp);
        true
    }

    fn forget_partition(&self, partition: PartitionIndex) {
        self.heartbeats.remove(&partition);
        self.services.retain(|_, of_service| {
            of_service
                .environments
                .retain(|(_, standing)| standing.partition != partition);
            of_service.changes.retain(|_, standing| standing.partition != partition);
            !of_service.is_empty()
        });
    }

    fn apply_next(&self, place: Place, read: Result<Record, Unreadable>) -> Applied {
        match read {
            Err(unreadable) => Applied::Unreadable(unreadable),
            Ok(Record::Decision(decision)) => self.stand(place, decision),
            Ok(Record::Heartbeat(heartbeat)) if heartbeat.partition != place.partition => Applied::Misplaced,
            Ok(Record::Heartbeat(heartbeat)) => {
                let seen = Seen {
                    record: Arc::new(heartbeat),
                    timestamp: place.timestamp,
                };
                self.heartbeats.insert(place.partition, seen);
                Applied::Heartbeat
            }
            Ok(Record::Ingest(mark)) => {
                self.ingest.insert(
                    mark.instance.clone(),
                    Seen {
                        record: mark,
                        timestamp: place.timestamp,
                    },
                );
                Applied::Ingest
            }
            Ok(Record::Forget(key)) => self.forget(place, &key),
        }
    }

    fn stand(&self, place: Place, decision: StandingDecision) -> Applied {
        let mut of_service = self.services.entry(decision.subject.service().clone()).or_default();
        let outdated = of_service.standing(&decision.subject).is_some_and(|known| {
            if known.partition == place.partition {
                decision.sequence <= known.decision.sequence
            } else {
                // Only a topic with another partition count than before has a subject on two partitions.
                decision.decided_at <= known.decision.decided_at
            }
        });
        if outdated {
            return Applied::Outdated;
        }
        let decision = Arc::new(decision);
        let standing = Standing {
            decision: decision.clone(),
            partition: place.partition,
        };
        match &decision.subject {
            Subject::Service { environment, .. } => of_service.stand_in(environment, standing),
            Subject::Change(change) => {
                of_service.changes.insert(change.sha.clone(), standing);
            }
        }
        drop(of_service);
        self.recent.push(decision.clone());
        Applied::Decision(decision)
    }

    fn forget(&self, place: Place, key: &ControlKey) -> Applied {
        match key {
            ControlKey::Heartbeat(partition) if *partition != place.partition => return Applied::Misplaced,
            ControlKey::Heartbeat(partition) => {
                self.heartbeats.remove(partition);
            }
            ControlKey::Ingest(instance) => {
                self.ingest.remove(instance);
            }
            ControlKey::Subject(subject) => {
                let Some(mut of_service) = self.services.get_mut(subject.service()) else {
                    return Applied::Forgotten;
                };
                if of_service
                    .standing(subject)
                    .is_some_and(|known| known.partition != place.partition)
                {
                    return Applied::Misplaced;
                }
                match subject {
                    Subject::Service { environment, .. } => {
                        of_service.environments.retain(|(known, _)| known != environment);
                    }
                    Subject::Change(change) => {
                        of_service.changes.remove(&change.sha);
                    }
                }
                drop(of_service);
                self.services
                    .remove_if(subject.service(), |_, of_service| of_service.is_empty());
            }
        }
        Applied::Forgotten
    }
}

impl OfService {
    fn standing(&self, subject: &Subject) -> Option<&Standing> {
        match subject {
            Subject::Service { environment, .. } => self.environment(environment),
            Subject::Change(change) => self.changes.get(&change.sha),
        }
    }

    fn place_of(&self, environment: &EnvironmentId) -> Result<usize, usize> {
        self.environments.binary_search_by(|(known, _)| known.cmp(environment))
    }

    /// The newest word on an environment, be it about that one or about all; with `None`, on one never heard of.
    pub(super) fn word(&self, environment: Option<&EnvironmentId>) -> Option<&Arc<Word>> {
        if self.words.is_empty() {
            return None;
        }
        let on_all = self.words.get(&None);
        let on_one = environment.and_then(|environment| self.words.get(&Some(environment.clone())));
        on_all.into_iter().chain(on_one).max_by(|a, b| a.age_order(b))
    }

    pub(super) fn environment(&self, environment: &EnvironmentId) -> Option<&Standing> {
        let place = self.place_of(environment).ok()?;
        Some(&self.environments[place].1)
    }

    fn stand_in(&mut self, environment: &EnvironmentId, standing: Standing) {
        match self.place_of(environment) {
            Ok(place) => self.environments[place].1 = standing,
            Err(place) => {
                self.environments.reserve_exact(1);
                self.environments.insert(place, (environment.clone(), standing));
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.environments.is_empty() && self.changes.is_empty() && self.words.is_empty()
    }
}
