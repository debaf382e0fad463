//! Which partition a service's records go to: Kafka's default partitioner for keys, so that a Java producer agrees.

use crate::model::PartitionIndex;

/// The seed of Kafka's murmur2, as in `org.apache.kafka.common.utils.Utils`.
const SEED: u32 = 0x9747_b28c;
const MULTIPLIER: u32 = 0x5bd1_e995;

/// The partition of `key` among `n_partitions`: `(murmur2(key) & 0x7fffffff) mod n_partitions`.
///
/// A topic has at least one partition: 0 counts as 1.
#[must_use]
pub fn partition_of(key: &str, n_partitions: u32) -> PartitionIndex {
    let hash = murmur2(key.as_bytes()) & 0x7fff_ffff;
    PartitionIndex((hash % n_partitions.max(1)).cast_signed())
}

/// Austin Appleby's `MurmurHash2`, 32 bits.
fn murmur2(bytes: &[u8]) -> u32 {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let (words, rest) = bytes.as_chunks::<4>();
    let mut hash = words.iter().fold(SEED ^ length, |hash, word| {
        let mut word = u32::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
        word ^= word >> 24;
        hash.wrapping_mul(MULTIPLIER) ^ word.wrapping_mul(MULTIPLIER)
    });
    if !rest.is_empty() {
        let last = rest.iter().rev().fold(0, |sum, byte| sum << 8 | u32::from(*byte));
        hash = (hash ^ last).wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ hash >> 15
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors of Kafka's own `UtilsTest`.
    #[test]
    fn hashes_are_kafkas() {
        let cases: [(&str, i32); 6] = [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in cases {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
    }

    #[test]
    fn partitions_are_within_the_topic() {
        // (-973932308 & 0x7fffffff) = 1173551340, mod 12 = 0; 479470107 mod 12 = 3.
        assert_eq!(partition_of("21", 12), PartitionIndex(0));
        assert_eq!(partition_of("abc", 12), PartitionIndex(3));
        for key in ["", "a", "checkout", "δοκιμή"] {
            assert_eq!(partition_of(key, 1), PartitionIndex(0), "{key}");
            assert!((0..7).contains(&partition_of(key, 7).0), "{key}");
        }
    }
}
