//! Big steps: what makes a whole partition speak at once, inputs that are many, grow, go and come back, and a log that
//! must not grow.

use std::{collections::BTreeMap, thread::sleep, time::Duration};

use holdpoint::{model::Timestamp, stream::kafka::Admin};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewPartitions, TopicResult},
    client::DefaultClientContext,
    error::KafkaResult,
};
use serde_json::json;

use crate::{
    reproduction,
    support::{Instance, LOG_PARTITIONS, Record, Site, WITHIN, brokers, eventually, now},
};

fn error(service: &str, id: &str, at: Timestamp) -> Vec<u8> {
    let event = json!({"id": id, "time": at.to_string(), "service": service, "environment": "production"});
    serde_json::to_vec(&event).expect("JSON")
}

/// A person's freeze.
fn word(service: &str, at: Timestamp) -> Vec<u8> {
    let event = json!({"id": format!("w-{service}"), "time": at.to_string(), "service": service,
        "environment": "production", "effect": "freeze", "until": (at + Duration::from_hours(1)).to_string(),
        "reason": "steps", "by": "sre"});
    serde_json::to_vec(&event).expect("JSON")
}

/// The sum of what the instances have counted under `name`.
fn counted(instances: &[&Instance], name: &str) -> u64 {
    let lines = instances.iter().map(|instance| instance.metrics());
    let text: Vec<String> = lines.collect();
    text.iter()
        .flat_map(|text| text.lines())
        .filter(|line| line.starts_with(name))
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

fn wait_applied(instances: &[&Instance], n: u64) {
    let mut last = 0;
    eventually(&format!("{n} events applied"), || {
        last = counted(instances, "holdpoint_events_applied_total");
        assert!(last <= n, "{last} of {n} were applied");
        (last == n).then_some(())
    });
}

/// Decisions of every service, how many there are of each number a service.
fn decided(site: &Site) -> BTreeMap<usize, usize> {
    let mut n_by_length = BTreeMap::new();
    for (subject, decisions) in site.decisions() {
        if subject.starts_with("service:") {
            *n_by_length.entry(decisions.len()).or_default() += 1;
        }
    }
    n_by_length
}

#[test]
fn a_change_of_mode_has_ten_thousand_services_speak_once_each_though_one_dies_over_it() {
    const SERVICES: u32 = 10_000;
    let n_services = usize::try_from(SERVICES).expect("small");
    let Some(brokers) = brokers() else { return };
    let site = Site::new(
        brokers,
        "steps",
        &[("errors", 4), ("overrides", 4)],
        "mode = \"shadow\"\n",
    );
    let first = Instance::start(&site, "a");
    first.wait_ready();
    let at = now();
    // A mode concerns what is held: by people here, whose freezes need no grant.
    let words = (0..SERVICES).map(|i| ("overrides", i, at, word(&format!("s{i}"), at)));
    site.send(&words.collect::<Vec<Record>>());
    wait_applied(&[&first], u64::from(SERVICES));
    // As many events again are of one service: it is hot.
    let errors = (0..SERVICES).map(|i| ("errors", i, at, error("s0", &format!("e{i}"), at)));
    site.send(&errors.collect::<Vec<Record>>());
    wait_applied(&[&first], u64::from(2 * SERVICES));
    assert_eq!(decided(&site), BTreeMap::from([(1, n_services)]));

    site.set_policy("mode = \"enforce\"\n");
    // Killed where some have spoken and others have not.
    eventually("some have spoken", || {
        let n = decided(&site).get(&2).copied().unwrap_or(0);
        (n > 0).then_some(())
    });
    first.kill();
    let second = Instance::start(&site, "b");
    second.wait_ready();
    eventually("all have spoken", || {
        (decided(&site) == BTreeMap::from([(2, n_services)])).then_some(())
    });
    // Long enough for one that is said again to be seen.
    sleep(Duration::from_secs(2));
    assert_eq!(decided(&site), BTreeMap::from([(2, n_services)]));
    assert_eq!(second.terminate(), 0);
    reproduction::check(&site);
}

#[test]
fn an_input_of_a_thousand_partitions_is_shared_and_taken_in_once() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "wide", &[("errors", 1_000)], "");
    let at = now();
    let events: Vec<Record> = (0..3_000_u32)
        .map(|i| ("errors", i, at, error(&format!("s{}", i % 20), &format!("e{i}"), at)))
        .collect();
    site.send(&events);
    let (first, second) = (Instance::start(&site, "a"), Instance::start(&site, "b"));
    first.wait_ready();
    second.wait_ready();
    wait_applied(&[&first, &second], 3_000);
    assert_eq!(first.terminate(), 0);
    assert_eq!(second.terminate(), 0);
    reproduction::check(&site);
}

