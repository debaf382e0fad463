//! The null grid: false alarms at a nominal 1 % over every truth, mean and producer, and power on the same series.

use crate::{
    Options,
    chance::Chance,
    run::{Fault, History, LN_NOMINAL, Producer, Run, Shown, WATCH_MINUTES},
    share,
    source::{Source, Truth},
};

/// Mean errors a minute.
const MEANS: [f64; 6] = [0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0];
/// Watches on what was learned of one service.
const WATCHES_EACH: u32 = 5;
/// The healthy days that a service is learned for.
const DAYS: u32 = 3;

/// Counts of one cell.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    healthy: u32,
    false_alarms: u32,
    /// Of those that the oracle found.
    found: u32,
    found_by_oracle: u32,
    delays: f64,
    oracle_delays: f64,
}

impl Cell {
    fn note(&mut self, shown: Shown) {
        self.found += u32::from(shown.delay.is_some() && shown.oracle_delay.is_some());
        self.found_by_oracle += u32::from(shown.oracle_delay.is_some());
        if let (Some(own), Some(oracle)) = (shown.delay, shown.oracle_delay) {
            self.delays += f64::from(own);
            self.oracle_delays += f64::from(oracle);
        }
    }
}

fn cell(
    (truth, mean): (Truth, f64),
    history: History,
    producer: Producer,
    options: &Options,
    chance: &mut Chance,
) -> [Cell; 2] {
    let mut cells = [Cell::default(); 2];
    for _ in 0..options.trials {
        let source = Source::new(truth, mean, chance);
        let mut run = Run::new(source, producer, &options.policy);
        run.learn(history, i64::from(DAYS * 1_440 + chance.below(1_440)), chance);
        for _ in 0..WATCHES_EACH {
            let shown = run.clone().watch(None, LN_NOMINAL, chance);
            for cell in &mut cells {
                cell.healthy += 1;
                cell.false_alarms += u32::from(shown.ln_e_max >= LN_NOMINAL);
            }
            let halves = [WATCH_MINUTES, WATCH_MINUTES / 2];
            for (cell, minutes) in cells.iter_mut().zip(halves) {
                let fault = Fault {
                    from: i64::from(chance.below(u32::try_from(minutes).expect("small"))),
                    multiple: 5.0,
                };
                cell.note(run.clone().watch(Some(fault), LN_NOMINAL, chance));
            }
        }
    }
    cells
}

pub(crate) fn print(options: &Options) {
    let Options { seed, trials, .. } = *options;
    println!(
        "False alarms at a nominal 1 %, and the share of faults of 5 times the errors that were found, as a share of"
    );
    println!(
        "those an oracle finds; fault at a random minute of the watch / of its first hour. Mean delays in minutes, own and oracle's."
    );
    println!(
        "{trials} services a cell, {WATCHES_EACH} watches each and {DAYS} to {} days of history. Seed {seed}.",
        DAYS + 1
    );
    println!("| truth | producer | mean a minute | false alarms | power | power, first hour | delay | oracle |");
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    let quiet = Truth::GRID.map(|truth| (truth, History::Quiet));
    let busy = Truth::WANDERING.map(|truth| (truth, History::Deployed));
    for (row, (truth, history)) in (1_u64..).zip(quiet.into_iter().chain(busy)) {
        for producer in Producer::ALL {
            for (column, mean) in (1_u64..).zip(MEANS) {
                let mut chance = Chance::new(seed.wrapping_mul(1_000_003) ^ (row << 8) ^ column);
                let [any, early] = cell((truth, mean), history, producer, options, &mut chance);
                println!(
                    "| {}{} | {} | {mean} | {:.4} | {:.3} | {:.3} | {:.1} | {:.1} |",
                    truth.name(),
                    history.name(),
                    producer.name(),
                    share(any.false_alarms, any.healthy),
                    share(any.found, any.found_by_oracle),
                    share(early.found, early.found_by_oracle),
                    early.delays / f64::from(early.found.max(1)),
                    early.oracle_delays / f64::from(early.found.max(1)),
                );
            }
        }
    }
}
