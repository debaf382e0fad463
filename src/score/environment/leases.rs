//! The freezes that no deploy's own evidence asks for: by burn, by dependents, by a spent budget.

use super::{Environment, PROPOSE_EVERY, Scene};
use crate::{
    model::{Ground, Second},
    score::{
        lease::{Because, Lease},
        slo::Alert,
    },
};

impl Environment {
    /// The freeze that no deploy's own evidence asks for, granted or not.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.concerns.as_ref()?.lease.as_deref()
    }

    /// Whether errors of now ask for such a freeze. Where the budget of four weeks is spent, they may be as few as ever.
    pub(super) fn has_lease_for_errors(&self) -> bool {
        self.lease().is_some_and(|lease| lease.because != Because::Spent)
    }

    pub(super) fn take_lease(&mut self) -> Option<Box<Lease>> {
        self.concerns.as_mut()?.lease.take()
    }

    pub(super) fn put_lease(&mut self, lease: Option<Box<Lease>>) {
        if lease.is_some() || self.concerns.is_some() {
            self.concerns.get_or_insert_default().lease = lease;
            self.drop_empty_concerns();
        }
    }

    /// What asks for a freeze that is no deploy's.
    fn because(&self, scene: &Scene<'_>) -> Option<Because> {
        if self.hold.is_some() {
            return None;
        }
        let meets = |alert| self.budget().is_some_and(|budget| budget.meets(alert));
        // After a freeze there is extra review first: or four hours at most would be for ever.
        let fresh = self.cooldown_until().is_none();
        if fresh && meets(Alert::Page) {
            return Some(Because::Burn);
        }
        let dependents = self
            .n_dependents(scene.context.policy, scene.context.now)
            .filter(|_| fresh);
        if let Some(n) = dependents {
            return Some(Because::Dependents(n));
        }
        (scene.settings.freeze.spent_budget && meets(Alert::Spent)).then_some(Because::Spent)
    }

    /// Asks for, renews and ends the freezes that are no deploy's.
    pub(super) fn settle_lease(&mut self, scene: &mut Scene<'_>) {
        if self.concerns.is_none() {
            return;
        }
        let now = scene.context.now;
        let because = self.because(scene);
        let Some(mut lease) = self.take_lease() else {
            if let Some(because) = because {
                self.put_lease(Some(Box::new(Lease::proposed(because, now))));
                self.propose(Ground::Burn, scene);
            }
            return;
        };
        let same = because.is_some_and(|because| because.is_like(lease.because));
        let stays = if lease.granted.is_none() {
            if same && now >= lease.asked_at + PROPOSE_EVERY {
                lease.asked_at = now;
                self.propose(Ground::Burn, scene);
            }
            same
        } else if lease.is_due(now) {
            let goes_on = match lease.because {
                Because::Burn => self.is_burning(),
                Because::Dependents(_) => same || self.is_burning(),
                Because::Spent => same,
            };
            let renewed = goes_on && lease.renew(scene.settings.freeze.lease, now);
            if !renewed && lease.because != Because::Spent {
                self.cool_down(now + self.cooldown(now));
            }
            renewed
        } else {
            true
        };
        if !stays && lease.because != Because::Spent {
            self.abandon_placebo(now);
        }
        self.put_lease(Some(lease).filter(|_| stays));
    }

    /// The fleet's answer to it.
    pub(super) fn answer_lease(&mut self, granted: bool, scene: &Scene<'_>) {
        let now = scene.context.now;
        // A deploy was convicted meanwhile: that freeze is enough.
        let asked = self.take_lease().filter(|_| self.hold.is_none());
        let Some(mut lease) = asked else {
            self.put_lease(None);
            return;
        };
        if lease.granted.is_none() {
            lease.withheld = !granted;
            if granted {
                let length = match lease.because {
                    Because::Spent => scene.settings.freeze.lease,
                    Because::Burn | Because::Dependents(_) => self.begin_freeze(scene.settings.freeze.lease, now),
                };
                lease.grant(length, now);
                self.elevated_since = Second::default();
            }
        }
        self.put_lease(Some(lease));
    }
}
