//! The null grid of what is judged beside the version it replaces: false alarms at a nominal 1 %, and power.
//!
//! A rollout that stays at a share of the traffic for its whole watch, by records that name the version. Versions scatter
//! together, as the hour and the traffic make them, or each by itself, as instances do; the old one's records may be lost, and
//! each may wander by itself.

use std::time::Duration;

use holdpoint::{
    model::{Timestamp, UnitInterval},
    score::{Policy, Told, Trial},
};

use crate::{
    Options,
    chance::Chance,
    oracle::Oracle,
    run::{Fault, LN_NOMINAL, LONGEST_MINUTES, MINUTE_MS, Shown},
    share,
    source::{Source, Truth},
};

/// Mean errors a minute of all traffic.
const MEANS: [f64; 5] = [0.1, 1.0, 10.0, 100.0, 1_000.0];
/// What the new version has of the traffic.
const SHARES: [f64; 5] = [0.002, 0.02, 0.05, 0.2, 0.45];
/// Attempts for each error that is usual.
const REQUESTS: f64 = 50.0;
const WATCHES_EACH: u32 = 5;
/// Healthy watches before those that are counted, so that it is known how shares scatter; a third of a day apart.
const HEALTHY_BEFORE: u32 = 6;
/// The size of a minute's errors where each instance scatters by itself: a share p of them has the size p times as large.
const INSTANCES: f64 = 5.0;

/// How the two versions scatter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Scatter {
    /// By chance alone.
    Poisson,
    /// Together: size 5, autocorrelated, by the hour.
    Shared,
    /// Each by itself.
    Instances,
    /// Each by itself, and one in ten of the old version's records is lost.
    Lost,
    /// Each version's rate wanders by itself, minutes at a time.
    Wandering,
}

impl Scatter {
    const ALL: [Self; 5] = [
        Self::Poisson,
        Self::Shared,
        Self::Instances,
        Self::Lost,
        Self::Wandering,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Poisson => "Poisson",
            Self::Shared => "shared NB5+AR+diurnal",
            Self::Instances => "instances NB k=5",
            Self::Lost => "instances, records lost",
            Self::Wandering => "versions AR(1) sd .3",
        }
    }
}

/// How well it is known what the new version has of the traffic.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Known {
    /// Attempts are told.
    Requests,
    /// Its share is declared.
    Declared,
}

/// A service whose records name the version.
#[derive(Debug, Clone)]
struct Service {
    trial: Trial,
    source: Source,
    /// What the new version's rate is multiplied by, and the old one's, where each wanders.
    own: Option<[Source; 2]>,
    mean: f64,
    scatter: Scatter,
    known: Known,
    minute: i64,
    n_deploys: u32,
}

/// A minute as it turned out.
struct Minute {
    /// The new version's errors.
    new: u64,
    /// What strikes the new version, alone or with the old one, as a multiple of the mean.
    of_new: f64,
}

impl Service {
    fn new(scatter: Scatter, known: Known, mean: f64, policy: &str, chance: &mut Chance) -> Self {
        let truth = match scatter {
            Scatter::Shared => Truth::Nb5ArDiurnal,
            Scatter::Poisson | Scatter::Instances | Scatter::Lost | Scatter::Wandering => Truth::Poisson,
        };
        let names = (
            "service".parse().expect("a name"),
            "production".parse().expect("a name"),
        );
        let policy = Policy::parse(policy).expect("a policy");
        Self {
            trial: Trial::new(names.0, names.1, policy, Timestamp::from_millis(0)),
            source: Source::new(truth, mean, chance),
            own: (scatter == Scatter::Wandering).then(|| [0, 1].map(|_| Source::new(Truth::Ar, 1.0, chance))),
            mean,
            scatter,
            known,
            minute: 0,
            n_deploys: 0,
        }
    }

    /// The version that a deploy brings.
    fn version(n_deploys: u32) -> String {
        format!("v{n_deploys}")
    }

