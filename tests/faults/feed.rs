//! Sends what the generator makes until it is acknowledged, whatever happens to the brokers.
//!
//! A batch whose fate is not known is sent again as it is: then some of its records are in the topics twice, and
//! score takes them out. So what was sent is known for certain, and how often is read back from the topics.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{JoinHandle, sleep},
    time::Duration,
};

use holdpoint::{
    clock::Stopwatch,
    model::PartitionIndex,
    stream::{
        Write,
        kafka::{Connection, Publisher, Tuning},
    },
};

use crate::{
    generator::{Generator, Sent},
    support::{Site, now},
};

const BATCHES_PER_SECOND: u32 = 4;
/// On the acknowledgement of a batch, before it is sent again.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);

/// Unique events by service and kind.
pub(crate) type Counts = BTreeMap<(String, String), u64>;

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    paused: AtomicBool,
    idle: AtomicBool,
    n_sent: AtomicU64,
    expected: Mutex<Counts>,
}

/// The thread that sends.
#[derive(Debug)]
pub(crate) struct Feed {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Feed {
    pub(crate) fn start(site: &Site, seed: u64, rate: u32) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let partitions: BTreeMap<String, u32> = site.inputs().collect();
        let mut sender = Sender {
            connection: site.connection.clone(),
            publisher: None,
            prefix: site.prefix.clone(),
            partitions,
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::Builder::new().name("feed".to_owned()).spawn(move || {
            let mut generator = Generator::new(seed);
            sender.deliver(&generator.history(now()));
            while !sender.shared.stop.load(Ordering::Acquire) {
                let watch = Stopwatch::start();
                if sender.shared.paused.load(Ordering::Acquire) {
                    sender.shared.idle.store(true, Ordering::Release);
                } else {
                    sender.shared.idle.store(false, Ordering::Release);
                    sender.deliver(&generator.batch(now(), rate / BATCHES_PER_SECOND));
                }
                sleep((Duration::from_secs(1) / BATCHES_PER_SECOND).saturating_sub(watch.elapsed()));
            }
        })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Sends nothing more until [`Self::resume`]; everything sent so far is acknowledged once [`Self::is_idle`].
    pub(crate) fn pause(&self) {
        self.shared.idle.store(false, Ordering::Release);
        self.shared.paused.store(true, Ordering::Release);
    }

    pub(crate) fn resume(&self) {
        self.shared.paused.store(false, Ordering::Release);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.shared.idle.load(Ordering::Acquire)
    }

    pub(crate) fn n_sent(&self) -> u64 {
        self.shared.n_sent.load(Ordering::Relaxed)
    }

    /// What is to be applied of what was acknowledged.
    pub(crate) fn expected(&self) -> Counts {
        lock(&self.shared.expected).clone()
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // Its panic has been reported by itself.
            drop(thread.join());
        }
    }
}

struct Sender {
    connection: Connection,
    publisher: Option<Publisher>,
    prefix: String,
    partitions: BTreeMap<String, u32>,
    shared: Arc<Shared>,
}

impl Sender {
    /// Returns when all of it is acknowledged, or the feed is stopped.
    fn deliver(&mut self, batch: &[Sent]) {
        let writes: Vec<Write> = batch.iter().map(|sent| self.write(sent)).collect();
        while !self.shared.stop.load(Ordering::Acquire) {
            let publisher = match self.publisher.take() {
                Some(publisher) => publisher,
                None => Publisher::new(&self.connection, "feed", &Tuning::default()).expect("a publisher"),
            };
            if publisher.send_all(&writes, ACKNOWLEDGED_WITHIN).is_ok() {
                self.publisher = Some(publisher);
                let mut expected = lock(&self.shared.expected);
                for sent in batch.iter().filter(|sent| !sent.what.is_bad()) {
                    self.shared.n_sent.fetch_add(1, Ordering::Relaxed);
                    let known = expected.entry((sent.what.service.clone(), sent.what.kind.clone()));
                    *known.or_default() += u64::from(!sent.is_copy);
                }
                return;
            }
            // One that has failed may hold records of the batch still: they would come behind those sent again.
            drop(publisher);
            sleep(Duration::from_millis(200));
        }
    }

    fn write(&self, sent: &Sent) -> Write {
        let topic = format!("{}.{}", self.prefix, sent.topic);
        let n_partitions = self.partitions.get(&topic).copied().unwrap_or(1);
        Write {
            partition: PartitionIndex(i32::try_from(sent.partition % n_partitions).expect("small")),
            topic: Arc::from(topic),
            timestamp: sent.at,
            key: Some(sent.what.key().into_bytes()),
            value: sent.value.clone(),
            headers: Vec::new(),
        }
    }
}

/// A thread that panicked has been reported by itself; what it left is read all the same.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
