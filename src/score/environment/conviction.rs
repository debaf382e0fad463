//! From evidence to a freeze: what convicts a deploy, asking the fleet, its answer, and the end of a watch.

use super::{Environment, PROPOSE_EVERY, Proposal, RELAPSE_LEASE, RELAPSE_WINDOW, Scene, ln_threshold, margin};
use crate::{
    model::{Ground, Message, ServiceId, Suspect},
    score::{
        Reading, Said,
        blame::{Candidate, suspects},
        hold::{Found, Hold},
        policy::Settings,
        watch::{Ending, Watch, WatchVerdict},
    },
};

impl Environment {
    /// The evidence of the watch that has most of it.
    pub(crate) fn reading(&self, settings: &Settings) -> Option<Reading> {
        let size = self.baseline.size(self.steps.grain);
        let leading = self.watches.iter().max_by(|a, b| a.ln_e().total_cmp(&b.ln_e()))?;
        let since = leading.since_onset();
        Some(Reading {
            ln_e: leading.ln_e(),
            ln_threshold: ln_threshold(settings),
            is_material: since.excess() >= 5.0 && since.ratio_low(size) > 1.0 + margin(settings, false),
            steps_since_onset: since.n_steps,
        })
    }

    /// Asks for a freeze if a watch has the evidence for one.
    pub(super) fn convict(&mut self, margin: f64, scene: &mut Scene<'_>) {
        let size = self.baseline.size(self.steps.grain);
        let threshold = ln_threshold(scene.settings);
        let guilty = self.watches.iter().filter(|watch| {
            let since = watch.since_onset();
            watch.judged && watch.ln_e() >= threshold && since.excess() >= 5.0 && since.ratio_low(size) > 1.0 + margin
        });
        let Some(leading) = guilty.max_by(|a, b| a.ln_e().total_cmp(&b.ln_e())) else {
            self.proposal = None;
            return;
        };
        let found = Found {
            ln_e: leading.ln_e(),
            since_onset: leading.since_onset(),
            by_requests: margin <= scene.settings.freeze.margin,
            suspects: self.suspects(scene.service),
        };
        let deploy_id = leading.deploy_id.clone();
        if let Some(watch) = self.watches.iter_mut().find(|watch| watch.deploy_id == deploy_id) {
            watch.alarmed_at.get_or_insert(scene.context.now);
        }
        if let Some(proposal) = &mut self.proposal {
            proposal.found = found;
            proposal.deploy_id = deploy_id;
        } else {
            self.proposal = Some(Proposal {
                deploy_id,
                found,
                withheld: false,
                asked_at: scene.context.now,
            });
            self.propose(Ground::Evidence, scene);
        }
    }

    /// What a regression seen now is put down to, with probabilities.
    fn suspects(&self, service: &ServiceId) -> Vec<(Option<Box<str>>, f64)> {
        let candidates = self.watches.iter().map(|watch| Candidate {
            deploy_id: &watch.deploy_id,
            prior: f64::from(watch.prior),
            ln_e: watch.ln_e(),
            anchored: watch.is_anchored(),
        });
        suspects(service, &candidates.collect::<Vec<_>>())
            .into_iter()
            .map(|suspect| (suspect.deploy_id, suspect.probability.value()))
            .collect()
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
            self.propose(Ground::Evidence, scene);
        }
        if self.incidents.ask_again(now, PROPOSE_EVERY) {
            self.propose(Ground::Incident, scene);
        }
    }

    /// The fleet's answer to a proposal. What has passed meanwhile is not frozen for.
    pub(crate) fn answer(&mut self, ground: Ground, granted: bool, scene: &mut Scene<'_>) {
        match ground {
            Ground::Incident => self.incidents.answer(granted),
            Ground::Evidence => match self.proposal.take() {
                Some(proposal) if granted => self.freeze(proposal, scene),
                proposal => {
                    self.proposal = proposal.map(|proposal| Proposal {
                        withheld: !granted,
                        ..proposal
                    });
                }
            },
        }
        self.decide(scene);
    }

    fn freeze(&mut self, proposal: Proposal, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        self.freezes.retain(|since| now.since(*since) < RELAPSE_WINDOW);
        self.freezes.push(now);
        let lease = if self.freezes.len() > 2 {
            RELAPSE_LEASE
        } else {
            scene.settings.freeze.lease
        };
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
            self.proposal = None;
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
