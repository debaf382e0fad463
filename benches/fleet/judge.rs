//! What was decided of one fleet, held against what was so.

use std::{collections::BTreeSet, time::Duration};

use holdpoint::{
    model::{Action, ChangeKind, Criticality, Timestamp},
    score::{ClosedWatch, WatchVerdict},
    sim::{Cause, Deploy, Fault, Raise, Reporting, Service, Simulation, Truth},
};

use crate::drive::{Heard, Run};

/// How long a deploy is watched, by the default policy; a nightly batch waits for its run.
const WATCH: Duration = Duration::from_hours(2);
const WATCH_OF_BATCH: Duration = Duration::from_hours(26);
/// So long after its end a fault still accounts for what is decided: steps close late, and means have to be rebuilt.
const ACCOUNTS: Duration = Duration::from_mins(10);
/// What raises errors by less than this share of the usual ones accounts for nothing.
const ACCOUNTABLE: f64 = 0.4;
/// The e-value that convicts by the default policy.
const CONVICTS: f64 = 500.0;
/// Budgets burnt below this pace convict nobody by errors, unless the service is critical.
const BURN_MIN: f64 = 2.0;
/// Callees counted as related, in hops.
const HOPS: usize = 3;

/// Of one seed.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) seed: u64,
    pub(crate) n_lines: u64,
    pub(crate) n_late: u64,
    pub(crate) n_rejected: u64,
    /// Service-weeks in production.
    pub(crate) weeks: f64,
    pub(crate) n_healthy: u32,
    pub(crate) freezes: Vec<Freeze>,
    pub(crate) faults: Vec<Found>,
    pub(crate) blames: Vec<Blame>,
}

/// What a service is like, for finding out where mistakes come from.
#[derive(Debug, Clone)]
pub(crate) struct Traits {
    pub(crate) service: Box<str>,
    pub(crate) reporting: Reporting,
    pub(crate) interval: u64,
    pub(crate) tells_version: bool,
    pub(crate) is_batch: bool,
    /// Usual errors a minute at that time.
    pub(crate) errors_per_minute: f64,
    pub(crate) size: f64,
    pub(crate) drift: f64,
    pub(crate) age: Duration,
    pub(crate) has_objective: bool,
}

/// What a freeze was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ground {
    /// A bad deploy of its own.
    OwnFault,
    /// It failed itself, and no deploy did it.
    OwnOutage,
    /// It suffers of a callee.
    Innocent,
    /// Nothing was wrong.
    Nothing,
}

#[derive(Debug, Clone)]
pub(crate) struct Freeze {
    pub(crate) traits: Traits,
    pub(crate) environment: Box<str>,
    pub(crate) at: Timestamp,
    pub(crate) held: Duration,
    pub(crate) code: Box<str>,
    pub(crate) deploy: Option<Box<str>>,
    pub(crate) ground: Ground,
    /// What happened in the half hour before, of what is no fault.
    pub(crate) nearby: Vec<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Frozen,
    Withheld,
    /// Extra review for it, no more.
    Reviewed,
    Missed,
}

/// Why nobody could be expected to freeze for a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Excused {
    /// It began after the watch.
    AfterWatch,
    /// The oracle did not see it while there was time.
    Unseen,
    /// The service was frozen already.
    HeldBefore,
}

/// Why a fault that the oracle saw was not frozen for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Miss {
    NoWatch,
    /// The watch judged nobody: too young, or too little observed.
    Unjudged,
    /// Closed by another deploy's freeze, or by the ninth deploy.
    CutShort,
    /// The e-value stayed below what convicts.
    Short,
    /// It passed, but not while errors and burn were as they must be.
    NotConvicted,
    /// Alarmed, and not frozen in time.
    TooLate,
}

/// A bad deploy, and what came of it.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) traits: Traits,
    pub(crate) deploy: Box<str>,
    pub(crate) kind: ChangeKind,
    pub(crate) fault: Fault,
    /// From the deploy to the fault.
    pub(crate) latency: Duration,
    pub(crate) excused: Option<Excused>,
    /// From the fault's beginning until the oracle was sure.
    pub(crate) oracle: Option<Duration>,
    pub(crate) outcome: Outcome,
    pub(crate) delay: Option<Duration>,
    /// Its burn is below what convicts, by the policy.
    pub(crate) burns_little: bool,
    pub(crate) miss: Option<Miss>,
    pub(crate) e_value_max: f64,
    pub(crate) rate_ratio: f64,
}

