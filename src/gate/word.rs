//! A person's word on a service: an override, with an end.

use std::{cmp::Ordering, time::Duration};

use crate::model::{Effect, EnvironmentId, Event, Override, Timestamp};

/// How long an ended word is remembered: longer than the 7 days that any word may last, so that none older than it can
/// come late and stand again.
pub(super) const REMEMBERED: Duration = Duration::from_hours(8 * 24);

/// An override without the name of who gave it: that stays on the override's own topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    pub id: Box<str>,
    pub time: Timestamp,
    pub effect: Effect,
    /// Not after `time`: it only takes back what was said before.
    pub until: Timestamp,
    pub reason: Box<str>,
}

impl Word {
    pub(super) fn new(said: &Override<'_>, event: &Event<'_>) -> Self {
        Self {
            id: event.id.as_ref().into(),
            time: event.time,
            effect: said.effect,
            until: said.until,
            reason: said.reason.as_ref().into(),
        }
    }

    /// Whether it decides at `now`, if no newer one does.
    #[must_use]
    pub fn stands(&self, now: Timestamp) -> bool {
        self.time < self.until && now < self.until
    }

    /// Which of two words is the newer: by time, then by id.
    pub(super) fn age_order(&self, other: &Self) -> Ordering {
        (self.time, &self.id).cmp(&(other.time, &other.id))
    }

    pub(super) fn is_forgotten(&self, now: Timestamp) -> bool {
        now.since(self.until.max(self.time)) > REMEMBERED
    }
}

/// Where a word holds: in one environment, or with `None` in all.
pub(super) type Scope = Option<EnvironmentId>;
