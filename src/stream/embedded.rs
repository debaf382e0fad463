//! A Kafka inside the process, for the demo and for fast tests: librdkafka's mock cluster.
//!
//! It keeps nothing, shows the records of aborted and open transactions, forgets positions sent with a transaction,
//! and drops the oldest batches beyond 5 MiB a partition. So it is no place to show what transactions guarantee.

use std::fmt;

use rdkafka::{mocking::MockCluster, producer::DefaultProducerContext};

use super::Fault;

/// One broker on a random port of 127.0.0.1, for as long as this value lives.
pub struct Embedded {
    cluster: MockCluster<'static, DefaultProducerContext>,
}

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Embedded").field("brokers", &self.brokers()).finish()
    }
}

impl Embedded {
    /// Starts it with `topics`, each with its number of partitions. There is no other way to make topics.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, Fault> {
        let fatal = |error: rdkafka::error::KafkaError| Fault::Fatal(error.to_string());
        let cluster = MockCluster::new(1).map_err(fatal)?;
        for (topic, n_partitions) in topics {
            cluster.create_topic(topic, *n_partitions, 1).map_err(fatal)?;
        }
        Ok(Self { cluster })
    }

    /// Where clients reach it, also from another process.
    #[must_use]
    pub fn brokers(&self) -> String {
        self.cluster.bootstrap_servers()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, sync::Arc, time::Duration};

    use super::*;
    use crate::{
        model::{Offset, PartitionIndex, Timestamp},
        stream::{
            Header, Reader, TopicPartition, Write,
            kafka::{Connection, Follower, KafkaReader, Publisher, Tuning},
        },
    };

    /// What is published is read and followed: whole, in order, with timestamp, key and headers.
    #[test]
    fn what_is_published_is_read_and_followed() -> Result<(), Fault> {
        let embedded = Embedded::start(&[("events", 2)])?;
        let connection = Connection {
            brokers: embedded.brokers(),
            properties: BTreeMap::new(),
        };
        let tuning = Tuning::embedded();
        let headers = vec![
            Header {
                name: "type".into(),
                value: Some(b"error".to_vec()),
            },
            Header {
                name: "none".into(),
                value: None,
            },
        ];
        let write = |key: &str| Write {
            topic: Arc::from("events"),
            partition: PartitionIndex(1),
            timestamp: Timestamp::from_millis(1_700_000_000_000),
            key: Some(key.as_bytes().to_vec()),
            value: None,
            headers: headers.clone(),
        };
        let publisher = Publisher::new(&connection, "publisher", &tuning)?;
        assert_eq!(publisher.send(&write("a"), Duration::from_secs(10))?, Offset(0));
        assert_eq!(
            publisher.send_all(&[write("b"), write("c")], Duration::from_secs(10))?,
            2
        );

        let mut reader = KafkaReader::new(&connection, "reader", "group", &tuning)?;
        let partition = TopicPartition {
            topic: Arc::from("events"),
            partition: PartitionIndex(1),
        };
        let mut read = Vec::new();
        let end = reader.read(&partition, Some(Offset(1)), &mut |record| {
            assert_eq!((record.headers)(), headers);
            assert_eq!(record.timestamp, Some(Timestamp::from_millis(1_700_000_000_000)));
            read.push((
                record.offset,
                record.key.map(<[u8]>::to_vec),
                record.value.map(<[u8]>::to_vec),
            ));
        })?;
        assert_eq!(end, Offset(3));
        assert_eq!(
            read,
            [
                (Offset(1), Some(b"b".to_vec()), None),
                (Offset(2), Some(b"c".to_vec()), None)
            ]
        );
        assert_eq!(reader.partition_count("events")?, Some(2));
        assert_eq!(reader.partition_count("nothing")?, None);

        let mut follower = Follower::new(&connection, "follower", &["events", "nothing"], &tuning)?;
        assert_eq!(follower.n_partitions(), 2);
        let mut offsets = Vec::new();
        while !follower.is_caught_up() {
            follower.poll(Duration::from_millis(100), &mut |followed| {
                offsets.push(followed.record.offset);
            })?;
        }
        assert_eq!(offsets, [Offset(0), Offset(1), Offset(2)]);
        Ok(())
    }
}
