//! Freezes one after the other: the third in six hours is longer, and so is the extra review after it.

use std::time::Duration;

use super::Environment;
use crate::{
    model::{Second, Timestamp},
    score::lease::{Because, Lease},
};

/// So many freezes within [`RELAPSE_WINDOW`], the one that begins included, are a relapse.
pub(super) const RELAPSED_FROM: usize = 3;
/// Extra review after a freeze; and after the third within [`RELAPSE_WINDOW`].
pub(super) const COOLDOWN: Duration = Duration::from_mins(30);
const COOLDOWN_RELAPSED: Duration = Duration::from_hours(24);
const RELAPSE_WINDOW: Duration = Duration::from_hours(6);
const RELAPSE_LEASE: Duration = Duration::from_hours(4);

impl Environment {
    /// A freeze begins, or goes on in the place of one by burn or dependents: how long its lease is, four hours where it is the
    /// third in six.
    pub(super) fn begin_freeze(&mut self, lease: Duration, now: Timestamp) -> Duration {
        let replaced = self.take_lease();
        let is_spent = |lease: &Lease| lease.because == Because::Spent;
        let goes_on = replaced
            .as_ref()
            .is_some_and(|lease| lease.granted.is_some() && !is_spent(lease));
        self.put_lease(replaced.filter(|lease| is_spent(lease)));
        if !goes_on {
            self.freezes.rotate_right(1);
            self.freezes[0] = Second::of(now);
        }
        for since in &mut self.freezes {
            if now.since(since.start()) >= RELAPSE_WINDOW {
                *since = Second::default();
            }
        }
        if self.has_relapsed(now) { RELAPSE_LEASE } else { lease }
    }

    /// Whether the freeze that stands is the third in six hours.
    pub(crate) fn has_relapsed(&self, now: Timestamp) -> bool {
        let recent = |since: &&Second| now.since(since.start()) < RELAPSE_WINDOW + RELAPSE_LEASE;
        self.freezes.iter().filter(recent).count() >= RELAPSED_FROM
    }

    /// How long the extra review after a freeze is.
    pub(super) fn cooldown(&self, now: Timestamp) -> Duration {
        if self.has_relapsed(now) {
            COOLDOWN_RELAPSED
        } else {
            COOLDOWN
        }
    }

    /// There is extra review until then, or longer if there is already.
    pub(super) fn cool_down(&mut self, until: Timestamp) {
        // Whole seconds are kept, and none is lost.
        self.cooldown_until = self.cooldown_until.max(Second::of(until + Duration::from_millis(999)));
    }

    /// Until when there is extra review after a freeze, if there is.
    pub(crate) fn cooldown_until(&self) -> Option<Timestamp> {
        (self.cooldown_until != Second::default()).then(|| self.cooldown_until.start())
    }
}