    /// Lets a minute pass in which the last deploy has the share `p` of the traffic, and `multiple` times the usual errors.
    fn pass(&mut self, p: f64, multiple: f64, chance: &mut Chance) -> Minute {
        let shared = self.source.rate(self.minute, chance) / self.mean;
        let own = self.own.as_mut();
        let [own_new, own_old] = own.map_or([1.0; 2], |own| own.each_mut().map(|own| own.rate(self.minute, chance)));
        let size = |of: f64| match self.scatter {
            Scatter::Poisson | Scatter::Shared | Scatter::Wandering => None,
            Scatter::Instances | Scatter::Lost => Some(INSTANCES * of),
        };
        let mut errors = |of: f64, multiple: f64| {
            if of <= 0.0 {
                return 0;
            }
            let own = size(of).map_or(1.0, |size| chance.gamma_of_mean_one(size));
            chance.poisson(self.mean * of * multiple * shared * own)
        };
        let (new, old) = (errors(p, multiple * own_new), errors(1.0 - p, own_old));
        let requests = |of: f64, chance: &mut Chance| {
            (self.known == Known::Requests).then(|| chance.poisson(self.mean.max(1.0) * REQUESTS * of))
        };
        let time = Timestamp::from_millis(self.minute * MINUTE_MS) + Duration::from_secs(30);
        let mut tell = |errors: u64, requests: Option<u64>, version: u32| {
            let told = Told {
                errors,
                requests,
                interval: Duration::from_mins(1),
                version: Some(&Self::version(version)),
            };
            assert!(self.trial.errors(time, &told), "on time");
        };
        if p > 0.0 {
            let attempts = requests(p, chance);
            if new > 0 || attempts.is_some() {
                tell(new, attempts, self.n_deploys);
            }
        }
        let attempts = requests(1.0 - p, chance);
        let is_lost = self.scatter == Scatter::Lost && p > 0.0 && chance.uniform() < 0.1;
        if !is_lost && p < 1.0 {
            tell(old, attempts, self.n_deploys - u32::from(p > 0.0));
        }
        self.minute += 1;
        self.trial
            .advance(Timestamp::from_millis(self.minute * MINUTE_MS) + Duration::from_secs(10));
        Minute {
            new,
            of_new: shared * own_new,
        }
    }

    fn idle(&mut self, minutes: i64, chance: &mut Chance) {
        for _ in 0..minutes {
            self.pass(0.0, 1.0, chance);
        }
    }

    /// Rolls out to the share `p` and watches; a conviction is one at the nominal 1 %.
    fn watch(&mut self, p: f64, base: f64, fault: Option<Fault>, chance: &mut Chance) -> Shown {
        self.n_deploys += 1;
        let (new, old) = (Self::version(self.n_deploys), Self::version(self.n_deploys - 1));
        self.trial.deploy(
            Timestamp::from_millis(self.minute * MINUTE_MS),
            &new,
            (Some(&new), Some(&old)),
            Some(UnitInterval::new(p).expect("a share")),
        );
        let mut oracle = Oracle::new(
            match self.scatter {
                Scatter::Poisson | Scatter::Shared | Scatter::Wandering => 1e9,
                Scatter::Instances | Scatter::Lost => INSTANCES * p,
            },
            fault.map_or(1.0, |fault| fault.multiple),
        );
        let mut shown = Shown::default();
        for minute in 0..LONGEST_MINUTES {
            let Some(reading) = self.trial.reading() else { break };
            shown.ln_e_max = shown.ln_e_max.max(reading.ln_e);
            let running = fault.filter(|fault| minute >= fault.from);
            if let Some(fault) = running
                && shown.delay.is_none()
                && reading.ln_e >= LN_NOMINAL
                && reading.is_material
            {
                shown.delay = u32::try_from(minute - fault.from).ok();
            }
            let errors = self.pass(p, running.map_or(base, |fault| fault.multiple), chance);
            if let Some(fault) = running {
                #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a small count")]
                let ln_ratio = oracle.observe(errors.new as f64, self.mean * p * errors.of_new);
                if ln_ratio >= LN_NOMINAL && shown.oracle_delay.is_none() {
                    shown.oracle_delay = u32::try_from(minute - fault.from + 1).ok();
                }
            }
        }
        shown
    }
}

/// Counts of one cell.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    n: u32,
    /// Of the first rollout there was, of later ones, and of both at the margin's edge.
    false_alarms: [u32; 4],
    found: u32,
    found_by_oracle: u32,
}

