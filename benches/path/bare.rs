//! What Kafka alone costs: loops that do none of the work, each in a process of its own.

use std::{process::Stdio, sync::Arc, time::Duration};

use anyhow::{Context as _, ensure};
use clap::{Args, ValueEnum};
use holdpoint::{
    clock::Stopwatch,
    model::{PartitionIndex, Timestamp},
    stream::{
        Change, Client as _, TopicPartition, Write,
        kafka::{Connection, KafkaClient, Names, Tuning},
    },
};
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
};

use crate::{
    site::{LOG_PARTITIONS, Site, Sources},
    usage::{self, Work},
};

/// As an ingest worker's: see `run/ingest.rs`.
const BATCH_RECORDS_MAX: usize = 5_000;
const BATCH_TIME_MAX: Duration = Duration::from_millis(50);
const TURN_RECORDS: usize = 500;
/// Bytes of what is produced for each record.
const PRODUCED_BYTES: usize = 100;
/// Without a record for so long, something is wrong.
const SILENT_MAX: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Loop {
    /// Consume and count.
    Count,
    /// Consume a batch; one transaction with a small record for each, and the offsets.
    Transact,
}

/// A loop as a process: it prints what it measured.
#[derive(Debug, Args)]
pub(crate) struct Bare {
    #[arg(long)]
    prefix: String,
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    events: u64,
    what: Loop,
}

/// Measures from the first fifth of the events to the last.
struct Meter {
    n_warm: u64,
    n_last: u64,
    n_seen: u64,
    warm: Option<(u64, Stopwatch, Duration)>,
}

impl Meter {
    fn new(n_last: u64) -> Self {
        Self {
            n_warm: n_last / 5,
            n_last,
            n_seen: 0,
            warm: None,
        }
    }

    fn add(&mut self, n: u64) -> anyhow::Result<()> {
        self.n_seen += n;
        if self.warm.is_none() && self.n_seen >= self.n_warm {
            self.warm = Some((self.n_seen, Stopwatch::start(), usage::cpu(std::process::id())?));
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.n_seen >= self.n_last
    }

    fn print(&self) -> anyhow::Result<()> {
        let (n_before, watch, cpu_before) = self.warm.as_ref().context("no events")?;
        let wall = watch.elapsed();
        let cpu = usage::cpu(std::process::id())?.saturating_sub(*cpu_before);
        let n_events = self.n_seen - n_before;
        usage::say(&format!("{n_events} {} {}", wall.as_micros(), cpu.as_micros()))
    }
}

/// Runs a loop over all that is in the inputs.
pub(crate) fn run(site: &Site, what: Loop, n_events: u64) -> anyhow::Result<Work> {
    let name = what.to_possible_value().context("a name")?;
    let output = site
        .role(&["bare", name.get_name(), "--events", &n_events.to_string()])?
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the bare loop ended with {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let mut numbers = text.split_whitespace().map(str::parse::<u64>);
    let mut next = || anyhow::Ok(numbers.next().context("too few numbers")??);
    Ok(Work {
        n_events: next()?,
        wall: Duration::from_micros(next()?),
        cpu: Duration::from_micros(next()?),
    })
}

impl Bare {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut meter = Meter::new(self.events);
        match self.what {
            Loop::Count => self.count(&mut meter)?,
            Loop::Transact => self.transact(&mut meter)?,
        }
        meter.print()
    }

    fn count(&self, meter: &mut Meter) -> anyhow::Result<()> {
        let consumer = consumer(&self.brokers)?;
        let mut list = TopicPartitionList::new();
        let sources = Sources::of(&self.prefix);
        for (topic, n_partitions) in sources.all() {
            for partition in 0..i32::try_from(n_partitions)? {
                list.add_partition_offset(topic, partition, Offset::Beginning)?;
            }
        }
        consumer.assign(&list)?;
        let mut n_bytes = 0;
        while !meter.is_done() {
            let message = consumer.poll(SILENT_MAX).context("no record for long")??;
            n_bytes += message.payload_len();
            meter.add(1)?;
        }
        ensure!(n_bytes > 0, "records without a value");
        Ok(())
    }

    fn transact(&self, meter: &mut Meter) -> anyhow::Result<()> {
        let connection = Connection {
            brokers: self.brokers.clone(),
            ..Connection::default()
        };
        let group = format!("{}.transact", self.prefix);
        let names = Names {
            client_id: group.clone(),
            transactional_id: group.clone(),
            writes: Vec::new(),
            group,
        };
        let sources = Sources::of(&self.prefix);
        let topics: Vec<&str> = sources.all().map(|(topic, _)| &**topic).collect();
        let mut client = KafkaClient::new(&connection, &names, &topics, &Tuning::default())?;
        let out: Arc<str> = Arc::from(format!("{}.out", self.prefix));
        let mut positions: Vec<(TopicPartition, holdpoint::model::Offset)> = Vec::new();
        let mut watch = Stopwatch::start();
        while !meter.is_done() {
            ensure!(watch.elapsed() < SILENT_MAX, "no record for long");
            for change in client.poll(Duration::from_millis(1))? {
                if let Change::Assigned(partition) = change {
                    client.start(&partition, holdpoint::model::Offset(0))?;
                    positions.push((partition, holdpoint::model::Offset(0)));
                }
            }
            let Some(membership) = client.membership() else {
                continue;
            };
            let writes = take(&mut client, &mut positions, &out)?;
            if writes.is_empty() {
                continue;
            }
            let n_events = u64::try_from(writes.len())?;
            client.commit(&membership, &positions, writes)?;
            meter.add(n_events)?;
            watch = Stopwatch::start();
        }
        client.close(Duration::from_secs(10))?;
        Ok(())
    }
}

/// A batch: for each record one to write.
fn take(
    client: &mut KafkaClient,
    positions: &mut [(TopicPartition, holdpoint::model::Offset)],
    out: &Arc<str>,
) -> anyhow::Result<Vec<Write>> {
    let watch = Stopwatch::start();
    let mut writes = Vec::new();
    loop {
        let n_before = writes.len();
        for (partition, position) in &mut *positions {
            client.take(partition, TURN_RECORDS, &mut |record| {
                let value = record.value.unwrap_or_default();
                let to = u32::try_from(record.offset.0).unwrap_or(0) % LOG_PARTITIONS;
                writes.push(Write {
                    topic: Arc::clone(out),
                    partition: PartitionIndex(i32::try_from(to).unwrap_or(0)),
                    timestamp: record.timestamp.unwrap_or(Timestamp::MIN),
                    key: None,
                    value: Some(value[..value.len().min(PRODUCED_BYTES)].to_vec()),
                    headers: Vec::new(),
                });
                *position = record.offset.next();
                true
            })?;
            if writes.len() >= BATCH_RECORDS_MAX || watch.elapsed() >= BATCH_TIME_MAX {
                return Ok(writes);
            }
        }
        if writes.len() == n_before {
            return Ok(writes);
        }
    }
}

/// A consumer with the settings of an ingest worker's, read ahead for all partitions by one queue.
pub(crate) fn consumer(brokers: &str) -> anyhow::Result<BaseConsumer> {
    let tuning = Tuning::default();
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "bench-bare")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", tuning.fetch_wait_ms.to_string())
        .set("fetch.min.bytes", tuning.fetch_min_bytes.to_string())
        .set("fetch.message.max.bytes", tuning.fetch_partition_bytes.to_string())
        .set("fetch.queue.backoff.ms", "20")
        .set("queued.min.messages", "20000")
        .set("queued.max.messages.kbytes", (tuning.queue_kib * 8).to_string())
        .create()
        .context("a consumer")
}
