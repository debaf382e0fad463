//! One partition that is live here: its state, how far it is read, and what of it is in the metrics.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{Offset, PartitionIndex, ServiceId, Timestamp},
    run::{ingest::is_due, policy_file::PolicyText, restore::Restored},
    score::{Dropped, Image, Partition, Saying},
    stream::Identity,
    wire::{events, state},
};

/// Every service that changed is snapshotted within this …
const CHECKPOINT_EVERY: Duration = Duration::from_mins(2);
/// … or so many entries, whichever is sooner: what a restore reads again is bounded in both.
const CHECKPOINT_ENTRIES: u64 = 1_000_000;
/// What silent snapshots of a partition may take: a megabyte a second.
const CHECKPOINT_BYTES_PER_MS: u128 = 1_000;

/// A record of the state topic: key and value.
pub(super) type Snapshot = (Vec<u8>, Option<Vec<u8>>);

pub(super) struct Live {
    pub(super) state: Partition,
    /// Behind the last whole record taken in.
    pub(super) position: Offset,
    /// Entries before this only prime.
    pub(super) tail: Offset,
    /// A former owner has counted what lies before this.
    told: Offset,
    /// The log's end when it was restored: from there on its state is whole.
    whole_at: Offset,
    pub(super) heartbeat_at: Timestamp,
    checkpoint: Option<Checkpoint>,
    checkpoint_at: Timestamp,
    /// When the last part of the checkpoint under way was taken.
    part_at: Timestamp,
    /// Entries taken in since the last checkpoint.
    n_entries: u64,
    /// Which topic the log is, where that is known.
    pub(super) log: Option<Identity>,
    /// The policy appended last, and not read back yet.
    appended: Option<Arc<PolicyText>>,
    counted: Counted,
}

/// A checkpoint under way.
struct Checkpoint {
    /// The partition's own state as it began.
    image: Image,
    /// The services that were dirty then and have not been looked at since, in order: what is dirtied later is after the
    /// tail, so the list is made once, and a turn costs what it writes however many services there are.
    dirty: std::vec::IntoIter<ServiceId>,
}

/// What of a partition's counts is in the metrics already.
#[derive(Default)]
struct Counted {
    applied: crate::score::Applied,
    n_late: u64,
    n_withheld: u64,
}

impl Live {
    /// A partition as it was restored, to be read on from there.
    pub(super) fn new(restored: Restored) -> Self {
        let mut live = Self {
            state: restored.state,
            position: restored.from,
            tail: restored.tail,
            told: restored.told,
            whole_at: restored.end,
            heartbeat_at: Timestamp::MIN,
            checkpoint: None,
            // Counted from the last owner's: a partition that often changes hands has a tail too.
            checkpoint_at: restored.checkpointed_at.unwrap_or(Timestamp::MIN),
            part_at: Timestamp::MIN,
            n_entries: 0,
            log: restored.log,
            appended: None,
            counted: Counted::default(),
        };
        live.counted = live.counts();
        live
    }

    /// Whether the log is read to where it ended when the state was restored.
    pub(super) fn is_whole(&self) -> bool {
        self.position >= self.whole_at
    }

    /// The position to commit. While it reads again what a former owner had read, that of the former owner: one that fell
    /// would have the next owner count again what lies between.
    pub(super) fn spoken_for(&self) -> Offset {
        self.position.max(self.told)
    }

    /// The last whole record taken in.
    fn covered(&self) -> Offset {
        Offset(self.position.0 - 1)
    }

    /// A service's snapshot as of now, which is the end of the last whole record, and those of its pages that changed. A
    /// service that is gone leaves none.
    pub(super) fn service_snapshots(&mut self, name: &ServiceId) -> Vec<Snapshot> {
        let key = state::service_key(name.as_str());
        let Some(service) = self.state.service(name.as_str()) else {
            return vec![(key, None)];
        };
        let page_key = |page| state::changes_key(name.as_str(), page);
        let gone = service.gone_pages().iter().map(|page| (page_key(*page), None));
        let changed = service
            .unsaved_pages()
            .map(|page| (page_key(page.number()), Some(state::encode_changes(page))));
        let own = (key, Some(state::encode_service(service, self.covered())));
        let snapshots = gone.chain(changed).chain([own]).collect();
        self.state.note_snapshot(name.as_str());
        snapshots
    }