/// Whose fault it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Guilty {
    Own,
    Callee,
    Nobody,
}

/// A service that suffered and was held: whom was it put down to?
#[derive(Debug, Clone)]
pub(crate) struct Blame {
    pub(crate) service: Box<str>,
    pub(crate) at: Timestamp,
    pub(crate) guilty: Guilty,
    /// Another deploy in the two hours before, of it, its callees or its callers.
    pub(crate) overlapping: bool,
    pub(crate) truth: Option<Box<str>>,
    pub(crate) said: Option<Option<Box<str>>>,
}

impl Blame {
    pub(crate) fn hits(&self) -> bool {
        self.said.as_ref() == Some(&self.truth)
    }
}

impl Judged {
    pub(crate) fn line(&self) -> String {
        let of = |ground| self.freezes.iter().filter(|freeze| freeze.ground == ground).count();
        format!(
            "{} events, {} late, {} rejected; {} healthy deploys; freezes: {} own faults, {} own outages, {} innocent, {} false",
            self.n_lines,
            self.n_late,
            self.n_rejected,
            self.n_healthy,
            of(Ground::OwnFault),
            of(Ground::OwnOutage),
            of(Ground::Innocent),
            of(Ground::Nothing)
        )
    }
}

pub(crate) fn judge(run: &Run) -> Judged {
    let simulation = &run.simulation;
    let truth = simulation.truth();
    let healthy = truth
        .deploys
        .iter()
        .filter(|deploy| deploy.preview.is_none() && deploy.fault.is_none() && deploy.kind != ChangeKind::Rollback);
    let lives = simulation.services().iter();
    let lives = lives.map(|service| simulation.end().since(service.born_at).as_secs_f64() / 604_800.0);
    Judged {
        seed: simulation.seed(),
        n_lines: run.n_lines,
        n_late: run.n_late,
        n_rejected: run.n_rejected,
        weeks: lives.sum(),
        n_healthy: u32::try_from(healthy.count()).unwrap_or(u32::MAX),
        freezes: freezes(run),
        faults: faults(run),
        blames: blames(run),
    }
}

fn traits(service: &Service, at: Timestamp) -> Traits {
    Traits {
        service: service.name.clone(),
        reporting: service.reporting,
        interval: service.interval.as_secs(),
        tells_version: service.tells_version,
        is_batch: service.batch.is_some(),
        errors_per_minute: service.signal.errors_per_minute * service.signal.season(at),
        size: service.signal.size,
        drift: service.signal.drift,
        age: at.since(service.born_at),
        has_objective: service.objective.is_some(),
    }
}

/// Whether a decision holds a service for what its errors show.
fn is_by_errors(heard: &Heard) -> bool {
    !matches!(&*heard.code, "incident" | "override")
}

/// A service's own voice in production.
fn voice<'a>(run: &'a Run, service: &Service) -> &'a [Heard] {
    let key = (service.name.clone(), "production".into());
    run.voices.get(&key).map_or(&[], Vec::as_slice)
}

/// Freezes by errors: the decision that began each, and how long they stood.
fn begun(voice: &[Heard]) -> impl Iterator<Item = (usize, &Heard)> {
    let is_freeze = |heard: &Heard| heard.action == Action::Freeze && is_by_errors(heard);
    voice
        .iter()
        .enumerate()
        .filter(move |(i, heard)| is_freeze(heard) && i.checked_sub(1).is_none_or(|before| !is_freeze(&voice[before])))
}

fn ends(voice: &[Heard], begin: usize) -> Timestamp {
    let after = voice[begin + 1..].iter().find(|heard| heard.action != Action::Freeze);
    let last = voice[begin..]
        .iter()
        .take_while(|heard| heard.action == Action::Freeze)
        .last();
    let lease = last.and_then(|heard| heard.until).unwrap_or(Timestamp::NEVER);
    after.map_or(lease, |heard| heard.at.min(lease))
}

