//! Histories as they land in a partition of the log, and incidents that name what turned out to be bad.

use holdpoint::{
    model::{Assistance, Timestamp},
    score::LearnedWeight,
};

use crate::{
    chance::Chance,
    feed::Feed,
    history::History,
    labels::{Reveals, unit},
};

/// What became of one run.
pub(crate) struct Run {
    /// Per history, in its order.
    pub(crate) scores: Vec<Vec<f64>>,
    /// The same at the reference rate of incidents, and 1 for those that were sent to review, else 0.
    pub(crate) at_reference: Vec<Vec<f64>>,
    pub(crate) gated: Vec<Vec<f64>>,
    pub(crate) learned: Vec<LearnedWeight>,
    pub(crate) n_verdicts: u64,
}

/// One thing that happens, in days of its own history: the fleet sees histories side by side.
struct Happening {
    /// Seconds since its history began.
    after: i64,
    history: usize,
    commit: usize,
    is_reveal: bool,
}

/// Runs histories as one fleet, each cut into `n_services` services of very unequal sizes. Without `reveals` nothing
/// ever comes to light, and scores are those of the cold start.
pub(crate) fn run(histories: &[&History], reveals: Option<&[Reveals]>, n_services: usize) -> Run {
    let mut feed = Feed::default();
    let nothing = histories.iter().map(|history| vec![0.0; history.commits.len()]);
    let mut scores: Vec<Vec<f64>> = nothing.collect();
    let (mut at_reference, mut gated) = (scores.clone(), scores.clone());
    let services: Vec<Vec<String>> = histories.iter().map(|history| services(history, n_services)).collect();
    for happening in happenings(histories, reveals) {
        let Happening { history, commit, .. } = happening;
        let landed = &histories[history].commits[commit];
        let service = &services[history][commit];
        let start = histories[0].commits[0].at;
        let at = Timestamp::from_millis((start + happening.after) * 1_000);
        if happening.is_reveal {
            feed.reveal(service, &landed.sha, at);
        } else {
            let change = feed.land(service, landed, Assistance::Unknown, at);
            scores[history][commit] = change.probability.value();
            at_reference[history][commit] = change.at_reference.value();
            gated[history][commit] = f64::from(u8::from(change.gated));
        }
    }
    Run {
        scores,
        at_reference,
        gated,
        learned: feed.fleet().learned_weights(),
        n_verdicts: feed.fleet().n_verdicts(),
    }
}

/// In order of time; what is revealed after the last commit changes no score.
fn happenings(histories: &[&History], reveals: Option<&[Reveals]>) -> Vec<Happening> {
    let mut happenings = Vec::new();
    for (history, told) in histories.iter().enumerate() {
        let Some(first) = told.commits.first() else { continue };
        for (commit, landed) in told.commits.iter().enumerate() {
            happenings.push(Happening {
                after: landed.at - first.at,
                history,
                commit,
                is_reveal: false,
            });
            if let Some(at) = reveals.and_then(|reveals| reveals[history][commit]) {
                happenings.push(Happening {
                    after: at - first.at,
                    history,
                    commit,
                    is_reveal: true,
                });
            }
        }
    }
    // Stable: commits of one second stay in order. What comes to light in it comes after them all: one that takes
    // another back is scored before that is told.
    happenings.sort_by_key(|happening| (happening.after, happening.is_reveal));
    happenings
}

/// Which service each commit belongs to: the nth largest gets a share of 1/n.
pub(crate) fn services(history: &History, n_services: usize) -> Vec<String> {
    let weights: Vec<f64> = (1..=n_services).map(|n| 1.0 / crate::figures::number(n)).collect();
    let total: f64 = weights.iter().sum();
    let mut chance = Chance::new(11);
    let commits = history.commits.iter();
    commits
        .map(|_| {
            let mut left = unit(&mut chance) * total;
            let place = weights.iter().position(|weight| {
                left -= weight;
                left < 0.0
            });
            format!("{}-{}", history.project, place.unwrap_or(0))
        })
        .collect()
}
