//! The kinds of events whose fields are few: deploy, error, incident, review, service and override.

use std::{collections::HashSet, time::Duration};

use super::{
    ErrorReport,
    check::{GROUPS_BOUND, count, cut_text, flag, given, instant, name, names, one_of, required, share, whole},
};
use crate::{
    ingest::{
        Reject,
        decode::{
            field::Text,
            native::{RawDeploy, RawError, RawIncident, RawOverride, RawReview, RawService, RawSlo},
        },
    },
    model::{CausedBy, Deploy, Incident, Override, Review, Service, Slo, Timestamp, UnitInterval},
};

/// An error event sums up a day at most: longer stretches are no evidence about a deploy.
const MAX_INTERVAL_MS: u64 = 86_400_000;

/// The severity of an incident that does not say it: the middle one.
const DEFAULT_SEVERITY: u8 = 3;

/// The days of an objective's window where none are given.
const DEFAULT_WINDOW_DAYS: u16 = 28;

/// The longest window of an objective: a leap year.
const MAX_WINDOW_DAYS: u16 = 366;

/// The longest life of a person's word: what is needed for longer belongs in the policy.
pub const MAX_OVERRIDE: Duration = Duration::from_hours(7 * 24);

/// The bytes kept of a person's reason.
const MAX_REASON_BYTES: usize = 1024;

pub(super) fn deploy(raw: RawDeploy<'_>) -> Result<Deploy<'_>, Reject> {
    given(raw.initiator, "initiator")?;
    Ok(Deploy {
        deploy_id: required(name(raw.deploy_id, "deploy_id")?, "deploy_id")?,
        status: required(one_of(raw.status, "status")?, "status")?,
        version: name(raw.version, "version")?,
        previous_version: name(raw.previous_version, "previous_version")?,
        commits: each_once(names(
            raw.commits,
            "commits",
            "commits[]",
            "a list of at most 1000 shas",
        )?),
        exposure: share(raw.exposure, "exposure")?,
        change_kind: one_of(raw.change_kind, "change_kind")?.unwrap_or_default(),
    })
}

/// A change that is listed twice is deployed once: its risk counts once.
fn each_once(mut shas: Vec<Text<'_>>) -> Vec<Text<'_>> {
    let mut seen = HashSet::with_capacity(shas.len());
    shas.retain(|sha| seen.insert(sha.clone()));
    shas
}

pub(super) fn error(raw: RawError<'_>) -> Result<ErrorReport<'_>, Reject> {
    given(raw.class, "class")?;
    given(raw.severity, "severity")?;
    Ok(ErrorReport {
        count: count(raw.count, "count")?,
        // Fewer than `count` is legal: retries fail more often than requests come in.
        requests: count(raw.requests, "requests")?,
        interval_ms: whole(
            raw.interval_ms,
            "interval_ms",
            0..=MAX_INTERVAL_MS,
            "a whole number from 0 to 86400000, which is a day",
        )?,
        affected: count(raw.affected, "affected")?,
        version: name(raw.version, "version")?,
        fingerprint: name(raw.fingerprint, "fingerprint")?,
        upstream: name(raw.upstream, "upstream")?,
    })
}

pub(super) fn incident(raw: RawIncident<'_>) -> Result<Incident<'_>, Reject> {
    let severity = whole(raw.severity, "severity", 1..=5, "a whole number from 1 to 5")?;
    let caused_by = given(raw.caused_by, "caused_by")?.unwrap_or_default();
    let deploy_id = name(caused_by.deploy_id, "caused_by.deploy_id")?;
    let sha = name(caused_by.sha, "caused_by.sha")?;
    Ok(Incident {
        incident_id: required(name(raw.incident_id, "incident_id")?, "incident_id")?,
        status: required(one_of(raw.status, "status")?, "status")?,
        severity: severity
            .and_then(|severity| u8::try_from(severity).ok())
            .unwrap_or(DEFAULT_SEVERITY),
        caused_by: (deploy_id.is_some() || sha.is_some()).then_some(CausedBy { deploy_id, sha }),
    })
}

pub(super) fn review(raw: RawReview<'_>) -> Result<Review<'_>, Reject> {
    let sha = name(raw.sha, "sha")?;
    let change_id = name(raw.change_id, "change_id")?;
    if sha.is_none() && change_id.is_none() {
        return Err(Reject::MissingField {
            field: "sha or change_id",
        });
    }
    Ok(Review {
        sha,
        change_id,
        verdict: required(one_of(raw.verdict, "verdict")?, "verdict")?,
        by: required(name(raw.by, "by")?, "by")?,
        level: one_of(raw.level, "level")?.unwrap_or_default(),
        groups: names(raw.groups, "groups", "groups[]", GROUPS_BOUND)?,
        bot: flag(raw.bot, "bot")?,
    })
}

pub(super) fn service(raw: RawService<'_>) -> Result<Service<'_>, Reject> {
    given(raw.owner, "owner")?;
    Ok(Service {
        criticality: one_of(raw.criticality, "criticality")?,
        depends_on: names(
            raw.depends_on,
            "depends_on",
            "depends_on[]",
            "a list of at most 256 services",
        )?,
        traffic_share: share(raw.traffic_share, "traffic_share")?,
        slo: given(raw.slo, "slo")?.map(slo).transpose()?,
    })
}

fn slo(raw: RawSlo) -> Result<Slo, Reject> {
    let objective = required(share(raw.objective, "slo.objective")?, "slo.objective")?;
    // Neither leaves a budget of errors to measure by.
    if objective == UnitInterval::ZERO || objective == UnitInterval::ONE {
        return Err(Reject::OutOfRange {
            field: "slo.objective",
            expected: "a share between 0 and 1, neither of them",
        });
    }
    let window_days = whole(
        raw.window_days,
        "slo.window_days",
        1..=u64::from(MAX_WINDOW_DAYS),
        "a whole number from 1 to 366",
    )?;
    Ok(Slo {
        objective,
        window_days: window_days
            .and_then(|days| u16::try_from(days).ok())
            .unwrap_or(DEFAULT_WINDOW_DAYS),
    })
}

pub(super) fn override_(raw: RawOverride<'_>, time: Timestamp) -> Result<Override<'_>, Reject> {
    let until = required(instant(raw.until, "until")?, "until")?;
    if until > time + MAX_OVERRIDE {
        return Err(Reject::OutOfRange {
            field: "until",
            expected: "at most 7 days after `time`",
        });
    }
    Ok(Override {
        effect: required(one_of(raw.effect, "effect")?, "effect")?,
        until,
        reason: required(cut_text(raw.reason, "reason", MAX_REASON_BYTES)?, "reason")?,
        by: required(name(raw.by, "by")?, "by")?,
    })
}
