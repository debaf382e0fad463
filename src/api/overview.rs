//! All services at a glance: how many are held up, by what, and which are the riskiest.
//!
//! To look at all of them takes a core for a tenth of a second and more where there are a million, so who asks shares
//! what is seen: however many pages are open and whoever scrapes, one look goes on at a time, and a second apart.
//!
//! **Invariant:** one look at a time, also when the request that began it is gone.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{State, page::HELD_MAX};
use crate::{
    clock::Stopwatch,
    gate::{Finding, Glance, ServiceCursor, StandingDecision, View, Word},
    model::{Action, EnvironmentId, ServiceId, Subject, Timestamp, UnitInterval},
};

/// The riskiest services named, at most.
const RISKIEST_MAX: usize = 20;

/// What was seen last, for all who ask.
#[derive(Debug)]
pub(super) struct Lookout {
    /// How old what is told may be when it is asked for.
    age_max: Duration,
    /// Held by who looks.
    turn: Arc<Semaphore>,
    // Held for one read or write of what is behind it.
    seen: Arc<RwLock<Option<Seen>>>,
}

#[derive(Debug, Clone)]
struct Seen {
    /// Since the look began.
    age: Stopwatch,
    overview: Arc<Overview>,
}

impl Lookout {
    pub(super) fn new(age_max: Duration) -> Self {
        Self {
            age_max,
            turn: Arc::new(Semaphore::new(1)),
            seen: Arc::new(RwLock::new(None)),
        }
    }

    /// An overview of the view, `age_max` old at most when it was asked for.
    pub(super) async fn overview(&self, state: &State) -> Arc<Overview> {
        let asked = Stopwatch::start();
        if let Some(overview) = self.fresh(asked) {
            return overview;
        }
        let turn = self.turn.clone().acquire_owned().await.expect("it is never closed");
        // Those who waited for the same look share it.
        if let Some(overview) = self.fresh(asked) {
            return overview;
        }
        let (seen, view, now) = (self.seen.clone(), state.view.clone(), state.clock.now());
        // Never on a thread that serves others. The turn goes with it: a request that is gone does not end it.
        let looked = tokio::task::spawn_blocking(move || {
            let age = Stopwatch::start();
            let overview = Arc::new(Overview::look(&view, now));
            *seen.write().unwrap_or_else(PoisonError::into_inner) = Some(Seen {
                age,
                overview: overview.clone(),
            });
            drop(turn);
            overview
        });
        looked.await.expect("it does not panic, and is not aborted")
    }

    fn fresh(&self, asked: Stopwatch) -> Option<Arc<Overview>> {
        let seen = self.seen.read().unwrap_or_else(PoisonError::into_inner);
        let seen = seen.as_ref()?;
        (seen.age.elapsed() <= self.age_max + asked.elapsed()).then(|| seen.overview.clone())
    }
}

#[derive(Debug)]
pub(super) struct Overview {
    /// What holds up a service in an environment, the worst first.
    pub(super) held: Vec<Arc<StandingDecision>>,
    /// People's words that none of the first [`HELD_MAX`] of `held` is under, by service.
    pub(super) words: Vec<LoneWord>,
    /// Services by the worst action that stands for one in any environment.
    pub(super) n_by_action: BTreeMap<Action, u32>,
    /// Services by the worst that gates are told of one in any environment.
    pub(super) findings: Findings,
    /// The riskiest services, worst first.
    pub(super) riskiest: Vec<(ServiceId, UnitInterval)>,
}

/// A word, and where it stands; `None` is in all environments.
#[derive(Debug)]
pub(super) struct LoneWord {
    pub(super) service: ServiceId,
    pub(super) environment: Option<EnvironmentId>,
    pub(super) word: Arc<Word>,
    /// Where a decision that it is on holds the service up.
    held_in: Vec<EnvironmentId>,
}

impl LoneWord {
    fn new(
        service: &ServiceId,
        environment: Option<&EnvironmentId>,
        word: &Arc<Word>,
        held_in: Vec<EnvironmentId>,
    ) -> Self {
        Self {
            service: service.clone(),
            environment: environment.cloned(),
            word: word.clone(),
            held_in,
        }
    }

    fn place(&self) -> (&ServiceId, Option<&EnvironmentId>) {
        (&self.service, self.environment.as_ref())
    }
}

/// Services by what gates are told of them.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) frozen: u32,
    pub(super) review: u32,
    pub(super) unknown: u32,
    pub(super) free: u32,
}

