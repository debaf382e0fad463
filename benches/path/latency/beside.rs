//! Round trips without Holdpoint: a record, and a record in a transaction of its own.

use std::{sync::Arc, thread::sleep, time::Duration};

use anyhow::{Context as _, ensure};
use holdpoint::{
    clock::{Clock, Stopwatch},
    model::{Offset, PartitionIndex},
    stream::{
        Change, Client as _, TopicPartition, Write,
        kafka::{KafkaClient, Names, Tuning},
    },
};
use rdkafka::{Message as _, consumer::BaseConsumer, producer::BaseRecord};

use super::{ANSWERED_WITHIN, end_of};
use crate::{
    feed::{self, Producer},
    site::Site,
};

const EVERY: Duration = Duration::from_millis(50);

pub(super) struct Beside {
    topic: Arc<str>,
    reader: BaseConsumer,
    producer: Producer,
    client: KafkaClient,
    /// A partition of an empty topic: the position that each transaction sends, as ours do.
    position: TopicPartition,
    n: u64,
}

impl Beside {
    pub(super) fn new(site: &Site) -> anyhow::Result<Self> {
        let group = format!("{}.beside", site.prefix);
        let names = Names {
            client_id: group.clone(),
            transactional_id: group.clone(),
            writes: Vec::new(),
            group,
        };
        let out = site.topic("out");
        let mut client = KafkaClient::new(&site.connection, &names, &[&out], &Tuning::default())?;
        let watch = Stopwatch::start();
        let position = loop {
            ensure!(watch.elapsed() < ANSWERED_WITHIN, "no partition was assigned");
            let assigned = client.poll(Duration::from_millis(100))?.into_iter().next();
            if let Some(Change::Assigned(partition)) = assigned {
                break partition;
            }
        };
        Ok(Self {
            topic: Arc::from(site.topic("beside")),
            reader: end_of(site, "beside", 1)?,
            producer: feed::producer(&site.brokers, 0)?,
            client,
            position,
            n: 0,
        })
    }

    /// One of each in turn, for `length`.
    pub(super) fn run(&mut self, length: Duration) -> anyhow::Result<(Vec<Duration>, Vec<Duration>)> {
        let watch = Stopwatch::start();
        let (mut trips, mut transactions) = (Vec::new(), Vec::new());
        while watch.elapsed() < length {
            trips.push(self.trip()?);
            sleep(EVERY);
            transactions.push(self.transaction()?);
            sleep(EVERY);
        }
        Ok((trips, transactions))
    }

    fn trip(&mut self) -> anyhow::Result<Duration> {
        self.n += 1;
        let value = self.n.to_be_bytes();
        let watch = Stopwatch::start();
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic).partition(0).payload(&value);
        feed::send(&self.producer, record)?;
        self.read(&value)?;
        Ok(watch.elapsed())
    }

    fn transaction(&mut self) -> anyhow::Result<Duration> {
        self.n += 1;
        let value = self.n.to_be_bytes();
        self.client.poll(Duration::ZERO)?;
        let membership = self.client.membership().context("no member")?;
        let watch = Stopwatch::start();
        let write = Write {
            topic: Arc::clone(&self.topic),
            partition: PartitionIndex(0),
            timestamp: Clock::wall().now(),
            key: None,
            value: Some(value.to_vec()),
            headers: Vec::new(),
        };
        let positions = [(self.position.clone(), Offset(0))];
        self.client.commit(&membership, &positions, vec![write])?;
        self.read(&value)?;
        Ok(watch.elapsed())
    }

    fn read(&self, value: &[u8]) -> anyhow::Result<()> {
        loop {
            let message = self.reader.poll(ANSWERED_WITHIN).context("it does not arrive")??;
            if message.payload() == Some(value) {
                return Ok(());
            }
        }
    }
}
