//! Which kind of error most of them are of, since they began to rise.
//!
//! While a deploy is watched, a few fingerprints are counted: who comes first is, until a step closes and makes room by
//! giving up the rarest. With each step the counts are cut to what has come since the onset that the evidence supposes,
//! as if errors had come evenly. A fingerprint is the producer's own word for a group of errors; it is cut short, and no
//! more of an error is kept. A client's storm has no part in it.
//!
//! **Invariant:** what is counted depends on the order of the errors, never on how they were combined.

use serde::{Deserialize, Serialize};

use super::steps::Totals;
use crate::model::{Errors, VARIANTS_MAX, hash_text};

/// Fingerprints counted at once.
const KINDS_MAX: usize = 3;
/// With each step those below this share of all errors are given up, one in so many; and the rarest, where all places
/// are taken.
const RARE: u32 = 8;
/// A fingerprint is named if at least one in so many errors is of it.
const NAMED: u32 = 3;
/// Of a fingerprint so much is kept, its ellipsis included: in place, since thousands of services keep some.
const TEXT_BYTES_MAX: usize = 28;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Fingerprints {
    kinds: [Kind; KINDS_MAX],
    /// All errors, those of other fingerprints and of none included.
    errors: u32,
    /// Steps since the supposed onset, as of the last that closed.
    n_steps: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Kind {
    /// The hash of the whole fingerprint.
    hash: u32,
    errors: u32,
    text: Beginning,
}

/// The fingerprint that most errors are of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dominant {
    pub(crate) text: Beginning,
    pub(crate) percent: u8,
}

/// A text, or the beginning of a long one; zeros behind it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Beginning([u8; TEXT_BYTES_MAX]);

impl Beginning {
    fn of(text: &str) -> Self {
        const ELLIPSIS: &str = "…";
        let mut bytes = [0; TEXT_BYTES_MAX];
        let (kept, rest) = if text.len() <= TEXT_BYTES_MAX {
            (text.len(), "")
        } else {
            (text.floor_char_boundary(TEXT_BYTES_MAX - ELLIPSIS.len()), ELLIPSIS)
        };
        let text = text.bytes().take(kept).chain(rest.bytes());
        bytes.iter_mut().zip(text).for_each(|(byte, letter)| *byte = letter);
        Self(bytes)
    }

