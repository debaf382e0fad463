//! The services of a fleet: how they fail when healthy, how they tell, whom they call.
//!
//! **Invariant:** a service depends only on services behind it, so the graph has no cycle.

use std::time::Duration;

use super::{
    chance::{Chance, real, whole},
    family::Family,
    signal::Signal,
};
use crate::model::{Criticality, Timestamp};

/// How a service tells of its errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reporting {
    /// Every interval, with its attempts.
    WithRequests,
    /// Every interval, errors only.
    ErrorsOnly,
    /// Intervals in which something failed, errors only.
    FailuresOnly,
    /// Single failures with fingerprints and affected users, as an error tracker sends them.
    Tracked,
}

impl Reporting {
    pub const ALL: [Self; 4] = [Self::WithRequests, Self::ErrorsOnly, Self::FailuresOnly, Self::Tracked];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::WithRequests => "with requests",
            Self::ErrorsOnly => "errors only",
            Self::FailuresOnly => "failures only",
            Self::Tracked => "tracked",
        }
    }

    /// Whether an interval without a failure is told of.
    pub(super) fn is_dense(self) -> bool {
        matches!(self, Self::WithRequests | Self::ErrorsOnly)
    }
}

/// A call that may fail, and with it the caller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dependency {
    /// The callee's place in the fleet.
    pub service: usize,
    /// The caller's excess of errors as a share of the callee's, both as multiples of their usual errors; 0 for one
    /// that gets by without.
    pub coupling: f64,
}

/// A job that runs once a night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batch {
    /// After midnight, UTC.
    pub begins: Duration,
    pub length: Duration,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    pub name: Box<str>,
    pub criticality: Criticality,
    pub traffic_share: f64,
    /// The share of requests that must succeed.
    pub objective: Option<f64>,
    pub depends_on: Vec<Dependency>,
    /// Its first record; the beginning of the simulation for all but new services.
    pub born_at: Timestamp,
    pub reporting: Reporting,
    pub interval: Duration,
    pub tells_version: bool,
    /// Whether records name the callee that failed.
    pub tells_upstream: bool,
    pub batch: Option<Batch>,
    pub(super) deploys_per_day: f64,
    pub signal: Signal,
}

/// Layers from the edge inwards, and the share of services in each.
const LAYERS: [(&str, f64); 3] = [("edge", 0.3), ("core", 0.45), ("store", 0.25)];
const NEW: f64 = 0.05;
const BATCHES: f64 = 0.05;
/// Share of services with requests that have an objective.
const WITH_OBJECTIVE: f64 = 0.3;

/// Draws the services of a fleet that begins at `start` and is watched for `days`.
pub(super) fn fleet(family: &Family, start: Timestamp, days: u16, root: &Chance) -> Vec<Service> {
    let n = usize::try_from(family.n_services).unwrap_or(0);
    (0..n)
        .map(|place| {
            let chance = &mut root.branch(u64::try_from(place).unwrap_or(0));
            let mut service = service(family, place, chance);
            let is_new = chance.is(NEW) && service.batch.is_none();
            let whole_days = u64::from(days.saturating_sub(1)).max(1);
            let birth = Duration::from_secs(86_400 * (1 + chance.below(whole_days)) + 3_600 * (8 + chance.below(8)));
            service.born_at = if is_new && days > 1 { start + birth } else { start };
            service.depends_on = dependencies(family, place, n, chance);
            service
        })
        .collect()
}

fn layer(place: usize, n: usize) -> usize {
    let share = real(u64::try_from(place).unwrap_or(0)) / real(u64::try_from(n).unwrap_or(1));
    let mut upto = 0.0;
    LAYERS
        .iter()
        .position(|(_, part)| {
            upto += part;
            share < upto
        })
        .unwrap_or(LAYERS.len() - 1)
}

fn service(family: &Family, place: usize, chance: &mut Chance) -> Service {
    let n = usize::try_from(family.n_services).unwrap_or(1);
    let criticality = match chance.unit() {
        u if u < 0.1 => Criticality::Critical,
        u if u < 0.35 => Criticality::High,
        u if u < 0.85 => Criticality::Medium,
        _ => Criticality::Low,
    };
    let reporting = Reporting::ALL[weighted(&family.reportings, chance)];
    let batch = (reporting.is_dense() && chance.is(BATCHES)).then(|| Batch {
        begins: Duration::from_secs(60 * (60 + chance.below(180))),
        length: Duration::from_secs(60 * (30 + chance.below(60))),
    });
    let seconds = [10, 60, 300][weighted(&family.intervals, chance)];
    let signal = Signal::draw(family, batch.is_some(), chance);
    let is_counted = reporting == Reporting::WithRequests && batch.is_none();
    // Usual errors spend a third to four fifths of the budget.
    let objective = (is_counted && chance.is(WITH_OBJECTIVE)).then(|| {
        let objective = 1.0 - signal.errors_per_request * chance.between((1.25, 3.0));
        (objective.clamp(0.5, 0.999_99) * 1e6).round() / 1e6
    });
    Service {
        name: format!("{}-{place:03}", LAYERS[layer(place, n)].0).into(),
        criticality,
        traffic_share: (chance.log_between((0.002, 0.3)) * 1e4).round() / 1e4,
        objective,
        depends_on: Vec::new(),
        born_at: Timestamp::MIN,
        reporting,
        // A tracker gathers what fails within seconds.
        interval: Duration::from_secs(if reporting == Reporting::Tracked { 10 } else { seconds }),
        tells_version: batch.is_none() && chance.is(family.tells_version),
        tells_upstream: reporting != Reporting::WithRequests && chance.is(0.5),
        batch,
        deploys_per_day: chance.log_between(family.deploys_per_day),
        signal,
    }
}

fn weighted(weights: &[f64], chance: &mut Chance) -> usize {
    let mut left = chance.unit() * weights.iter().sum::<f64>();
    let found = weights.iter().position(|weight| {
        left -= weight;
        left < 0.0
    });
    found.unwrap_or(weights.len() - 1)
}

/// One to four callees further inwards, the innermost and first ones oftener: a few stores serve many.
fn dependencies(family: &Family, place: usize, n: usize, chance: &mut Chance) -> Vec<Dependency> {
    let own = layer(place, n);
    let first = (0..n).find(|other| layer(*other, n) > own).unwrap_or(n);
    let mut chosen: Vec<Dependency> = Vec::new();
    if first >= n {
        return chosen;
    }
    for _ in 0..=chance.below(4) {
        let span = real(u64::try_from(n - first).unwrap_or(0));
        // The square of a uniform draw falls near 0, so near the first of each layer.
        let ahead = usize::try_from(whole(chance.unit().powi(2) * span)).unwrap_or(0);
        let service = (first + ahead).min(n - 1);
        let coupling = if chance.is(family.coupled) {
            chance.between(family.coupling)
        } else {
            0.0
        };
        if chosen.iter().all(|known| known.service != service) {
            chosen.push(Dependency { service, coupling });
        }
    }
    chosen
}
