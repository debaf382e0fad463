//! What an entry's records told, without the duplicates among them: in all, and by variant.

use super::storms::Storm;
use crate::model::{Original, VARIANTS_MAX};

/// A sum over records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Sum {
    /// Without those of storms.
    pub(crate) errors: u64,
    /// Attempts; `None` where none were told.
    pub(crate) requests: Option<u64>,
    pub(crate) n_records: u32,
    pub(crate) storm: Storm,
}

impl Sum {
    fn note(&mut self, original: &Original) {
        self.n_records += 1;
        if original.is_storm {
            self.storm.note(original);
        } else {
            self.errors = self.errors.saturating_add(original.errors);
        }
        self.requests = original
            .requests
            .map(|n| self.requests.unwrap_or(0).saturating_add(n))
            .or(self.requests);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Totals {
    all: Sum,
    /// By variant, up to the last that has records.
    parts: Vec<Sum>,
    /// Variants that have errors, as they came.
    order: Vec<u8>,
}

impl Totals {
    /// Begins anew, and keeps the memory: an entry allocates nothing.
    pub(crate) fn clear(&mut self) {
        self.all = Sum::default();
        self.parts.clear();
        self.order.clear();
    }

    pub(crate) fn note(&mut self, original: &Original) {
        self.all.note(original);
        let place = usize::from(original.variant);
        if place >= VARIANTS_MAX {
            return;
        }
        if place >= self.parts.len() {
            self.parts.resize(place + 1, Sum::default());
        }
        let part = &mut self.parts[place];
        let had = part.errors > 0;
        part.note(original);
        if !had && part.errors > 0 {
            self.order.push(original.variant);
        }
    }

    pub(crate) fn all(&self) -> &Sum {
        &self.all
    }

    pub(crate) fn n_records(&self) -> u32 {
        self.all.n_records
    }

    /// The parts that have errors, by the place of their variant, in the order in which the first of each came: which is
    /// the same however errors are combined.
    pub(crate) fn in_order(&self) -> impl Iterator<Item = (usize, &Sum)> {
        self.order
            .iter()
            .map(|variant| (usize::from(*variant), &self.parts[usize::from(*variant)]))
    }

    /// In the order of the entry's variants, as far as any has records.
    pub(crate) fn parts(&self) -> &[Sum] {
        &self.parts
    }
}
