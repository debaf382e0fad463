//! What a new policy costs: all services of a partition decide anew, in one step.

use std::{fmt::Write as _, time::Duration};

use holdpoint::clock::Stopwatch;

use crate::{
    fleet::{Fleet, Watched},
    log::Log,
    step::float,
    support::at,
    tick::median,
    usage::{grouped, say},
};

/// As many as a policy may have.
const WINDOWS: usize = 64;
const TIMES: i64 = 5;

pub(crate) fn run(sizes: &[usize]) -> anyhow::Result<()> {
    say("")?;
    say(&format!(
        "A new policy, under which all services decide anew: without windows, and with {WINDOWS} that come on 29 February alone"
    ))?;
    say(&format!(
        "  {:>18}{:>18}{:>18}{:>18}{:>18}",
        "services", "without, ms", "ns/service", "with, ms", "ns/service"
    ))?;
    let fleet = Fleet::new(at(0), Watched::None);
    for n in sizes {
        let (without, with) = (taken_up(&fleet, *n, ""), taken_up(&fleet, *n, &windows()));
        let each = |took: Duration| took.as_secs_f64() * 1e9 / float(*n);
        say(&format!(
            "  {:>18}{:>18.2}{:>18.0}{:>18.2}{:>18.0}",
            grouped(u64::try_from(*n)?),
            without.as_secs_f64() * 1e3,
            each(without),
            with.as_secs_f64() * 1e3,
            each(with),
        ))?;
    }
    Ok(())
}

/// The median of some.
fn taken_up(fleet: &Fleet, n: usize, text: &str) -> Duration {
    let mut log = Log::of(fleet.partition(n), fleet.now);
    let took = (1..=TIMES).map(|revision| {
        let watch = Stopwatch::start();
        log.take_policy(revision, text);
        watch.elapsed()
    });
    median(took.collect())
}

fn windows() -> String {
    let mut text = String::new();
    for n in 0..WINDOWS {
        write!(
            text,
            "[[window]]\nname = \"leap day {n}\"\neffect = \"deny\"\nfrom = 2024-02-29T00:00:00\nlength = \"24h\"\nrepeat = \"FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29\"\n"
        )
        .expect("writing to memory cannot fail");
    }
    text
}
