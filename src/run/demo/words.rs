//! Decisions in a sentence each, and the closing account.

use std::time::Duration;

use super::{
    counts::Counts,
    judge::Judge,
    scenario::{Deploy, LIVE, Scenario},
};
use crate::{
    gate::StandingDecision,
    model::{Action, Subject},
};

/// What people want to hear of: not that a service was seen for the first time or a commit may go its way, and
/// nothing from before the deploys.
pub(super) fn is_news(decision: &StandingDecision) -> bool {
    if decision.decided_at < LIVE {
        return false;
    }
    let first = decision.sequence.0 == 1;
    !first || decision.action != Action::Proceed
}

/// A decision for people.
pub(super) fn sentence(decision: &StandingDecision) -> String {
    let what = match decision.action {
        Action::Proceed => "may proceed",
        Action::ExtraReview => "needs extra review",
        Action::Freeze => "is FROZEN",
    };
    let why = decision.reasons.first().map_or("", |reason| &reason.text);
    match &decision.subject {
        Subject::Service { service, .. } => format!("{service} {what}: {why}"),
        Subject::Change(change) => {
            let sha: String = change.sha.chars().take(8).collect();
            format!("commit {sha} of {} {what}: {why}", change.service)
        }
    }
}

/// How long it all took.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) took: Duration,
    /// From sending a commit to reading its decision, in rising order.
    pub(super) latencies: Vec<Duration>,
}

impl Figures {
    fn quantile(&self, percent: usize) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(last * percent / 100).copied().unwrap_or_default()
    }
}

/// The closing account, line by line; the last says whether it was right.
pub(super) fn account(
    scenario: &Scenario,
    judge: &Judge<'_>,
    counts: &Counts,
    figures: &Figures,
    faults: &[String],
) -> Vec<String> {
    let mut lines = vec![
        String::new(),
        "deploy  service        in truth           decided".to_owned(),
    ];
    for (i, deploy) in scenario.deploys.iter().enumerate() {
        lines.push(of_deploy(scenario, deploy, judge, i));
    }
    let n = |bad: bool, ai: bool| {
        let alike = scenario
            .deploys
            .iter()
            .filter(|deploy| deploy.fault.is_some() == bad && (deploy.ai || !ai));
        alike.count()
    };
    lines.push(format!(
        "AI had a hand in {} of {} good deploys and in {} of {} bad ones; the freezes do not know of it.",
        n(false, true),
        n(false, false),
        n(true, true),
        n(true, false)
    ));
    let per_second = u128::from(counts.consumed) * 1_000 / figures.took.as_millis().max(1);
    lines.push(format!(
        "{} records in {:.0} s ({per_second} a second): {} applied, {} duplicates, {} rejected, {} late; {} decisions",
        counts.consumed,
        figures.took.as_secs_f64(),
        counts.n_applied(),
        counts.duplicates,
        counts.rejected,
        counts.late,
        counts.decisions
    ));
    lines.push(format!(
        "from a commit sent to its decision read: p50 {} ms, p99 {} ms ({} commits)",
        figures.quantile(50).as_millis(),
        figures.quantile(99).as_millis(),
        figures.latencies.len()
    ));
    lines.extend(faults.iter().map(|fault| format!("wrong: {fault}")));
    lines.push(if faults.is_empty() {
        "verdict: every bad deploy frozen, no healthy one".to_owned()
    } else {
        format!("verdict: {} wrong", faults.len())
    });
    lines
}

fn of_deploy(scenario: &Scenario, deploy: &Deploy, judge: &Judge<'_>, place: usize) -> String {
    let ai = if deploy.ai { ", AI" } else { "" };
    let latent = deploy
        .fault
        .as_ref()
        .filter(|_| deploy.is_latent())
        .map(|fault| fault.from.since(deploy.at()).as_secs() / 60);
    let truth = match (&deploy.fault, latent) {
        (None, _) => format!("good{ai}"),
        (Some(_), None) => format!("bad{ai}"),
        (Some(_), Some(minutes)) => format!("bad from min {minutes}{ai}"),
    };
    let decided = match (judge.frozen_after(place), &deploy.fault, latent) {
        (Some(after), _, None) => format!("frozen after {:.1} min", after.as_secs_f64() / 60.0),
        (Some(after), _, Some(_)) => {
            format!("frozen {:.1} min after the fault began", after.as_secs_f64() / 60.0)
        }
        (None, Some(_), _) => "NOT FROZEN".to_owned(),
        (None, None, _) if judge.is_wronged(deploy.service) => "FROZEN".to_owned(),
        (None, None, _) => "untouched".to_owned(),
    };
    let name = scenario.name(deploy.service);
    format!("{:<7} {name:<14} {truth:<18} {decided}", deploy.id)
}
