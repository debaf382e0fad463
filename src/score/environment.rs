//! A service in one environment: its evidence, its watches, and what stands.
//!
//! ```text
//!            proposal refused: extra review, asked again each minute
//!                 ▲
//! proceed ── E ≥ threshold ─► proposed (extra review) ── granted ─► frozen (lease, renewed) ─► cool-down ─► proceed
//!    │  ▲                                                              ▲
//!    ▼  └── E < 20, 15 min ──┐      incident of severity ≤ 2, granted ─┘
//!   E ≥ 100: extra review ───┘      a person's override: at once, over everything
//!
//! frozen, or refused, for four hours while errors go on ─┐
//! far above what is usual for an hour, nothing frozen ───┴─► extra review until they are back (28 h at most) ─► proceed
//! ```
//!
//! **Invariant:** steps are closed in order, each once, and none before `now` allows it.

mod asked;
mod burning;
mod closed;
mod closing;
mod concerns;
mod conviction;
mod deploys;
mod ended;
mod incidents;
mod kinds;
mod leases;
mod outlasting;
mod presence;
mod queue;
mod quiet;
mod relapse;
mod report;
mod surroundings;
mod trouble;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(crate) use closed::margin;
pub(crate) use conviction::Terms;
pub(crate) use incidents::OpenIncident;
pub(crate) use outlasting::Outlasting;
pub(super) use report::EnvironmentReport;

use self::{
    concerns::Concerns,
    ended::EndedDeploys,
    incidents::{Incidents, Outcome},
    outlasting::{Back, FrozenFor},
    presence::Presence,
    relapse::{COOLDOWN, RELAPSED_FROM},
};
use super::{
    Context, Said,
    baseline::{Baseline, Pending},
    catalog::Graph,
    decide::Standing,
    evidence::{Recent, Shares},
    hold::{Found, Hold},
    kinds::{Kinds, UsualKinds},
    placebo::Placebo,
    policy::{Policy, Settings},
    steps::{Grain, Steps, Totals, Version},
    unrest::Unrest,
    watch::Watch,
};
use crate::model::{
    Action, Criticality, EnvironmentId, Errors, Ground, Incident, Second, ServiceId, Timestamp, short_hash,
};

/// A withheld freeze is asked for again this often.
const PROPOSE_EVERY: Duration = Duration::from_mins(1);
/// The evidence that asks for extra review, and below which it ends.
const ELEVATED_IN: f64 = 100.0;
const ELEVATED_OUT: f64 = 20.0;
const ELEVATED_MIN: Duration = Duration::from_mins(15);
/// Versions that were not told apart yet begin to be beside so many watches.
const VERSIONS_BESIDE: usize = 2;
/// An environment in which nothing happens is forgotten: previews come and go.
pub(crate) const FORGET_AFTER: Duration = Duration::from_hours(7 * 24);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) name: EnvironmentId,
    steps: Steps,
    baseline: Baseline,
    /// Steps under watch that it may learn from yet.
    pending: Pending,
    /// How the shares of healthy versions scatter and wander.
    shares: Shares,
    presence: Presence,
    /// The last steps; made when something is first judged by them.
    recent: Option<Box<Recent>>,
    placebo: Option<Box<Placebo>>,
    /// The hash of its service's name and its own, by which placebo windows begin.
    seed: u32,
    /// Whether errors are far above what is usual, and since when.
    unrest: Unrest,
    /// Steps that showed trouble and were not learned from, each as many times as usual ones make up for it, less those since.
    passed_over: u16,
    /// The version last deployed.
    version: Version,
    watches: Vec<Watch>,
    /// Of the errors under watch.
    pub(crate) kinds: Option<Box<Kinds>>,
    /// The kinds of usual errors.
    usual_kinds: UsualKinds,
    ended: EndedDeploys,
    pub(crate) hold: Option<Box<Hold>>,
    pub(crate) proposal: Option<Box<Proposal>>,
    /// Few services have any.
    concerns: Option<Box<Concerns>>,
    /// Since when evidence asks for extra review; 1970 where it does not.
    elevated_since: Second,
    /// Until when there is extra review after a freeze; 1970 where there is none.
    cooldown_until: Second,
    /// Since when errors are risen that go on; 1970 where none do. How much says that they are back, and whether they have
    /// outlasted a freeze; and the deploy that was for.
    outlasting_since: Second,
    back: Back,
    frozen_for: Option<Box<FrozenFor>>,
    pub(crate) incidents: Incidents,
    /// When a deploy was last told of that takes another back, with nothing frozen.
    undone_at: Second,
    /// The starts of the last freezes by evidence, burn and dependents.
    freezes: [Second; RELAPSED_FROM],
    pub(crate) standing: Option<Standing>,
    /// When a window of the policy opens or closes here next, as of the last decision: on a whole second.
    pub(crate) window_at: Second,
    last_event: Second,
}

