//! `GET /v1/verdict`: what `holdpoint gate` asks.

use std::sync::Arc;

use axum::{
    extract::{self, RawQuery},
    http::StatusCode,
    response::Response,
};

use super::{Edge, Health, State, json, parameters::Parameters, problem::Problem};
use crate::{
    gate::{FailMode, Request, assess, parse_changes, parse_kind, unreachable, without_words},
    model::InvalidName,
    wire::control::encode_verdict,
};

pub(super) const PATH: &str = "/v1/verdict";

/// What a question may hold. Another name is refused: `failmode=closed` passed over would fail open.
const PARAMETERS: [&str; 6] = ["service", "environment", "change", "kind", "incident", "fail_mode"];

pub(super) async fn verdict(
    extract::State(edge): extract::State<Arc<Edge>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let state = &edge.state;
    let request = parse(&Parameters::parse(query.as_deref())?, &state.default_environment)?;
    let now = state.clock.now();
    let verdict = match why_unknown(state) {
        Some(why) if state.health.is_control_read() => without_words(&state.view, &request, &why, now),
        Some(why) => unreachable(&request, &why, now),
        None => assess(&state.view, &request, now),
    };
    Ok(json::respond(StatusCode::OK, encode_verdict(&verdict)))
}

/// A view that is still being read may hold what was lifted long ago; once control was read, it lacks words at most.
fn why_unknown(state: &State) -> Option<String> {
    if let Some(why) = state.health.reason(Health::VIEW) {
        return Some(why);
    }
    state
        .n_partitions()
        .is_none()
        .then(|| "how many partitions the log has is not known yet".to_owned())
}

fn parse(parameters: &Parameters, default_environment: &str) -> Result<Request, Problem> {
    parameters.only(&PARAMETERS)?;
    let service = parameters.name("service")?;
    let service = service.ok_or_else(|| Problem::bad_request("`service` is missing: which service is it about?"))?;
    let environment = match parameters.name("environment")? {
        Some(environment) => environment,
        None => default_environment.parse().map_err(|invalid: InvalidName| {
            Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                format!("the default environment's name {invalid}"),
            )
        })?,
    };
    let mut request = Request::new(service, environment);
    let changes: Vec<&str> = parameters.all("change").collect();
    request.changes = parse_changes(&changes).map_err(|invalid| Problem::bad_request(invalid.to_string()))?;
    if let Some(name) = parameters.one("kind")? {
        let unknown = || Problem::bad_request("`kind` is none of release, rollback, hotfix, security");
        request.kind = parse_kind(name).ok_or_else(unknown)?;
    }
    if let Some(name) = parameters.one("fail_mode")? {
        let unknown = || Problem::bad_request("`fail_mode` is neither open nor closed");
        request.fail_mode = FailMode::parse(name).ok_or_else(unknown)?;
    }
    request.incident = parameters
        .one("incident")?
        .filter(|incident| !incident.is_empty())
        .map(Into::into);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ChangeKind;

    /// Else `gate --url` would be refused whatever it asks.
    #[test]
    fn what_a_gate_asks_is_understood() {
        let mut request = Request::new("a".parse().expect("a name"), "b".parse().expect("a name"));
        request.changes = vec!["c1".into(), "d2".into()];
        request.kind = ChangeKind::Hotfix;
        request.incident = Some("INC-1".into());
        request.fail_mode = FailMode::Closed;
        let changes = request.changes.iter().map(|sha| ("change", sha.as_ref()));
        let query: Vec<String> = request
            .parameters()
            .into_iter()
            .chain(changes)
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let parameters = Parameters::parse(Some(&query.join("&"))).expect("well formed");
        assert_eq!(parse(&parameters, "other").expect("a question"), request);
    }
}
