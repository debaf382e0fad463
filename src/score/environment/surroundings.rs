//! Asking: what a rise of errors is put down to, of what an environment calls and what calls it as well.

use std::time::Duration;

use super::{Environment, PROPOSE_EVERY, Scene};
use crate::{
    model::{Ask, Ground, Message, Path, Timestamp, Told},
    score::{
        Said,
        blame::{Blamed, Hints, Inquiry, Onsets, Own, Posterior, Rise, Whose, put_down, weight},
        hold::Found,
        watch::Watch,
    },
};

/// Three services alarmed together lately, if within this.
const SHARED_FOR: Duration = Duration::from_mins(30);

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
    pub(super) fn own(&self, rise: &Rise<'_>) -> Vec<Own<'_>> {
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

    /// What is known of a rise that began about `onset`.
    pub(super) fn rise<'a>(&self, convicted: Option<&'a str>, onset: Timestamp, scene: &Scene<'a>) -> Rise<'a> {
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
                // What convicted it was another service's doing.
                watch.clear_alarm();
            }
        }
        self.proposal = Some(proposal);
        if !is_explained && !waits {
            self.propose(Ground::Evidence, scene);
        }
    }
}
