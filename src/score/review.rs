//! Approvals: who said what of which change, without names.
//!
//! The rules are the policy's. An approval may come before its commit, so it
//! is kept 14 days. People are hashes: enough to tell two from one and an author from a reviewer.

use std::{
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::policy::Levels;
use crate::model::{self, Commit, Level, Review, ReviewVerdict, Second, Timestamp, half_of, hash_text};

/// Reviews remembered per service; the next drops the oldest. Those of a change that landed mostly wait for nothing.
const NOTES_MAX: usize = 256;
const KEEP: Duration = Duration::from_hours(14 * 24);

/// Of a hash, by which a trace is known.
pub(crate) const TAG_BITS: u32 = 17;

/// In place of a name, of which none is empty.
const NAMELESS: &str = "";

/// The hash of a sha, or of a change's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target(NonZeroU64);

impl Target {
    pub(crate) fn of(name: &str) -> Self {
        Self(NonZeroU64::new(hash_text(name)).unwrap_or(NonZeroU64::MIN))
    }

    /// Half of it, by which to look for it.
    pub(crate) fn tag(self) -> u32 {
        half_of(self.0.get())
    }

    /// Its first [`TAG_BITS`], by which a trace is known.
    pub(crate) fn tag_bits(self) -> u64 {
        self.0.get() >> (u64::BITS - TAG_BITS)
    }

    /// The eight bits behind these, which are kept beside a trace.
    pub(crate) fn check_bits(self) -> u8 {
        let [_, _, third, fourth, ..] = self.0.get().to_be_bytes();
        third << 1 | fourth >> 7
    }
}

/// A person: half of a hash. Where two fall together, fewer approvals count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Person(NonZeroU32);

impl Person {
    fn of(id: &str) -> Self {
        Self(NonZeroU32::new(Target::of(id).tag()).unwrap_or(NonZeroU32::MIN))
    }
}

/// An author as far as approvals need one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Author {
    pub(crate) id: Option<Person>,
    pub(crate) level: Level,
    pub(crate) bot: bool,
}

impl Author {
    /// The event's level, else the policy's.
    pub(crate) fn of(author: &model::Author<'_>, levels: &Levels) -> Self {
        Self {
            id: author.id.as_deref().map(Person::of),
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
    pub(crate) sha: Option<Target>,
    pub(crate) change_id: Option<Target>,
    pub(crate) by: Person,
    pub(crate) at: Second,
    pub(crate) level: Level,
    bot: bool,
    pub(crate) approved: bool,
}

impl Note {
    pub(crate) fn of(review: &Review<'_>, time: Timestamp, levels: &Levels) -> Self {
        Self {
            sha: review.sha.as_deref().map(Target::of),
            change_id: review.change_id.as_deref().map(Target::of),
            by: Person::of(&review.by),
            at: Second::of(time),
            level: level(review.level, Some(&review.by), &review.groups, levels),
            bot: review.bot,
            approved: review.verdict == ReviewVerdict::Approved,
        }
    }

    /// An approval that the commit itself carries.
    pub(crate) fn inline(approval: &model::Approval<'_>, levels: &Levels) -> Self {
        Self {
            sha: None,
            change_id: None,
            by: Person::of(approval.by.as_deref().unwrap_or(NAMELESS)),
            at: Second::default(),
            level: level(approval.level, approval.by.as_deref(), &approval.groups, levels),
            bot: false,
            approved: true,
        }
    }

    /// Whether nobody knows who said it: the author perhaps, or one who is named beside it.
    pub(crate) fn is_nameless(&self) -> bool {
        self.by == Person::of(NAMELESS)
    }

    /// Whether it counts as an approval of a change by `author`: not a bot's, not the author's own.
    pub(crate) fn counts_for(&self, author: Option<Person>) -> bool {
        self.approved && !self.bot && author != Some(self.by)
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

    /// What they take.
    pub(crate) fn bytes(&self) -> usize {
        self.notes.len() * size_of::<Note>()
    }

    /// When an approval with a known level was last seen here.
    pub(crate) fn last_known_level(&self) -> Option<Timestamp> {
        self.last_known_level
    }

    /// Keeps `note` unless a later word of the same person on the same change is known; within a second a dismissal is
    /// the later. Says whether it counts as a sign of life of the review source.
    pub(crate) fn add(&mut self, note: Note) -> bool {
        let same = |known: &Note| known.by == note.by && known.sha == note.sha && known.change_id == note.change_id;
        match self.notes.iter_mut().find(|known| same(known)) {
            Some(known) if (known.at, !known.approved) > (note.at, !note.approved) => return false,
            Some(known) => *known = note,
            None => {
                if self.notes.len() >= NOTES_MAX {
                    self.notes.remove(0);
                }
                self.notes.reserve_exact(1);
                self.notes.push(note);
            }
        }
        let sign = note.approved && !note.bot && note.level != Level::Unknown;
        if sign {
            self.last_known_level = self.last_known_level.max(Some(note.at.start()));
        }
        sign
    }

    /// Says whether a commit that landed at `time` carries a sign of life of the review source: an approval with a known
    /// level.
    pub(crate) fn land(&mut self, commit: &Commit<'_>, time: Timestamp, levels: &Levels) -> bool {
        let is_known = |approval| Note::inline(approval, levels).level != Level::Unknown;
        let sign = commit.approvals.iter().any(is_known);
        if sign {
            self.last_known_level = self.last_known_level.max(Some(Second::of(time).start()));
        }
        sign
    }

    /// Lets go of old ones, but for those that `still_meant` says a change rests on.
    pub(crate) fn forget(&mut self, now: Timestamp, still_meant: impl Fn(&Note) -> bool) {
        self.notes
            .retain(|note| now.since(note.at.start()) < KEEP || still_meant(note));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_approval_waits_for_its_commit_for_fourteen_days() {
        let seen = Timestamp::from_millis(1_772_409_600_000);
        let note = Note {
            sha: None,
            change_id: Some(Target::of("77")),
            by: Person::of("s"),
            at: Second::of(seen),
            level: Level::Senior,
            bot: false,
            approved: true,
        };
        let left = |after: Duration, is_meant: bool| {
            let mut approvals = Approvals::default();
            approvals.add(note);
            approvals.forget(seen + after, |_| is_meant);
            approvals.iter().count()
        };
        let fortnight = Duration::from_hours(14 * 24);
        assert_eq!(left(fortnight.saturating_sub(Duration::from_secs(1)), false), 1);
        assert_eq!(left(fortnight, false), 0);
        assert_eq!(left(fortnight, true), 1, "a change rests on it");
    }
}
