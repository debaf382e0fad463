//! The end of a watch: when, what it says, and what is learned from it.

use super::{Environment, Scene};
use crate::{
    model::{Suspect, Timestamp},
    score::{
        Said,
        hold::LEASE_MAX,
        watch::{Ending, Watch, WatchVerdict},
    },
};

/// Why the watch of a deploy that is proposed stays, though it has lasted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// Until it is known whose the rise is, and whether it may be frozen for.
    Asked,
    /// It may not, and errors are risen: for as long as a freeze would at most, as the evidence of hours outlasts what it is
    /// of. They have outlasted a freeze then.
    Withheld,
}

/// Why watches are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closes {
    /// They have lasted, or another follows.
    Over,
    /// Their deploy was taken back.
    TakenBack,
    /// They make room for others; see [`Watch::has_seen_enough`].
    CrowdedOut,
}

impl Closes {
    /// What a watch says at its end; `is_silent` if errors have not been told for longer than usual.
    fn verdict(self, watch: &Watch, is_silent: bool) -> WatchVerdict {
        if watch.has_alarmed() {
            return WatchVerdict::Regressed;
        }
        match self {
            // Nobody takes back what is well.
            Self::TakenBack => WatchVerdict::Unknown,
            Self::CrowdedOut if !watch.has_seen_enough() => WatchVerdict::Unknown,
            Self::Over | Self::CrowdedOut => watch.quiet_verdict(is_silent),
        }
    }
}

impl Environment {
    /// Closes watches that have lasted by `now`, but for one whose deploy is proposed, see [`Waits`].
    pub(super) fn close_over(&mut self, now: Timestamp, scene: &mut Scene<'_>) {
        let waits = self.waits(now);
        let proposed = self.proposal.as_ref().map(|proposal| proposal.deploy_id.clone());
        let stays = |watch: &Watch| {
            let until = match waits {
                Some(Waits::Asked) => watch.ends_by(),
                Some(Waits::Withheld) => watch.ends_by().min(watch.alarmed_at() + LEASE_MAX),
                None => return false,
            };
            proposed.as_ref() == Some(&watch.deploy_id) && now < until
        };
        let ends = |watch: &Watch| watch.is_over(now) && !stays(watch);
        if waits == Some(Waits::Withheld)
            && let Some(proposal) = &self.proposal
            && self.watch_of(&proposal.deploy_id).is_some_and(ends)
        {
            let found = proposal.found.clone();
            self.outlast(&found, false);
        }
        self.close_watches(Closes::Over, scene, ends);
    }

    fn waits(&self, now: Timestamp) -> Option<Waits> {
        let proposal = self.proposal.as_ref()?;
        if proposal.withheld {
            self.unrest.has_risen().then_some(Waits::Withheld)
        } else {
            self.is_in_question(&proposal.deploy_id, now).then_some(Waits::Asked)
        }
    }

    pub(super) fn close_watches(&mut self, why: Closes, scene: &mut Scene<'_>, over: impl Fn(&Watch) -> bool) {
        if !self.watches.iter().any(&over) {
            return;
        }
        let is_silent = self.presence.is_silent(&scene.context.policy.evidence);
        let ended = self.watches.extract_if(.., |watch| over(watch));
        let ended: Vec<(WatchVerdict, Watch)> = ended.map(|watch| (why.verdict(&watch, is_silent), watch)).collect();
        self.watches.shrink_to_fit();
        self.learn_from(&ended);
        for (verdict, watch) in &ended {
            self.close(watch, *verdict, &[], scene);
        }
        if self
            .proposal
            .as_ref()
            .is_some_and(|proposal| self.watch_of(&proposal.deploy_id).is_none())
        {
            self.proposal = None;
            self.drop_question();
        }
        if self.watches.is_empty() {
            self.drop_inquiry();
            self.kinds = None;
        }
    }

    /// What healthy watches saw is what is usual, up to the beginning of one still open; what others saw is not.
    fn learn_from(&mut self, ended: &[(WatchVerdict, Watch)]) {
        let mut any_healthy = false;
        for (verdict, watch) in ended {
            match verdict {
                WatchVerdict::Healthy => {
                    self.shares.learn(watch.shares);
                    any_healthy = true;
                }
                WatchVerdict::Regressed | WatchVerdict::Unknown => self.pending.drop_from(watch.started_at()),
            }
        }
        if any_healthy {
            let open_since = self.watches.iter().map(Watch::started_at).min();
            let open_since = open_since.unwrap_or(Timestamp::NEVER);
            self.pending.release(&mut self.baseline, self.steps.grain, open_since);
        }
    }

    /// Reports a watch that is over, and remembers that it is.
    pub(super) fn close(&mut self, watch: &Watch, verdict: WatchVerdict, suspects: &[Suspect], scene: &mut Scene<'_>) {
        self.ended.note(watch, verdict);
        let threshold = self.threshold(watch, &scene.terms());
        let ending = Ending {
            service: scene.service,
            environment: &self.name,
            at: scene.context.now,
            sizes: self.baseline.sizes(&scene.context.policy.evidence),
            ln_threshold: f64::from(threshold.ln_e),
            verdict,
            suspects,
        };
        scene.said.push(Said::Closed(Box::new(watch.report(&ending))));
    }
}
