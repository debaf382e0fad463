//! Heartbeats of the scorers and marks of the ingest workers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{check_schema, instant, to_json};
use crate::{
    gate::{Heartbeat, IngestMark, Unreadable},
    model::{PartitionIndex, Timestamp},
};

const HEARTBEAT: &str = "holdpoint.heartbeat";
const INGEST: &str = "holdpoint.ingest";

#[derive(Serialize, Deserialize)]
struct HeartbeatJson<'a> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
    partition: PartitionIndex,
    #[serde(with = "instant")]
    at: Timestamp,
    #[serde(with = "instant::option", default)]
    now: Option<Timestamp>,
    interval_ms: u64,
    services: u64,
    #[serde(borrow)]
    instance: Cow<'a, str>,
    #[serde(borrow)]
    url: Cow<'a, str>,
}

#[derive(Serialize, Deserialize)]
struct IngestJson<'a> {
    #[serde(borrow)]
    schema: Cow<'a, str>,
    #[serde(borrow)]
    instance: Cow<'a, str>,
    #[serde(with = "instant")]
    at: Timestamp,
    #[serde(with = "instant::option", default)]
    watermark: Option<Timestamp>,
    behind: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    partitions: Option<u32>,
}

#[must_use]
pub fn encode_heartbeat(heartbeat: &Heartbeat) -> Vec<u8> {
    let Heartbeat {
        partition,
        at,
        now,
        interval_ms,
        services,
        instance,
        url,
    } = heartbeat;
    to_json(&HeartbeatJson {
        schema: format!("{HEARTBEAT}/1").into(),
        partition: *partition,
        at: *at,
        now: *now,
        interval_ms: *interval_ms,
        services: *services,
        instance: instance.as_ref().into(),
        url: url.as_ref().into(),
    })
}

pub fn decode_heartbeat(value: &[u8]) -> Result<Heartbeat, Unreadable> {
    let json: HeartbeatJson<'_> = serde_json::from_slice(value).map_err(Unreadable::NotAsExpected)?;
    check_schema(&json.schema, HEARTBEAT)?;
    let HeartbeatJson {
        schema: _,
        partition,
        at,
        now,
        interval_ms,
        services,
        instance,
        url,
    } = json;
    Ok(Heartbeat {
        partition,
        at,
        now,
        interval_ms,
        services,
        instance: instance.into(),
        url: url.into(),
    })
}

#[must_use]
pub fn encode_ingest(mark: &IngestMark) -> Vec<u8> {
    let IngestMark {
        instance,
        at,
        watermark,
        behind,
        partitions,
    } = mark;
    to_json(&IngestJson {
        schema: format!("{INGEST}/1").into(),
        instance: instance.as_ref().into(),
        at: *at,
        watermark: *watermark,
        behind: *behind,
        partitions: *partitions,
    })
}

pub fn decode_ingest(value: &[u8]) -> Result<IngestMark, Unreadable> {
    let json: IngestJson<'_> = serde_json::from_slice(value).map_err(Unreadable::NotAsExpected)?;
    check_schema(&json.schema, INGEST)?;
    let IngestJson {
        schema: _,
        instance,
        at,
        watermark,
        behind,
        partitions,
    } = json;
    Ok(IngestMark {
        instance: instance.into(),
        at,
        watermark,
        behind,
        partitions,
    })
}
