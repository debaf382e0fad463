//! What was told last, by a key, as much as there is room for.

use std::{collections::VecDeque, hash::Hash};

use foldhash::{HashMap, HashMapExt};

/// Of each key what was told first; the key that was told first of all makes room for a new one.
#[derive(Debug)]
pub(super) struct Latest<K, V> {
    by_key: HashMap<K, V>,
    /// The keys, in the order in which they were told.
    arrivals: VecDeque<K>,
    max: usize,
}

impl<K: Copy + Eq + Hash, V> Latest<K, V> {
    /// With room for so many.
    pub(super) fn new(max: usize) -> Self {
        Self {
            by_key: HashMap::new(),
            arrivals: VecDeque::new(),
            max,
        }
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.by_key.get(&key)
    }

    /// Remembers what is told of a key that is not known.
    pub(super) fn remember(&mut self, key: K, told: impl FnOnce() -> V) {
        if self.by_key.contains_key(&key) {
            return;
        }
        if self.arrivals.len() == self.max
            && let Some(oldest) = self.arrivals.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.by_key.insert(key, told());
        self.arrivals.push_back(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_key_makes_room_and_the_first_word_of_a_key_stands() {
        let mut latest = Latest::new(2);
        for (key, told) in [(1, 'a'), (2, 'b'), (1, 'c'), (3, 'd')] {
            latest.remember(key, || told);
        }
        assert_eq!(
            [1, 2, 3].map(|key| latest.get(key).copied()),
            [None, Some('b'), Some('d')]
        );
        assert_eq!((latest.by_key.len(), latest.arrivals.len()), (2, 2));
    }
}
