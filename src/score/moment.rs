//! An instant that may not be there, in the eight bytes of one: an environment keeps up to ten.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// An instant, or none; which is kept as [`Timestamp::NEVER`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Moment(Timestamp);

impl Moment {
    pub(crate) const NONE: Self = Self(Timestamp::NEVER);

    pub(crate) fn at(time: Timestamp) -> Self {
        Self(time)
    }

    pub(crate) fn get(self) -> Option<Timestamp> {
        Some(self.0).filter(|time| *time != Timestamp::NEVER)
    }

    /// Is `time` from here on, if it was none.
    pub(crate) fn settle(&mut self, time: Timestamp) {
        if self.is_none() {
            *self = Self(time);
        }
    }

    pub(crate) fn is_some(self) -> bool {
        !self.is_none()
    }

    pub(crate) fn is_none(self) -> bool {
        self == Self::NONE
    }
}
