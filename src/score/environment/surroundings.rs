//! What an environment and its surroundings have to do with each other: questions out, answers in, and the other way.

use std::time::Duration;

use super::{Environment, Scene};
use crate::{
    model::{Ask, Clue, Ground, Message, Path, Timestamp, Told},
    score::{
        Said,
        baseline::count,
        blame::{
            Asker, Askers, BACKGROUND_PRIOR, Blamed, Candidate, DEPENDENTS_MIN, IMPLICATED, Inquiry, Trail, is_unusual,
            ln_weight, put_down,
        },
        evidence::narrow,
        steps::Closed,
        watch::Watch,
    },
};

/// Put down to others with this chance or more, a rise of errors freezes them and not the service.
const ELSEWHERE: f64 = 0.5;
/// What errors are put down to stands from then on: their onset is about to leave the trail.
const SETTLED_AFTER: Duration = Duration::from_mins(30);
/// Deploys told of in an answer.
const CLUES_MAX: usize = 3;

impl Environment {
    /// While nothing is watched: begins to keep a trail with the first step that holds unusually many errors, and keeps
    /// it until nothing in it is.
    pub(super) fn note_unusual(&mut self, closed: &Closed, now: Timestamp) {
        // Most steps are over with this.
        if self.trail.is_none() && (closed.errors < 5 || !self.baseline.is_known(now)) {
            return;
        }
        let grain = self.steps.grain;
        let expectation = self.baseline.expect(grain, closed.start, closed.requests);
        // The margin of a service's policy is not asked here: what only it would call harmless is in the trail as well.
        if self.trail.is_none() && !is_unusual(count(closed.errors), expectation.mean, self.baseline.size(grain)) {
            return;
        }
        let observation = super::Observation {
            errors: count(closed.errors),
            expected: expectation.mean,
            harmless: expectation.mean,
            size: self.baseline.size(grain),
            weight: 1.0,
        };
        let trail = self.trail.get_or_insert_with(|| Box::new(Trail::new(grain)));
        trail.observe(closed.start, grain, (closed.n_records > 0).then_some(&observation));
        if trail.is_usual() {
            self.trail = None;
        }
    }

    /// What a rise of errors seen now is put down to, others included as far as they have answered.
    pub(super) fn put_down(&mut self, now: Timestamp) -> Vec<Blamed> {
        let alarmed_at = self.watches.iter().filter_map(|watch| watch.alarmed_at).min();
        if let Some(proposal) = &self.proposal
            && !proposal.found.suspects.is_empty()
            && alarmed_at.is_some_and(|at| now.since(at) >= SETTLED_AFTER)
        {
            return proposal.found.suspects.clone();
        }
        let Some(trail) = &self.trail else {
            return Vec::new();
        };
        let mut candidates = self.own_candidates();
        let others = self
            .inquiry
            .iter()
            .flat_map(|inquiry| inquiry.candidates.iter().cloned());
        let rise = trail.rise(self.baseline.size(self.steps.grain));
        candidates.extend(others);
        let posterior = put_down(&rise, candidates);
        if let Some(inquiry) = &mut self.inquiry {
            inquiry.elsewhere = inquiry.shared || posterior.elsewhere >= ELSEWHERE;
        }
        posterior.blamed
    }

    /// Its own deploys under watch, the likeliest first, for those who look at it from outside.
    pub(crate) fn own_suspects(&self, service: &crate::model::ServiceId) -> Vec<crate::model::Suspect> {
        let Some(trail) = &self.trail else {
            return Vec::new();
        };
        let posterior = put_down(&trail.rise(self.baseline.size(self.steps.grain)), self.own_candidates());
        posterior.blamed.iter().map(|blamed| blamed.suspect(service)).collect()
    }

    fn own_candidates(&self) -> Vec<Candidate> {
        let own = self.watches.iter().map(|watch| Candidate {
            deploy_id: Some(watch.deploy_id.clone()),
            of: None,
            started_at: watch.started_at,
            stage_at: watch.stage_at,
            prior: watch.prior,
            ln_e: None,
        });
        own.collect()
    }

