//! Approvals: who said what of which change, without names.
//!
//! The rules are the policy's. An approval may come before its commit, so it
//! is kept 14 days. People are hashes: enough to tell two from one and an author from a reviewer.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::policy::Levels;
use crate::model::{self, Level, Review, ReviewVerdict, Timestamp, hash_text};

/// Reviews remembered per service; the next drops the oldest.
const NOTES_MAX: usize = 256;
const KEEP: Duration = Duration::from_hours(14 * 24);

/// An author as far as approvals need one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Author {
    id: Option<u64>,
    pub(crate) level: Level,
    pub(crate) bot: bool,
}

impl Author {
    /// The event's level, else the policy's.
    pub(crate) fn of(author: &model::Author<'_>, levels: &Levels) -> Self {
        Self {
            id: author.id.as_deref().map(hash_text),
            level: level(author.level, author.id.as_deref(), &author.groups, levels),
            bot: author.bot,
        }
    }
}

fn level(told: Level, id: Option<&str>, groups: &[std::borrow::Cow<'_, str>], levels: &Levels) -> Level {
    if told == Level::Unknown {
        levels.of(id, groups.iter().map(AsRef::as_ref))
    } else {
        told
    }
}

/// One person's word on one change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Note {
    /// The hash of the reviewed sha.
    pub(crate) target: Option<u64>,
    pub(crate) change_id: Option<u64>,
    pub(crate) by: u64,
    pub(crate) level: Level,
    bot: bool,
    approved: bool,
    pub(crate) time: Timestamp,
}

impl Note {
    pub(crate) fn of(review: &Review<'_>, time: Timestamp, levels: &Levels) -> Self {
        Self {
            target: review.sha.as_deref().map(hash_text),
            change_id: review.change_id.as_deref().map(hash_text),
            by: hash_text(&review.by),
            level: level(review.level, Some(&review.by), &review.groups, levels),
            bot: review.bot,
            approved: review.verdict == ReviewVerdict::Approved,
            time,
        }
    }

    /// An approval that the commit itself carries. Without `by` it counts as one unnamed person's.
    pub(crate) fn inline(approval: &model::Approval<'_>, levels: &Levels) -> Self {
        Self {
            target: None,
            change_id: None,
            by: hash_text(approval.by.as_deref().unwrap_or("")),
            level: level(approval.level, approval.by.as_deref(), &approval.groups, levels),
            bot: false,
            approved: true,
            time: Timestamp::MIN,
        }
    }

    /// Whether it counts as an approval of a change by `author`: not a bot's, not the author's own.
    pub(crate) fn counts_for(&self, author: Author) -> bool {
        self.approved && !self.bot && author.id != Some(self.by)
    }
}

/// The reviews of one service's changes, the latest word of each person on each change.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Approvals {
    notes: Vec<Note>,
    last_known_level: Option<Timestamp>,
}

impl Approvals {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Note> {
        self.notes.iter()
    }

    /// When an approval with a known level was last seen here.
    pub(crate) fn last_known_level(&self) -> Option<Timestamp> {
        self.last_known_level
    }

    /// Keeps `note` unless a later word of the same person on the same change is known. Says whether it counts as a
    /// sign of life of the review source.
    pub(crate) fn add(&mut self, note: Note) -> bool {
        let same =
            |known: &Note| known.by == note.by && known.target == note.target && known.change_id == note.change_id;
        match self.notes.iter_mut().find(|known| same(known)) {
            Some(known) if known.time > note.time => return false,
            Some(known) => *known = note,
            None => {
                if self.notes.len() >= NOTES_MAX {
                    self.notes.remove(0);
                }
                self.notes.push(note);
            }
        }
        let sign = note.approved && !note.bot && note.level != Level::Unknown;
        if sign {
            self.last_known_level = self.last_known_level.max(Some(note.time));
        }
        sign
    }

    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.notes.retain(|note| now.since(note.time) < KEEP);
    }
}
