//! What kinds of errors there have been since they began to rise: of which fingerprints, and of which failed callees.
//!
//! While a deploy is watched, a few of each are counted: who comes first is, until a step closes and makes room by giving up
//! the rarest. With each step the counts are cut to what has come since the onset that the evidence supposes, as if errors
//! had come evenly. A fingerprint is the producer's own word for a group of errors; it is cut short, and no more of an error
//! is kept. A client's storm has no part in it.
//!
//! A fingerprint is new if it is none of the [`usual`] ones.
//!
//! **Invariant:** what is counted depends on the order of the errors, never on how they were combined.

mod usual;

use serde::{Deserialize, Serialize};

pub(crate) use self::usual::UsualKinds;
use super::steps::Totals;
use crate::model::{Errors, Variant, hash_bytes};

/// Fingerprints counted at once, and callees.
const FINGERPRINTS_MAX: usize = 3;
pub(crate) const UPSTREAMS_MAX: usize = 2;
/// With each step those below this share of all errors are given up, one in so many; and the rarest, where all places
/// are taken.
const RARE: u32 = 8;
/// A fingerprint is named if at least one in so many errors is of it.
const NAMED: u32 = 3;
/// Of a fingerprint so much is kept, its ellipsis included: in place, since thousands of services keep some.
const TEXT_BYTES_MAX: usize = 28;

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Kinds {
    fingerprints: [Fingerprint; FINGERPRINTS_MAX],
    upstreams: [Upstream; UPSTREAMS_MAX],
    /// All errors, those that tell neither included; of them those that name a callee, and those of new fingerprints.
    errors: u32,
    named: u32,
    new: u32,
    /// Steps since the supposed onset, as of the last that closed.
    n_steps: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Fingerprint {
    tag: Tag,
    errors: u32,
    text: Beginning,
}

/// A callee that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Upstream {
    errors: u32,
    tag: Tag,
}

/// By which texts are told apart: part of a hash, and never 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Tag(u16);

impl Tag {
    pub(crate) fn of<T: AsRef<[u8]> + ?Sized>(text: &T) -> Self {
        let [.., low, high] = hash_bytes(text.as_ref()).to_le_bytes();
        Self(u16::from_le_bytes([low, high]).max(1))
    }
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

impl Kinds {
    /// Counts what an entry told in time.
    pub(crate) fn note(&mut self, errors: &Errors<'_>, totals: &Totals, usual: &UsualKinds) {
        self.errors = self.errors.saturating_add(narrow(totals.all().errors));
        for_each(errors, totals, |variant, errors| {
            if let Some(text) = variant.fingerprint {
                self.count_fingerprint(text, errors, usual);
            }
            if let Some(text) = variant.upstream {
                self.count_upstream(text, errors);
            }
        });
    }

    fn count_fingerprint(&mut self, text: &[u8], errors: u32, usual: &UsualKinds) {
        let tag = Tag::of(text);
        if !usual.has(tag) {
            self.new = self.new.saturating_add(errors);
        }
        let (places, is_same) = (&mut self.fingerprints, |kind: &Fingerprint| kind.tag == tag);
        if let Some(kind) = places.iter_mut().find(|kind| kind.errors > 0 && is_same(kind)) {
            kind.errors = kind.errors.saturating_add(errors);
        } else if let Some(kind) = places.iter_mut().find(|kind| kind.errors == 0)
            && let Ok(text) = std::str::from_utf8(text)
        {
            *kind = Fingerprint {
                tag,
                errors,
                text: Beginning::of(text),
            };
        }
    }

    fn count_upstream(&mut self, text: &[u8], errors: u32) {
        let tag = Tag::of(text);
        self.named = self.named.saturating_add(errors);
        let places = &mut self.upstreams;
        if let Some(upstream) = places.iter_mut().find(|known| known.errors > 0 && known.tag == tag) {
            upstream.errors = upstream.errors.saturating_add(errors);
        } else if let Some(upstream) = places.iter_mut().find(|known| known.errors == 0) {
            *upstream = Upstream { errors, tag };
        }
    }

    /// A step has closed; the errors have been rising for `n_steps`, it included.
    pub(crate) fn settle(&mut self, n_steps: u16) {
        let n_steps = n_steps.max(1);
        let held = self.n_steps.saturating_add(1);
        self.n_steps = n_steps;
        if n_steps < held {
            let kept = |n: u32| narrow(u64::from(n) * u64::from(n_steps) / u64::from(held));
            for n in [&mut self.errors, &mut self.named, &mut self.new] {
                *n = kept(*n);
            }
            for kind in &mut self.fingerprints {
                kind.errors = kept(kind.errors);
            }
            for upstream in &mut self.upstreams {
                upstream.errors = kept(upstream.errors);
            }
        }
        self.fingerprints.sort_by_key(|kind| (kind.errors, kind.tag));
        // The rarest goes where all places are taken: then one goes whatever its share.
        let least = (self.errors / RARE).max(self.fingerprints[0].errors);
        for (place, kind) in self.fingerprints.iter_mut().enumerate() {
            if place == 0 || kind.errors < least {
                *kind = Fingerprint::default();
            }
        }
        self.upstreams.sort_by_key(|upstream| (upstream.errors, upstream.tag));
        self.upstreams[0] = Upstream::default();
    }

    /// The callees that errors name, and the share of all errors that name each.
    pub(crate) fn upstreams(&self) -> [(Tag, f64); UPSTREAMS_MAX] {
        self.upstreams
            .map(|upstream| (upstream.tag, self.share(upstream.errors)))
    }