fn freezes(run: &Run) -> Vec<Freeze> {
    let simulation = &run.simulation;
    let mut all = Vec::new();
    for ((name, environment), voice) in &run.voices {
        let Some(place) = simulation.services().iter().position(|service| service.name == *name) else {
            continue;
        };
        let in_production = **environment == *"production";
        for (i, heard) in begun(voice) {
            all.push(Freeze {
                traits: traits(&simulation.services()[place], heard.at),
                environment: environment.clone(),
                at: heard.at,
                held: ends(voice, i).since(heard.at),
                code: heard.code.clone(),
                deploy: heard.deploy.clone(),
                ground: if in_production {
                    ground(simulation.truth(), place, heard.at)
                } else {
                    Ground::Nothing
                },
                nearby: nearby(simulation, place, heard.at),
            });
        }
    }
    all
}

fn accountable(truth: &Truth, place: usize, at: Timestamp) -> impl Iterator<Item = &Raise> {
    truth
        .raised(place, at - ACCOUNTS, at)
        .filter(|raise| raise.cause != Cause::Blip && raise.excess >= ACCOUNTABLE)
}

fn ground(truth: &Truth, place: usize, at: Timestamp) -> Ground {
    let grounds = accountable(truth, place, at).map(|raise| match (raise.cause, raise.by) {
        (_, Some(_)) => Ground::Innocent,
        (Cause::Deploy(_), None) => Ground::OwnFault,
        (Cause::Outage(_) | Cause::Blip, None) => Ground::OwnOutage,
    });
    grounds.min().unwrap_or(Ground::Nothing)
}

fn nearby(simulation: &Simulation, place: usize, at: Timestamp) -> Vec<&'static str> {
    let truth = simulation.truth();
    let from = at - Duration::from_mins(30);
    let overlaps = |begin: Timestamp, end: Timestamp| begin < at && end > from;
    let mut all = Vec::new();
    if truth
        .raised(place, at - Duration::from_mins(5), at)
        .any(|raise| raise.cause == Cause::Blip)
    {
        all.push("blip");
    }
    if truth
        .storms
        .iter()
        .any(|storm| storm.service == place && overlaps(storm.from, storm.until))
    {
        all.push("storm");
    }
    if truth
        .gaps
        .iter()
        .any(|gap| gap.service == place && overlaps(gap.from, gap.until))
    {
        all.push("gap");
    }
    if truth.raised(place, from, at).any(|raise| raise.cause != Cause::Blip) {
        all.push("fault just over, or small");
    }
    all
}

fn faults(run: &Run) -> Vec<Found> {
    let truth = run.simulation.truth();
    let bad = truth.deploys.iter().enumerate();
    let bad = bad.filter_map(|(place, deploy)| deploy.fault.map(|fault| (place, deploy, fault)));
    bad.filter(|(_, _, fault)| fault.from < run.simulation.end())
        .map(|(place, deploy, fault)| found(run, (place, deploy, fault)))
        .collect()
}

fn found(run: &Run, (place, deploy, fault): (usize, &Deploy, Fault)) -> Found {
    let service = &run.simulation.services()[deploy.service];
    let watch = if service.batch.is_some() { WATCH_OF_BATCH } else { WATCH };
    let watched_until = deploy.started_at() + watch;
    let deadline = fault.until.min(watched_until).min(run.simulation.end());
    let seen_at = run
        .oracle
        .alarmed_at(place)
        .filter(|at| *at <= deadline + Duration::from_mins(1));
    let voice = voice(run, service);
    let held_before = begun(voice).any(|(i, heard)| heard.at <= fault.from && ends(voice, i) > fault.from);
    let excused = if fault.from >= watched_until {
        Some(Excused::AfterWatch)
    } else if seen_at.is_none() {
        Some(Excused::Unseen)
    } else {
        held_before.then_some(Excused::HeldBefore)
    };
    let in_time = |heard: &&Heard| heard.at > fault.from && heard.at <= fault.until + ACCOUNTS && is_by_errors(heard);
    let frozen = begun(voice).map(|(_, heard)| heard).find(in_time);
    let holds =
        |heard: &&Heard| in_time(heard) && heard.action == Action::ExtraReview && heard.code != "cooldown".into();
    let reviewed: Vec<&Heard> = voice.iter().filter(holds).collect();
    let outcome = if frozen.is_some() {
        Outcome::Frozen
    } else if reviewed.iter().any(|heard| *heard.code == *"limiter_withheld") {
        Outcome::Withheld
    } else if reviewed.is_empty() {
        Outcome::Missed
    } else {
        Outcome::Reviewed
    };
    let watch = run.watches.get(&deploy.id);
    let burn = service
        .objective
        .map(|objective| fault.factor * service.signal.errors_per_request / (1.0 - objective));
    Found {
        traits: traits(service, fault.from),
        deploy: deploy.id.clone(),
        kind: deploy.kind,
        fault,
        latency: fault.from.since(deploy.started_at()),
        excused,
        oracle: seen_at.map(|at| at.since(fault.from)),
        outcome,
        delay: frozen.map(|heard| heard.at.since(fault.from)),
        burns_little: burn.is_some_and(|burn| burn < BURN_MIN) && service.criticality != Criticality::Critical,
        miss: (outcome != Outcome::Frozen).then(|| miss(watch, &fault)),
        e_value_max: watch.map_or(0.0, |watch| watch.e_value_max),
        rate_ratio: watch.map_or(0.0, |watch| watch.rate_ratio),
    }
}

