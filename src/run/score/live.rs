//! One partition that is live here: its state, how far it is read, and what of it is in the metrics.

use std::time::Duration;

use crate::{
    model::{Offset, PartitionIndex, ServiceId, Timestamp},
    score::{Image, Partition, Saying},
    wire::{events, state},
};

/// Every service that changed is snapshotted within this.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(2);
/// Bytes of silent snapshots in one transaction; with a transaction a second at least, under the megabyte a second
/// that a partition's state may cost.
const CHECKPOINT_BYTES: usize = 256 * 1024;

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
        if self.checkpoint.is_none() && now.since(self.checkpoint_at) >= CHECKPOINT_EVERY {
            self.checkpoint = Some(self.state.image(self.position, n_partitions));
            self.checkpoint_at = now;
        }
        let Some(image) = self.checkpoint.take() else {
            return snapshots;
        };
        let mut size_bytes = 0;
        for name in self.state.dirty_before(image.tail) {
            if size_bytes >= CHECKPOINT_BYTES {
                self.checkpoint = Some(image);
                return snapshots;
            }
            let (key, value) = self.service_snapshot(&name);
            size_bytes += value.as_ref().map_or(0, Vec::len);
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
            if offset < self.tail {
                self.state.prime(&entry, offset, written_at);
            } else {
                self.state.step(&entry, offset, written_at, sayings);
            }
        }
        Ok(())
    }

    pub(super) fn publish_counts(&mut self) {
        let applied = self.state.applied();
        if self.position <= self.told {
            self.counted = Counted {
                applied,
                n_late: self.state.n_late(),
                n_withheld: self.state.fleet().n_withheld(),
            };
            return;
        }
        for kind in crate::model::Kind::ALL {
            let n = applied.by_kind[kind.index()] - self.counted.applied.by_kind[kind.index()];
            if n > 0 {
                metrics::counter!("holdpoint_events_applied_total", "kind" => kind.name()).increment(n);
            }
        }
        let n_duplicates = applied.duplicates - self.counted.applied.duplicates;
        metrics::counter!("holdpoint_events_duplicate_total").increment(n_duplicates);
        metrics::counter!("holdpoint_events_late_total").increment(self.state.n_late() - self.counted.n_late);
        let n_withheld = self.state.fleet().n_withheld();
        metrics::counter!("holdpoint_limiter_withheld_total").increment(n_withheld - self.counted.n_withheld);
        self.counted = Counted {
            applied,
            n_late: self.state.n_late(),
            n_withheld,
        };
    }
}
