//! THE HTTP EDGE: one file per resource, the page's assets, the metrics. The only async part of the program.
//!
//! Nothing is decided here: answers come from the view of the control topic, which every instance holds whole, and of
//! one service's state from the worker that owns it.
//!
//! **Invariants:** every answer begins within [`server::Limits::request`], and ends when for so long no byte of it is taken;
//! streams, which are counted, too. No request is held in memory whole; no lock is held across an `.await`; what others
//! wrote is escaped on its way into a page.

mod decisions;
mod fleet;
mod guard;
mod health;
mod host;
mod json;
mod live;
mod metrics;
mod overview;
mod page;
mod parameters;
mod problem;
mod server;
mod service;
mod services;
mod socket;
mod verdict;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{Router, middleware, routing::get};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Semaphore, broadcast, oneshot, watch};

pub use health::Health;
pub use server::{listen, serve};

use crate::{
    clock::Clock,
    gate::{StandingDecision, View},
    model::ServiceId,
    score::{AiOutlook, ServiceReport},
};
use guard::Terms;
use overview::Lookout;
use server::Limits;

/// Clients that follow decisions live, at most: each holds a task and a connection for as long as it likes.
const STREAMS_MAX: usize = 1_024;

/// Looks at all services for a page of the list, at once: each takes a core that the scorer has not. The next waits.
const SCANS_MAX: usize = 1;

/// What an instance knows of a service's state.
#[derive(Debug)]
pub enum Reported {
    Service(Box<ServiceReport>),
    /// The service's partition is held here, and no event has named such a service.
    NoSuchService,
    /// The service's partition is not held here, or is being restored.
    NotHeld,
}

/// Asks the worker that holds a service's state for a report on it. A closed channel: the worker is being rebuilt.
pub type Reports = dyn Fn(ServiceId) -> oneshot::Receiver<Reported> + Send + Sync;

/// What the edge answers from.
pub struct State {
    pub view: Arc<View>,
    pub reports: Arc<Reports>,
    pub health: Arc<Health>,
    pub metrics: PrometheusHandle,
    /// Every decision as it is read from the control topic, for those who follow live.
    pub decisions: broadcast::Sender<Arc<StandingDecision>>,
    /// Partitions of the log; 0 while not known.
    pub n_partitions: Arc<AtomicU32>,
    /// What the fleet knows of AI-assisted changes, where this instance holds the fleet's partition.
    pub ai: watch::Receiver<Option<AiOutlook>>,
    pub clock: Clock,
    pub instance: Box<str>,
    /// The URL by which others reach this instance.
    pub advertise: Box<str>,
    /// For requests that name no environment.
    pub default_environment: Box<str>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("instance", &self.instance)
            .field("advertise", &self.advertise)
            .finish_non_exhaustive()
    }
}

impl State {
    /// How many partitions the log has, if that is known.
    fn n_partitions(&self) -> Option<u32> {
        Some(self.n_partitions.load(Ordering::Relaxed)).filter(|n| *n > 0)
    }
}

/// What every handler is given.
struct Edge {
    state: Arc<State>,
    /// Turns true when the server is to stop.
    stopping: watch::Receiver<bool>,
    streams: Arc<Semaphore>,
    scans: Arc<Semaphore>,
    lookout: Lookout,
}

impl Edge {
    fn new(state: Arc<State>, limits: &Limits, stopping: watch::Receiver<bool>) -> Self {
        Self {
            state,
            stopping,
            streams: Arc::new(Semaphore::new(STREAMS_MAX)),
            scans: Arc::new(Semaphore::new(SCANS_MAX)),
            lookout: Lookout::new(limits.overview_age),
        }
    }
}

fn router(state: Arc<State>, terms: Terms, stopping: watch::Receiver<bool>) -> Router {
    let edge = Arc::new(Edge::new(state, &terms.limits, stopping));
    Router::new()
        .route("/", get(page::page))
        .route("/assets/page.css", get(page::css))
        .route("/assets/page.js", get(page::script))
        .route("/assets/icon.svg", get(page::icon))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .route(verdict::PATH, get(verdict::verdict))
        .route("/v1/services", get(services::services))
        .route("/v1/services/{service}", get(service::service))
        .route("/v1/decisions", get(decisions::decisions))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(middleware::from_fn_with_state(terms, guard::guard))
        .with_state(edge)
}
