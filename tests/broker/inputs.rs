//! Inputs as producers make them: in transactions, with clocks that are ahead, with records as large as a broker takes.

use std::time::Duration;

use holdpoint::model::Timestamp;
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer as _},
};
use serde_json::json;

use crate::{
    reproduction,
    support::{Instance, Read, Site, WITHIN, brokers, eventually, now},
};

fn error(id: &str) -> Vec<u8> {
    let event = json!({"id": id, "time": now().to_string(), "service": "checkout", "environment": "production"});
    serde_json::to_vec(&event).expect("JSON")
}

/// Sends events of one time in one transaction: partition 0 of the topic ends with its mark.
fn send_in_a_transaction(site: &Site, topic: &str, at: Timestamp, values: &[Vec<u8>]) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &site.brokers)
        .set("transactional.id", format!("{}-app", site.prefix))
        .create()
        .expect("a producer");
    producer.init_transactions(WITHIN).expect("a producer of transactions");
    producer.begin_transaction().expect("begun");
    for value in values {
        let record = BaseRecord::<(), [u8]>::to(topic)
            .payload(value)
            .partition(0)
            .timestamp(at.millis());
        producer.send(record).map_err(|(error, _)| error).expect("queued");
    }
    producer.commit_transaction(WITHIN).expect("committed");
}

fn wait_applied(instance: &Instance, n: u64) {
    eventually(&format!("{n} errors are applied"), || {
        (instance.service("checkout")?["applied"]["error"] == n).then_some(())
    });
}

#[test]
fn a_topic_written_in_transactions_is_read_to_its_end() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "marks", &[("errors", 1)], "");
    let topic = site.topic("errors");
    let events: Vec<Vec<u8>> = (0..3).map(|i| error(&format!("e{i}"))).collect();
    send_in_a_transaction(&site, &topic, now(), &events);
    let instance = Instance::start(&site, "a");
    instance.wait_ready();
    wait_applied(&instance, 3);
    let at_end = format!("holdpoint_consumer_lag_records{{topic=\"{topic}\",partition=\"0\"}} 0");
    eventually("the mark is passed", || {
        instance.metrics().contains(&at_end).then_some(())
    });
    // The watermark of such a topic must not stand still: the partition's time would, and nothing would be known.
    eventually("time goes on", || {
        let (status, text) = site.gate("checkout", &["--fail-mode", "closed"]);
        (status == 0 && !text.contains("behind")).then_some(())
    });
    // Its own log ends with a mark as well: restored, it is whole though nothing more comes.
    instance.kill();
    let restored = Instance::start(&site, "a");
    restored.wait_ready();
    wait_applied(&restored, 3);
    assert_eq!(restored.terminate(), 0);
    reproduction::check(&site);
}

/// Behind an old record there is no other, but a mark: that holds up nobody. Each time it would do so for half a minute,
/// and all the times together have not more than what any wait here has.
#[test]
fn what_is_old_and_ends_with_a_mark_holds_up_no_other_partition() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "old-marks", &[("errors", 2)], "");
    let topic = site.topic("errors");
    let instance = Instance::start(&site, "a");
    instance.wait_ready();
    let mut n_sent = 0;
    eventually("old and new are taken in, four times", || {
        let applied = instance
            .service("checkout")
            .map_or(0, |service| service["applied"]["error"].as_u64().unwrap_or(0));
        if applied < n_sent {
            return None;
        }
        if n_sent == 8 {
            return Some(());
        }
        let an_hour_ago = now() - Duration::from_hours(1);
        send_in_a_transaction(&site, &topic, an_hour_ago, &[error(&format!("old {n_sent}"))]);
        site.send(&[("errors", 1, now(), error(&format!("new {n_sent}")))]);
        n_sent += 2;
        None
    });
    assert_eq!(instance.terminate(), 0);
}

#[test]
fn a_record_of_a_time_to_come_holds_up_nothing_behind_it() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "future", &[("errors", 2)], "");
    let ahead = now() + Duration::from_mins(30);
    let records = vec![
        ("errors", 1, now(), error("before")),
        ("errors", 0, ahead, error("stamped ahead")),
        ("errors", 0, now(), error("behind it")),
    ];
    site.send(&records);
    let instance = Instance::start(&site, "a");
    instance.wait_ready();
    wait_applied(&instance, 3);
    assert_eq!(instance.terminate(), 0);
}

#[test]
fn the_largest_record_that_a_broker_takes_is_refused_and_kept() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "large", &[("errors", 1)], "");
    // What its own headers leave no room for is cut, and what they do is whole.
    let sizes = [1_048_400, 1_047_800];
    let mut records = sizes.map(|n_bytes| ("errors", 0, now(), vec![b'x'; n_bytes])).to_vec();
    records.push(("errors", 0, now(), error("behind it")));
    site.send(&records);
    let instance = Instance::start(&site, "a");
    instance.wait_ready();
    wait_applied(&instance, 1);
    let rejected = site.read("rejected");
    let [cut, whole] = &rejected[..] else {
        panic!("{} records were refused", rejected.len())
    };
    let size_bytes = |rejected: &Read| rejected.value.as_ref().map_or(0, Vec::len);
    assert_eq!(cut.headers["hp_reason"], "not_json");
    assert_eq!(cut.headers["hp_truncated"], sizes[0].to_string());
    assert!((1_047_800..sizes[0]).contains(&size_bytes(cut)), "{}", size_bytes(cut));
    assert_eq!(size_bytes(whole), sizes[1]);
    assert!(!whole.headers.contains_key("hp_truncated"));
    assert_eq!(instance.terminate(), 0);
}
