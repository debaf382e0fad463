//! The books of ingest: every record consumed has one fate, and is counted when its transaction has committed.

use std::{sync::Arc, time::Duration};

use crate::{model::Kind, stream::TopicPartition};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    Event(Kind),
    /// With the reason's name.
    Rejected(&'static str),
}

/// The counts of one batch.
#[derive(Debug, Default)]
pub(crate) struct Books {
    counts: Vec<(Arc<str>, Fate, u64)>,
}

impl Books {
    pub(crate) fn clear(&mut self) {
        self.counts.clear();
    }

    pub(crate) fn note(&mut self, topic: &Arc<str>, fate: Fate) {
        // A handful of topics and fates: the last one noted is nearly always the one.
        let known = self
            .counts
            .iter_mut()
            .rev()
            .find(|(known, known_fate, _)| *known_fate == fate && known == topic);
        match known {
            Some((_, _, n)) => *n += 1,
            None => self.counts.push((Arc::clone(topic), fate, 1)),
        }
    }

    /// The batch is committed, `took` after it was begun.
    pub(crate) fn publish(&mut self, took: Duration) {
        let mut n_records = 0;
        for (topic, fate, n) in self.counts.drain(..) {
            n_records += n;
            let topic = topic.to_string();
            match fate {
                Fate::Event(kind) => {
                    metrics::counter!("holdpoint_events_consumed_total", "topic" => topic, "kind" => kind.name())
                        .increment(n);
                }
                Fate::Rejected(reason) => {
                    metrics::counter!("holdpoint_events_consumed_total", "topic" => topic.clone(), "kind" => "unknown")
                        .increment(n);
                    metrics::counter!("holdpoint_events_rejected_total", "topic" => topic, "reason" => reason)
                        .increment(n);
                }
            }
        }
        metrics::counter!("holdpoint_transactions_total", "outcome" => "committed", "stage" => "ingest").increment(1);
        if n_records > 0 {
            #[expect(
                clippy::cast_precision_loss,
                clippy::as_conversions,
                reason = "at most thousands of records"
            )]
            metrics::histogram!("holdpoint_event_processing_seconds").record(took.as_secs_f64() / n_records as f64);
        }
    }
}

/// Records of a partition not yet read.
pub(crate) fn lag(partition: &TopicPartition, lag: i64) {
    #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge")]
    let lag = lag as f64;
    metrics::gauge!(
        "holdpoint_consumer_lag_records",
        "topic" => partition.topic.to_string(),
        "partition" => partition.partition.to_string()
    )
    .set(lag);
}
