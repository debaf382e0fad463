//! An input topic that may not be read: said aloud, and no reason for the others to stop.

use rdkafka::types::RDKafkaRespErr::{
    RD_KAFKA_RESP_ERR_NO_ERROR as NO_ERROR, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as TOPIC_AUTHORIZATION_FAILED,
};

use crate::support::{Cluster, Logged, events, eventually, wait_applied};

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
