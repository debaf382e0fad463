//! What usual errors are: told while nothing was watched and nothing was wrong.

use serde::{Deserialize, Serialize};

use super::{Tag, for_each, narrow};
use crate::{model::Errors, score::steps::Totals};

/// Fingerprints kept.
const KNOWN_MAX: usize = 8;
/// Fewer errors do not tell how many usually name a callee.
const KNOWN_ERRORS_MIN: u32 = 20;
/// Each quarter-hour so much is forgotten of how many errors name a callee, a part in this: half of it in 22 hours.
const FORGETS: u32 = 128;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Known {
    /// Their fingerprints, from the last that was learned to the first.
    tags: [Tag; KNOWN_MAX],
    /// Errors, and how many of them name a callee; what was long ago counts less.
    errors: u32,
    named: u32,
}

impl Known {
    /// Takes in what an entry told while nothing was watched; `tells_kinds`: whether any ever told one.
    pub(crate) fn learn(&mut self, errors: &Errors<'_>, totals: &Totals, tells_kinds: bool) {
        self.errors = self.errors.saturating_add(narrow(totals.all().errors));
        if !tells_kinds {
            return;
        }
        for_each(errors, totals, |variant, n| {
            if variant.upstream.is_some() {
                self.named = self.named.saturating_add(n);
            }
            if let Some(fingerprint) = variant.fingerprint {
                self.learn_one(fingerprint);
            }
        });
    }

    pub(super) fn learn_one(&mut self, fingerprint: &str) {
        let tag = Tag::of(fingerprint);
        let has_room = self.tags[KNOWN_MAX - 1] == Tag::default();
        if has_room && !self.has(tag) {
            self.tags.rotate_right(1);
            self.tags[0] = tag;
        }
    }

    /// A step has closed: makes room for another fingerprint. Not sooner: which one goes would depend on how errors are
    /// combined.
    pub(crate) fn make_room(&mut self) {
        self.tags[KNOWN_MAX - 1] = Tag::default();
    }

    /// A quarter-hour is over.
    pub(crate) fn forget(&mut self) {
        for n in [&mut self.errors, &mut self.named] {
            *n -= *n / FORGETS;
        }
    }

    pub(super) fn has(&self, tag: Tag) -> bool {
        self.tags.contains(&tag)
    }

    /// Whether any kind is known.
    pub(crate) fn has_fingerprints(&self) -> bool {
        self.tags[0] != Tag::default()
    }

    /// The share of usual errors that name a callee, where enough are known.
    pub(crate) fn named_share(&self) -> Option<f64> {
        (self.errors >= KNOWN_ERRORS_MIN).then(|| f64::from(self.named) / f64::from(self.errors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_usual_errors_name_a_callee_is_forgotten_in_a_day_or_two() {
        let mut known = Known {
            errors: 10_000,
            named: 9_000,
            ..Known::default()
        };
        let share = |known: &Known| known.named_share().unwrap_or_default();
        assert!((share(&known) - 0.9).abs() < 1e-9);
        for _ in 0..4 * 24 * 2 {
            known.forget();
        }
        assert!((1_500..3_500).contains(&known.errors), "{}", known.errors);
        assert!((share(&known) - 0.9).abs() < 0.05, "{}", share(&known));
        assert_eq!(Known::default().named_share(), None);
    }

    #[test]
    fn of_usual_kinds_the_last_are_known() {
        let mut known = Known::default();
        let name = |n: usize| format!("kind {n}");
        for n in 0..=KNOWN_MAX {
            known.learn_one(&name(n));
            known.learn_one(&name(n));
            known.learn_one(&name(n.saturating_sub(1)));
        }
        assert_eq!(
            known.tags[0],
            Tag::of(&name(KNOWN_MAX - 1)),
            "there is no room within a step"
        );
        known.make_room();
        known.learn_one(&name(KNOWN_MAX));
        let is_known = |n: usize| known.has(Tag::of(&name(n)));
        assert!(!is_known(0) && (1..=KNOWN_MAX).all(is_known));
    }
}
