//! Records in both directions: what librdkafka holds as a [`Record`], and a [`Write`] as what it sends.

use rdkafka::{
    message::{BorrowedMessage, Headers, Message, OwnedHeaders, ToBytes},
    producer::BaseRecord,
    topic_partition_list::TopicPartitionList,
    util::IntoOpaque,
};

use super::fault;
use crate::{
    model::{Offset, Timestamp},
    stream::{Fault, Header, Record, TopicPartition, Write},
};

/// Lends `message` to `each`, in the form that workers know.
pub(super) fn lend<T>(message: &BorrowedMessage<'_>, each: impl FnOnce(&Record<'_>) -> T) -> T {
    let headers = || {
        let Some(headers) = message.headers() else {
            return Vec::new();
        };
        headers
            .iter()
            .map(|header| Header {
                name: header.key.into(),
                value: header.value.map(<[u8]>::to_vec),
            })
            .collect()
    };
    each(&Record {
        offset: Offset(message.offset()),
        timestamp: message.timestamp().to_millis().map(Timestamp::from_millis),
        key: message.key(),
        value: message.payload(),
        headers: &headers,
    })
}

/// `write` as librdkafka takes it; `opaque` comes back with its delivery report.
pub(super) fn outgoing<D: IntoOpaque>(write: &Write, opaque: D) -> BaseRecord<'_, [u8], [u8], D> {
    let mut record = BaseRecord::with_opaque_to(&write.topic, opaque)
        .partition(write.partition.0)
        .timestamp(write.timestamp.millis());
    if let Some(key) = &write.key {
        record = record.key(key.to_bytes());
    }
    if let Some(value) = &write.value {
        record = record.payload(value.to_bytes());
    }
    if !write.headers.is_empty() {
        let headers = write.headers.iter().fold(
            OwnedHeaders::new_with_capacity(write.headers.len()),
            |headers, header| {
                headers.insert(rdkafka::message::Header {
                    key: &header.name,
                    value: header.value.as_ref(),
                })
            },
        );
        record = record.headers(headers);
    }
    record
}

/// librdkafka's list of `partitions`, each with an offset.
pub(super) fn list<'a>(
    partitions: impl IntoIterator<Item = (&'a TopicPartition, rdkafka::Offset)>,
) -> Result<TopicPartitionList, Fault> {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in partitions {
        list.add_partition_offset(&partition.topic, partition.partition.0, offset)
            .map_err(|error| fault::fault("offset", &error))?;
    }
    Ok(list)
}