/// A freeze that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) deploy_id: Box<str>,
    pub(crate) found: Found,
    pub(crate) withheld: bool,
    asked_at: Second,
}

impl Proposal {
    /// It is of a service whose errors rise as far for no reason, so that they freeze nothing.
    pub(crate) fn is_noisy(&self) -> bool {
        self.found.threshold.is_noise(f64::from(self.found.ln_e))
    }
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
    pub(crate) fn new(
        service: &ServiceId,
        name: EnvironmentId,
        at: Timestamp,
        now: Timestamp,
        lateness: Duration,
    ) -> Self {
        Self {
            seed: short_hash(&format!("{service}@{name}")),
            name,
            steps: Steps::new(Grain::ONE_MINUTE, at, now, lateness),
            baseline: Baseline::new(),
            pending: Pending::default(),
            shares: Shares::default(),
            recent: None,
            placebo: None,
            unrest: Unrest::default(),
            passed_over: 0,
            version: Version::NONE,
            presence: Presence::default(),
            watches: Vec::new(),
            kinds: None,
            usual_kinds: UsualKinds::default(),
            ended: EndedDeploys::default(),
            hold: None,
            proposal: None,
            concerns: None,
            elevated_since: Second::default(),
            cooldown_until: Second::default(),
            outlasting_since: Second::default(),
            back: Back::default(),
            frozen_for: None,
            incidents: Incidents::default(),
            undone_at: Second::default(),
            freezes: [Second::default(); RELAPSED_FROM],
            standing: None,
            window_at: Second::of(Timestamp::NEVER),
            last_event: Second::of(at),
        }
    }

    /// Sums errors into their step. False: they are late. Silent: what a step shows is said when it closes. Steps that
    /// are over must have been closed, by [`Environment::pass_quiet_steps`] or by time.
    pub(crate) fn book(&mut self, errors: &Errors<'_>, totals: &Totals) -> bool {
        self.touch(errors.time);
        if errors.interval_ms > 0 {
            self.steps.note_interval(errors.time, errors.interval_ms);
        }
        if !self.is_watched() {
            self.regrain();
        }
        let Some(tells) = self.steps.book(errors, totals, self.tells_versions_apart()) else {
            return false;
        };
        self.note_kinds(tells, errors, totals);
        true
    }

    /// Under a freeze nothing stands beside another version; and where versions are first told while many deploys are
    /// watched, there is no room for them until those are over.
    fn tells_versions_apart(&self) -> bool {
        self.hold.is_none() && (self.steps.has_versions() || self.watches.len() <= VERSIONS_BESIDE)
    }

    pub(crate) fn grain(&self) -> Grain {
        self.steps.grain
    }

    /// The length of steps that its producers' intervals ask for.
    fn wanted_grain(&self) -> Grain {
        self.steps.wanted_grain(self.baseline.is_new())
    }

    /// Goes over to steps of the length that its producers' intervals ask for.
    fn regrain(&mut self) {
        let wanted = self.wanted_grain();
        if wanted != self.steps.grain {
            self.baseline.regrain(self.steps.grain, wanted);
            self.presence = Presence::default();
            self.unrest = Unrest::default();
            self.passed_over = 0;
            self.steps.regrain(wanted);
            self.abandon_placebo(self.steps.next_start());
        }
    }

    /// Puts placebo windows with these greatest ln E in the place of its own.
    #[cfg(test)]
    pub(crate) fn replace_placebo(&mut self, windows: impl Iterator<Item = f64>) {
        self.placebo = Some(Box::new(Placebo::of(windows)));
    }

    /// What has happened is not what happens for no reason: the placebo window is given up, and none begins with a step
    /// before `from`.
    fn abandon_placebo(&mut self, from: Timestamp) {
        if let Some(placebo) = &mut self.placebo {
            placebo.abandon(from);
        }
    }

    /// How many errors a step are usual.
    #[cfg(test)]
    pub(crate) fn level(&self) -> f64 {
        self.baseline.level(self.steps.grain)
    }

    /// Whether a placebo window is on.
    #[cfg(test)]
    pub(crate) fn is_trying(&self) -> bool {
        self.placebo.as_ref().is_some_and(|placebo| placebo.is_on())
    }

    /// Whether closed steps may make it speak: then they are closed by time, else when it is next looked at.
    fn is_watched(&self) -> bool {
        !self.watches.is_empty() || self.hold.is_some()
    }

    /// Whether steps are over that nobody watches.
    pub(crate) fn has_quiet_steps(&self, context: &Context<'_>) -> bool {
        !self.is_watched() && context.now >= self.steps.next_close(context.policy.lateness)
    }

