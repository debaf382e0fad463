//! The ingest worker: takes what has arrived, one transaction, next.
//!
//! ```text
//! poll group ─► take records, in step ─► decode ─┬─► entries ─► one record per log partition ─┐
//!                                                └─► rejected ─────────────────────────────────┤
//!                     time, watermarks (once a second, and as record time passes) ─────────────┴─► commit
//! ```
//!
//! **Invariant:** every record taken is an event or a reject in the same transaction that moves its offset.

mod cover;
mod own;
mod patience;
mod stage;
mod take;

use std::{sync::Arc, time::Duration};

use self::{cover::Cover, patience::Patience};
use super::{
    books::Books,
    inputs::Inputs,
    progress::{Progress, Standing, Stuck},
    viewer::Peers,
};
use crate::{
    clock::Clock,
    ingest::Batch,
    model::{Kind, Offset, PartitionIndex, Timestamp},
    stream::{Change, Client, Fault, Header, TopicPartition, Write},
    wire::events,
};

/// How long to wait for records, at most: rebalances are served as often.
const WAIT: Duration = Duration::from_millis(100);
/// The same while others are behind: how far they have come is not told by a ring.
const WAIT_BEHIND: Duration = Duration::from_millis(20);
/// Partitions started in one turn, and how long that may take: with hundreds assigned at once, others are read and time
/// is told meanwhile.
const STARTED_MAX: usize = 100;
const START_TIME_MAX: Duration = Duration::from_secs(1);
/// Marks of transactions are passed and lag is told so often.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What an ingest worker goes by.
#[derive(Debug, Clone)]
pub(crate) struct IngestSettings {
    pub(crate) instance: Box<str>,
    pub(crate) default_environment: Box<str>,
    /// The kind that records of a topic are of unless they say otherwise.
    pub(crate) kinds: Vec<(Arc<str>, Kind)>,
    pub(crate) events: Arc<str>,
    pub(crate) control: Arc<str>,
    pub(crate) rejected: Arc<str>,
    pub(crate) n_partitions: u32,
    pub(crate) n_rejected_partitions: u32,
    pub(crate) clock: Clock,
}

impl IngestSettings {
    fn kind_of(&self, partition: &TopicPartition) -> Option<Kind> {
        let known = self.kinds.iter().find(|(topic, _)| *topic == partition.topic);
        known.map(|(_, kind)| *kind)
    }
}

/// One worker, with the one client it owns.
pub(crate) struct Worker<C> {
    settings: IngestSettings,
    client: C,
    inputs: Inputs,
    /// Assigned, and not started: a broker did not answer.
    unstarted: Vec<TopicPartition>,
    /// How many batches there were: each begins with another partition.
    n_batches: usize,
    batch: Batch,
    writes: Vec<Write>,
    /// Bytes of records refused in this batch.
    refused_bytes: usize,
    books: Books,
    told_at: Timestamp,
    told_watermark: Timestamp,
    marked_at: Timestamp,
    looked_at: Timestamp,
    /// The time entry of this batch, in its serial form.
    tick: Option<Vec<u8>>,
    /// Whether the last turn found anything: then the next one does not wait.
    busy: bool,
    /// Whether records wait for others to come nearer.
    holds_back: bool,
    progress: Progress,
    cover: Cover,
    patience: Patience,
    /// What the next wait for records may take.
    pause: Duration,
}

impl<C: Client> Worker<C> {
    pub(crate) fn new(settings: IngestSettings, client: C) -> Self {
        let batch = Batch::new(usize::try_from(settings.n_partitions).unwrap_or(usize::MAX));
        Self {
            progress: Progress::new(settings.clock),
            cover: Cover::new(settings.clock),
            patience: Patience::new(),
            pause: WAIT,
            settings,
            client,
            inputs: Inputs::default(),
            unstarted: Vec::new(),
            n_batches: 0,
            batch,
            writes: Vec::new(),
            refused_bytes: 0,
            books: Books::default(),
            told_at: Timestamp::MIN,
            told_watermark: Timestamp::MIN,
            marked_at: Timestamp::MIN,
            looked_at: Timestamp::MIN,
            tick: None,
            busy: false,
            holds_back: false,
        }
    }

    /// Holds nothing from here on.
    pub(crate) fn into_client(self) -> C {
        for partition in self.inputs.partitions() {
            super::books::lag(&partition, 0);
        }
        self.client
    }

