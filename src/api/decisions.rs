//! `GET /v1/decisions`: the newest decisions, on services and changes; or, asked for events, those to come.

use std::sync::Arc;

use axum::{
    extract::{self, RawQuery},
    http::{HeaderMap, header},
    response::Response,
};

use super::{Edge, json, live, parameters::Parameters, problem::Problem};

pub(super) async fn decisions(
    extract::State(edge): extract::State<Arc<Edge>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let part = Parameters::parse(query.as_deref())?.part()?;
    if wants_events(&headers) {
        return live::follow(&edge);
    }
    Ok(json::list(&edge.state.view.recent(part.after, part.limit)))
}

fn wants_events(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(header::ACCEPT)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let mut kinds = accepted
        .flat_map(|value| value.split(','))
        .filter_map(|kind| kind.split(';').next());
    kinds.any(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}
