//! Guarantee 7 on a real log: the core alone, folding a copy of it, says what is on control and is what is in state.

use std::{collections::BTreeMap, sync::Arc};

use holdpoint::{
    model::{Offset, PartitionIndex, Timestamp},
    score::{Partition, Said, Saying, Service},
    stream::{
        Reader as _, TopicPartition,
        kafka::{KafkaReader, Tuning},
    },
    wire::{control::encode_decision, events, state},
};

use crate::support::{LOG_PARTITIONS, Site};

/// By subject, what was published in order; `None` for a tombstone.
type Published = BTreeMap<String, Vec<Option<String>>>;

/// What a check went over, so that a caller sees that it was something.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Checked {
    pub(crate) n_decisions: usize,
    pub(crate) n_snapshots: usize,
}

/// Folds each partition of the site's log from its beginning and holds control and state against it.
pub(crate) fn check(site: &Site) -> Checked {
    let mut reader =
        KafkaReader::new(&site.connection, "test-fold", "test-fold", &Tuning::default()).expect("a reader");
    let mut checked = Checked::default();
    for index in 0..LOG_PARTITIONS {
        let partition = |topic: &str| TopicPartition {
            topic: Arc::from(site.topic(topic)),
            partition: PartitionIndex(i32::try_from(index).expect("small")),
        };
        let published = published(&mut reader, &partition("control"));
        let mut snapshots = snapshots(&mut reader, &partition("state"));
        let mut state = Partition::default();
        let mut said = Published::new();
        for (offset, written_at, value) in log(&mut reader, &partition("events")) {
            // One may cover a transaction's mark behind the last record: that changes nothing.
            let later = snapshots.split_off(&offset);
            checked.n_snapshots += compare(&state, &std::mem::replace(&mut snapshots, later));
            let mut sayings = Vec::new();
            for entry in events::entries(&value).expect("our own record") {
                let entry = entry.expect("our own entry");
                state.step(&entry, offset, written_at, &mut sayings);
            }
            note(sayings, &mut said);
        }
        checked.n_snapshots += compare(&state, &snapshots);
        checked.n_decisions += published.values().map(Vec::len).sum::<usize>();
        assert_eq!(said, published, "partition {index}");
    }
    checked
}

/// Holds services as snapshotted against a state; says how many there were.
fn compare(state: &Partition, snapshots: &BTreeMap<Offset, Vec<Service>>) -> usize {
    let mut n = 0;
    for (covered, service) in snapshots
        .iter()
        .flat_map(|(covered, all)| all.iter().map(move |one| (covered, one)))
    {
        assert_eq!(state.service(service.name().as_str()), Some(service), "as of {covered}");
        n += 1;
    }
    n
}

/// The records of a log partition: offset, time of writing, bytes.
fn log(reader: &mut KafkaReader, partition: &TopicPartition) -> Vec<(Offset, Timestamp, Vec<u8>)> {
    let mut records = Vec::new();
    let read = reader.read(partition, None, &mut |record| {
        let value = record.value.expect("the log holds no tombstones").to_vec();
        records.push((record.offset, record.timestamp.expect("a record's time"), value));
    });
    read.expect("the log is read");
    records
}

fn note(sayings: Vec<Saying>, said: &mut Published) {
    for saying in sayings {
        let (subject, value) = match saying.said {
            Said::Decision(decision) => {
                let json = String::from_utf8(encode_decision(&decision)).expect("JSON is text");
                (decision.subject, Some(json))
            }
            Said::Forget(subject) => (subject, None),
            Said::Message(_) | Said::Scored(_) | Said::Closed(_) => continue,
        };
        said.entry(subject.to_string()).or_default().push(value);
    }
}

fn published(reader: &mut KafkaReader, partition: &TopicPartition) -> Published {
    let mut published = Published::new();
    let read = reader.read(partition, None, &mut |record| {
        let key = String::from_utf8_lossy(record.key.expect("control has keys")).into_owned();
        if key.starts_with("service:") || key.starts_with("change:") {
            let value = record.value.map(|value| String::from_utf8_lossy(value).into_owned());
            published.entry(key).or_default().push(value);
        }
    });
    read.expect("control is read");
    published
}

/// Every snapshot of a service that was ever written, by the last record that it covers.
fn snapshots(reader: &mut KafkaReader, partition: &TopicPartition) -> BTreeMap<Offset, Vec<Service>> {
    let mut snapshots: BTreeMap<Offset, Vec<Service>> = BTreeMap::new();
    let read = reader.read(partition, None, &mut |record| {
        let (Some(key), Some(value)) = (record.key, record.value) else {
            return;
        };
        match state::decode(key, value).expect("our own snapshot") {
            state::Snapshot::Service { service, covered } => snapshots.entry(covered).or_default().push(*service),
            state::Snapshot::Fleet { .. } | state::Snapshot::Partition(_) => {}
        }
    });
    read.expect("state is read");
    snapshots
}
