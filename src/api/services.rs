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
    let turn = edge.scans.clone().acquire_owned().await.expect("it is never closed");
    let (view, now) = (edge.state.view.clone(), edge.state.clock.now());
    // All are looked at for any page: never on a thread that serves others. The turn goes with it, for a request that is
    // gone does not end it.
    let looked = tokio::task::spawn_blocking(move || {
        let page = view.services(now, part.after.as_ref(), part.limit);
        drop(turn);
        page
    });
    Ok(json::list(
        &looked.await.expect("it does not panic, and is not aborted"),
    ))
}
