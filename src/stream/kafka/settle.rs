//! What a former producer of the same id may have left undecided, decided before anything else.

use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::{group::GroupContext, handover::Moved, record, transaction::Transactions};
use crate::{
    model::{PartitionIndex, Timestamp},
    stream::{Fault, TopicPartition, Write},
};

/// Has all decided that a former producer of the same id may have left, by an aborted transaction on all of `topics`.
///
/// The positions in it are nobody's, and of no member: a broker takes those with a transaction. `consumer` has not
/// joined its group yet.
pub(super) fn former(
    transactions: &Transactions,
    consumer: &BaseConsumer<GroupContext>,
    topics: &[(Arc<str>, u32)],
) -> Result<(), Fault> {
    let partitions = topics.iter().flat_map(|(topic, n)| {
        (0..*n).map(|partition| TopicPartition {
            topic: Arc::clone(topic),
            partition: PartitionIndex(i32::try_from(partition).unwrap_or(i32::MAX)),
        })
    });
    let writes: Vec<Write> = partitions
        .map(|TopicPartition { topic, partition }| Write {
            topic,
            partition,
            // librdkafka's word for now.
            timestamp: Timestamp::from_millis(0),
            // A compacted topic takes no record without a key.
            key: Some(b"settled".to_vec()),
            value: None,
            headers: Vec::new(),
        })
        .collect();
    let (Some(first), Some(group)) = (writes.first(), consumer.group_metadata()) else {
        return Ok(());
    };
    let position = TopicPartition {
        topic: Arc::clone(&first.topic),
        partition: first.partition,
    };
    let moved = Moved {
        positions: Arc::new(record::list([(&position, rdkafka::Offset::Offset(0))])?),
        group: Arc::new(group),
    };
    transactions.settle(&moved, &writes)
}
