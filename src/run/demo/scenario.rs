//! What happens in the demo: a schedule that a seed draws, in fleet time.
//!
//! Five of twelve deploys are bad, one of them only after a while; AI has had a hand in good and bad ones alike. Two
//! troubles come from no deploy: an upstream that fails for several services at once, and an incident of the worst
//! severity. Only services without a deploy under watch have those, so that who is frozen for a deploy is never open
//! to dispute.

use std::{fmt, time::Duration};

use super::{
    chance::Chance,
    fleet::{Member, fleet},
};
use crate::model::Timestamp;

/// When the deploys begin, by the fleet's clock: 2026-03-10T14:00:00Z. Before it is history, enough for baselines.
pub(super) const LIVE: Timestamp = Timestamp::from_millis(1_773_151_200_000);
pub(super) const HISTORY: Duration = Duration::from_mins(5 * 60 + 20);
/// How long the live part lasts.
pub(super) const LIVE_LENGTH: Duration = Duration::from_mins(70);
pub(super) const MINUTE: Duration = Duration::from_mins(1);

/// Minutes after [`LIVE`] at which a deploy begins, give or take one.
const SLOTS: [u64; 12] = [2, 6, 10, 13, 17, 21, 25, 28, 32, 36, 40, 44];
/// A latent fault is in one of the first so many deploys; the last one is good: both leave time to see.
const LATENT_WITHIN: u64 = 4;
const BAD_WITHIN: usize = 11;
const N_BAD: usize = 5;
const N_BAD_WITH_AI: usize = 2;
const N_GOOD_WITH_AI: usize = 3;
/// Services that the outage hits.
const N_OUTAGE: usize = 4;
const UPSTREAM: &str = "message-bus";

#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) seed: u64,
    pub(super) fleet: Vec<Member>,
    /// In the order of their beginnings.
    pub(super) deploys: Vec<Deploy>,
    pub(super) commits: Vec<Commit>,
    pub(super) outage: Outage,
    pub(super) incident: Incident,
    /// A person lets the service of this deploy proceed, for a while, although it is frozen.
    pub(super) word: Word,
}

#[derive(Debug)]
pub(super) struct Deploy {
    pub(super) id: String,
    pub(super) service: usize,
    /// When it reached which share of the traffic; the first is its beginning.
    pub(super) stages: Vec<(Timestamp, f64)>,
    pub(super) fault: Option<Fault>,
    pub(super) rolled_back_at: Option<Timestamp>,
    /// Whether AI had a hand in one of its commits.
    pub(super) ai: bool,
    pub(super) shas: Vec<String>,
}

/// What a bad deploy does to errors.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) from: Timestamp,
    /// Errors as a multiple of the usual ones, where all traffic is on the new version.
    pub(super) times: f64,
}

#[derive(Debug)]
pub(super) struct Commit {
    pub(super) service: usize,
    pub(super) sha: String,
    pub(super) at: Timestamp,
    pub(super) ai: &'static str,
    pub(super) author_level: &'static str,
    pub(super) lines_added: u64,
    pub(super) files: u64,
    /// When a senior other than the author approved it.
    pub(super) approved_at: Option<Timestamp>,
}

/// An upstream fails: no deploy did it.
#[derive(Debug)]
pub(super) struct Outage {
    pub(super) upstream: &'static str,
    pub(super) services: Vec<usize>,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) times: f64,
}

/// An incident of severity 1.
#[derive(Debug)]
pub(super) struct Incident {
    pub(super) service: usize,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) times: f64,
}

#[derive(Debug)]
pub(super) struct Word {
    pub(super) deploy: usize,
    pub(super) at: Timestamp,
    pub(super) until: Timestamp,
}

fn minutes(n: u64) -> Duration {
    Duration::from_mins(n)
}

impl Deploy {
    pub(super) fn at(&self) -> Timestamp {
        self.stages.first().map_or(LIVE, |(at, _)| *at)
    }

    /// The share of traffic on the new version.
    fn exposure(&self, at: Timestamp) -> f64 {
        let reached = self.stages.iter().rev().find(|(since, _)| *since <= at);
        let taken_back = self.rolled_back_at.is_some_and(|back| back <= at);
        reached.filter(|_| !taken_back).map_or(0.0, |(_, share)| *share)
    }

    /// What it does to the errors of the minute that ends at `to`.
    fn times(&self, to: Timestamp) -> f64 {
        let Some(fault) = &self.fault else { return 1.0 };
        let beginning = fault.from.max(self.at());
        1.0 + (fault.times - 1.0) * self.exposure(to) * overlap(beginning, Timestamp::NEVER, to)
    }

    pub(super) fn is_latent(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.from > self.at())
    }
}

