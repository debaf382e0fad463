//! The score worker: folds the log, and writes what the fold says in transactions that move its offsets.
//!
//! ```text
//! assigned ─► restoring (a thread and a reader of its own) ─► live: take ─► step ─► commit, when something is said
//!    ▲                                                          │
//!    └──────────────── aborted: memory is ahead of the log ◄────┘
//! ```
//!
//! **Invariant:** a service's decisions, messages and snapshot are in one transaction.
//! **Invariant:** nothing is written for a partition that is not live here, and every transaction moves the offsets
//! of all that it speaks for.

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::Duration,
};

use super::{
    ingest::log_record,
    policy_file::PolicyFile,
    restore::{Restored, beside},
};
use crate::{
    clock::{Clock, Stopwatch},
    gate::{ControlKey, Heartbeat},
    model::{Entry, Message, Offset, PartitionIndex, PolicyText, Recipient, ServiceId, Timestamp},
    score::{Image, Partition, Said, Saying, ServiceReport},
    stream::{Change, Client, Fault, Header, TopicPartition, Write},
    wire::{control, events, partition::partition_of, state},
};

/// A batch is closed after so many records or so long.
const BATCH_RECORDS_MAX: usize = 5_000;
const BATCH_TIME_MAX: Duration = Duration::from_millis(50);
/// Subjects that one transaction speaks of, at most: an entry that makes a whole partition speak takes several.
const SUBJECTS_MAX: usize = 500;
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// Every service that changed is snapshotted within this.
const CHECKPOINT_EVERY: Duration = Duration::from_mins(2);
/// Bytes of silent snapshots in one transaction; with a transaction a second at least, under the megabyte a second
/// that a partition's state may cost.
const CHECKPOINT_BYTES: usize = 256 * 1024;
const WAIT: Duration = Duration::from_millis(100);

/// What a score worker is told.
#[derive(Debug, Clone)]
pub(crate) struct Score {
    pub(crate) instance: Box<str>,
    pub(crate) group: Box<str>,
    pub(crate) url: Box<str>,
    pub(crate) events: Arc<str>,
    pub(crate) state: Arc<str>,
    pub(crate) control: Arc<str>,
    pub(crate) n_partitions: u32,
    pub(crate) clock: Clock,
}

/// A question about a service; the answer is `None` where its partition is not live here.
#[derive(Debug)]
#[expect(
    clippy::option_option,
    reason = "not ours to answer, no such service, and its report are three answers"
)]
pub(crate) struct Query {
    pub(crate) service: ServiceId,
    pub(crate) answer: tokio::sync::oneshot::Sender<Option<Option<ServiceReport>>>,
}

/// A partition to be restored. An answer to an older question about it may be of a time when another owned it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) partition: PartitionIndex,
    n: u64,
}

/// What the restorer is asked, and what it answers.
pub(crate) struct Restorer {
    pub(crate) ask: mpsc::Sender<Ask>,
    pub(crate) answers: mpsc::Receiver<(Ask, anyhow::Result<Restored>)>,
}

struct Live {
    state: Partition,
    /// Behind the last whole record taken in.
    position: Offset,
    /// Entries before this only prime.
    tail: Offset,
    /// A former owner has counted what lies before this.
    told: Offset,
    /// The log's end when it was restored: from there on its state is whole.
    whole_at: Offset,
    heartbeat_at: Timestamp,
    checkpoint: Option<Image>,
    checkpoint_at: Timestamp,
    /// The policy appended last, and not read back yet.
    appended: Option<Box<str>>,
    counted: Counted,
}

/// What of a partition's counts is in the metrics already.
#[derive(Default)]
struct Counted {
    applied: crate::score::Applied,
    n_late: u64,
    n_withheld: u64,
}

/// What is to be written in the name of one service, or of the fleet, or of the partition.
#[derive(Default)]
struct Bundle {
    writes: Vec<Write>,
    messages: Vec<Message<'static>>,
}

