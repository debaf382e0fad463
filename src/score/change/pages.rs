//! Changes in pages, so that a service with many of them can be snapshotted for the price of a few.
//!
//! ```text
//! full pages, oldest first: [ 7 ] [ 8 ] [ 9 ]   open page: [ the newest, one by one ]
//! snapshot:  of its own each, when it changed             with the service, each time
//! ```
//!
//! The oldest changes leave from the front, and that changes no page: the service's snapshot says how many are left of
//! each. Which change is on which page is a function of what happened, as all else is.
//!
//! A change that is forgotten leaves its trace on its page, so a page outlives its changes: until an incident that one of
//! them caused will hardly come any more, or the room is needed.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Remembered, leaf::Leaf, sheet::Sheet};
use crate::{
    model::{Second, Timestamp, Trace},
    score::review::{Note, Target},
};

/// Changes on a page: small beside the rest of a service, many beside what one event touches.
const PAGE_CHANGES: usize = 32;
/// Pages whose changes are all forgotten: 2,048 traces.
const PAGES_MAX: usize = 64;
/// A trace is of use for a year after its change: three in four faults that come to light at all have by then, where
/// half of them take half a year.
const TRACES_KEPT: Duration = Duration::from_hours(365 * 24);

/// A full page: what is snapshotted under a key of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangePage {
    number: u32,
    leaf: Leaf,
    /// Changes left on it by the service's snapshot, while it is still to be laid in.
    #[serde(skip)]
    n_awaited: Option<usize>,
    /// Changed since it was snapshotted.
    #[serde(skip)]
    is_unsaved: bool,
}

/// All changes of a service, in the order in which they landed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    full: VecDeque<ChangePage>,
    /// None before the first commit: most services of an old estate see none.
    open: Option<Box<Leaf>>,
    /// The number of the next page to become full.
    next: u32,
    /// Pages that are gone, and whose snapshots are not yet.
    gone: Vec<u32>,
}

