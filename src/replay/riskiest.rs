//! The riskiest of what is offered, within a bound.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::model::UnitInterval;

/// Of equal ones those that came first.
#[derive(Debug)]
pub(super) struct Riskiest<T> {
    n_max: usize,
    n_offered: u64,
    /// By the bits of the risk, which order as numbers from 0 to 1 do, and how many came before: the first goes first.
    kept: BTreeMap<(u64, Reverse<u64>), T>,
}

impl<T> Riskiest<T> {
    /// Keeps `n_max` at most.
    pub(super) fn new(n_max: usize) -> Self {
        Self {
            n_max,
            n_offered: 0,
            kept: BTreeMap::new(),
        }
    }

    /// Offers what `make` gives, which is asked only if it is kept.
    pub(super) fn offer(&mut self, risk: UnitInterval, make: impl FnOnce() -> T) {
        // Zero has two signs, and one place.
        let place = ((risk.value() + 0.0).to_bits(), Reverse(self.n_offered));
        self.n_offered += 1;
        if self.kept.len() >= self.n_max {
            if self.kept.first_key_value().is_some_and(|(least, _)| place < *least) {
                return;
            }
            self.kept.pop_first();
        }
        self.kept.insert(place, make());
    }

    /// In the order in which they were offered.
    pub(super) fn in_order(&self) -> impl Iterator<Item = &T> {
        let kept = self.kept.iter().map(|((_, Reverse(n)), item)| (n, item));
        let by_offer: BTreeMap<_, _> = kept.collect();
        by_offer.into_values()
    }

    /// The riskiest first.
    pub(super) fn by_risk(&self) -> impl Iterator<Item = &T> {
        self.kept.values().rev()
    }
}
