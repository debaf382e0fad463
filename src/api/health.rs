//! `GET /healthz` and `GET /readyz`: whether this instance lives, and whether it can be gone by.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{extract, http::StatusCode, response::Response};
use dashmap::DashMap;
use serde::Serialize;

use super::{Edge, json};

/// What is not ready, and why. Parts are set by those who run them.
#[derive(Debug)]
pub struct Health {
    not_ready: DashMap<&'static str, String>,
    control_read: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// The view of the control topic and of the overrides. Until it has caught up once, verdicts are unknown. Brokers
    /// lost later are no reason to set it back: then heartbeats grow stale, and what stands still stands.
    pub const VIEW: &'static str = "view";

    /// Only the view is known to be behind: it is there in every role.
    #[must_use]
    pub fn new() -> Self {
        let health = Self {
            not_ready: DashMap::new(),
            control_read: AtomicBool::new(false),
        };
        health.set(
            Self::VIEW,
            Some("the control topic has not been read to its end yet".to_owned()),
        );
        health
    }

    /// Says why `part` is not ready, or with `None` that it is.
    pub fn set(&self, part: &'static str, why: Option<String>) {
        match why {
            Some(why) => {
                self.not_ready.insert(part, why);
            }
            None => {
                self.not_ready.remove(part);
            }
        }
    }

    /// The control topic has been read to its end: what the view holds stands, whatever is not ready.
    pub fn note_control_read(&self) {
        self.control_read.store(true, Ordering::Relaxed);
    }

    #[must_use]
    pub fn is_control_read(&self) -> bool {
        self.control_read.load(Ordering::Relaxed)
    }

    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.not_ready.is_empty()
    }

    /// Why `part` is not ready; `None` if it is.
    #[must_use]
    pub fn reason(&self, part: &str) -> Option<String> {
        self.not_ready.get(part).map(|why| why.clone())
    }

    /// The parts not ready, by name, and why.
    #[must_use]
    pub fn reasons(&self) -> BTreeMap<&'static str, String> {
        self.not_ready
            .iter()
            .map(|entry| (*entry.key(), entry.value().clone()))
            .collect()
    }
}

#[derive(Serialize)]
struct Json<'a> {
    status: &'static str,
    why: &'static str,
    instance: &'a str,
    version: &'static str,
    /// By part.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    reasons: BTreeMap<&'static str, String>,
}

fn respond(
    edge: &Edge,
    code: StatusCode,
    told: (&'static str, &'static str),
    reasons: BTreeMap<&'static str, String>,
) -> Response {
    let (status, why) = told;
    let version = env!("CARGO_PKG_VERSION");
    json::respond(
        code,
        json::to_json(&Json {
            status,
            why,
            instance: &edge.state.instance,
            version,
            reasons,
        }),
    )
}

pub(super) async fn alive(extract::State(edge): extract::State<Arc<Edge>>) -> Response {
    respond(&edge, StatusCode::OK, ("alive", "it answers"), BTreeMap::new())
}

pub(super) async fn ready(extract::State(edge): extract::State<Arc<Edge>>) -> Response {
    let reasons = edge.state.health.reasons();
    if reasons.is_empty() {
        let why = "partitions are restored and the view of the control topic is caught up";
        return respond(&edge, StatusCode::OK, ("ready", why), reasons);
    }
    respond(
        &edge,
        StatusCode::SERVICE_UNAVAILABLE,
        ("not_ready", "parts of this instance are not ready"),
        reasons,
    )
}
