//! A freeze by evidence while it lasts: its lease, whether the errors go on, and whether they are over.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    blame::Blamed,
    evidence::{Observation, Recovery, Since, Still, narrow},
    kinds::Dominant,
    moment::Moment,
    placebo::Threshold,
};
use crate::model::{Second, Suspect, Timestamp};

/// A freeze by evidence lasts at least so long …
pub(crate) const LEASE_MIN: Duration = Duration::from_mins(15);
/// … and at most so long, renewals included.
pub(crate) const LEASE_MAX: Duration = Duration::from_hours(4);
/// What follows a lease is said so long before its end: readers go by `valid_until`, and a gate that waits would pass in
/// the seconds until time is told, even where the freeze is renewed.
pub(crate) const SPEAKS_BEFORE: Duration = Duration::from_secs(10);
/// How far back "still" reaches: the mixture was begun between this and twice this ago.
const WINDOW: Duration = Duration::from_mins(15);
/// Errors go on while the windowed e-value is at least this.
const STILL: f64 = 10.0;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) deploy_id: Box<str>,
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) found: Found,
    /// Two copies, restarted in turn: the elder answers.
    windows: [Still; 2],
    elder_began: Timestamp,
    /// Steps from here on may show that it is over.
    rolled_back_at: Moment,
    recovery: Recovery,
}

/// What convicted the deploy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) ln_e: f32,
    pub(crate) since_onset: Since,
    pub(crate) beside: Beside,
    /// So many more errors than expected were harmless: thousandths of them.
    margin: u16,
    /// What the evidence had to reach, and why.
    pub(crate) threshold: Threshold,
    /// What it is put down to, the likeliest first.
    pub(crate) suspects: Box<[Blamed]>,
    /// About when errors rose.
    onset: Second,
    /// What most errors since the onset are of.
    pub(crate) dominant: Option<Dominant>,
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::as_conversions,
    reason = "a margin of the policy, 20 at most"
)]
fn thousandths(share: f64) -> u16 {
    (share * 1_000.0).round() as u16
}

/// What errors were held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Beside {
    /// The baseline, by requests.
    Requests,
    /// The baseline, by the minute.
    Minutes,
    /// In each step the version beside the new one.
    Version,
    /// What errors had risen to before the deploy.
    Raised,
}

impl Found {
    /// With nobody to put it down to yet; errors rose about `onset`.
    pub(crate) fn new(
        (ln_e, since_onset): (f64, Since),
        (beside, margin): (Beside, f64),
        threshold: Threshold,
        onset: Timestamp,
    ) -> Self {
        Self {
            ln_e: narrow(ln_e),
            since_onset,
            beside,
            margin: thousandths(margin),
            threshold,
            suspects: Box::default(),
            onset: Second::of(onset),
            dominant: None,
        }
    }

    /// So many more errors than expected were harmless, a share.
    pub(crate) fn margin(&self) -> f64 {
        f64::from(self.margin) / 1_000.0
    }

    pub(crate) fn onset(&self) -> Timestamp {
        self.onset.start()
    }

    pub(crate) fn suspects(&self, service: &crate::model::ServiceId) -> Vec<Suspect> {
        self.suspects.iter().map(|blamed| blamed.suspect(service)).collect()
    }
}

impl Hold {
    /// `lease` as the policy gives it, or 4 h for a service frozen again and again.
    pub(crate) fn new(deploy_id: &str, found: Found, since: Timestamp, lease: Duration) -> Self {
        Self {
            deploy_id: deploy_id.into(),
            since,
            until: since + lease.clamp(LEASE_MIN, LEASE_MAX),
            found,
            windows: [Still::default(); 2],
            elder_began: since,
            rolled_back_at: Moment::NONE,
            recovery: Recovery::default(),
        }
    }

    pub(crate) fn observe(&mut self, start: Timestamp, observation: &Observation) {
        while start >= self.elder_began + WINDOW + WINDOW {
            self.windows.swap(0, 1);
            self.windows[1] = Still::default();
            self.elder_began = self.elder_began + WINDOW;
        }
        self.windows[0].observe(observation);
        if start >= self.elder_began + WINDOW {
            self.windows[1].observe(observation);
        }
        // The step in which it was taken back began before.
        if self.rolled_back_at.get().is_some_and(|at| start >= at) {
            self.recovery.observe(observation);
        }
    }

