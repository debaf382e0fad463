//! `GET /v1/services/{service}`: what stands for one service, and what its state has taken in.
//!
//! Decisions are known to every instance; the state only to the owner of the service's partition, and others point
//! there.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    extract::{self, Path, rejection::PathRejection},
    http::{HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;
use tokio::time::timeout;

use super::{Edge, Reported, State, json, problem::Problem};
use crate::{
    gate::{Heartbeat, StandingDecision},
    model::{Criticality, EnvironmentId, InvalidName, Kind, Mode, PartitionIndex, ServiceId, Timestamp},
    score::ServiceReport,
    wire::partition::partition_of,
};

/// How long a worker is waited for: many batches.
const REPORT_WITHIN: Duration = Duration::from_secs(10);
/// An owner silent for longer may be gone, as the gate has it: three heartbeats are missed.
const SILENCE_MAX: Duration = Duration::from_secs(15);

pub(super) async fn service(
    extract::State(edge): extract::State<Arc<Edge>>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Problem> {
    let Path(name) = path.map_err(|rejected| Problem::bad_request(format!("the path: {rejected}")))?;
    let named: Result<ServiceId, InvalidName> = name.parse();
    let service = named.map_err(|invalid| Problem::bad_request(format!("the service's name {invalid}")))?;
    let state = &edge.state;
    match timeout(REPORT_WITHIN, (state.reports)(service.clone())).await {
        Ok(Ok(Reported::Service(report))) => Ok(json::respond(
            StatusCode::OK,
            describe(&state.view.decisions(&service), &report),
        )),
        Ok(Ok(Reported::NoSuchService)) => Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("no event has named a service `{service}`"),
        )),
        Ok(Ok(Reported::NotHeld)) => elsewhere(state, &service, &uri),
        Ok(Err(_closed)) => Err(Problem::unavailable(
            "the worker that holds this service is being rebuilt",
        )),
        Err(_elapsed) => Err(Problem::unavailable(format!(
            "the worker did not answer within {REPORT_WITHIN:?}"
        ))),
    }
}

/// Points to the owner of the service's partition, if one is heard of and it is not this instance.
fn elsewhere(state: &State, service: &ServiceId, uri: &Uri) -> Result<Response, Problem> {
    let n_partitions = state
        .n_partitions()
        .ok_or_else(|| Problem::unavailable("how many partitions the log has is not known yet"))?;
    let partition = partition_of(service.as_str(), n_partitions);
    let unknown = || Problem::unavailable(format!("no owner of partition {partition} has been heard of"));
    let heartbeat = state.view.heartbeat(partition).ok_or_else(unknown)?;
    let owner = &heartbeat.record;
    if owner.instance == state.instance || same_place(&owner.url, &state.advertise) {
        return Err(Problem::unavailable(format!(
            "this instance is restoring partition {partition}"
        )));
    }
    let silence = state.clock.now().since(heartbeat.timestamp);
    if silence > SILENCE_MAX {
        return Err(owner_problem(
            partition,
            owner,
            &format!("has been silent for {} s", silence.as_secs()),
        ));
    }
    redirect(owner, uri).ok_or_else(|| owner_problem(partition, owner, "has no URL to be reached by"))
}

fn owner_problem(partition: PartitionIndex, owner: &Heartbeat, what: &str) -> Problem {
    let Heartbeat { instance, url, .. } = owner;
    Problem::unavailable(format!(
        "`{instance}` ({url}), the owner of partition {partition}, {what}"
    ))
}

fn same_place(a: &str, b: &str) -> bool {
    a.trim_end_matches('/') == b.trim_end_matches('/')
}

/// `None` if the owner's URL is none that a client could follow.
fn redirect(owner: &Heartbeat, uri: &Uri) -> Option<Response> {
    let url = owner.url.trim_end_matches('/');
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return None;
    }
    let location = HeaderValue::from_str(&format!("{url}{}", uri.path_and_query()?)).ok()?;
    Some((StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, location)]).into_response())
}

#[derive(Serialize)]
struct Json<'a> {
    tier: Criticality,
    /// Unique events taken in, by kind.
    applied: BTreeMap<&'static str, u64>,
    late: u64,
    duplicates: u64,
    changes_remembered: usize,
    environments: Vec<EnvironmentJson<'a>>,
}

#[derive(Serialize)]
struct EnvironmentJson<'a> {
    environment: &'a EnvironmentId,
    mode: Mode,
    baseline: BaselineJson,
    evidence: EvidenceJson,
    active_deploys: Vec<DeployJson<'a>>,
}

#[derive(Serialize)]
struct BaselineJson {
    /// Whether it suffices to freeze by.
    known: bool,
    errors_per_step: f64,
    step_seconds: u32,
    observed_steps: u32,
}

#[derive(Serialize)]
struct EvidenceJson {
    /// The strongest of the deploys under watch; 0 without any.
    e_value: f64,
    /// Whether the source reports nearly every step.
    dense: bool,
    /// Whether it has been silent for longer than usual.
    silent: bool,
}

#[derive(Serialize)]
struct DeployJson<'a> {
    deploy_id: &'a str,
    started_at: String,
    e_value: f64,
    threshold: f64,
}

fn describe(decisions: &[Arc<StandingDecision>], report: &ServiceReport) -> Vec<u8> {
    let environments = report.environments.iter().map(|known| EnvironmentJson {
        environment: &known.environment,
        mode: known.mode,
        baseline: BaselineJson {
            known: known.baseline_known,
            errors_per_step: known.errors_per_step,
            step_seconds: known.step_seconds,
            observed_steps: known.observed_steps,
        },
        evidence: EvidenceJson {
            e_value: known.watches.iter().map(|watch| watch.e_value).fold(0.0, f64::max),
            dense: known.dense,
            silent: known.silent,
        },
        active_deploys: known
            .watches
            .iter()
            .map(|watch| deploy(&watch.deploy_id, watch.started_at, (watch.e_value, watch.threshold)))
            .collect(),
    });
    let rest = json::to_json(&Json {
        tier: report.tier,
        applied: Kind::ALL
            .iter()
            .map(|kind| (kind.name(), report.applied[kind.index()]))
            .collect(),
        late: report.late,
        duplicates: report.duplicates,
        changes_remembered: report.changes_remembered,
        environments: environments.collect(),
    });
    // Decisions are passed on as they were written, between two objects opened up for them.
    let mut body = b"{\"service\":".to_vec();
    body.extend(json::to_json(&report.service));
    body.extend_from_slice(b",\"decisions\":");
    body.extend(json::array(decisions));
    body.push(b',');
    body.extend_from_slice(&rest[1..]);
    body
}

fn deploy(deploy_id: &str, started_at: Timestamp, (e_value, threshold): (f64, f64)) -> DeployJson<'_> {
    DeployJson {
        deploy_id,
        started_at: started_at.to_string(),
        e_value,
        threshold,
    }
}
