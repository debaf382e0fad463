//! `holdpoint replay`: recorded events through the whole path, on recorded time.
//!
//! All files are opened, and the policies are read, before anything is written, and results take the place of earlier ones
//! when all are whole: a mistake costs no earlier result.

mod identity;
mod input;
mod interrupt;
mod output;
mod progress;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use self::{
    input::{Hints, open_all},
    interrupt::{Interrupt, Removal},
    output::Output,
    progress::Progress,
};
use super::policy;
use crate::{
    ingest::Reject,
    model::{EnvironmentId, shown},
    replay::{Arrival, ComparedPolicies, ComparedSummary, Comparison, Merge, Replay, Report, Scores},
    score::Said,
    wire::control::encode_decision,
};

/// Refused lines that are named; all are counted.
const REFUSED_NAMED: u64 = 5;

/// What to replay, and where the results go.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// NDJSON files in any order, plain, gzip or Zstandard; `-` is standard input.
    pub events: Vec<PathBuf>,
    /// The policy file; without one the defaults hold.
    pub policy: Option<PathBuf>,
    /// The policy to compare it with.
    pub compare: Option<PathBuf>,
    /// The environment of events without one; `production` if it is not given.
    pub default_environment: Option<EnvironmentId>,
    /// Where decisions go, one per line.
    pub decisions: Option<PathBuf>,
    /// Where scores go, one per line.
    pub scores: Option<PathBuf>,
    /// Where the page goes.
    pub report: Option<PathBuf>,
    /// The summary as JSON instead of text.
    pub json: bool,
}

/// Replays, and writes the summary to `out`.
///
/// Errs if an input cannot be opened or read to its end, a policy is not valid, or a result cannot be written. That nobody
/// reads on is no error.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let policy = args.policy.as_deref().map(read_policy).transpose()?;
    let compare = args.compare.as_deref().map(read_policy).transpose()?;
    let mut progress = Progress::new();
    let (inputs, hints) = open_all(&args.events, &mut progress)?;
    let mut results = Results::create(args)?;

    let mut drive = Drive::new(args, policy.as_deref(), compare.as_deref());
    let mut refused = Refused { n: 0, hints };
    let mut merge = Merge::new(inputs)?;
    while let Some(arrival) = merge.next()? {
        if let Some(reject) = drive.take(&arrival) {
            refused.note(&arrival, &reject, &mut progress);
        }
        results.write(drive.take_said())?;
        progress.line();
    }
    drive.finish();
    results.write(drive.take_said())?;
    results.write_held()?;
    // What goes to standard output comes before the summary.
    results.flush()?;
    progress.clear();
    refused.finish();
    drive.conclude(args.json, results.report.as_mut(), out)?;
    results.finish()
}

fn read_policy(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    policy::parse(path, &text)?;
    Ok(text)
}

/// One policy, or two side by side.
enum Drive {
    One(Box<Replay>),
    Two(Box<Comparison>),
}

impl Drive {
    fn new(args: &Args, policy: Option<&str>, compare: Option<&str>) -> Self {
        let replay = |policy| {
            let mut replay = Replay::new(policy);
            if let Some(environment) = &args.default_environment {
                replay.default_to(environment);
            }
            if args.report.is_some() {
                replay.chronicle();
            }
            replay
        };
        match compare {
            Some(b) => {
                let policies = policies(args, policy.unwrap_or_default(), b);
                Self::Two(Box::new(Comparison::new(replay(policy), replay(compare), policies)))
            }
            None => Self::One(Box::new(replay(policy))),
        }
    }

    fn take(&mut self, arrival: &Arrival<'_>) -> Option<Reject> {
        match self {
            Self::One(replay) => replay.take(arrival),
            Self::Two(comparison) => comparison.take(arrival),
        }
    }

    fn take_said(&mut self) -> std::vec::Drain<'_, Said> {
        match self {
            Self::One(replay) => replay.take_said(),
            Self::Two(comparison) => comparison.take_said(),
        }
    }

    fn finish(&mut self) {
        match self {
            Self::One(replay) => replay.finish(),
            Self::Two(comparison) => comparison.finish(),
        }
    }

    /// Writes the page, if one is asked for, and the summary.
    fn conclude(&self, json: bool, report: Option<&mut Output>, out: &mut dyn Write) -> anyhow::Result<()> {
        match self {
            Self::One(replay) => {
                let summary = replay.summary();
                if let Some(output) = report {
                    output.write(Report::new(replay, &summary).html().as_bytes())?;
                    output.flush()?;
                }
                write_summary(out, json, &summary)
            }
            Self::Two(comparison) => {
                let (summary, compared) = (comparison.a().summary(), comparison.compared());
                if let Some(output) = report {
                    let report = Report::compared(comparison, &summary, &compared);
                    output.write(report.html().as_bytes())?;
                    output.flush()?;
                }
                let both = ComparedSummary {
                    a: &summary,
                    compared: &compared,
                };
                write_summary(out, json, &both)
            }
        }
    }
}

fn policies(args: &Args, a: &str, b: &str) -> ComparedPolicies {
    let paths = [&args.policy, &args.compare].map(|path| path.as_deref().unwrap_or(Path::new("the built-in policy")));
    let [own, other] = told_apart(paths);
    ComparedPolicies::new((&own, a), (&other, b)).expect("both were parsed when they were read")
}

