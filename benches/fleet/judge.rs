//! What was decided of one fleet, held against what was so.

mod blames;
mod faults;
mod freezes;
mod reviews;

use std::{collections::BTreeMap, time::Duration};

use holdpoint::{
    model::{Action, ChangeKind, Timestamp},
    sim::{Cause, Raise, Reporting, Service, Truth},
};

pub(crate) use self::{
    blames::{Blame, Guilty},
    faults::{Excused, Found, Outcome, RATIO_MAX},
    freezes::{Freeze, Ground, Suffers},
    reviews::Reviewed,
};
use crate::drive::{Heard, Run};

/// So long after its end a fault still accounts for what is decided: steps close late, and means have to be rebuilt.
const ACCOUNTS: Duration = Duration::from_mins(10);
/// What raises errors by less than this share of the usual ones accounts for nothing.
const ACCOUNTABLE: f64 = 0.4;

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
    pub(crate) reviews: BTreeMap<Box<str>, Reviewed>,
    pub(crate) faults: Vec<Found>,
    pub(crate) blames: Vec<Blame>,
}

/// What a service is like, for finding out where mistakes come from.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each says another thing")]
pub(crate) struct Traits {
    pub(crate) service: Box<str>,
    pub(crate) reporting: Reporting,
    pub(crate) interval: u64,
    pub(crate) tells_version: bool,
    pub(crate) tells_upstream: bool,
    pub(crate) is_batch: bool,
    /// Usual errors a minute at that time.
    pub(crate) errors_per_minute: f64,
    pub(crate) size: f64,
    pub(crate) drift: f64,
    pub(crate) age: Duration,
    pub(crate) has_objective: bool,
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
        freezes: freezes::freezes(run),
        reviews: reviews::reviews(run),
        faults: faults::faults(run),
        blames: blames::blames(run),
    }
}

impl Traits {
    /// The size of counts around what is usual, where the rate's drift of mean 1 and variance e^(sd²) − 1 is scatter as well.
    pub(crate) fn size_of_all(&self) -> f64 {
        let drift = (self.drift * self.drift).exp_m1();
        1.0 / (drift + (1.0 + drift) / self.size)
    }
}

fn traits(service: &Service, at: Timestamp) -> Traits {
    Traits {
        service: service.name.clone(),
        reporting: service.reporting,
        interval: service.interval.as_secs(),
        tells_version: service.tells_version,
        tells_upstream: service.tells_upstream,
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

fn accountable(truth: &Truth, place: usize, at: Timestamp) -> impl Iterator<Item = &Raise> {
    truth
        .raised(place, at - ACCOUNTS, at)
        .filter(|raise| raise.cause != Cause::Blip && raise.excess >= ACCOUNTABLE)
}
