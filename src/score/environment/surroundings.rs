//! What an environment and its surroundings have to do with each other: questions out, answers in, and the other way.

use std::time::Duration;

use super::{Environment, PROPOSE_EVERY, Scene, conviction::leading_of};
use crate::{
    model::{Ask, Clue, Ground, Health, Message, Path, Timestamp, Told},
    score::{
        Said,
        blame::{Blamed, DEPENDENTS_MIN, Hints, ILL, Inquiry, Onsets, Own, Posterior, Rise, Whose, put_down, weight},
        evidence::narrow,
        hold::Found,
        policy::Policy,
        watch::Watch,
    },
};

/// Deploys told of in an answer.
const CLUES_MAX: usize = 2;
/// Three services alarmed together lately, if within this.
const SHARED_FOR: Duration = Duration::from_mins(30);
/// A freeze's own windows of evidence say nothing before.
const FRESH_HOLD: Duration = Duration::from_mins(15);

impl Environment {
    fn inquiry(&self) -> Option<&Inquiry> {
        self.concerns.as_ref()?.inquiry.as_deref()
    }

    fn inquiry_mut(&mut self) -> Option<&mut Inquiry> {
        self.concerns.as_mut()?.inquiry.as_deref_mut()
    }

    pub(super) fn drop_inquiry(&mut self) {
        if let Some(concerns) = &mut self.concerns {
            concerns.inquiry = None;
            self.drop_empty_concerns();
        }
    }

    /// Whether its surroundings were asked and have not all answered. What is asked again meanwhile would be answered to
    /// nobody.
    pub(super) fn is_asking(&self) -> bool {
        self.inquiry().is_some_and(Inquiry::is_out)
    }

