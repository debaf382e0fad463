//! How often and how soon faults are found, by their multiple and by their instant.

use crate::{
    Options,
    chance::Chance,
    run::{Fault, History, Producer, Run},
    source::{Source, Truth},
};

/// ln of the e-value that is asked for where a watch may spend one in a thousand.
const LN_THRESHOLD: f64 = 6.907_755_278_982_137;
const HISTORY_MINUTES: i64 = 3 * 1_440;
const WATCHES_EACH: u32 = 5;

/// Delays in minutes of own and oracle, `None` where not found.
type Delays = Vec<(Option<u32>, Option<u32>)>;

fn delays(truth: Truth, mean: f64, fault: impl Fn(&mut Chance) -> Fault, (options, seed): (&Options, u64)) -> Delays {
    let mut chance = Chance::new(options.seed.wrapping_mul(7_919) ^ seed);
    let mut delays = Delays::new();
    for _ in 0..options.trials {
        let source = Source::new(truth, mean, &mut chance);
        let mut run = Run::new(source, Producer::Minute, &options.policy);
        run.learn(History::Quiet, HISTORY_MINUTES, &mut chance);
        for _ in 0..WATCHES_EACH {
            let fault = fault(&mut chance);
            let shown = run.clone().watch(Some(fault), LN_THRESHOLD, &mut chance);
            delays.push((shown.delay, shown.oracle_delay));
        }
    }
    delays
}

fn found(delays: &Delays, which: impl Fn(&(Option<u32>, Option<u32>)) -> Option<u32>) -> f64 {
    let n = delays.iter().filter(|pair| which(pair).is_some()).count();
    f64::from(u32::try_from(n).expect("few")) / f64::from(u32::try_from(delays.len().max(1)).expect("few"))
}

/// Of all faults, those not found last of all.
fn median(delays: &Delays, which: impl Fn(&(Option<u32>, Option<u32>)) -> Option<u32>) -> String {
    let mut sorted: Vec<u32> = delays.iter().map(|pair| which(pair).unwrap_or(u32::MAX)).collect();
    sorted.sort_unstable();
    match sorted.get(sorted.len() / 2) {
        Some(&minutes) if minutes < u32::MAX => minutes.to_string(),
        Some(_) | None => "none".to_owned(),
    }
}

/// By multiple: the share found of faults at a random minute of the first hour, own and oracle's.
pub(crate) fn print(options: &Options) {
    println!(
        "Share of faults found at E of 1000, and median delay in minutes, own / oracle's; fault at a random minute of"
    );
    println!(
        "the first hour. {} services a row, {WATCHES_EACH} watches each. Seed {}.",
        options.trials, options.seed
    );
    println!("| truth | mean a minute | 1.5 times | 2 times | 3 times | 5 times | 10 times |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    let truths = [Truth::Nb(5.0), Truth::Nb5ArDiurnal];
    for (row, truth) in (1_u64..).zip(truths) {
        for (column, mean) in (1_u64..).zip([1.0, 10.0, 100.0]) {
            let cells = [1.5, 2.0, 3.0, 5.0, 10.0].map(|multiple| {
                let fault = |chance: &mut Chance| Fault {
                    from: i64::from(chance.below(60)),
                    multiple,
                };
                let delays = delays(truth, mean, fault, (options, row << 8 | column));
                format!(
                    "{:.2} / {:.2}; {} / {}",
                    found(&delays, |pair| pair.0),
                    found(&delays, |pair| pair.1),
                    median(&delays, |pair| pair.0),
                    median(&delays, |pair| pair.1)
                )
            });
            println!("| {} | {mean} | {} |", truth.name(), cells.join(" | "));
        }
    }
}

/// By scatter and instant: the median delay of five times the errors.
pub(crate) fn print_delays(options: &Options) {
    println!(
        "Median delay in minutes of 5 times the errors at E of 1000, own / oracle's; fault at the deploy / 30 minutes later."
    );
    println!(
        "{} services a cell, {WATCHES_EACH} watches each. Seed {}.",
        options.trials, options.seed
    );
    println!("| mean a minute | k=1.5 | k=3 | k=5 | k=50 |");
    println!("| --- | --- | --- | --- | --- |");
    for (row, mean) in (1_u64..).zip([1.0, 10.0, 100.0]) {
        let cells = [1.5, 3.0, 5.0, 50.0].map(|size| {
            let at = [0, 30].map(|from| {
                let fault = |_: &mut Chance| Fault { from, multiple: 5.0 };
                let delays = delays(Truth::Nb(size), mean, fault, (options, row));
                format!(
                    "{} / {}",
                    median(&delays, |pair| pair.0),
                    median(&delays, |pair| pair.1)
                )
            });
            at.join("; ")
        });
        println!("| {mean} | {} |", cells.join(" | "));
    }
}
