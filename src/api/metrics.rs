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
use crate::{
    model::{Action, ServiceId, Timestamp},
    score::AiOutlook,
};

/// Frozen services named, at most; the others are counted.
const FROZEN_MAX: usize = 500;

pub(super) async fn metrics(extract::State(edge): extract::State<Arc<Edge>>) -> Response {
    let state = &edge.state;
    let overview = edge.lookout.overview(state).await;
    let of_view = of_view(&overview, state.health.is_ready());
    let of_fleet = state.ai.borrow().as_ref().map_or_else(String::new, of_fleet);
    // Behind it: what was left out is counted in what the recorder holds.
    let text = state.metrics.render() + &of_view + &of_fleet;
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
    gauge(&mut text, name, "When a service's earliest standing freeze began.");
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

/// What only the instance that holds the fleet's partition knows. No ratio is shown before it means anything, and never
/// without its interval and what it rests on.
fn of_fleet(outlook: &AiOutlook) -> String {
    let (mut text, AiOutlook { evidence, at_risk }) = (String::new(), outlook);
    let name = "holdpoint_ai_changes_at_risk";
    gauge(
        &mut text,
        name,
        "Changes deployed within 7 days that have not failed, by what they say of AI.",
    );
    for (ai, n) in [
        ("without", at_risk.human),
        ("with", at_risk.ai),
        ("unknown", at_risk.unknown),
    ] {
        line(&mut text, format_args!("{name}{{ai=\"{ai}\"}} {n}"));
    }
    let name = "holdpoint_ai_comparable_failures";
    gauge(
        &mut text,
        name,
        "Failed changes that both classes could have had: what the ratio rests on.",
    );
    line(&mut text, format_args!("{name} {}", evidence.n_compared));
    let Some(comparison) = &evidence.comparison else {
        return text;
    };
    let name = "holdpoint_ai_failure_ratio";
    gauge(
        &mut text,
        name,
        "How many times as often a change with AI fails as one without, of the same service and risk; 95 % at all times.",
    );
    for (bound, ratio) in [
        ("estimate", comparison.ratio),
        ("lower", comparison.ratio_low),
        ("upper", comparison.ratio_high),
    ] {
        line(&mut text, format_args!("{name}{{bound=\"{bound}\"}} {ratio}"));
    }
    text
}

fn frozen_since(overview: &Overview) -> BTreeMap<&ServiceId, Timestamp> {
    let mut frozen: BTreeMap<&ServiceId, Timestamp> = BTreeMap::new();
    for decision in overview
        .held
        .iter()
        .filter(|decision| decision.action == Action::Freeze)
    {
        // An older program did not tell.
        let began = decision.frozen_since.unwrap_or(decision.decided_at);
        let since = frozen.entry(decision.subject.service()).or_insert(began);
        *since = began.min(*since);
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
