//! Taking what has arrived: partition by partition, in step, errors not each time.

use std::time::Duration;

use super::{Worker, own, stage::Stage};
use crate::{
    clock::Stopwatch,
    model::{Kind, Timestamp},
    run::{inputs::HeldBack, viewer::Peers},
    stream::{Client, Fault, Record, TopicPartition},
};

/// A batch is closed after so many records, so long, or so many bytes: large enough that a transaction costs little
/// beside its records, small enough to answer in milliseconds and to be taken again after an abort.
const BATCH_RECORDS_MAX: usize = 20_000;
const BATCH_TIME_MAX: Duration = Duration::from_millis(50);
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Records taken of one partition before the next one's turn.
const TURN_RECORDS: usize = 500;

impl<C: Client> Worker<C> {
    /// Takes what has arrived, partition by partition, in step.
    pub(super) fn take(&mut self, peers: Peers, watch: &Stopwatch) -> Result<usize, Fault> {
        let now = self.settings.clock.now();
        let mut partitions = self.inputs.partitions();
        let takes_errors = self.patience.is_over(now) || self.inputs.is_behind(now);
        if !takes_errors {
            self.pause = self.patience.left(now);
            if self.patience.is_for_all() {
                return Ok(0);
            }
            partitions.retain(|partition| self.settings.kind_of(partition) != Some(Kind::Error));
        }
        let turn = self.n_batches % partitions.len().max(1);
        partitions.rotate_left(turn);
        self.n_batches = self.n_batches.wrapping_add(1);
        let n_taken = self.take_in_turn(&partitions, peers, watch)?;
        if takes_errors {
            self.patience.note_taken(now, n_taken, self.is_full(n_taken, watch));
        }
        Ok(n_taken)
    }

    /// Takes of each of `partitions` in turn, until there is no more or the batch is full.
    fn take_in_turn(&mut self, partitions: &[TopicPartition], peers: Peers, watch: &Stopwatch) -> Result<usize, Fault> {
        let waits = self.cover.is_missing(&self.inputs, peers) && self.inputs.is_behind(self.settings.clock.now());
        let from = self.inputs.read_to(self.settings.clock.now());
        let mut n_taken = 0;
        loop {
            let before = n_taken;
            let now = self.settings.clock.now();
            // It rises as they are read: those that it holds back now have their turn in the next round.
            let limit = if waits {
                Timestamp::MIN
            } else {
                self.inputs.limit(peers.least, now)
            };
            for partition in partitions {
                n_taken += self.take_of(partition, limit, now)?;
                if self.is_full(n_taken, watch) {
                    return Ok(n_taken);
                }
            }
            // While catching up, time is told before more of it is read.
            let now = self.settings.clock.now();
            let spans = self.inputs.read_to(now).since(from);
            if n_taken == before || (spans >= own::TICK_PROGRESS && self.inputs.is_behind(now)) {
                return Ok(n_taken);
            }
        }
    }

    fn is_full(&self, n_taken: usize, watch: &Stopwatch) -> bool {
        n_taken >= BATCH_RECORDS_MAX
            || watch.elapsed() >= BATCH_TIME_MAX
            || self.batch.size_bytes() + self.refused_bytes >= BATCH_BYTES_MAX
    }

    /// Takes what has arrived of one partition up to record time `limit`; the first record beyond it is held back.
    fn take_of(&mut self, partition: &TopicPartition, limit: Timestamp, now: Timestamp) -> Result<usize, Fault> {
        let Self {
            client,
            inputs,
            batch,
            writes,
            refused_bytes,
            books,
            settings,
            ..
        } = self;
        let stage = Stage {
            settings,
            partition,
            kind: settings.kind_of(partition),
            now,
        };
        let mut n_taken = 0;
        if let Some(HeldBack {
            offset,
            at,
            key,
            value,
            headers,
        }) = inputs.release(partition, limit)
        {
            let record = Record {
                offset,
                timestamp: Some(at),
                key: key.as_deref(),
                value: value.as_deref(),
                headers: &|| headers.clone(),
            };
            *refused_bytes += stage.take_in(&record, batch, writes, books);
            inputs.note_taken(partition, offset, at, now);
            n_taken += 1;
        }
        if inputs.is_held_back(partition) {
            return Ok(0);
        }
        client.take(partition, TURN_RECORDS, &mut |record| {
            // A record without a time of its own counts as of now; so does one of a time to come, or it would hold up all
            // behind it until then.
            let at = record.timestamp.unwrap_or(now).min(now);
            if at > limit {
                inputs.hold_back(partition, HeldBack::of(record, at), now);
                return false;
            }
            *refused_bytes += stage.take_in(record, batch, writes, books);
            inputs.note_taken(partition, record.offset, at, now);
            n_taken += 1;
            batch.size_bytes() + *refused_bytes < BATCH_BYTES_MAX
        })?;
        Ok(n_taken)
    }
}
