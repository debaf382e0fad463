//! Changes that lie together, with what is asked of all of them at once: so that whoever looks for one, for the oldest or
//! for the room they take reads none of the others. A service may have hundreds, and is asked with each commit.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Remembered;
use crate::{
    model::Second,
    score::review::{Note, Target},
};

/// In the order in which they landed.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sheet {
    changes: Vec<Remembered>,
    /// Of each, a part of the hash of its sha.
    tags: Vec<u32>,
    bytes: usize,
    /// The earliest of their last events.
    oldest: Option<Second>,
}

impl Sheet {
    fn of(changes: Vec<Remembered>) -> Self {
        let mut sheet = Self {
            tags: changes.iter().map(|change| Target::of(&change.sha).tag()).collect(),
            changes,
            bytes: 0,
            oldest: None,
        };
        sheet.sum();
        sheet
    }

    fn sum(&mut self) {
        self.bytes = self.changes.iter().map(Remembered::bytes).sum();
        self.oldest = self.changes.iter().map(|change| change.last_event).min();
    }

    fn shrink(&mut self) {
        self.changes.shrink_to_fit();
        self.tags.shrink_to_fit();
        self.sum();
    }

    pub(super) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// What they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn oldest(&self) -> Option<Second> {
        self.oldest
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Remembered> {
        self.changes.iter()
    }

    /// The change with this sha, of which `target` is the hash.
    pub(super) fn find(&self, sha: &str, target: Target) -> Option<&Remembered> {
        let tagged = self.tags.iter().zip(&self.changes);
        tagged
            .filter(|(tag, _)| **tag == target.tag())
            .map(|(_, change)| change)
            .find(|change| *change.sha == *sha)
    }

    pub(super) fn is_meant_by(&self, note: &Note) -> bool {
        let mut tagged = self.tags.iter().zip(&self.changes);
        tagged.any(|(tag, change)| is_meant(change, *tag, note))
    }

    pub(super) fn push(&mut self, change: Remembered) {
        self.bytes += change.bytes();
        self.oldest = Some(
            self.oldest
                .map_or(change.last_event, |known| known.min(change.last_event)),
        );
        self.tags.reserve_exact(1);
        self.tags.push(Target::of(&change.sha).tag());
        self.changes.reserve_exact(1);
        self.changes.push(change);
    }

    /// Takes out the `n` that landed first.
    pub(super) fn take_first(&mut self, n: usize) -> Vec<Remembered> {
        let n = n.min(self.changes.len());
        self.tags.drain(..n);
        let taken = self.changes.drain(..n).collect();
        self.shrink();
        taken
    }

    /// Takes out all of which `is_over` says so.
    pub(super) fn take_where(&mut self, is_over: impl Fn(&Remembered) -> bool) -> Vec<Remembered> {
        let changes = std::mem::take(&mut self.changes);
        let (taken, mut left): (Vec<_>, Vec<_>) = changes.into_iter().partition(is_over);
        left.shrink_to_fit();
        *self = Self::of(left);
        taken
    }

    /// Calls `act` with each; it says whether it changed it. Says whether it changed any.
    pub(super) fn for_each(&mut self, mut act: impl FnMut(&mut Remembered) -> bool) -> bool {
        let mut is_changed = false;
        for change in &mut self.changes {
            is_changed |= act(change);
        }
        if is_changed {
            self.sum();
        }
        is_changed
    }

    /// The same with those that a review is about.
    pub(super) fn for_each_meant(&mut self, note: &Note, mut act: impl FnMut(&mut Remembered) -> bool) -> bool {
        let mut is_changed = false;
        for (tag, change) in self.tags.iter().zip(&mut self.changes) {
            is_changed |= is_meant(change, *tag, note) && act(change);
        }
        if is_changed {
            self.sum();
        }
        is_changed
    }
}

fn is_meant(change: &Remembered, tag: u32, note: &Note) -> bool {
    let is_own = |sha: Target| sha.tag() == tag && sha == Target::of(&change.sha);
    change.is_meant_by(note, is_own)
}

impl Serialize for Sheet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.changes.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sheet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::of)
    }
}
