//! What a broker refuses for this transaction: it is aborted, memory goes back to the log, and the same is taken again.

use rdkafka::types::{
    RDKafkaApiKey as Request,
    RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION as ILLEGAL_GENERATION,
        RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING as INVALID_PRODUCER_ID_MAPPING,
        RD_KAFKA_RESP_ERR_NO_ERROR as NO_ERROR,
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as TOPIC_AUTHORIZATION_FAILED,
    },
};

use crate::support::{Cluster, Logged, assert_one_decision_a_change, events, eventually, now, wait_applied};

fn n_aborted(logged: &Logged, stage: &str) -> u64 {
    logged.count(
        "holdpoint_transactions_total",
        &["outcome=\"aborted\"", &format!("stage=\"{stage}\"")],
    )
}

/// A reject is in the transaction that moves its offset: while its topic refuses it, nothing behind it is passed over.
#[test]
fn a_batch_with_a_record_that_is_refused_is_taken_again_until_it_is_not() {
    let cluster = Cluster::start("refused");
    let logged = Logged::start(&cluster.site, "ingest,score,api");
    logged.instance.wait_ready();
    cluster.fail_topic("rejected", TOPIC_AUTHORIZATION_FAILED);
    let mut records = events(0..2);
    records.insert(0, ("errors", 0, now(), b"no event".to_vec()));
    records.insert(0, ("commits", 0, now(), b"nor this".to_vec()));
    cluster.site.send(&records);
    eventually("two transactions are aborted", || {
        (n_aborted(&logged, "ingest") >= 2).then_some(())
    });
    assert_eq!(
        logged.count("holdpoint_events_consumed_total", &["kind=\"unknown\""]),
        0,
        "what is aborted is not consumed"
    );
    cluster.fail_topic("rejected", NO_ERROR);
    // Whether copies of events that were not refused themselves are in the log is the mock cluster's way of aborting.
    wait_applied(&logged.instance, 2);
    assert_one_decision_a_change(&cluster, 2);
    let mut rejected = cluster.site.read("rejected");
    // The mock cluster shows what a client aborts as it begins.
    rejected.retain(|record| record.value.is_some());
    assert_eq!(rejected.len(), 2);
    let consumed = logged.count("holdpoint_events_consumed_total", &[]);
    assert_eq!(consumed, 34, "16 commits, 16 errors, 2 rejects, each once");
}

#[test]
fn a_batch_whose_transaction_is_aborted_is_taken_again() {
    let cluster = Cluster::start("taken-again");
    let logged = Logged::start(&cluster.site, "ingest,score,api");
    logged.instance.wait_ready();
    let mut rounds = 0;
    let mut round = |request, error| {
        cluster.fail(request, &[error]);
        cluster.site.send(&events(rounds..rounds + 1));
        rounds += 1;
        wait_applied(&logged.instance, rounds)
    };
    // As of a member that was shut out of its group meanwhile. An error may fall on a transaction that tells the time
    // only; three in a row do not.
    for _ in 0..3 {
        round(Request::TxnOffsetCommit, ILLEGAL_GENERATION);
    }
    assert!(n_aborted(&logged, "ingest") >= 1);
    // All records are in the log when the end of a transaction is asked for, and stay there since a mock cluster hides
    // nothing: copies, when the batch is taken again, which score takes out.
    let met = (0..20).any(|_| round(Request::EndTxn, INVALID_PRODUCER_ID_MAPPING) > 0);
    assert!(met, "no batch met the error");
    assert_eq!(logged.count("holdpoint_client_rebuilds_total", &[]), 0);
    let consumed = logged.count("holdpoint_events_consumed_total", &[]);
    assert_eq!(consumed, u64::from(rounds * 16), "each record is consumed once");
}

/// Had what the aborted transaction said been taken for said, it would never be; and nothing is read again for it.
#[test]
fn decisions_of_an_aborted_transaction_are_published_by_the_next() {
    let cluster = Cluster::start("said-again");
    let logged = Logged::start(&cluster.site, "score,api");
    logged.instance.wait_ready();
    let n_restored = || logged.log().matches("restored partition").count();
    let restored_before = n_restored();
    let mut rounds = 0;
    // A heartbeat may take the error instead: then the next round meets another.
    let met = (0..10).find(|_| {
        let before = n_aborted(&logged, "score");
        cluster.fail(Request::AddPartitionsToTxn, &[TOPIC_AUTHORIZATION_FAILED]);
        cluster.append(&events(rounds..rounds + 1));
        rounds += 1;
        wait_applied(&logged.instance, rounds);
        assert_one_decision_a_change(&cluster, rounds);
        n_aborted(&logged, "score") > before
    });
    assert!(met.is_some(), "no transaction was aborted");
    assert_eq!(n_restored(), restored_before);
}