    /// Whether it is put down to this deploy, or may be.
    pub(crate) fn may_be_of(&self, deploy_id: &str) -> bool {
        let mut suspects = self.found.suspects.iter().filter(|suspect| suspect.of.is_none());
        *self.deploy_id == *deploy_id || suspects.any(|suspect| suspect.deploy_id.as_deref() == Some(deploy_id))
    }

    /// The deploy it is put down to was taken back.
    pub(crate) fn roll_back(&mut self, at: Timestamp) {
        self.rolled_back_at.settle(at);
    }

    /// Whether the deploy it is put down to was taken back.
    pub(crate) fn was_rolled_back(&self) -> bool {
        self.rolled_back_at.is_some()
    }

    /// Rolled back and recovered, and old enough to end before its lease does.
    pub(crate) fn may_end(&self, now: Timestamp) -> bool {
        self.rolled_back_at.is_some() && self.recovery.shown() && now >= self.since + LEASE_MIN
    }

    /// When it is renewed or over: shortly before the end of its lease.
    pub(crate) fn due_at(&self) -> Timestamp {
        self.until - SPEAKS_BEFORE
    }

    /// Whether the errors go on.
    pub(crate) fn goes_on(&self) -> bool {
        self.windows[0].ln_e() >= STILL.ln()
    }

    /// Whether they may go on: a lull says neither that they are over nor that they last.
    pub(crate) fn may_go_on(&self) -> bool {
        self.windows[0].ln_e() >= 0.0
    }

    /// Another lease behind the one that ends, 4 h in all at most. False: it is over.
    pub(crate) fn renew(&mut self, lease: Duration, now: Timestamp) -> bool {
        let end = self.since + LEASE_MAX;
        // Time may have jumped over the end: a lease counts from when it is given.
        let until = (self.until.max(now) + lease.clamp(LEASE_MIN, LEASE_MAX)).min(end);
        if until <= self.until.max(now) {
            return false;
        }
        self.until = until;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::baseline::Sizes;

    /// Errors that are neither over nor certain to last: no renewal, and no recovery.
    #[test]
    fn a_lull_is_neither_an_end_nor_going_on() {
        let step = |errors| Observation {
            errors,
            counted: errors,
            harmless: 1.25,
            expected: 1.0,
            sizes: Sizes {
                step: 5.0,
                blocks: [5.0; 6],
            },
        };
        let mut window = Still::default();
        let says = |window: &Still| {
            let hold = Hold {
                windows: [*window; 2],
                ..hold()
            };
            (hold.goes_on(), hold.may_go_on())
        };
        for _ in 0..3 {
            window.observe(&step(3.0));
        }
        assert_eq!(says(&window), (false, true), "{:?}", window.ln_e());
        for _ in 0..4 {
            window.observe(&step(5.0));
        }
        assert_eq!(says(&window), (true, true), "{:?}", window.ln_e());
        for _ in 0..30 {
            window.observe(&step(1.0));
        }
        assert_eq!(says(&window), (false, false), "{:?}", window.ln_e());
    }

    /// Whom the evidence convicts is not always whom the errors are put down to: whichever is taken back counts.
    #[test]
    fn it_hears_of_any_own_deploy_that_it_may_be_of() {
        let mut hold = hold();
        let suspect = |deploy_id: &str, of: Option<&str>| Blamed {
            deploy_id: Some(deploy_id.into()),
            of: of.map(|name| Box::new(name.parse().expect("a name"))),
            probability: 0.5,
        };
        hold.found.suspects = Box::new([suspect("first", None), suspect("theirs", Some("db"))]);
        let is_meant = ["d", "first", "theirs", "other"].map(|deploy_id| hold.may_be_of(deploy_id));
        assert_eq!(is_meant, [true, true, false, false]);
    }

    fn hold() -> Hold {
        let evidence = crate::score::policy::Policy::default().evidence;
        let threshold = Threshold::without(1e-3, &evidence);
        let found = Found::new(
            (9.0, Since::default()),
            (Beside::Requests, 0.25),
            threshold,
            Timestamp::MIN,
        );
        Hold::new("d", found, Timestamp::from_millis(0), LEASE_MIN)
    }
}
