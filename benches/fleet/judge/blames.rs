//! Whom it was put down to.

use std::{collections::BTreeSet, time::Duration};

use holdpoint::{
    model::{Action, ChangeKind, Timestamp},
    sim::{Cause, Deploy, Raise, Reporting, Service, Simulation, Truth},
};

use super::{ACCOUNTS, accountable, begun, is_by_errors, voice};
use crate::{
    dating::{REACH, REACH_OF_BATCH, Seen},
    drive::{Run, Suspect},
};

/// A deploy is under watch for so long, by the default policy.
const WATCH: Duration = Duration::from_hours(2);
/// Callees counted as related, in hops.
const HOPS: usize = 3;

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
    /// When its errors rose, and by how many times the usual ones.
    pub(crate) since: Timestamp,
    excess: f64,
    pub(crate) guilty: Guilty,
    /// Another deploy in the two hours before, of it, its callees or its callers.
    pub(crate) overlapping: bool,
    pub(crate) truth: Suspect,
    pub(crate) said: Option<Suspect>,
    /// What somebody would say who knows where the trouble began, and when.
    known: Suspect,
    /// What somebody would say who knows where, and dates it by the counts.
    dated: Suspect,
}

impl Blame {
    pub(crate) fn hits(&self) -> bool {
        self.said.as_ref() == Some(&self.truth)
    }

    /// Whether errors were at least three times the usual ones.
    pub(crate) fn is_large(&self) -> bool {
        self.excess >= 2.0
    }

    pub(crate) fn is_to_be_known(&self) -> bool {
        self.known == self.truth
    }

    pub(crate) fn is_to_be_dated(&self) -> bool {
        self.dated == self.truth
    }
}

/// One case for each service and each trouble that it was held for: what the freeze said, or else the first to name
/// anybody.
pub(super) fn blames(run: &Run) -> Vec<Blame> {
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
                (Cause::Deploy(deploy), None) => (Guilty::Own, Some(&*truth.deploys[deploy].id)),
                (Cause::Deploy(deploy), Some(_)) => (Guilty::Callee, Some(&*truth.deploys[deploy].id)),
                (Cause::Outage(_) | Cause::Blip, _) => (Guilty::Nobody, None),
            };
            all.push(Blame {
                service: service.name.clone(),
                at: said.at,
                since: raise.from,
                excess: raise.excess,
                guilty,
                overlapping: overlaps(simulation, place, said.at, id),
                truth: Suspect::of(id),
                said: said.suspect.clone(),
                known: known(truth, place, raise),
                dated: dated(run, place, raise, said.at),
            });
        }
    }
    all
}

/// The latest deploy of the service that failed first: who knows no more than where and when it began can do no better,
/// since faults are the rarer the later they begin. An outage is taken for a late fault wherever there was a deploy.
fn known(truth: &Truth, place: usize, raise: &Raise) -> Suspect {
    let (place, raise) = origin(truth, place, raise);
    latest(truth, place, raise.from)
}

/// Dates it by what was counted until `at`. An error tracker names errors that are new: with one it is known when, and
/// whether a deploy did it.
fn dated(run: &Run, place: usize, raise: &Raise, at: Timestamp) -> Suspect {
    let truth = run.simulation.truth();
    let (place, raise) = origin(truth, place, raise);
    let service = &run.simulation.services()[place];
    let is_of_deploy = matches!(raise.cause, Cause::Deploy(_));
    if service.reporting == Reporting::Tracked {
        return if is_of_deploy {
            latest(truth, place, raise.from)
        } else {
            Suspect::Nobody
        };
    }
    let is_batch = service.batch.is_some();
    let reach = if is_batch { REACH_OF_BATCH } else { REACH };
    let seen = Seen {
        sights: run.sights.of(place, (at - reach, at.min(raise.until))),
        excess: raise.excess,
        is_of_deploy,
        is_batch,
        share_of_outages: share_of_outages(run.simulation.services(), place),
    };
    let likeliest = seen.likeliest(could_be(truth, place, at, reach));
    Suspect::of(likeliest.map(|deploy| &*deploy.id))
}

/// Outages are of what others call and pass on, batches left out; each of these as often.
fn share_of_outages(services: &[Service], place: usize) -> f64 {
    let called: BTreeSet<usize> = services
        .iter()
        .flat_map(|service| &service.depends_on)
        .filter(|on| on.coupling > 0.0 && services[on.service].batch.is_none())
        .map(|on| on.service)
        .collect();
    if called.contains(&place) {
        1.0 / f64::from(u32::try_from(called.len()).unwrap_or(u32::MAX))
    } else {
        0.0
    }
}

/// Where trouble began: the service that failed first, and what raised its errors.
fn origin<'a>(truth: &'a Truth, place: usize, raise: &'a Raise) -> (usize, &'a Raise) {
    let mut began = (place, raise);
    while let Some(by) = began.1.by {
        let of_cause = |raise: &&Raise| raise.cause == began.1.cause;
        let own = truth.raises[by]
            .iter()
            .filter(of_cause)
            .find(|raise| raise.by.is_none());
        let Some(before) = own.or_else(|| truth.raises[by].iter().find(of_cause)) else {
            break;
        };
        began = (by, before);
    }
    began
}

/// The latest deploy of the two hours before `since`, else nobody.
fn latest(truth: &Truth, service: usize, since: Timestamp) -> Suspect {
    let latest = could_be(truth, service, since, WATCH).max_by_key(|deploy| deploy.started_at());
    Suspect::of(latest.map(|deploy| &*deploy.id))
}

/// A service's deploys that were begun no longer than that before `at`, and can be bad.
fn could_be(truth: &Truth, service: usize, at: Timestamp, within: Duration) -> impl Iterator<Item = &Deploy> {
    truth.deploys.iter().filter(move |deploy| {
        deploy.service == service
            && deploy.preview.is_none()
            && !matches!(deploy.kind, ChangeKind::Rollback | ChangeKind::Hotfix)
            && deploy.started_at() <= at
            && at.since(deploy.started_at()) <= within
    })
}

/// Whether another deploy than the guilty one was under watch on the service, its callees or its callers.
fn overlaps(simulation: &Simulation, place: usize, at: Timestamp, guilty: Option<&str>) -> bool {
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
            && guilty != Some(&*deploy.id)
            && related.contains(&deploy.service)
            && deploy.started_at() <= at
            && at.since(deploy.started_at()) <= WATCH
    })
}
