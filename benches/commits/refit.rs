//! Baselines as they are used: fitted again every so often on the labels known by then, cold-start scores before.

use holdpoint::model::N_MEASURES;

use crate::{
    history::History,
    labels::{self, DAY, Reveals},
};

/// A change as a baseline sees it: measures as they are weighed, in logarithms but for entropy and fix.
pub(crate) type Row = [f64; N_MEASURES];

/// So many labels of each kind are the least that is fitted on.
const LABELS_MIN: usize = 10;

pub(crate) fn rows(history: &History) -> Vec<Row> {
    let commits = history.commits.iter();
    commits
        .map(|commit| {
            let measures = commit.measures;
            std::array::from_fn(|i| {
                if i == 3 || i == 7 {
                    measures[i]
                } else {
                    measures[i].ln_1p()
                }
            })
        })
        .collect()
}

/// A history, and what is known of it by when.
pub(crate) struct Known<'a> {
    pub(crate) history: &'a History,
    pub(crate) reveals: &'a Reveals,
    /// Seconds after which a commit is taken for clean.
    pub(crate) clean_after: i64,
}

/// Scores in order of time, each by the model last fitted before its commit. `scores` hold what stands where none is.
/// `fit` takes the rows and labels known, and gives what scores a row.
pub(crate) fn prequential<M: Fn(&Row) -> f64>(
    known: &Known<'_>,
    every_days: i64,
    mut scores: Vec<f64>,
    fit: impl Fn(&[Row], &[bool]) -> M,
) -> Vec<f64> {
    let Known {
        history,
        reveals,
        clean_after,
    } = known;
    let rows = rows(history);
    let commits = &history.commits;
    let (Some(first), Some(last)) = (commits.first(), commits.last()) else {
        return scores;
    };
    let mut now = first.at + every_days * DAY;
    while now < last.at {
        let n_landed = commits.partition_point(|commit| commit.at <= now);
        let labels = labels::known(history, reveals, *clean_after, now);
        let labeled = rows.iter().zip(&labels).take(n_landed);
        let (seen, is_buggy): (Vec<Row>, Vec<bool>) =
            labeled.filter_map(|(row, label)| Some((*row, (*label)?))).unzip();
        let n_buggy = is_buggy.iter().filter(|buggy| **buggy).count();
        if n_buggy >= LABELS_MIN && seen.len() - n_buggy >= LABELS_MIN {
            let model = fit(&seen, &is_buggy);
            let until = now + every_days * DAY;
            let n_next = commits.partition_point(|commit| commit.at <= until);
            for i in n_landed..n_next {
                scores[i] = model(&rows[i]);
            }
        }
        now += every_days * DAY;
    }
    scores
}