/// One worker, with the one client it owns.
pub(crate) struct Worker<C> {
    settings: Score,
    client: C,
    restorer: Restorer,
    restoring: BTreeMap<PartitionIndex, Ask>,
    n_asked: u64,
    /// Whose turn it is first: the partition after the one served last.
    first: Option<PartitionIndex>,
    live: BTreeMap<PartitionIndex, Live>,
    queries: mpsc::Receiver<Query>,
    policy: Arc<PolicyFile>,
    busy: bool,
    /// When the oldest record of the batch was written.
    oldest_written: Option<Timestamp>,
}

impl<C: Client> Worker<C> {
    pub(crate) fn new(
        settings: Score,
        client: C,
        restorer: Restorer,
        queries: mpsc::Receiver<Query>,
        policy: Arc<PolicyFile>,
    ) -> Self {
        Self {
            settings,
            client,
            restorer,
            restoring: BTreeMap::new(),
            n_asked: 0,
            first: None,
            live: BTreeMap::new(),
            queries,
            policy,
            busy: false,
            oldest_written: None,
        }
    }

    pub(crate) fn into_parts(self) -> (C, mpsc::Receiver<Query>) {
        (self.client, self.queries)
    }

    /// Partitions assigned, and how many of them are not restored yet.
    pub(crate) fn partitions(&self) -> (usize, usize) {
        let rereading = self.live.values().filter(|live| !live.is_whole()).count();
        (self.live.len() + self.restoring.len(), self.restoring.len() + rereading)
    }

    /// One turn: serves the group and the queries, takes what has arrived and commits what is said.
    pub(crate) fn turn(&mut self) -> Result<(), Fault> {
        let wait = if self.busy {
            Duration::ZERO
        } else {
            self.settings.clock.real(Duration::from_secs(1)).min(WAIT)
        };
        let changes = self.client.poll(wait)?;
        self.serve(changes);
        self.take_restored()?;
        self.answer_queries();
        if self.live.is_empty() {
            self.busy = false;
            return Ok(());
        }
        let Some(membership) = self.client.membership() else {
            return Ok(());
        };
        let mut sayings = Vec::new();
        let n_taken = self.take(&mut sayings)?;
        self.busy = n_taken > 0;
        let decides = sayings.iter().any(|saying| matches!(saying.said, Said::Decision(_)));
        let mut bundles = self.bundles(sayings);
        let own = self.own_writes();
        if bundles.is_empty() && own.writes.is_empty() {
            self.publish_counts();
            return Ok(());
        }
        bundles.push(own);
        match self.commit(&membership, bundles) {
            Ok(()) => {
                if decides {
                    self.publish_latency();
                }
                self.publish_counts();
                Ok(())
            }
            Err(Fault::Aborted(why) | Fault::Retry(why)) => {
                tracing::info!(why, "transaction aborted; restoring what it spoke of");
                metrics::counter!("holdpoint_transactions_total", "outcome" => "aborted", "stage" => "score")
                    .increment(1);
                self.restore_all();
                Ok(())
            }
            Err(fault @ (Fault::Fenced(_) | Fault::Fatal(_))) => Err(fault),
        }
    }

