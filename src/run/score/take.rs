//! Taking what has arrived: partition by partition, each entry stepped, until a batch is full.

use std::time::Duration;

use super::{SUBJECTS_MAX, Worker};
use crate::{
    clock::Stopwatch,
    model::{PartitionIndex, Timestamp},
    run::{books, restore::beside},
    score::Saying,
    stream::{Client, Fault},
};

/// A batch is closed after so many records or so long.
const BATCH_RECORDS_MAX: usize = 5_000;
const BATCH_TIME_MAX: Duration = Duration::from_millis(50);

impl<C: Client> Worker<C> {
    /// Takes what has arrived and steps it, beginning with another partition each time: a busy one starves nobody.
    pub(super) fn take(&mut self, sayings: &mut Vec<Saying>) -> Result<usize, Fault> {
        let watch = self.settings.clock.stopwatch();
        self.oldest_written = None;
        let mut n_taken = 0;
        let first = self.first.unwrap_or(PartitionIndex(0));
        let turn: Vec<PartitionIndex> = self
            .live
            .range(first..)
            .chain(self.live.range(..first))
            .map(|(partition, _)| *partition)
            .collect();
        for partition in turn {
            n_taken += self.take_of(partition, &watch, sayings)?;
            self.first = Some(PartitionIndex(partition.0 + 1));
            if sayings.len() >= SUBJECTS_MAX || watch.elapsed() >= BATCH_TIME_MAX {
                break;
            }
        }
        Ok(n_taken)
    }

    /// The log's last offsets hold marks of transactions, which are no records: they are passed.
    pub(super) fn pass_marks(&mut self) -> Result<(), Fault> {
        let unread = self.live.iter().any(|(index, live)| {
            let end = self.client.end(&beside(&self.settings.events, *index));
            !live.is_whole() || end.is_some_and(|end| live.position < end)
        });
        if !unread {
            return Ok(());
        }
        for (partition, position) in self.client.positions()? {
            if let Some(live) = self.live.get_mut(&partition.partition) {
                live.position = live.position.max(position);
            }
        }
        Ok(())
    }

    fn take_of(&mut self, index: PartitionIndex, watch: &Stopwatch, sayings: &mut Vec<Saying>) -> Result<usize, Fault> {
        let Self {
            client,
            live,
            settings,
            oldest_written,
            ..
        } = self;
        let Some(live) = live.get_mut(&index) else { return Ok(0) };
        let partition = beside(&settings.events, index);
        if let Some(end) = client.end(&partition) {
            books::lag(&partition, (end.0 - live.position.0).max(0));
        }
        let mut broken = None;
        let n_said = sayings.len();
        let n_taken = client.take(&partition, BATCH_RECORDS_MAX, &mut |record| {
            let written_at = record.timestamp.unwrap_or(Timestamp::MIN);
            *oldest_written = Some(oldest_written.map_or(written_at, |oldest| oldest.min(written_at)));
            if let Some(value) = record.value
                && let Err(error) = live.take_in(value, record.offset, written_at, sayings)
            {
                broken = Some(error);
                return false;
            }
            live.position = record.offset.next();
            sayings.len() < SUBJECTS_MAX && watch.elapsed() < BATCH_TIME_MAX
        })?;
        if let Some(error) = broken {
            // Only we write this topic: a newer version does, or somebody else. Going on would lose what it says, so this
            // partition is silent, and the others go on.
            let why = format!("{partition} cannot be read at {}: {error}", live.position);
            tracing::error!("{why}; nothing is decided for its services until a program that can read it takes over");
            // What it had to say goes with its state: without that it would be said again by whoever takes over.
            sayings.truncate(n_said);
            self.let_go(index);
            self.unreadable.insert(index, why);
        }
        Ok(n_taken)
    }
}
