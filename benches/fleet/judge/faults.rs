//! Bad deploys, and what came of them.

use std::time::Duration;

use holdpoint::{
    model::{Action, ChangeKind, Criticality},
    score::{ClosedWatch, WatchVerdict},
    sim::{Deploy, Fault, Service},
};

use super::{ACCOUNTS, Traits, begun, ends, is_by_errors, traits, voice};
use crate::{
    drive::{Heard, Run},
    oracle,
};

/// How long a deploy is watched, by the default policy; a nightly batch waits for its run.
const WATCH: Duration = Duration::from_hours(2);
const WATCH_OF_BATCH: Duration = Duration::from_hours(26);
/// The e-value that convicts by the default policy.
const CONVICTS: f64 = 500.0;
/// Budgets burnt below this pace convict nobody by errors, unless the service is critical.
const BURN_MIN: f64 = 2.0;
/// Fewer observed steps judge nobody healthy.
const STEPS_MIN: u32 = 10;

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
    /// The watch judged nobody.
    Unjudged,
    /// It was over before ten steps were observed, and the e-value below what convicts.
    Brief,
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

pub(super) fn faults(run: &Run) -> Vec<Found> {
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
        miss: (outcome != Outcome::Frozen).then(|| miss(watch, service, &fault)),
        e_value_max: watch.map_or(0.0, |watch| watch.e_value_max),
        rate_ratio: watch.map_or(0.0, |watch| watch.rate_ratio),
    }
}

fn miss(watch: Option<&ClosedWatch>, service: &Service, fault: &Fault) -> Miss {
    let Some(watch) = watch else { return Miss::NoWatch };
    let length = watch.closed_at.since(watch.started_at);
    let was_cut = watch.closed_at < fault.until && length + ACCOUNTS < WATCH;
    let was_brief = length < oracle::step(service.interval) * STEPS_MIN;
    match watch.alarmed_at {
        Some(_) => Miss::TooLate,
        None if watch.e_value_max >= CONVICTS => Miss::NotConvicted,
        None if was_cut => Miss::CutShort,
        None if was_brief => Miss::Brief,
        None if watch.verdict == WatchVerdict::Unknown => Miss::Unjudged,
        None => Miss::Short,
    }
}