    fn serve(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Assigned(partition) => self.ask_restore(partition.partition),
                Change::Revoked(partition) | Change::Lost(partition) => {
                    self.live.remove(&partition.partition);
                    self.restoring.remove(&partition.partition);
                }
            }
        }
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "a gauge")]
        metrics::gauge!("holdpoint_partitions_assigned").set((self.live.len() + self.restoring.len()) as f64);
    }

    fn ask_restore(&mut self, partition: PartitionIndex) {
        self.live.remove(&partition);
        self.n_asked += 1;
        let ask = Ask {
            partition,
            n: self.n_asked,
        };
        self.restoring.insert(partition, ask);
        // The restorer lives as long as the worker; if it is gone, so are we, and the supervisor rebuilds both.
        if self.restorer.ask.send(ask).is_err() {
            tracing::error!(%partition, "the restorer is gone");
        }
    }

    /// Memory is ahead of the log: all of it is read again.
    fn restore_all(&mut self) {
        let partitions: Vec<PartitionIndex> = self.live.keys().copied().collect();
        for partition in partitions {
            self.ask_restore(partition);
        }
    }

    fn take_restored(&mut self) -> Result<(), Fault> {
        while let Ok((ask, restored)) = self.restorer.answers.try_recv() {
            let partition = ask.partition;
            // Revoked meanwhile, and perhaps assigned again: another may have owned it in between.
            if self.restoring.get(&partition) != Some(&ask) {
                continue;
            }
            match restored {
                Ok(restored) => {
                    self.client
                        .start(&beside(&self.settings.events, partition), restored.from)?;
                    self.restoring.remove(&partition);
                    tracing::info!(%partition, snapshots = restored.n_snapshots, from = %restored.from, tail = %restored.tail, "restored");
                    let counted = Counted {
                        applied: restored.state.applied(),
                        n_withheld: restored.state.fleet().n_withheld(),
                        n_late: 0,
                    };
                    let live = Live {
                        state: restored.state,
                        position: restored.from,
                        tail: restored.tail,
                        told: restored.told,
                        whole_at: restored.end,
                        heartbeat_at: Timestamp::MIN,
                        checkpoint: None,
                        checkpoint_at: self.settings.clock.now(),
                        appended: None,
                        counted,
                    };
                    self.live.insert(partition, live);
                }
                Err(error) => {
                    tracing::error!(%partition, error = format!("{error:#}"), "cannot restore; trying again");
                    self.ask_restore(partition);
                }
            }
        }
        Ok(())
    }

    fn answer_queries(&mut self) {
        while let Ok(query) = self.queries.try_recv() {
            let partition = partition_of(query.service.as_str(), self.settings.n_partitions);
            let answer = self
                .live
                .get(&partition)
                .filter(|live| live.is_whole())
                .map(|live| live.state.report(query.service.as_str()));
            // Who asked may have gone.
            drop(query.answer.send(answer));
        }
    }

    /// Takes what has arrived and steps it, beginning with another partition each time: a busy one starves nobody.
    fn take(&mut self, sayings: &mut Vec<Saying>) -> Result<usize, Fault> {
        let watch = Stopwatch::start();
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
            super::books::lag(&partition, (end.0 - live.position.0).max(0));
        }
        let mut broken = None;
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
        match broken {
            // Only we write this topic: another version does, or somebody else. Going on would lose what it says.
            Some(error) => Err(Fault::Fatal(format!("{partition} at {}: {error}", live.position))),
            None => Ok(n_taken),
        }
    }

    /// What the sayings come to: one bundle per service, with its snapshot, and one for the fleet.
    fn bundles(&mut self, sayings: Vec<Saying>) -> Vec<Bundle> {
        let mut by: BTreeMap<Option<ServiceId>, Bundle> = BTreeMap::new();
        for saying in sayings {
            let bundle = by.entry(saying.by).or_default();
            match saying.said {
                Said::Decision(decision) => bundle.writes.push(self.decision_write(&decision)),
                Said::Forget(subject) => {
                    bundle.writes.push(self.control_write(
                        subject.service().as_str(),
                        subject.to_string(),
                        None,
                        Vec::new(),
                    ));
                }
                Said::Message(message) => bundle.messages.push(message),
                // For reports.
                Said::Scored(_) | Said::Closed(_) => {}
            }
        }
        by.retain(|_, bundle| !bundle.writes.is_empty() || !bundle.messages.is_empty());
        for (speaker, bundle) in &mut by {
            let snapshot = match speaker {
                Some(service) => self.service_snapshot(service),
                None => self.fleet_snapshot(),
            };
            bundle.writes.extend(snapshot);
        }
        by.into_values().collect()
    }

    fn decision_write(&self, decision: &crate::model::Decision) -> Write {
        let action = decision.action.name();
        metrics::counter!("holdpoint_decisions_total", "action" => action, "mode" => decision.mode.name()).increment(1);
        let headers = control::decision_headers(decision, &self.settings.group);
        let subject = &decision.subject;
        self.control_write(
            subject.service().as_str(),
            subject.to_string(),
            Some(control::encode_decision(decision)),
            headers,
        )
    }

    fn control_write(
        &self,
        service: &str,
        key: String,
        value: Option<Vec<u8>>,
        headers: Vec<(&'static str, String)>,
    ) -> Write {
        Write {
            topic: Arc::clone(&self.settings.control),
            partition: partition_of(service, self.settings.n_partitions),
            timestamp: self.settings.clock.now(),
            key: Some(key.into_bytes()),
            value,
            headers: headers
                .into_iter()
                .map(|(name, value)| Header {
                    name: name.into(),
                    value: Some(value.into_bytes()),
                })
                .collect(),
        }
    }

    fn state_write(&self, partition: PartitionIndex, key: Vec<u8>, value: Option<Vec<u8>>) -> Write {
        Write {
            topic: Arc::clone(&self.settings.state),
            partition,
            timestamp: self.settings.clock.now(),
            key: Some(key),
            value,
            headers: Vec::new(),
        }
    }

    /// A service's snapshot as of now: the end of the last whole record.
    fn service_snapshot(&mut self, name: &ServiceId) -> Option<Write> {
        let partition = partition_of(name.as_str(), self.settings.n_partitions);
        let key = state::service_key(name.as_str());
        let live = self.live.get_mut(&partition)?;
        let value = live
            .state
            .service(name.as_str())
            .map(|service| state::encode_service(service, live.covered()));
        live.state.note_snapshot(name.as_str());
        // A service that is gone leaves no snapshot.
        Some(self.state_write(partition, key, value))
    }

    fn fleet_partition(&self) -> PartitionIndex {
        partition_of("fleet", self.settings.n_partitions)
    }

    fn fleet_snapshot(&mut self) -> Option<Write> {
        let partition = self.fleet_partition();
        let live = self.live.get_mut(&partition)?;
        let value = state::encode_fleet(live.state.fleet(), live.covered());
        live.state.note_fleet_snapshot();
        Some(self.state_write(partition, state::fleet_key(), Some(value)))
    }

    /// What partitions say in their own name: heartbeats, policies, checkpoints.
    fn own_writes(&mut self) -> Bundle {
        let now = self.settings.clock.now();
        let mut own = Bundle::default();
        let partitions: Vec<PartitionIndex> = self.live.keys().copied().collect();
        for partition in partitions {
            own.writes.extend(self.heartbeat(partition, now));
            own.writes.extend(self.policy_entry(partition, now));
            self.checkpoint(partition, now, &mut own.writes);
        }
        own
    }

    fn heartbeat(&mut self, partition: PartitionIndex, now: Timestamp) -> Option<Write> {
        let live = self.live.get_mut(&partition)?;
        if live.heartbeat_at != Timestamp::MIN && now.since(live.heartbeat_at) < HEARTBEAT_EVERY {
            return None;
        }
        live.heartbeat_at = now;
        let time = live.state.now();
        let heartbeat = Heartbeat {
            partition,
            at: now,
            now: (time != Timestamp::MIN).then_some(time),
            interval_ms: 5_000,
            services: u64::try_from(live.state.n_services()).unwrap_or(u64::MAX),
            instance: self.settings.instance.clone(),
            url: self.settings.url.clone(),
        };
        let headers = control::heartbeat_headers(&heartbeat, &self.settings.group);
        let mut write = self.control_write(
            "",
            ControlKey::Heartbeat(partition).to_string(),
            Some(control::encode_heartbeat(&heartbeat)),
            headers,
        );
        write.partition = partition;
        Some(write)
    }

    /// Appends the policy of this instance's file, once per content until it is read back.
    fn policy_entry(&mut self, partition: PartitionIndex, now: Timestamp) -> Option<Write> {
        let file = self.policy.current()?;
        let live = self.live.get_mut(&partition)?;
        if live.state.policy().digest == file.digest {
            live.appended = None;
            return None;
        }
        if file.revision < live.state.revision() || live.appended.as_ref() == Some(&file.digest) {
            return None;
        }
        live.appended = Some(file.digest.clone());
        let mut record = Vec::new();
        events::begin(&mut record);
        events::append(
            &Entry::Policy(PolicyText {
                revision: file.revision,
                text: &file.text,
            }),
            &mut record,
        );
        Some(log_record(&self.settings.events, partition, now, record, 0))
    }

    /// Moves the tail: once every service that changed before it has a snapshot, the partition's record says so.
    fn checkpoint(&mut self, partition: PartitionIndex, now: Timestamp, writes: &mut Vec<Write>) {
        let n_partitions = self.settings.n_partitions;
        let dropped = {
            let Some(live) = self.live.get_mut(&partition) else {
                return;
            };
            if live.position < live.tail {
                return;
            }
            if live.checkpoint.is_none() && now.since(live.checkpoint_at) >= CHECKPOINT_EVERY {
                live.checkpoint = Some(live.state.image(live.position, n_partitions));
                live.checkpoint_at = now;
            }
            live.state.take_dropped()
        };
        for name in dropped {
            // It may be back already, with a snapshot of its own.
            if self
                .live
                .get(&partition)
                .is_some_and(|live| live.state.service(name.as_str()).is_some())
            {
                continue;
            }
            writes.push(self.state_write(partition, state::service_key(name.as_str()), None));
        }
        let Some(tail) = self
            .live
            .get(&partition)
            .and_then(|live| live.checkpoint.as_ref())
            .map(|image| image.tail)
        else {
            return;
        };
        let Some(dirty) = self.live.get(&partition).map(|live| live.state.dirty_before(tail)) else {
            return;
        };
        let mut size_bytes = 0;
        for name in &dirty {
            if size_bytes >= CHECKPOINT_BYTES {
                return;
            }
            let snapshot = self.service_snapshot(name);
            size_bytes += snapshot
                .as_ref()
                .and_then(|write| write.value.as_ref())
                .map_or(0, Vec::len);
            writes.extend(snapshot);
        }
        if self.fleet_partition() == partition
            && self
                .live
                .get(&partition)
                .is_some_and(|live| live.state.is_fleet_dirty_before(tail))
        {
            writes.extend(self.fleet_snapshot());
        }
        if let Some(image) = self.live.get_mut(&partition).and_then(|live| live.checkpoint.take()) {
            writes.push(self.state_write(
                partition,
                state::partition_key(partition),
                Some(state::encode_partition(&image)),
            ));
        }
    }

    /// Writes the bundles, at most [`SUBJECTS_MAX`] to a transaction; the offsets move with the last.
    fn commit(&mut self, membership: &crate::stream::Membership, mut bundles: Vec<Bundle>) -> Result<(), Fault> {
        let after: Vec<(TopicPartition, Offset)> = self
            .live
            .iter()
            .map(|(index, live)| (beside(&self.settings.events, *index), live.position))
            .collect();
        while !bundles.is_empty() {
            let rest = bundles.split_off(bundles.len().min(SUBJECTS_MAX));
            let watch = Stopwatch::start();
            let writes = self.transaction(bundles);
            // A crash between two of them leaves services that have spoken, with snapshots that cover the record,
            // and services that have not, which speak when it is read again: the offsets sent fence, no more.
            self.client.commit(membership, &after, writes)?;
            metrics::counter!("holdpoint_transactions_total", "outcome" => "committed", "stage" => "score")
                .increment(1);
            metrics::histogram!("holdpoint_transaction_seconds", "stage" => "score")
                .record(watch.elapsed().as_secs_f64());
            bundles = rest;
        }
        Ok(())
    }

    /// From the oldest entry of the batch, which ingest wrote within its own batch's time, to now.
    fn publish_latency(&self) {
        if let Some(written) = self.oldest_written {
            let latency = self.settings.clock.now().since(written);
            metrics::histogram!("holdpoint_decision_latency_seconds").record(latency.as_secs_f64());
        }
    }

    /// The writes of bundles: all messages to one log partition travel as one record.
    fn transaction(&self, bundles: Vec<Bundle>) -> Vec<Write> {
        let now = self.settings.clock.now();
        let mut writes = Vec::new();
        let mut records: BTreeMap<PartitionIndex, Vec<u8>> = BTreeMap::new();
        for bundle in bundles {
            writes.extend(bundle.writes);
            for message in bundle.messages {
                let partitions = match message.recipient() {
                    Recipient::Fleet => vec![self.fleet_partition()],
                    Recipient::Service(name) => vec![partition_of(name, self.settings.n_partitions)],
                    Recipient::EveryPartition => (0..self.settings.n_partitions)
                        .map(|i| PartitionIndex(i32::try_from(i).unwrap_or(i32::MAX)))
                        .collect(),
                };
                for partition in partitions {
                    let record = records.entry(partition).or_insert_with(|| {
                        let mut record = Vec::new();
                        events::begin(&mut record);
                        record
                    });
                    events::append(&Entry::Message(message.clone()), record);
                    if record.len() >= events::RECORD_BYTES_MAX
                        && let Some(record) = records.remove(&partition)
                    {
                        writes.push(log_record(&self.settings.events, partition, now, record, 0));
                    }
                }
            }
        }
        writes.extend(
            records
                .into_iter()
                .map(|(partition, record)| log_record(&self.settings.events, partition, now, record, 0)),
        );
        writes
    }

    fn publish_counts(&mut self) {
        let mut window = Duration::from_mins(10);
        let mut differing = 0_u32;
        let file = self.policy.current();
        for live in self.live.values_mut() {
            live.publish_counts();
            window = window.min(live.state.dedupe_window());
            differing += u32::from(
                file.as_ref()
                    .is_some_and(|file| file.digest != live.state.policy().digest),
            );
        }
        metrics::gauge!("holdpoint_dedupe_window_seconds").set(window.as_secs_f64());
        metrics::gauge!("holdpoint_policy_partitions_differing").set(f64::from(differing));
    }
}

