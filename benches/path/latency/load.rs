//! Other people's traffic on the same broker: a producer and a consumer of another topic, in a process of their own.

use std::{
    process::{Child, Stdio},
    thread::{self, sleep},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use holdpoint::clock::Stopwatch;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    producer::{BaseRecord, Producer as _},
};

use crate::{
    bare,
    events::mix,
    feed::{self, Producer},
    site::Site,
    usage::say,
};

const RECORD_BYTES: u64 = 4_096;
const PARTITIONS: i32 = 2;
const PAUSE: Duration = Duration::from_millis(1);

/// Writes and reads at a rate, and prints what was reached, in MiB a second.
#[derive(Debug, Args)]
pub(crate) struct Load {
    #[arg(long)]
    prefix: String,
    #[arg(long)]
    brokers: String,
    #[arg(long)]
    mib: u64,
    #[arg(long)]
    seconds: u64,
}

/// Killed when dropped.
pub(super) struct Running(Option<Child>);

pub(super) fn start(site: &Site, mib: u64, length: Duration) -> anyhow::Result<Running> {
    let (mib, seconds) = (mib.to_string(), length.as_secs().to_string());
    let mut command = site.role(&["load", "--mib", &mib, "--seconds", &seconds])?;
    Ok(Running(Some(command.stdout(Stdio::piped()).spawn()?)))
}

impl Running {
    /// What it reached, in MiB a second.
    pub(super) fn end(mut self) -> anyhow::Result<u64> {
        let child = self.0.take().context("it runs until it is ended")?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "the load ended with {}", output.status);
        Ok(String::from_utf8(output.stdout)?.trim().parse()?)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended already.
            drop(child.kill());
            drop(child.wait());
        }
    }
}

impl Load {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let topic = format!("{}.load", self.prefix);
        let producer: Producer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("linger.ms", "5")
            .set("delivery.report.only.error", "true")
            .create()?;
        let consumer = bare::consumer(&self.brokers)?;
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(&topic, partition, Offset::End)?;
        }
        consumer.assign(&list)?;
        let length = Duration::from_secs(self.seconds);
        let watch = Stopwatch::start();
        let n_read = thread::scope(|scope| {
            let reader = scope.spawn(move || read(&consumer, &watch, length));
            self.write(&producer, &topic, &watch)?;
            reader.join().ok().context("the reader panicked")?
        })?;
        say(&(n_read * RECORD_BYTES / (1 << 20) / self.seconds.max(1)).to_string())
    }

    fn write(&self, producer: &Producer, topic: &str, watch: &Stopwatch) -> anyhow::Result<()> {
        // Random, as compressed or encrypted payloads are.
        let value: Vec<u8> = (0..RECORD_BYTES / 8).flat_map(|n| mix(n).to_be_bytes()).collect();
        let per_second = u128::from(self.mib << 20) / u128::from(RECORD_BYTES);
        let mut n_sent = 0;
        while watch.elapsed() < Duration::from_secs(self.seconds) {
            let n_due = watch.elapsed().as_millis() * per_second / 1_000;
            for n in n_sent..n_due {
                let partition = i32::try_from(n / 64 % 2)?;
                let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition).payload(&value);
                feed::send(producer, record)?;
            }
            n_sent = n_due.max(n_sent);
            sleep(PAUSE);
        }
        Ok(producer.flush(Duration::from_secs(10))?)
    }
}

fn read(consumer: &BaseConsumer, watch: &Stopwatch, length: Duration) -> anyhow::Result<u64> {
    let mut n_read = 0;
    while watch.elapsed() < length {
        if consumer.poll(Duration::from_millis(100)).transpose()?.is_some() {
            n_read += 1;
        }
    }
    Ok(n_read)
}