    /// Lets time go on: closes steps, ends what is over, asks again for what is withheld.
    pub(crate) fn advance(&mut self, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        while self.is_watched() {
            let closes_at = self.steps.next_close(scene.context.policy.lateness);
            let Some(closed) = self.steps.close(now, scene.context.policy.lateness) else {
                break;
            };
            self.spend(&closed);
            self.observe(&closed, scene);
            // Time may jump over many steps: a watch sees none beyond its last.
            self.close_over(closes_at, scene);
        }
        if !self.is_watched() {
            self.pass_quiet_steps(scene.settings, scene.context);
        }
        self.close_over(now, scene);
        self.end_hold(scene.settings, now);
        if self.incidents.end_old(now) == Outcome::Lifts {
            self.cool_down(now + COOLDOWN);
        }
        if self.cooldown_until().is_some_and(|until| until <= now) {
            self.cooldown_until = Second::default();
        }
        self.settle_elevated(now);
        self.settle_alert(now);
        self.settle_inquiry(scene);
        self.forget_askers(now);
        self.propose_again(scene);
        self.settle_lease(scene);
        self.settle_outlasting(now);
        self.decide(scene);
    }

    fn end_hold(&mut self, settings: &Settings, now: Timestamp) {
        let burning = self.is_burning();
        let Some(hold) = &mut self.hold else { return };
        let is_due = now >= hold.due_at();
        let goes_on = hold.goes_on() || burning;
        let has_recovered = hold.may_end(now);
        if has_recovered || (is_due && !(goes_on && hold.renew(settings.freeze.lease, now))) {
            // What goes on and is not renewed has had its longest time.
            let outlasts = hold.goes_on() && !has_recovered;
            let ended = self.hold.take();
            self.cool_down(now + self.cooldown(now));
            if let Some(hold) = ended.filter(|_| outlasts) {
                self.outlast(&hold.found, hold.was_rolled_back());
            }
        }
    }

    pub(crate) fn elevated_since(&self) -> Option<Timestamp> {
        (self.elevated_since != Second::default()).then(|| self.elevated_since.start())
    }

    fn settle_elevated(&mut self, now: Timestamp) {
        let judged = self.watches.iter().filter(|watch| watch.judged);
        let ln_e = judged.map(Watch::ln_e).fold(f64::NEG_INFINITY, f64::max);
        let in_trouble = self.watches.iter().any(|watch| watch.judged && watch.raised.is_some()) && self.unrest.is_on();
        match self.elevated_since() {
            None if ln_e >= ELEVATED_IN.ln() || in_trouble => self.elevated_since = Second::of(now),
            Some(since) if ln_e < ELEVATED_OUT.ln() && !in_trouble && now.since(since) >= ELEVATED_MIN => {
                self.elevated_since = Second::default();
            }
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
            next = next.min(self.last_event() + FORGET_AFTER);
        }
        if self.is_watched() || self.budget().is_some() || self.outlasting().is_some() {
            next = next.min(self.steps.next_close(lateness));
        }
        let elevated_since = self.elevated_since().filter(|_| self.watches.is_empty());
        let others = [
            self.hold.as_ref().map(|hold| hold.due_at()),
            self.lease().map(|lease| lease.next_deadline(PROPOSE_EVERY)),
            self.inquiry_deadline(),
            self.proposal
                .as_ref()
                .filter(|proposal| !proposal.is_noisy())
                .map(|proposal| proposal.asked_at.start() + PROPOSE_EVERY),
            elevated_since.map(|since| since + ELEVATED_MIN),
            self.cooldown_until(),
            Some(self.window_at.start()).filter(|_| self.window_at != Second::of(Timestamp::NEVER)),
            self.standing.as_ref().and_then(Standing::speaks_at),
        ];
        let watches = self.watches.iter().map(Watch::ends_by);
        watches.chain(others.into_iter().flatten()).fold(next, Timestamp::min)
    }

    /// Something happened here: it is not forgotten yet.
    pub(crate) fn touch(&mut self, time: Timestamp) {
        self.last_event = self.last_event.max(Second::of(time));
    }

    /// Something stands here that must not end by being forgotten.
    pub(crate) fn is_kept(&self) -> bool {
        let stands = self
            .standing
            .as_ref()
            .is_some_and(|standing| standing.action != Action::Proceed || standing.order.is_some());
        stands || self.hold.is_some() || self.lease().is_some() || !self.incidents.is_empty()
    }

    /// Nothing has happened here for so long that it may be forgotten.
    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        now.since(self.last_event()) >= FORGET_AFTER && !self.is_kept()
    }

    pub(crate) fn last_event(&self) -> Timestamp {
        self.last_event.start()
    }

    /// Whether there is history enough to convict anybody.
    pub(crate) fn has_baseline(&self, now: Timestamp, policy: &Policy) -> bool {
        self.baseline.is_known(now, &policy.evidence)
    }

    pub(crate) fn watch_of(&self, deploy_id: &str) -> Option<&Watch> {
        self.watches.iter().find(|watch| *watch.deploy_id == *deploy_id)
    }

    /// Whether the source of its errors has been silent for longer than usual.
    pub(crate) fn is_silent(&self, policy: &Policy) -> bool {
        self.presence.is_silent(&policy.evidence)
    }
}
