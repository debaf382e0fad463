//! A service that alarms asks its surroundings, and is asked by those that depend on it.
//!
//! It says extra review at once, asks what it calls (who pass the question on, three hops at most) and what calls it, and
//! proposes a freeze when all have answered, or after ten seconds: unless it is another service's deploy. Each answer
//! says how many more were asked on its way, so that the asker knows when all are in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Candidate;
use crate::model::{Path, ServiceId, Timestamp, Told};

/// A service that is no more answers nothing.
const WAIT: Duration = Duration::from_secs(10);
/// Candidates of others remembered: as many as suspects are named.
const CANDIDATES_MAX: usize = 3;
/// Services that ask within this are alarmed by the same thing: detection takes one a few steps longer than another.
const ALARM_WINDOW: Duration = Duration::from_mins(5);
/// So many alarmed dependents are no chance; no more are remembered than are needed to count them.
pub(crate) const DEPENDENTS_MIN: usize = 3;
const ASKERS_MAX: usize = 3;

/// A question that is out, and what was answered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inquiry {
    pub(crate) asked_at: Timestamp,
    n_outstanding: u16,
    concluded: bool,
    /// Deploys of other services that could be it.
    pub(crate) candidates: Vec<Candidate>,
    /// What it calls alarms many.
    pub(crate) shared: bool,
    /// It is put down to another service.
    pub(crate) elsewhere: bool,
}

impl Inquiry {
    pub(crate) fn new(asked_at: Timestamp, n_asked: u16) -> Self {
        Self {
            asked_at,
            n_outstanding: n_asked,
            concluded: n_asked == 0,
            candidates: Vec::new(),
            shared: false,
            elsewhere: false,
        }
    }

    /// Asks once more; until the answers are in, what was answered before stands.
    pub(crate) fn ask_again(&mut self, now: Timestamp, n_asked: u16) {
        self.asked_at = now;
        self.n_outstanding = n_asked;
        self.concluded = n_asked == 0;
    }

    /// Takes in an answer, and keeps the candidates of the greatest weight; one to an earlier question is passed over. True:
    /// there is something to conclude from it.
    pub(crate) fn take(&mut self, told: &Told<'_>, weigh: impl Fn(&Candidate) -> f64) -> bool {
        let Ok(by) = told.by.parse::<ServiceId>() else {
            return false;
        };
        if told.asked_at != self.asked_at {
            return false;
        }
        self.n_outstanding = (self.n_outstanding + u16::from(told.n_forwarded)).saturating_sub(1);
        self.shared |= usize::from(told.n_askers) >= DEPENDENTS_MIN;
        // The shortest way to a service is told first: its messages take the fewest turns.
        self.candidates.retain(|known| {
            let of = known.of.as_ref();
            of.is_none_or(|(service, path)| *service != by || *path < told.path)
        });
        let is_known = self
            .candidates
            .iter()
            .any(|known| known.of.as_ref().is_some_and(|(service, _)| *service == by));
        if !is_known {
            self.candidates.extend(told.clues.iter().map(|clue| Candidate {
                deploy_id: clue.deploy_id.as_deref().map(Into::into),
                of: Some((by.clone(), told.path)),
                started_at: clue.started_at,
                stage_at: clue.stage_at,
                prior: clue.prior,
                ln_e: clue.ln_e,
            }));
        }
        self.candidates
            .sort_by(|a, b| weigh(b).total_cmp(&weigh(a)).then_with(|| a.of.cmp(&b.of)));
        self.candidates.truncate(CANDIDATES_MAX);
        self.candidates.shrink_to_fit();
        self.concluded || self.n_outstanding == 0
    }

    pub(crate) fn is_concluded(&self) -> bool {
        self.concluded
    }

    /// What is in is all there will be.
    pub(crate) fn conclude(&mut self) {
        self.concluded = true;
    }

    /// When it is no longer waited for.
    pub(crate) fn waits_until(&self) -> Option<Timestamp> {
        (!self.concluded).then_some(self.asked_at + WAIT)
    }
}

/// Those that depend on a service and alarm.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Askers {
    last: Vec<Asker>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asker {
    pub(crate) name: Box<str>,
    pub(crate) path: Path,
    pub(crate) asked_at: Timestamp,
}

impl Askers {
    pub(crate) fn note(&mut self, asker: Asker) {
        self.forget(asker.asked_at);
        if let Some(known) = self.last.iter_mut().find(|known| known.name == asker.name) {
            if asker.asked_at > known.asked_at || asker.path < known.path {
                *known = asker;
            }
            return;
        }
        if self.last.len() >= ASKERS_MAX {
            self.last.remove(0);
        }
        self.last.reserve_exact(1);
        self.last.push(asker);
    }

    pub(crate) fn forget(&mut self, now: Timestamp) {
        self.last.retain(|asker| now.since(asker.asked_at) < ALARM_WINDOW);
    }

    /// How many alarmed lately.
    pub(crate) fn n(&self, now: Timestamp) -> usize {
        self.last
            .iter()
            .filter(|asker| now.since(asker.asked_at) < ALARM_WINDOW)
            .count()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Asker> {
        self.last.iter()
    }
}
