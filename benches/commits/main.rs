//! Commit risk on the histories of real projects, beside what is usually done instead.
//!
//! Commits land one by one, in order of time, in the very state machines that run in production, with their bounds; a
//! commit later found to be buggy becomes an incident that names it, after a simulated delay. Each score is of the
//! moment its commit landed (prequential). The baselines are refitted on the labels known by then: a bug once it is
//! revealed, clean after 90 days without; online ensembles of them stand beside. Of git repositories the labels are
//! reverts, known when they landed, and candidates that see paths and authors stand beside. With `--ai` the same commits
//! show what the comparison of changes with and without AI is worth.

#[path = "../scale/chance.rs"]
#[expect(dead_code, reason = "each program uses its part")]
mod chance;

mod ai;
mod arguments;
mod boosting;
mod ensemble;
mod feed;
mod figures;
mod generated;
mod git;
mod history;
mod holdpoint;
mod labels;
mod logistic;
mod paths;
mod refit;
mod report;
mod reverts;
mod synthetic;

use std::{io::Write as _, path::Path, process::ExitCode};

use arguments::Arguments;
use history::History;

/// The projects of `data/commits`.
const PROJECTS: [&str; 3] = ["openstack", "go", "jdt"];
/// So few commits show that all of it runs, and that it learns, in seconds.
const TEST_COMMITS: usize = 1_500;

fn main() -> ExitCode {
    let arguments = match arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(wrong) => return fail(&wrong),
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(wrong) => fail(&wrong),
    }
}

fn run(arguments: &Arguments) -> Result<(), String> {
    if arguments.is_ai || arguments.is_test {
        ai::run(&histories(arguments)?, arguments).map_err(|error| error.to_string())?;
    }
    let is_of_repositories = !arguments.repositories.is_empty() || arguments.is_generated;
    if arguments.is_test || !(is_of_repositories || arguments.is_ai) {
        report::run(&histories(arguments)?, arguments).map_err(|error| error.to_string())?;
    }
    if is_of_repositories {
        reverts::run(arguments)?;
    }
    Ok(())
}

fn fail(wrong: &str) -> ExitCode {
    eprintln!("commits: {wrong}");
    ExitCode::FAILURE
}

/// What is evaluated: a small synthetic history as a test, else the files in the data's folder.
fn histories(arguments: &Arguments) -> Result<Vec<History>, String> {
    if arguments.is_test {
        return Ok(vec![synthetic::history(TEST_COMMITS, 7)]);
    }
    let Some(folder) = &arguments.data else {
        let mut out = std::io::stdout().lock();
        writeln!(
            out,
            "SKIPPED: no data. Give the folder that holds commits/*.csv as --data DIR or HOLDPOINT_DATA."
        )
        .map_err(|error| error.to_string())?;
        return Ok(Vec::new());
    };
    let folder = Path::new(folder).join("commits");
    PROJECTS
        .into_iter()
        .map(|project| history::read(project, &folder.join(format!("{project}.csv"))))
        .collect()
}
