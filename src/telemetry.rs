//! Logs, and the names of all metrics, once.

mod lines;

use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::fmt::writer::BoxMakeWriter;

pub use self::lines::Lines;

/// Latencies from a millisecond to a minute.
const SECONDS: [f64; 15] = [
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0,
];
/// Costs per event from 100 ns to a tenth of a second.
const COSTS: [f64; 10] = [1e-7, 2e-7, 5e-7, 1e-6, 2e-6, 5e-6, 1e-5, 1e-4, 1e-3, 1e-1];

/// A metric: its name, its labels, and what it tells.
type Metric = (&'static str, &'static [&'static str], &'static str);

/// Those without labels are there from the start, at 0.
const COUNTERS: [Metric; 13] = [
    (
        "holdpoint_events_duplicate_total",
        &[],
        "Events taken out because they were seen before.",
    ),
    (
        "holdpoint_events_late_total",
        &[],
        "Errors that came after their evidence step had closed: applied, but no evidence.",
    ),
    (
        "holdpoint_events_lost_total",
        &[],
        "Records deleted from a topic before they were read.",
    ),
    (
        "holdpoint_limiter_withheld_total",
        &[],
        "Freezes that the fleet's limit on new freezes withheld.",
    ),
    (
        "holdpoint_series_dropped_total",
        &[],
        "Metric series not shown because there would be too many.",
    ),
    (
        "holdpoint_client_rebuilds_total",
        &[],
        "Workers torn down and built anew after their client failed.",
    ),
    (
        "holdpoint_events_consumed_total",
        &["topic", "kind"],
        "Input records taken in, by topic and kind; rejected ones are of kind unknown.",
    ),
    (
        "holdpoint_events_applied_total",
        &["kind"],
        "Unique events that changed state, by kind.",
    ),
    (
        "holdpoint_events_rejected_total",
        &["topic", "reason"],
        "Input records that are no events, by topic and reason.",
    ),
    (
        "holdpoint_decisions_total",
        &["action", "mode"],
        "Decisions published, by action and mode.",
    ),
    (
        "holdpoint_transactions_total",
        &["outcome", "stage"],
        "Kafka transactions, by outcome and stage.",
    ),
    ("holdpoint_overrides_total", &["effect"], "Overrides seen, by effect."),
    (
        "holdpoint_ai_assisted_changes_total",
        &["assistance"],
        "Commits by what they say of AI assistance.",
    ),
];
const GAUGES: [Metric; 14] = [
    ("holdpoint_build_info", &["version"], "1, with the version."),
    (
        "holdpoint_clock_offset_seconds",
        &[],
        "By how much this instance's clock is ahead of the broker's; below 0 where it is behind.",
    ),
    (
        "holdpoint_dedupe_window_seconds",
        &[],
        "How far back duplicates are known, in the partition where it is least.",
    ),
    (
        "holdpoint_services",
        &["action"],
        "Services by the action that stands for them.",
    ),
    (
        "holdpoint_service_risk_ratio",
        &["service"],
        "The risk of the riskiest services, 0 to 1.",
    ),
    (
        "holdpoint_service_frozen_since_timestamp_seconds",
        &["service"],
        "When a standing freeze was decided.",
    ),
    (
        "holdpoint_ai_changes_at_risk",
        &["ai"],
        "Changes deployed within 7 days that have not failed, by what they say of AI; of the instance that holds the fleet.",
    ),
    (
        "holdpoint_ai_comparable_failures",
        &[],
        "Failed changes that both classes could have had: what the ratio rests on.",
    ),
    (
        "holdpoint_ai_failure_ratio",
        &["bound"],
        "How many times as often a change with AI fails as one without, with its bounds; none below 20 comparable failures.",
    ),
    (
        "holdpoint_consumer_lag_records",
        &["topic", "partition"],
        "Records not yet read, by topic and partition.",
    ),
    (
        "holdpoint_partitions_assigned",
        &[],
        "Partitions of the log that this instance holds.",
    ),
    (
        "holdpoint_policy_last_reload_successful",
        &[],
        "1 if the policy file was good when last looked at, else 0, also while it cannot be read.",
    ),
    (
        "holdpoint_policy_partitions_differing",
        &[],
        "Partitions here whose policy is not that of this instance's file.",
    ),
    (
        "holdpoint_ready",
        &[],
        "1 while this instance answers /readyz with 200.",
    ),
];
const HISTOGRAMS: [Metric; 4] = [
    (
        "holdpoint_decision_latency_seconds",
        &[],
        "From an event in the log to its decision committed.",
    ),
    (
        "holdpoint_event_processing_seconds",
        &[],
        "Time of an ingest batch by its records.",
    ),
    ("holdpoint_state_restore_seconds", &[], "Time to restore a partition."),
    (
        "holdpoint_transaction_seconds",
        &["stage"],
        "Time of a transaction, by stage.",
    ),
];

/// Installs the recorder of metrics.
pub fn install_metrics() -> anyhow::Result<PrometheusHandle> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Full("holdpoint_event_processing_seconds".to_owned()), &COSTS)?
        .install_recorder()?;
    for (name, labels, text) in COUNTERS {
        describe_counter!(name, text);
        if labels.is_empty() {
            metrics::counter!(name).absolute(0);
        }
    }
    for (name, _, text) in GAUGES {
        describe_gauge!(name, text);
    }
    for (name, _, text) in HISTOGRAMS {
        describe_histogram!(name, Unit::Seconds, text);
    }
    metrics::gauge!("holdpoint_build_info", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// How often the recorder must be looked after, so that its histograms stay bounded.
pub const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Logs to stderr; `HOLDPOINT_LOG` says what, as `info` or `holdpoint=debug`.
pub fn install_logs(default: &str) {
    install(default, BoxMakeWriter::new(std::io::stderr));
}

/// The same for who has other things to do than to wait for the reader of a log. What is given is to be flushed at the end.
pub fn install_logs_apart(default: &str) -> anyhow::Result<Lines> {
    let lines = Lines::start(std::io::stderr())?;
    let writer = lines.clone();
    install(default, BoxMakeWriter::new(move || writer.clone()));
    Ok(lines)
}

fn install(default: &str, writer: BoxMakeWriter) {
    use std::io::{IsTerminal as _, Write as _};
    let asked = std::env::var("HOLDPOINT_LOG").ok().filter(|asked| !asked.is_empty());
    let filter = tracing_subscriber::EnvFilter::try_new(asked.as_deref().unwrap_or(default)).unwrap_or_else(|error| {
        // Nothing logs yet, and a reader of standard error who went away is no reason to stop.
        drop(writeln!(
            std::io::stderr(),
            "holdpoint: warning: HOLDPOINT_LOG is gone by as `{default}`: {error}"
        ));
        default.into()
    });
    let installed = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        // What cannot be written would be complained of where it cannot be written either, with a panic: a full disk
        // would end the process.
        .log_internal_errors(false)
        .try_init();
    // A second call, as tests make, keeps the first.
    drop(installed);
}

#[cfg(test)]
mod tests;