/// Two files by their names; where these are the same, with as many of the folders above them as tell them apart, and no
/// more: those on top may name a person.
fn told_apart(paths: [&Path; 2]) -> [String; 2] {
    let last = |n: usize| {
        paths.map(|path| {
            let parts: Vec<_> = path.components().collect();
            let tail: PathBuf = parts[parts.len().saturating_sub(n)..].iter().collect();
            tail.to_string_lossy().into_owned()
        })
    };
    let n_parts = paths.map(|path| path.components().count());
    let mut names = (1..=n_parts[0].max(n_parts[1])).map(last);
    names.find(|[own, other]| own != other).unwrap_or_else(|| last(1))
}

fn write_summary(
    out: &mut dyn Write,
    json: bool,
    summary: &(impl serde::Serialize + std::fmt::Display),
) -> anyhow::Result<()> {
    let written = if json {
        serde_json::to_writer_pretty(&mut *out, summary)
            .map_err(io::Error::from)
            .and_then(|()| writeln!(out))
    } else {
        out.write_all(shown(&summary.to_string()).as_bytes())
    };
    match written.and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing the summary"),
    }
}

/// The files that results go to.
struct Results {
    decisions: Option<Output>,
    scores: Option<Output>,
    /// Lines of `scores` that are held back.
    held: Scores,
    report: Option<Output>,
    /// Of what is not whole, where there are results.
    removal: Option<Removal>,
}

impl Results {
    fn create(args: &Args) -> anyhow::Result<Self> {
        let Args {
            events,
            policy,
            compare,
            decisions,
            scores,
            report,
            default_environment: _,
            json: _,
        } = args;
        let results = [decisions, scores, report].map(Option::as_deref);
        let read = events.iter().chain(policy).chain(compare).map(PathBuf::as_path);
        output::check(&results, &read.collect::<Vec<_>>())?;
        let [decisions, scores, report] = results;
        // Without results there is nothing to remove, and signals do what they do.
        let interrupt = results.iter().any(Option::is_some).then(Interrupt::catch).transpose()?;
        let create = |path: Option<&Path>| path.map(Output::create).transpose();
        let mut created = Self {
            decisions: create(decisions)?,
            scores: create(scores)?,
            held: Scores::default(),
            report: create(report)?,
            removal: None,
        };
        if let Some(interrupt) = interrupt {
            let Self {
                decisions,
                scores,
                held: _,
                report,
                removal: _,
            } = &created;
            let outputs = [decisions, scores, report].into_iter().flatten();
            created.removal = Some(interrupt.remove(outputs.filter_map(Output::partial))?);
        }
        Ok(created)
    }

    fn write(&mut self, said: impl Iterator<Item = Said>) -> anyhow::Result<()> {
        for said in said {
            if let Said::Decision(decision) = &said {
                if let Some(output) = &mut self.decisions {
                    output.line(&encode_decision(decision))?;
                }
            } else if let Some(output) = &mut self.scores
                && let Some(line) = self.held.take(said)
            {
                output.line(&line)?;
            }
        }
        Ok(())
    }

    /// Writes what was held back, once all is said.
    fn write_held(&mut self) -> anyhow::Result<()> {
        let lines = std::mem::take(&mut self.held).finish();
        let scores = self.scores.as_mut();
        scores.map_or(Ok(()), |output| {
            lines.into_iter().try_for_each(|line| output.line(&line))
        })
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        let results = [&mut self.decisions, &mut self.scores, &mut self.report];
        results.into_iter().flatten().try_for_each(Output::flush)
    }

    /// All are whole, and no signal parts them, before the first takes the place of what was there.
    fn finish(mut self) -> anyhow::Result<()> {
        self.flush()?;
        let Self {
            decisions,
            scores,
            held: _,
            report,
            removal,
        } = self;
        removal.map(Removal::end).transpose()?;
        let mut results = [decisions, scores, report].into_iter().flatten();
        results.try_for_each(Output::keep)
    }
}

/// Names the first lines that are refused, on standard error, and says of what files they seem to be.
struct Refused {
    n: u64,
    /// Of files of which nothing was refused yet.
    hints: Hints,
}

impl Refused {
    fn note(&mut self, arrival: &Arrival<'_>, reject: &Reject, progress: &mut Progress) {
        self.n += 1;
        if self.n <= REFUSED_NAMED {
            progress.clear();
            complain(&format!("{}:{}: {reject}", arrival.file, arrival.line));
        }
        if let Some(hint) = self.hints.remove(arrival.file) {
            progress.clear();
            complain(&format!("{}: {hint}", arrival.file));
        }
    }

    fn finish(&self) {
        if self.n > REFUSED_NAMED {
            complain(&format!(
                "{} further lines are no events either; the summary counts them by reason",
                self.n - REFUSED_NAMED
            ));
        }
    }
}

/// A reader of standard error who went away is no reason to stop.
fn complain(text: &str) {
    drop(writeln!(io::stderr(), "holdpoint: {}", shown(text)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_same_name_are_told_apart_by_the_folders_next_to_them() {
        let cases = [
            ["a.toml", "/home/ann/b.toml", "a.toml", "b.toml"],
            ["/home/ann/p.toml", "/home/ann/new/p.toml", "ann/p.toml", "new/p.toml"],
            [
                "/home/ann/a/x/p.toml",
                "/home/ann/b/x/p.toml",
                "a/x/p.toml",
                "b/x/p.toml",
            ],
            ["p.toml", "../p.toml", "p.toml", "../p.toml"],
            ["/p.toml", "p.toml", "/p.toml", "p.toml"],
            ["/home/ann/p.toml", "/home/ann/p.toml", "p.toml", "p.toml"],
        ];
        for [own, other, own_name, other_name] in cases {
            assert_eq!(told_apart([own, other].map(Path::new)), [own_name, other_name]);
        }
    }
}
