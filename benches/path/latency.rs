//! From produce to the decision, read with `read_committed`, beside bare round trips in the same run.
//!
//! ```text
//! errors at a rate ─┐
//! commits, marked ──┴─► holdpoint ─► control ─► reader      each commit is answered by a decision on it
//! a record ─────────────────────────► beside ─► reader      a bare round trip
//! a record in a transaction, offsets ► beside ─► reader     the least that exactly once costs
//! ```

mod beside;
mod load;

use std::{
    collections::HashMap,
    sync::mpsc,
    thread::{self, sleep},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use clap::Args;
use holdpoint::clock::{Clock, Stopwatch};
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    producer::BaseRecord,
};

use self::beside::Beside;
pub(crate) use self::load::Load;
use crate::{
    bare,
    events::{Events, Pace},
    feed::{self, Feed, due},
    instance::Instance,
    site::{CHANGE_PARTITIONS, Keep, LOG_PARTITIONS, Site},
    usage::{grouped, note, say},
};

const KEPT_BYTES: u64 = 256 << 20;
/// Before each measurement, so that connections are made and partitions are found.
const WARM: Duration = Duration::from_secs(3);
/// On the decisions that are still out at the end.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_micros(300);
const LOAD_MIB: u64 = 50;
/// Commits that are measured have numbers from here on; those among the other events are far below.
const FIRST_NUMBER: u64 = 1 << 40;

/// From produce to decision: p50, p99, p99.9, at an idle and a loaded broker.
#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:
  latency --rate 2000 --seconds 60
  latency --rate 2000 --seconds 60 --loaded    and again with 50 MiB/s in and out of another topic")]
pub(crate) struct Latency {
    /// Events a second.
    #[arg(long, default_value_t = 2_000)]
    pub(crate) rate: u64,
    /// Commits a second whose decisions are waited for.
    #[arg(long, default_value_t = 50)]
    pub(crate) commits: u64,
    #[arg(long, default_value_t = 30)]
    pub(crate) seconds: u64,
    /// At a loaded broker too.
    #[arg(long)]
    pub(crate) loaded: bool,
}

/// A commit that was sent, by its number.
type Sent = (u64, Stopwatch);

impl Latency {
    pub(crate) fn run(&self, brokers: &str) -> anyhow::Result<()> {
        let site = Site::new(brokers, "latency", Keep::Bytes(KEPT_BYTES))?;
        let mut instance = Instance::start(&site)?;
        instance.wait_ready()?;
        let mut pacer = Pacer::new(&site, self)?;
        let length = Duration::from_secs(self.seconds);
        say(&format!(
            "latency in ms: {} events/s, {} commits/s of them measured, {} s",
            grouped(self.rate),
            grouped(self.commits),
            self.seconds
        ))?;
        say(&format!(
            "  {:<40}{:>8}{:>9}{:>9}{:>9}{:>9}",
            "", "n", "p50", "p99", "p99.9", "max"
        ))?;
        note("measuring at an idle broker")?;
        measure(&site, &mut pacer, length)?.print("idle broker")?;
        if self.loaded {
            note("measuring at a loaded broker")?;
            let load = load::start(&site, LOAD_MIB, WARM + length)?;
            let seen = measure(&site, &mut pacer, length)?;
            let title = format!("loaded broker: {} MiB/s in and out beside it", load.end()?);
            seen.print(&title)?;
        }
        instance.stop()
    }
}

/// What was seen in one measurement.
#[derive(Debug, Default)]
struct Seen {
    decisions: Vec<Duration>,
    trips: Vec<Duration>,
    transactions: Vec<Duration>,
}

impl Seen {
    fn print(mut self, title: &str) -> anyhow::Result<()> {
        say(&format!("  {title}"))?;
        line("produce to decision", &mut self.decisions)?;
        line("bare round trip", &mut self.trips)?;
        line("bare one-transaction round trip", &mut self.transactions)
    }
}

fn line(name: &str, times: &mut [Duration]) -> anyhow::Result<()> {
    times.sort_unstable();
    let last = times.len().checked_sub(1).context("nothing was measured")?;
    // In thousandths, rounded up: the least time that so many are not above.
    let at = |share: usize| ms(times[(times.len() * share).div_ceil(1_000).saturating_sub(1).min(last)]);
    say(&format!(
        "    {name:<38}{:>8}{:>9}{:>9}{:>9}{:>9}",
        times.len(),
        at(500),
        at(990),
        at(999),
        ms(times[last])
    ))
}

