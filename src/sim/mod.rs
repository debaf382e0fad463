//! This is where fleets are made up, to test on and to judge by: services that fail in every way but the ideal one, and
//! the truth of what was wrong with them, which no recorded history has.
//!
//! ```text
//! seed, family ─► services ─► deploys, outages, storms, gaps ─► who suffers ─► truth
//!                                                                  │
//!                    events in native JSON, as they arrive ◄────── stream ─► glimpses: for whoever knows all
//! ```
//! Errors are negative binomial around traffic, hour, weekday and a slow drift ([`Signal`]); deploys come in stages,
//! some of them bad at once or after hours; what fails takes its callers with it; reporters are late, repeat themselves
//! and fall silent. It is an open loop: nothing that is decided on the events changes what happens next.
//!
//! **Invariant:** a family, a seed and a number of days give the same truth and the same bytes.
//! **Invariant:** names `model` only.

mod calendar;
mod chance;
mod change;
mod family;
mod fleet;
mod rollout;
mod signal;
mod stream;
mod telemetry;
mod trouble;
mod truth;

#[cfg(test)]
mod tests;

pub use family::Family;
pub use fleet::{Batch, Dependency, Reporting, Service};
pub use rollout::{FACTORS, LATENCIES, Shift};
pub use signal::Signal;
pub use stream::{Arrived, Stream};
pub use telemetry::Glimpse;
pub use truth::{Cause, Deploy, Ending, Fault, Gap, Outage, Raise, Stage, Storm, Truth};

use std::time::Duration;

use self::{calendar::Planned, chance::Chance, change::Commit};
use crate::model::Timestamp;

/// When every simulation begins: Monday, 2026-03-02T00:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_772_409_600_000);
/// Share of services with preview environments in a week, and how many more than one they have at most.
const WITH_PREVIEWS: f64 = 0.12;
const PREVIEWS_MAX: u64 = 3;

/// Branches of the seed.
mod branch {
    pub(super) const FLEET: u64 = 0x10;
    pub(super) const ROLLOUTS: u64 = 0x11;
    pub(super) const STORMS: u64 = 0x12;
    pub(super) const GAPS: u64 = 0x13;
    pub(super) const RAISES: u64 = 0x14;
    pub(super) const OUTAGES: u64 = 0x15;
    pub(super) const PREVIEWS: u64 = 0x16;
    pub(super) const COMMITS: u64 = 0x17;
    pub(super) const CALENDAR: u64 = 0x18;
}

/// A fleet, and all that happens to it.
#[derive(Debug)]
pub struct Simulation {
    family: Family,
    seed: u64,
    end: Timestamp,
    services: Vec<Service>,
    /// By service, the versions its traffic is on.
    shifts: Vec<Vec<Shift>>,
    previews: Vec<Preview>,
    commits: Vec<Commit>,
    calendar: Vec<Planned>,
    truth: Truth,
}

/// A preview environment while it lives.
#[derive(Debug, Clone, Copy)]
struct Preview {
    service: usize,
    number: u32,
    from: Timestamp,
    until: Timestamp,
}

impl Simulation {
    /// Draws what is to happen in `days` from [`START`] on. The first of them has deploys too, most of which find no
    /// baseline yet.
    #[must_use]
    pub fn new(family: &Family, seed: u64, days: u16) -> Self {
        let root = Chance::new(seed);
        let end = START + Duration::from_hours(24) * u32::from(days);
        let mut simulation = Self {
            services: fleet::fleet(family, START, days, &root.branch(branch::FLEET)),
            family: family.clone(),
            seed,
            end,
            shifts: Vec::new(),
            previews: Vec::new(),
            commits: Vec::new(),
            calendar: Vec::new(),
            truth: Truth::default(),
        };
        simulation.draw_deploys(&root);
        simulation.draw_previews(&mut root.branch(branch::PREVIEWS));
        simulation.draw_trouble(&root);
        let mut chance = root.branch(branch::COMMITS);
        for deploy in &mut simulation.truth.deploys {
            let commits = change::commits(family, deploy, &mut chance);
            simulation.commits.extend(commits);
        }
        let (services, truth, commits) = (&simulation.services, &simulation.truth, &simulation.commits);
        simulation.calendar = calendar::calendar(services, truth, commits, &root.branch(branch::CALENDAR));
        simulation
    }