    /// One turn: serves the group, takes what has arrived and commits it. `peers` is what the other
    /// ingest workers say of themselves. An aborted transaction is taken again; other faults are the caller's.
    pub(crate) fn turn(&mut self, peers: Peers) -> Result<(), Fault> {
        let wait = if self.busy {
            Duration::ZERO
        } else if self.holds_back || !self.unstarted.is_empty() {
            WAIT_BEHIND
        } else {
            self.settings.clock.real(own::TICK_EVERY.min(self.pause)).min(WAIT)
        };
        self.pause = WAIT;
        let changes = self.client.poll(wait)?;
        self.serve(changes)?;
        if self.inputs.is_empty() {
            self.busy = false;
            return Ok(());
        }
        // Taken before the batch: a membership that ends meanwhile makes the broker refuse the commit.
        let Some(membership) = self.client.membership() else {
            return Ok(());
        };
        let watch = self.settings.clock.stopwatch();
        self.begin()?;
        let n_taken = match self.take(peers, &watch) {
            Ok(n_taken) => n_taken,
            // What was taken before the failure is in no transaction.
            Err(Fault::Aborted(why) | Fault::Retry(why)) => {
                tracing::info!(why, "a batch was not taken whole; it is taken again");
                return self.rewind();
            }
            Err(fault @ (Fault::Fenced(_) | Fault::Fatal(_))) => return Err(fault),
        };
        super::books::deleted(&mut self.client);
        self.busy = n_taken > 0;
        self.holds_back = self.inputs.holds_back();
        self.tell_time();
        self.mark();
        self.pack();
        if self.writes.is_empty() && n_taken == 0 {
            return Ok(());
        }
        let positions = self.inputs.positions();
        match self
            .client
            .commit(&membership, &positions, std::mem::take(&mut self.writes))
        {
            Ok(()) => {
                self.inputs.note_committed();
                self.progress.note_committed();
                self.books.publish(watch.elapsed());
                Ok(())
            }
            Err(Fault::Aborted(why) | Fault::Retry(why)) => {
                tracing::info!(why, "transaction aborted; its records are taken again");
                metrics::counter!("holdpoint_transactions_total", "outcome" => "aborted", "stage" => "ingest")
                    .increment(1);
                self.progress.note_aborted();
                self.rewind()
            }
            Err(fault @ (Fault::Fenced(_) | Fault::Fatal(_))) => Err(fault),
        }
    }

    /// In what way it does not get on with what there is to do, if it does not.
    pub(crate) fn stuck(&mut self) -> Option<Stuck> {
        if !self.progress.is_due() {
            return None;
        }
        let standing = match self.client.membership() {
            None => Standing::Outside,
            Some(_) if self.unstarted.is_empty() => Standing::Member,
            Some(_) => Standing::Settling,
        };
        self.progress.look(standing, self.inputs.unread())
    }

    /// Nobody could do better.
    pub(crate) fn excuse(&mut self) {
        self.progress.excuse();
    }

    /// How long it did what there was to do.
    pub(crate) fn well_for(&self) -> Duration {
        self.progress.well_for()
    }

    /// At a clean end: takes its mark back, so that nobody waits for it, and none is left on control for ever. One that
    /// holds nothing has no positions to show its membership by, and writes nothing: its mark grows old.
    pub(crate) fn leave(&mut self) {
        let (Some(membership), false) = (self.client.membership(), self.inputs.is_empty()) else {
            return;
        };
        let write = self.mark_write(None);
        // What was taken since, in a turn that failed, is in no transaction.
        if let Err(fault) = self.client.commit(&membership, &self.inputs.committed(), vec![write]) {
            tracing::debug!(%fault, "the mark is left where it is");
        }
    }

    /// Nothing that was taken is in the log: back to what is committed.
    fn rewind(&mut self) -> Result<(), Fault> {
        self.inputs.rewind();
        self.told_at = Timestamp::MIN;
        self.told_watermark = Timestamp::MIN;
        for (partition, position) in self.inputs.committed() {
            // Going on without having gone back would pass over what was taken.
            self.client
                .start(&partition, position)
                .map_err(|fault| Fault::Fatal(format!("cannot rewind: {fault}")))?;
        }
        Ok(())
    }

    fn serve(&mut self, changes: Vec<Change>) -> Result<(), Fault> {
        if !changes.is_empty() {
            self.cover
                .look(&mut self.client, self.settings.kinds.iter().map(|(topic, _)| topic));
            // The others learn of it at once; and time is told anew, since what was told was of other partitions.
            self.marked_at = Timestamp::MIN;
            self.told_watermark = Timestamp::MIN;
        }
        for change in changes {
            match change {
                Change::Assigned(partition) => self.unstarted.push(partition),
                Change::Revoked(partition) | Change::Lost(partition) => {
                    self.unstarted.retain(|known| *known != partition);
                    self.inputs.let_go(&partition);
                    super::books::lag(&partition, 0);
                }
            }
        }
        if self.unstarted.is_empty() {
            return Ok(());
        }
        match self.start() {
            Err(Fault::Retry(why)) => {
                tracing::debug!(why, "input partitions not started yet");
                Ok(())
            }
            started => started,
        }
    }

