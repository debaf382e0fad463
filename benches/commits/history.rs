//! A project's commits in order of time: measures, and which were later found to be buggy.

use std::{collections::HashMap, fs, path::Path};

use holdpoint::model::{Measures, N_MEASURES};

/// The columns of the fourteen measures, in the order of `MEASURE_NAMES`; the spelling is the data's.
const COLUMNS: [&str; N_MEASURES] = [
    "ns", "nd", "nf", "entrophy", "la", "ld", "lt", "fix", "ndev", "age", "nuc", "exp", "rexp", "sexp",
];

pub(crate) struct History {
    pub(crate) project: String,
    pub(crate) commits: Vec<Landed>,
}

pub(crate) struct Landed {
    pub(crate) sha: String,
    /// Seconds since 1970.
    pub(crate) at: i64,
    pub(crate) measures: [f64; N_MEASURES],
    pub(crate) is_buggy: bool,
    /// Tells authors apart; nothing is known of those of data without any.
    pub(crate) author: u64,
    pub(crate) paths: Vec<String>,
}

impl Landed {
    pub(crate) fn told(&self) -> Measures {
        self.measures.map(Some)
    }
}

pub(crate) fn read(project: &str, path: &Path) -> Result<History, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut lines = text.lines();
    let header = lines.next().unwrap_or_default().split(',').enumerate();
    let columns: HashMap<&str, usize> = header.map(|(place, name)| (name, place)).collect();
    let mut commits = Vec::new();
    for (line, text) in (2..).zip(lines) {
        let fields: Vec<&str> = text.split(',').collect();
        let commit = commit(&columns, &fields).map_err(|column| {
            format!(
                "{} line {line}: no `{column}`, or one that is no number",
                path.display()
            )
        })?;
        commits.push(commit);
    }
    // Commits of one second stay in the file's order.
    commits.sort_by_key(|commit: &Landed| commit.at);
    Ok(History {
        project: project.to_owned(),
        commits,
    })
}

fn commit(columns: &HashMap<&str, usize>, fields: &[&str]) -> Result<Landed, &'static str> {
    let text = |name: &'static str| columns.get(name).and_then(|place| fields.get(*place)).ok_or(name);
    let number = |name: &'static str| text(name)?.parse::<f64>().map_err(|_error| name);
    let mut measures = [0.0; N_MEASURES];
    for (measure, name) in measures.iter_mut().zip(COLUMNS) {
        *measure = number(name)?.max(0.0);
    }
    Ok(Landed {
        sha: (*text("_id")?).to_owned(),
        at: text("date")?.parse().map_err(|_error| "date")?,
        measures,
        is_buggy: number("bug")? > 0.5,
        author: 0,
        paths: Vec::new(),
    })
}
