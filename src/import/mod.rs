//! This is where the history of a repository becomes events: what a reader of `git` hands over, in the order in which
//! it happened, goes out as commits with their fourteen measures, and as incidents where a commit was taken back.
//!
//! ```text
//! bytes ─ log ─► Commit ─ order ─► Commit in time ─┬─ history ───► measures ─┐
//!                                                  ├─ assistance ► ai, bot ──┼─ event ─► NDJSON
//!                                                  └─ reverts ───► culprits ─┘
//! ```
//! Nothing here starts a program or reads a clock: the bytes are those of one `git diff-tree` (its form is
//! [`LOG_ARGUMENTS`]), and `now` is an argument.
//!
//! **Invariant:** one pass. A commit costs what its own files cost, whatever came before it.
//! **Invariant:** memory grows with the files that there are and the people who changed them, not with the number of
//! commits; what is remembered of commits has a bound.
//! **Invariant:** no name and no address of a person goes out.

mod assistance;
mod distinct;
mod event;
mod history;
mod log;
mod message;
mod order;
mod past;
mod revert;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use log::{Commit, FileChange, Log, LogError, Person, Status};

use self::{event::Writer, history::History, message::Message, order::Order, revert::Reverts};
use crate::model::{ServiceId, Timestamp};

/// What `git` is to be asked, names of commits on its standard input, for what [`Log`] reads: what each commit changed.
/// Among more than 400 files of one commit only those that were renamed and not changed are found, so that a commit of
/// everything costs no square of its files.
pub const LOG_ARGUMENTS: [&str; 15] = [
    "diff-tree",
    "--stdin",
    "--root",
    "-r",
    "-M",
    "-l400",
    "--raw",
    "--numstat",
    "-z",
    "--always",
    "--no-ext-diff",
    "--no-textconv",
    "--ignore-submodules=none",
    "--encoding=UTF-8",
    "--format=C%H%x00%ct%x00%P%x00%an%x00%ae%x00%aE%x00%cn%x00%ce%x00%B%x00",
];

/// What an import is about.
#[derive(Debug, Clone)]
pub struct Options {
    /// The service that the commits are of.
    pub service: ServiceId,
    /// What the events call the repository.
    pub repository: Box<str>,
    /// Commits before this are counted and not written: it changes no measure.
    pub since: Option<Timestamp>,
    /// No event is later: a committer's clock may be wrong.
    pub now: Timestamp,
    /// Where a shallow clone begins. These look as if they made every file, so they are counted and not written.
    pub boundary: BTreeSet<Box<str>>,
}

/// What became of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Commits read, without merges.
    pub commits: u64,
    /// Merges: what they brought is told, and they are not.
    pub merges: u64,
    /// Commits written.
    pub written: u64,
    /// Reverts written as incidents: one per commit taken back.
    pub reverts: u64,
    /// Reverts that name no commit of this history, or a merge of so much that it accuses nobody.
    pub unknown_reverts: u64,
    /// Written commits in which AI took part, by their own word or their author.
    pub ai: u64,
    /// Written commits by bots.
    pub bots: u64,
}

/// A history on its way to events.
#[derive(Debug)]
pub struct Import {
    options: Options,
    order: Order,
    history: History,
    reverts: Reverts,
    counts: Counts,
}

impl Import {
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            order: Order::new(options.now),
            options,
            history: History::default(),
            reverts: Reverts::default(),
            counts: Counts::default(),
        }
    }

    /// Takes the next commit, parents before children, and appends the lines that are ready to `out`: a few commits
    /// wait until those behind them tell whether their clocks were right.
    pub fn take(&mut self, commit: Commit, out: &mut Vec<u8>) {
        self.order.push(commit);
        while let Some((commit, time)) = self.order.pop() {
            self.tell(&commit, time, out);
        }
    }

    /// Appends the lines of the commits that still wait.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Counts {
        self.order.finish();
        while let Some((commit, time)) = self.order.pop() {
            self.tell(&commit, time, out);
        }
        self.counts
    }

    fn tell(&mut self, commit: &Commit, time: Timestamp, out: &mut Vec<u8>) {
        let message = Message::of(&commit.message);
        if commit.is_merge() {
            self.counts.merges += 1;
            self.reverts.merge(&commit.sha, &commit.parents, &message);
            return;
        }
        self.counts.commits += 1;
        let mut measures = self.history.take(commit, time);
        measures.fix = message.is_fix();
        let taken_back = self.reverts.take(&commit.sha, &commit.parents, &message);
        let is_asked_for = self.options.since.is_none_or(|since| time >= since);
        if !is_asked_for || self.options.boundary.contains(&commit.sha) {
            return;
        }
        let assistance = assistance::of(commit, &message);
        let mut writer = Writer {
            service: &self.options.service,
            repository: &self.options.repository,
            out,
        };
        writer.commit(commit, time, &measures, &assistance);
        self.counts.written += 1;
        self.counts.ai += u64::from(assistance.is_by_ai());
        self.counts.bots += u64::from(assistance.bot);
        for culprit in &taken_back.culprits {
            writer.revert(&commit.sha, culprit, time);
            self.counts.reverts += 1;
        }
        self.counts.unknown_reverts += u64::from(taken_back.is_unknown);
    }
}
