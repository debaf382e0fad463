//! What an event costs: reading its entry from the log's bytes, and stepping it.

use std::{hint::black_box, time::Duration};

use allocation_counter::measure;
use holdpoint::{
    clock::Stopwatch,
    score::{Partition, WINDOW_HASHES_MAX},
};

use crate::{
    chance::Chance,
    fleet::{Fleet, Watched},
    log::{Log, errors},
    support::at,
    usage::{grouped, say},
};

/// Events in a block.
pub(crate) const EVENTS: usize = 100_000;
const BLOCKS: usize = 7;
/// Of the one that half of all events are of.
const HOT_SERVICES: usize = 10_000;
const READS: usize = 1_000_000;
const MINUTE: Duration = Duration::from_mins(1);

/// A median over blocks, per event.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    ns: f64,
    allocations: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spread {
    Even,
    /// Half of all events are of one service.
    Hot,
}

pub(crate) fn run(sizes: &[usize], n_events: usize) -> anyhow::Result<()> {
    say("")?;
    say(
        "An event: reading its entry and stepping it; median of seven blocks, an entry per event, window of duplicates full",
    )?;
    say("  `closes`: each is the first of its service in a new minute, so that it also closes the step before")?;
    say(&format!(
        "  {:>18}{:>10}{:>8}{:>14}{:>12}{:>8}{:>14}{:>18}",
        "services", "ns/event", "×", "allocs/event", "closes, ns", "×", "allocs/event", "ns/random read"
    ))?;
    let fleet = Fleet::new(at(0), Watched::Some);
    let mut least = None;
    for n in sizes {
        let (same, closing) = costs(&fleet, *n, Spread::Even, n_events);
        let least = *least.get_or_insert((same, closing));
        row(&grouped(u64::try_from(*n)?), (same, closing), least, random_read_ns(*n))?;
    }
    let hot = HOT_SERVICES.min(*sizes.last().unwrap_or(&HOT_SERVICES));
    let costs = costs(&fleet, hot, Spread::Hot, n_events);
    let name = format!("{}, one hot", grouped(u64::try_from(hot)?));
    row(&name, costs, least.unwrap_or(costs), random_read_ns(hot))
}

fn row(name: &str, (same, closing): (Cost, Cost), least: (Cost, Cost), read_ns: f64) -> anyhow::Result<()> {
    say(&format!(
        "  {name:>18}{:>10.0}{:>8.2}{:>14.5}{:>12.0}{:>8.2}{:>14.5}{read_ns:>18.0}",
        same.ns,
        same.ns / least.0.ns,
        same.allocations,
        closing.ns,
        closing.ns / least.1.ns,
        closing.allocations,
    ))
}

/// Of an event in a minute of which its service has had one already, and of the first in a minute.
fn costs(fleet: &Fleet, n_services: usize, spread: Spread, n_events: usize) -> (Cost, Cost) {
    let mut chance = Chance::new(11);
    let mut log = Log::of(fleet.partition(n_services), fleet.now);
    // Full, and its table as large as it becomes.
    while_full(&mut log, n_services, &mut chance);
    let n_rounds = n_events.div_ceil(n_services).max(1);
    let (mut same, mut closing) = (Vec::new(), Vec::new());
    for _block in 0..BLOCKS {
        let mut of_block = Cost::default();
        for _round in 0..n_rounds {
            log.pass(MINUTE);
            let order = chance.order(n_services);
            let records = errors(order.into_iter(), log.now, &mut chance);
            let cost = fold(&mut log, &records, n_rounds * n_services);
            of_block.ns += cost.ns;
            of_block.allocations += cost.allocations;
        }
        closing.push(of_block);
        let picked: Vec<usize> = (0..n_events)
            .map(|i| match spread {
                Spread::Hot if i % 2 == 0 => 0,
                Spread::Even | Spread::Hot => chance.below(n_services),
            })
            .collect();
        let records = errors(picked.into_iter(), log.now, &mut chance);
        same.push(fold(&mut log, &records, n_events));
    }
    (median(same), median(closing))
}

fn while_full(log: &mut Log, n_services: usize, chance: &mut Chance) {
    for _half in 0..4 {
        let picked: Vec<usize> = (0..WINDOW_HASHES_MAX).map(|_| chance.below(n_services)).collect();
        let records = errors(picked.into_iter(), log.now, chance);
        log.fold(&records);
    }
}

/// What folding costs for each of `n_events`.
fn fold(log: &mut Log, records: &[Vec<u8>], n_events: usize) -> Cost {
    let mut took = Duration::ZERO;
    let counted = measure(|| {
        let watch = Stopwatch::start();
        log.fold(black_box(records));
        took = watch.elapsed();
    });
    let n_events = float(n_events);
    Cost {
        ns: took.as_secs_f64() * 1e9 / n_events,
        allocations: f64::from(u32::try_from(counted.count_total).unwrap_or(u32::MAX)) / n_events,
    }
}

pub(crate) fn float(n: usize) -> f64 {
    f64::from(u32::try_from(n).expect("at most some millions"))
}

fn median(mut costs: Vec<Cost>) -> Cost {
    let allocations = costs.iter().map(|cost| cost.allocations).sum::<f64>() / float(costs.len());
    costs.sort_by(|a, b| a.ns.total_cmp(&b.ns));
    let ns = costs[costs.len() / 2].ns;
    // What is rare is not in a median.
    Cost { ns, allocations }
}

/// What one read of a random place takes, each depending on the one before, in as much memory as so many services take:
/// the part of the cost that is the machine's.
fn random_read_ns(n_services: usize) -> f64 {
    const BYTES_EACH: usize = 3_000;
    let n_words = n_services * BYTES_EACH / size_of::<usize>();
    let mut chance = Chance::new(13);
    let words: Vec<usize> = (0..n_words).map(|_| chance.below(n_words)).collect();
    let watch = Stopwatch::start();
    let mut at = 0;
    for i in 0..READS {
        // With the count in it, so that no short circle is run.
        at = words[(at + i) % n_words];
    }
    black_box(at);
    watch.elapsed().as_secs_f64() * 1e9 / float(READS)
}

/// What the window of duplicates takes when it is full, and all else that a partition has beside its services.
pub(crate) fn own_bytes() -> i64 {
    let mut kept = None;
    let counted = measure(|| {
        let mut chance = Chance::new(17);
        let mut log = Log::of(Partition::default(), at(0));
        while_full(&mut log, 1, &mut chance);
        kept = Some(log);
    });
    drop(kept);
    counted.bytes_current
}
