//! A worker whose producer is another's now: torn down, built anew in the process, and on it goes.
//!
//! The mock cluster forgets positions, so ingest reads its inputs from the beginning again; that nobody writes twice
//! under one name is the broker tier's to show.

use rdkafka::types::{
    RDKafkaApiKey as Request,
    RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH as INVALID_PRODUCER_EPOCH,
        RD_KAFKA_RESP_ERR_PRODUCER_FENCED as PRODUCER_FENCED,
    },
};

use crate::support::{Cluster, Logged, assert_one_decision_a_change, events, eventually, wait_applied};

/// Waits until the worker is said to be built anew after a fence, and then until it is.
fn wait_rebuilt(logged: &Logged, worker: &str) {
    let why = eventually("it is not ready", || logged.not_ready()?.get(worker).cloned());
    assert!(why.contains("fenced"), "{why}");
    logged.instance.wait_ready();
    assert_eq!(logged.count("holdpoint_client_rebuilds_total", &[]), 1);
    let (status, body) = logged.instance.answer("/healthz").expect("alive");
    assert_eq!(status, 200, "{body}");
}

#[test]
fn a_fenced_ingest_worker_is_rebuilt_and_goes_on() {
    let cluster = Cluster::start("fenced-ingest");
    cluster.site.send(&events(0..2));
    let fenced = Logged::start(&cluster.site, "ingest,api");
    fenced.instance.wait_ready();
    cluster.fail(Request::EndTxn, &[INVALID_PRODUCER_EPOCH]);
    wait_rebuilt(&fenced, "ingest");
    cluster.site.send(&events(2..4));
    let score = Logged::start(&cluster.site, "score,api");
    wait_applied(&score.instance, 4);
    assert_one_decision_a_change(&cluster, 4);
}

#[test]
fn a_fenced_score_worker_is_rebuilt_restored_and_goes_on() {
    let cluster = Cluster::start("fenced-score");
    let fenced = Logged::start(&cluster.site, "score,api");
    fenced.instance.wait_ready();
    cluster.append(&events(0..2));
    wait_applied(&fenced.instance, 2);
    // Its next heartbeat meets this.
    cluster.fail(Request::EndTxn, &[PRODUCER_FENCED]);
    wait_rebuilt(&fenced, "score");
    cluster.append(&events(2..4));
    assert_eq!(
        wait_applied(&fenced.instance, 4),
        0,
        "what is snapshotted is not stepped again"
    );
    assert_one_decision_a_change(&cluster, 4);
}

#[test]
fn a_worker_fenced_while_it_begins_begins_again() {
    let cluster = Cluster::start("fenced-start");
    // The test's own producer has begun by then.
    cluster.append(&events(0..1));
    // Three times, for readiness is looked at between two of them.
    cluster.fail(Request::InitProducerId, &[PRODUCER_FENCED; 3]);
    let fenced = Logged::start(&cluster.site, "score,api");
    let why = eventually("it is not ready for this", || {
        let why = fenced.not_ready()?.get("score").cloned()?;
        why.contains("fenced").then_some(why)
    });
    assert!(why.contains("init_transactions"), "{why}");
    fenced.instance.wait_ready();
    wait_applied(&fenced.instance, 1);
}
