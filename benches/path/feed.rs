//! A producer of events: as fast as it goes, or at a rate.

use std::{thread::sleep, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use holdpoint::clock::{Clock, Stopwatch};
use rdkafka::{
    ClientConfig,
    error::KafkaError,
    producer::{BaseRecord, DefaultProducerContext, Producer as _, ThreadedProducer},
    types::RDKafkaErrorCode as Code,
};

use crate::{
    events::{Events, Pace},
    site::Sources,
};

const FLUSH_BOUND: Duration = Duration::from_mins(1);

pub(crate) type Producer = ThreadedProducer<DefaultProducerContext>;

/// What sends events.
pub(crate) struct Feed {
    producer: Producer,
    sources: Sources,
    events: Events,
}

impl Feed {
    /// Records wait `linger_ms` for company, as with any producer.
    pub(crate) fn new(brokers: &str, prefix: &str, events: Events, linger_ms: u32) -> anyhow::Result<Self> {
        Ok(Self {
            producer: producer(brokers, linger_ms)?,
            sources: Sources::of(prefix),
            events,
        })
    }

    /// The `n`th record of the run.
    pub(crate) fn send(&mut self, n: u64) -> anyhow::Result<()> {
        let event = self.events.event(n);
        let (topic, partition) = self.sources.place(event.topic, n);
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic)
            .partition(partition)
            .timestamp(event.at.millis())
            .payload(event.value);
        send(&self.producer, record)
    }

    pub(crate) fn flush(&self) -> anyhow::Result<()> {
        self.producer.flush(FLUSH_BOUND).context("records left unsent")
    }
}

pub(crate) fn producer(brokers: &str, linger_ms: u32) -> anyhow::Result<Producer> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("linger.ms", linger_ms.to_string())
        .set("compression.type", "lz4")
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("delivery.report.only.error", "true")
        .set("queue.buffering.max.messages", "500000")
        .create()
        .context("a producer")
}

/// Hands a record over, waiting while there is no room.
pub(crate) fn send(producer: &Producer, mut record: BaseRecord<'_, [u8], [u8]>) -> anyhow::Result<()> {
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((KafkaError::MessageProduction(Code::QueueFull), returned)) => {
                record = returned;
                sleep(Duration::from_millis(2));
            }
            Err((error, _)) => bail!("sending: {error}"),
        }
    }
}

/// Fills the inputs with `n_events` whose times are spread over the last `spread`.
pub(crate) fn prefill(brokers: &str, prefix: &str, n_events: u64, spread: Duration) -> anyhow::Result<()> {
    let nanos_apart = spread.as_nanos() / u128::from(n_events.max(1));
    let pace = Pace {
        start: Clock::wall().now() - spread,
        nanos_apart: u64::try_from(nanos_apart).context("too long a spread")?,
    };
    let mut feed = Feed::new(brokers, prefix, Events::new(pace), 20)?;
    for n in 0..n_events {
        feed.send(n)?;
    }
    feed.flush()
}

/// A process that sends events at a rate.
#[derive(Debug, Args)]
pub(crate) struct Paced {
    #[arg(long)]
    prefix: String,
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    rate: u64,
    #[arg(long)]
    events: u64,
    #[arg(long)]
    without_commits: bool,
}

/// The pause between two looks at what is due.
const PAUSE: Duration = Duration::from_micros(500);

impl Paced {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let pace = Pace {
            start: Clock::wall().now(),
            nanos_apart: 1_000_000_000 / self.rate.max(1),
        };
        let events = if self.without_commits {
            Events::without_commits(pace)
        } else {
            Events::new(pace)
        };
        let mut feed = Feed::new(&self.brokers, &self.prefix, events, 5)?;
        let watch = Stopwatch::start();
        let mut n_sent = 0;
        while n_sent < self.events {
            let n_due = due(&watch, pace).min(self.events);
            for n in n_sent..n_due {
                feed.send(n)?;
            }
            n_sent = n_sent.max(n_due);
            sleep(PAUSE);
        }
        feed.flush()
    }
}

/// How many events are due by now.
pub(crate) fn due(watch: &Stopwatch, pace: Pace) -> u64 {
    let n = watch.elapsed().as_nanos() / u128::from(pace.nanos_apart.max(1));
    u64::try_from(n).unwrap_or(u64::MAX)
}