    fn span(&self) -> (Timestamp, Timestamp) {
        (START, self.end)
    }

    fn draw_deploys(&mut self, root: &Chance) {
        let span = self.span();
        for (place, service) in self.services.iter().enumerate() {
            let chance = &mut root.branch(branch::ROLLOUTS).branch(label(place));
            let mut rollouts = rollout::rollouts(&self.family, (place, service), span, chance);
            self.truth.deploys.append(&mut rollouts.deploys);
            self.shifts.push(rollouts.shifts);
        }
    }

    fn draw_previews(&mut self, chance: &mut Chance) {
        let mut number = 0;
        for (place, service) in self.services.iter().enumerate() {
            if !chance.is(WITH_PREVIEWS) || service.batch.is_some() {
                continue;
            }
            for _ in 0..=chance.below(PREVIEWS_MAX) {
                number += 1;
                let length = chance.seconds((3.0 * 3_600.0, 48.0 * 3_600.0));
                let latest = self.end.since(service.born_at).as_secs_f64();
                let from = service.born_at + chance.seconds((0.0, latest));
                let preview = Preview {
                    service: place,
                    number,
                    from,
                    until: from + length,
                };
                let span = (preview.from, preview.until.min(self.end));
                self.truth
                    .deploys
                    .extend(rollout::previews(place, number, span, chance));
                self.previews.push(preview);
            }
        }
    }

    fn draw_trouble(&mut self, root: &Chance) {
        let span = self.span();
        let chance = &mut root.branch(branch::OUTAGES);
        self.truth.outages = trouble::outages(&self.family, &self.services, span, chance);
        let mut raises: Vec<Vec<Raise>> = Vec::with_capacity(self.services.len());
        for (place, service) in self.services.iter().enumerate() {
            let branch = |of: u64| root.branch(of).branch(label(place));
            let own: Vec<(usize, &Deploy)> = (0..)
                .zip(&self.truth.deploys)
                .filter(|(_, deploy)| deploy.service == place && deploy.preview.is_none())
                .collect();
            if trouble::has_storms(service) {
                let storms = trouble::storms(&self.family, place, span, &mut branch(branch::STORMS));
                self.truth.storms.extend(storms);
            }
            let deploys: Vec<Deploy> = own.iter().map(|(_, deploy)| (*deploy).clone()).collect();
            let gaps = trouble::gaps(&self.family, place, (span, &deploys), &mut branch(branch::GAPS));
            self.truth.gaps.extend(gaps);
            let mut own = trouble::own_raises(&self.family, &own, &mut branch(branch::RAISES));
            for (i, outage) in self.truth.outages.iter().enumerate() {
                if outage.service == place {
                    own.push(Raise {
                        from: outage.from,
                        until: outage.until,
                        excess: outage.factor - 1.0,
                        versions_from: None,
                        cause: Cause::Outage(i),
                        by: None,
                    });
                }
            }
            raises.push(own);
        }
        trouble::pass_on(&self.services, &self.shifts, &mut raises);
        self.truth.raises = raises;
    }

    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The first instant that is not in it.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        self.end
    }

    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    #[must_use]
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// Which versions a service's traffic is on, from when on.
    #[must_use]
    pub fn shifts(&self, service: usize) -> &[Shift] {
        self.shifts.get(service).map_or(&[], Vec::as_slice)
    }

    /// Its events from the beginning.
    #[must_use]
    pub fn stream(&self) -> Stream<'_> {
        Stream::new(self)
    }
}

fn label(place: usize) -> u64 {
    u64::try_from(place).unwrap_or(u64::MAX)
}
