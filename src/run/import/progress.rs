//! How far an import is, on standard error, if somebody is there to see it.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use crate::{clock::Stopwatch, model::Timestamp};

/// Commits between two looks at the clock.
const EVERY_COMMITS: u64 = 64;
const EVERY: Duration = Duration::from_millis(200);

pub(super) struct Progress {
    /// Commits to read; `None` where nobody sees it.
    total: Option<u64>,
    n_commits: u64,
    began: Stopwatch,
    drawn_at: Duration,
}

impl Progress {
    /// `count` is asked only where the answer is seen: it costs git a walk.
    pub(super) fn new(count: impl FnOnce() -> anyhow::Result<u64>) -> Self {
        let is_seen = io::stderr().is_terminal();
        Self {
            // What cannot be counted can be read all the same.
            total: if is_seen { count().ok() } else { None },
            n_commits: 0,
            began: Stopwatch::start(),
            drawn_at: Duration::ZERO,
        }
    }

    pub(super) fn commit(&mut self, committed_at: i64) {
        self.n_commits += 1;
        let Some(total) = self.total else { return };
        if !self.n_commits.is_multiple_of(EVERY_COMMITS) {
            return;
        }
        let elapsed = self.began.elapsed();
        if elapsed < self.drawn_at + EVERY {
            return;
        }
        self.drawn_at = elapsed;
        self.draw(&line(self.n_commits, total, committed_at, elapsed));
    }

    pub(super) fn clear(&mut self) {
        if self.drawn_at > Duration::ZERO {
            self.draw("");
        }
    }

    fn draw(&mut self, text: &str) {
        // A terminal that went away is no reason to stop.
        if write!(io::stderr(), "\r{text}\x1b[K").is_err() {
            self.total = None;
        }
    }
}

/// Commits read and in all, the month they are of, commits a second, and when it will be done.
fn line(n: u64, total: u64, committed_at: i64, elapsed: Duration) -> String {
    const WIDTH: u64 = 30;
    let total = total.max(n);
    let filled = usize::try_from(n * WIDTH / total.max(1)).unwrap_or(0);
    let per_second = u128::from(n) * 1_000 / elapsed.as_millis().max(1);
    let left = elapsed.as_millis() * u128::from(total - n) / u128::from(n.max(1)) / 1_000;
    let month: String = Timestamp::from_millis(committed_at.saturating_mul(1_000))
        .to_string()
        .chars()
        .take(7)
        .collect();
    format!(
        "[{:<30}] {n} of {total} commits, {month}  {per_second}/s  {}:{:02} left",
        "=".repeat(filled),
        left / 60,
        left % 60
    )
}