#[test]
fn an_input_topic_that_grows_goes_and_comes_back_is_read_whole() {
    let Some(brokers) = brokers() else { return };
    let mut site = Site::new(brokers, "grow", &[("errors", 1), ("commits", 1)], "");
    let instance = Instance::start(&site, "a");
    instance.wait_ready();
    site.send(&[("errors", 0, now(), error("s", "before", now()))]);
    wait_applied(&[&instance], 1);

    let admin = Topics::new(brokers);
    admin.grow(&site.topic("errors"), 3);
    site.note_partitions("errors", 3);
    let grown: Vec<Record> = (0..3)
        .map(|i| ("errors", i, now(), error("s", &format!("grown-{i}"), now())))
        .collect();
    site.send(&grown);
    wait_applied(&[&instance], 4);

    admin.delete(&site.topic("errors"));
    let commit = |id: &str| {
        let event = json!({"id": id, "time": now().to_string(), "service": "s", "sha": id});
        ("commits", 0, now(), serde_json::to_vec(&event).expect("JSON"))
    };
    // The others are read on.
    site.send(&[commit("while-it-is-gone")]);
    wait_applied(&[&instance], 5);
    // One of the same name, whose log begins anew and is shorter than what was read of the former.
    site.make("errors", 1);
    site.send(&[("errors", 0, now(), error("s", "after", now()))]);
    wait_applied(&[&instance], 6);
    assert_eq!(instance.terminate(), 0);
    reproduction::check(&site);
}

/// Nothing but the topic's id tells it from the former: what was read of that ends where this one ends.
#[test]
fn an_input_topic_made_anew_behind_a_readers_back_is_read_from_its_beginning() {
    let Some(brokers) = brokers() else { return };
    let mut site = Site::new(brokers, "anew", &[("errors", 1)], "");
    let send = |site: &Site, round: u32| {
        let records = (0..5).map(|i| ("errors", 0, now(), error("s", &format!("{round}-{i}"), now())));
        site.send(&records.collect::<Vec<Record>>());
    };
    let instance = Instance::start(&site, "a");
    instance.wait_ready();
    send(&site, 0);
    wait_applied(&[&instance], 5);
    for round in 1..3 {
        instance.signal("STOP");
        Topics::new(brokers).delete(&site.topic("errors"));
        site.make("errors", 1);
        send(&site, round);
        instance.signal("CONT");
        wait_applied(&[&instance], 5 + 5 * u64::from(round));
    }
    assert_eq!(counted(&[&instance], "holdpoint_events_lost_total"), 0);
    assert_eq!(instance.terminate(), 0);
    reproduction::check(&site);
}

/// As long as the former by the time it is looked at: where that was read to says nothing of it.
#[test]
fn overrides_made_anew_behind_a_gates_back_are_obeyed_from_the_first() {
    let Some(brokers) = brokers() else { return };
    let mut site = Site::new(brokers, "words-anew", &[], "");
    let say = |site: &Site, services: [&str; 2]| {
        site.send(&services.map(|service| ("overrides", 0, now(), word(service, now()))));
    };
    let instance = Instance::spawn(&site, "a", |command| {
        command.env("HOLDPOINT_ROLES", "api");
    });
    let wait_frozen = |service: &str| {
        eventually(&format!("{service} is frozen"), || {
            let (_, verdict) = instance.answer(&format!("/v1/verdict?service={service}&environment=production"))?;
            verdict.contains(r#""verdict":"freeze""#).then_some(())
        });
    };
    instance.wait_ready();
    say(&site, ["a", "b"]);
    wait_frozen("b");
    instance.signal("STOP");
    Topics::new(brokers).delete(&site.topic("overrides"));
    site.make("overrides", 1);
    say(&site, ["c", "d"]);
    instance.signal("CONT");
    wait_frozen("c");
    wait_frozen("d");
    assert_eq!(instance.terminate(), 0);
}

/// Snapshots name offsets of the log. While it is shorter than what they cover, they are refused by these; later on only
/// the topic's id tells.
#[test]
fn a_log_made_anew_is_refused_however_long_it_is_by_then() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "log-anew", &[("errors", 1)], "");
    let instance = Instance::start(&site, "a");
    instance.wait_ready();
    site.send(&[("errors", 0, now(), error("s", "former", now()))]);
    wait_applied(&[&instance], 1);
    assert_eq!(instance.terminate(), 0);
    let former = site.ends("events");
    Topics::new(brokers).delete(&site.topic("events"));
    eventually("the log is made anew", || {
        let made = site.command(&["topics", "ensure"]).output().ok()?;
        String::from_utf8_lossy(&made.stdout)
            .contains("events: created")
            .then_some(())
    });
    let filling = Instance::spawn(&site, "b", |command| {
        command.env("HOLDPOINT_ROLES", "ingest");
    });
    eventually("it is longer than the former", || {
        let ends = site.ends("events");
        ends.iter().zip(&former).all(|(end, former)| end > former).then_some(())
    });
    assert_eq!(filling.terminate(), 0);
    let instance = Instance::start(&site, "a");
    eventually("it is refused", || {
        let (status, body) = instance.answer("/readyz")?;
        let is_said = body.contains("restoring 4 of 4 partitions") && body.contains("was deleted and made again");
        (status == 503 && is_said).then_some(())
    });
    let written = site.ends("state");
    sleep(Duration::from_secs(5));
    assert_eq!(site.ends("state"), written, "nothing is written for it");
    assert_eq!(instance.terminate(), 0);
}

