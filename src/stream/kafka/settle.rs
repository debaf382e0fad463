//! What a former producer of the same id may have left undecided, decided before anything else.

use std::{sync::Arc, time::Duration};

use rdkafka::consumer::{BaseConsumer, Consumer as _};

use super::{ends, group::GroupContext, handover::Moved, record, transaction::Transactions};
use crate::{
    model::Timestamp,
    stream::{Fault, TopicPartition, Write},
};

/// On what is known of a topic.
const METADATA_BOUND: Duration = Duration::from_secs(5);

/// Has all decided that a former producer of the same id may have left, by an aborted transaction on all of `topics`.
///
/// The positions in it are nobody's, and of no member: a broker takes those with a transaction. `consumer` has not
/// joined its group yet.
pub(super) fn former(
    transactions: &Transactions,
    consumer: &BaseConsumer<GroupContext>,
    topics: &[Arc<str>],
) -> Result<(), Fault> {
    let mut partitions = Vec::new();
    for topic in topics {
        led(consumer, topic, &mut partitions)?;
    }
    let writes: Vec<Write> = partitions
        .into_iter()
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

/// Adds the partitions of `topic` that have a leader. A transaction on one that has none is not over until it has, and
/// whatever else its producer writes would wait for that.
fn led(
    consumer: &BaseConsumer<GroupContext>,
    topic: &Arc<str>,
    partitions: &mut Vec<TopicPartition>,
) -> Result<(), Fault> {
    let leaders = ends::leaders(consumer, topic, METADATA_BOUND)?;
    for (index, leader) in leaders.into_iter().flatten() {
        let partition = TopicPartition {
            topic: Arc::clone(topic),
            partition: index,
        };
        if leader >= 0 {
            partitions.push(partition);
        } else {
            tracing::warn!(%partition, "has no leader: what a former client left there may stay undecided");
        }
    }
    Ok(())
}