    pub(super) fn fleet_snapshot(&mut self) -> Snapshot {
        let value = state::encode_fleet(self.state.fleet(), self.covered());
        self.state.note_fleet_snapshot();
        (state::fleet_key(), Some(value))
    }

    /// What is to be written of services that were forgotten.
    pub(super) fn forgotten(&mut self) -> Vec<Snapshot> {
        let dropped = self.state.take_dropped();
        // One may be back already, with snapshots of its own.
        let gone = dropped
            .iter()
            .filter(|dropped| self.state.service(dropped.service.as_str()).is_none());
        gone.flat_map(|Dropped { service, pages }| {
            let pages = pages.iter().map(|page| state::changes_key(service.as_str(), *page));
            pages
                .chain([state::service_key(service.as_str())])
                .map(|key| (key, None))
        })
        .collect()
    }

    /// Moves the tail, a part at a time: once every service that changed before it has a snapshot, the record of the
    /// partition, which is number `index` of `n_partitions`, says so.
    pub(super) fn checkpoint(&mut self, index: PartitionIndex, n_partitions: u32, now: Timestamp) -> Vec<Snapshot> {
        let mut snapshots = Vec::new();
        if self.position < self.tail {
            return snapshots;
        }
        // Before it is whole there is little that is not covered yet, and a long tail to come.
        let due = (self.is_whole() && is_due(self.checkpoint_at, now, CHECKPOINT_EVERY))
            || self.n_entries >= CHECKPOINT_ENTRIES;
        if self.checkpoint.is_none() && due {
            self.checkpoint = Some(Checkpoint {
                image: self.state.image(self.position, n_partitions),
                dirty: self.state.dirty_before(self.position).into_iter(),
            });
            self.checkpoint_at = now;
            self.part_at = now;
            self.n_entries = 0;
        }
        let Some(Checkpoint { image, mut dirty }) = self.checkpoint.take() else {
            return snapshots;
        };
        // A second of the budget at most, and none of it twice.
        let bytes_max = now.since(self.part_at).min(Duration::from_secs(1)).as_millis() * CHECKPOINT_BYTES_PER_MS;
        // Turns may be shorter than a millisecond, and the clock may be set back.
        if bytes_max > 0 || now < self.part_at {
            self.part_at = now;
        }
        let mut size_bytes = 0_u64;
        while !dirty.as_slice().is_empty() {
            if u128::from(size_bytes) >= bytes_max {
                self.checkpoint = Some(Checkpoint { image, dirty });
                return snapshots;
            }
            // Those that have spoken meanwhile have a snapshot already.
            let Some(name) = dirty.find(|name| self.state.is_dirty_before(name.as_str(), image.tail)) else {
                break;
            };
            for (key, value) in self.service_snapshots(&name) {
                size_bytes += value
                    .as_ref()
                    .map_or(0, |value| u64::try_from(value.len()).unwrap_or(u64::MAX));
                snapshots.push((key, value));
            }
        }
        if self.state.is_fleet_dirty_before(image.tail) {
            snapshots.push(self.fleet_snapshot());
        }
        snapshots.push((state::partition_key(index), Some(state::encode_partition(&image))));
        snapshots
    }

    /// Whether the policy of this instance's file is to be appended to the log: another than that in force, and not
    /// older. Once per content and revision until it is read back.
    pub(super) fn takes_up(&mut self, file: &Arc<PolicyText>) -> bool {
        if self.state.policy().digest == file.digest {
            self.appended = None;
            return false;
        }
        // One that was overtaken before it was read back is never in force: only its revision tells it from the next.
        if file.revision < self.state.revision() || self.appended.as_ref() == Some(file) {
            return false;
        }
        self.appended = Some(Arc::clone(file));
        true
    }

