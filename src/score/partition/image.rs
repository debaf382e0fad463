//! What a restore needs: the partition's own state, and which snapshots cover what.

use serde::{Deserialize, Serialize};

use super::{Applied, Dropped, Partition, RecordPlace};
use crate::{
    model::{Bulletin, Entry, Offset, ServiceId, Timestamp},
    score::{Fleet, STEP_VERSION, Service, clocks::Clocks, policy::Policy},
};

/// A partition's own state as of an offset: with the snapshots of its services and the log from there on, all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    pub step_version: u32,
    /// How many partitions the log had: it is fixed.
    pub n_partitions: u32,
    /// The first entry not in it.
    pub tail: Offset,
    /// Where priming the duplicates begins; not after `tail`.
    pub prime: Offset,
    clocks: Clocks,
    policy_text: Box<str>,
    revision: i64,
    bulletin: Bulletin,
    applied: Applied,
}

impl Partition {
    /// The partition's own state from its record; services and fleet are put back one by one.
    #[must_use]
    pub fn from_image(image: Image) -> Self {
        // The text was in force once, so it parses; a newer program that refuses it goes by the default and says so
        // by the digest in every decision.
        let policy = Policy::parse(&image.policy_text).unwrap_or_default();
        Self {
            clocks: image.clocks,
            policy,
            policy_text: image.policy_text,
            revision: image.revision,
            bulletin: image.bulletin,
            applied: image.applied,
            ..Self::default()
        }
    }

    /// The partition's own state now, if `tail` is the next entry.
    #[must_use]
    pub fn image(&self, tail: Offset, n_partitions: u32) -> Image {
        Image {
            step_version: STEP_VERSION,
            n_partitions,
            tail,
            prime: self.window.oldest_offset().unwrap_or(tail),
            clocks: self.clocks.clone(),
            policy_text: self.policy_text.clone(),
            revision: self.revision,
            bulletin: self.bulletin,
            applied: self.applied,
        }
    }

    /// Makes room for so many services more: growing by doubling leaves as much again in holes.
    pub fn reserve(&mut self, n_services: usize) {
        self.services.reserve(n_services);
        self.slots.reserve_exact(n_services);
        self.timers.reserve_exact(n_services);
    }

    /// Puts a service back from its snapshot, which covers the log up to `covered`.
    pub fn put_back(&mut self, service: Service, covered: Offset) {
        let name: Box<str> = service.name().as_str().into();
        let slot = self.slot_for(name);
        self.slots[slot].service = Some(service);
        self.slots[slot].skip_to = Some(covered);
        self.set_timer(slot);
    }

    /// Puts the fleet back from its snapshot.
    pub fn put_back_fleet(&mut self, fleet: Fleet, covered: Option<Offset>) {
        self.fleet = fleet;
        self.fleet_skip_to = covered;
    }

    /// Takes only the identities of an entry before the tail, so that duplicates after it are known.
    pub fn prime(&mut self, entry: &Entry<'_>, offset: Offset, written_at: Timestamp) {
        let place = RecordPlace { offset, written_at };
        match entry {
            Entry::Errors(errors) => {
                for original in errors.originals() {
                    self.window.is_duplicate(original.hash, place);
                }
            }
            Entry::Event(event) => {
                self.window.is_duplicate(event.hash, place);
            }
            Entry::Time(_) | Entry::Policy(_) | Entry::Message(_) => {}
        }
    }

    /// Names of the services that changed since their last snapshot in entries before `before`, in order. Looks at all
    /// there are.
    #[must_use]
    pub fn dirty_before(&self, before: Offset) -> Vec<ServiceId> {
        let dirty = self.slots.iter().filter(|slot| slot.is_dirty_before(before));
        let mut names: Vec<ServiceId> = dirty
            .filter_map(|slot| slot.service.as_ref())
            .map(|s| s.name().clone())
            .collect();
        names.sort();
        names
    }

    /// Whether this service changed since its last snapshot in entries before `before`.
    #[must_use]
    pub fn is_dirty_before(&self, name: &str, before: Offset) -> bool {
        let slot = self.services.get(name).map(|slot| &self.slots[*slot]);
        slot.is_some_and(|slot| slot.is_dirty_before(before))
    }

    /// Whether the fleet changed since its last snapshot in entries before `before`.
    #[must_use]
    pub fn is_fleet_dirty_before(&self, before: Offset) -> bool {
        self.fleet_dirty_since.is_some_and(|since| since < before)
    }

    /// A service's snapshot was handed over to be written.
    pub fn note_snapshot(&mut self, name: &str) {
        if let Some(slot) = self.services.get(name) {
            let slot = &mut self.slots[*slot];
            slot.dirty_since = None;
            if let Some(service) = &mut slot.service {
                service.note_saved();
            }
        }
    }

    /// The fleet's snapshot was handed over to be written.
    pub fn note_fleet_snapshot(&mut self) {
        self.fleet_dirty_since = None;
    }

    /// The services dropped since the last call: their snapshots are to be deleted.
    pub fn take_dropped(&mut self) -> Vec<Dropped> {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{PolicyText, Tick, Watermark},
        score::SNAPSHOT_BYTES_MAX,
    };

    /// The longest policy, and more input partitions than time is kept for, in the year 2065.
    #[test]
    fn an_image_that_is_full_is_one_record() {
        let mut partition = Partition::default();
        let text = "#".repeat(768 << 10);
        assert!(Policy::parse(&format!("{text}#")).is_err(), "the longest there is");
        let now = Timestamp::from_millis(3_000_000_000_000);
        let mut append = |entry: &Entry<'_>| partition.step(entry, Offset(0), now, &mut Vec::new());
        append(&Entry::Policy(PolicyText {
            revision: i64::MAX,
            text: &text,
        }));
        let topics: Vec<String> = (0..8).map(|i| format!("{i}").repeat(249)).collect();
        for topic in &topics {
            let marks = (0..9_000).map(|partition| Watermark {
                topic,
                partition,
                at: now,
            });
            append(&Entry::Time(Tick {
                wall: now,
                watermarks: marks.collect(),
            }));
        }
        let image = partition.image(Offset(i64::MAX), u32::MAX);
        assert_eq!(&*image.policy_text, text);
        let bytes = postcard::to_stdvec(&image).expect("it has a serial form");
        assert!(bytes.len() < SNAPSHOT_BYTES_MAX, "{}", bytes.len());
        assert!(
            bytes.len() > SNAPSHOT_BYTES_MAX / 2,
            "{}: what was to fill it is not in it",
            bytes.len()
        );
    }
}
