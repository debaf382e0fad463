//! One partition that is live here: its state, how far it is read, and what of it is in the metrics.

use std::time::Duration;

use crate::{
    model::{Offset, PartitionIndex, ServiceId, Timestamp},
    run::ingest::is_due,
    score::{Image, Partition, Saying},
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
    pub(super) told: Offset,
    /// The log's end when it was restored: from there on its state is whole.
    pub(super) whole_at: Offset,
    pub(super) heartbeat_at: Timestamp,
    pub(super) checkpoint: Option<Image>,
    pub(super) checkpoint_at: Timestamp,
    /// When the last part of the checkpoint under way was taken.
    pub(super) part_at: Timestamp,
    /// Entries taken in since the last checkpoint.
    pub(super) n_entries: u64,
    /// The policy appended last, and not read back yet.
    pub(super) appended: Option<Box<str>>,
    pub(super) counted: Counted,
}

/// What of a partition's counts is in the metrics already.
#[derive(Default)]
pub(super) struct Counted {
    pub(super) applied: crate::score::Applied,
    pub(super) n_late: u64,
    pub(super) n_withheld: u64,
}

impl Live {
    /// Whether the log is read to where it ended when the state was restored.
    pub(super) fn is_whole(&self) -> bool {
        self.position >= self.whole_at
    }

    /// The last whole record taken in.
    fn covered(&self) -> Offset {
        Offset(self.position.0 - 1)
    }

    /// A service's snapshot as of now: the end of the last whole record. A service that is gone leaves none.
    pub(super) fn service_snapshot(&mut self, name: &ServiceId) -> Snapshot {
        let service = self.state.service(name.as_str());
        let value = service.map(|service| state::encode_service(service, self.covered()));
        self.state.note_snapshot(name.as_str());
        (state::service_key(name.as_str()), value)
    }

    pub(super) fn fleet_snapshot(&mut self) -> Snapshot {
        let value = state::encode_fleet(self.state.fleet(), self.covered());
        self.state.note_fleet_snapshot();
        (state::fleet_key(), Some(value))
    }

    /// What is to be written of services that were forgotten.
    pub(super) fn forgotten(&mut self) -> Vec<Snapshot> {
        let dropped = self.state.take_dropped();
        // One may be back already, with a snapshot of its own.
        let gone = dropped
            .iter()
            .filter(|name| self.state.service(name.as_str()).is_none());
        gone.map(|name| (state::service_key(name.as_str()), None)).collect()
    }

    /// Moves the tail, a part at a time: once every service that changed before it has a snapshot, the record of the
    /// partition, which is number `index` of `n_partitions`, says so.
    pub(super) fn checkpoint(&mut self, index: PartitionIndex, n_partitions: u32, now: Timestamp) -> Vec<Snapshot> {
        let mut snapshots = Vec::new();
        if self.position < self.tail {
            return snapshots;
        }
        let due = is_due(self.checkpoint_at, now, CHECKPOINT_EVERY) || self.n_entries >= CHECKPOINT_ENTRIES;
        if self.checkpoint.is_none() && due {
            self.checkpoint = Some(self.state.image(self.position, n_partitions));
            self.checkpoint_at = now;
            self.part_at = now;
            self.n_entries = 0;
        }
        let Some(image) = self.checkpoint.take() else {
            return snapshots;
        };
        // A second of the budget at most, and none of it twice.
        let bytes_max = now.since(self.part_at).min(Duration::from_secs(1)).as_millis() * CHECKPOINT_BYTES_PER_MS;
        // Turns may be shorter than a millisecond, and the clock may be set back.
        if bytes_max > 0 || now < self.part_at {
            self.part_at = now;
        }
        let mut size_bytes = 0_u64;
        for name in self.state.dirty_before(image.tail) {
            if u128::from(size_bytes) >= bytes_max {
                self.checkpoint = Some(image);
                return snapshots;
            }
            let (key, value) = self.service_snapshot(&name);
            size_bytes += value
                .as_ref()
                .map_or(0, |value| u64::try_from(value.len()).unwrap_or(u64::MAX));
            snapshots.push((key, value));
        }
        if self.state.is_fleet_dirty_before(image.tail) {
            snapshots.push(self.fleet_snapshot());
        }
        snapshots.push((state::partition_key(index), Some(state::encode_partition(&image))));
        snapshots
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
