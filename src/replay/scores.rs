//! A score as a line of JSON, as `schemas/scores.v1.schema.json` has it.

use serde::Serialize;

use crate::{
    model::{EnvironmentId, ServiceId, Suspect, UnitInterval},
    score::{ClosedWatch, Contribution, Said, ScoredChange, WatchVerdict},
};

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum ScoreJson<'a> {
    Change {
        service: &'a ServiceId,
        sha: &'a str,
        time: String,
        probability: UnitInterval,
        gated: bool,
        contributions: Vec<ContributionJson>,
    },
    Deploy {
        service: &'a ServiceId,
        environment: &'a EnvironmentId,
        deploy_id: &'a str,
        time: String,
        closed_at: String,
        e_value_max: f64,
        rate_ratio: f64,
        rate_ratio_low: f64,
        verdict: WatchVerdict,
        alarmed_at: Option<String>,
        suspects: Vec<SuspectJson<'a>>,
    },
}

#[derive(Serialize)]
struct ContributionJson {
    feature: &'static str,
    value: f64,
    logit: f64,
}

#[derive(Serialize)]
struct SuspectJson<'a> {
    deploy_id: Option<&'a str>,
    service: &'a ServiceId,
    probability: UnitInterval,
}

/// One line without its line break, the same bytes for the same score; `None` for what is no score.
///
/// # Panics
/// Never for what a step says: every figure has a JSON form, and writing to memory cannot fail.
#[must_use]
pub fn encode_score(said: &Said) -> Option<Vec<u8>> {
    let score = match said {
        Said::Scored(change) => change_json(change),
        Said::Closed(watch) => watch_json(watch),
        Said::Decision(_) | Said::Forget(_) | Said::Message(_) => return None,
    };
    Some(serde_json::to_vec(&score).expect("texts and numbers have a JSON form, and memory takes it"))
}

fn change_json(scored: &ScoredChange) -> ScoreJson<'_> {
    ScoreJson::Change {
        service: &scored.change.service,
        sha: &scored.change.sha,
        time: scored.time.to_string(),
        probability: scored.probability.rounded(),
        gated: scored.gated,
        contributions: scored.contributions.iter().map(contribution_json).collect(),
    }
}

fn contribution_json(contribution: &Contribution) -> ContributionJson {
    ContributionJson {
        feature: contribution.feature,
        value: contribution.value,
        logit: contribution.logit,
    }
}

fn watch_json(watch: &ClosedWatch) -> ScoreJson<'_> {
    ScoreJson::Deploy {
        service: &watch.service,
        environment: &watch.environment,
        deploy_id: &watch.deploy_id,
        time: watch.started_at.to_string(),
        closed_at: watch.closed_at.to_string(),
        e_value_max: significant(watch.e_value_max),
        rate_ratio: significant(watch.rate_ratio),
        rate_ratio_low: significant(watch.rate_ratio_low),
        verdict: watch.verdict,
        alarmed_at: watch.alarmed_at.map(|at| at.to_string()),
        suspects: watch.suspects.iter().map(suspect_json).collect(),
    }
}

fn suspect_json(suspect: &Suspect) -> SuspectJson<'_> {
    SuspectJson {
        deploy_id: suspect.deploy_id.as_deref(),
        service: &suspect.service,
        probability: suspect.probability.rounded(),
    }
}

/// Six significant digits: what lies behind them differs from machine to machine. Never less than 0 or endless.
fn significant(value: f64) -> f64 {
    if value.is_nan() || value <= 0.0 {
        return 0.0;
    }
    let text = format!("{:.5e}", value.min(f64::MAX));
    text.parse().unwrap_or(value)
}