fn miss(watch: Option<&ClosedWatch>, fault: &Fault) -> Miss {
    let Some(watch) = watch else { return Miss::NoWatch };
    let was_cut = watch.closed_at < fault.until && watch.closed_at.since(watch.started_at) < WATCH - ACCOUNTS;
    match watch.alarmed_at {
        Some(_) => Miss::TooLate,
        None if watch.e_value_max >= CONVICTS => Miss::NotConvicted,
        None if was_cut => Miss::CutShort,
        None if watch.verdict == WatchVerdict::Unknown => Miss::Unjudged,
        None => Miss::Short,
    }
}

/// One case for each service and each trouble that it was held for: what the freeze said, or else the first to name
/// anybody.
fn blames(run: &Run) -> Vec<Blame> {
    let simulation = &run.simulation;
    let truth = simulation.truth();
    let mut all = Vec::new();
    for (place, service) in simulation.services().iter().enumerate() {
        let voice = voice(run, service);
        let mut done: BTreeSet<Cause> = BTreeSet::new();
        let named = voice
            .iter()
            .filter(|heard| heard.action != Action::Proceed && is_by_errors(heard) && heard.suspect.is_some());
        for heard in named {
            let raises = accountable(truth, place, heard.at);
            let Some(raise) = raises.max_by(|a, b| a.excess.total_cmp(&b.excess)) else {
                continue;
            };
            if !done.insert(raise.cause) {
                continue;
            }
            let until = raise.until + ACCOUNTS;
            let freeze = begun(voice)
                .map(|(_, freeze)| freeze)
                .find(|freeze| freeze.at >= heard.at && freeze.at <= until && freeze.suspect.is_some());
            let said = freeze.unwrap_or(heard);
            let (guilty, id) = match (raise.cause, raise.by) {
                (Cause::Deploy(deploy), None) => (Guilty::Own, Some(&truth.deploys[deploy].id)),
                (Cause::Deploy(deploy), Some(_)) => (Guilty::Callee, Some(&truth.deploys[deploy].id)),
                (Cause::Outage(_) | Cause::Blip, _) => (Guilty::Nobody, None),
            };
            all.push(Blame {
                service: service.name.clone(),
                at: said.at,
                guilty,
                overlapping: overlaps(simulation, place, said.at, id),
                truth: id.cloned(),
                said: said.suspect.clone(),
            });
        }
    }
    all
}

/// Whether another deploy than the guilty one was under watch on the service, its callees or its callers.
fn overlaps(simulation: &Simulation, place: usize, at: Timestamp, guilty: Option<&Box<str>>) -> bool {
    let services = simulation.services();
    let mut related = BTreeSet::from([place]);
    for _ in 0..HOPS {
        let callees = related
            .iter()
            .flat_map(|place| &services[*place].depends_on)
            .map(|on| on.service);
        let callees: Vec<usize> = callees.collect();
        related.extend(callees);
    }
    let calls = |caller: &Service| caller.depends_on.iter().any(|on| on.service == place);
    related.extend((0..services.len()).filter(|caller| calls(&services[*caller])));
    simulation.truth().deploys.iter().any(|deploy| {
        deploy.preview.is_none()
            && deploy.kind != ChangeKind::Rollback
            && guilty != Some(&deploy.id)
            && related.contains(&deploy.service)
            && deploy.started_at() <= at
            && at.since(deploy.started_at()) <= WATCH
    })
}
