//! A service: its environments, its changes, and the words of people on it.

mod deployed;
mod neighbors;
mod report;
mod words;

use serde::{Deserialize, Serialize};

pub use self::report::ServiceReport;
use self::words::Word;
use super::{
    Context, Said,
    catalog::Graph,
    change::{self, ChangePage, Changes, Landed, tier_weight},
    environment::{self, Environment},
    failure_rate::FailureRate,
    policy::Policy,
    review::{Approvals, Note},
    steps::Totals,
};
use crate::model::{
    Body, Commit, Criticality, EnvironmentId, Errors, Happened, Kind, Message, Second, Service as Catalog, ServiceId,
    Slo, Subject, Timestamp, UnitInterval,
};

/// Environments of one service; the next drops the one silent longest.
const ENVIRONMENTS_MAX: usize = 16;
/// A service never seen again is forgotten after 90 days.
const FORGET_AFTER: std::time::Duration = std::time::Duration::from_hours(90 * 24);

/// The state of one service: what a snapshot holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    name: ServiceId,
    criticality: Option<Criticality>,
    traffic_share: Option<f64>,
    slo: Option<Slo>,
    /// What it calls and who calls it; `None` while nobody told.
    graph: Option<Box<Graph>>,
    failure_rate: FailureRate,
    /// When something it deployed last failed, as far as that is counted for or against AI.
    failed_at: Second,
    environments: Vec<Environment>,
    changes: Changes,
    approvals: Approvals,
    /// Per environment known, and `None` for all: the newest override.
    words: Vec<(Option<EnvironmentId>, Word)>,
    /// Where events without an environment belong, as the last one said: what holds there holds for changes.
    default_environment: Option<EnvironmentId>,
    applied: [u64; Kind::ALL.len()],
    late: u64,
    duplicates: u64,
    catalog_at: Timestamp,
    last_event: Timestamp,
}

/// What booking errors came to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Booked {
    /// Records that came late.
    pub(crate) n_late: u32,
    /// Whether its next deadline may have come nearer: steps are of another length from now on, or errors go on.
    pub(crate) may_be_nearer: bool,
}

impl Service {
    pub(crate) fn new(name: ServiceId, at: Timestamp) -> Self {
        Self {
            name,
            criticality: None,
            traffic_share: None,
            slo: None,
            graph: None,
            failure_rate: FailureRate::default(),
            failed_at: Second::default(),
            environments: Vec::new(),
            changes: Changes::default(),
            approvals: Approvals::default(),
            words: Vec::new(),
            default_environment: None,
            applied: [0; Kind::ALL.len()],
            late: 0,
            duplicates: 0,
            catalog_at: Timestamp::MIN,
            last_event: at,
        }
    }

    pub(crate) fn last_event(&self) -> Timestamp {
        self.last_event
    }

    #[must_use]
    pub fn name(&self) -> &ServiceId {
        &self.name
    }

    /// The pages of its changes that changed since they were snapshotted: beside the service's own snapshot they are all
    /// there is to write.
    pub fn unsaved_pages(&self) -> impl Iterator<Item = &ChangePage> {
        self.changes.pages().unsaved()
    }

    /// The pages of its changes that have snapshots of their own.
    pub fn pages(&self) -> impl Iterator<Item = &ChangePage> {
        self.changes.pages().full()
    }

    /// The numbers of pages that are gone since, whose snapshots are to be deleted.
    #[must_use]
    pub fn gone_pages(&self) -> &[u32] {
        self.changes.pages().gone()
    }

    pub(crate) fn note_saved(&mut self) {
        self.changes.pages_mut().note_saved();
    }

    /// Puts a page of its changes back from its snapshot.
    pub fn lay_in(&mut self, page: ChangePage) {
        self.changes.pages_mut().lay_in(page);
    }

    /// The number of a page that its snapshot lists and that was not laid in.
    #[must_use]
    pub fn missing_page(&self) -> Option<u32> {
        self.changes.pages().missing()
    }

    /// Unique events of all kinds taken in.
    #[must_use]
    pub fn applied(&self, kind: Kind) -> u64 {
        self.applied[kind.index()]
    }

    pub(crate) fn note_duplicates(&mut self, n: u64) {
        self.duplicates += n;
    }

