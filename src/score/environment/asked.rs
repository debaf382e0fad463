//! Being asked: what a service tells those that call it, or that it calls, when they alarm.

use std::time::Duration;

use super::{Environment, Scene, conviction::leading_of};
use crate::{
    model::{Ask, Clue, Health, Message, Path, Timestamp, Told},
    score::{
        Said,
        blame::{Blamed, DEPENDENTS_MIN, ILL, Rise, put_down},
        evidence::narrow,
        policy::Policy,
        watch::Watch,
    },
};

/// Deploys told of in an answer.
const CLUES_MAX: usize = 2;
/// A freeze's own windows of evidence say nothing before.
const FRESH_HOLD: Duration = Duration::from_mins(15);

impl Environment {
    /// Answers one that alarms. `n_forwarded` further services were asked on its behalf.
    pub(crate) fn answer_ask(&mut self, ask: &Ask<'_>, n_forwarded: u8, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        if !self.is_watched() {
            self.pass_quiet_steps(scene.settings, scene.context);
        }
        if let Path::Callee(_) = ask.path {
            let askers = &mut self.concerns.get_or_insert_default().askers;
            askers.get_or_insert_default().note(&ask.by, ask.asked_at);
        }
        let state = self.health(scene.context.policy, now);
        let n_dependents = self.n_dependents(scene.context.policy, now);
        scene.said.push(Said::Message(Message::Told(Told {
            service: ask.by.clone().into_owned().into(),
            environment: self.name.as_str().to_owned().into(),
            asked_at: ask.asked_at,
            by: scene.service.as_str().to_owned().into(),
            path: ask.path,
            n_forwarded,
            n_askers: n_dependents.unwrap_or(0),
            state,
            seen_from: self.steps.next_start() - self.steps.grain.duration(),
            clues: self.clues(ask.path, state, scene),
        })));
        if n_dependents.is_some() {
            self.settle_lease(scene);
            self.decide(scene);
        }
    }

    /// Lets go of who asked long ago.
    pub(super) fn forget_askers(&mut self, now: Timestamp) {
        if let Some(concerns) = &mut self.concerns
            && concerns.askers.as_ref().is_some_and(|askers| askers.n(now) == 0)
        {
            concerns.askers = None;
            self.drop_empty_concerns();
        }
    }

    /// How many services alarm that depend on this one, if they are many and something here may be why.
    pub(super) fn n_dependents(&self, policy: &Policy, now: Timestamp) -> Option<u8> {
        let n = self.concerns.as_ref()?.askers.as_ref()?.n(now);
        if n < DEPENDENTS_MIN {
            return None;
        }
        let may_be_why = match self.health(policy, now) {
            Health::Ill { .. } => true,
            Health::Unknown => !self.watches.is_empty(),
            Health::Well | Health::Suffers { .. } => false,
        };
        may_be_why.then(|| u8::try_from(n).unwrap_or(u8::MAX))
    }

    /// How it is by its own errors. The first of these answers:
    ///
    /// 1. It is frozen for them and they may go on, or they have outlasted a freeze: it is ill and held, whomever it blames.
    /// 2. A freeze is proposed. Only then another service may be blamed, and what follows knows nothing of that.
    /// 3. They go on: it is ill since the first of them. In the end neither E nor unrest sees any, as the hours before are
    ///    theirs by then.
    /// 4. There is evidence against a deploy, which dates the rise as a freeze would that may follow.
    /// 5. There is unrest, deploy or no deploy.
    /// 6. None of these: it is well, unless nothing would be seen of it.
    fn health(&self, policy: &Policy, now: Timestamp) -> Health {
        let ill = |since| Health::Ill { since, is_held: false };
        let is_silent = self.is_silent(policy);
        let unrest = self.unrest.is_on() && !is_silent;
        let hold = self.hold.as_ref();
        let hold = hold.filter(|hold| unrest || hold.may_go_on() || now.since(hold.since) < FRESH_HOLD);
        let held_since = hold.map(|hold| hold.found.onset());
        let outlasting = self.outlasting();
        let outlasting_since = outlasting.map(|outlasting| outlasting.since);
        let is_held = hold.is_some() || outlasting.is_some_and(|outlasting| outlasting.a_freeze);
        let since = held_since.into_iter().chain(outlasting_since).min();
        if let Some(since) = since.filter(|_| is_held) {
            return Health::Ill { since, is_held: true };
        }
        if let Some(proposal) = self.proposal.as_ref().filter(|proposal| !proposal.is_noisy()) {
            let onset = proposal.found.onset();
            return if self.is_elsewhere() {
                Health::Suffers { since: onset }
            } else {
                ill(outlasting_since.map_or(onset, |since| since.min(onset)))
            };
        }
        if let Some(since) = outlasting_since {
            return ill(since);
        }
        let end = self.steps.next_start();
        let step = self.steps.grain.duration();
        let judged = self.watches.iter().filter(|watch| watch.has_judged());
        if let Some(watch) = leading_of(judged).filter(|watch| watch.ln_e() >= ILL.ln()) {
            return ill(end - step * u32::from(watch.since_onset().n_steps));
        }
        if let Some(since) = self.unrest.since(end, step).filter(|_| unrest) {
            return ill(since);
        }
        if self.has_baseline(now, policy) && !is_silent {
            Health::Well
        } else {
            Health::Unknown
        }
    }

    /// What here could be why another service alarms: the likely causes of its own trouble, else what is deployed.
    fn clues(&self, path: Path, state: Health, scene: &Scene<'_>) -> Vec<Clue<'static>> {
        match (path, state) {
            (Path::Callee(_), Health::Ill { since, .. } | Health::Suffers { since }) => {
                self.clues_of_trouble(since, scene)
            }
            (Path::Callee(_), Health::Well) => {
                let nothing = Clue {
                    deploy_id: None,
                    started_at: Timestamp::MIN,
                    stage_at: Timestamp::MIN,
                    weight: 1.0,
                };
                self.clues_of_deploys().chain([nothing]).collect()
            }
            (Path::Callee(_), Health::Unknown) | (Path::Caller, _) => self.clues_of_deploys().collect(),
        }
    }

    fn clues_of_deploys(&self) -> impl Iterator<Item = Clue<'static>> {
        let mut watches: Vec<&Watch> = self.watches.iter().collect();
        watches.sort_by(|a, b| b.prior().total_cmp(&a.prior()));
        watches.into_iter().take(CLUES_MAX).map(|watch| Clue {
            deploy_id: Some(watch.deploy_id.as_ref().to_owned().into()),
            started_at: watch.started_at(),
            stage_at: watch.stage_at(),
            weight: narrow(watch.prior()),
        })
    }

    fn clues_of_trouble(&self, since: Timestamp, scene: &Scene<'_>) -> Vec<Clue<'static>> {
        let step = self.steps.grain.duration();
        let convicted = self.leading().filter(|watch| watch.has_alarmed());
        let blamed = if let Some(hold) = &self.hold {
            hold.found.suspects.clone()
        } else if let (None, Some((deploy_id, probability))) = (convicted, self.was_frozen_for()) {
            let blamed = Blamed {
                deploy_id: Some(deploy_id.into()),
                of: None,
                probability: probability.value(),
            };
            [blamed].into()
        } else {
            // To those who ask it is trouble of here, whatever its errors name.
            let rise = Rise {
                named: None,
                ..self.rise(convicted.map(|watch| &*watch.deploy_id), since, scene)
            };
            put_down(&rise, &self.own(&rise), &[]).blamed
        };
        let own = blamed.into_iter().filter(|blamed| blamed.of.is_none());
        let clue = |blamed: Blamed| Clue {
            deploy_id: blamed.deploy_id.map(|id| id.into_string().into()),
            started_at: since,
            stage_at: since + step,
            weight: narrow(blamed.probability),
        };
        own.map(clue).collect()
    }
}
