//! Guarantee 7 on a real log: what the core alone says of it is on control and in state.

use std::sync::Arc;

use holdpoint::{
    model::{PartitionIndex, Timestamp},
    stream::{
        Reader as _, TopicPartition,
        kafka::{KafkaReader, Tuning},
    },
};

use crate::{
    fold::{Copied, Kept, fold},
    support::{LOG_PARTITIONS, Site},
};

/// What a check went over, so that a caller sees that it was something.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Checked {
    pub(crate) n_decisions: usize,
    pub(crate) n_snapshots: usize,
}

/// Folds each partition of the site's log from its beginning and holds control and state against it.
pub(crate) fn check(site: &Site) -> Checked {
    let (checked, differences) = compare(site);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    checked
}

/// The same, for one who goes on: what differs, a line each.
pub(crate) fn compare(site: &Site) -> (Checked, Vec<String>) {
    let mut reader =
        KafkaReader::new(&site.connection, "test-fold", "test-fold", &Tuning::default()).expect("a reader");
    let mut checked = Checked::default();
    let mut differences = Vec::new();
    for index in 0..LOG_PARTITIONS {
        let mut copy = |topic: &str| {
            let partition = TopicPartition {
                topic: Arc::from(site.topic(topic)),
                partition: PartitionIndex(i32::try_from(index).expect("small")),
            };
            records(&mut reader, &partition)
        };
        let copied = Copied {
            control: copy("control"),
            state: copy("state"),
            log: copy("events"),
        };
        let folded = fold(&copied, &mut |_, _, _, _| {});
        checked.n_decisions += folded.n_decisions;
        checked.n_snapshots += folded.n_snapshots;
        differences.extend(folded.differences);
    }
    (checked, differences)
}

fn records(reader: &mut KafkaReader, partition: &TopicPartition) -> Vec<Kept> {
    let mut records = Vec::new();
    let read = reader.read(partition, None, &mut |record| {
        records.push(Kept {
            offset: record.offset,
            written_at: record.timestamp.unwrap_or(Timestamp::MIN),
            key: record.key.unwrap_or_default().to_vec(),
            value: record.value.map(<[u8]>::to_vec),
        });
    });
    read.expect("the partition is read");
    records
}
