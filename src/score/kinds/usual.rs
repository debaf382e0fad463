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
pub(crate) struct UsualKinds {
    /// Their fingerprints, from the last that was learned to the first.
    tags: [Tag; KNOWN_MAX],
    /// A bit for each of them that was told in this quarter-hour, the lowest for the first.
    seen: u8,
    /// Whether errors were ever told with a fingerprint, and with the callee that failed.
    pub(crate) tells_fingerprints: bool,
    pub(crate) tells_upstreams: bool,
    /// Errors, and how many of them name a callee; what was long ago counts less.
    errors: u32,
    named: u32,
}

impl UsualKinds {
    /// Whether errors were ever told with either.
    pub(crate) fn tells_kinds(&self) -> bool {
        self.tells_fingerprints || self.tells_upstreams
    }

    /// Takes in what an entry told while nothing was watched.
    pub(crate) fn learn(&mut self, errors: &Errors<'_>, totals: &Totals) {
        self.errors = self.errors.saturating_add(narrow(totals.all().errors));
        if !self.tells_kinds() {
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

    pub(super) fn learn_one(&mut self, fingerprint: &[u8]) {
        let tag = Tag::of(fingerprint);
        if let Some(place) = self.tags.iter().position(|known| *known == tag) {
            self.seen |= 1 << place;
        } else if self.has_room() {
            self.tags.rotate_right(1);
            self.tags[0] = tag;
            self.seen = self.seen << 1 | 1;
        }
    }

    /// What is told is not looked at: in this quarter-hour nothing goes for not having been told.
    pub(crate) fn pause(&mut self) {
        self.seen = u8::MAX;
    }

    fn has_room(&self) -> bool {
        self.tags[KNOWN_MAX - 1] == Tag::default()
    }

    /// A quarter-hour is over: makes room for another fingerprint, where one was not told in it. Of several the one goes that
    /// was learned first. Not sooner: which one goes would depend on how errors are combined.
    pub(crate) fn forget(&mut self) {
        for n in [&mut self.errors, &mut self.named] {
            *n -= *n / FORGETS;
        }
        let not_told = (0..KNOWN_MAX).rev().find(|place| self.seen & (1 << place) == 0);
        if let Some(place) = not_told.filter(|_| !self.has_room()) {
            self.tags[place..].rotate_left(1);
            self.tags[KNOWN_MAX - 1] = Tag::default();
        }
        self.seen = 0;
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
        let mut known = UsualKinds {
            errors: 10_000,
            named: 9_000,
            ..UsualKinds::default()
        };
        let share = |known: &UsualKinds| known.named_share().unwrap_or_default();
        assert!((share(&known) - 0.9).abs() < 1e-9);
        for _ in 0..4 * 24 * 2 {
            known.forget();
        }
        assert!((1_500..3_500).contains(&known.errors), "{}", known.errors);
        assert!((share(&known) - 0.9).abs() < 0.05, "{}", share(&known));
        assert_eq!(UsualKinds::default().named_share(), None);
    }

    /// What is told in every quarter-hour stays, and what was learned first of all else makes room for one other.
    #[test]
    fn a_usual_kind_is_known_while_it_is_told() {
        let mut known = UsualKinds::default();
        let name = |n: usize| format!("kind {n}");
        let is_known = |known: &UsualKinds, n: usize| known.has(Tag::of(&name(n)));
        for n in 0..=KNOWN_MAX {
            known.learn_one(name(n).as_bytes());
        }
        assert!(
            (0..KNOWN_MAX).all(|n| is_known(&known, n)) && !is_known(&known, KNOWN_MAX),
            "no room"
        );
        known.forget();
        known.learn_one(name(KNOWN_MAX).as_bytes());
        assert!(
            (0..=KNOWN_MAX).all(|n| is_known(&known, n) == (n != KNOWN_MAX)),
            "all were told"
        );
        for n in [0, 2, 3] {
            known.learn_one(name(n).as_bytes());
        }
        known.forget();
        for n in [KNOWN_MAX, KNOWN_MAX + 1] {
            known.learn_one(name(n).as_bytes());
        }
        assert!((0..KNOWN_MAX + 2).all(|n| is_known(&known, n) != [1, KNOWN_MAX + 1].contains(&n)));
        for _ in 0..100 {
            for n in [0, 2] {
                known.learn_one(name(n).as_bytes());
            }
            known.forget();
        }
        assert!(
            [0, 2].into_iter().all(|n| is_known(&known, n)),
            "the most usual of all, learned first"
        );
        assert_eq!(
            known.tags.iter().filter(|tag| **tag == Tag::default()).count(),
            1,
            "one other may come"
        );
    }
}
