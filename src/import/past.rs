//! The commits seen so far, as far as a later one can name them: by sha, by title, and a merge for what it brought.

use std::{
    collections::{BTreeMap, BinaryHeap, VecDeque},
    ops::Bound,
};

use foldhash::HashMap;

use crate::model::hash_text;

/// Commits remembered by their sha (some 20 MB), and by their title; the next forgets the oldest. Reverts come soon.
const SHAS_MAX: usize = 1 << 17;
const TITLES_MAX: usize = 1 << 16;
/// A merge that brought more commits than this is one of a branch that lived long: taking it back says of none that it failed.
pub(super) const BROUGHT_MAX: usize = 64;
/// Commits looked at for what a merge brought: more lie between it and where its sides parted, and it is left at that.
const WALK_MAX: usize = 1 << 13;
/// The number of no commit.
const UNKNOWN: u32 = u32::MAX;

/// A commit that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found<'a> {
    pub(super) sha: &'a str,
    /// Whether it took something back itself.
    pub(super) was_revert: bool,
    number: u32,
}

#[derive(Debug)]
struct Node {
    sha: Box<str>,
    /// Numbers of its parents, [`UNKNOWN`] if forgotten; more than one make it a merge.
    parents: Box<[u32]>,
    was_revert: bool,
}

#[derive(Debug, Default)]
pub(super) struct Past {
    numbers: BTreeMap<Box<str>, u32>,
    /// In the order of their numbers, parents before children.
    nodes: VecDeque<Node>,
    n_forgotten: u32,
    titles: HashMap<u64, Box<str>>,
    titles_order: VecDeque<u64>,
}

impl Past {
    /// The one commit whose sha begins so.
    pub(super) fn find(&self, prefix: &str) -> Option<Found<'_>> {
        let mut from = self
            .numbers
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(sha, _)| sha.starts_with(prefix));
        let (_, number) = from.next()?;
        if from.next().is_some() {
            return None;
        }
        self.found(*number)
    }

    /// The latest commit of that title.
    pub(super) fn titled(&self, title: &str) -> Option<Found<'_>> {
        self.find(self.titles.get(&hash_text(title))?)
    }

    /// What a commit stands for: itself, and a merge the commits that it brought to its first parent. `None` if these are
    /// too many or too far off.
    pub(super) fn brought(&self, found: Found<'_>) -> Option<Vec<Found<'_>>> {
        let node = self.node(found.number)?;
        if node.parents.len() < 2 {
            return Some(vec![self.found(found.number)?]);
        }
        // The highest number first, so that all children of a commit were seen before it, and whether one of them is of the
        // first parent's side; it is before the others where the numbers are the same.
        let mut ahead: BinaryHeap<(u32, bool)> = BinaryHeap::new();
        let mut n_brought = 0;
        for (place, parent) in node.parents.iter().enumerate() {
            ahead.push((*parent, place == 0));
            n_brought += usize::from(place > 0);
        }
        let mut brought = Vec::new();
        let mut walked = 0;
        while n_brought > 0 {
            let (number, is_main) = ahead.pop()?;
            n_brought -= usize::from(!is_main);
            while let Some((_, other)) = ahead.peek().copied().filter(|(next, _)| *next == number) {
                ahead.pop();
                n_brought -= usize::from(!other);
            }
            walked += 1;
            let node = self.node(number)?;
            if !is_main && node.parents.len() < 2 {
                brought.push(self.found(number)?);
            }
            if walked > WALK_MAX || brought.len() > BROUGHT_MAX {
                return None;
            }
            for parent in &node.parents {
                ahead.push((*parent, is_main));
                n_brought += usize::from(!is_main);
            }
        }
        Some(brought)
    }

    /// Remembers a commit, under these titles.
    pub(super) fn remember<'a>(
        &mut self,
        sha: &str,
        parents: &[Box<str>],
        titles: impl IntoIterator<Item = &'a str>,
        was_revert: bool,
    ) {
        if self.nodes.len() == SHAS_MAX
            && let Some(oldest) = self.nodes.pop_front()
        {
            self.numbers.remove(&oldest.sha);
            self.n_forgotten = self.n_forgotten.saturating_add(1);
        }
        let number = self
            .n_forgotten
            .saturating_add(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.numbers.insert(sha.into(), number);
        self.nodes.push_back(Node {
            sha: sha.into(),
            parents: parents
                .iter()
                .map(|parent| self.numbers.get(parent).copied().unwrap_or(UNKNOWN))
                .collect(),
            was_revert,
        });
        for title in titles.into_iter().filter(|title| !title.is_empty()) {
            if self.titles_order.len() == TITLES_MAX
                && let Some(oldest) = self.titles_order.pop_front()
            {
                self.titles.remove(&oldest);
            }
            let hash = hash_text(title);
            if self.titles.insert(hash, sha.into()).is_none() {
                self.titles_order.push_back(hash);
            }
        }
    }

    fn node(&self, number: u32) -> Option<&Node> {
        let place = number.checked_sub(self.n_forgotten)?;
        self.nodes.get(usize::try_from(place).ok()?)
    }

    fn found(&self, number: u32) -> Option<Found<'_>> {
        let node = self.node(number)?;
        Some(Found {
            sha: &node.sha,
            was_revert: node.was_revert,
            number,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found that a merge brought, of a side that began `n` commits ago.
    fn brought_after(n: usize) -> Option<usize> {
        let mut past = Past::default();
        let sha = |i: usize| format!("main-{i}");
        past.remember(&sha(0), &[], [], false);
        past.remember("side", &[sha(0).into()], [], false);
        for i in 1..=n {
            past.remember(&sha(i), &[sha(i - 1).into()], [], false);
        }
        past.remember("merge", &[sha(n).into(), "side".into()], [], false);
        let merge = past.find("merge").expect("remembered");
        past.brought(merge).map(|brought| brought.len())
    }

    #[test]
    fn a_merge_whose_sides_parted_too_far_back_is_left_at_that() {
        assert_eq!((brought_after(WALK_MAX - 2), brought_after(WALK_MAX)), (Some(1), None));
    }
}