    /// Steps the entries of one record, or primes with them.
    pub(super) fn take_in(
        &mut self,
        value: &[u8],
        offset: Offset,
        written_at: Timestamp,
        sayings: &mut Vec<Saying>,
    ) -> Result<(), events::Unreadable> {
        for entry in events::entries(value)? {
            let entry = entry?;
            self.n_entries += 1;
            if offset < self.tail {
                self.state.prime(&entry, offset, written_at);
            } else {
                self.state.step(&entry, offset, written_at, sayings);
            }
        }
        if offset < self.told {
            self.counted = self.counts();
        }
        Ok(())
    }

    fn counts(&self) -> Counted {
        Counted {
            applied: self.state.applied(),
            n_late: self.state.n_late(),
            n_withheld: self.state.fleet().n_withheld(),
        }
    }

    pub(super) fn publish_counts(&mut self) {
        let counts = self.counts();
        let counted = std::mem::replace(&mut self.counted, counts);
        let applied = self.counted.applied;
        for kind in crate::model::Kind::ALL {
            let n = applied.by_kind[kind.index()] - counted.applied.by_kind[kind.index()];
            if n > 0 {
                metrics::counter!("holdpoint_events_applied_total", "kind" => kind.name()).increment(n);
            }
        }
        let n_duplicates = applied.duplicates - counted.applied.duplicates;
        metrics::counter!("holdpoint_events_duplicate_total").increment(n_duplicates);
        metrics::counter!("holdpoint_events_late_total").increment(self.counted.n_late - counted.n_late);
        let n_withheld = self.counted.n_withheld - counted.n_withheld;
        metrics::counter!("holdpoint_limiter_withheld_total").increment(n_withheld);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{self, Entry, Errors, EventHash, Kind, Origin, Original},
        run::restore::{beside, restore},
        score::Policy,
        stream::{Fault, Reader, Record, TopicPartition},
    };

    const SERVICES: i64 = 40;

    fn start() -> Timestamp {
        Timestamp::from_millis(1_772_409_600_000)
    }

    fn name(n: i64) -> String {
        format!("service-{n:02}")
    }

    /// An error of every service, in one record.
    fn record(offset: i64) -> Vec<u8> {
        record_of(SERVICES, offset)
    }

    fn record_of(n_services: i64, offset: i64) -> Vec<u8> {
        let mut record = Vec::new();
        events::begin(&mut record);
        for n in 0..n_services {
            let mut originals = Vec::new();
            let original = Original {
                hash: EventHash(u64::try_from(offset * n_services + n).expect("small")),
                variant: 0,
                is_storm: false,
                errors: 1,
                requests: None,
            };
            original.pack(&mut originals);
            let errors = Errors {
                service: &name(n),
                environment: "production",
                time: start(),
                origin: Origin {
                    topic: "errors",
                    partition: 0,
                    offset,
                },
                errors: 1,
                requests: None,
                interval_ms: 0,
                variants: &[0, 0, 0],
                originals: &originals,
            };
            events::append(&Entry::Errors(errors), &mut record);
        }
        record
    }

    fn live() -> Live {
        Live::new(Restored {
            state: Partition::default(),
            from: Offset(0),
            tail: Offset(0),
            told: Offset(0),
            end: Offset(0),
            n_snapshots: 0,
            checkpointed_at: Some(start()),
            log: None,
        })
    }

    fn take_in(live: &mut Live, offset: i64) {
        live.take_in(&record(offset), Offset(offset), start(), &mut Vec::new())
            .expect("our own record");
        live.position = Offset(offset + 1);
    }

    fn policy(text: &str, revision: i64) -> Arc<PolicyText> {
        Arc::new(PolicyText {
            digest: Policy::parse(text).expect("a good policy").digest,
            revision,
            text: text.into(),
        })
    }

