//! One trial: a fleet, its deploys, what is faulty, and what was said of it.

use holdpoint::model::{Action, Decision};

use crate::{
    chance::Chance,
    support::{Driver, at, deploy, minute, seconds},
};

const HISTORY: i64 = 300;
const AFTER: i64 = 100;
/// Minutes after the history within which all deploys begin, and within which the fault does.
const DEPLOYS_WITHIN: f64 = 55.0;
const REQUESTS: u64 = 10_000;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Callee,
    Own,
    Nobody,
}

#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) n_alarms: u32,
    pub(crate) n_hits: u32,
    pub(crate) n_random: f64,
    pub(crate) n_latest: u32,
    pub(crate) n_guilty: u32,
    pub(crate) n_frozen_guilty: u32,
    pub(crate) n_frozen_innocent: u32,
}

struct Site {
    name: String,
    calls: Vec<usize>,
    mean: f64,
    size: f64,
    deploys_at: Option<i64>,
    staged: bool,
    /// From which minute on its errors are how many times as many.
    rise: Option<(i64, f64)>,
}

pub(crate) struct Trial {
    chance: Chance,
    sites: Vec<Site>,
    guilty: Option<usize>,
}

impl Trial {
    pub(crate) fn new(fault: Fault, seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut sites: Vec<Site> = (0..12).map(|i| site(i, &mut chance)).collect();
        let begins = HISTORY + whole(chance.within(15.0, DEPLOYS_WITHIN));
        let factor = [3.0, 5.0, 10.0][chance.below(3)];
        // One in the middle or below for a callee and an outage, one above for an own fault.
        let origin = if fault == Fault::Own {
            chance.below(4)
        } else {
            4 + chance.below(8)
        };
        let suffers = if fault == Fault::Own {
            vec![(origin, 0)]
        } else {
            callers(&sites, origin)
        };
        for (i, hops) in &suffers {
            let share = 0.8_f64.powi(*hops);
            let lag = i64::from(*hops > 0 && chance.uniform() < 0.5);
            sites[*i].rise = Some((begins + lag, 1.0 + (factor - 1.0) * share));
        }
        let guilty = (fault != Fault::Nobody).then_some(origin);
        if guilty.is_some() {
            sites[origin].deploys_at =
                Some(begins - i64::from(chance.uniform() < 0.3) * whole(chance.within(0.0, 6.0)));
        }
        // Healthy ones overlap: those that suffer, what they call, and others.
        let mut others: Vec<usize> = suffers
            .iter()
            .map(|(i, _)| *i)
            .filter(|i| Some(*i) != guilty)
            .take(2)
            .collect();
        others.extend(sites[origin].calls.iter().copied().take(1));
        others.extend((0..2).map(|_| chance.below(12)));
        for i in others {
            if Some(i) != guilty {
                let at = begins + whole(chance.within(-40.0, 6.0));
                sites[i].deploys_at.get_or_insert(at);
                sites[i].staged = chance.uniform() < 0.3;
            }
        }
        Self { chance, sites, guilty }
    }

    pub(crate) fn run(mut self) -> Outcome {
        let mut driver = Driver::with_policy("mode = \"enforce\"\nlimiter.new_per_hour_min = 100\n");
        let catalog: Vec<String> = self.sites.iter().map(|site| entry(site, &self.sites)).collect();
        driver.events(&catalog, at(0));
        for i in 0..HISTORY + AFTER {
            let mut events = Vec::new();
            for site in &self.sites {
                let factor = site
                    .rise
                    .filter(|(from, _)| i >= *from)
                    .map_or(1.0, |(_, factor)| factor);
                let errors = self.chance.count(site.mean * factor, site.size);
                events.push(minute(&site.name, at(i), errors.min(REQUESTS), Some(REQUESTS)));
                events.extend(statuses(site, i));
            }
            driver.events(&events, at(i));
            for second in [12, 15, 30] {
                driver.time(at(i) + seconds(second));
            }
        }
        self.judge(&driver)
    }

