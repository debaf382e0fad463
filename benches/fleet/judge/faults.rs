//! Bad deploys, and what came of them.

use std::time::Duration;

use holdpoint::{
    model::{Action, ChangeKind, Criticality, Timestamp},
    score::ClosedWatch,
    sim::{Deploy, Fault, Gap, Reporting, Service},
};

use super::{ACCOUNTS, Traits, begun, ends, is_by_errors, traits, voice};
use crate::{
    drive::{Heard, Run},
    oracle, searching,
};

/// How long a deploy is watched, by the default policy; a nightly batch waits for its run.
const WATCH: Duration = Duration::from_hours(2);
const WATCH_OF_BATCH: Duration = Duration::from_hours(26);
/// The e-value that convicts by the default policy, where calibration asks for no more.
const CONVICTS: f64 = 500.0;
/// Budgets burnt below this pace convict nobody by errors, unless the service is critical.
const BURN_MIN: f64 = 2.0;
/// How many times as long as the oracle one may take, by what is asked of the delay.
pub(crate) const RATIO_MAX: u32 = 4;
/// The margin of the default policy.
const MARGIN: f64 = 0.25;
/// A fault that lasts fewer steps than this was hardly there.
const STEPS_MIN: u32 = 10;
/// A fault that raises all errors by less than this, on a version that is not told apart, hides in the rest of them.
const HIDES: f64 = 2.0;

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

/// Why a fault that the oracle saw was not frozen for: the first that is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Miss {
    NotWatched,
    /// There was no history to judge it by.
    NoBaseline,
    /// It was put down to another service.
    PutElsewhere,
    /// Errors had risen before its deploy, which was not judged for them.
    IntoTrouble,
    /// The source told nothing for half of the fault's time.
    Silent,
    /// The e-value passed what is asked of most, but the service's own noise, or that of its like, asks for more.
    Noisy,
    /// It passed, but the error budget hardly burns.
    BurnsLittle,
    /// It passed, but not while errors were as they must be.
    NotConvicted,
    /// Closed by another deploy's freeze, or by the last deploy that there is room for.
    CutShort,
    /// So few of the errors were the deployed version's, which nobody told apart, that they hid in the rest.
    Diluted,
    /// The e-value stayed too low, and the fault was over before ten steps.
    Brief,
    /// The e-value stayed too low.
    Short,
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
    /// It was there, and watched, for [`RATIO_MAX`] times as long as the oracle needed: who is as fast as is asked had time.
    pub(crate) leaves_time: bool,
    /// What one who knows what is usual was sure of in time.
    pub(crate) searched: Searched,
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
    let sights = run.sights.of(deploy.service, (deploy.started_at(), deadline));
    let finds = |harmless| searching::finds(deploy, sights, fault.from, oracle::step(service.interval), harmless);
    let watch = run.watches.get(&deploy.id);
    let burn = service
        .objective
        .map(|objective| fault.factor * service.signal.errors_per_request / (1.0 - objective));
    let burns_little = burn.is_some_and(|burn| burn < BURN_MIN) && service.criticality != Criticality::Critical;
    let gaps = run.simulation.truth().gaps.iter();
    let missed = Missed {
        watch,
        service,
        fault,
        deadline,
        codes: reviewed.iter().map(|heard| &*heard.code).collect(),
        gaps: gaps.filter(|gap| gap.service == deploy.service).collect(),
        burns_little,
    };
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
        burns_little,
        leaves_time: seen_at.is_some_and(|at| at.since(fault.from) * RATIO_MAX <= deadline.since(fault.from)),
        searched: Searched {
            usual: finds(1.0),
            margin: finds(harmless(service)),
        },
        miss: (outcome != Outcome::Frozen).then(|| missed.cause()),
        e_value_max: watch.map_or(0.0, |watch| watch.e_value_max),
        rate_ratio: watch.map_or(0.0, |watch| watch.rate_ratio),
    }
}

/// How many times the usual errors are no fault by the default policy: a margin, doubled where attempts are not told.
fn harmless(service: &Service) -> f64 {
    if service.reporting == Reporting::WithRequests {
        1.0 + MARGIN
    } else {
        1.0 + 2.0 * MARGIN
    }
}

/// Whether a fault was found by one who knows what is usual, and neither when it began nor by how much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Searched {
    pub(crate) usual: bool,
    /// Where what the policy takes for harmless is none.
    pub(crate) margin: bool,
}

/// What is known of a fault that was missed.
struct Missed<'a> {
    watch: Option<&'a ClosedWatch>,
    service: &'a Service,
    fault: Fault,
    /// When it was over, or its watch.
    deadline: Timestamp,
    /// Codes of what was said of the service meanwhile.
    codes: Vec<&'a str>,
    gaps: Vec<&'a Gap>,
    burns_little: bool,
}

impl Missed<'_> {
    fn cause(&self) -> Miss {
        let Self {
            watch, service, fault, ..
        } = self;
        let Some(watch) = watch else { return Miss::NotWatched };
        let lasted = self.deadline.since(fault.from);
        let step = oracle::step(service.interval);
        let silent: Duration = self.gaps.iter().map(|gap| self.within(gap)).sum();
        let passed = watch.e_value_max >= watch.e_threshold;
        let all = 1.0 + (fault.factor - 1.0) * fault.share;
        if !watch.judged {
            Miss::NoBaseline
        } else if self.codes.contains(&"dependency_regression") {
            Miss::PutElsewhere
        } else if watch.in_trouble {
            Miss::IntoTrouble
        } else if silent * 2 >= lasted {
            Miss::Silent
        } else if self.codes.contains(&"noisy_service") || (!passed && watch.e_value_max >= CONVICTS) {
            Miss::Noisy
        } else if passed && self.burns_little {
            Miss::BurnsLittle
        } else if passed {
            Miss::NotConvicted
        } else if watch.closed_at < self.deadline && watch.closed_at.since(watch.started_at) + ACCOUNTS < WATCH {
            Miss::CutShort
        } else if !service.tells_version && all < HIDES {
            Miss::Diluted
        } else if lasted < step * STEPS_MIN {
            Miss::Brief
        } else {
            Miss::Short
        }
    }

    /// How much of the fault's time a gap takes.
    fn within(&self, gap: &Gap) -> Duration {
        gap.until.min(self.deadline).since(gap.from.max(self.fault.from))
    }
}
