//! What an ingest worker says in its own name: what time it is, and how far it has come.

use std::{sync::Arc, time::Duration};

use super::{Worker, is_due};
use crate::{
    gate::{ControlKey, IngestMark},
    model::{Entry, Tick, Timestamp, Watermark},
    stream::{Client, Write},
    wire::{control, events, partition::partition_of},
};

/// Time is told so often.
pub(super) const TICK_EVERY: Duration = Duration::from_secs(1);
/// Time is told as soon as the watermark has passed so much, so that catching up does not outrun the open steps.
pub(super) const TICK_PROGRESS: Duration = Duration::from_secs(10);
/// The worker's own mark on the control topic, when it is caught up and while it is behind.
const MARK_EVERY: Duration = Duration::from_secs(5);
const MARK_EVERY_BEHIND: Duration = Duration::from_millis(50);

impl<C: Client> Worker<C> {
    /// Appends a time entry to every log partition once a second, and whenever the watermark has passed enough.
    pub(super) fn tell_time(&mut self) {
        let now = self.settings.clock.now();
        // Time that was told of them does not fall by this, and is not passed by either.
        let others = self.cover.others(&self.inputs);
        let marks = self.inputs.watermarks(now);
        let least = marks.iter().map(|(_, at)| *at).min().unwrap_or(Timestamp::MIN);
        let due = is_due(self.told_at, now, TICK_EVERY);
        // The mark lets others go on from here: what it lets through must find the log's time as far.
        let passed = least != Timestamp::MIN
            && (self.told_watermark == Timestamp::MIN || least.since(self.told_watermark) >= TICK_PROGRESS);
        if !due && !passed {
            self.tick = None;
            return;
        }
        let known = marks.iter().map(|(partition, at)| (*partition, *at));
        let others = others.iter().map(|partition| (partition, Timestamp::MIN));
        let watermarks = known
            .chain(others)
            .map(|(partition, at)| Watermark {
                topic: &partition.topic,
                partition: partition.partition.0,
                at,
            })
            .collect();
        let mut bytes = Vec::new();
        events::append(&Entry::Time(Tick { wall: now, watermarks }), &mut bytes);
        self.tick = Some(bytes);
        self.told_at = now;
        self.told_watermark = least;
    }

    pub(super) fn mark(&mut self) {
        let now = self.settings.clock.now();
        let behind = self.inputs.is_behind(now);
        let every = if behind { MARK_EVERY_BEHIND } else { MARK_EVERY };
        if !is_due(self.marked_at, now, every) {
            return;
        }
        self.marked_at = now;
        let mark = IngestMark {
            instance: self.settings.instance.clone(),
            at: now,
            watermark: self.inputs.least_watermark(now),
            behind,
            partitions: u32::try_from(self.inputs.len()).ok(),
        };
        let write = self.mark_write(Some(control::encode_ingest(&mark)));
        self.writes.push(write);
    }

    pub(super) fn mark_write(&self, value: Option<Vec<u8>>) -> Write {
        let key = ControlKey::Ingest(self.settings.instance.clone()).to_string();
        Write {
            topic: Arc::clone(&self.settings.control),
            partition: partition_of(&key, self.settings.n_partitions),
            timestamp: self.settings.clock.now(),
            key: Some(key.into_bytes()),
            value,
            headers: Vec::new(),
        }
    }
}