    /// Whether the rise of errors is put down to another service.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.inquiry.as_ref().is_some_and(|inquiry| inquiry.elsewhere)
    }

    /// Asks what it calls and what calls it; where there is nobody to ask, or all is known, the fleet.
    pub(super) fn inquire(&mut self, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        let Some(graph) = scene.graph.filter(|graph| !graph.is_empty()) else {
            self.propose(Ground::Evidence, scene);
            return;
        };
        let callees = graph.callees().map(|name| (name, Path::Callee(1)));
        let asks: Vec<Said> = callees
            .chain(graph.callers().map(|name| (name, Path::Caller)))
            .map(|(name, path)| {
                Said::Message(Message::Ask(Ask {
                    service: name.to_owned().into(),
                    environment: self.name.as_str().to_owned().into(),
                    by: scene.service.as_str().to_owned().into(),
                    asked_at: now,
                    path,
                }))
            })
            .collect();
        let n_asked = u16::try_from(asks.len()).unwrap_or(u16::MAX);
        match &mut self.inquiry {
            Some(inquiry) => inquiry.ask_again(now, n_asked),
            None => self.inquiry = Some(Box::new(Inquiry::new(now, n_asked))),
        }
        scene.said.extend(asks);
    }

    /// An answer of its surroundings.
    pub(crate) fn told(&mut self, told: &Told<'_>, scene: &mut Scene<'_>) {
        let (Some(inquiry), Some(trail)) = (&mut self.inquiry, &self.trail) else {
            return;
        };
        let rise = trail.rise(self.baseline.size(self.steps.grain));
        if inquiry.take(told, |candidate| ln_weight(candidate, &rise)) {
            self.conclude(scene);
        }
        self.decide(scene);
    }

    /// Concludes without those that do not answer; and lets go of who asked long ago.
    pub(super) fn settle_inquiry(&mut self, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        let waits_until = self.inquiry.as_ref().and_then(|inquiry| inquiry.waits_until());
        if waits_until.is_some_and(|until| until <= now) {
            self.conclude(scene);
        }
        if let Some(askers) = &mut self.askers {
            askers.forget(now);
            if askers.n(now) == 0 {
                self.askers = None;
            }
        }
    }

    /// All that will be known is known: asks the fleet for a freeze, unless it is another service's to be frozen.
    fn conclude(&mut self, scene: &mut Scene<'_>) {
        let Some(inquiry) = &mut self.inquiry else { return };
        let was_concluded = inquiry.is_concluded();
        let was_elsewhere = inquiry.elsewhere;
        inquiry.conclude();
        let suspects = self.put_down(scene.context.now);
        let Some(proposal) = &mut self.proposal else { return };
        proposal.found.suspects = suspects;
        if !self.is_elsewhere() && (!was_concluded || was_elsewhere) {
            self.propose(Ground::Evidence, scene);
        }
    }

    /// Answers one that alarms. `n_forwarded` further services were asked on its behalf.
    pub(crate) fn answer_ask(&mut self, ask: &Ask<'_>, n_forwarded: u8, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        let clues = self.clues();
        let before = self.n_dependents(now).is_some();
        if let Path::Callee(_) = ask.path {
            let askers = self.askers.get_or_insert_with(|| Box::new(Askers::default()));
            askers.note(Asker {
                name: ask.by.as_ref().into(),
                path: ask.path,
                asked_at: ask.asked_at,
            });
        }
        let n_dependents = self.n_dependents(now);
        let told = |by: &str, asked_at, path, n_forwarded| {
            Said::Message(Message::Told(Told {
                service: by.to_owned().into(),
                environment: self.name.as_str().to_owned().into(),
                asked_at,
                by: scene.service.as_str().to_owned().into(),
                path,
                n_forwarded,
                n_askers: n_dependents.unwrap_or(0),
                clues: clues.clone(),
            }))
        };
        let mut answers = vec![told(&ask.by, ask.asked_at, ask.path, n_forwarded)];
        if n_dependents.is_some() && !before {
            // Those that asked before there were enough: an answer more than they wait for, and so as if one more had
            // been asked.
            let earlier = self.askers.iter().flat_map(|askers| askers.iter());
            let earlier = earlier.filter(|asker| *asker.name != *ask.by);
            answers.extend(earlier.map(|asker| told(&asker.name, asker.asked_at, asker.path, 1)));
        }
        scene.said.extend(answers);
        if n_dependents.is_some() {
            self.settle_lease(scene);
            self.decide(scene);
        }
    }

    /// How many services alarm that depend on this one, if they are many and something here may be why.
    pub(super) fn n_dependents(&self, now: Timestamp) -> Option<u8> {
        let n = self.askers.as_ref().map_or(0, |askers| askers.n(now));
        if n < DEPENDENTS_MIN {
            return None;
        }
        let implicated = |clue: &Clue<'_>| clue.ln_e.is_none_or(|ln_e| f64::from(ln_e) >= IMPLICATED.ln());
        self.clues()
            .iter()
            .any(implicated)
            .then(|| u8::try_from(n).unwrap_or(u8::MAX))
    }

    /// What here could be why another service alarms: the deploy it is frozen for, or those under watch; and if errors have
    /// risen, that it is none of them.
    fn clues(&self) -> Vec<Clue<'static>> {
        if let Some(hold) = &self.hold {
            let (started_at, stage_at, prior) = hold.found.began;
            let deploy = Clue {
                deploy_id: Some(hold.deploy_id.as_ref().to_owned().into()),
                started_at,
                stage_at,
                prior,
                ln_e: Some(narrow(hold.found.ln_e)),
            };
            return vec![deploy, of_none(hold.found.ln_e)];
        }
        // What it puts down to others itself speaks against none of its own: or services that call each other in a circle
        // would each leave it to the next.
        let most = if self.is_elsewhere() { 0.0 } else { f64::INFINITY };
        let mut watches: Vec<&Watch> = self.watches.iter().collect();
        let promise = |watch: &Watch| f64::from(watch.prior).max(1e-9).ln() + watch.ln_e();
        watches.sort_by(|a, b| promise(b).total_cmp(&promise(a)));
        watches.truncate(CLUES_MAX);
        let deploys = watches.into_iter().map(|watch| Clue {
            deploy_id: Some(watch.deploy_id.as_ref().to_owned().into()),
            started_at: watch.started_at,
            stage_at: watch.stage_at,
            prior: watch.prior,
            ln_e: watch.judged.then(|| narrow(watch.ln_e().min(most))),
        });
        let mut clues: Vec<Clue<'static>> = deploys.collect();
        if let Some(trail) = &self.trail {
            let ln_risen = trail.rise(self.baseline.size(self.steps.grain)).ln_anywhere();
            if ln_risen >= IMPLICATED.ln() {
                clues.push(of_none(ln_risen.min(most)));
            }
        }
        clues
    }
}

/// That errors have risen, and no deploy of the service need be why.
fn of_none(ln_e: f64) -> Clue<'static> {
    Clue {
        deploy_id: None,
        started_at: Timestamp::MIN,
        stage_at: Timestamp::MIN,
        prior: narrow(BACKGROUND_PRIOR),
        ln_e: Some(narrow(ln_e)),
    }
}