    /// Starts what was assigned where the group left off, as many as there is time for in a turn. One that cannot be had
    /// now waits behind the others.
    fn start(&mut self) -> Result<(), Fault> {
        let assigned: Vec<TopicPartition> = self.unstarted.iter().take(STARTED_MAX).cloned().collect();
        let committed = self.client.committed(&assigned)?;
        // A group whose coordinator takes long to answer leaves time for some all the same.
        let watch = self.settings.clock.stopwatch();
        for (partition, committed) in assigned.into_iter().zip(committed) {
            if watch.elapsed() >= START_TIME_MAX {
                break;
            }
            match self.start_one(&partition, committed) {
                Ok(()) => self.unstarted.retain(|known| *known != partition),
                // Each that fails takes seconds: the others get their turn first.
                Err(Fault::Retry(why)) => {
                    self.unstarted.retain(|known| *known != partition);
                    self.unstarted.push(partition.clone());
                    tracing::warn!(%partition, why, "an input partition cannot be read yet");
                    return Ok(());
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn start_one(&mut self, partition: &TopicPartition, committed: Option<Offset>) -> Result<(), Fault> {
        let (first, end) = self.client.bounds(partition)?;
        let position = match committed {
            None => first,
            Some(committed) if committed < first => {
                super::books::lost(partition, first.0 - committed.0, super::books::DELETED);
                first
            }
            // The topic was cut, or made anew: what it holds was never read.
            Some(committed) if committed > end => {
                super::books::lost(
                    partition,
                    committed.0 - end.0,
                    "the topic ends before what was read of it",
                );
                first
            }
            Some(committed) => committed,
        };
        self.client.start(partition, position)?;
        self.inputs.hold(partition.clone(), position, self.settings.clock.now());
        Ok(())
    }

    fn begin(&mut self) -> Result<(), Fault> {
        self.batch.clear();
        self.writes.clear();
        self.refused_bytes = 0;
        self.books.clear();
        self.inputs.begin_batch();
        let now = self.settings.clock.now();
        for partition in self.inputs.partitions() {
            self.inputs.note_end(&partition, self.client.end(&partition), now);
        }
        // Looking at them all takes longer than a small batch does.
        if !is_due(self.looked_at, now, LOOK_EVERY) {
            return Ok(());
        }
        self.looked_at = now;
        // The last offsets of a topic may hold no record: marks of its producers' transactions, and aborted ones.
        if self.inputs.has_unread() {
            for (partition, position) in self.client.positions()? {
                self.inputs.note_passed(&partition, position, now);
            }
        }
        for (partition, lag) in self.inputs.lag() {
            super::books::lag(partition, lag);
        }
        Ok(())
    }

    /// Packs the batch into records of the log.
    fn pack(&mut self) {
        if self.batch.is_empty() && self.tick.is_none() {
            return;
        }
        let now = self.settings.clock.now();
        for partition in 0..self.settings.n_partitions {
            let mut record = Vec::new();
            events::begin(&mut record);
            let topic = &self.settings.events;
            let index = PartitionIndex(i32::try_from(partition).unwrap_or(i32::MAX));
            let writes = &mut self.writes;
            let mut close = |record: &mut Vec<u8>, n_inputs: u64| {
                let value = std::mem::take(record);
                events::begin(record);
                writes.push(log_record(topic, index, now, value, n_inputs));
            };
            let mut n_inputs = self.batch.pack(
                usize::try_from(partition).unwrap_or(usize::MAX),
                (&mut record, events::RECORD_BYTES_MAX),
                events::append,
                &mut close,
            );
            if let Some(tick) = &self.tick {
                if !events::has_room(&record, tick.len()) {
                    close(&mut record, std::mem::take(&mut n_inputs));
                }
                record.extend_from_slice(tick);
            }
            if record.len() > 1 {
                close(&mut record, n_inputs);
            }
        }
        self.tick = None;
    }
}

/// Whether `every` has passed since `last`, also when it was never, or the clock was set back since.
pub(crate) fn is_due(last: Timestamp, now: Timestamp, every: Duration) -> bool {
    last > now || now.since(last) >= every
}

/// A record of the log, which stands for `n_inputs` input records.
pub(crate) fn log_record(
    topic: &Arc<str>,
    partition: PartitionIndex,
    at: Timestamp,
    value: Vec<u8>,
    n_inputs: u64,
) -> Write {
    Write {
        topic: Arc::clone(topic),
        partition,
        timestamp: at,
        key: None,
        value: Some(value),
        headers: vec![Header {
            name: events::HEADER_INPUTS.into(),
            value: Some(n_inputs.to_string().into_bytes()),
        }],
    }
}
