//! The demo's verdict on itself: what was decided, held against what in truth happened.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use super::{
    counts::Counts,
    scenario::{Hour, Scenario},
    script::{Meant, Script},
};
use crate::{
    gate::StandingDecision,
    model::{Action, Kind, Subject, Timestamp},
};

#[derive(Debug)]
pub(super) struct Judge<'a> {
    scenario: &'a Scenario,
    /// By deploy: when its service was first frozen for it.
    frozen: BTreeMap<usize, Timestamp>,
    decided: HashSet<Box<str>>,
    sequences: HashMap<Subject, u64>,
    incident: Incident,
    word_counted: bool,
    /// Services frozen for what they did not do.
    wronged: BTreeSet<usize>,
    faults: Vec<String>,
}

/// What was decided for the incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Incident {
    Ahead,
    Frozen,
    Lifted,
}

impl<'a> Judge<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        Self {
            scenario,
            frozen: BTreeMap::new(),
            decided: HashSet::new(),
            sequences: HashMap::new(),
            incident: Incident::Ahead,
            word_counted: false,
            wronged: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    /// Hears a decision; all are heard, in the order of their partitions.
    pub(super) fn hear(&mut self, decision: &StandingDecision) {
        let sequence = self.sequences.entry(decision.subject.clone()).or_default();
        if decision.sequence.0 != *sequence + 1 {
            let fault = format!("{} went from {sequence} to {}", decision.subject, decision.sequence);
            self.faults.push(fault);
        }
        *sequence = decision.sequence.0;
        match &decision.subject {
            Subject::Change(change) => {
                self.decided.insert(change.sha.clone());
            }
            Subject::Service { service, .. } => {
                let place = self
                    .scenario
                    .fleet
                    .iter()
                    .position(|known| known.name == service.as_str());
                match place {
                    Some(place) => self.hear_of_service(place, decision),
                    None => self
                        .faults
                        .push(format!("a decision on {service}, which nobody spoke of")),
                }
            }
        }
    }

    fn hear_of_service(&mut self, service: usize, decision: &StandingDecision) {
        let is_of_word = self.scenario.deploys[self.scenario.word.deploy].service == service;
        self.word_counted |= is_of_word && decision.action == Action::Proceed && decision.is_by_override();
        let is_of_incident = self.scenario.incident.service == service;
        if decision.action != Action::Freeze {
            if is_of_incident && self.incident == Incident::Frozen {
                self.incident = Incident::Lifted;
            }
            return;
        }
        if is_of_incident && decision.reasons.iter().any(|reason| reason.code.as_ref() == "incident") {
            self.incident = Incident::Frozen;
            return;
        }
        let named = blamed(decision);
        let guilty = self.scenario.deploys.iter().position(|deploy| {
            let begun = deploy
                .fault
                .as_ref()
                .is_some_and(|fault| fault.from <= decision.decided_at);
            begun && deploy.service == service && Some(deploy.id.as_str()) == named.as_deref()
        });
        if let Some(deploy) = guilty {
            self.frozen.entry(deploy).or_insert(decision.decided_at);
            return;
        }
        self.wronged.insert(service);
        self.faults.push(format!(
            "{} was frozen at {} without cause: {}",
            self.scenario.name(service),
            Hour(decision.decided_at),
            decision.reasons.first().map_or("", |reason| &reason.text)
        ));
    }

    /// Whether every commit has its decision: they are made within milliseconds, so the last ones end the wait.
    pub(super) fn has_heard_of_all_commits(&self) -> bool {
        self.decided.len() == self.scenario.commits.len()
    }

    /// How long after its fault began the service of a deploy was frozen for it.
    pub(super) fn frozen_after(&self, deploy: usize) -> Option<Duration> {
        let fault = self.scenario.deploys[deploy].fault.as_ref()?;
        Some(self.frozen.get(&deploy)?.since(fault.from))
    }

    /// Whether a service was frozen for what it did not do.
    pub(super) fn is_wronged(&self, service: usize) -> bool {
        self.wronged.contains(&service)
    }

    /// What went wrong; empty if nothing did.
    pub(super) fn faults(&self, counts: &Counts, script: &Script) -> Vec<String> {
        let mut faults = self.faults.clone();
        for (i, deploy) in self.scenario.deploys.iter().enumerate() {
            if deploy.fault.is_some() && !self.frozen.contains_key(&i) {
                let name = self.scenario.name(deploy.service);
                faults.push(format!("{name} was never frozen for {}, which is bad", deploy.id));
            }
        }
        let undecided = self.scenario.commits.len() - self.decided.len();
        if undecided > 0 {
            faults.push(format!("{undecided} commits got no decision"));
        }
        match self.incident {
            Incident::Lifted => {}
            Incident::Ahead => faults.push("the incident of severity 1 froze nothing".to_owned()),
            Incident::Frozen => faults.push("the freeze outlived its incident".to_owned()),
        }
        if !self.word_counted {
            faults.push("a person's word did not count".to_owned());
        }
        let mut expect = |what: &str, found: u64, expected: u64| {
            if found != expected {
                faults.push(format!("{found} records {what}, and {expected} were to be"));
            }
        };
        expect("consumed", counts.consumed, script.count(|_| true));
        expect(
            "rejected",
            counts.rejected,
            script.count(|meant| meant == Meant::Poison),
        );
        let duplicates = script.count(|meant| meant == Meant::Duplicate);
        expect("taken for duplicates", counts.duplicates, duplicates);
        for kind in Kind::ALL {
            let unique = script.count(|meant| meant == Meant::Event(kind));
            expect(
                &format!("applied as {} events", kind.name()),
                counts.applied[kind.index()],
                unique,
            );
        }
        faults
    }
}

/// The deploy that a freeze by evidence names.
fn blamed(decision: &StandingDecision) -> Option<String> {
    let decision: serde_json::Value = serde_json::from_str(&decision.json.text()).ok()?;
    let reasons = decision.get("reasons")?.as_array()?;
    let regression = reasons
        .iter()
        .find(|reason| reason.get("code").and_then(serde_json::Value::as_str) == Some("deploy_regression"))?;
    Some(regression.get("evidence")?.get("deploy_id")?.as_str()?.to_owned())
}
