//! What passes by itself: asked again, and nobody notices.

use std::time::Duration;

use rdkafka::types::{
    RDKafkaApiKey as Request,
    RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS as CONCURRENT_TRANSACTIONS,
        RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS as COORDINATOR_LOAD_IN_PROGRESS,
        RD_KAFKA_RESP_ERR_NOT_COORDINATOR as NOT_COORDINATOR,
        RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS as NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as REQUEST_TIMED_OUT,
    },
};

use crate::support::{Cluster, Logged, assert_one_decision_a_change, events, eventually, wait_applied};

const ROUNDS: u32 = 5;

/// Everything was taken in once, and nothing was aborted or built anew on the way.
fn assert_unnoticed(cluster: &Cluster, logged: &Logged) {
    assert_eq!(wait_applied(&logged.instance, ROUNDS), 0, "nothing was written twice");
    assert_one_decision_a_change(cluster, ROUNDS);
    assert_eq!(
        logged.count("holdpoint_transactions_total", &["outcome=\"aborted\""]),
        0
    );
    assert_eq!(logged.count("holdpoint_client_rebuilds_total", &[]), 0);
}

#[test]
fn records_refused_for_a_while_are_written_once() {
    let cluster = Cluster::start("produce");
    cluster.site.send(&events(0..ROUNDS));
    let errors = [
        NOT_ENOUGH_REPLICAS,
        REQUEST_TIMED_OUT,
        NOT_LEADER_FOR_PARTITION,
        NOT_ENOUGH_REPLICAS,
        REQUEST_TIMED_OUT,
    ];
    cluster.fail(Request::Produce, &errors);
    let logged = Logged::debugged(&cluster.site, "msg");
    assert_unnoticed(&cluster, &logged);
    let n_met = logged.log().matches("encountered error").count();
    assert_eq!(n_met, errors.len(), "every error was met");
}

#[test]
fn a_coordinator_that_is_busy_or_moves_is_asked_until_it_decides() {
    let cluster = Cluster::start("coordinator");
    cluster.site.send(&events(0..ROUNDS));
    let errors = [COORDINATOR_LOAD_IN_PROGRESS, NOT_COORDINATOR, CONCURRENT_TRANSACTIONS];
    let requests = [
        Request::InitProducerId,
        Request::AddPartitionsToTxn,
        Request::AddOffsetsToTxn,
        Request::TxnOffsetCommit,
        Request::EndTxn,
    ];
    for request in requests {
        cluster.fail(request, &errors);
    }
    let logged = Logged::debugged(&cluster.site, "eos");
    assert_unnoticed(&cluster, &logged);
    // The last of the three in each answer but those to TxnOffsetCommit, which librdkafka tells nobody of.
    let log = logged.log();
    for facility in ["GETPID", "ADDPARTS", "ADDOFFSETS", "ENDTXN"] {
        let is_met = log
            .lines()
            .filter(|line| line.ends_with(&format!("facility=\"{facility}\"")))
            .any(|line| line.contains("CONCURRENT_TRANSACTIONS") || line.contains("another concurrent operation"));
        assert!(is_met, "{facility} met its errors");
    }
}

/// Each answer takes longer than a turn leaves for partitions that begin.
#[test]
fn a_coordinator_that_takes_long_to_answer_keeps_no_input_from_being_read() {
    let cluster = Cluster::start("slow");
    cluster.site.send(&events(0..1));
    let logged = Logged::start(&cluster.site, "ingest,score,api");
    // Score has what it needs, and is not held up.
    logged.instance.wait_ready();
    let answer_after = |took: Duration| {
        let told = cluster.mock.broker_round_trip_time(1, took);
        told.expect("the mock takes it");
    };
    answer_after(Duration::from_millis(1_050));
    eventually("some of it is consumed", || {
        (logged.count("holdpoint_events_consumed_total", &[]) > 0).then_some(())
    });
    answer_after(Duration::ZERO);
    wait_applied(&logged.instance, 1);
}
