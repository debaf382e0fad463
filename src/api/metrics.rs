//! `GET /metrics`: what the recorder holds, and what the view shows.
//!
//! The view's series name services, which come and go. The recorder keeps every series it was ever given, so these are
//! written here, anew each time: what is gone is gone, and their number is bounded.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::Arc,
};

use axum::{
    extract,
    http::header,
    response::{IntoResponse as _, Response},
};

use super::{Edge, overview::Overview};
use crate::model::{Action, ServiceId, Timestamp};

/// Frozen services named, at most; the others are counted.
const FROZEN_MAX: usize = 500;

pub(super) async fn metrics(extract::State(edge): extract::State<Arc<Edge>>) -> Response {
    let state = &edge.state;
    let overview = Overview::of(state.view.clone(), state.clock.now()).await;
    let of_view = of_view(&overview, state.health.is_ready());
    // Behind it: what was left out is counted in what the recorder holds.
    let text = state.metrics.render() + &of_view;
    (
        [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")],
        text,
    )
        .into_response()
}

fn of_view(overview: &Overview, is_ready: bool) -> String {
    let mut text = String::new();
    gauge(
        &mut text,
        "holdpoint_ready",
        "1 while this instance answers /readyz with 200.",
    );
    line(&mut text, format_args!("holdpoint_ready {}", u8::from(is_ready)));
    gauge(
        &mut text,
        "holdpoint_services",
        "Services by the worst action that stands for them in any environment.",
    );
    for (action, n) in &overview.n_by_action {
        line(
            &mut text,
            format_args!("holdpoint_services{{action=\"{}\"}} {n}", action.name()),
        );
    }
    gauge(
        &mut text,
        "holdpoint_service_risk_ratio",
        "The risk of the riskiest services, 0 to 1.",
    );
    for (service, risk) in &overview.riskiest {
        line(
            &mut text,
            format_args!(
                "holdpoint_service_risk_ratio{{service=\"{}\"}} {risk}",
                Label(service.as_str())
            ),
        );
    }
    let name = "holdpoint_service_frozen_since_timestamp_seconds";
    gauge(
        &mut text,
        name,
        "When a service's earliest standing freeze was decided.",
    );
    let frozen = frozen_since(overview);
    for (service, since) in frozen.iter().take(FROZEN_MAX) {
        let (seconds, ms) = (since.millis().div_euclid(1_000), since.millis().rem_euclid(1_000));
        line(
            &mut text,
            format_args!("{name}{{service=\"{}\"}} {seconds}.{ms:03}", Label(service.as_str())),
        );
    }
    let n_dropped = u64::try_from(frozen.len().saturating_sub(FROZEN_MAX)).unwrap_or(u64::MAX);
    metrics::counter!("holdpoint_series_dropped_total").increment(n_dropped);
    text
}

fn frozen_since(overview: &Overview) -> BTreeMap<&ServiceId, Timestamp> {
    let mut frozen: BTreeMap<&ServiceId, Timestamp> = BTreeMap::new();
    for decision in overview
        .held
        .iter()
        .filter(|decision| decision.action == Action::Freeze)
    {
        let since = frozen.entry(decision.subject.service()).or_insert(decision.decided_at);
        *since = decision.decided_at.min(*since);
    }
    frozen
}

fn gauge(text: &mut String, name: &str, help: &str) {
    line(text, format_args!("# HELP {name} {help}"));
    line(text, format_args!("# TYPE {name} gauge"));
}

fn line(text: &mut String, arguments: fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to memory cannot fail");
}

/// A label's value, escaped as the text format has it.
struct Label<'a>(&'a str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            other => f.write_char(other),
        })
    }
}
