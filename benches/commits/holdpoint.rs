//! The module under test as it runs: a partition of the log, fed with commits and with incidents that name them.

use holdpoint::{
    model::{
        Ai, Author, Body, CausedBy, Commit, Entry, EventHash, Happened, Incident, IncidentStatus, Message, Offset,
        Origin, Timestamp,
    },
    score::{LearnedWeight, Partition, Said, Saying},
};

use crate::{
    chance::Chance,
    history::{History, Landed},
    labels::{Reveals, unit},
};

/// What became of one run.
pub(crate) struct Run {
    /// Per history, in its order.
    pub(crate) scores: Vec<Vec<f64>>,
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
    let mut fleet = Fleet::default();
    let mut scores: Vec<Vec<f64>> = histories
        .iter()
        .map(|history| vec![0.0; history.commits.len()])
        .collect();
    let services: Vec<Vec<String>> = histories.iter().map(|history| services(history, n_services)).collect();
    for happening in happenings(histories, reveals) {
        let Happening { history, commit, .. } = happening;
        let landed = &histories[history].commits[commit];
        let service = &services[history][commit];
        let start = histories[0].commits[0].at;
        let at = Timestamp::from_millis((start + happening.after) * 1_000);
        if happening.is_reveal {
            fleet.reveal(service, landed, at);
        } else {
            scores[history][commit] = fleet.land(service, landed, at);
        }
    }
    Run {
        scores,
        learned: fleet.partition.fleet().learned_weights(),
        n_verdicts: fleet.partition.fleet().n_verdicts(),
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
fn services(history: &History, n_services: usize) -> Vec<String> {
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

#[derive(Default)]
struct Fleet {
    partition: Partition,
    offset: i64,
}

impl Fleet {
    /// A commit lands; returns its probability.
    fn land(&mut self, service: &str, landed: &Landed, at: Timestamp) -> f64 {
        let body = Body::Commit(Box::new(Commit {
            sha: landed.sha.as_str().into(),
            repository: None,
            author: Author::default(),
            ai: Ai::default(),
            measures: landed.told(),
            paths: Vec::new(),
            approvals: Vec::new(),
            change_id: None,
            head_shas: Vec::new(),
        }));
        let said = self.happen(service, &landed.sha, at, body);
        let scored = said.iter().find_map(|saying| match &saying.said {
            Said::Scored(change) => Some(change.probability.value()),
            Said::Decision(_) | Said::Forget(_) | Said::Message(_) | Said::Closed(_) => None,
        });
        scored.expect("a commit seen for the first time is scored")
    }

    /// An incident names the commit that caused it; it is over at once, so that nothing is frozen.
    fn reveal(&mut self, service: &str, landed: &Landed, at: Timestamp) {
        let body = Body::Incident(Incident {
            incident_id: landed.sha.as_str().into(),
            status: IncidentStatus::Resolved,
            severity: 5,
            caused_by: Some(CausedBy {
                deploy_id: None,
                sha: Some(landed.sha.as_str().into()),
            }),
        });
        self.happen(service, &landed.sha, at, body);
    }

    /// Time goes on to `at`, an event happens, and what state machines tell each other is passed on.
    fn happen(&mut self, service: &str, id: &str, at: Timestamp, body: Body<'_>) -> Vec<Saying> {
        let mut said = Vec::new();
        self.offset += 1;
        self.partition.advance_to(at, Offset(self.offset), &mut said);
        let origin = Origin {
            topic: "history",
            partition: -1,
            offset: self.offset,
        };
        let event = Entry::Event(Happened {
            hash: EventHash::of(service, body.kind().name(), id),
            id,
            time: at,
            service,
            environment: None,
            default_environment: "production",
            origin,
            body,
        });
        self.partition.step(&event, Offset(self.offset), at, &mut said);
        let mut passed_on = 0;
        while let Some(message) = Self::next_message(&said, &mut passed_on) {
            self.offset += 1;
            self.partition
                .step(&Entry::Message(message), Offset(self.offset), at, &mut said);
        }
        said
    }

    fn next_message(said: &[Saying], passed_on: &mut usize) -> Option<Message<'static>> {
        while let Some(saying) = said.get(*passed_on) {
            *passed_on += 1;
            if let Said::Message(message) = &saying.said {
                return Some(message.clone());
            }
        }
        None
    }
}