    /// The share of all errors that names a callee.
    pub(crate) fn named_share(&self) -> f64 {
        self.share(self.named)
    }

    /// The share of all errors that is of new fingerprints, if most errors are of those or of ones that are counted.
    pub(crate) fn new_share(&self) -> Option<f64> {
        let counted: f64 = self.fingerprints.iter().map(|kind| self.share(kind.errors)).sum();
        let new = self.share(self.new);
        (counted.max(new) >= 0.5).then_some(new)
    }

    /// All errors since the onset, of whichever version.
    pub(crate) fn errors(&self) -> f64 {
        f64::from(self.errors)
    }

    fn share(&self, errors: u32) -> f64 {
        f64::from(errors) / f64::from(self.errors.max(1))
    }

    /// So many errors, of which so many name a callee.
    #[cfg(test)]
    pub(crate) fn naming(callee: &str, named: u32, errors: u32) -> Self {
        let mut kinds = Self {
            errors,
            ..Self::default()
        };
        kinds.count_upstream(callee.as_bytes(), named);
        kinds
    }

    /// The fingerprint of most errors, if it is of enough of them.
    pub(crate) fn dominant(&self) -> Option<Dominant> {
        let most = self.fingerprints.iter().max_by_key(|kind| (kind.errors, kind.tag))?;
        let percent = u64::from(most.errors) * 100 / u64::from(self.errors.max(1));
        let is_enough = u64::from(most.errors) * u64::from(NAMED) >= u64::from(self.errors);
        (most.errors > 0 && is_enough).then(|| Dominant {
            text: most.text.clone(),
            percent: u8::try_from(percent.min(100)).unwrap_or(100),
        })
    }
}

/// The parts of an entry that have errors, in the order in which the first of each came.
fn for_each<'a>(errors: &Errors<'a>, totals: &Totals, mut of: impl FnMut(Variant<&'a [u8]>, u32)) {
    for (place, part) in totals.in_order() {
        // Nearly all entries have one or two.
        if let Some(variant) = errors.variants().nth(place) {
            of(variant, narrow(part.errors));
        }
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
        let mut kinds = Kinds::default();
        for (counts, n_steps) in steps {
            for (text, errors) in *counts {
                kinds.errors += errors;
                kinds.count_fingerprint(text.as_bytes(), *errors, &UsualKinds::default());
            }
            kinds.settle(*n_steps);
        }
        let dominant = kinds.dominant()?;
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

    /// An entry's errors, each of a fingerprint and of a callee that failed, where it tells them.
    fn told(kinds: &mut Kinds, usual: &mut UsualKinds, is_watched: bool, variants: &[(&str, &str, u32)]) {
        for (fingerprint, upstream, n) in variants {
            if !is_watched {
                usual.learn_one(fingerprint.as_bytes());
            }
            kinds.errors += n;
            if !fingerprint.is_empty() {
                kinds.count_fingerprint(fingerprint.as_bytes(), *n, usual);
            }
            if !upstream.is_empty() {
                kinds.count_upstream(upstream.as_bytes(), *n);
            }
        }
        kinds.settle(1);
    }

    #[test]
    fn what_is_new_and_which_callee_failed_is_counted() {
        let (mut kinds, mut usual) = (Kinds::default(), UsualKinds::default());
        assert!(!usual.has_fingerprints());
        told(&mut kinds, &mut usual, false, &[("usual", "", 4)]);
        assert!(usual.has_fingerprints());
        told(
            &mut kinds,
            &mut usual,
            true,
            &[("usual", "", 10), ("new", "api", 20), ("", "db", 2)],
        );
        told(&mut kinds, &mut usual, true, &[("usual", "", 10), ("new", "api", 30)]);
        let of_api = kinds.upstreams().into_iter().find(|(tag, _)| *tag == Tag::of("api"));
        let of_api = of_api.map_or(0.0, |(_, share)| share);
        assert!((0.6..0.8).contains(&of_api), "{of_api}");
        let new = kinds.new_share().unwrap_or_default();
        assert!((new - of_api).abs() < 0.02, "{new}");
        told(&mut kinds, &mut usual, true, &[("", "", 900)]);
        assert_eq!(kinds.new_share(), None, "most are of no kind");
    }

    #[test]
    fn more_kinds_and_callees_than_have_a_place_are_counted_together() {
        let (mut kinds, mut usual) = (Kinds::default(), UsualKinds::default());
        let names: Vec<String> = (0..20).map(|n| format!("new {n}")).collect();
        let many: Vec<(&str, &str, u32)> = names
            .iter()
            .zip(["api", "db", "mail", ""].into_iter().cycle())
            .map(|(name, callee)| (name.as_str(), callee, 5))
            .collect();
        told(&mut kinds, &mut usual, true, &many);
        told(&mut kinds, &mut usual, true, &many);
        assert!((kinds.named_share() - 0.75).abs() < 0.02, "{}", kinds.named_share());
        assert!(
            kinds.new_share().is_some_and(|new| new > 0.95),
            "{:?}",
            kinds.new_share()
        );
    }

    /// Nothing writes such a log; who reads one shows nobody what is no text.
    #[test]
    fn bytes_that_are_no_text_are_counted_and_not_named() {
        let mut kinds = Kinds {
            errors: 9,
            ..Kinds::default()
        };
        kinds.count_fingerprint(b"total\xff", 9, &UsualKinds::default());
        assert_eq!((kinds.new_share(), kinds.dominant()), (Some(1.0), None));
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
