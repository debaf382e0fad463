//! A service in one environment: its evidence, its watches, and what stands.
//!
//! ```text
//!            proposal refused: extra review, asked again each minute
//!                 ▲
//! proceed ── E ≥ threshold ─► proposed (extra review) ── granted ─► frozen (lease, renewed) ─► cool-down ─► proceed
//!    │  ▲                                                              ▲
//!    ▼  └── E < 20, 15 min ──┐      incident of severity ≤ 2, granted ─┘
//!   E ≥ 100: extra review ───┘      a person's override: at once, over everything
//! ```
//!
//! **Invariant:** steps are closed in order, each once, and none before `now` allows it.

mod burning;
mod conviction;
mod deploys;
mod incidents;
mod presence;
mod report;
mod surroundings;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use deploys::short_hash;
pub(crate) use incidents::OpenIncident;
pub(super) use report::EnvironmentReport;

use self::{
    incidents::{Incidents, Outcome},
    presence::Presence,
};
use super::{
    Context, Said,
    baseline::{Baseline, count},
    blame::{Askers, Inquiry, Trail},
    catalog::Graph,
    decide::Standing,
    evidence::{Observation, narrow},
    hold::{Found, Hold},
    lease::Lease,
    policy::Settings,
    slo::Budget,
    steps::{Closed, Grain, Steps},
    watch::Watch,
};
use crate::model::{Action, Criticality, EnvironmentId, Errors, Ground, Incident, ServiceId, Timestamp};

/// A withheld freeze is asked for again this often.
const PROPOSE_EVERY: Duration = Duration::from_mins(1);
/// The evidence that asks for extra review, and below which it ends.
const ELEVATED_IN: f64 = 100.0;
const ELEVATED_OUT: f64 = 20.0;
const ELEVATED_MIN: Duration = Duration::from_mins(15);
/// Extra review after a freeze; and after the third within [`RELAPSE_WINDOW`].
const COOLDOWN: Duration = Duration::from_mins(30);
const COOLDOWN_RELAPSED: Duration = Duration::from_hours(24);
const RELAPSE_WINDOW: Duration = Duration::from_hours(6);
const RELAPSE_LEASE: Duration = Duration::from_hours(4);
/// An environment in which nothing happens is forgotten: previews come and go.
pub(crate) const FORGET_AFTER: Duration = Duration::from_hours(7 * 24);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) name: EnvironmentId,
    steps: Steps,
    baseline: Baseline,
    presence: Presence,
    watches: Vec<Watch>,
    /// Hashes of the last deploys whose watch is over.
    ended: Vec<u32>,
    pub(crate) hold: Option<Box<Hold>>,
    pub(crate) proposal: Option<Box<Proposal>>,
    /// Asked of its surroundings, while a freeze is proposed.
    pub(crate) inquiry: Option<Box<Inquiry>>,
    askers: Option<Box<Askers>>,
    trail: Option<Box<Trail>>,
    pub(crate) budget: Option<Box<Budget>>,
    pub(crate) lease: Option<Box<Lease>>,
    /// Changes that landed since the last freeze began, and their Λ.
    pub(crate) queue: Queue,
    pub(crate) elevated_since: Option<Timestamp>,
    pub(crate) cooldown_until: Option<Timestamp>,
    pub(crate) incidents: Incidents,
    /// The starts of the last freezes by evidence.
    freezes: Vec<Timestamp>,
    pub(crate) standing: Option<Standing>,
    last_event: Timestamp,
}

/// A freeze that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) deploy_id: Box<str>,
    pub(crate) found: Found,
    pub(crate) withheld: bool,
    asked_at: Timestamp,
}

/// What waits behind a freeze.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Queue {
    pub(crate) n_changes: u32,
    /// −Σ ln(1 − p): the chance that one of them causes an incident is 1 − e^−Λ.
    pub(crate) lambda: f32,
}

/// Where an environment acts: what it must know besides its own state, and what is said so far.
pub(crate) struct Scene<'a> {
    pub(crate) service: &'a ServiceId,
    pub(crate) tier: Criticality,
    pub(crate) graph: Option<&'a Graph>,
    pub(crate) settings: &'a Settings,
    pub(crate) context: &'a Context<'a>,
    pub(crate) said: &'a mut Vec<Said>,
}

impl Environment {
    pub(crate) fn new(name: EnvironmentId, at: Timestamp, now: Timestamp, lateness: Duration) -> Self {
        Self {
            name,
            steps: Steps::new(Grain::ONE_MINUTE, at, now, lateness),
            baseline: Baseline::new(),
            presence: Presence::default(),
            watches: Vec::new(),
            ended: Vec::new(),
            hold: None,
            proposal: None,
            inquiry: None,
            askers: None,
            trail: None,
            budget: None,
            lease: None,
            queue: Queue::default(),
            elevated_since: None,
            cooldown_until: None,
            incidents: Incidents::default(),
            freezes: Vec::new(),
            standing: None,
            last_event: at,
        }
    }

