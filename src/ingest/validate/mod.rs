//! From the fields that were given to an event within its bounds: types, ranges, and what is required.

mod check;
mod commit;
mod kinds;

use std::{borrow::Cow, time::Duration};

use check::{instant, name, required};
pub use kinds::MAX_OVERRIDE;

use super::{
    Reject,
    decode::{
        field::{Field, Text},
        native::{Raw, RawBody},
    },
};
use crate::model::{Body, Timestamp};

/// How far ahead of our clock an event may be: producers' clocks drift, and worse would hold up or hide others.
const MAX_AHEAD: Duration = Duration::from_mins(5);

/// 1990-01-01T00:00:00Z. Older histories are in no repository people deploy from, and clocks that were never set say
/// 1601, 1904, 1970 or 1980.
const EARLIEST: Timestamp = Timestamp::from_millis(631_152_000_000);

/// A record in which every field is what it should be.
#[derive(Debug)]
pub(super) struct Valid<'a> {
    pub(super) id: Cow<'a, str>,
    pub(super) time: Timestamp,
    pub(super) service: Cow<'a, str>,
    pub(super) environment: Option<Cow<'a, str>>,
    pub(super) source: Option<Cow<'a, str>>,
    pub(super) body: ValidBody<'a>,
}

#[derive(Debug)]
pub(super) enum ValidBody<'a> {
    Error(ErrorReport<'a>),
    /// Of a kind with nothing left to do.
    Other(Body<'a>),
}

/// Errors as their producer counted them.
#[derive(Debug)]
pub(super) struct ErrorReport<'a> {
    pub(super) count: Option<u64>,
    pub(super) requests: Option<u64>,
    pub(super) interval_ms: Option<u64>,
    /// Distinct users or clients.
    pub(super) affected: Option<u64>,
    pub(super) version: Option<Cow<'a, str>>,
    pub(super) fingerprint: Option<Cow<'a, str>>,
    pub(super) upstream: Option<Cow<'a, str>>,
}

/// Errs on the first field that is missing, of the wrong type or out of its bounds.
pub(super) fn validate(raw: Raw<'_>, now: Timestamp) -> Result<Valid<'_>, Reject> {
    let id = required(name(raw.id, "id")?, "id")?;
    let time = event_time(raw.time, now)?;
    Ok(Valid {
        id,
        time,
        service: required(name(raw.service, "service")?, "service")?,
        environment: name(raw.environment, "environment")?,
        source: name(raw.source, "source")?,
        body: match raw.body {
            RawBody::Error(raw) => ValidBody::Error(kinds::error(raw)?),
            RawBody::Commit(raw) => ValidBody::Other(Body::Commit(Box::new(commit::commit(*raw)?))),
            RawBody::Deploy(raw) => ValidBody::Other(Body::Deploy(Box::new(kinds::deploy(raw)?))),
            RawBody::Incident(raw) => ValidBody::Other(Body::Incident(kinds::incident(raw)?)),
            RawBody::Review(raw) => ValidBody::Other(Body::Review(Box::new(kinds::review(raw)?))),
            RawBody::Service(raw) => ValidBody::Other(Body::Service(Box::new(kinds::service(raw)?))),
            RawBody::Override(raw) => ValidBody::Other(Body::Override(kinds::override_(raw, time)?)),
        },
    })
}

fn event_time(given: Field<Text<'_>>, now: Timestamp) -> Result<Timestamp, Reject> {
    let time = required(instant(given, "time")?, "time")?;
    if time < EARLIEST {
        return Err(Reject::TooOld { time });
    }
    if time > now + MAX_AHEAD {
        return Err(Reject::InTheFuture { time, now });
    }
    Ok(time)
}
