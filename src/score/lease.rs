//! A freeze that no deploy's own evidence asks for, from the first proposal to its end.
//!
//! An error budget that burns 14.4 times too fast over an hour and five minutes, one that is spent where the policy asks
//! for it, or at least three dependents that alarm together. The lease is that of a freeze by evidence, renewed while
//! errors go on and never beyond four hours; that of a spent budget is a day, renewed while it is spent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hold::{LEASE_MAX, LEASE_MIN};
use crate::model::Timestamp;

/// What a lease rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Because {
    Burn,
    Spent,
    /// So many services that depend on it alarm.
    Dependents(u8),
}

impl Because {
    /// Whether it is the same ground, whatever its figures.
    pub(crate) fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

/// How long a spent budget freezes until it is looked at again.
const SPENT_FOR: Duration = Duration::from_hours(24);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) because: Because,
    /// When it was granted, and until when it lasts.
    pub(crate) granted: Option<(Timestamp, Timestamp)>,
    pub(crate) withheld: bool,
    pub(crate) asked_at: Timestamp,
}

impl Lease {
    pub(crate) fn proposed(because: Because, now: Timestamp) -> Self {
        Self {
            because,
            granted: None,
            withheld: false,
            asked_at: now,
        }
    }

    /// The freeze begins, for the lease that the policy or a relapse gives.
    pub(crate) fn grant(&mut self, lease: Duration, now: Timestamp) {
        let lease = match self.because {
            Because::Spent => SPENT_FOR,
            Because::Burn | Because::Dependents(_) => lease.clamp(LEASE_MIN, LEASE_MAX),
        };
        self.granted = Some((now, now + lease));
    }

    /// When its end has come: another one while its ground `goes_on`, four hours in all at most. False: it is over.
    pub(crate) fn renew(&mut self, lease: Duration, goes_on: bool, now: Timestamp) -> bool {
        let Some((since, until)) = &mut self.granted else {
            return true;
        };
        if now < *until {
            return true;
        }
        let next = match self.because {
            Because::Spent => (*until).max(now) + SPENT_FOR,
            Because::Burn | Because::Dependents(_) => {
                ((*until).max(now) + lease.clamp(LEASE_MIN, LEASE_MAX)).min(*since + LEASE_MAX)
            }
        };
        if !goes_on || next <= now {
            return false;
        }
        *until = next;
        true
    }
}