    /// Sums errors into their step. False: they are late. Silent: what a step shows is said when it closes.
    pub(crate) fn book(
        &mut self,
        errors: &Errors<'_>,
        totals: (u64, Option<u64>, u32),
        lateness: Duration,
        now: Timestamp,
    ) -> bool {
        self.touch(errors.time);
        if errors.interval_ms > 0 {
            self.steps.note_interval(errors.time, errors.interval_ms);
        }
        if !self.is_watched() {
            self.pass_quiet_steps(now, lateness);
            let wanted = self.steps.wanted_grain();
            if wanted != self.steps.grain {
                self.baseline.regrain(self.steps.grain, wanted);
                self.presence = Presence::default();
                self.steps.regrain(wanted);
            }
        }
        let (count, requests, n_records) = totals;
        self.steps.book(errors.time, count, requests, n_records)
    }

    /// Whether closed steps may make it speak: then they are closed by time, else when it is next looked at.
    fn is_watched(&self) -> bool {
        !self.watches.is_empty() || self.hold.is_some()
    }

    /// Closes the steps that are over while nothing is watched: only the baseline learns.
    fn pass_quiet_steps(&mut self, now: Timestamp, lateness: Duration) {
        while let Some(closed) = self.steps.close(now, lateness) {
            self.spend(&closed);
            self.note_unusual(&closed, now);
            self.learn(&closed);
            if closed.n_records == 0 && self.presence.is_silent() {
                // Nothing is learned from here to the next record.
                let n_steps = self.steps.skip_empty(now, lateness);
                self.baseline.decay(self.steps.grain, n_steps);
            }
        }
    }

    fn learn(&mut self, closed: &Closed) {
        let weight = self.presence.observe(closed, self.steps.grain);
        self.baseline.decay(self.steps.grain, 1);
        if let Some(weight) = weight.filter(|_| !self.incidents.touch(closed.start)) {
            self.baseline.learn(self.steps.grain, closed, weight);
        }
    }

    /// Lets time go on: closes steps, ends what is over, asks again for what is withheld.
    pub(crate) fn advance(&mut self, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        while self.is_watched() {
            let Some(closed) = self.steps.close(now, scene.context.policy.lateness) else {
                break;
            };
            self.spend(&closed);
            self.observe(&closed, scene);
        }
        if !self.is_watched() {
            self.pass_quiet_steps(now, scene.context.policy.lateness);
        }
        let horizon = Watch::horizon(self.steps.grain, scene.settings.freeze.watch);
        self.close_watches(scene, |watch| watch.is_over(now, horizon));
        self.end_hold(scene.settings, now);
        if self.incidents.end_old(now) == Outcome::Lifts {
            self.cool_down(now + COOLDOWN);
        }
        self.cooldown_until = self.cooldown_until.filter(|until| *until > now);
        self.settle_elevated(now);
        self.settle_alert(now);
        self.settle_inquiry(scene);
        self.propose_again(scene);
        self.settle_lease(scene);
        self.decide(scene);
    }

    /// One closed step while something is watched: the baseline stands still.
    fn observe(&mut self, closed: &Closed, scene: &mut Scene<'_>) {
        let grain = self.steps.grain;
        let Some(weight) = self.presence.observe(closed, grain) else {
            if let Some(trail) = &mut self.trail {
                trail.observe(closed.start, grain, None);
            }
            return;
        };
        let expectation = self.baseline.expect(grain, closed.start, closed.requests);
        let margin = margin(scene.settings, expectation.by_requests);
        let observation = Observation {
            errors: count(closed.errors),
            expected: expectation.mean,
            harmless: expectation.mean * (1.0 + margin),
            size: self.baseline.size(grain),
            weight,
        };
        if self.hold.is_none() {
            let trail = self.trail.get_or_insert_with(|| Box::new(Trail::new(grain)));
            trail.observe(closed.start, grain, Some(&observation));
        }
        let horizon = Watch::horizon(grain, scene.settings.freeze.watch);
        for watch in &mut self.watches {
            watch.observe(closed.start, grain, &observation, horizon);
        }
        if let Some(hold) = &mut self.hold {
            hold.observe(closed.start, &observation);
        }
        if !self.baseline.is_known(scene.context.now) && self.hold.is_none() && !self.incidents.touch(closed.start) {
            // Nobody can be convicted by it yet, and a service deployed from its first hour on must learn too.
            self.baseline.decay(grain, 1);
            self.baseline.learn(grain, closed, weight);
        }
        if self.hold.is_none() {
            self.convict(margin, scene);
        }
    }

    fn end_hold(&mut self, settings: &Settings, now: Timestamp) {
        let burning = self.is_burning();
        let Some(hold) = &mut self.hold else { return };
        let over = hold.may_end(now) || (now >= hold.until && !hold.renew(settings.freeze.lease, burning, now));
        if over {
            self.hold = None;
            self.cool_down(now + self.cooldown(now));
        }
    }

