//! Changes in pages, so that a service with many of them can be snapshotted for the price of a few.
//!
//! ```text
//! full pages, oldest first: [ 7 ] [ 8 ] [ 9 ]   open page: [ the newest, one by one ]
//! snapshot:  of its own each, when it changed             with the service, each time
//! ```
//!
//! The oldest changes leave from the front, and that changes no page: the service's snapshot says how many are left of
//! each. Which change is on which page is a function of what happened, as all else is.

use std::collections::VecDeque;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Remembered, sheet::Sheet};
use crate::{
    model::Second,
    score::review::{Note, Target},
};

/// Changes on a page: small beside the rest of a service, many beside what one event touches.
const PAGE_CHANGES: usize = 32;

/// A full page: what is snapshotted under a key of its own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangePage {
    number: u32,
    changes: Sheet,
    /// Left on it by the service's snapshot, while it is still to be laid in.
    #[serde(skip)]
    n_awaited: usize,
    /// Changed since it was snapshotted.
    #[serde(skip)]
    is_unsaved: bool,
}

/// All changes of a service, in the order in which they landed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pages {
    full: VecDeque<ChangePage>,
    open: Sheet,
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
        self.full.iter().map(|page| &page.changes).chain([&self.open])
    }

    /// What they take: a function of what is in them, as which changes leave for want of room must be.
    pub(super) fn bytes(&self) -> usize {
        let pages = (self.full.len() + 1) * size_of::<ChangePage>();
        pages + self.sheets().map(Sheet::bytes).sum::<usize>()
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

    pub(super) fn push(&mut self, change: Remembered) {
        if self.open.len() >= PAGE_CHANGES {
            self.full.reserve_exact(1);
            self.full.push_back(ChangePage {
                number: self.next,
                changes: std::mem::take(&mut self.open),
                n_awaited: 0,
                is_unsaved: true,
            });
            self.next = self.next.wrapping_add(1);
        }
        self.open.push(change);
    }

    /// Takes out the `n` oldest.
    pub(super) fn take_oldest(&mut self, n: usize) -> Vec<Remembered> {
        let mut taken = Vec::with_capacity(n);
        while taken.len() < n {
            let rest = n - taken.len();
            let Some(page) = self.full.front_mut() else {
                taken.extend(self.open.take_first(rest));
                break;
            };
            taken.extend(page.changes.take_first(rest));
            self.drop_empty();
        }
        taken
    }

    /// Takes out all of which `is_over` says so.
    pub(super) fn take_where(&mut self, is_over: impl Fn(&Remembered) -> bool) -> Vec<Remembered> {
        let mut taken = Vec::new();
        for page in &mut self.full {
            let before = taken.len();
            taken.extend(page.changes.take_where(&is_over));
            page.is_unsaved |= taken.len() > before;
        }
        taken.extend(self.open.take_where(&is_over));
        self.drop_empty();
        taken
    }

    /// Calls `act` with each; it says whether it changed it.
    pub(super) fn for_each(&mut self, mut act: impl FnMut(&mut Remembered) -> bool) {
        for page in &mut self.full {
            page.is_unsaved |= page.changes.for_each(&mut act);
        }
        self.open.for_each(act);
    }

    /// The same with those that a review is about.
    pub(super) fn for_each_meant(&mut self, note: &Note, mut act: impl FnMut(&mut Remembered) -> bool) {
        for page in &mut self.full {
            page.is_unsaved |= page.changes.for_each_meant(note, &mut act);
        }
        self.open.for_each_meant(note, act);
    }

    fn drop_empty(&mut self) {
        let gone = &mut self.gone;
        self.full.retain(|page| {
            let is_empty = page.changes.is_empty();
            if is_empty {
                gone.push(page.number);
            }
            !is_empty
        });
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
            && let Some(n_left_since) = page.changes.len().checked_sub(known.n_awaited)
        {
            known.changes = page.changes;
            known.changes.take_first(n_left_since);
            known.n_awaited = 0;
        }
    }

    /// The number of a page that is listed and was not laid in.
    pub(crate) fn missing(&self) -> Option<u32> {
        self.full.iter().find(|page| page.n_awaited > 0).map(|page| page.number)
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
        (self.number, self.n_awaited) == (other.number, other.n_awaited) && self.changes == other.changes
    }
}

impl Serialize for Pages {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let listed: Vec<(u32, usize)> = self
            .full
            .iter()
            .map(|page| (page.number, page.changes.len() + page.n_awaited))
            .collect();
        (listed, &self.open, self.next).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Pages {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (listed, open, next) = <(Vec<(u32, usize)>, Sheet, u32)>::deserialize(deserializer)?;
        let full = listed.into_iter().map(|(number, n_awaited)| ChangePage {
            number,
            changes: Sheet::default(),
            n_awaited,
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
