//! The deploys of one service, in order, and which version its traffic is on.
//!
//! ```text
//! started ── progressing … ── succeeded ──────────────────────────► next
//!     └─ bad: people notice after a while ─┬─ nothing newer: rolled back
//!                                          └─ something newer: a hotfix mends it
//! ```
//! **Invariant:** at most one fault of a service's own at a time, and no rollout begins before the last has ended.

use std::time::Duration;

use super::{
    chance::{Chance, real, whole},
    family::Family,
    fleet::Service,
    signal::is_weekend,
    truth::{Deploy, Ending, Fault, Stage},
};
use crate::model::{ChangeKind, Timestamp};

/// From an instant on, a share of traffic is on one version and the rest on another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shift {
    pub at: Timestamp,
    pub newer: u32,
    pub share: f64,
    pub older: u32,
}

impl Shift {
    /// The share of traffic on versions from `first` on.
    #[must_use]
    pub fn share_from(&self, first: u32) -> f64 {
        let newer = if self.newer >= first { self.share } else { 0.0 };
        let older = if self.older >= first { 1.0 - self.share } else { 0.0 };
        newer + older
    }
}

/// Declared exposures of a staged rollout, and minutes from each stage to the next.
const STAGINGS: [(&[f64], (f64, f64)); 5] = [
    (&[0.05, 0.25, 1.0], (5.0, 15.0)),
    (&[0.1, 0.5, 1.0], (3.0, 10.0)),
    (&[0.01, 0.1, 0.5, 1.0], (8.0, 20.0)),
    (&[0.25, 1.0], (4.0, 12.0)),
    (&[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0], (1.5, 3.0)),
];
/// Standard deviation of ln of a stage's traffic by its declared share: shares are of instances.
const SHARE_SPREAD: f64 = 0.2;
/// Deploys of a weekend day by those of a working day.
const WEEKEND_DEPLOYS: f64 = 0.12;
/// Faults by the multiple of errors: weight, least and greatest.
pub const FACTORS: [(f64, (f64, f64)); 5] = [
    (0.15, (1.5, 2.0)),
    (0.15, (2.0, 3.0)),
    (0.3, (3.0, 5.0)),
    (0.28, (5.0, 10.0)),
    (0.12, (10.0, 40.0)),
];
/// Latent faults by minutes from the deploy's start: weight, least and greatest.
pub const LATENCIES: [(f64, (f64, f64)); 3] = [(0.5, (2.0, 30.0)), (0.3, (30.0, 100.0)), (0.2, (130.0, 480.0))];
/// No service is bad before it is so old: whoever knows nothing of what is usual can convict nobody.
const BAD_AFTER: Duration = Duration::from_hours(8);
const BREATH: Duration = Duration::from_mins(2);

/// A service's deploys and the shifts of its traffic.
#[derive(Debug, Default)]
pub(super) struct Rollouts {
    pub(super) deploys: Vec<Deploy>,
    pub(super) shifts: Vec<Shift>,
}

struct Walk<'a> {
    family: &'a Family,
    service: &'a Service,
    place: usize,
    version: u32,
    next_version: u32,
    free_at: Timestamp,
    /// The bad deploy whose fault goes on.
    faulty: Option<usize>,
    done: Rollouts,
}

pub(super) fn rollouts(
    family: &Family,
    (place, service): (usize, &Service),
    span: (Timestamp, Timestamp),
    chance: &mut Chance,
) -> Rollouts {
    let mut walk = Walk {
        family,
        service,
        place,
        version: 1,
        next_version: 2,
        free_at: service.born_at,
        faulty: None,
        done: Rollouts {
            deploys: Vec::new(),
            shifts: vec![Shift {
                at: Timestamp::MIN,
                newer: 1,
                share: 1.0,
                older: 1,
            }],
        },
    };
    for at in times(service, span, chance) {
        walk.end_fault(at, chance);
        if at >= walk.free_at {
            walk.deploy(at, chance);
        }
    }
    walk.end_fault(span.1, chance);
    walk.done
}

