//! Rules that make the records of all producers alike.

use std::borrow::Cow;

use super::validate::{ErrorReport, Valid, ValidBody};
use crate::model::{Body, ErrorCount, Event};

/// An error event with at least this count …
const NOISE_MIN_COUNT: u64 = 20;
/// … and at most so many users or clients affected is noise: a loop of one client, no fault of a release.
const NOISE_MAX_AFFECTED: u64 = 2;

/// The event; `topic` stands for the source where the record named none.
pub(super) fn normalize<'a>(valid: Valid<'a>, topic: &'a str) -> Event<'a> {
    Event {
        id: valid.id,
        time: valid.time,
        service: valid.service,
        environment: valid.environment,
        source: valid.source.unwrap_or(Cow::Borrowed(topic)),
        body: match valid.body {
            ValidBody::Error(report) => Body::Error(count_errors(report)),
            ValidBody::Other(body) => body,
        },
    }
}

fn count_errors(report: ErrorReport<'_>) -> ErrorCount<'_> {
    let count = report.count.unwrap_or(1);
    let storm = clients_of_storm(count, report.affected);
    ErrorCount {
        errors: storm.unwrap_or(count),
        is_storm: storm.is_some(),
        requests: report.requests,
        interval_ms: report.interval_ms.unwrap_or(0),
        version: report.version,
        fingerprint: report.fingerprint,
        upstream: report.upstream,
    }
}

/// The clients that a noisy record affected, as which its failures count; `None`: it is not noisy.
///
/// None affected counts as not told: trackers send 0 where nobody is logged in, and an outage must not vanish so.
fn clients_of_storm(count: u64, affected: Option<u64>) -> Option<u64> {
    affected.filter(|affected| (1..=NOISE_MAX_AFFECTED).contains(affected) && count >= NOISE_MIN_COUNT)
}
