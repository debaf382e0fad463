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
    let (view, now) = (edge.state.view.clone(), edge.state.clock.now());
    // All are looked at for any page: never on a thread that serves others.
    let looked = tokio::task::spawn_blocking(move || view.services(now, part.after.as_ref(), part.limit));
    Ok(json::list(
        &looked.await.expect("it does not panic, and is not aborted"),
    ))
}
