//! How well faults are found in simulated fleets, where what was wrong is known.
//!
//! Events of `holdpoint::sim` go as NDJSON through ingest, score and the fleet's limiter, on recorded time, as `holdpoint
//! replay` would take them. Decisions are held against the truth, and against an oracle that knows of each fault all
//! there is to know but whether it happened. `docs/evaluation.md` says how to read the table.

mod arguments;
mod cases;
mod dating;
mod drive;
mod figures;
mod groups;
mod interval;
mod judge;
mod oracle;
mod plain;
mod searching;
mod sights;
mod table;
mod told;
mod trace;

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use self::{arguments::Arguments, figures::Figures, judge::Judged};

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(Some(arguments)) => arguments,
        Ok(None) => {
            eprintln!("{}", arguments::HELP);
            return ExitCode::SUCCESS;
        }
        Err(fault) => {
            eprintln!("{fault}\n\n{}", arguments::HELP);
            return ExitCode::from(2);
        }
    };
    if let Some(service) = &arguments.trace {
        let seed = arguments.family.seed(arguments.first);
        let run = drive::run(&arguments, seed);
        trace::print(&run, service);
        return ExitCode::SUCCESS;
    }
    let judged = judge_all(&arguments);
    let figures = Figures::of(&judged);
    table::print(&arguments, &judged, &figures);
    groups::print(&judged);
    cases::print(&judged, arguments.cases);
    ExitCode::SUCCESS
}

/// One fleet per seed, so many at once; in the order of the seeds.
fn judge_all(arguments: &Arguments) -> Vec<Judged> {
    let next = AtomicU64::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= arguments.seeds {
                        return;
                    }
                    let seed = arguments.family.seed(arguments.first + n);
                    let run = drive::run(arguments, seed);
                    let judged = judge::judge(&run);
                    eprintln!("seed {seed}: {}", judged.line());
                    done.lock().expect("no thread panics while it holds it").push(judged);
                }
            });
        }
    });
    let mut judged = done.into_inner().expect("no thread panics while it holds it");
    judged.sort_by_key(|judged: &Judged| judged.seed);
    judged
}