    /// Whether the rise of errors is put down to another service.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.inquiry().is_some_and(Inquiry::is_explained)
    }

    /// When a question makes a difference next by time alone.
    pub(super) fn inquiry_deadline(&self) -> Option<Timestamp> {
        self.inquiry()?.next_deadline()
    }

    /// The own deploys, beside a rise.
    fn own(&self, rise: &Rise<'_>) -> Vec<Own<'_>> {
        let silent = |from, to| self.presence.silent_between(from, to);
        let watches = self.watches.iter();
        watches
            .map(|watch| Own {
                deploy_id: &watch.deploy_id,
                prior: watch.prior(),
                ln_e: watch.ln_e(),
                at_stage: rise.onsets.mean(|onset| watch.at_stage(onset, rise.step, silent)),
                // One that is convicted made it worse.
                came_after: watch.raised.is_some() && !watch.has_alarmed(),
            })
            .collect()
    }

    /// What a rise of errors is put down to, others included as far as they have answered.
    pub(super) fn put_down(&self, convicted: &str, found: &Found, scene: &Scene<'_>) -> Posterior {
        let others = self.inquiry().map_or(&[][..], |inquiry| &inquiry.candidates);
        let rise = self.rise(Some(convicted), found.onset(), scene);
        put_down(&rise, &self.own(&rise), others)
    }

    /// Whether errors were far above what is usual in a step that was over at `time`: a deploy that is told late is not
    /// taken for one that came late.
    pub(super) fn had_risen_by(&self, time: Timestamp) -> bool {
        let step = self.steps.grain.duration();
        let since = self.unrest.since(self.steps.next_start(), step);
        self.unrest.is_on() && since.is_some_and(|since| since + step <= time)
    }

    /// Whom to name at a conviction: nobody before the surroundings were heard.
    pub(super) fn name_suspects(&self, convicted: &str, found: &Found, scene: &Scene<'_>) -> Box<[Blamed]> {
        let is_heard = self.inquiry().is_some_and(Inquiry::was_concluded);
        if scene.is_alone() || is_heard {
            self.put_down(convicted, found, scene).blamed
        } else {
            Box::default()
        }
    }

    fn rise<'a>(&self, convicted: Option<&'a str>, onset: Timestamp, scene: &Scene<'a>) -> Rise<'a> {
        let shared_alarm_at = scene.context.bulletin.calibration.shared_alarm_at;
        let lately = shared_alarm_at.is_some_and(|at| scene.context.now.since(at) < SHARED_FOR);
        let step = self.steps.grain.duration();
        let end = self.steps.next_start();
        let unrest = self.unrest.since(end, step).unwrap_or(onset);
        let little = self.unrest.little_since(end, step).unwrap_or(unrest);
        let watch = self.watches.iter().find(|watch| Some(&*watch.deploy_id) == convicted);
        let hints = watch.map(|watch| self.hints(watch)).unwrap_or_default();
        let may_be_older = watch.is_some_and(Watch::may_be_older);
        let evidence = if may_be_older { onset.min(unrest) } else { onset };
        Rise {
            onsets: Onsets {
                evidence,
                unrest,
                little,
            },
            step: self.steps.grain.duration(),
            convicted,
            was_waited_for: self
                .inquiry()
                .is_some_and(|inquiry| !inquiry.is_young(scene.context.now)),
            is_shared: lately || self.inquiry().is_some_and(|inquiry| inquiry.shared),
            hints,
            named: scene.graph.and_then(|graph| hints.named_of(graph.callees())),
        }
    }

    fn hints(&self, watch: &Watch) -> Hints {
        let Some(kinds) = &self.kinds else {
            return Hints::default();
        };
        let usually_named = self
            .usual_kinds
            .named_share()
            .filter(|_| self.usual_kinds.tells_upstreams);
        Hints::of(
            kinds,
            watch.since_onset(),
            usually_named,
            self.usual_kinds.has_fingerprints(),
        )
    }

    /// Asks what it calls and what calls it, for a new conviction or once more; where there is nobody to ask, the fleet.
    pub(super) fn inquire(&mut self, is_new: bool, scene: &mut Scene<'_>) {
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
        let wall = scene.context.wall;
        match &mut self.concerns.get_or_insert_default().inquiry {
            Some(inquiry) if is_new => inquiry.begin_again(now, wall, n_asked),
            Some(inquiry) => inquiry.ask_again(now, wall, n_asked),
            inquiry @ None => *inquiry = Some(Box::new(Inquiry::new(now, wall, n_asked))),
        }
        scene.said.extend(asks);
    }

    /// An answer of its surroundings.
    pub(crate) fn told(&mut self, told: &Told<'_>, scene: &mut Scene<'_>) {
        let Some(proposal) = &self.proposal else { return };
        let deploy_id = proposal.deploy_id.clone();
        let rise = self.rise(Some(&deploy_id), proposal.found.onset(), scene);
        let Some(inquiry) = self.inquiry_mut() else { return };
        if inquiry.take(told, |candidate| weight(candidate, &rise)) {
            self.conclude(scene);
            self.decide(scene);
        }
    }

    /// Concludes without those that do not answer; goes on judging what is no longer explained.
    pub(super) fn settle_inquiry(&mut self, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        let Some(inquiry) = self.inquiry_mut() else { return };
        if inquiry.lapse(now) {
            self.judge_anew();
        } else if inquiry.is_due(scene.context.wall) {
            self.conclude(scene);
        }
    }

    /// What was seen so far was another service's doing: deploys are judged by what follows.
    fn judge_anew(&mut self) {
        self.proposal = None;
        for watch in &mut self.watches {
            watch.begin_anew();
        }
    }

    /// Forgets what was asked for a conviction that no longer is; but not for how long others' trouble explained it.
    pub(super) fn drop_question(&mut self) {
        let is_over = !self.unrest.is_on();
        if let Some(inquiry) = self.inquiry_mut().filter(|_| is_over) {
            inquiry.believe_again();
        }
        if self.inquiry().is_some_and(|inquiry| !inquiry.was_explained()) {
            self.drop_inquiry();
        }
    }

    /// Whether a watch is to stay until it is known whose the rise is, and what the fleet says to a freeze.
    pub(super) fn is_in_question(&self, deploy_id: &str, now: Timestamp) -> bool {
        let Some(proposal) = self.proposal.as_ref().filter(|of| *of.deploy_id == *deploy_id) else {
            return false;
        };
        match self.inquiry() {
            // In doubt it is asked a last time when it is no longer young.
            Some(inquiry) => inquiry.is_young(now - PROPOSE_EVERY) && !inquiry.is_explained(),
            None => !proposal.is_noisy() && !proposal.withheld && now < proposal.asked_at.start() + PROPOSE_EVERY,
        }
    }

    /// All that will be known is known: asks the fleet for a freeze, unless it is another service that is to be frozen.
    /// Until some time after that, what errors show is no evidence against an own deploy.
    fn conclude(&mut self, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        let Some(mut proposal) = self.proposal.take() else {
            // It was taken back while it was asked about: nobody waits for answers any more.
            if let Some(inquiry) = self.inquiry_mut() {
                inquiry.conclude();
            }
            return;
        };
        let Posterior { blamed, whose, is_held } = self.put_down(&proposal.deploy_id, &proposal.found, scene);
        let goes_on = self.unrest.is_on();
        let Some(inquiry) = self.inquiry_mut() else {
            self.proposal = Some(proposal);
            return;
        };
        inquiry.conclude();
        let was_explained = inquiry.is_explained();
        let explains = match whose {
            Whose::Elsewhere => true,
            // While it is explained by it, evidence stands still: that errors go on is seen by the unrest alone.
            Whose::Named => goes_on || !inquiry.is_explained(),
            Whose::Doubtful | Whose::Own => false,
        };
        let elsewhere = explains && inquiry.explain(now, is_held);
        let is_too_long = explains && !elsewhere;
        let waits = whose == Whose::Doubtful && inquiry.is_young(now);
        if was_explained && (is_too_long || (!elsewhere && goes_on && inquiry.is_stale(now))) {
            inquiry.give_up();
            self.judge_anew();
            return;
        }
        let is_explained = inquiry.is_explained();
        // Until it is no longer explained, what explained it is what is said.
        if elsewhere || !is_explained {
            proposal.found.suspects = blamed;
        }
        if elsewhere {
            self.pending.drop_from(proposal.found.onset());
            if let Some(watch) = self
                .watches
                .iter_mut()
                .find(|watch| watch.deploy_id == proposal.deploy_id)
            {
                watch.acquit();
            }
        }
        self.proposal = Some(proposal);
        if !is_explained && !waits {
            self.propose(Ground::Evidence, scene);
        }
    }

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

    /// How it is by its own errors.
    fn health(&self, policy: &Policy, now: Timestamp) -> Health {
        let unrest = self.unrest.is_on() && !self.is_silent(policy);
        let hold = self.hold.as_ref();
        let hold = hold.filter(|hold| unrest || hold.may_go_on() || now.since(hold.since) < FRESH_HOLD);
        let held_since = hold.map(|hold| hold.found.onset());
        // Of errors that go on neither evidence nor unrest sees anything in the end: the hours before are theirs by then.
        let outlasting = self.outlasting();
        let outlasting_since = outlasting.map(|outlasting| outlasting.since);
        let is_held = hold.is_some() || outlasting.is_some_and(|outlasting| outlasting.a_freeze);
        let since = held_since.into_iter().chain(outlasting_since).min();
        if let Some(since) = since.filter(|_| is_held) {
            return Health::Ill { since, is_held };
        }
        let end = self.steps.next_start();
        if let Some(proposal) = self.proposal.as_ref().filter(|proposal| !proposal.is_noisy()) {
            let onset = proposal.found.onset();
            return if self.is_elsewhere() {
                Health::Suffers { since: onset }
            } else {
                Health::Ill {
                    since: since.map_or(onset, |since| since.min(onset)),
                    is_held,
                }
            };
        }
        if let Some(since) = since {
            return Health::Ill { since, is_held };
        }
        let step = self.steps.grain.duration();
        let judged = self.watches.iter().filter(|watch| watch.has_judged());
        if let Some(watch) = leading_of(judged).filter(|watch| watch.ln_e() >= ILL.ln()) {
            return Health::Ill {
                since: end - step * u32::from(watch.since_onset().n_steps),
                is_held: false,
            };
        }
        if let Some(since) = self.unrest.since(end, step).filter(|_| unrest) {
            return Health::Ill { since, is_held: false };
        }
        if self.has_baseline(now, policy) && !self.is_silent(policy) {
            Health::Well
        } else {
            Health::Unknown
        }
    }

    /// What here could be why another service alarms.
    fn clues(&self, path: Path, state: Health, scene: &Scene<'_>) -> Vec<Clue<'static>> {
        let ill_since = match (path, state) {
            (Path::Callee(_), Health::Ill { since, .. } | Health::Suffers { since }) => Some(since),
            (Path::Callee(_), Health::Well | Health::Unknown) | (Path::Caller, _) => None,
        };
        let Some(since) = ill_since else {
            let mut watches: Vec<&Watch> = self.watches.iter().collect();
            watches.sort_by(|a, b| b.prior().total_cmp(&a.prior()));
            let clue = |watch: &Watch| Clue {
                deploy_id: Some(watch.deploy_id.as_ref().to_owned().into()),
                started_at: watch.started_at(),
                stage_at: watch.stage_at(),
                weight: narrow(watch.prior()),
            };
            let nothing = Clue {
                deploy_id: None,
                started_at: Timestamp::MIN,
                stage_at: Timestamp::MIN,
                weight: 1.0,
            };
            let nothing = (state == Health::Well && path != Path::Caller).then_some(nothing);
            return watches.into_iter().take(CLUES_MAX).map(clue).chain(nothing).collect();
        };
        let step = self.steps.grain.duration();
        let convicted = self.leading().filter(|watch| watch.has_alarmed());
        let blamed = if let Some(hold) = &self.hold {
            hold.found.suspects.clone()
        } else {
            // To those who ask it is trouble of here, whatever its errors name.
            let rise = Rise {
                named: None,
                ..self.rise(convicted.map(|watch| &*watch.deploy_id), since, scene)
            };
            put_down(&rise, &self.own(&rise), &[]).blamed
        };
        let own = blamed.into_iter().filter(|blamed| blamed.of.is_none());
        own.map(
            |Blamed {
                 deploy_id, probability, ..
             }| Clue {
                deploy_id: deploy_id.map(|id| id.into_string().into()),
                started_at: since,
                stage_at: since + step,
                weight: narrow(probability),
            },
        )
        .collect()
    }
}
