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
    parts: [Sum; VARIANTS_MAX],
}

impl Totals {
    pub(crate) fn note(&mut self, original: &Original) {
        self.all.note(original);
        if let Some(part) = self.parts.get_mut(usize::from(original.variant)) {
            part.note(original);
        }
    }

    pub(crate) fn all(&self) -> &Sum {
        &self.all
    }

    pub(crate) fn n_records(&self) -> u32 {
        self.all.n_records
    }

    /// In the order of the entry's variants.
    pub(crate) fn parts(&self) -> &[Sum] {
        &self.parts
    }
}
