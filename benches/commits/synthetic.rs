//! A made-up history, in which many lines are risky and so, by a law of its own, are few prior changes: so that there is
//! something to learn that other projects do not teach.

use holdpoint::model::N_MEASURES;

use crate::{
    chance::Chance,
    history::{History, Landed},
    labels::{normal, unit},
};

/// Six hours between commits.
const GAP_SECONDS: i64 = 6 * 3_600;
/// 2024-01-01.
const START: i64 = 1_704_067_200;

pub(crate) fn history(n_commits: usize, seed: u64) -> History {
    let mut chance = Chance::new(seed);
    let commits = (0..n_commits).map(|n| landed(n, &mut chance)).collect();
    History {
        project: "synthetic".to_owned(),
        commits,
    }
}

fn landed(n: usize, chance: &mut Chance) -> Landed {
    let mut measures = [0.0; N_MEASURES];
    for measure in &mut measures {
        *measure = (2.5 + 1.2 * normal(chance)).exp();
    }
    measures[3] = measures[3].min(3.0);
    measures[7] = f64::from(u8::from(unit(chance) < 0.4));
    let lines = (measures[4].ln() - 2.5) / 1.2;
    let prior_changes = (measures[10].ln() - 2.5) / 1.2;
    let logit = -1.5 + 0.6 * lines - 1.2 * prior_changes;
    Landed {
        sha: format!("{n:040x}"),
        at: START + number_of(n) * GAP_SECONDS,
        measures,
        is_buggy: unit(chance) < 1.0 / (1.0 + (-logit).exp()),
        author: 0,
        paths: Vec::new(),
    }
}

fn number_of(n: usize) -> i64 {
    i64::try_from(n).expect("a few thousands")
}