/// Instants at which somebody deploys: in working hours, most of them.
fn times(service: &Service, (start, end): (Timestamp, Timestamp), chance: &mut Chance) -> Vec<Timestamp> {
    let mut all = Vec::new();
    let mut day = start;
    while day < end {
        let rate = service.deploys_per_day * if is_weekend(day) { WEEKEND_DEPLOYS } else { 1.0 };
        for _ in 0..chance.poisson(rate) {
            let hour = if chance.is(0.93) {
                chance.between((8.0, 19.0))
            } else {
                chance.between((0.0, 24.0))
            };
            let at = day + Duration::from_millis(whole(hour * 3_600_000.0));
            if at > service.born_at && at < end {
                all.push(at);
            }
        }
        day = day + Duration::from_hours(24);
    }
    all.sort_unstable();
    all
}

impl Walk<'_> {
    fn deploy(&mut self, at: Timestamp, chance: &mut Chance) {
        let (kind, is_redeploy) = match chance.unit() {
            u if u < 0.74 => (ChangeKind::Release, false),
            u if u < 0.82 => (ChangeKind::Config, false),
            u if u < 0.9 => (ChangeKind::Flag, false),
            u if u < 0.97 => (ChangeKind::Release, true),
            _ => (ChangeKind::Security, false),
        };
        let brings_version = !is_redeploy && matches!(kind, ChangeKind::Release | ChangeKind::Security);
        let mut stages = if kind == ChangeKind::Config || self.service.batch.is_some() {
            vec![at_once(at)]
        } else {
            self.stages(at, chance)
        };
        let is_bad = !is_redeploy
            && self.faulty.is_none()
            && at > self.service.born_at + BAD_AFTER
            && chance.is(self.family.bad);
        let fault = is_bad.then(|| self.fault(&stages, chance));
        let mut free_at = stages.last().map_or(at, |stage| stage.at) + BREATH;
        if let Some(fault) = fault.filter(|fault| fault.until < free_at) {
            // Taken back half-way: nothing else is rolled out meanwhile.
            stages.retain(|stage| stage.at < fault.until);
            free_at = fault.until + BREATH;
        }
        let version = if brings_version {
            self.next_version
        } else {
            self.version
        };
        let deploy = self.record(kind, stages, version, fault);
        if brings_version {
            self.next_version += 1;
            self.shift(&deploy);
            self.version = version;
        }
        self.free_at = free_at;
        if fault.is_some() {
            self.faulty = Some(self.done.deploys.len());
        }
        self.done.deploys.push(deploy);
    }

    fn stages(&self, at: Timestamp, chance: &mut Chance) -> Vec<Stage> {
        if chance.is(self.family.cut_over) {
            return vec![at_once(at)];
        }
        let (declared, minutes) = chance.pick(&STAGINGS);
        let mut next = at;
        let stages = declared.iter().map(|declared| {
            let spread = (SHARE_SPREAD * chance.normal()).exp();
            let stage = Stage {
                at: next,
                declared: *declared,
                share: if *declared < 1.0 {
                    (declared * spread).clamp(0.002, 0.97)
                } else {
                    1.0
                },
            };
            next = next + chance.seconds((minutes.0 * 60.0, minutes.1 * 60.0));
            stage
        });
        stages.collect()
    }

    fn fault(&self, stages: &[Stage], chance: &mut Chance) -> Fault {
        let started_at = stages.first().map_or(Timestamp::NEVER, |stage| stage.at);
        let factor = {
            let range = pick_weighted(&FACTORS, chance);
            chance.log_between(range)
        };
        let is_latent = self.service.batch.is_none() && chance.is(self.family.latent);
        let from = if is_latent {
            let range = pick_weighted(&LATENCIES, chance);
            started_at + chance.seconds((range.0 * 60.0, range.1 * 60.0))
        } else {
            started_at
        };
        let reached = stages.iter().rev().find(|stage| stage.at <= from);
        Fault {
            factor,
            from,
            until: from + self.repair(factor, chance),
            ending: Ending::RolledBack,
            share: reached.map_or(0.0, |stage| stage.share),
        }
    }

    /// How long people take to notice and to act: sooner where it hurts more.
    fn repair(&self, factor: f64, chance: &mut Chance) -> Duration {
        if self.service.batch.is_some() {
            // Nobody knows before the night.
            return chance.seconds((26.0 * 3_600.0, 30.0 * 3_600.0));
        }
        let median = match factor {
            f if f >= 5.0 => 45.0,
            f if f >= 3.0 => 75.0,
            f if f >= 2.0 => 120.0,
            _ => 240.0,
        };
        let minutes = (median * (0.6 * chance.normal()).exp()).clamp(15.0, 480.0);
        Duration::from_millis(whole(minutes * self.family.repair * 60_000.0))
    }

    fn record(&self, kind: ChangeKind, stages: Vec<Stage>, version: u32, fault: Option<Fault>) -> Deploy {
        Deploy {
            service: self.place,
            preview: None,
            id: format!("d-{}-{}", self.place, self.done.deploys.len()).into(),
            kind,
            stages,
            version,
            previous: self.version,
            shas: Vec::new(),
            fault,
        }
    }

    fn shift(&mut self, deploy: &Deploy) {
        let shifts = deploy.stages.iter().map(|stage| Shift {
            at: stage.at,
            newer: deploy.version,
            share: stage.share,
            older: deploy.previous,
        });
        self.done.shifts.extend(shifts);
    }

    /// Ends the fault that goes on, if people did so before `now`.
    fn end_fault(&mut self, now: Timestamp, chance: &mut Chance) {
        let Some((place, mut fault)) = self
            .faulty
            .and_then(|place| self.done.deploys[place].fault.map(|fault| (place, fault)))
        else {
            return;
        };
        // A rollout that is under way comes first.
        let until = if self.done.deploys.len() > place + 1 {
            fault.until.max(self.free_at)
        } else {
            fault.until
        };
        if until >= now {
            return;
        }
        fault.until = until;
        self.faulty = None;
        let bad = self.done.deploys[place].clone();
        let is_versioned = bad.version != bad.previous;
        if !is_versioned || self.version == bad.version {
            self.done.deploys[place].fault = Some(fault);
            if is_versioned {
                self.take_back(&bad, until, chance);
            }
            return;
        }
        fault.ending = Ending::Mended;
        self.done.deploys[place].fault = Some(fault);
        let hotfix = self.record(ChangeKind::Hotfix, vec![at_once(until)], self.next_version, None);
        self.shift(&hotfix);
        self.version = self.next_version;
        self.next_version += 1;
        self.free_at = until + BREATH;
        self.done.deploys.push(hotfix);
    }

    fn take_back(&mut self, bad: &Deploy, at: Timestamp, chance: &mut Chance) {
        self.version = bad.previous;
        self.done.shifts.push(Shift {
            at,
            newer: bad.previous,
            share: 1.0,
            older: bad.previous,
        });
        self.free_at = self.free_at.max(at + BREATH);
        if chance.is(0.5) {
            let mut back = self.record(ChangeKind::Rollback, vec![at_once(at)], bad.previous, None);
            back.previous = bad.version;
            self.done.deploys.push(back);
        }
    }
}

