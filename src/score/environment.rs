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

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    Context, Said,
    baseline::{Baseline, count},
    blame::{Candidate, suspects},
    decide::Standing,
    evidence::Observation,
    hold::{Found, Hold},
    steps::{Closed, Grain, Steps},
    watch::{Ending, Watch, WatchVerdict},
};
use crate::model::{
    ChangeKind, Deploy, DeployStatus, EnvironmentId, Errors, Ground, Incident, IncidentStatus, Message, Mode,
    ServiceId, Timestamp, hash_text,
};
use crate::score::policy::Settings;

/// Deploys watched at once; the next drops the oldest.
const WATCHES_MAX: usize = 8;
/// Deploys remembered whose watch is over; the next drops the oldest.
const ENDED_MAX: usize = 16;
/// Open incidents remembered; the next drops the oldest.
const INCIDENTS_MAX: usize = 8;
/// A withheld freeze is asked for again this often.
const PROPOSE_EVERY: Duration = Duration::from_mins(1);
/// An incident freezes until it is resolved, and at most this long after its last event.
const INCIDENT_MAX: Duration = Duration::from_hours(4);
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
/// Half-life of what is known about how regularly a source reports, in milliseconds: half a day.
const PRESENCE_HALF_LIFE_MS: f64 = 43_200_000.0;
/// A source is dense if this share of its steps carries a record.
const DENSE: f64 = 0.8;
/// A sparse source is unknown once silent for this many times its usual gap.
const SILENT_GAPS: f64 = 5.0;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Environment {
    pub(crate) name: EnvironmentId,
    steps: Steps,
    baseline: Baseline,
    presence: Presence,
    watches: Vec<Watch>,
    /// Hashes of the last deploys whose watch is over.
    ended: Vec<u64>,
    pub(crate) hold: Option<Box<Hold>>,
    pub(crate) proposal: Option<Proposal>,
    pub(crate) elevated_since: Option<Timestamp>,
    pub(crate) cooldown_until: Option<Timestamp>,
    pub(crate) incidents: Vec<OpenIncident>,
    /// The starts of the last freezes by evidence.
    freezes: Vec<Timestamp>,
    pub(crate) standing: Option<Standing>,
    last_event: Timestamp,
}

/// How regularly records come.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Presence {
    present: f64,
    steps: f64,
    missing_run: u32,
}

impl Presence {
    fn share(self) -> f64 {
        if self.steps > 0.0 {
            self.present / self.steps
        } else {
            0.0
        }
    }

    fn is_dense(self) -> bool {
        self.steps >= 10.0 && self.share() >= DENSE
    }

    /// Silent for longer than it usually is.
    fn is_silent(self) -> bool {
        f64::from(self.missing_run) * self.share().max(1e-4) > SILENT_GAPS
    }

    fn observe(&mut self, present: bool, grain: Grain) {
        let kept = 0.5_f64.powf(grain.millis_f64() / PRESENCE_HALF_LIFE_MS);
        self.missing_run = if present { 0 } else { self.missing_run.saturating_add(1) };
        if !self.is_silent() {
            self.present = self.present * kept + f64::from(u8::from(present));
            self.steps = self.steps * kept + 1.0;
        }
    }
}

/// A freeze that was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Proposal {
    pub(crate) deploy_id: Box<str>,
    pub(crate) found: Found,
    pub(crate) withheld: bool,
    asked_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenIncident {
    id_hash: u64,
    pub(crate) incident_id: Box<str>,
    pub(crate) severity: u8,
    pub(crate) last_event: Timestamp,
    pub(crate) granted: bool,
    pub(crate) withheld: bool,
    asked_at: Timestamp,
}

impl OpenIncident {
    pub(crate) fn freezes_until(&self) -> Timestamp {
        self.last_event + INCIDENT_MAX
    }
}

