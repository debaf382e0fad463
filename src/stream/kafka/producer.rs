//! Records sent outside any transaction: an override by a person, the demo's history.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use rdkafka::{
    ClientContext, Message,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::KafkaError,
    message::DeliveryResult,
    producer::{ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode as Code,
};

use super::{
    Bound, Connection, Tuning,
    context::{Health, lock, log},
    fault, record,
};
use crate::{
    model::Offset,
    stream::{Fault, Write},
};

/// Waits for room and for company: sending one record waits this long at most for others.
const LINGER_MS: u32 = 2;

/// A producer outside transactions; what it reports as delivered is on all replicas in sync.
pub struct Publisher {
    producer: ThreadedProducer<Deliveries>,
    health: Arc<Health>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}

/// The fate of the records of one call.
#[derive(Debug, Default)]
struct Receipt {
    fates: Mutex<Fates>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Fates {
    n_delivered: usize,
    n_failed: usize,
    /// Of the last one delivered.
    offset: Option<Offset>,
    /// Of the first one that failed.
    error: Option<KafkaError>,
}

struct Deliveries {
    health: Arc<Health>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.health.record(format!("{error}: {reason}"));
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Receipt>;

    fn delivery(&self, result: &DeliveryResult<'_>, receipt: Arc<Receipt>) {
        let mut fates = lock(&receipt.fates);
        match result {
            Ok(message) => {
                fates.n_delivered += 1;
                fates.offset = Some(Offset(message.offset()));
            }
            Err((error, _)) => {
                fates.n_failed += 1;
                fates.error.get_or_insert_with(|| error.clone());
            }
        }
        receipt.changed.notify_one();
    }
}

impl Publisher {
    pub fn new(connection: &Connection, client_id: &str, tuning: &Tuning) -> Result<Self, Fault> {
        let health = Arc::new(Health::default());
        let mut config = connection.producer(client_id, tuning);
        super::unless_given(&mut config, &super::LINGER, &LINGER_MS.to_string());
        let context = Deliveries {
            health: Arc::clone(&health),
        };
        let producer = ThreadedProducer::from_config_and_context(&config, context)
            .map_err(|error| fault::fault("producer", &error))?;
        Ok(Self { producer, health })
    }

    /// Sends one record and waits for its place in the log, `bound` at most. After a `Retry` it may have been written
    /// all the same.
    pub fn send(&self, write: &Write, bound: Duration) -> Result<Offset, Fault> {
        let fates = self.deliver(std::iter::once(write), bound)?;
        fates
            .offset
            .ok_or_else(|| Fault::Fatal("delivered without an offset".to_owned()))
    }

    /// Sends all of `writes` and waits for them, `bound` at most; in order for each partition. Says how many.
    pub fn send_all<'a>(&self, writes: impl IntoIterator<Item = &'a Write>, bound: Duration) -> Result<usize, Fault> {
        self.deliver(writes, bound).map(|fates| fates.n_delivered)
    }

    fn deliver<'a>(&self, writes: impl IntoIterator<Item = &'a Write>, bound: Duration) -> Result<Fates, Fault> {
        let bound = Bound::new(bound);
        let receipt = Arc::new(Receipt::default());
        let mut n_sent = 0;
        for write in writes {
            self.enqueue(write, &receipt, &bound)?;
            n_sent += 1;
        }
        let fates = lock(&receipt.fates);
        let waited = receipt
            .changed
            .wait_timeout_while(fates, bound.left(), |fates| fates.n_delivered + fates.n_failed < n_sent);
        let mut fates = match waited {
            Ok((fates, _)) => fates,
            Err(poisoned) => poisoned.into_inner().0,
        };
        let fates = std::mem::take(&mut *fates);
        if let Some(error) = &fates.error {
            // Records that a client throws away when it has failed do not say why it has.
            return Err(fault::fault(&self.health.explain("delivery"), error));
        }
        if fates.n_delivered < n_sent {
            let text = format!("{} of {n_sent} records delivered in time", fates.n_delivered);
            return Err(Fault::Retry(self.health.explain(&text)));
        }
        Ok(fates)
    }

    fn enqueue(&self, write: &Write, receipt: &Arc<Receipt>, bound: &Bound) -> Result<(), Fault> {
        let mut record = record::outgoing(write, Arc::clone(receipt));
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(Code::QueueFull), returned)) if !bound.has_passed() => {
                    record = returned;
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err((error, _)) => {
                    let to = format!("record for {}-{}", write.topic, write.partition);
                    return Err(fault::fault(&to, &error));
                }
            }
        }
    }
}