/// Retention may be faster than a reader that was away: what it deletes is counted, and the rest is read.
#[test]
fn what_is_deleted_before_it_is_read_is_counted() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "deleted", &[("errors", 1)], "");
    let instance = Instance::start(&site, "a");
    instance.wait_ready();
    let send = |range: std::ops::Range<u32>| {
        let records = range.map(|i| ("errors", 0, now(), error("s", &format!("e{i}"), now())));
        site.send(&records.collect::<Vec<Record>>());
    };
    send(0..1);
    wait_applied(&[&instance], 1);
    instance.signal("STOP");
    // The fetch that is under way brings nothing any more.
    sleep(Duration::from_secs(2));
    send(1..6);
    Topics::new(brokers).delete_before(&site.topic("errors"), 4);
    instance.signal("CONT");
    wait_applied(&[&instance], 3);
    assert_eq!(counted(&[&instance], "holdpoint_events_lost_total"), 3);
    assert_eq!(instance.terminate(), 0);
    reproduction::check(&site);
}

/// Under twice the partitions half of the services are elsewhere, where nothing is known of them, though a person has
/// frozen them.
#[test]
fn partitions_added_to_the_log_are_refused_and_nothing_is_written() {
    let Some(brokers) = brokers() else { return };
    let site = Site::new(brokers, "doubled", &[("overrides", 1)], "");
    let instance = Instance::start(&site, "a");
    instance.wait_ready();
    let words = (0..8).map(|i| ("overrides", 0, now(), word(&format!("s{i}"), now())));
    site.send(&words.collect::<Vec<Record>>());
    wait_applied(&[&instance], 8);
    eventually("every partition is snapshotted", || {
        let keys = site.read("state").into_iter().filter_map(|record| record.key);
        let n_partitions = keys.filter(|key| key.starts_with("partition:")).count();
        (n_partitions >= usize::try_from(LOG_PARTITIONS).expect("small")).then_some(())
    });
    // Its transaction may be open.
    instance.kill();
    let own = ["events", "state", "control"];
    let doubled = LOG_PARTITIONS * 2;
    let admin = Admin::new(&site.connection, "test").expect("an admin client");
    for topic in own.map(|topic| site.topic(topic)) {
        Topics::new(brokers).grow(&topic, usize::try_from(doubled).expect("small"));
        eventually("the partitions are there", || {
            let found = admin.describe(&topic).ok()??;
            (found.n_partitions == doubled && found.is_usable).then_some(())
        });
    }
    let written = || own.map(|topic| site.read(topic).len());
    let before = written();
    site.send(&[("errors", 0, now(), error("s1", "after", now()))]);
    let next = Instance::start(&site, "b");
    for _ in 0..3 {
        eventually("all of it is refused", || {
            let (status, body) = next.answer("/readyz")?;
            let n_refused = body.matches("the count is fixed at creation").count();
            (status == 503 && n_refused == 3).then_some(())
        });
        sleep(Duration::from_secs(2));
    }
    assert_eq!(written(), before);
    let verified = site.command(&["topics", "verify"]).output().expect("it runs");
    assert_eq!(verified.status.code(), Some(1), "{verified:?}");
    assert_eq!(next.terminate(), 0);
}

/// What only a test does to topics.
struct Topics(AdminClient<DefaultClientContext>);

impl Topics {
    fn new(brokers: &str) -> Self {
        let mut config = ClientConfig::new();
        Self(
            config
                .set("bootstrap.servers", brokers)
                .create()
                .expect("an admin client"),
        )
    }

    fn grow(&self, topic: &str, n_partitions: usize) {
        let wanted = [NewPartitions::new(topic, n_partitions)];
        wait(self.0.create_partitions(&wanted, &AdminOptions::new()));
    }

    /// Deletes what partition 0 holds before `offset`.
    fn delete_before(&self, topic: &str, offset: i64) {
        let mut until = TopicPartitionList::new();
        until
            .add_partition_offset(topic, 0, Offset::Offset(offset))
            .expect("an offset");
        let asked = self.0.delete_records(&until, &AdminOptions::new());
        for element in block_on(asked).elements() {
            element.error().expect("deleted");
        }
    }

    fn delete(&self, topic: &str) {
        wait(self.0.delete_topics(&[topic], &AdminOptions::new()));
    }
}

fn wait(asked: impl Future<Output = KafkaResult<Vec<TopicResult>>>) {
    for result in block_on(asked) {
        result.expect("done");
    }
}

fn block_on<T>(asked: impl Future<Output = KafkaResult<T>>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let answer = runtime
        .expect("a runtime")
        .block_on(async { tokio::time::timeout(WITHIN, asked).await });
    answer.expect("in time").expect("an answer")
}