fn ms(time: Duration) -> String {
    let tenths = time.as_micros() / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

fn measure(site: &Site, pacer: &mut Pacer, length: Duration) -> anyhow::Result<Seen> {
    let control = end_of(site, "control", LOG_PARTITIONS)?;
    let mut beside = Beside::new(site)?;
    pacer.run(WARM, None)?;
    let (tell, told) = mpsc::channel();
    thread::scope(|scope| {
        let reader = scope.spawn(move || read_decisions(&control, &told));
        let beside = scope.spawn(move || beside.run(length));
        pacer.run(length, Some(&tell))?;
        drop(tell);
        let (trips, transactions) = beside.join().ok().context("the bare trips panicked")??;
        let decisions = reader.join().ok().context("the reader panicked")??;
        Ok(Seen {
            decisions,
            trips,
            transactions,
        })
    })
}

/// A `read_committed` consumer of what is written to `topic` from here on.
fn end_of(site: &Site, topic: &str, n_partitions: u32) -> anyhow::Result<BaseConsumer> {
    let consumer = bare::consumer(&site.brokers)?;
    let topic = site.topic(topic);
    let mut list = TopicPartitionList::new();
    for partition in 0..i32::try_from(n_partitions)? {
        // By number: the end as the consumer finds it may be one of a moment later.
        let (_, end) = consumer.fetch_watermarks(&topic, partition, ANSWERED_WITHIN)?;
        list.add_partition_offset(&topic, partition, Offset::Offset(end))?;
    }
    consumer.assign(&list)?;
    Ok(consumer)
}

/// How long each commit sent took to its decision, once all are answered.
fn read_decisions(control: &BaseConsumer, sent: &mpsc::Receiver<Sent>) -> anyhow::Result<Vec<Duration>> {
    let mut waiting: HashMap<u64, Stopwatch> = HashMap::new();
    let mut times = Vec::new();
    let mut left: Option<Stopwatch> = None;
    loop {
        let message = control.poll(Duration::from_millis(20)).transpose()?;
        while left.is_none() {
            match sent.try_recv() {
                Ok((number, watch)) => drop(waiting.insert(number, watch)),
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) => left = Some(Stopwatch::start()),
            }
        }
        let number = message.and_then(|message| number_of(message.key()?));
        if let Some(watch) = number.and_then(|number| waiting.remove(&number)) {
            times.push(watch.elapsed());
        }
        if let Some(left) = &left {
            if waiting.is_empty() {
                return Ok(times);
            }
            ensure!(
                left.elapsed() < ANSWERED_WITHIN,
                "{} commits are not decided on",
                waiting.len()
            );
        }
    }
}

/// The number of a commit, from the key of the decision on it.
fn number_of(key: &[u8]) -> Option<u64> {
    let key = std::str::from_utf8(key).ok()?;
    let sha = key.strip_prefix("change:")?.rsplit(':').next()?;
    u64::from_str_radix(sha.get(24..)?, 16).ok()
}

/// Sends events evenly, and among them commits that are measured.
struct Pacer {
    feed: Feed,
    commits: Events,
    /// Of commits: they wait for no company.
    producer: feed::Producer,
    topic: String,
    began: Stopwatch,
    paces: [Pace; 2],
    /// How many there were of each.
    n_sent: [u64; 2],
}

impl Pacer {
    fn new(site: &Site, latency: &Latency) -> anyhow::Result<Self> {
        let start = Clock::wall().now();
        let pace = |rate: u64| Pace {
            start,
            nanos_apart: 1_000_000_000 / rate.max(1),
        };
        let paces = [
            pace(latency.rate.saturating_sub(latency.commits)),
            pace(latency.commits),
        ];
        Ok(Self {
            feed: Feed::new(&site.brokers, &site.prefix, Events::new(paces[0]), 5)?,
            commits: Events::new(paces[1]),
            producer: feed::producer(&site.brokers, 0)?,
            topic: site.topic("commits"),
            began: Stopwatch::start(),
            paces,
            n_sent: [0, 0],
        })
    }

    /// Sends what is due for `length`; tells of each commit just before it is sent. What fell due since the last run
    /// is passed over.
    fn run(&mut self, length: Duration, tell: Option<&mpsc::Sender<Sent>>) -> anyhow::Result<()> {
        let watch = Stopwatch::start();
        self.n_sent = self.paces.map(|pace| due(&self.began, pace));
        while watch.elapsed() < length {
            let [n_events, n_commits] = self.paces.map(|pace| due(&self.began, pace));
            for n in self.n_sent[0]..n_events {
                self.feed.send(n)?;
            }
            for n in self.n_sent[1]..n_commits {
                self.commit(FIRST_NUMBER + n, tell)?;
            }
            self.n_sent = [n_events, n_commits];
            sleep(PAUSE);
        }
        Ok(())
    }

    fn commit(&mut self, number: u64, tell: Option<&mpsc::Sender<Sent>>) -> anyhow::Result<()> {
        let now = Clock::wall().now();
        let record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&self.topic)
            .partition(i32::try_from(number % u64::from(CHANGE_PARTITIONS))?)
            .timestamp(now.millis())
            .payload(self.commits.commit_of(number, now));
        if let Some(tell) = tell {
            tell.send((number, Stopwatch::start()))
                .ok()
                .context("the reader is gone")?;
        }
        feed::send(&self.producer, record)
    }
}