impl ChangePage {
    #[must_use]
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Pages {
    pub(super) fn len(&self) -> usize {
        self.sheets().map(Sheet::len).sum()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Remembered> {
        self.sheets().flat_map(Sheet::iter)
    }

    fn sheets(&self) -> impl Iterator<Item = &Sheet> {
        self.leaves().map(|leaf| &leaf.changes)
    }

    fn leaves(&self) -> impl Iterator<Item = &Leaf> {
        self.full.iter().map(|page| &page.leaf).chain(self.open.as_deref())
    }

    /// What they take: a function of what is in them, as which changes leave for want of room must be.
    pub(super) fn bytes(&self) -> usize {
        let pages = (self.full.len() + 1) * size_of::<ChangePage>();
        pages + self.leaves().map(Leaf::bytes).sum::<usize>()
    }

    /// What the oldest pages take, on which nothing but traces is left.
    pub(super) fn bytes_of_traces_alone(&self) -> usize {
        let done = self.full.iter().take_while(|page| page.leaf.changes.is_empty());
        done.map(|page| size_of::<ChangePage>() + page.leaf.bytes()).sum()
    }

    /// The earliest of their last events.
    pub(super) fn oldest(&self) -> Option<Second> {
        self.sheets().filter_map(Sheet::oldest).min()
    }

    pub(super) fn find(&self, sha: &str) -> Option<&Remembered> {
        let target = Target::of(sha);
        self.sheets().find_map(|sheet| sheet.find(sha, target))
    }

    pub(super) fn is_meant_by(&self, note: &Note) -> bool {
        self.sheets().any(|sheet| sheet.is_meant_by(note))
    }

    pub(super) fn push(&mut self, change: Remembered, trace: Trace, sha: Target) {
        let open = self.open.get_or_insert_default();
        if open.n_landed() >= PAGE_CHANGES {
            self.full.reserve_exact(1);
            self.full.push_back(ChangePage {
                number: self.next,
                leaf: std::mem::take(&mut **open),
                n_awaited: None,
                is_unsaved: true,
            });
            self.next = self.next.wrapping_add(1);
        }
        open.push(change, trace, sha);
    }

    /// Takes out the `n` oldest.
    pub(super) fn take_oldest(&mut self, n: usize) -> Vec<Remembered> {
        let mut taken = Vec::with_capacity(n);
        let full = self.full.iter_mut().map(|page| &mut page.leaf);
        for leaf in full.chain(self.open.as_deref_mut()) {
            if taken.len() >= n {
                break;
            }
            if !leaf.changes.is_empty() {
                taken.extend(leaf.changes.take_first(n - taken.len()));
            }
        }
        taken
    }

    /// Takes out all of which `is_over` says so.
    pub(super) fn take_where(&mut self, is_over: impl Fn(&Remembered) -> bool) -> Vec<Remembered> {
        let mut taken = Vec::new();
        for page in &mut self.full {
            let before = taken.len();
            taken.extend(page.leaf.changes.take_where(&is_over));
            page.is_unsaved |= taken.len() > before && !page.leaf.changes.is_empty();
        }
        if let Some(open) = &mut self.open {
            taken.extend(open.changes.take_where(&is_over));
        }
        taken
    }

    /// Lets the oldest page go if nothing but traces is on it, and they are old, or too many, or there is no room. Says
    /// whether it did.
    pub(super) fn let_go(&mut self, now: Timestamp, has_room: bool) -> bool {
        let is_done = |page: &ChangePage| {
            page.n_awaited.is_none()
                && page.leaf.changes.is_empty()
                && (!has_room || self.full.len() > PAGES_MAX || now.since(page.leaf.last()) >= TRACES_KEPT)
        };
        if !self.full.front().is_some_and(is_done) {
            return false;
        }
        self.gone.extend(self.full.pop_front().map(|page| page.number));
        true
    }

    /// The traces of all changes that are on pages, in the order in which they landed.
    pub(super) fn traces(&self) -> Vec<Trace> {
        self.leaves().flat_map(Leaf::traces).copied().collect()
    }

    /// Where the trace of the newest change with this sha is, among [`Pages::traces`].
    pub(super) fn trace_of(&self, sha: Target) -> Option<usize> {
        let mut found = None;
        let mut first = 0;
        for leaf in self.leaves() {
            found = leaf.place_of(sha).map(|place| first + place).or(found);
            first += leaf.n_landed();
        }
        found
    }

    /// About when the change whose trace is there landed.
    pub(super) fn landed_at(&self, place: usize) -> Option<Timestamp> {
        let mut first = 0;
        for leaf in self.leaves() {
            if place < first + leaf.n_landed() {
                return Some(leaf.landed_at(place - first));
            }
            first += leaf.n_landed();
        }
        None
    }

    /// The change whose trace is there is known to have caused an incident.
    pub(super) fn reveal(&mut self, place: usize) {
        let mut first = 0;
        for page in &mut self.full {
            if place < first + page.leaf.n_landed() {
                page.leaf.reveal(place - first);
                page.is_unsaved = true;
                return;
            }
            first += page.leaf.n_landed();
        }
        if let Some(open) = &mut self.open {
            open.reveal(place - first);
        }
    }

    /// Calls `act` with each; it says whether it changed it.
    pub(super) fn for_each(&mut self, mut act: impl FnMut(&mut Remembered) -> bool) {
        for page in &mut self.full {
            page.is_unsaved |= page.leaf.changes.for_each(&mut act);
        }
        if let Some(open) = &mut self.open {
            open.changes.for_each(act);
        }
    }

    /// The same with those that a review is about.
    pub(super) fn for_each_meant(&mut self, note: &Note, mut act: impl FnMut(&mut Remembered) -> bool) {
        for page in &mut self.full {
            page.is_unsaved |= page.leaf.changes.for_each_meant(note, &mut act);
        }
        if let Some(open) = &mut self.open {
            open.changes.for_each_meant(note, act);
        }
    }

    /// Pages that changed since their snapshots.
    pub(crate) fn unsaved(&self) -> impl Iterator<Item = &ChangePage> {
        self.full.iter().filter(|page| page.is_unsaved)
    }

    /// All full pages.
    pub(crate) fn full(&self) -> impl Iterator<Item = &ChangePage> {
        self.full.iter()
    }

    /// Pages whose snapshots are to be deleted.
    pub(crate) fn gone(&self) -> &[u32] {
        &self.gone
    }

    /// All that changed is handed over to be written.
    pub(crate) fn note_saved(&mut self) {
        for page in &mut self.full {
            page.is_unsaved = false;
        }
        self.gone = Vec::new();
    }

    /// Puts a page back from its snapshot. One that the service's snapshot does not list is from before, and ignored.
    pub(crate) fn lay_in(&mut self, page: ChangePage) {
        if let Some(known) = self.full.iter_mut().find(|known| known.number == page.number)
            && let Some(n_awaited) = known.n_awaited
            && let Some(n_left_since) = page.leaf.changes.len().checked_sub(n_awaited)
        {
            known.leaf = page.leaf;
            known.leaf.changes.take_first(n_left_since);
            known.n_awaited = None;
        }
    }

    /// The number of a page that is listed and was not laid in.
    pub(crate) fn missing(&self) -> Option<u32> {
        let mut listed = self.full.iter();
        listed.find(|page| page.n_awaited.is_some()).map(|page| page.number)
    }
}

/// What is saved already is nobody's state.
impl PartialEq for Pages {
    fn eq(&self, other: &Self) -> bool {
        self.full == other.full && self.open == other.open && self.next == other.next
    }
}

impl PartialEq for ChangePage {
    fn eq(&self, other: &Self) -> bool {
        (self.number, self.n_awaited) == (other.number, other.n_awaited) && self.leaf == other.leaf
    }
}

impl Serialize for Pages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listed: Vec<(u32, usize)> = self
            .full
            .iter()
            .map(|page| (page.number, page.n_awaited.unwrap_or(page.leaf.changes.len())))
            .collect();
        (listed, &self.open, self.next).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Pages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (listed, open, next) = <(Vec<(u32, usize)>, Option<Box<Leaf>>, u32)>::deserialize(deserializer)?;
        let full = listed.into_iter().map(|(number, n_awaited)| ChangePage {
            number,
            leaf: Leaf::default(),
            n_awaited: Some(n_awaited),
            is_unsaved: false,
        });
        Ok(Self {
            full: full.collect(),
            open,
            next,
            gone: Vec::new(),
        })
    }
}