    fn cool_down(&mut self, until: Timestamp) {
        self.cooldown_until = Some(self.cooldown_until.map_or(until, |known| known.max(until)));
    }

    fn settle_elevated(&mut self, now: Timestamp) {
        let judged = self.watches.iter().filter(|watch| watch.judged);
        let ln_e = judged.map(Watch::ln_e).fold(f64::NEG_INFINITY, f64::max);
        match self.elevated_since {
            None if ln_e >= ELEVATED_IN.ln() => self.elevated_since = Some(now),
            Some(since) if ln_e < ELEVATED_OUT.ln() && now.since(since) >= ELEVATED_MIN => self.elevated_since = None,
            None | Some(_) => {}
        }
    }

    /// An incident began, went on or was resolved.
    pub(crate) fn incident(&mut self, incident: &Incident<'_>, time: Timestamp, scene: &mut Scene<'_>) {
        self.touch(time);
        match self.incidents.take(incident, time, scene.context.now) {
            Outcome::Asks => self.propose(Ground::Incident, scene),
            Outcome::Lifts => self.cool_down(scene.context.at + COOLDOWN),
            Outcome::Nothing => {}
        }
        self.decide(scene);
    }

    /// When time alone makes a difference here next.
    pub(crate) fn next_deadline(&self, lateness: Duration) -> Timestamp {
        let mut next = self.incidents.next_deadline(PROPOSE_EVERY);
        if !self.is_kept() {
            next = next.min(self.last_event + FORGET_AFTER);
        }
        if self.is_watched() || self.budget.is_some() {
            next = next.min(self.steps.next_close(lateness));
        }
        let elevated_since = self.elevated_since.filter(|_| self.watches.is_empty());
        let others = [
            self.hold.as_ref().map(|hold| hold.until),
            self.inquiry.as_ref().and_then(|inquiry| inquiry.waits_until()),
            self.lease.as_ref().map(|lease| match lease.granted {
                Some((_, until)) => until,
                None => lease.asked_at + PROPOSE_EVERY,
            }),
            self.proposal.as_ref().map(|proposal| proposal.asked_at + PROPOSE_EVERY),
            elevated_since.map(|since| since + ELEVATED_MIN),
            self.cooldown_until,
            self.standing.as_ref().and_then(Standing::speaks_at),
        ];
        let watches = self.watches.iter().map(Watch::ends_by);
        watches.chain(others.into_iter().flatten()).fold(next, Timestamp::min)
    }

    /// Something happened here: it is not forgotten yet.
    pub(crate) fn touch(&mut self, time: Timestamp) {
        self.last_event = self.last_event.max(time);
    }

    /// Something stands here that must not end by being forgotten.
    pub(crate) fn is_kept(&self) -> bool {
        let stands = self
            .standing
            .as_ref()
            .is_some_and(|standing| standing.action != Action::Proceed || standing.order.is_some());
        stands || self.hold.is_some() || self.lease.is_some() || !self.incidents.is_empty()
    }

    /// Nothing has happened here for so long that it may be forgotten.
    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        now.since(self.last_event) >= FORGET_AFTER && !self.is_kept()
    }

    pub(crate) fn last_event(&self) -> Timestamp {
        self.last_event
    }

    /// Whether there is history enough to convict anybody.
    pub(crate) fn has_baseline(&self, now: Timestamp) -> bool {
        self.baseline.is_known(now)
    }

    pub(crate) fn is_watching(&self, deploy_id: &str) -> bool {
        self.watches.iter().any(|watch| *watch.deploy_id == *deploy_id)
    }

    /// A change landed; behind a freeze it waits.
    pub(crate) fn queue_up(&mut self, lambda: f64) {
        if self
            .standing
            .as_ref()
            .is_some_and(|standing| standing.action == Action::Freeze)
        {
            self.queue.n_changes = self.queue.n_changes.saturating_add(1);
            self.queue.lambda += narrow(lambda);
        }
    }

    /// Whether the source of its errors has been silent for longer than usual.
    pub(crate) fn is_silent(&self) -> bool {
        self.presence.is_silent()
    }
}

/// The margin of harmless growth: doubled where it cannot be held against the traffic.
pub(crate) fn margin(settings: &Settings, by_requests: bool) -> f64 {
    if by_requests {
        settings.freeze.margin
    } else {
        2.0 * settings.freeze.margin
    }
}

/// ln of the e-value that convicts: 1/α, at least 200, where α is what a watch may spend of the false freezes that a
/// week allows. A hundred watches a week are presumed.
fn ln_threshold(settings: &Settings) -> f64 {
    let alpha = (settings.freeze.false_freezes_per_week / 100.0).clamp(1e-5, 2e-3);
    (1.0 / alpha).max(200.0).ln()
}
