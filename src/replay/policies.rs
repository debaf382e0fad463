//! Which two policies are compared: their files, and the keys whose values differ.

use serde::Serialize;

use super::summary::count;
use crate::score::policy::{Difference, Faults, differences};

/// Differences that are named; the rest is counted.
const NAMED_MAX: usize = 40;

/// Two policies by their names, and in what they differ.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ComparedPolicies {
    pub a: Box<str>,
    pub b: Box<str>,
    pub differ: u64,
    /// The first of them, 40 at most.
    pub first: Vec<Difference>,
}

impl ComparedPolicies {
    /// Of two names and texts. Errs with the faults of either text.
    pub fn new((name_a, a): (&str, &str), (name_b, b): (&str, &str)) -> Result<Self, Faults> {
        let mut first = differences(a, b)?;
        let differ = count(first.len());
        first.truncate(NAMED_MAX);
        Ok(Self {
            a: name_a.into(),
            b: name_b.into(),
            differ,
            first,
        })
    }

    /// How many are not named if no more than `n_shown` are.
    pub(super) fn n_left(&self, n_shown: usize) -> u64 {
        self.differ.saturating_sub(count(self.first.len().min(n_shown)))
    }
}
