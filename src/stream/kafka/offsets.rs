//! Where partitions begin, end and are read to: asked of brokers, each within a bound.

use std::time::Duration;

use rdkafka::{
    consumer::{BaseConsumer, Consumer as _, ConsumerContext},
    error::RDKafkaErrorCode,
};

use super::{Bound, fault, group::GroupContext, record};
use crate::{
    model::Offset,
    stream::{Fault, TopicPartition},
};

/// On an answer of a broker that is asked while the group waits for this thread.
const ANSWER_BOUND: Duration = Duration::from_secs(3);

/// Moves a partition that is fetched.
pub(super) fn seek(
    consumer: &BaseConsumer<GroupContext>,
    partition: &TopicPartition,
    offset: Offset,
    bound: &Bound,
) -> Result<(), Fault> {
    let list = record::list([(partition, rdkafka::Offset::Offset(offset.0))])?;
    let left = bound.left().max(Duration::from_millis(100));
    let moved = consumer
        .seek_partitions(list, left)
        .map_err(|error| fault::fault("start", &error))?;
    for element in moved.elements() {
        element.error().map_err(|error| fault::fault("start", &error))?;
    }
    Ok(())
}

/// Where a group left off.
pub(super) struct Committed {
    pub(super) offset: Offset,
    /// The text beside it.
    pub(super) note: Box<str>,
}

/// Where the group left off; asks the coordinator and, while transactions are pending, waits for them, within a bound.
pub(super) fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partitions: &[TopicPartition],
) -> Result<Vec<Option<Committed>>, Fault> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let list = record::list(partitions.iter().map(|partition| (partition, rdkafka::Offset::Invalid)))?;
    let answered = consumer
        .committed_offsets(list, ANSWER_BOUND)
        .map_err(|error| fault::fault("committed", &error))?;
    let mut offsets = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let element = answered
            .find_partition(&partition.topic, partition.partition.0)
            .ok_or_else(|| Fault::Retry(format!("no answer for {partition}")))?;
        element.error().map_err(|error| fault::fault("committed", &error))?;
        offsets.push(match element.offset() {
            rdkafka::Offset::Offset(offset) => Some(Committed {
                offset: Offset(offset),
                note: element.metadata().into(),
            }),
            rdkafka::Offset::Invalid => None,
            other @ (rdkafka::Offset::Beginning
            | rdkafka::Offset::End
            | rdkafka::Offset::Stored
            | rdkafka::Offset::OffsetTail(_)) => {
                return Err(Fault::Fatal(format!("committed offset {other:?} of {partition}")));
            }
        });
    }
    Ok(offsets)
}

/// The offsets of the first record and behind the last one that `consumer`'s isolation shows.
pub(super) fn bounds<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    partition: &TopicPartition,
) -> Result<(Offset, Offset), Fault> {
    consumer
        .fetch_watermarks(&partition.topic, partition.partition.0, ANSWER_BOUND)
        .map(|(first, end)| (Offset(first), Offset(end)))
        .map_err(|error| match error.rdkafka_error_code() {
            // Rights are given while we run, and one topic without them is no reason to give up the client.
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => Fault::Retry(format!("{partition}: {error}")),
            Some(_) | None => fault::fault("bounds", &error),
        })
}
