//! From evidence to a freeze: what convicts a deploy, asking the fleet, its answer, and the end of a watch.

use super::{Environment, PROPOSE_EVERY, Proposal, Scene, ln_threshold};
use crate::{
    model::{Ground, Message, Suspect},
    score::{
        Said,
        hold::{Found, Hold},
        watch::{Ending, Watch, WatchVerdict},
    },
};

impl Environment {
    /// Asks for a freeze if a watch has the evidence for one.
    pub(super) fn convict(&mut self, margin: f64, scene: &mut Scene<'_>) {
        let size = self.baseline.size(self.steps.grain);
        let threshold = ln_threshold(scene.settings);
        let may = self.lets_convict(scene.tier);
        let guilty = self.watches.iter().filter(|watch| {
            let since = watch.since_onset();
            may && watch.judged
                && watch.ln_e() >= threshold
                && since.excess() >= 5.0
                && since.ratio_low(size) > 1.0 + margin
        });
        let Some(leading) = guilty.max_by(|a, b| a.ln_e().total_cmp(&b.ln_e())) else {
            self.proposal = None;
            self.inquiry = None;
            return;
        };
        let (deploy_id, began) = (
            leading.deploy_id.clone(),
            (leading.started_at, leading.stage_at, leading.prior),
        );
        let found = Found {
            ln_e: leading.ln_e(),
            since_onset: leading.since_onset(),
            by_requests: margin <= scene.settings.freeze.margin,
            suspects: Vec::new(),
            began,
        };
        let suspects = self.put_down(scene.context.now);
        let found = Found { suspects, ..found };
        if let Some(watch) = self.watches.iter_mut().find(|watch| watch.deploy_id == deploy_id) {
            watch.alarmed_at.get_or_insert(scene.context.now);
        }
        if let Some(proposal) = &mut self.proposal {
            proposal.found = found;
            proposal.deploy_id = deploy_id;
        } else {
            self.proposal = Some(Box::new(Proposal {
                deploy_id,
                found,
                withheld: false,
                asked_at: scene.context.now,
            }));
            self.inquire(scene);
        }
    }

    /// Asks the fleet for a freeze.
    pub(super) fn propose(&self, ground: Ground, scene: &mut Scene<'_>) {
        scene.said.push(Said::Message(Message::Propose {
            service: scene.service.as_str().to_owned().into(),
            environment: self.name.as_str().to_owned().into(),
            mode: scene.settings.mode,
            ground,
        }));
    }

    pub(super) fn propose_again(&mut self, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        if let Some(proposal) = &mut self.proposal
            && now >= proposal.asked_at + PROPOSE_EVERY
        {
            proposal.asked_at = now;
            self.inquire(scene);
        }
        if self.incidents.ask_again(now, PROPOSE_EVERY) {
            self.propose(Ground::Incident, scene);
        }
    }

    /// The fleet's answer to a proposal. What has passed meanwhile is not frozen for.
    pub(crate) fn answer(&mut self, ground: Ground, granted: bool, scene: &mut Scene<'_>) {
        match ground {
            Ground::Incident => self.incidents.answer(granted),
            Ground::Burn => self.answer_lease(granted, scene),
            Ground::Evidence => match self.proposal.take() {
                Some(proposal) if granted && !self.is_elsewhere() => self.freeze(*proposal, scene),
                proposal => {
                    self.proposal = proposal.map(|mut proposal| {
                        proposal.withheld = !granted;
                        proposal
                    });
                }
            },
        }
        self.decide(scene);
    }

    fn freeze(&mut self, proposal: Proposal, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        let lease = self.begin_freeze(scene.settings.freeze.lease, now);
        (self.inquiry, self.trail) = (None, None);
        let suspects = proposal.found.suspects(scene.service);
        self.hold = Some(Box::new(Hold::new(&proposal.deploy_id, proposal.found, now, lease)));
        self.elevated_since = None;
        // The evidence is spent: what follows is judged by the hold and by later deploys' own watches.
        for watch in std::mem::take(&mut self.watches) {
            if watch.deploy_id == proposal.deploy_id {
                self.close(&watch, WatchVerdict::Regressed, &suspects, scene);
            } else {
                self.close(&watch, WatchVerdict::Unknown, &[], scene);
            }
        }
    }

    pub(super) fn close_watches(&mut self, scene: &mut Scene<'_>, over: impl Fn(&Watch) -> bool) {
        if !self.watches.iter().any(&over) {
            return;
        }
        let ended: Vec<Watch> = self.watches.extract_if(.., |watch| over(watch)).collect();
        self.watches.shrink_to_fit();
        for watch in ended {
            let verdict = if watch.alarmed_at.is_some() {
                WatchVerdict::Regressed
            } else {
                watch.quiet_verdict()
            };
            self.close(&watch, verdict, &[], scene);
        }
        if self.watches.is_empty() {
            (self.proposal, self.inquiry) = (None, None);
        }
    }

    /// Reports a watch that is over, and remembers that it is.
    fn close(&mut self, watch: &Watch, verdict: WatchVerdict, suspects: &[Suspect], scene: &mut Scene<'_>) {
        self.note_ended(&watch.deploy_id);
        let ending = Ending {
            service: scene.service,
            environment: &self.name,
            at: scene.context.now,
            size: self.baseline.size(self.steps.grain),
            verdict,
            suspects,
        };
        scene.said.push(Said::Closed(Box::new(watch.report(&ending))));
    }
}