/// What an environment must know of its service.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) service: &'a ServiceId,
    pub(crate) settings: &'a Settings,
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
            elevated_since: None,
            cooldown_until: None,
            incidents: Vec::new(),
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
        self.last_event = self.last_event.max(errors.time);
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
            self.learn(&closed);
            if closed.n_records == 0 && self.presence.is_silent() {
                // Nothing is learned from here to the next record.
                let n_steps = self.steps.skip_empty(now, lateness);
                self.baseline.decay(self.steps.grain, n_steps);
            }
        }
    }

    /// Takes one closed step into what is known of the source. The weight of what it shows: `None` if unknown.
    fn note_presence(&mut self, closed: &Closed) -> Option<f64> {
        let dense = self.presence.is_dense();
        self.presence.observe(closed.n_records > 0, self.steps.grain);
        if closed.n_records > 0 {
            // No requests and no errors: no evidence.
            return (closed.errors > 0 || closed.requests != Some(0)).then_some(1.0);
        }
        (!dense && !self.presence.is_silent() && self.presence.present > 0.0).then_some(0.5)
    }

    fn learn(&mut self, closed: &Closed) {
        let weight = self.note_presence(closed);
        self.baseline.decay(self.steps.grain, 1);
        if let Some(weight) = weight.filter(|_| self.incidents.is_empty()) {
            self.baseline
                .learn(self.steps.grain, closed.start, closed.errors, closed.requests, weight);
        }
    }

    /// Lets time go on to `context.now`: closes steps, ends what is over, asks again for what is withheld.
    pub(crate) fn advance(&mut self, owner: Owner<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        while self.is_watched() {
            let Some(closed) = self.steps.close(context.now, context.policy.lateness) else {
                break;
            };
            self.observe(&closed, owner, context, said);
        }
        if !self.is_watched() {
            self.pass_quiet_steps(context.now, context.policy.lateness);
        }
        self.end_watches(owner, context, said);
        self.end_hold(owner, context.now);
        self.incidents.retain(|incident| incident.freezes_until() > context.now);
        self.cooldown_until = self.cooldown_until.filter(|until| *until > context.now);
        self.settle_elevated(context.now);
        self.propose_again(owner, context, said);
        self.decide(owner, context, said);
    }

    /// One closed step while something is watched.
    fn observe(&mut self, closed: &Closed, owner: Owner<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        let grain = self.steps.grain;
        let weight = self.note_presence(closed);
        self.baseline.decay(grain, 1);
        let Some(weight) = weight else { return };
        let expectation = self.baseline.expect(grain, closed.start, closed.requests);
        let margin = margin(owner.settings, expectation.by_requests);
        let observation = Observation {
            errors: count(closed.errors),
            expected: expectation.mean,
            harmless: expectation.mean * (1.0 + margin),
            size: self.baseline.size(grain),
            weight,
        };
        let horizon = Watch::horizon(grain, owner.settings.freeze.watch);
        for watch in &mut self.watches {
            watch.observe(closed.start, grain, &observation, horizon);
        }
        if let Some(hold) = &mut self.hold {
            hold.observe(closed.start, &observation);
        }
        if !self.baseline.is_known(context.now) && self.hold.is_none() && self.incidents.is_empty() {
            // Nobody can be convicted by it yet, and a service deployed from its first hour on must learn too.
            self.baseline
                .learn(grain, closed.start, closed.errors, closed.requests, weight);
        }
        self.convict(owner, context, margin, said);
    }

    /// Asks for a freeze if a watch has the evidence for one.
    fn convict(&mut self, owner: Owner<'_>, context: &Context<'_>, margin: f64, said: &mut Vec<Said>) {
        if self.hold.is_some() {
            return;
        }
        let size = self.baseline.size(self.steps.grain);
        let threshold = ln_threshold(owner.settings);
        let guilty = self.watches.iter().filter(|watch| {
            let since = watch.since_onset();
            watch.judged && watch.ln_e() >= threshold && since.excess() >= 5.0 && since.ratio_low(size) > 1.0 + margin
        });
        let Some(leading) = guilty.max_by(|a, b| a.ln_e().total_cmp(&b.ln_e())) else {
            self.proposal = None;
            return;
        };
        let candidates: Vec<Candidate<'_>> = self
            .watches
            .iter()
            .map(|watch| Candidate {
                deploy_id: &watch.deploy_id,
                prior: watch.prior,
                ln_e: watch.ln_e(),
                anchored: watch.is_anchored(),
            })
            .collect();
        let found = Found {
            ln_e: leading.ln_e(),
            since_onset: leading.since_onset(),
            by_requests: margin <= owner.settings.freeze.margin,
            suspects: suspects(owner.service, &candidates)
                .into_iter()
                .map(|suspect| (suspect.deploy_id, suspect.probability.value()))
                .collect(),
        };
        let deploy_id = leading.deploy_id.clone();
        if let Some(watch) = self.watches.iter_mut().find(|watch| watch.deploy_id == deploy_id) {
            watch.alarmed_at.get_or_insert(context.now);
        }
        if let Some(proposal) = &mut self.proposal {
            proposal.found = found;
            proposal.deploy_id = deploy_id;
        } else {
            self.proposal = Some(Proposal {
                deploy_id,
                found,
                withheld: false,
                asked_at: context.now,
            });
            said.push(self.proposes(owner, Ground::Evidence));
        }
    }

    fn proposes(&self, owner: Owner<'_>, ground: Ground) -> Said {
        Said::Message(Message::Propose {
            service: owner.service.as_str().to_owned().into(),
            environment: self.name.as_str().to_owned().into(),
            mode: owner.settings.mode,
            ground,
        })
    }

    fn propose_again(&mut self, owner: Owner<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        if let Some(proposal) = &mut self.proposal
            && context.now >= proposal.asked_at + PROPOSE_EVERY
        {
            proposal.asked_at = context.now;
            said.push(self.proposes(owner, Ground::Evidence));
        }
        let due = |incident: &OpenIncident| {
            incident.severity <= 2 && !incident.granted && context.now >= incident.asked_at + PROPOSE_EVERY
        };
        if self.incidents.iter().any(due) {
            for incident in &mut self.incidents {
                incident.asked_at = context.now;
            }
            said.push(self.proposes(owner, Ground::Incident));
        }
    }

    /// The fleet's answer to a proposal. What has passed meanwhile is not frozen for.
    pub(crate) fn answer(
        &mut self,
        ground: Ground,
        granted: bool,
        owner: Owner<'_>,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) {
        match ground {
            Ground::Incident => {
                for incident in self.incidents.iter_mut().filter(|incident| incident.severity <= 2) {
                    incident.granted |= granted;
                    incident.withheld = !incident.granted;
                }
            }
            Ground::Evidence => match self.proposal.take() {
                Some(proposal) if granted => self.freeze(proposal, owner, context, said),
                proposal => {
                    self.proposal = proposal.map(|proposal| Proposal {
                        withheld: !granted,
                        ..proposal
                    });
                }
            },
        }
        self.decide(owner, context, said);
    }

    fn freeze(&mut self, proposal: Proposal, owner: Owner<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        self.freezes.retain(|since| context.now.since(*since) < RELAPSE_WINDOW);
        self.freezes.push(context.now);
        let relapsed = self.freezes.len() > 2;
        let lease = if relapsed {
            RELAPSE_LEASE
        } else {
            owner.settings.freeze.lease
        };
        let suspects = proposal.found.suspects(owner.service);
        self.hold = Some(Box::new(Hold::new(
            &proposal.deploy_id,
            proposal.found,
            context.now,
            lease,
        )));
        self.elevated_since = None;
        let size = self.baseline.size(self.steps.grain);
        // The evidence is spent: what follows is judged by the hold and by later deploys' own watches.
        for watch in std::mem::take(&mut self.watches) {
            self.note_ended(&watch.deploy_id);
            let regressed = watch.deploy_id == proposal.deploy_id;
            let verdict = if regressed {
                WatchVerdict::Regressed
            } else {
                WatchVerdict::Unknown
            };
            let ending = Ending {
                service: owner.service,
                environment: &self.name,
                at: context.now,
                size,
                verdict,
                suspects: if regressed { &suspects } else { &[] },
            };
            said.push(Said::Closed(Box::new(watch.report(&ending))));
        }
    }

    fn end_watches(&mut self, owner: Owner<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        let horizon = Watch::horizon(self.steps.grain, owner.settings.freeze.watch);
        self.close_watches(owner, context, said, |watch| watch.is_over(context.now, horizon));
    }

    fn close_watches(
        &mut self,
        owner: Owner<'_>,
        context: &Context<'_>,
        said: &mut Vec<Said>,
        over: impl Fn(&Watch) -> bool,
    ) {
        if !self.watches.iter().any(&over) {
            return;
        }
        let size = self.baseline.size(self.steps.grain);
        let (ended, kept): (Vec<Watch>, Vec<Watch>) = std::mem::take(&mut self.watches).into_iter().partition(over);
        self.watches = kept;
        for watch in ended {
            self.note_ended(&watch.deploy_id);
            let verdict = if watch.alarmed_at.is_some() {
                WatchVerdict::Regressed
            } else {
                watch.quiet_verdict()
            };
            let ending = Ending {
                service: owner.service,
                environment: &self.name,
                at: context.now,
                size,
                verdict,
                suspects: &[],
            };
            said.push(Said::Closed(Box::new(watch.report(&ending))));
        }
        if self.watches.is_empty() {
            self.proposal = None;
        }
    }

    fn end_hold(&mut self, owner: Owner<'_>, now: Timestamp) {
        let Some(hold) = &mut self.hold else { return };
        let over = hold.may_end(now) || (now >= hold.until && !hold.renew(owner.settings.freeze.lease));
        if over {
            self.hold = None;
            let relapsed = self
                .freezes
                .iter()
                .filter(|since| now.since(**since) < RELAPSE_WINDOW + RELAPSE_LEASE)
                .count()
                > 2;
            self.cool_down(now + if relapsed { COOLDOWN_RELAPSED } else { COOLDOWN });
        }
    }

    fn cool_down(&mut self, until: Timestamp) {
        self.cooldown_until = Some(self.cooldown_until.map_or(until, |known| known.max(until)));
    }

    fn settle_elevated(&mut self, now: Timestamp) {
        let ln_e = self
            .watches
            .iter()
            .filter(|watch| watch.judged)
            .map(Watch::ln_e)
            .fold(f64::NEG_INFINITY, f64::max);
        match self.elevated_since {
            None if ln_e >= ELEVATED_IN.ln() => self.elevated_since = Some(now),
            Some(since) if ln_e < ELEVATED_OUT.ln() && now.since(since) >= ELEVATED_MIN => self.elevated_since = None,
            None | Some(_) => {}
        }
    }

    /// A deploy began, went on or ended.
    pub(crate) fn deploy(
        &mut self,
        deploy: &Deploy<'_>,
        time: Timestamp,
        prior: f64,
        owner: Owner<'_>,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) {
        self.last_event = self.last_event.max(time);
        let taken_back = matches!(deploy.status, DeployStatus::RolledBack | DeployStatus::Failed);
        if taken_back {
            self.close_watches(owner, context, said, |watch| *watch.deploy_id == *deploy.deploy_id);
        }
        if taken_back && self.is_first_word_of(deploy) {
            self.note_ended(&deploy.deploy_id);
        }
        let undoes = deploy.change_kind == ChangeKind::Rollback && deploy.status != DeployStatus::Failed;
        if let Some(hold) = &mut self.hold
            && (undoes || (taken_back && *hold.deploy_id == *deploy.deploy_id))
        {
            hold.roll_back(time);
        }
        let exposure = deploy.exposure.map(crate::model::UnitInterval::value);
        if let Some(watch) = self
            .watches
            .iter_mut()
            .find(|watch| *watch.deploy_id == *deploy.deploy_id)
        {
            watch.stage(time, exposure);
        } else if !taken_back && deploy.change_kind != ChangeKind::Rollback && self.is_first_word_of(deploy) {
            if !self.is_watched() {
                self.pass_quiet_steps(context.now, context.policy.lateness);
            }
            if self.watches.len() >= WATCHES_MAX {
                let oldest = self.watches[0].deploy_id.clone();
                self.close_watches(owner, context, said, |watch| watch.deploy_id == oldest);
            }
            let mut watch = Watch::new(&deploy.deploy_id, time, self.baseline.is_known(context.now), prior);
            watch.stage(time, exposure.or(Some(1.0)));
            self.watches.push(watch);
        }
        self.decide(owner, context, said);
    }

    /// A deploy whose watch has ended opens none again by a late or repeated status.
    fn is_first_word_of(&self, deploy: &Deploy<'_>) -> bool {
        !self.ended.contains(&hash_text(&deploy.deploy_id))
    }

    /// Remembers that the watch of a deploy is over.
    fn note_ended(&mut self, deploy_id: &str) {
        if self.ended.len() >= ENDED_MAX {
            self.ended.remove(0);
        }
        self.ended.push(hash_text(deploy_id));
    }

    /// An incident began, went on or was resolved.
    pub(crate) fn incident(
        &mut self,
        incident: &Incident<'_>,
        time: Timestamp,
        owner: Owner<'_>,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) {
        self.last_event = self.last_event.max(time);
        let id_hash = hash_text(&incident.incident_id);
        let known = self.incidents.iter().position(|open| open.id_hash == id_hash);
        match (incident.status, known) {
            (IncidentStatus::Resolved, Some(place)) => {
                let resolved = self.incidents.remove(place);
                if resolved.granted {
                    self.cool_down(context.at + COOLDOWN);
                }
            }
            (IncidentStatus::Resolved, None) => {}
            (IncidentStatus::Detected, Some(place)) => {
                let open = &mut self.incidents[place];
                open.last_event = open.last_event.max(time);
                let worse = incident.severity < open.severity;
                open.severity = open.severity.min(incident.severity);
                if worse && open.severity <= 2 && !open.granted {
                    said.push(self.proposes(owner, Ground::Incident));
                }
            }
            (IncidentStatus::Detected, None) => {
                if self.incidents.len() >= INCIDENTS_MAX {
                    self.incidents.remove(0);
                }
                self.incidents.push(OpenIncident {
                    id_hash,
                    incident_id: incident.incident_id.as_ref().into(),
                    severity: incident.severity,
                    last_event: time,
                    granted: false,
                    withheld: false,
                    asked_at: context.now,
                });
                if incident.severity <= 2 {
                    said.push(self.proposes(owner, Ground::Incident));
                }
            }
        }
        self.incidents.retain(|incident| incident.freezes_until() > context.now);
        self.decide(owner, context, said);
    }

    /// When time alone makes a difference here next.
    pub(crate) fn next_deadline(&self, lateness: Duration) -> Timestamp {
        let mut next = self.last_event + FORGET_AFTER;
        if self.is_watched() {
            next = next.min(self.steps.next_close(lateness));
        }
        let watches = self.watches.iter().map(Watch::ends_by);
        let incidents = self.incidents.iter().map(OpenIncident::freezes_until);
        let asked = self
            .incidents
            .iter()
            .filter(|incident| incident.severity <= 2 && !incident.granted);
        let others = [
            self.hold.as_ref().map(|hold| hold.until),
            self.proposal.as_ref().map(|proposal| proposal.asked_at + PROPOSE_EVERY),
            self.elevated_since
                .map(|since| since + ELEVATED_MIN)
                .filter(|_| self.watches.is_empty()),
            self.cooldown_until,
            self.standing.as_ref().and_then(Standing::speaks_at),
        ];
        watches
            .chain(incidents)
            .chain(asked.map(|incident| incident.asked_at + PROPOSE_EVERY))
            .chain(others.into_iter().flatten())
            .fold(next, Timestamp::min)
    }

    /// Nothing has happened here for so long, and nothing stands, that it may be forgotten.
    pub(crate) fn is_forgotten(&self, now: Timestamp) -> bool {
        now.since(self.last_event) >= FORGET_AFTER && self.hold.is_none() && self.incidents.is_empty()
    }

    pub(crate) fn last_event(&self) -> Timestamp {
        self.last_event
    }

    /// Whether there is history enough to convict anybody.
    pub(crate) fn has_baseline(&self, now: Timestamp) -> bool {
        self.baseline.is_known(now)
    }

    /// What people ask to see.
    pub(crate) fn report(&self, now: Timestamp, settings: &Settings) -> EnvironmentReport {
        EnvironmentReport {
            environment: self.name.clone(),
            mode: settings.mode,
            step_seconds: u32::try_from(self.steps.grain.duration().as_secs()).unwrap_or(u32::MAX),
            errors_per_step: self.baseline.level(self.steps.grain),
            observed_steps: self.baseline.n_observed(),
            baseline_known: self.baseline.is_known(now),
            silent: self.presence.is_silent(),
            dense: self.presence.is_dense(),
            watches: self
                .watches
                .iter()
                .map(|watch| WatchReport {
                    deploy_id: watch.deploy_id.clone(),
                    started_at: watch.started_at,
                    e_value: watch.ln_e().min(700.0).exp(),
                    threshold: ln_threshold(settings).exp(),
                })
                .collect(),
        }
    }
}

/// What is known of a service in an environment, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnvironmentReport {
    pub environment: EnvironmentId,
    pub mode: Mode,
    /// The length of an evidence step.
    pub step_seconds: u32,
    /// The baseline: mean errors per step.
    pub errors_per_step: f64,
    pub observed_steps: u32,
    /// Whether the baseline suffices to freeze by.
    pub baseline_known: bool,
    /// Whether its source has been silent for longer than usual.
    pub silent: bool,
    /// Whether its source reports nearly every step.
    pub dense: bool,
    pub watches: Vec<WatchReport>,
}

/// A deploy under watch, for people.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WatchReport {
    pub deploy_id: Box<str>,
    pub started_at: Timestamp,
    pub e_value: f64,
    pub threshold: f64,
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