    fn judge(&self, driver: &Driver) -> Outcome {
        let mut outcome = Outcome::default();
        for (i, site) in self.sites.iter().enumerate() {
            let of_site = driver
                .decisions
                .iter()
                .filter(|decision| decision.subject.service().as_str() == site.name);
            let held: Vec<&Decision> = of_site.filter(|decision| decision.action != Action::Proceed).collect();
            let frozen = held.iter().any(|decision| decision.action == Action::Freeze);
            if self.guilty == Some(i) {
                outcome.n_guilty += 1;
                outcome.n_frozen_guilty += u32::from(frozen);
            } else {
                outcome.n_frozen_innocent += u32::from(frozen);
            }
            let Some(suspect) = held.iter().rev().find_map(|decision| decision.suspects.first()) else {
                continue;
            };
            if site.rise.is_none() {
                continue;
            }
            outcome.n_alarms += 1;
            let accused = suspect.deploy_id.as_deref().map(ToOwned::to_owned);
            outcome.n_hits += u32::from(accused == self.guilty.map(|guilty| id(&self.sites[guilty])));
            self.guess(i, &mut outcome);
        }
        outcome
    }

    /// How the simple rules would have done for one that alarms.
    fn guess(&self, i: usize, outcome: &mut Outcome) {
        let mut near = vec![i];
        for hop in 0..3 {
            let next: Vec<usize> = near.iter().flat_map(|i| self.sites[*i].calls.clone()).collect();
            near.extend(next.into_iter().filter(|_| hop < 3));
            near.sort_unstable();
            near.dedup();
        }
        let rise = self.sites[i].rise.map_or(i64::MAX, |(from, _)| from + 10);
        let deploys: Vec<(i64, usize)> = near
            .into_iter()
            .filter_map(|i| self.sites[i].deploys_at.filter(|at| *at <= rise).map(|at| (at, i)))
            .collect();
        let n = f64::from(u32::try_from(deploys.len()).unwrap_or(1)) + 1.0;
        outcome.n_random += 1.0 / n;
        let latest = deploys.iter().max().map(|(_, i)| *i);
        outcome.n_latest += u32::from(latest == self.guilty);
    }
}

fn site(i: usize, chance: &mut Chance) -> Site {
    // Four above call two in the middle each, those call one or two below, and all of these the last.
    let calls = match i {
        0..4 => vec![4 + i % 4, 4 + (i + 1) % 4],
        4..8 => vec![8 + i % 3, 8 + (i + 1) % 3],
        8..11 => vec![11],
        _ => Vec::new(),
    };
    Site {
        name: format!("service-{i:02}"),
        calls,
        mean: chance.within(4.0, 40.0),
        size: chance.within(3.0, 20.0),
        deploys_at: None,
        staged: false,
        rise: None,
    }
}

fn whole(value: f64) -> i64 {
    #[expect(clippy::cast_possible_truncation, clippy::as_conversions, reason = "minutes")]
    let whole = value.round() as i64;
    whole
}

fn id(site: &Site) -> String {
    format!("d-{}", site.name)
}

/// A service and those that call it, each with its distance.
fn callers(sites: &[Site], origin: usize) -> Vec<(usize, i32)> {
    let mut found = vec![(origin, 0)];
    for hops in 1..=2 {
        for (i, site) in sites.iter().enumerate() {
            let calls = site
                .calls
                .iter()
                .any(|callee| found.iter().any(|(known, at)| known == callee && *at == hops - 1));
            if calls && found.iter().all(|(known, _)| *known != i) {
                found.push((i, hops));
            }
        }
    }
    found
}

fn entry(site: &Site, sites: &[Site]) -> String {
    let calls: Vec<String> = site.calls.iter().map(|i| format!("\"{}\"", sites[*i].name)).collect();
    format!(
        r#"{{"kind":"service","id":"c-{0}","time":"{1}","service":"{0}","depends_on":[{2}]}}"#,
        site.name,
        at(0),
        calls.join(",")
    )
}

fn statuses(site: &Site, i: i64) -> Vec<String> {
    let Some(deploys_at) = site.deploys_at else {
        return Vec::new();
    };
    let stage = |exposure: &str| {
        if site.staged {
            format!(r#","exposure":{exposure}"#)
        } else {
            String::new()
        }
    };
    match i - deploys_at {
        0 => vec![deploy(&site.name, &id(site), at(i), "started", &stage("0.1"))],
        10 if site.staged => vec![deploy(&site.name, &id(site), at(i), "progressing", &stage("0.5"))],
        20 => vec![deploy(&site.name, &id(site), at(i), "succeeded", "")],
        _ => Vec::new(),
    }
}