impl Findings {
    fn count(&mut self, worst: Finding) {
        *match worst {
            Finding::Freeze => &mut self.frozen,
            Finding::ExtraReview => &mut self.review,
            Finding::Unknown => &mut self.unknown,
            Finding::Proceed => &mut self.free,
        } += 1;
    }
}

/// The worse of two: what is not known is not free, and what holds for sure outweighs it.
fn worse(a: Finding, b: Finding) -> Finding {
    let worst_first = [Finding::Freeze, Finding::ExtraReview, Finding::Unknown];
    let is_either = |known: &Finding| [a, b].contains(known);
    worst_first.into_iter().find(is_either).unwrap_or(Finding::Proceed)
}

impl Overview {
    fn look(view: &View, now: Timestamp) -> Self {
        let mut overview = Self {
            held: Vec::new(),
            words: Vec::new(),
            n_by_action: Action::ALL.map(|action| (action, 0)).into(),
            findings: Findings::default(),
            riskiest: Vec::new(),
        };
        // One pass: page by page, each page looks at all there are.
        view.survey(now, |glances| overview.take_in(glances, now));
        overview
            .held
            .sort_by_cached_key(|decision| ServiceCursor::of(decision, now));
        overview.leave_to_cards();
        overview.words.sort_by(|a, b| a.place().cmp(&b.place()));
        overview
    }

    /// Lets go of the words that cards tell.
    fn leave_to_cards(&mut self) {
        let subjects = self.held.iter().take(HELD_MAX).map(|decision| &decision.subject);
        let cards: HashSet<_> = subjects
            .filter_map(|subject| match subject {
                Subject::Service { service, environment } => Some((service, environment)),
                Subject::Change(_) => None,
            })
            .collect();
        self.words.retain(|LoneWord { service, held_in, .. }| {
            let mut held_in = held_in.iter();
            !held_in.any(|environment| cards.contains(&(service, environment)))
        });
    }

    /// Takes in what stands on one service.
    fn take_in(&mut self, glances: &mut dyn Iterator<Item = Glance<'_>>, now: Timestamp) {
        let mut worst: Option<(&ServiceId, Action, UnitInterval)> = None;
        let mut worst_finding: Option<Finding> = None;
        let (mut service, mut on_all, mut held_on_all) = (None, None, Vec::new());
        for glance in glances {
            worst_finding = Some(worst_finding.map_or(glance.finding, |known| worse(known, glance.finding)));
            let is_held = glance.decision.is_some_and(|decision| {
                let action = if decision.is_in_force(now) {
                    decision.action
                } else {
                    Action::Proceed
                };
                let risk = decision.risk.unwrap_or(UnitInterval::ZERO);
                let (_, action_known, risk_known) = worst.unwrap_or((glance.service, action, risk));
                let riskier = if risk > risk_known { risk } else { risk_known };
                worst = Some((glance.service, action.max(action_known), riskier));
                action > Action::Proceed
            });
            if is_held {
                self.held.extend(glance.decision.cloned());
            }
            let is_on_all = on_all
                .zip(glance.word)
                .is_some_and(|(on_all, word)| Arc::ptr_eq(on_all, word));
            match (glance.word, glance.environment) {
                (Some(word), None) => on_all = Some(word),
                (Some(_), Some(environment)) if is_on_all => {
                    held_on_all.extend(is_held.then(|| environment.clone()));
                }
                (Some(word), Some(environment)) => {
                    let held_in = is_held.then(|| environment.clone()).into_iter().collect();
                    let word = LoneWord::new(glance.service, Some(environment), word, held_in);
                    self.words.push(word);
                }
                (None, _) => {}
            }
            service = Some(glance.service);
        }
        if let Some((service, word)) = service.zip(on_all) {
            self.words.push(LoneWord::new(service, None, word, held_on_all));
        }
        if let Some((service, action, risk)) = worst {
            *self.n_by_action.entry(action).or_default() += 1;
            self.note_risk(service, risk);
        }
        if let Some(finding) = worst_finding {
            self.findings.count(finding);
        }
    }

    /// By name where risks are equal: the order of a hash map reaches nobody.
    fn note_risk(&mut self, service: &ServiceId, risk: UnitInterval) {
        let is_before = |(known, known_risk): &(ServiceId, UnitInterval)| {
            *known_risk > risk || (*known_risk == risk && known < service)
        };
        let place = self.riskiest.partition_point(is_before);
        if risk > UnitInterval::ZERO && place < RISKIEST_MAX {
            self.riskiest.insert(place, (service.clone(), risk));
            self.riskiest.truncate(RISKIEST_MAX);
        }
    }
}
