//! Whom a rise of errors is put down to, on small fleets of services that call each other.
//!
//!     cargo bench --bench blame -- --trials 300 --seed 1
//!
//! Twelve services in three layers over one that all depend on. Five hours of over-dispersed counts, then three to five
//! deploys within an hour, all healthy but at most one, staged or at once. Either a deploy of a callee is faulty and those
//! that call it suffer, or one of a caller, which alone does, or there is an outage without any deploy. Each service that
//! alarms is one answer: its last suspect in first place, against what was so; and how a guess at random and the rule
//! "the latest deploy among it and what it calls" would have done.

#![expect(clippy::print_stdout, reason = "a table for people")]

#[path = "../../tests/it/support.rs"]
#[expect(dead_code, reason = "each program uses its part")]
mod support;

mod chance;
mod fleet;

use fleet::{Fault, Outcome, Trial};

const FAULTS: [(&str, Fault); 3] = [
    ("a callee's deploy", Fault::Callee),
    ("an own deploy", Fault::Own),
    ("an outage", Fault::Nobody),
];

#[derive(Default)]
struct Tally {
    n_alarms: u32,
    n_hits: u32,
    n_random: f64,
    n_latest: u32,
    n_frozen_guilty: u32,
    n_guilty: u32,
    n_frozen_innocent: u32,
}

impl Tally {
    fn add(&mut self, outcome: &Outcome) {
        self.n_alarms += outcome.n_alarms;
        self.n_hits += outcome.n_hits;
        self.n_random += outcome.n_random;
        self.n_latest += outcome.n_latest;
        self.n_guilty += outcome.n_guilty;
        self.n_frozen_guilty += outcome.n_frozen_guilty;
        self.n_frozen_innocent += outcome.n_frozen_innocent;
    }

    fn tell(&self, name: &str) {
        let share = |n: f64| {
            if self.n_alarms == 0 {
                0.0
            } else {
                n / f64::from(self.n_alarms)
            }
        };
        println!(
            "{name:<20} {:>7} {:>7.3} {:>8.3} {:>8.3} {:>9} / {:<5} {:>9}",
            self.n_alarms,
            share(f64::from(self.n_hits)),
            share(self.n_random),
            share(f64::from(self.n_latest)),
            self.n_frozen_guilty,
            self.n_guilty,
            self.n_frozen_innocent,
        );
    }
}

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1).and_then(|value| value.parse().ok())
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let n_trials = argument("--trials").unwrap_or(if quick { 6 } else { 300 });
    let seed = argument("--seed").unwrap_or(1);
    println!("{n_trials} trials from seed {seed}");
    println!(
        "{:<20} {:>7} {:>7} {:>8} {:>8} {:>17} {:>9}",
        "what is faulty", "alarms", "hit@1", "random", "latest", "guilty frozen", "innocent"
    );
    let mut all = Tally::default();
    for (name, fault) in FAULTS {
        let mut tally = Tally::default();
        for trial in 0..n_trials / 3 {
            let outcome = Trial::new(fault, seed.wrapping_mul(1_000_003).wrapping_add(trial)).run();
            tally.add(&outcome);
            all.add(&outcome);
        }
        tally.tell(name);
    }
    all.tell("all");
}