    pub(crate) fn text(&self) -> &str {
        let end = self.0.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

impl Fingerprints {
    /// Counts what an entry told in time.
    pub(crate) fn note(&mut self, errors: &Errors<'_>, totals: &Totals) {
        self.errors = self.errors.saturating_add(narrow(totals.all().errors));
        let mut texts = [None; VARIANTS_MAX];
        for (text, variant) in texts.iter_mut().zip(errors.variants()) {
            *text = variant.fingerprint;
        }
        for (variant, part) in totals.in_order() {
            if let Some(text) = texts.get(variant).copied().flatten() {
                self.count(text, narrow(part.errors));
            }
        }
    }

    fn count(&mut self, text: &str, errors: u32) {
        let hash = u32::try_from(hash_text(text) >> 32).unwrap_or(u32::MAX);
        let is_same = |kind: &Kind| kind.errors > 0 && kind.hash == hash;
        let place = self.kinds.iter().position(is_same);
        if let Some(kind) = place.and_then(|place| self.kinds.get_mut(place)) {
            kind.errors = kind.errors.saturating_add(errors);
        } else if let Some(kind) = self.kinds.iter_mut().find(|kind| kind.errors == 0) {
            let text = Beginning::of(text);
            *kind = Kind { hash, errors, text };
        }
    }

    /// A step has closed; the errors have been rising for `n_steps`, it included.
    pub(crate) fn settle(&mut self, n_steps: u16) {
        let n_steps = n_steps.max(1);
        let held = self.n_steps.saturating_add(1);
        self.n_steps = n_steps;
        if n_steps < held {
            let kept = |n: u32| narrow(u64::from(n) * u64::from(n_steps) / u64::from(held));
            self.errors = kept(self.errors);
            for kind in &mut self.kinds {
                kind.errors = kept(kind.errors);
            }
        }
        self.kinds.sort_by_key(|kind| (kind.errors, kind.hash));
        // The rarest goes where all places are taken: then one goes whatever its share.
        let least = (self.errors / RARE).max(self.kinds[0].errors);
        for (place, kind) in self.kinds.iter_mut().enumerate() {
            if place == 0 || kind.errors < least {
                *kind = Kind::default();
            }
        }
    }

    /// The fingerprint of most errors, if it is of enough of them.
    pub(crate) fn dominant(&self) -> Option<Dominant> {
        let most = self.kinds.iter().max_by_key(|kind| (kind.errors, kind.hash))?;
        let percent = u64::from(most.errors) * 100 / u64::from(self.errors.max(1));
        (most.errors > 0 && most.errors >= self.errors / NAMED).then(|| Dominant {
            text: most.text.clone(),
            percent: u8::try_from(percent.min(100)).unwrap_or(100),
        })
    }
}

fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts of fingerprints, then steps of which each has so many behind its onset.
    fn after(steps: &[(&[(&str, u32)], u16)]) -> Option<(String, u8)> {
        let mut fingerprints = Fingerprints::default();
        for (counts, n_steps) in steps {
            for (text, errors) in *counts {
                fingerprints.errors += errors;
                fingerprints.count(text, *errors);
            }
            fingerprints.settle(*n_steps);
        }
        let dominant = fingerprints.dominant()?;
        Some((dominant.text.text().to_owned(), dominant.percent))
    }

    #[test]
    fn most_errors_since_the_onset_name_their_fingerprint() {
        let (usual, fault): (&[_], &[_]) = (&[("a", 6), ("b", 4)], &[("a", 6), ("new", 40), ("b", 4)]);
        let mut steps = vec![(usual, 1); 30];
        assert_eq!(after(&steps), Some(("a".into(), 60)), "what was before fades");
        steps.extend([(fault, 1), (fault, 2), (fault, 3)]);
        let (text, percent) = after(&steps).expect("it is named");
        assert!(text == "new" && (70..80).contains(&percent), "{text} {percent}");
        // The onset was supposed long ago, and then it is seen to be now.
        let mut steps: Vec<_> = (1..40).map(|n| (usual, n)).collect();
        steps.push((fault, 1));
        steps.push((fault, 2));
        let (text, percent) = after(&steps).expect("it is named");
        assert!(text == "new" && percent > 60, "{text} {percent}");
    }

    #[test]
    fn what_is_of_no_kind_in_particular_is_not_named() {
        let many: Vec<(String, u32)> = (0..20).map(|n| (n.to_string(), 5)).collect();
        let many: Vec<(&str, u32)> = many.iter().map(|(text, n)| (text.as_str(), *n)).collect();
        assert_eq!(after(&[(&many, 1)]), None);
        let mut with_one = many.clone();
        with_one.push(("new", 400));
        assert_eq!(after(&[(&with_one, 1)]), None, "it came when all places were taken");
        with_one.rotate_right(1);
        let (text, percent) = after(&[(&many, 1), (&with_one, 1)]).expect("then they are free");
        assert!(text == "new" && percent >= 66, "{text} {percent}");
        assert_eq!(after(&[]), None);
    }

    #[test]
    fn a_long_fingerprint_is_cut_between_letters() {
        for (text, beginning) in [
            ("NullPointer@Cart.total", "NullPointer@Cart.total"),
            ("28 letters and no more there", "28 letters and no more there"),
            ("29 letters and one more there", "29 letters and one more t…"),
            ("üüüüüüüüüüüüüüüüüüüü", "üüüüüüüüüüüü…"),
            ("", ""),
        ] {
            assert_eq!(Beginning::of(text).text(), beginning);
        }
    }
}