    /// Sums errors; silent unless the environment is seen for the first time.
    pub(crate) fn book(
        &mut self,
        errors: &Errors<'_>,
        totals: &Totals,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) -> Booked {
        let n_records = totals.n_records();
        self.applied[Kind::Error.index()] += u64::from(n_records);
        self.last_event = self.last_event.max(errors.time);
        let place = self.place_of(errors.environment, errors.time, context, said);
        let Some(environment) = place.and_then(|place| self.environments.get_mut(place)) else {
            return Booked::default();
        };
        let went_on = environment.outlasting().is_some();
        if environment.has_quiet_steps(context) {
            let tier = context.policy.tier(self.name.as_str(), self.criticality);
            let settings = context
                .policy
                .settings(self.name.as_str(), tier, environment.name.as_str());
            environment.pass_quiet_steps(&settings, context);
        }
        let grain = environment.grain();
        let is_late = !environment.book(errors, totals);
        let n_late = if is_late { n_records } else { 0 };
        self.late += u64::from(n_late);
        Booked {
            n_late,
            may_be_nearer: environment.grain() != grain || (environment.outlasting().is_some() && !went_on),
        }
    }

    /// Where the environment is kept; makes it if it is new. `None`: its name is none, which ingest would not let by.
    fn place_of(&mut self, name: &str, at: Timestamp, context: &Context<'_>, said: &mut Vec<Said>) -> Option<usize> {
        if let Some(place) = self
            .environments
            .iter()
            .position(|environment| environment.name.as_str() == name)
        {
            return Some(place);
        }
        let name: EnvironmentId = name.parse().ok()?;
        if self.environments.len() >= ENVIRONMENTS_MAX {
            let idle = (0..self.environments.len()).min_by_key(|place| {
                let environment = &self.environments[*place];
                (environment.is_kept(), environment.last_event())
            })?;
            self.forget_environment(idle, said);
        }
        said.push(self.presence(&name, true));
        // Most services have one or two, and each is large.
        self.environments.reserve_exact(1);
        let mut environment = Environment::new(&self.name, name, at, context.now, context.policy.lateness);
        environment.set_slo(self.slo);
        self.environments.push(environment);
        let place = self.environments.len() - 1;
        let order = self.order_on(place, context.now);
        self.with_environment(place, context, said, |environment, scene| {
            environment.decide_under(order, scene);
        });
        Some(place)
    }

    fn presence(&self, environment: &EnvironmentId, known: bool) -> Said {
        Said::Message(Message::Presence {
            service: self.name.as_str().to_owned().into(),
            environment: environment.as_str().to_owned().into(),
            known,
        })
    }

    fn forget_environment(&mut self, place: usize, said: &mut Vec<Said>) {
        let environment = self.environments.remove(place);
        self.words
            .retain(|(scope, _)| scope.as_ref() != Some(&environment.name));
        said.push(self.presence(&environment.name, false));
        said.push(Said::Forget(Subject::Service {
            service: self.name.clone(),
            environment: environment.name,
        }));
    }

    pub(crate) fn tier(&self, policy: &Policy) -> Criticality {
        policy.tier(self.name.as_str(), self.criticality)
    }

    /// The blast radius at full exposure, and how often its deploys fail: B = tier weight × traffic share × (1 + Σ of its
    /// callers' shares within two hops, halved each hop), times the multiplier of its change failure rate.
    fn blast(&self, policy: &Policy) -> f64 {
        let reach = self.graph.as_ref().map_or(0.0, |graph| graph.reach());
        tier_weight(self.tier(policy)) * self.share() * (1.0 + reach) * self.failure_rate.multiplier()
    }

    /// Its share of the fleet's traffic; where it is not told, as if it were all.
    fn share(&self) -> f64 {
        self.traffic_share.unwrap_or(1.0)
    }

