//! Snapshots that are refused: one that cannot be read holds up its partition until someone has mended it, those of
//! another partition count all of them.

use std::{sync::Arc, time::Duration};

use holdpoint::{
    model::{Offset, PartitionIndex},
    score::Partition,
    stream::Write,
    wire::{partition::partition_of, state},
};

use rdkafka::types::{
    RDKafkaApiKey, RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as TOPIC_AUTHORIZATION_FAILED,
};

use crate::support::{Cluster, LOG_PARTITIONS, Logged, events, eventually, now, wait_applied};

#[test]
fn a_partition_with_an_unreadable_snapshot_is_not_ready_and_says_nothing() {
    let cluster = Cluster::start("poison");
    let partition = partition_of("s0", LOG_PARTITIONS);
    let snapshot = |value: Option<&[u8]>| {
        let write = Write {
            topic: Arc::from(cluster.site.topic("state")),
            partition,
            timestamp: now(),
            key: Some(state::service_key("s0")),
            value: value.map(<[u8]>::to_vec),
            headers: Vec::new(),
        };
        cluster
            .site
            .publisher
            .send(&write, Duration::from_secs(10))
            .expect("sent");
    };
    snapshot(Some(b"\x01no snapshot"));
    cluster.append(&events(0..2));
    let logged = Logged::start(&cluster.site, "score,api");
    eventually("it is said, again and again", || {
        (logged.log().matches("cannot restore").count() >= 2).then_some(())
    });
    eventually("the others are restored", || {
        let reasons = logged.not_ready().expect("not ready");
        let why = reasons.get("score")?;
        let is_one = why.starts_with(&format!("restoring 1 of {LOG_PARTITIONS} partitions"));
        (is_one && why.contains("snapshot version 1")).then_some(())
    });
    let log = logged.log();
    let said = log.lines().find(|line| line.contains("cannot restore")).expect("said");
    assert!(
        said.contains("ERROR") && said.contains(&format!("partition={partition}")),
        "{said}"
    );
    let others = (1..8).filter(|i| partition_of(&format!("s{i}"), LOG_PARTITIONS) != partition);
    for i in others {
        eventually("services elsewhere are served", || {
            logged.instance.service(&format!("s{i}"))?.get("applied").cloned()
        });
    }
    let (status, body) = logged.instance.answer("/v1/services/s0").expect("an answer");
    assert_eq!(status, 503, "{body}");
    let of_it = |key: &str| key == format!("heartbeat:{partition}") || key.starts_with("change:s0:");
    for record in cluster.site.read("control") {
        assert!(!record.key.as_deref().is_some_and(of_it), "{:?}", record.key);
    }

    // Its owner may do without it.
    snapshot(None);
    logged.instance.wait_ready();
    wait_applied(&logged.instance, 2);
}

/// Writes the record of partition 0, of a log that has so many.
fn write_image(cluster: &Cluster, n_partitions: u32) {
    let partition = PartitionIndex(0);
    let image = Partition::default().image(Offset(0), n_partitions);
    let write = Write {
        topic: Arc::from(cluster.site.topic("state")),
        partition,
        timestamp: now(),
        key: Some(state::partition_key(partition)),
        value: Some(state::encode_partition(&image)),
        headers: Vec::new(),
    };
    let publisher = &cluster.site.publisher;
    publisher.send(&write, Duration::from_secs(10)).expect("sent");
}

/// The rights are often given after the program was started for the first time.
#[test]
fn a_state_that_may_not_be_read_is_named_at_once_until_it_may() {
    let cluster = Cluster::start("unreadable");
    write_image(&cluster, LOG_PARTITIONS);
    cluster.fail(RDKafkaApiKey::Fetch, &[TOPIC_AUTHORIZATION_FAILED; 9]);
    let logged = Logged::start(&cluster.site, "ingest,score,api");
    let said = eventually("it is said", || {
        let log = logged.log();
        log.lines().find(|line| line.contains("not started")).map(str::to_owned)
    });
    assert!(
        said.contains(&cluster.site.topic("state")) && said.to_lowercase().contains("authorization failed"),
        "{said}"
    );
    assert!(!said.contains("did not move on"), "it was waited for: {said}");
    logged.instance.wait_ready();
}

/// Partitions were added to all topics that belong together: services are elsewhere, where nothing is known of them.
#[test]
fn a_log_of_another_partition_count_than_its_state_is_refused_and_nothing_is_written() {
    let cluster = Cluster::start("count");
    write_image(&cluster, LOG_PARTITIONS / 2);
    cluster.site.send(&events(0..2));
    let logged = Logged::start(&cluster.site, "ingest,score,api");
    eventually("all parts say so, again and again", || {
        (logged.log().matches("the count is fixed at creation").count() >= 9).then_some(())
    });
    let reasons = logged.not_ready().expect("not ready");
    for part in ["ingest", "score", "view"] {
        assert!(reasons[part].contains("the count is fixed at creation"), "{reasons:?}");
    }
    assert_eq!(cluster.site.ends("state").iter().sum::<i64>(), 1, "what was there");
    for topic in ["events", "control"] {
        assert_eq!(cluster.site.ends(topic).iter().sum::<i64>(), 0, "{topic}");
    }
}
