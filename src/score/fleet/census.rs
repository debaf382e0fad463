//! How many services are known in each environment, which the limiter takes a share of.
//!
//! Counts and no names: a million of those are more than a record may hold. A service says once that an environment is
//! known and once that it no longer is, each in the transaction of the snapshot in which it is so, and the fleet takes in
//! each record of the log once. A service whose snapshot is lost says both anew and counts twice from then on: of a share
//! of all, that is as good as nothing.
//!
//! **Invariant:** no count is 0.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::hash_text;

/// Environments counted: previews have names of their own, and come by the thousand. Beyond this the smallest is left
/// out, of which the limiter's least number says more than a share anyway.
pub(super) const ENVIRONMENTS_MAX: usize = 10_000;

/// By the hash of the environment's name.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Census(BTreeMap<u64, u32>);

impl Census {
    /// A service is known in `environment`, or no longer.
    pub(super) fn note(&mut self, environment: &str, known: bool) {
        let environment = hash_text(environment);
        if known {
            if !self.0.contains_key(&environment) {
                self.make_room();
            }
            *self.0.entry(environment).or_default() += 1;
        } else if let Some(n) = self.0.get_mut(&environment) {
            *n -= 1;
            if *n == 0 {
                self.0.remove(&environment);
            }
        }
    }

    fn make_room(&mut self) {
        while self.0.len() >= ENVIRONMENTS_MAX {
            let smallest = self.0.iter().map(|(environment, n)| (*n, *environment)).min();
            let Some((_, smallest)) = smallest else { return };
            self.0.remove(&smallest);
        }
    }

    /// The services known in `environment`.
    pub(super) fn of(&self, environment: &str) -> u32 {
        self.0.get(&hash_text(environment)).copied().unwrap_or_default()
    }

    /// Those of all environments; one that is known in two counts twice.
    pub(super) fn total(&self) -> u64 {
        self.0.values().copied().map(u64::from).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_without_number_leave_the_count_of_the_large_ones_alone() {
        let mut census = Census::default();
        let preview = |i: usize| format!("preview-{i}");
        for _ in 0..50 {
            for environment in ["production", "staging"] {
                census.note(environment, true);
            }
        }
        census.note("staging", false);
        for i in 0..ENVIRONMENTS_MAX + 100 {
            census.note(&preview(i), true);
        }
        assert_eq!(census.0.len(), ENVIRONMENTS_MAX);
        assert_eq!((census.of("production"), census.of("staging")), (50, 49));
        // Also of those that were left out it is said that they are known no longer.
        for i in 0..ENVIRONMENTS_MAX + 100 {
            census.note(&preview(i), false);
        }
        assert_eq!((census.0.len(), census.total()), (2, 99));
    }
}