    fn bring_into_force(live: &mut Live, policy: &PolicyText) {
        let entry = Entry::Policy(model::PolicyText {
            revision: policy.revision,
            text: &policy.text,
        });
        live.state.step(&entry, live.position, start(), &mut Vec::new());
        live.position = live.position.next();
    }

    /// The file of this instance was written, another instance's after it, and this one's again.
    #[test]
    fn a_policy_written_anew_is_appended_over_one_of_a_higher_revision() {
        let (mut live, text) = (live(), "mode = \"enforce\"\n");
        let ours = policy(text, 1);
        assert!(
            live.takes_up(&ours) && !live.takes_up(&ours),
            "once until it is read back"
        );
        // Theirs is in the log before ours, which is never in force.
        bring_into_force(&mut live, &policy("mode = \"shadow\"\n", 3));
        bring_into_force(&mut live, &ours);
        assert!(!live.takes_up(&ours) && !live.takes_up(&policy(text, 2)));
        let anew = policy(text, 4);
        assert!(live.takes_up(&anew) && !live.takes_up(&anew));
        bring_into_force(&mut live, &anew);
        assert!(
            !live.takes_up(&anew) && !live.takes_up(&policy(text, 5)),
            "it is in force already"
        );
    }

    #[test]
    fn one_that_is_overdue_when_a_partition_changes_hands_is_made_once_its_state_is_whole() {
        let mut live = live();
        live.whole_at = Offset(2);
        let now = start() + CHECKPOINT_EVERY;
        take_in(&mut live, 0);
        live.checkpoint(PartitionIndex(3), 12, now);
        assert!(live.checkpoint.is_none(), "the rest of the tail is still to come");
        take_in(&mut live, 1);
        live.checkpoint(PartitionIndex(3), 12, now);
        assert!(live.checkpoint.is_some());
    }

    #[test]
    fn a_checkpoint_writes_once_each_service_that_was_dirty_as_it_began_and_then_moves_the_tail() {
        let mut live = live();
        take_in(&mut live, 0);
        let began = start() + CHECKPOINT_EVERY;
        assert!(
            live.checkpoint(PartitionIndex(3), 12, began).is_empty(),
            "no time, no budget"
        );
        let spoken = name(SERVICES - 1).parse().expect("a name");
        let (mut written, mut n_turns) = (Vec::new(), 0);
        while live.checkpoint.is_some() {
            n_turns += 1;
            let part = live.checkpoint(PartitionIndex(3), 12, began + Duration::from_millis(n_turns));
            let sizes = part.iter().map(|(_, value)| value.as_ref().map_or(0, Vec::len));
            let before_last: usize = sizes.rev().skip(1).sum();
            assert!(
                before_last <= 1_000,
                "a megabyte a second, and what was begun: {before_last}"
            );
            written.extend(part);
            if n_turns == 3 {
                // All change again, those written and those not; and one speaks.
                take_in(&mut live, 1);
                live.service_snapshots(&spoken);
            }
        }
        let (keys, mut values): (Vec<Vec<u8>>, Vec<Option<Vec<u8>>>) = written.into_iter().unzip();
        let mut expected: Vec<Vec<u8>> = (0..SERVICES - 1).map(|n| state::service_key(&name(n))).collect();
        expected.push(state::partition_key(PartitionIndex(3)));
        assert_eq!(keys, expected);
        let value = values.pop().flatten().expect("the partition's record");
        let state::Snapshot::Partition(image) = state::decode(&expected[keys.len() - 1], &value).expect("our own")
        else {
            panic!("under the partition's key");
        };
        assert_eq!(image.tail, Offset(1));
        assert!(n_turns > 3, "in parts: {n_turns}");
        // What changed under way is for the next one.
        assert!(live.state.is_dirty_before(&name(0), Offset(2)) && !live.state.is_dirty_before(&name(0), Offset(1)));
    }

