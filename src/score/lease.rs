//! A freeze that no deploy's own evidence asks for, from the first proposal to its end.
//!
//! An error budget that burns 14.4 times too fast over an hour and five minutes, one that is spent, where the policy asks
//! for it, or at least three dependents that alarm together. The lease is that of a freeze by evidence, renewed while
//! errors go on and never beyond four hours; that of a spent budget is a day, renewed while it is spent.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hold::{LEASE_MAX, LEASE_MIN, SPEAKS_BEFORE};
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

    /// When time alone makes a difference next: shortly before its end, or asking again.
    pub(crate) fn next_deadline(&self, ask_every: Duration) -> Timestamp {
        self.due_at().unwrap_or(self.asked_at + ask_every)
    }

    /// Whether it is renewed now, or over.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.due_at().is_some_and(|due_at| now >= due_at)
    }

    fn due_at(&self) -> Option<Timestamp> {
        self.granted.map(|(_, until)| until - SPEAKS_BEFORE)
    }

    /// Another lease behind the one that ends; by burn four hours in all at most. False: it is over.
    pub(crate) fn renew(&mut self, lease: Duration, now: Timestamp) -> bool {
        let Some((since, until)) = &mut self.granted else {
            return false;
        };
        // Time may have jumped over the end: a lease counts from when it is given.
        let from = (*until).max(now);
        let next = match self.because {
            Because::Spent => from + SPENT_FOR,
            Because::Burn | Because::Dependents(_) => {
                (from + lease.clamp(LEASE_MIN, LEASE_MAX)).min(*since + LEASE_MAX)
            }
        };
        if next <= from {
            return false;
        }
        *until = next;
        true
    }
}