impl Live {
    /// Whether the log is read to where it ended when the state was restored.
    fn is_whole(&self) -> bool {
        self.position >= self.whole_at
    }

    /// The last whole record taken in.
    fn covered(&self) -> Offset {
        Offset(self.position.0 - 1)
    }

    /// Steps the entries of one record, or primes with them.
    fn take_in(
        &mut self,
        value: &[u8],
        offset: Offset,
        written_at: Timestamp,
        sayings: &mut Vec<Saying>,
    ) -> Result<(), events::Unreadable> {
        for entry in events::entries(value)? {
            let entry = entry?;
            if offset < self.tail {
                self.state.prime(&entry, offset, written_at);
            } else {
                self.state.step(&entry, offset, written_at, sayings);
            }
        }
        Ok(())
    }

    fn publish_counts(&mut self) {
        let applied = self.state.applied();
        if self.position <= self.told {
            self.counted = Counted {
                applied,
                n_late: self.state.n_late(),
                n_withheld: self.state.fleet().n_withheld(),
            };
            return;
        }
        for kind in crate::model::Kind::ALL {
            let n = applied.by_kind[kind.index()] - self.counted.applied.by_kind[kind.index()];
            if n > 0 {
                metrics::counter!("holdpoint_events_applied_total", "kind" => kind.name()).increment(n);
            }
        }
        let n_duplicates = applied.duplicates - self.counted.applied.duplicates;
        metrics::counter!("holdpoint_events_duplicate_total").increment(n_duplicates);
        metrics::counter!("holdpoint_events_late_total").increment(self.state.n_late() - self.counted.n_late);
        let n_withheld = self.state.fleet().n_withheld();
        metrics::counter!("holdpoint_limiter_withheld_total").increment(n_withheld - self.counted.n_withheld);
        self.counted = Counted {
            applied,
            n_late: self.state.n_late(),
            n_withheld,
        };
    }
}
