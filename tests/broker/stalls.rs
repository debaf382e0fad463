//! Nothing waits for ever: a transaction that nobody ends holds up whoever reads committed records, within bounds.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use holdpoint::model::Timestamp;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::json;

use crate::{
    reproduction,
    support::{Instance, LOG_PARTITIONS, Site, WITHIN, brokers, eventually, now},
};

/// A transaction that is open on every partition of some topics until this is dropped, or the broker ends it.
struct Open(BaseProducer);

impl Open {
    fn on(site: &Site, topics: &[&str]) -> Self {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &site.brokers)
            .set("transactional.id", format!("{}-open", site.prefix))
            .set("transaction.timeout.ms", "60000");
        let producer: BaseProducer = config.create().expect("a producer");
        producer.init_transactions(WITHIN).expect("a producer's id");
        producer.begin_transaction().expect("begun");
        for topic in topics {
            let topic = site.topic(topic);
            for index in 0..LOG_PARTITIONS {
                let record = BaseRecord::<str, [u8]>::to(&topic)
                    .partition(i32::try_from(index).expect("small"))
                    .key("nobody")
                    .payload(b"");
                producer.send(record).map_err(|(error, _)| error).expect("handed over");
            }
        }
        producer.flush(WITHIN).expect("written");
        Self(producer)
    }

    fn abort(self) {
        self.0.abort_transaction(WITHIN).expect("aborted");
    }
}

fn commit(id: &str, at: Timestamp) -> Vec<u8> {
    let event = json!({"id": id, "time": at.to_string(), "service": "s", "sha": id});
    serde_json::to_vec(&event).expect("JSON")
}

fn n_applied(instance: &Instance) -> Option<u64> {
    instance.service("s")?["applied"]["commit"].as_u64()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "how long a wait took")]
fn a_gate_and_a_restore_on_partitions_that_stand_still_end_in_time() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "stall", &[], "");
    let first = Instance::start(&site, "a");
    first.wait_ready();
    site.send(&[("commits", 0, now(), commit("c1", now()))]);
    eventually("the commit is applied", || (n_applied(&first)? == 1).then_some(()));
    first.kill();

    let open = Open::on(&site, &["control", "state", "events"]);
    let began = Instant::now();
    let (status, text) = site.gate("s", &["--timeout", "2s", "--fail-mode", "closed"]);
    assert_eq!(status, 30, "{text}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    // It waits for what is undecided, alive and not ready, and ends when it is told to.
    let waiting = Instance::start(&site, "b");
    eventually("it answers", || waiting.answer("/healthz"));
    sleep(Duration::from_secs(5));
    let (status, body) = waiting.answer("/readyz").expect("an answer");
    assert_eq!(status, 503, "{body}");
    let began = Instant::now();
    assert_eq!(waiting.terminate(), 0);
    assert!(began.elapsed() < Duration::from_secs(28), "{:?}", began.elapsed());

    // What held it up has ended: all goes on where it was.
    let third = Instance::start(&site, "a");
    open.abort();
    third.wait_ready();
    site.send(&[("commits", 0, now(), commit("c2", now()))]);
    eventually("both commits are applied", || (n_applied(&third)? == 2).then_some(()));
    assert_eq!(third.terminate(), 0);
    reproduction::check(&site);
}
