//! The times of commits, put in order: clocks of committers are wrong now and then, and time must not run backwards.
//!
//! Commits come parents before children and else by date, so their dates rise but where a clock was wrong. There, the
//! median of the dates around stands for the date, so that one commit from the future or from 1970 moves nothing but
//! itself; and no time is before the one before it. Where the dates rise, each is its own median: they stay as they
//! are.
//!
//! **Invariant:** times never fall, and are within 1990 and `now`: what ingest takes.

use std::collections::VecDeque;

use super::log::Commit;
use crate::model::Timestamp;

/// How many dates before and behind one are looked at: as many clocks in a row may be wrong, less one.
const REACH: usize = 5;
/// 1990-01-01T00:00:00Z, in seconds: before it ingest takes nothing.
const EARLIEST: i64 = 631_152_000;

#[derive(Debug)]
pub(super) struct Order {
    now: Timestamp,
    /// Those that were told, as far as they are in reach; those that wait.
    past: VecDeque<i64>,
    waiting: VecDeque<Commit>,
    is_complete: bool,
    latest: i64,
}

impl Order {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            past: VecDeque::new(),
            waiting: VecDeque::new(),
            is_complete: false,
            latest: EARLIEST,
        }
    }

    pub(super) fn push(&mut self, commit: Commit) {
        self.waiting.push_back(commit);
    }

    /// No more come.
    pub(super) fn finish(&mut self) {
        self.is_complete = true;
    }

    /// The next commit whose time is known.
    pub(super) fn pop(&mut self) -> Option<(Commit, Timestamp)> {
        if self.waiting.len() <= REACH && !self.is_complete {
            return None;
        }
        let commit = self.waiting.pop_front()?;
        let time = self
            .median(commit.committed_at)
            .min(self.now.millis().div_euclid(1_000));
        self.latest = self.latest.max(time);
        if self.past.len() == REACH {
            self.past.pop_front();
        }
        self.past.push_back(commit.committed_at);
        Some((commit, Timestamp::from_millis(self.latest.saturating_mul(1_000))))
    }

    fn median(&self, own: i64) -> i64 {
        let behind = self.waiting.iter().map(|commit| commit.committed_at);
        // The first has none before it to be compared with: it is no later than the second of those behind it, and one that
        // nothing can be of is as old as the first of them.
        if self.past.is_empty() {
            let behind: Vec<i64> = behind.take(2).collect();
            let (first, second) = (behind.iter().min(), behind.iter().max());
            let earliest = if own < EARLIEST { first } else { None };
            return earliest.copied().unwrap_or(own).min(second.copied().unwrap_or(own));
        }
        let reach = self.past.len().min(self.waiting.len());
        let before = self.past.iter().rev().take(reach).copied();
        let mut dates: Vec<i64> = before.chain(behind.take(reach)).chain([own]).collect();
        dates.sort_unstable();
        dates[reach]
    }
}
