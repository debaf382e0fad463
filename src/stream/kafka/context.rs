//! What librdkafka tells besides records: its log, and errors that are no answer to a call.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rdkafka::{
    ClientContext, config::RDKafkaLogLevel, consumer::ConsumerContext, error::KafkaError, message::DeliveryResult,
    producer::ProducerContext, types::RDKafkaErrorCode as Code,
};

use crate::{clock::Stopwatch, stream::Fault};

/// The errors of one client that were no answer to a call. Most mend themselves: they explain a silence.
#[derive(Debug, Default)]
pub(super) struct Health {
    last: Mutex<Option<String>>,
    /// When one was last warned of.
    warned: Mutex<Option<Stopwatch>>,
}

/// Brokers out of reach say so again with every attempt, each in its own words: one of all such errors is told so often.
const WARN_EVERY: Duration = Duration::from_secs(30);

impl Health {
    pub(super) fn record(&self, text: String) {
        let mut warned = lock(&self.warned);
        if warned.as_ref().is_some_and(|watch| watch.elapsed() < WARN_EVERY) {
            tracing::debug!(error = %text, "kafka client");
        } else {
            tracing::warn!(error = %text, "kafka client");
            *warned = Some(Stopwatch::start());
        }
        *lock(&self.last) = Some(text);
    }

    pub(super) fn last_error(&self) -> Option<String> {
        lock(&self.last).clone()
    }

    /// `text`, with the last error as its likely reason.
    pub(super) fn explain(&self, text: &str) -> String {
        match self.last_error() {
            Some(last) => format!("{text} ({last})"),
            None => text.to_owned(),
        }
    }

    /// One that says no more than that it was not now, with the last error as its likely reason.
    pub(super) fn explain_fault(&self, fault: Fault) -> Fault {
        match fault {
            Fault::Retry(text) => Fault::Retry(self.explain(&text)),
            fault @ (Fault::Aborted(_) | Fault::Fenced(_) | Fault::Fatal(_)) => fault,
        }
    }
}

/// Takes a lock whose holders cannot leave its content half written.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The least of librdkafka's log lines that [`log`] does not throw away: the wrapper asks a logger that is not ours, and
/// would drop all but errors.
pub(super) fn log_level() -> RDKafkaLogLevel {
    if tracing::enabled!(target: "librdkafka", tracing::Level::DEBUG) {
        RDKafkaLogLevel::Debug
    } else if tracing::enabled!(target: "librdkafka", tracing::Level::INFO) {
        RDKafkaLogLevel::Info
    } else {
        RDKafkaLogLevel::Error
    }
}

/// librdkafka's log lines, as ours.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// The context of every client outside a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Plain {
    pub(super) health: Arc<Health>,
}

impl ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.health.record(format!("{error}: {reason}"));
    }
}

impl ConsumerContext for Plain {}

impl ProducerContext for Plain {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            // What an abort throws away is no error.
            Ok(_) | Err((KafkaError::MessageProduction(Code::PurgeQueue | Code::PurgeInflight), _)) => {}
            Err((error, _)) => self.health.record(format!("delivery: {error}")),
        }
    }
}
