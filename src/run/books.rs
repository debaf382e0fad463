//! The books of ingest: every record consumed has one fate, and is counted when its transaction has committed.

use std::{sync::Arc, time::Duration};

use crate::{
    model::{Assistance, Body, Effect, Kind},
    stream::{Client, TopicPartition},
};

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
    /// Commits by what they say of AI assistance, and overrides by effect.
    assistance: Vec<Assistance>,
    effects: Vec<Effect>,
}

impl Books {
    pub(crate) fn clear(&mut self) {
        self.counts.clear();
        self.assistance.clear();
        self.effects.clear();
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

    /// What of an event has a metric of its own.
    pub(crate) fn note_particulars(&mut self, body: &Body<'_>) {
        match body {
            Body::Commit(commit) => self.assistance.push(commit.ai.assistance),
            Body::Override(word) => self.effects.push(word.effect),
            Body::Deploy(_) | Body::Error(_) | Body::Incident(_) | Body::Review(_) | Body::Service(_) => {}
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
        for assistance in self.assistance.drain(..) {
            let name = match assistance {
                Assistance::None => "none",
                Assistance::Assisted => "assisted",
                Assistance::Authored => "authored",
                Assistance::Unknown => "unknown",
            };
            metrics::counter!("holdpoint_ai_assisted_changes_total", "assistance" => name).increment(1);
        }
        for effect in self.effects.drain(..) {
            let name = match effect {
                Effect::Proceed => "proceed",
                Effect::Freeze => "freeze",
            };
            metrics::counter!("holdpoint_overrides_total", "effect" => name).increment(1);
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

/// Why most records are lost that are.
pub(crate) const DELETED: &str = "records were deleted before they were read";

/// Records that cannot be read any more: going on at the first that can.
pub(crate) fn lost(partition: &TopicPartition, n_lost: i64, why: &str) {
    tracing::error!(%partition, n_lost, "{why}; going on at the first there is");
    metrics::counter!("holdpoint_events_lost_total").increment(u64::try_from(n_lost).unwrap_or(0));
}

/// Counts what `client` found deleted.
pub(crate) fn deleted(client: &mut impl Client) {
    for (partition, n_lost) in client.take_deleted() {
        lost(&partition, n_lost, DELETED);
    }
}
