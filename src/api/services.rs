//! `GET /v1/services`: the latest decision on each service, riskiest first.

use std::sync::Arc;

use axum::{
    extract::{self, RawQuery},
    response::Response,
};

use super::{Edge, json, parameters::Parameters, problem::Problem};

pub(super) async fn services(
    extract::State(edge): extract::State<Arc<Edge>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let part = Parameters::parse(query.as_deref())?.part()?;
    let state = &edge.state;
    Ok(json::list(&state.view.services(
        state.clock.now(),
        part.after.as_ref(),
        part.limit,
    )))
}
