//! Commits and what people say of them.
//!
//! Measures scatter around what is usual over many projects; those of bad deploys are larger, which is all that commit
//! risk has to go by. Whether AI had a hand in it says nothing of faults: who finds otherwise is wrong.

use std::{fmt::Write as _, time::Duration};

use super::{
    chance::{Chance, whole},
    family::Family,
    truth::Deploy,
};
use crate::model::Timestamp;

#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) service: usize,
    pub(super) at: Timestamp,
    pub(super) sha: Box<str>,
    author: u64,
    level: &'static str,
    /// `None`: not told.
    assistance: Option<&'static str>,
    fix: bool,
    entropy: f64,
    /// In the order of [`MEASURES`].
    measures: [u64; MEASURES.len()],
    pub(super) approved_at: Option<Timestamp>,
}

/// A count of the fourteen measures: its name, mean and standard deviation of ln(1 + x) over 17 open projects, and how
/// much more of it there is in a bad change, on that scale.
struct Measure {
    name: &'static str,
    mean: f64,
    sd: f64,
    bad: f64,
}

const fn measure(name: &'static str, mean: f64, sd: f64, bad: f64) -> Measure {
    Measure { name, mean, sd, bad }
}

/// Those of the change, then those of its history.
const MEASURES: [Measure; 12] = [
    measure("subsystems", 0.75, 0.16, 0.05),
    measure("directories", 0.97, 0.40, 0.2),
    measure("files", 1.13, 0.54, 0.4),
    measure("lines_added", 2.76, 1.56, 1.4),
    measure("lines_deleted", 2.00, 1.56, 0.9),
    measure("lines_before", 7.13, 1.70, 0.3),
    measure("developers", 3.07, 1.29, 0.2),
    measure("age_days", 3.64, 1.60, 0.0),
    measure("prior_changes", 4.50, 1.64, 0.0),
    measure("author_changes", 6.15, 2.32, -0.3),
    measure("author_recent_changes", 3.54, 1.66, 0.0),
    measure("author_subsystem_changes", 4.33, 2.01, 0.0),
];
const OF_CHANGE: usize = 6;
const FIXES: f64 = 0.3;
const LEVELS: [&str; 6] = ["junior", "mid", "mid", "senior", "staff", "unknown"];

/// Those of a deploy; none for what brings no code.
pub(super) fn commits(family: &Family, deploy: &mut Deploy, chance: &mut Chance) -> Vec<Commit> {
    if deploy.version == deploy.previous || deploy.preview.is_some() {
        return Vec::new();
    }
    let is_bad = deploy.fault.is_some();
    let n = 1 + chance.below(4);
    // One of them did it.
    let guilty = chance.below(n);
    let all: Vec<Commit> = (0..n)
        .map(|i| {
            let at = deploy.started_at() - chance.seconds((600.0, 5.0 * 3_600.0));
            commit(family, (deploy.service, at), is_bad && i == guilty, chance)
        })
        .collect();
    deploy.shas = all.iter().map(|commit| commit.sha.clone()).collect();
    // Whoever looks for the cause finds it first.
    if is_bad {
        deploy.shas.swap(0, usize::try_from(guilty).unwrap_or(0));
    }
    all
}

fn commit(family: &Family, (service, at): (usize, Timestamp), is_bad: bool, chance: &mut Chance) -> Commit {
    let measures = MEASURES.map(|of| {
        let ln = of.mean + of.sd * chance.normal() + if is_bad { of.bad } else { 0.0 };
        whole(ln.clamp(0.0, 12.0).exp_m1().round())
    });
    let assistance = chance.is(0.8).then(|| match chance.unit() {
        u if u < family.ai * 0.7 => "assisted",
        u if u < family.ai => "authored",
        _ => "none",
    });
    Commit {
        service,
        at,
        sha: format!(
            "{:016x}{:016x}{:08x}",
            chance.next(),
            chance.next(),
            chance.next() >> 32
        )
        .into(),
        author: chance.below(12),
        level: LEVELS[chance.place(LEVELS.len())],
        assistance,
        fix: chance.is(FIXES + if is_bad { 0.15 } else { 0.0 }),
        entropy: (0.77 + 0.91 * chance.normal() + if is_bad { 0.3 } else { 0.0 }).clamp(0.0, 6.0),
        measures,
        approved_at: chance
            .is(0.85)
            .then(|| at + Duration::from_secs(60 + chance.below(1_500))),
    }
}

impl Commit {
    /// The members of its event, after the common ones.
    pub(super) fn write(&self, line: &mut String) -> std::fmt::Result {
        write!(
            line,
            r#","sha":"{}","author":{{"id":"dev-{}-{}","level":"{}"}}"#,
            self.sha, self.service, self.author, self.level
        )?;
        if let Some(assistance) = self.assistance {
            write!(line, r#","ai":{{"assistance":"{assistance}"}}"#)?;
        }
        let (change, history) = self.measures.split_at(OF_CHANGE);
        write!(line, r#","change":{{"entropy":{:.3},"fix":{}"#, self.entropy, self.fix)?;
        for (of, value) in MEASURES.iter().zip(change) {
            write!(line, r#","{}":{value}"#, of.name)?;
        }
        line.push_str(r#"},"history":{"#);
        for (i, (of, value)) in MEASURES[OF_CHANGE..].iter().zip(history).enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(line, r#"{comma}"{}":{value}"#, of.name)?;
        }
        line.push('}');
        Ok(())
    }

    /// The members of the review that approves it.
    pub(super) fn write_review(&self, line: &mut String) -> std::fmt::Result {
        let (sha, service) = (&self.sha, self.service);
        write!(
            line,
            r#","sha":"{sha}","verdict":"approved","by":"lead-{service}","level":"senior""#
        )
    }
}
