//! A server with sample data.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::{broadcast, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    api::{
        Health, Reported, Reports, State,
        server::{LIMITS, Limits, listen, serve_within},
    },
    clock::Clock,
    gate::{Applied, Heartbeat, Place, Record, StandingDecision, View},
    model::{Body, Criticality, Effect, Event, Kind, Offset, Override, PartitionIndex, ServiceId, Timestamp},
    score::ServiceReport,
    wire::{control::decode_decision, partition::partition_of},
};

pub(super) const N_PARTITIONS: u32 = 4;
const NOW: &str = "2026-03-10T14:02:07Z";

/// What is told of all services is as of when it is asked for.
pub(super) const LIMITS_OF_TESTS: Limits = Limits {
    overview_age: Duration::ZERO,
    ..LIMITS
};

/// How long is waited for what must come at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) state: Arc<State>,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<std::io::Result<()>>,
}

pub(super) fn now() -> Timestamp {
    NOW.parse().expect("a time")
}

/// Nothing is read yet, and this instance owns `checkout`'s partition.
pub(super) fn state() -> State {
    let health = Arc::new(Health::new());
    health.set(Health::VIEW, None);
    State {
        view: Arc::new(View::new()),
        reports: Arc::new(report),
        health,
        metrics: PrometheusBuilder::new().build_recorder().handle(),
        decisions: broadcast::channel(8).0,
        n_partitions: Arc::new(AtomicU32::new(N_PARTITIONS)),
        ai: watch::channel(None).1,
        // It stands still.
        clock: Clock::compressed(now(), 0),
        instance: "node-a".into(),
        advertise: "http://node-a:8484".into(),
        default_environment: "production".into(),
    }
}

/// Knows `checkout`; is being rebuilt for `wedged`; does not own `search`, `lonely` and `pet shop`; knows no other.
fn report(service: ServiceId) -> oneshot::Receiver<Reported> {
    let (sender, receiver) = oneshot::channel();
    let answer = match service.as_str() {
        "wedged" => return receiver,
        "search" | "lonely" | "pet shop" => Reported::NotHeld,
        "checkout" => {
            let mut applied = [0; Kind::ALL.len()];
            applied[Kind::Error.index()] = 214;
            Reported::Service(Box::new(ServiceReport {
                service,
                tier: Criticality::High,
                applied,
                late: 3,
                duplicates: 2,
                changes_remembered: 1,
                depends_on: Vec::new(),
                callers: Vec::new(),
                change_failure_rate: 0.075,
                blast_radius: 2.0,
                environments: Vec::new(),
            }))
        }
        _ => Reported::NoSuchService,
    };
    sender.send(answer).expect("the receiver is here");
    receiver
}

/// As [`report`] for one who owns nothing.
pub(super) fn nothing_owned() -> Arc<Reports> {
    Arc::new(|_service| {
        let (sender, receiver) = oneshot::channel();
        sender.send(Reported::NotHeld).expect("the receiver is here");
        receiver
    })
}

/// A decision, by what differs between cases; `lapsed` is a freeze that has ended.
pub(super) fn decision(service: &str, sequence: u64, action: &str, risk: f64) -> StandingDecision {
    let (action, valid_until) = match action {
        "lapsed" => ("freeze", Some("2026-03-10T14:02:07.000Z")),
        "freeze" => ("freeze", Some("2026-03-10T15:02:07.120Z")),
        other => (other, None),
    };
    let json = serde_json::json!({
        "schema": "holdpoint.decision/1",
        "id": format!("service:{service}@production#{sequence}"),
        "sequence": sequence,
        "subject": {"type": "service", "service": service, "environment": "production"},
        "action": action,
        "mode": "enforce",
        "decided_at": "2026-03-10T14:00:07.120Z",
        "valid_until": valid_until,
        "risk": risk,
        "reasons": [{"code": "deploy_regression", "text": format!("errors of {service} at 6.1 times the baseline <since> d-81")}],
        "to_lift": ["roll back d-81"],
        "obligations": if action == "extra_review" { serde_json::json!([{"kind": "approval", "count": 1, "level": "senior", "group": null, "when": {}}]) } else { serde_json::json!([]) },
        "exempt": ["rollback", "hotfix", "security"],
        "incidents": if action == "freeze" { vec!["INC-1"] } else { Vec::new() },
        "suspects": [],
        "policy": "sha256:0",
        "model": "sha256:0",
        "cause": {"time": "2026-03-10T14:00:07.120Z"},
    });
    decode_decision(json.to_string().as_bytes()).expect("as the schema has it")
}