pub(super) fn at_once(at: Timestamp) -> Stage {
    Stage {
        at,
        declared: 1.0,
        share: 1.0,
    }
}

fn pick_weighted(choices: &[(f64, (f64, f64))], chance: &mut Chance) -> (f64, f64) {
    let mut left = chance.unit() * choices.iter().map(|(weight, _)| weight).sum::<f64>();
    let found = choices.iter().find(|(weight, _)| {
        left -= weight;
        left < 0.0
    });
    found.or(choices.last()).map_or((1.0, 1.0), |(_, range)| *range)
}

/// The deploys of a preview environment: one at its beginning, and one for each push.
pub(super) fn previews(
    place: usize,
    number: u32,
    (from, until): (Timestamp, Timestamp),
    chance: &mut Chance,
) -> Vec<Deploy> {
    let mut all = Vec::new();
    let mut at = from;
    while at < until {
        all.push(Deploy {
            service: place,
            preview: Some(number),
            id: format!("p-{place}-{number}-{}", all.len()).into(),
            kind: ChangeKind::Release,
            stages: vec![at_once(at)],
            version: number,
            previous: number,
            shas: Vec::new(),
            fault: None,
        });
        at = at + chance.seconds((1_800.0, 6.0 * 3_600.0));
    }
    all
}

/// Minutes in a stretch.
pub(super) fn minutes(duration: Duration) -> f64 {
    real(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)) / 60_000.0
}
