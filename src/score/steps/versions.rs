//! Errors by version in the open steps, for a service whose records name one.

use serde::{Deserialize, Serialize};

use crate::model::{half_of, hash_bytes};

/// Versions told apart at once: a rollout knows two, and another may follow on it.
const VERSIONS_MAX: usize = 4;

/// The hash of a version's name; [`Version::NONE`] for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Version(u32);

impl Version {
    pub(crate) const NONE: Self = Self(0);

    pub(crate) fn of<T: AsRef<[u8]> + ?Sized>(name: Option<&T>) -> Self {
        let hash = |name: &T| half_of(hash_bytes(name.as_ref())).max(1);
        let hash = name.map_or(0, hash);
        Self(hash)
    }

    /// Half of it, by which the few versions of an environment are told apart.
    pub(super) fn tag(self) -> u16 {
        u16::try_from(self.0 >> 16).unwrap_or(u16::MAX)
    }
}

/// Errors and attempts of one version in one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) errors: u32,
    pub(crate) requests: u32,
}

/// One step's counts by version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ByVersion {
    versions: [Version; VERSIONS_MAX],
    counts: [Count; VERSIONS_MAX],
}

impl ByVersion {
    /// What a version had; `None` for one that is not known here.
    pub(crate) fn of(&self, version: Version) -> Option<Count> {
        let place = self.versions.iter().position(|known| *known == version)?;
        (version != Version::NONE).then(|| self.counts[place])
    }

    /// Takes errors back that were counted for the version with this tag, if it is told apart.
    pub(super) fn take_back(&mut self, tag: u16, errors: u32) {
        let mut known = self.versions.iter().zip(&mut self.counts);
        if let Some((_, count)) = known.find(|(known, _)| **known != Version::NONE && known.tag() == tag) {
            count.errors = count.errors.saturating_sub(errors);
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Versions {
    known: [Version; VERSIONS_MAX],
    slots: [[Count; VERSIONS_MAX]; 8],
}

impl Versions {
    /// Counts for a version in the open step `slot`. False: there are too many of them to tell apart.
    pub(super) fn book(&mut self, version: Version, slot: usize, (errors, requests): (u64, Option<u64>)) -> bool {
        let Some(place) = self.place_of(version) else {
            return false;
        };
        let Some(count) = self.slots.get_mut(slot).and_then(|slot| slot.get_mut(place)) else {
            return false;
        };
        let small = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
        count.errors = count.errors.saturating_add(small(errors));
        count.requests = count.requests.saturating_add(small(requests.unwrap_or(0)));
        true
    }

    /// Where a version is counted; one not seen in any open step makes room.
    fn place_of(&mut self, version: Version) -> Option<usize> {
        if let Some(place) = self.known.iter().position(|known| *known == version) {
            return Some(place);
        }
        let is_idle = |place: &usize| self.slots.iter().all(|slot| slot[*place] == Count::default());
        let place = (0..VERSIONS_MAX).find(|place| self.known[*place] == Version::NONE);
        let place = place.or_else(|| (0..VERSIONS_MAX).find(is_idle))?;
        self.known[place] = version;
        Some(place)
    }

    pub(super) fn take(&mut self, slot: usize) -> ByVersion {
        ByVersion {
            versions: self.known,
            counts: self.slots.get_mut(slot).map(std::mem::take).unwrap_or_default(),
        }
    }

    /// Forgets all counts: the steps they were for are no more.
    pub(super) fn clear(&mut self) {
        self.slots = [[Count::default(); VERSIONS_MAX]; 8];
    }
}
