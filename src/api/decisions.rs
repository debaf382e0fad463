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
    accepted.flat_map(|value| value.split(',')).any(|kind| {
        let mut parts = kind.split(';').map(str::trim);
        let is_events = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("text/event-stream"));
        is_events && !parts.any(is_refusal)
    })
}

/// A weight of 0, of what is not to be sent.
fn is_refusal(parameter: &str) -> bool {
    let weight = parameter
        .split_once('=')
        .filter(|(name, _)| name.eq_ignore_ascii_case("q"));
    weight.is_some_and(|(_, weight)| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_for_who_asks_for_them_and_does_not_refuse_them() {
        for (accept, expected) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream;charset=utf-8", true),
            ("text/event-stream; q=0.1", true),
            ("text/event-stream;q=0", false),
            ("text/event-stream ; Q=0.000, application/json", false),
            ("*/*", false),
            ("", false),
        ] {
            let value = accept.parse().expect("a header's value");
            let headers = HeaderMap::from_iter([(header::ACCEPT, value)]);
            assert_eq!(wants_events(&headers), expected, "{accept}");
        }
    }
}