impl State {
    /// Applies a record as if it were the next of the partition of `service`.
    pub(super) fn apply(&self, service: &str, record: Record) {
        let partition = partition_of(service, N_PARTITIONS);
        let offset = self.view.position(partition).unwrap_or(Offset(0));
        let applied = self.view.apply(
            Place {
                partition,
                offset,
                timestamp: now(),
            },
            Ok(record),
        );
        assert!(
            matches!(applied, Applied::Decision(_) | Applied::Heartbeat),
            "{applied:?}"
        );
    }

    pub(super) fn decide(&self, service: &str, sequence: u64, action: &str, risk: f64) {
        self.apply(service, Record::Decision(decision(service, sequence, action, risk)));
    }

    /// The owner of `service`'s partition gave a sign of life, `ago` before now.
    pub(super) fn beat(&self, service: &str, instance: &str, url: &str, ago: Duration) {
        let partition = partition_of(service, N_PARTITIONS);
        let offset = self.view.position(partition).unwrap_or(Offset(0));
        let at = now() - ago;
        let heartbeat = Heartbeat {
            partition,
            at,
            now: Some(at),
            interval_ms: 5_000,
            services: 1,
            instance: instance.into(),
            url: url.into(),
        };
        self.view.apply(
            Place {
                partition,
                offset,
                timestamp: at,
            },
            Ok(Record::Heartbeat(heartbeat)),
        );
    }

    /// A person's word on a service in every environment, for ten minutes from now.
    pub(super) fn say(&self, service: &str, effect: Effect, reason: &str) {
        let said = Override {
            effect,
            until: now() + Duration::from_mins(10),
            reason: reason.into(),
            by: "someone@example.net".into(),
        };
        let is_newest = self.view.apply_override(&Event {
            id: "o-1".into(),
            time: now(),
            service: service.into(),
            environment: None,
            source: "cli".into(),
            body: Body::Override(said),
        });
        assert!(is_newest, "{service}");
    }

    pub(super) fn forget_n_partitions(&self) {
        self.n_partitions.store(0, Ordering::Relaxed);
    }
}

/// Which partition a service's records are on.
pub(super) fn partition(service: &str) -> PartitionIndex {
    partition_of(service, N_PARTITIONS)
}

impl Server {
    pub(super) async fn start(state: State) -> Self {
        Self::start_within(LIMITS_OF_TESTS, state).await
    }

    pub(super) async fn start_within(limits: Limits, state: State) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = listen(any).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(state);
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let ended = tokio::spawn(serve_within(limits, listener, state.clone(), stopped));
        Self {
            address,
            state,
            stop,
            ended,
        }
    }

    /// A connection from the `n`th address of this machine.
    pub(super) async fn connect(&self, n: u8) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        let own = SocketAddr::from(([127, 0, 0, n], 0));
        socket.bind(own).expect("an address of this machine");
        socket.connect(self.address).await.expect("connected")
    }

    /// Stops it, and sees that it ends.
    pub(super) async fn stop(self) {
        self.stop.send(()).expect("it runs");
        let ended = tokio::time::timeout(PATIENCE, self.ended)
            .await
            .expect("it ends in time");
        ended.expect("it does not panic").expect("it ends well");
    }
}
