//! A fetch that fails: nothing is passed over for it.

use std::time::Duration;

use holdpoint::{
    clock::Stopwatch,
    model::Offset,
    stream::{
        Change, Client as _,
        kafka::{KafkaClient, Names, Tuning},
    },
};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN as UNKNOWN};

use crate::support::{Cluster, events};

const WITHIN: Duration = Duration::from_mins(1);

/// librdkafka counts an error in a batch of records as one that was read: a position taken from it would be committed,
/// and the record behind the error never given.
#[test]
fn a_fetch_that_fails_moves_no_position() {
    let cluster = Cluster::start("fetch-fails");
    let topic = cluster.site.topic("errors");
    let names = Names {
        group: "fetch-fails".to_owned(),
        client_id: "fetch-fails".to_owned(),
        transactional_id: "fetch-fails".to_owned(),
        writes: Vec::new(),
    };
    let tuning = Tuning::default();
    let mut client = KafkaClient::new(&cluster.site.connection, &names, &[&topic], &tuning).expect("a client");
    cluster.fail(RDKafkaApiKey::Fetch, &[UNKNOWN; 3]);
    let sent = events(0..1);
    cluster.site.send(&sent);
    let n_sent = sent.iter().filter(|(topic, ..)| *topic == "errors").count();
    let began = Stopwatch::start();
    let mut given = Vec::new();
    let mut partitions = Vec::new();
    while given.len() < n_sent {
        assert!(began.elapsed() < WITHIN, "{given:?}");
        for change in client.poll(Duration::from_millis(20)).expect("polled") {
            if let Change::Assigned(partition) = change {
                client.start(&partition, Offset(0)).expect("started");
                partitions.push(partition);
            }
        }
        for partition in &partitions {
            let take = |record: &holdpoint::stream::Record<'_>| {
                given.push(record.offset);
                true
            };
            client.take(partition, 100, &mut { take }).expect("taken");
            for (_, position) in client.positions().expect("positions") {
                assert!(
                    position.0 <= i64::try_from(given.len()).expect("few"),
                    "at {position}, and given were {given:?}"
                );
            }
        }
    }
    assert!(
        given.iter().copied().eq((0_i64..).take(n_sent).map(Offset)),
        "{given:?}"
    );
}