    /// Nobody may have had a turn for long.
    #[test]
    fn a_part_of_a_checkpoint_is_never_more_than_a_second_s_worth() {
        let mut live = live();
        live.take_in(&record_of(10_000, 0), Offset(0), start(), &mut Vec::new())
            .expect("our own record");
        live.position = Offset(1);
        let began = start() + CHECKPOINT_EVERY;
        live.checkpoint(PartitionIndex(3), 12, began);
        let part = live.checkpoint(PartitionIndex(3), 12, began + Duration::from_hours(1));
        assert!(live.checkpoint.is_some(), "not all of it");
        let sizes = part.iter().map(|(_, value)| value.as_ref().map_or(0, Vec::len));
        let before_last: usize = sizes.rev().skip(1).sum();
        assert!((500_000..=1_000_000).contains(&before_last), "{before_last}");
    }

    #[test]
    fn a_committed_position_does_not_fall_while_the_tail_is_read_again() {
        let mut live = live();
        live.told = Offset(2);
        let spoken_for = (0..3).map(|offset| {
            take_in(&mut live, offset);
            live.spoken_for()
        });
        assert_eq!(spoken_for.collect::<Vec<_>>(), [Offset(2), Offset(2), Offset(3)]);
    }

    /// A log and its snapshots, to read them from.
    struct Kept {
        log: Vec<Vec<u8>>,
        snapshots: Vec<Snapshot>,
    }

    impl Reader for Kept {
        fn read(
            &mut self,
            _snapshots: &TopicPartition,
            _from: Option<Offset>,
            each: &mut dyn FnMut(&Record<'_>),
        ) -> Result<Offset, Fault> {
            for (key, value) in &self.snapshots {
                each(&Record {
                    offset: Offset(0),
                    timestamp: Some(start()),
                    key: Some(key),
                    value: value.as_deref(),
                    headers: &Vec::new,
                });
            }
            Ok(Offset(i64::try_from(self.snapshots.len()).expect("few")))
        }

        fn committed(&mut self, _log: &TopicPartition) -> Result<Option<Offset>, Fault> {
            Ok(Some(Offset(i64::try_from(self.log.len()).expect("few"))))
        }

        fn bounds(&mut self, _log: &TopicPartition) -> Result<(Offset, Offset), Fault> {
            Ok((Offset(0), Offset(i64::try_from(self.log.len()).expect("few"))))
        }

        fn partition_count(&mut self, _topic: &str) -> Result<Option<u32>, Fault> {
            Ok(Some(12))
        }
    }

    #[test]
    fn a_copy_of_what_came_before_the_tail_is_known_after_a_restore() {
        let mut before = live();
        take_in(&mut before, 0);
        let mut now = start() + CHECKPOINT_EVERY;
        let mut snapshots = before.checkpoint(PartitionIndex(3), 12, now);
        while before.checkpoint.is_some() {
            now = now + Duration::from_secs(1);
            snapshots.extend(before.checkpoint(PartitionIndex(3), 12, now));
        }
        let mut kept = Kept {
            log: vec![record(0)],
            snapshots,
        };
        let [log, state] = ["events", "state"].map(|topic| beside(&topic.into(), PartitionIndex(3)));
        let restored = restore(&mut kept, &log, &state, 12).expect("our own snapshots");
        assert_eq!(restored.tail, Offset(1));
        let mut after = Live::new(restored);
        while after.position < after.tail {
            let next = after.position.0;
            take_in(&mut after, next);
        }
        after
            .take_in(&kept.log[0], Offset(1), start(), &mut Vec::new())
            .expect("our own record");
        let applied = after.state.applied();
        let n_services = u64::try_from(SERVICES).expect("few");
        assert_eq!(
            (applied.by_kind[Kind::Error.index()], applied.duplicates),
            (n_services, n_services)
        );
        kept.log.clear();
        let cut = restore(&mut kept, &log, &state, 12).err();
        assert!(cut.is_some_and(|error| error.to_string().contains("has lost its end")));
    }
}
