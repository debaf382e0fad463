//! What a tick costs: when nobody is due, and when all are.

use std::time::Duration;

use holdpoint::{clock::Stopwatch, model::Offset};

use crate::{
    chance::Chance,
    fleet::{Fleet, Watched},
    log::{Log, errors},
    step::float,
    support::at,
    usage::{grouped, say},
};

const TICKS: usize = 40;
const MINUTES: usize = 5;
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn run(sizes: &[usize]) -> anyhow::Result<()> {
    say("")?;
    say(
        "A tick: one second passes in a partition; all due: each service has a deploy watched, and a step of it closes",
    )?;
    say(&format!(
        "  {:>18}{:>18}{:>18}{:>22}{:>26}",
        "services", "nothing due, ns", "all due, ms", "all due, ns/service", "checkpoint's begin, ms"
    ))?;
    let quiet = Fleet::new(at(0), Watched::None);
    let watched = Fleet::new(at(0), Watched::All);
    for n in sizes {
        let idle = idle(&quiet, *n);
        let (all, begin) = all_due(&watched, *n);
        say(&format!(
            "  {:>18}{:>18.0}{:>18.2}{:>22.0}{:>26.2}",
            grouped(u64::try_from(*n)?),
            idle.as_secs_f64() * 1e9,
            all.as_secs_f64() * 1e3,
            all.as_secs_f64() * 1e9 / float(*n),
            begin.as_secs_f64() * 1e3,
        ))?;
    }
    Ok(())
}

fn idle(fleet: &Fleet, n: usize) -> Duration {
    let mut log = Log::of(fleet.partition(n), fleet.now);
    let took = (0..TICKS).map(|_| timed(&mut log, SECOND)).collect();
    median(took)
}

/// What such a tick takes, and finding what a checkpoint is to write when all have changed, which is done once in two
/// minutes.
fn all_due(fleet: &Fleet, n: usize) -> (Duration, Duration) {
    let mut chance = Chance::new(19);
    // Half a minute past: a step closes ten seconds after its end, alone in its tick.
    let mut log = Log::of(fleet.partition(n), fleet.now + Duration::from_secs(30));
    let mut took = Vec::new();
    for _minute in 0..MINUTES {
        let order = chance.order(n);
        let records = errors(order.into_iter(), log.now, &mut chance);
        log.fold(&records);
        log.pass(Duration::from_secs(39));
        took.push(timed(&mut log, SECOND));
        log.pass(Duration::from_secs(20));
    }
    let watch = Stopwatch::start();
    let dirty = log.partition.dirty_before(Offset(i64::MAX));
    let begin = watch.elapsed();
    assert_eq!(dirty.len(), n, "all have changed");
    (median(took), begin)
}

fn timed(log: &mut Log, duration: Duration) -> Duration {
    let watch = Stopwatch::start();
    log.pass(duration);
    watch.elapsed()
}

pub(crate) fn median(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[took.len() / 2]
}
