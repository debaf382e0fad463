//! Identities as 64-bit hashes: what duplicates are found by.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// The identity of an event: a hash of its service, its source and its id.
///
/// XXH3 by its specification, so that every process and release computes the same. Two different events share one
/// with a chance of 2⁻⁶⁴ a pair: within a window of a million events, about 3·10⁻⁸.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventHash(pub u64);

impl EventHash {
    /// Lengths are hashed with the texts, so that `("a", "bc")` and `("ab", "c")` differ.
    #[must_use]
    pub fn of(service: &str, source: &str, id: &str) -> Self {
        let total = service.len() + source.len() + id.len() + 6;
        let mut buffer = [0_u8; 256];
        if total <= buffer.len() {
            let mut at = 0;
            for part in [service, source, id] {
                let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
                buffer[at..at + 2].copy_from_slice(&length.to_le_bytes());
                buffer[at + 2..at + 2 + part.len()].copy_from_slice(part.as_bytes());
                at += 2 + part.len();
            }
            return Self(xxh3_64(&buffer[..at]));
        }
        let mut hasher = Xxh3::new();
        for part in [service, source, id] {
            hasher.update(&u16::try_from(part.len()).unwrap_or(u16::MAX).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self(hasher.digest())
    }
}

/// A hash of one text, for comparing people, commits and versions without keeping them.
#[must_use]
pub fn hash_text(text: &str) -> u64 {
    hash_bytes(text.as_bytes())
}

/// Half of [`hash_text`], for telling a few apart: two of seventeen fall together once in thirty million times.
#[must_use]
pub fn short_hash(text: &str) -> u32 {
    half_of(hash_text(text))
}

/// The upper half of a hash.
#[must_use]
pub fn half_of(hash: u64) -> u32 {
    u32::try_from(hash >> 32).unwrap_or(u32::MAX)
}

/// [`hash_text`] of the text with these bytes.
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boundary_between_parts_counts_and_long_texts_hash_as_short_ones_do() {
        assert_ne!(EventHash::of("a", "bc", "d"), EventHash::of("ab", "c", "d"));
        let long = "x".repeat(250);
        let mut hasher = Xxh3::new();
        for part in ["s", "t", long.as_str()] {
            hasher.update(&u16::try_from(part.len()).expect("short").to_le_bytes());
            hasher.update(part.as_bytes());
        }
        assert_eq!(EventHash::of("s", "t", &long), EventHash(hasher.digest()));
    }
}