impl Known {
    fn name(self) -> &'static str {
        match self {
            Self::Requests => "told",
            Self::Declared => "not told",
        }
    }

    /// Up to how many times as bad as the old one a version is harmless.
    fn margin(self) -> f64 {
        match self {
            Self::Requests => 1.25,
            Self::Declared => 1.5,
        }
    }
}

fn cells(scatter: Scatter, known: Known, mean: f64, options: &Options, chance: &mut Chance) -> [Cell; SHARES.len()] {
    let mut cells = [Cell::default(); SHARES.len()];
    for _ in 0..options.trials {
        let mut first = Service::new(scatter, known, mean, &options.policy, chance);
        first.idle(i64::from(3 * 1_440 + chance.below(1_440)), chance);
        let mut later = first.clone();
        for _ in 0..HEALTHY_BEFORE {
            let p = SHARES[usize::try_from(chance.below(5)).expect("small")];
            later.watch(p, 1.0, None, chance);
            later.idle(480, chance);
            while later.trial.reading().is_some() {
                later.idle(60, chance);
            }
        }
        for (cell, p) in cells.iter_mut().zip(SHARES) {
            for _ in 0..WATCHES_EACH {
                cell.n += 1;
                let edge = known.margin();
                let healthy = [(&first, 1.0), (&later, 1.0), (&first, edge), (&later, edge)];
                for (n, (service, base)) in cell.false_alarms.iter_mut().zip(healthy) {
                    let shown = service.clone().watch(p, base, None, chance);
                    *n += u32::from(shown.ln_e_max >= LN_NOMINAL);
                }
                let fault = Fault {
                    from: i64::from(chance.below(60)),
                    multiple: 5.0,
                };
                let shown = later.clone().watch(p, 1.0, Some(fault), chance);
                cell.found += u32::from(shown.delay.is_some());
                cell.found_by_oracle += u32::from(shown.oracle_delay.is_some());
            }
        }
    }
    cells
}

pub(crate) fn print(options: &Options) {
    let Options { seed, trials, .. } = *options;
    println!(
        "Versions told apart: false alarms at a nominal 1 % of a first rollout, of later ones, and of both where the version is 1.25 \
         times as bad (1.5 where"
    );
    println!(
        "attempts are not told), the greatest of all means; and of 5 times the errors from a minute of the first hour on the share \
         found of what an oracle"
    );
    println!("finds, by mean. {trials} services a mean, {WATCHES_EACH} watches of each kind. Seed {seed}.");
    let means: Vec<String> = MEANS.iter().map(|mean| format!(" {mean} |")).collect();
    println!(
        "| scatter | attempts | share | first; later | at the margin |{}",
        means.concat()
    );
    println!("| --- | --- | --- | --- | --- |{}", " --- |".repeat(MEANS.len()));
    for (row, scatter) in (1_u64..).zip(Scatter::ALL) {
        for (half, known) in (1_u64..).zip([Known::Requests, Known::Declared]) {
            let by_mean: Vec<[Cell; SHARES.len()]> = (1_u64..)
                .zip(MEANS)
                .map(|(column, mean)| {
                    let mut chance = Chance::new(seed.wrapping_mul(1_000_003) ^ (row << 16) ^ (half << 8) ^ column);
                    cells(scatter, known, mean, options, &mut chance)
                })
                .collect();
            for (place, p) in SHARES.into_iter().enumerate() {
                // Fewer are declared: there is no control.
                if known == Known::Declared && p < 0.02 {
                    continue;
                }
                let cells = || by_mean.iter().map(|cells| &cells[place]);
                let greatest = |kind: usize| {
                    cells()
                        .map(|cell| share(cell.false_alarms[kind], cell.n))
                        .fold(0.0, f64::max)
                };
                let powers: Vec<String> = cells()
                    .map(|cell| match cell.found_by_oracle {
                        0 => " – |".to_owned(),
                        _ => format!(" {:.2} |", share(cell.found, cell.found_by_oracle)),
                    })
                    .collect();
                println!(
                    "| {} | {} | {p} | {:.3}; {:.3} | {:.3}; {:.3} |{}",
                    scatter.name(),
                    known.name(),
                    greatest(0),
                    greatest(1),
                    greatest(2),
                    greatest(3),
                    powers.concat()
                );
            }
        }
    }
}
