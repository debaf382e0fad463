//! What is printed at the end.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    time::Duration,
};

use crate::{arguments::Kind, fault::Fault, violations::Violations};

/// How long it took to be whole again, by kind of fault.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    kinds: BTreeMap<Kind, Times>,
    pub(crate) n_faults: u32,
    all: Vec<Duration>,
}

#[derive(Debug, Default)]
struct Times {
    n_alone: usize,
    took: Vec<Duration>,
}

impl Tally {
    /// Two at once count for both.
    pub(crate) fn note(&mut self, faults: &[Fault], took: Duration) {
        self.all.push(took);
        for fault in faults {
            self.n_faults += 1;
            let times = self.kinds.entry(fault.kind).or_default();
            times.n_alone += usize::from(faults.len() == 1);
            times.took.push(took);
        }
    }
}

/// The median and the longest, in seconds.
fn spread(took: &[Duration]) -> (f64, f64) {
    let mut took = took.to_vec();
    took.sort();
    let seconds = |at: usize| took.get(at).map_or(0.0, Duration::as_secs_f64);
    (seconds(took.len() / 2), seconds(took.len().saturating_sub(1)))
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| fault | times | of these with another | whole again p50, s | max, s |"
        )?;
        writeln!(f, "| --- | --- | --- | --- | --- |")?;
        let row = |f: &mut fmt::Formatter<'_>, name: &str, n: usize, n_with: usize, took: &[Duration]| {
            let (p50, max) = spread(took);
            writeln!(f, "| {name} | {n} | {n_with} | {p50:.1} | {max:.1} |")
        };
        for (kind, times) in &self.kinds {
            let n = times.took.len();
            row(f, &kind.to_string(), n, n - times.n_alone, &times.took)?;
        }
        let n: usize = self.kinds.values().map(|times| times.took.len()).sum();
        let n_alone: usize = self.kinds.values().map(|times| times.n_alone).sum();
        row(f, "all", n, n - n_alone, &self.all)
    }
}

/// One row of counts under their names.
pub(crate) fn violations(violations: &Violations) -> String {
    let (mut names, mut rule, mut counts) = ("|".to_owned(), "|".to_owned(), "|".to_owned());
    for (name, count) in violations.all() {
        let written = write!(names, " {name} |")
            .and(write!(rule, " --- |"))
            .and(write!(counts, " {} |", count.n));
        written.expect("memory takes it");
    }
    format!("{names}\n{rule}\n{counts}")
}
