//! Input that is out of the ordinary, and no reason to stop: a topic that may not be read, a commit near the size limit.

use rdkafka::types::RDKafkaRespErr::{
    RD_KAFKA_RESP_ERR_NO_ERROR as NO_ERROR, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as TOPIC_AUTHORIZATION_FAILED,
};

use std::time::Duration;

use holdpoint::wire::events::{RECORD_BYTES_MAX, entries};
use serde_json::json;

use crate::support::{Cluster, Logged, events, eventually, now, wait_applied};

#[test]
fn an_input_topic_that_may_not_be_read_holds_up_no_other() {
    let cluster = Cluster::start("forbidden");
    cluster.site.send(&events(0..2));
    cluster.fail_topic("errors", TOPIC_AUTHORIZATION_FAILED);
    let logged = Logged::start(&cluster.site, "ingest,score,api");
    logged.instance.wait_ready();
    let (errors, commits) = (cluster.site.topic("errors"), cluster.site.topic("commits"));
    eventually("commits are consumed", || {
        let consumed = logged.count("holdpoint_events_consumed_total", &[&format!("topic=\"{commits}\"")]);
        (consumed == 16).then_some(())
    });
    let said = eventually("the log names the topic", || {
        let log = logged.log();
        log.lines()
            .find(|line| line.contains(&errors) && line.to_lowercase().contains("authorization failed"))
            .map(str::to_owned)
    });
    assert!(said.contains("WARN"), "{said}");
    let labels = [format!("topic=\"{errors}\"")];
    assert_eq!(
        logged.count("holdpoint_events_consumed_total", &[&labels[0]]),
        0,
        "nothing of it is consumed"
    );
    let (status, body) = logged.instance.answer("/healthz").expect("alive");
    assert_eq!(status, 200, "{body}");
    assert_eq!(logged.count("holdpoint_client_rebuilds_total", &[]), 0);

    cluster.fail_topic("errors", NO_ERROR);
    wait_applied(&logged.instance, 2);
}

const N_LARGE: usize = 4;

/// Brokers refuse a record of the log that is too long, and time is told in the same transaction.
#[test]
fn a_commit_near_the_size_limit_travels_alone() {
    let cluster = Cluster::start("large");
    let groups = |i: usize| -> Vec<String> { (0..60).map(|j| format!("{i:0>100}-{j:0>90}")).collect() };
    let approvals: Vec<_> = (0..64)
        .map(|i| json!({"by": format!("p{i}"), "groups": groups(i)}))
        .collect();
    // Whichever of them are read at once, time has moved on by more than is waited for.
    for i in 0..u32::try_from(N_LARGE).expect("few") {
        let (at, sha) = (
            now() - Duration::from_mins(2) + Duration::from_secs(20) * i,
            format!("large-{i}"),
        );
        let commit = json!({"kind": "commit", "id": sha, "time": at.to_string(), "service": "s0", "sha": sha,
            "approvals": approvals});
        let commit = serde_json::to_vec(&commit).expect("JSON");
        assert!(commit.len() > RECORD_BYTES_MAX, "{}", commit.len());
        cluster.site.send(&[("commits", 0, at, commit)]);
    }
    let logged = Logged::start(&cluster.site, "ingest,score,api");
    eventually("the commits are taken in", || {
        let report = logged.instance.service("s0")?;
        (report["applied"]["commit"] == N_LARGE).then_some(())
    });
    let records: Vec<Vec<u8>> = cluster
        .site
        .read("events")
        .into_iter()
        .filter_map(|record| record.value)
        .collect();
    let long: Vec<usize> = records
        .iter()
        .filter(|record| record.len() > RECORD_BYTES_MAX)
        .map(|record| entries(record).expect("an own record").count())
        .collect();
    assert_eq!(
        long, [1; N_LARGE],
        "entries of each record that is longer than the bound"
    );
}