/// Which share of the minute that ends at `to` lies between `from` and `until`.
fn overlap(from: Timestamp, until: Timestamp, to: Timestamp) -> f64 {
    let start = (to - MINUTE).max(from);
    to.min(until).since(start).as_secs_f64() / MINUTE.as_secs_f64()
}

impl Scenario {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let fleet = fleet(&mut chance);
        let mut cast: Vec<usize> = (0..fleet.len()).filter(|i| !fleet[*i].is_sparse()).collect();
        chance.shuffle(&mut cast);
        let rest = cast.split_off(SLOTS.len());
        let mut deploys = deploys(&cast, &mut chance);
        // The first that is bad at once is rolled back; the second one's service gets a person's word.
        let at_once: Vec<usize> = (0..deploys.len())
            .filter(|i| deploys[*i].fault.is_some() && !deploys[*i].is_latent())
            .collect();
        let word = Word {
            deploy: at_once[1],
            at: deploys[at_once[1]].at() + minutes(16),
            until: deploys[at_once[1]].at() + minutes(36),
        };
        let back = &mut deploys[at_once[0]];
        back.rolled_back_at = Some(back.at() + minutes(15));
        let commits = commits(fleet.len(), &mut deploys, &mut chance);
        let outage_at = LIVE + minutes(47) + Duration::from_secs(chance.below(120));
        let incident_at = LIVE + minutes(18) + Duration::from_secs(chance.below(120));
        Self {
            seed,
            deploys,
            commits,
            outage: Outage {
                upstream: UPSTREAM,
                services: rest[..N_OUTAGE].to_vec(),
                from: outage_at,
                until: outage_at + minutes(11),
                times: chance.between(4.0, 7.0),
            },
            incident: Incident {
                service: rest[N_OUTAGE],
                from: incident_at,
                until: incident_at + minutes(12),
                times: chance.between(6.0, 10.0),
            },
            word,
            fleet,
        }
    }

    /// The instants between which anything is told.
    pub(super) fn span() -> (Timestamp, Timestamp) {
        (LIVE - HISTORY, LIVE + LIVE_LENGTH)
    }

    /// Errors in the minute that ends at `to`, as a multiple of the usual ones.
    pub(super) fn times(&self, service: usize, to: Timestamp) -> f64 {
        let of_deploys = self
            .deploys
            .iter()
            .filter(|deploy| deploy.service == service)
            .map(|deploy| deploy.times(to))
            .product::<f64>();
        let Outage {
            services,
            from,
            until,
            times,
            ..
        } = &self.outage;
        let of_outage = f64::from(u8::from(services.contains(&service))) * (times - 1.0) * overlap(*from, *until, to);
        let Incident { from, until, times, .. } = &self.incident;
        let is_hit = f64::from(u8::from(self.incident.service == service));
        of_deploys + of_outage + is_hit * (times - 1.0) * overlap(*from, *until, to)
    }

    pub(super) fn name(&self, service: usize) -> &'static str {
        self.fleet[service].name
    }

    /// What people would see happen, in order.
    pub(super) fn milestones(&self) -> Vec<Milestone> {
        let mut all = Vec::new();
        let mut add = |at: Timestamp, text: String| all.push(Milestone { at, text });
        for deploy in &self.deploys {
            let name = self.name(deploy.service);
            for (i, (at, share)) in deploy.stages.iter().enumerate() {
                let what = if i == 0 { "begins at" } else { "reaches" };
                let ai = if deploy.ai && i == 0 {
                    ", AI had a hand in it"
                } else {
                    ""
                };
                add(
                    *at,
                    format!("deploy {} of {name} {what} {:.0} %{ai}", deploy.id, share * 100.0),
                );
            }
            if let Some(fault) = &deploy.fault {
                let text = format!(
                    "in truth {} is bad: {:.1} times the errors in {name}",
                    deploy.id, fault.times
                );
                add(fault.from.max(deploy.at()), text);
            }
            if let Some(back) = deploy.rolled_back_at {
                add(back, format!("deploy {} of {name} is rolled back", deploy.id));
            }
        }
        let names: Vec<&str> = self.outage.services.iter().map(|service| self.name(*service)).collect();
        let upstream = self.outage.upstream;
        add(
            self.outage.from,
            format!("{upstream} fails, no deploy did it: {}", names.join(", ")),
        );
        add(self.outage.until, format!("{upstream} works again"));
        let name = self.name(self.incident.service);
        add(self.incident.from, format!("incident of severity 1 in {name}"));
        add(self.incident.until, format!("the incident in {name} is resolved"));
        let name = self.name(self.deploys[self.word.deploy].service);
        add(self.word.at, format!("a person lets {name} proceed for 20 minutes"));
        all.sort_by_key(|milestone| milestone.at);
        all
    }
}

