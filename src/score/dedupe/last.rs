//! For each identity in the window, the number of its last arrival.
//!
//! A hash table in which nothing is ever removed: what has left the window is known by its number, and its cell is free.
//! An event that is new, as nearly all are, so costs one cache line here and the end of the arrivals, and an event that
//! leaves costs nothing. A bucket is a line of twelve cells; what finds none goes to the next bucket, and leaves there
//! its number, so that one looks on only while something that passed may be in the window.
//!
//! **Invariant:** each identity in the window has one cell that holds the number of its last arrival, in its home bucket
//! or in one to which buckets that were passed lead without a gap.

use std::hash::BuildHasher as _;

use foldhash::fast::RandomState;

use super::Arrivals;
use crate::model::EventHash;

const CELLS: usize = 12;
/// A bucket's cells that are used in the mean, at most: one in twenty buckets is passed then.
const USED_MAX: usize = 8;
const BUCKETS_MIN: usize = 16;

/// One cache line.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(64))]
struct Bucket {
    /// Eight bits of the hash of what is in each cell.
    tags: [u8; CELLS],
    /// The number of the last arrival that went on to the next bucket; 0: none did.
    passed: u32,
    /// 0: never used.
    numbers: [u32; CELLS],
}

#[derive(Debug, Default)]
pub(super) struct Last {
    /// A power of two of them.
    buckets: Box<[Bucket]>,
    /// Nobody outside can know which identities share a bucket.
    hasher: RandomState,
}

impl Last {
    /// Notes the arrival of that number, the last of `arrivals`; says whether its identity has arrived before in the
    /// window.
    pub(super) fn note(&mut self, hash: EventHash, number: u32, arrivals: &Arrivals) -> bool {
        if arrivals.identities.len() > self.buckets.len() * USED_MAX {
            let n = (self.buckets.len() * 2).max(BUCKETS_MIN);
            self.buckets = vec![Bucket::default(); n].into();
            // The last of them is in with the others, and has to be told apart from the ones before.
            return self.fill(arrivals);
        }
        self.put(hash, number, arrivals)
    }

    /// Begins anew with all arrivals, whose numbers have changed.
    pub(super) fn rebuild(&mut self, arrivals: &Arrivals) {
        self.buckets.fill(Bucket::default());
        self.fill(arrivals);
    }

    /// Whether the last of them has arrived before.
    fn fill(&mut self, arrivals: &Arrivals) -> bool {
        let mut is_known = false;
        for (number, hash) in arrivals.numbered() {
            is_known = self.put(hash, number, arrivals);
        }
        is_known
    }

    fn put(&mut self, hash: EventHash, number: u32, arrivals: &Arrivals) -> bool {
        let hashed = self.hasher.hash_one(hash);
        let [tag, ..] = hashed.to_le_bytes();
        let mask = self.buckets.len() - 1;
        let home = usize::try_from(hashed >> 32).unwrap_or(0) & mask;
        let mut free = None;
        for on in 0..=mask {
            let at = (home + on) & mask;
            let bucket = &mut self.buckets[at];
            for cell in bucket.tagged(tag) {
                if arrivals.is(bucket.numbers[cell], hash) {
                    bucket.numbers[cell] = number;
                    self.pass(home, on, number);
                    return true;
                }
            }
            if free.is_none() {
                let found = bucket.numbers.iter().position(|known| *known < arrivals.first);
                free = found.map(|cell| (on, cell));
            }
            if free.is_some() && bucket.passed < arrivals.first {
                break;
            }
        }
        if let Some((on, cell)) = free {
            let bucket = &mut self.buckets[(home + on) & mask];
            bucket.tags[cell] = tag;
            bucket.numbers[cell] = number;
            self.pass(home, on, number);
        }
        false
    }

    /// One in the bucket `n` further than its home has passed all before it.
    fn pass(&mut self, home: usize, n: usize, number: u32) {
        let mask = self.buckets.len() - 1;
        for on in 0..n {
            self.buckets[(home + on) & mask].passed = number;
        }
    }
}

impl Bucket {
    /// The cells with that tag, and perhaps others.
    fn tagged(&self, tag: u8) -> impl Iterator<Item = usize> + use<> {
        // A bit for each, without a branch: nearly always there is none.
        let cells = (0_u32..).zip(self.tags);
        let mut bits = cells.fold(0_u32, |bits, (cell, known)| bits | u32::from(known == tag) << cell);
        std::iter::from_fn(move || {
            let cell = usize::try_from(bits.trailing_zeros())
                .ok()
                .filter(|cell| *cell < CELLS)?;
            bits &= bits - 1;
            Some(cell)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Beside a map of what arrived last, with few identities and with many.
        #[test]
        fn it_knows_what_is_in_the_window(
            window in 1_usize..3_000,
            kinds in 1_u64..6_000,
            seed: u64,
        ) {
            let (mut arrivals, mut last) = (Arrivals::default(), Last::default());
            let mut known: HashMap<u64, u32> = HashMap::new();
            let mut state = seed;
            for _ in 0..12_000 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let identity = (state >> 33) % kinds;
                if arrivals.identities.len() >= window {
                    arrivals.pop();
                }
                let number = arrivals.push(EventHash(identity)).expect("few");
                let before = known.insert(identity, number);
                let is_known = before.is_some_and(|before| before >= arrivals.first);
                prop_assert_eq!(last.note(EventHash(identity), number, &arrivals), is_known);
            }
        }
    }
}