    /// Calls `act` with an environment and the scene it acts in.
    fn with_environment(
        &mut self,
        place: usize,
        context: &Context<'_>,
        said: &mut Vec<Said>,
        act: impl FnOnce(&mut Environment, &mut environment::Scene<'_>),
    ) {
        let tier = self.tier(context.policy);
        let Some(environment) = self.environments.get_mut(place) else {
            return;
        };
        let settings = context
            .policy
            .settings(self.name.as_str(), tier, environment.name.as_str());
        let mut scene = environment::Scene {
            service: &self.name,
            tier,
            graph: self.graph.as_deref(),
            settings: &settings,
            context,
            said,
        };
        let n_said = scene.said.len();
        act(environment, &mut scene);
        // What fails in staging fails nobody.
        if self.default_environment.as_ref() == Some(&environment.name) {
            self.judge(&said[n_said..]);
        }
    }

    /// Calls `act` with the changes and the scene they are decided in: the default environment's settings hold.
    fn with_changes<R>(
        &mut self,
        context: &Context<'_>,
        said: &mut Vec<Said>,
        act: impl FnOnce(&mut Changes, &mut change::Scene<'_>) -> R,
    ) -> R {
        let (tier, blast) = (self.tier(context.policy), self.blast(context.policy));
        let environment = self.default_environment.as_ref().map_or("", EnvironmentId::as_str);
        let settings = context.policy.settings(self.name.as_str(), tier, environment);
        let mut scene = change::Scene {
            service: &self.name,
            tier,
            settings: &settings,
            blast,
            approvals: &self.approvals,
            context,
            said,
        };
        act(&mut self.changes, &mut scene)
    }

    /// Takes in one unique event that is not an error.
    pub(crate) fn take_in(&mut self, event: &Happened<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        self.applied[event.kind().index()] += 1;
        self.last_event = self.last_event.max(event.time);
        let default = self.default_environment.as_ref().map(EnvironmentId::as_str);
        if default != Some(event.default_environment) {
            self.default_environment = event.default_environment.parse().ok();
        }
        match &event.body {
            Body::Commit(commit) => self.land(commit, event, context, said),
            Body::Deploy(deploy) => self.deploy(deploy, event, context, said),
            Body::Incident(incident) => {
                self.note_incident(incident, event, said);
                for place in self.places_meant(event, context, said) {
                    self.with_environment(place, context, said, |environment, scene| {
                        environment.incident(incident, event.time, scene);
                    });
                }
                if let Some(caused_by) = &incident.caused_by {
                    self.with_changes(context, said, |changes, scene| {
                        changes.blame(caused_by, event.time, scene);
                    });
                }
            }
            Body::Review(review) => {
                let note = Note::of(review, event.time, &context.policy.levels);
                if self.approvals.add(note) {
                    said.push(Said::Message(Message::Approved { at: event.time }));
                }
                self.with_changes(context, said, |changes, scene| changes.review(&note, scene));
            }
            Body::Service(catalog) if event.time >= self.catalog_at => {
                self.take_catalog(catalog, event, context, said);
            }
            Body::Override(word) => self.take_word(word, event, context, said),
            // An older catalog entry than the one that stands; and errors are entries of their own.
            Body::Service(_) | Body::Error(_) => {}
        }
    }

    fn land(&mut self, commit: &Commit<'_>, event: &Happened<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        self.settle(event, context, said);
        // Of a service of which nothing else is heard time tells nothing: what is over is still here.
        self.forget_approvals(context.now);
        if self.approvals.land(commit, event.time, &context.policy.levels) {
            said.push(Said::Message(Message::Approved { at: event.time }));
        }
        let landed = self.with_changes(context, said, |changes, scene| changes.land(commit, event.time, scene));
        if let Some(Landed { loss, lambda }) = landed {
            said.push(Said::Message(Message::Loss {
                tier: self.tier(context.policy),
                loss,
            }));
            for environment in &mut self.environments {
                environment.queue_up(lambda);
            }
        }
    }

    /// A catalog entry stands whole: what it does not tell is taken away.
    fn take_catalog(
        &mut self,
        catalog: &Catalog<'_>,
        event: &Happened<'_>,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) {
        self.catalog_at = event.time;
        let tier = self.tier(context.policy);
        self.criticality = catalog.criticality;
        self.traffic_share = catalog.traffic_share.map(UnitInterval::value);
        self.slo = catalog.slo;
        for environment in &mut self.environments {
            environment.set_slo(catalog.slo);
        }
        self.settle(event, context, said);
        self.relate(catalog, context, said);
        self.bound_watches(context, said);
        if tier != self.tier(context.policy) {
            // Another mode may hold for it, and other windows.
            for place in 0..self.environments.len() {
                self.with_environment(place, context, said, Environment::decide);
            }
            self.reconsider_changes(context, said);
        }
    }

    /// A service is known from its first event on: where it has no environment yet, in the default one. What has no
    /// environment of its own keeps the default one alive.
    fn settle(&mut self, event: &Happened<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        let name = event.environment.unwrap_or(event.default_environment);
        let known = self.environments.iter_mut();
        if let Some(environment) = known.into_iter().find(|environment| environment.name.as_str() == name) {
            environment.touch(event.time);
        } else if self.environments.is_empty() {
            self.place_of(name, event.time, context, said);
        }
    }

    /// The environments that an event is about: the one it names, else all known, else the default one.
    fn places_meant(&mut self, event: &Happened<'_>, context: &Context<'_>, said: &mut Vec<Said>) -> Vec<usize> {
        if let Some(name) = event.environment {
            return self.place_of(name, event.time, context, said).into_iter().collect();
        }
        self.settle(event, context, said);
        (0..self.environments.len()).collect()
    }

    /// What the fleet or another service tells it.
    pub(crate) fn hear(&mut self, message: &Message<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        match message {
            Message::Answer { .. } => self.answer(message, context, said),
            Message::Calls { .. } => self.hear_caller(message, context, said),
            Message::Ask(ask) => self.hear_ask(ask, context, said),
            Message::Told(told) => self.hear_told(told, context, said),
            // Not for a service.
            Message::Presence { .. }
            | Message::Propose { .. }
            | Message::Watched(_)
            | Message::Loss { .. }
            | Message::Approved { .. }
            | Message::Verdict { .. }
            | Message::Deployed { .. }
            | Message::Failed { .. }
            | Message::Left { .. }
            | Message::Bulletin(_) => {}
        }
    }

    /// The fleet's answer to a proposal.
    fn answer(&mut self, answer: &Message<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        let Message::Answer {
            environment,
            ground,
            granted,
            ..
        } = answer
        else {
            return;
        };
        let Some(place) = self
            .environments
            .iter()
            .position(|known| known.name.as_str() == environment.as_ref())
        else {
            return;
        };
        self.with_environment(place, context, said, |environment, scene| {
            environment.answer(*ground, *granted, scene);
        });
    }

    /// Lets time go on, or a new policy count. True: nothing is left of it.
    pub(crate) fn advance(&mut self, context: &Context<'_>, said: &mut Vec<Said>) -> bool {
        for place in 0..self.environments.len() {
            self.with_environment(place, context, said, Environment::advance);
        }
        for place in (0..self.environments.len()).rev() {
            if self.environments[place].is_forgotten(context.now) {
                self.forget_environment(place, said);
            }
        }
        self.tell_callees_again(context, said);
        self.changes.forget(&self.name, context.now, said);
        self.forget_approvals(context.now);
        self.forget_words(context.now);
        let is_over = self.environments.is_empty()
            && self.changes.len() == 0
            && context.now.since(self.last_event) >= FORGET_AFTER;
        if is_over {
            self.leave_callees(context, said);
        }
        is_over
    }

    fn forget_approvals(&mut self, now: Timestamp) {
        self.approvals.forget(now, |note| self.changes.is_meant_by(note));
    }

    /// A policy came into force: what stands is looked at again.
    pub(crate) fn reconsider(&mut self, context: &Context<'_>, said: &mut Vec<Said>) {
        for place in 0..self.environments.len() {
            self.with_environment(place, context, said, Environment::decide);
        }
        self.reconsider_changes(context, said);
    }

    /// Reviews are seen again, or the policy changed.
    pub(crate) fn reconsider_changes(&mut self, context: &Context<'_>, said: &mut Vec<Said>) {
        self.with_changes(context, said, Changes::reconsider);
    }

    /// When time alone makes a difference next.
    pub(crate) fn next_deadline(&self, policy: &Policy) -> Timestamp {
        let environments = self
            .environments
            .iter()
            .map(|environment| environment.next_deadline(policy.lateness));
        let graph = self.graph.as_ref().map(|graph| graph.next_deadline());
        let is_empty = self.environments.is_empty() && self.changes.len() == 0;
        let forgotten_at = is_empty.then(|| self.last_event + FORGET_AFTER);
        let others = environments.chain(graph).chain(forgotten_at);
        others.fold(self.changes.next_deadline(), Timestamp::min)
    }
}