#[derive(Debug)]
pub(super) struct Milestone {
    pub(super) at: Timestamp,
    pub(super) text: String,
}

/// A clock's hours, minutes and seconds.
pub(super) struct Hour(pub(super) Timestamp);

impl fmt::Display for Hour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let second = self.0.millis().div_euclid(1_000).rem_euclid(86_400);
        write!(f, "{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
    }
}

fn deploys(cast: &[usize], chance: &mut Chance) -> Vec<Deploy> {
    let latent = usize::try_from(chance.below(LATENT_WITHIN)).unwrap_or(0);
    let mut candidates: Vec<usize> = (0..BAD_WITHIN).filter(|i| *i != latent).collect();
    chance.shuffle(&mut candidates);
    let mut bad = candidates[..N_BAD - 1].to_vec();
    bad.push(latent);
    let mut good: Vec<usize> = (0..SLOTS.len()).filter(|i| !bad.contains(i)).collect();
    chance.shuffle(&mut bad);
    chance.shuffle(&mut good);
    let with_ai = [&bad[..N_BAD_WITH_AI], &good[..N_GOOD_WITH_AI]].concat();
    let slots = SLOTS.iter().zip(cast).enumerate();
    slots
        .map(|(i, (slot, service))| {
            let at = LIVE + minutes(*slot) + Duration::from_secs(60 * chance.below(2) + 5 + chance.below(15));
            let is_bad = bad.contains(&i);
            let from = if i == latent {
                at + Duration::from_secs(15 * 60 + chance.below(300))
            } else {
                at
            };
            Deploy {
                id: format!("d-{:02}", i + 1),
                service: *service,
                stages: stages(at, is_bad, chance),
                fault: is_bad.then(|| Fault {
                    from,
                    times: chance.between(5.0, 8.0),
                }),
                rolled_back_at: None,
                ai: with_ai.contains(&i),
                shas: Vec::new(),
            }
        })
        .collect()
}

/// All at once or step by step; a bad one reaches everybody soon, as a frozen service would go no further.
fn stages(at: Timestamp, is_bad: bool, chance: &mut Chance) -> Vec<(Timestamp, f64)> {
    match (chance.is(0.5), is_bad) {
        (true, _) => vec![(at, 1.0)],
        (false, true) => vec![(at, 0.5), (at + minutes(2), 1.0)],
        (false, false) => vec![(at, 0.1), (at + minutes(4), 0.5), (at + minutes(9), 1.0)],
    }
}

/// Those of the deploys, each approved, and others all day long.
fn commits(n_services: usize, deploys: &mut [Deploy], chance: &mut Chance) -> Vec<Commit> {
    let mut all = Vec::new();
    for deploy in deploys {
        for i in 0..=chance.below(3) {
            let at = deploy.at() - Duration::from_secs(720 + chance.below(2_400));
            // AI had a hand in the first, or in none of them.
            let ai = match (deploy.ai, i) {
                (true, 0) => *chance.pick(&["assisted", "authored"]),
                _ => "none",
            };
            let commit = commit(deploy.service, at, ai, true, chance);
            deploy.shas.push(commit.sha.clone());
            all.push(commit);
        }
    }
    let live_s = LIVE_LENGTH.as_secs() - 600;
    let history_s = HISTORY.as_secs() - 1_200;
    for i in 0..110_u64 {
        let at = if i < 60 {
            LIVE - Duration::from_secs(600 + chance.below(history_s))
        } else {
            LIVE + Duration::from_secs(60 + chance.below(live_s))
        };
        let service = usize::try_from(chance.below(u64::try_from(n_services).unwrap_or(1))).unwrap_or(0);
        let ai = *chance.pick(&["none", "none", "none", "unknown", "assisted", "authored"]);
        let approved = chance.is(0.8);
        all.push(commit(service, at, ai, approved, chance));
    }
    all.sort_by_key(|commit| commit.at);
    all
}

fn commit(service: usize, at: Timestamp, ai: &'static str, approved: bool, chance: &mut Chance) -> Commit {
    let author_level = *chance.pick(&["junior", "mid", "mid", "senior", "staff", "unknown"]);
    let size = [3, 12, 30, 80, 200, 900];
    let lines_added = chance.pick(&size) + chance.below(20);
    Commit {
        service,
        sha: format!("{:016x}{:08x}", chance.below(u64::MAX), chance.below(1 << 32)),
        at,
        ai,
        author_level,
        lines_added,
        files: 1 + lines_added / 40,
        approved_at: approved.then(|| at + Duration::from_secs(120 + chance.below(300))),
    }
}
