//! The score worker: folds the log, and writes what the fold says in transactions that move its offsets.
//!
//! ```text
//! assigned ─► restoring (a thread and a reader of its own) ─► live: take ─► step ─► commit, when something is said
//!                                                                                     ▲  │
//!                        aborted: the same again, of what is still ours, before more ─┘◄─┘
//! ```
//!
//! **Invariant:** a service's decisions, messages and snapshot are in one transaction.
//! **Invariant:** nothing is written for a partition that is not live here, and every transaction moves the offsets
//! of all that it speaks for.

mod gauges;
mod live;
mod own;
mod speech;
mod take;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::sync::{oneshot, watch};

use self::{live::Live, speech::Bundle};
use super::{
    policy_file::PolicyFile,
    progress::{Progress, Standing, Stuck},
    restore::{Restored, beside},
};
use crate::{
    api::Reported,
    clock::{Clock, Stopwatch},
    model::{Offset, PartitionIndex, ServiceId, Timestamp},
    score::AiOutlook,
    stream::{Change, Client, Fault, Membership, TopicPartition},
    wire::partition::partition_of,
};

/// Subjects that one transaction speaks of, at most: an entry that makes a whole partition speak takes several.
const SUBJECTS_MAX: usize = 500;
const WAIT: Duration = Duration::from_millis(100);
/// Between two attempts to read on a partition that is restored: each may take seconds, in which the others wait.
const START_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a score worker goes by.
#[derive(Debug, Clone)]
pub(crate) struct ScoreSettings {
    pub(crate) instance: Box<str>,
    pub(crate) group: Box<str>,
    pub(crate) url: Box<str>,
    pub(crate) events: Arc<str>,
    pub(crate) state: Arc<str>,
    pub(crate) control: Arc<str>,
    pub(crate) n_partitions: u32,
    pub(crate) clock: Clock,
    /// What the fleet knows of AI-assisted changes, where its partition is held here.
    pub(crate) ai: watch::Sender<Option<AiOutlook>>,
}

/// A question about a service.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) service: ServiceId,
    pub(crate) answer: oneshot::Sender<Reported>,
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

/// One worker, with the one client it owns.
pub(crate) struct Worker<C> {
    settings: ScoreSettings,
    client: C,
    restorer: Restorer,
    restoring: BTreeMap<PartitionIndex, Ask>,
    n_asked: u64,
    /// Restored, and not read on yet.
    unstarted: VecDeque<(Ask, Restored)>,
    /// When the client last could not read one on.
    refused: Option<Stopwatch>,
    /// Whose turn it is first: the partition after the one served last.
    first: Option<PartitionIndex>,
    live: BTreeMap<PartitionIndex, Live>,
    /// Those whose log this program cannot read, and why.
    unreadable: BTreeMap<PartitionIndex, String>,
    /// Why those being restored could not be the last time.
    unrestored: BTreeMap<PartitionIndex, String>,
    queries: mpsc::Receiver<Query>,
    policy: Arc<PolicyFile>,
    busy: bool,
    /// The group has said which partitions are ours, be it none.
    has_joined: bool,
    /// When the oldest record of the batch was written.
    oldest_written: Option<Timestamp>,
    /// What is to be committed next, in order: of partitions that are live here, or it is dropped with them.
    unsaid: Vec<Bundle>,
    progress: Progress,
}

impl<C: Client> Worker<C> {
    pub(crate) fn new(
        settings: ScoreSettings,
        client: C,
        restorer: Restorer,
        queries: mpsc::Receiver<Query>,
        policy: Arc<PolicyFile>,
    ) -> Self {
        Self {
            progress: Progress::new(settings.clock),
            settings,
            client,
            restorer,
            restoring: BTreeMap::new(),
            n_asked: 0,
            unstarted: VecDeque::new(),
            refused: None,
            first: None,
            live: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            unrestored: BTreeMap::new(),
            has_joined: false,
            queries,
            policy,
            busy: false,
            oldest_written: None,
            unsaid: Vec::new(),
        }
    }

    /// Holds nothing from here on.
    pub(crate) fn into_parts(mut self) -> (C, mpsc::Receiver<Query>) {
        let held = self
            .live
            .keys()
            .chain(self.restoring.keys())
            .chain(self.unreadable.keys());
        for partition in held.copied().collect::<Vec<_>>() {
            self.part_with(partition);
        }
        self.publish_held();
        (self.client, self.queries)
    }

    /// Why what this instance says of its partitions is not whole, if it is not.
    pub(crate) fn not_ready(&self) -> Option<String> {
        if let Some(why) = self.unreadable.values().next() {
            return Some(why.clone());
        }
        if !self.has_joined {
            return Some("joining the group".to_owned());
        }
        let rereading = self.live.values().filter(|live| !live.is_whole()).count();
        let n_restoring = self.restoring.len() + rereading;
        let n_assigned = self.live.len() + self.restoring.len();
        let unrestored = self.unrestored.first_key_value();
        let why = unrestored.map_or(String::new(), |(partition, why)| {
            format!("; {partition} cannot be yet: {why}")
        });
        (n_restoring > 0).then(|| format!("restoring {n_restoring} of {n_assigned} partitions{why}"))
    }

    /// In what way it does not get on with what there is to do, if it does not.
    pub(crate) fn stuck(&mut self) -> Option<Stuck> {
        if !self.progress.is_due() {
            return None;
        }
        let standing = match self.client.membership() {
            None => Standing::Outside,
            Some(_) if self.restoring.is_empty() => Standing::Member,
            Some(_) => Standing::Settling,
        };
        let (client, events) = (&self.client, &self.settings.events);
        let unread = self.live.iter().filter_map(|(index, live)| {
            let partition = beside(events, *index);
            let end = client.end(&partition);
            // Where nobody says whether there is more, there may be.
            end.is_none_or(|end| live.position < end)
                .then_some((partition, live.position))
        });
        self.progress.look(standing, unread)
    }

    /// Nobody could do better.
    pub(crate) fn excuse(&mut self) {
        self.progress.excuse();
    }

    /// How long it did what there was to do.
    pub(crate) fn well_for(&self) -> Duration {
        self.progress.well_for()
    }

    /// One turn: serves the group and the queries, takes what has arrived and commits what is said.
    pub(crate) fn turn(&mut self) -> Result<(), Fault> {
        let wait = if self.busy {
            Duration::ZERO
        } else {
            self.settings.clock.real(Duration::from_secs(1)).min(WAIT)
        };
        let changes = self.client.poll(wait)?;
        self.serve(changes)?;
        self.take_restored()?;
        // Nobody is told what the log does not say yet.
        if self.unsaid.is_empty() {
            self.answer_queries();
        }
        if self.live.is_empty() && self.has_joined {
            self.busy = false;
            return Ok(());
        }
        let Some(membership) = self.client.membership() else {
            return Ok(());
        };
        if !self.has_joined {
            // A member with a generation: what it was assigned is served with the next poll at the latest.
            self.has_joined = true;
            return Ok(());
        }
        // What an aborted transaction said is said again before anything new is heard.
        if self.unsaid.is_empty() && !self.hear()? {
            return Ok(());
        }
        if self.unsaid.is_empty() {
            return Ok(());
        }
        match self.speak(&membership) {
            Ok(()) => {
                self.progress.note_committed();
                Ok(())
            }
            Err(Fault::Aborted(why) | Fault::Retry(why)) => {
                tracing::info!(why, "transaction aborted; it is tried again");
                metrics::counter!("holdpoint_transactions_total", "outcome" => "aborted", "stage" => "score")
                    .increment(1);
                self.progress.note_aborted();
                self.busy = false;
                Ok(())
            }
            Err(fault @ (Fault::Fenced(_) | Fault::Fatal(_))) => Err(fault),
        }
    }

    /// Takes what has arrived and lays out what there is to say. False: it was not taken whole, and is restored.
    fn hear(&mut self) -> Result<bool, Fault> {
        let mut sayings = Vec::new();
        let n_taken = match self.take(&mut sayings) {
            Ok(n_taken) => n_taken,
            // What was said before the failure would be in no transaction.
            Err(Fault::Aborted(why) | Fault::Retry(why)) => {
                tracing::info!(why, "a batch was not taken whole; restoring what it is of");
                self.restore_all()?;
                return Ok(false);
            }
            Err(fault @ (Fault::Fenced(_) | Fault::Fatal(_))) => return Err(fault),
        };
        super::books::deleted(&mut self.client);
        if n_taken == 0 {
            self.pass_marks()?;
        }
        self.busy = n_taken > 0;
        self.unsaid = self.bundles(sayings);
        let own = self.own_writes();
        self.unsaid.extend(own);
        Ok(true)
    }

    fn serve(&mut self, changes: Vec<Change>) -> Result<(), Fault> {
        for change in changes {
            match change {
                Change::Assigned(partition) => self.ask_restore(partition.partition)?,
                Change::Revoked(partition) | Change::Lost(partition) => self.part_with(partition.partition),
            }
        }
        self.publish_held();
        Ok(())
    }

    /// It is another's from here on.
    fn part_with(&mut self, partition: PartitionIndex) {
        self.let_go(partition);
        self.restoring.remove(&partition);
        self.unreadable.remove(&partition);
        self.unrestored.remove(&partition);
        super::books::lag(&beside(&self.settings.events, partition), 0);
    }

    /// The state of a partition goes, and what it had to say with it.
    fn let_go(&mut self, partition: PartitionIndex) {
        self.live.remove(&partition);
        self.unsaid.retain(|bundle| bundle.partition != partition);
    }

    fn ask_restore(&mut self, partition: PartitionIndex) -> Result<(), Fault> {
        self.let_go(partition);
        self.n_asked += 1;
        let ask = Ask {
            partition,
            n: self.n_asked,
        };
        self.restoring.insert(partition, ask);
        // The restorer lives as long as the worker: both are built anew.
        let asked = self.restorer.ask.send(ask);
        asked.map_err(|_gone| Fault::Fatal("the restorer is gone".to_owned()))
    }

    /// Memory is ahead of the log, and what it would say is not known whole: all of it is read again.
    fn restore_all(&mut self) -> Result<(), Fault> {
        let partitions: Vec<PartitionIndex> = self.live.keys().copied().collect();
        partitions
            .into_iter()
            .try_for_each(|partition| self.ask_restore(partition))
    }

    fn take_restored(&mut self) -> Result<(), Fault> {
        while let Ok((ask, restored)) = self.restorer.answers.try_recv() {
            match restored {
                Ok(restored) => self.unstarted.push_back((ask, restored)),
                Err(error) if self.is_asked(&ask) => {
                    let partition = ask.partition;
                    let error = format!("{error:#}");
                    tracing::error!(%partition, error, "cannot restore; trying again");
                    self.unrestored.insert(partition, error);
                    self.ask_restore(partition)?;
                }
                Err(_of_another) => {}
            }
        }
        self.start()
    }

    /// Revoked meanwhile, and perhaps assigned again, another may have owned it in between.
    fn is_asked(&self, ask: &Ask) -> bool {
        self.restoring.get(&ask.partition) == Some(ask)
    }

    /// Reads on what is restored. What cannot be had now is tried again after a while, as it is: nobody else writes of it
    /// meanwhile.
    fn start(&mut self) -> Result<(), Fault> {
        if self
            .refused
            .is_some_and(|refused| refused.elapsed() < START_AGAIN_AFTER)
        {
            return Ok(());
        }
        self.refused = None;
        while let Some((ask, restored)) = self.unstarted.pop_front() {
            if !self.is_asked(&ask) {
                continue;
            }
            let partition = beside(&self.settings.events, ask.partition);
            match self.client.start(&partition, restored.from) {
                Ok(()) => self.go_live(ask.partition, restored),
                Err(Fault::Retry(why)) => {
                    tracing::warn!(%partition, why, "restored, and cannot be read on; trying again");
                    self.unstarted.push_back((ask, restored));
                    self.refused = Some(self.settings.clock.stopwatch());
                    return Ok(());
                }
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    fn go_live(&mut self, partition: PartitionIndex, restored: Restored) {
        self.restoring.remove(&partition);
        self.unrestored.remove(&partition);
        // While large partitions are restored the others may get little of the machine: a client given up for that would
        // have all of them restored again.
        self.progress.excuse();
        tracing::info!(%partition, snapshots = restored.n_snapshots, from = %restored.from, tail = %restored.tail, "restored");
        self.live.insert(partition, Live::new(restored));
    }

    fn answer_queries(&mut self) {
        while let Ok(query) = self.queries.try_recv() {
            let partition = partition_of(query.service.as_str(), self.settings.n_partitions);
            let answer = match self.live.get(&partition).filter(|live| live.is_whole()) {
                Some(live) => live
                    .state
                    .report(query.service.as_str())
                    .map_or(Reported::NoSuchService, |report| Reported::Service(Box::new(report))),
                None => Reported::NotHeld,
            };
            // Who asked may have gone.
            drop(query.answer.send(answer));
        }
    }

    /// Writes what is unsaid, at most [`SUBJECTS_MAX`] to a transaction. Each sends the same offsets, behind all that was
    /// read: they fence, and a restore begins where the snapshots say.
    fn speak(&mut self, membership: &Membership) -> Result<(), Fault> {
        let after: Vec<(TopicPartition, Offset)> = self
            .live
            .iter()
            .map(|(index, live)| (beside(&self.settings.events, *index), live.spoken_for()))
            .collect();
        while !self.unsaid.is_empty() {
            let n = self.unsaid.len().min(SUBJECTS_MAX);
            let watch = Stopwatch::start();
            let writes = self.transaction(&self.unsaid[..n]);
            // A crash between two of them leaves services that have spoken, with snapshots that cover the record,
            // and services that have not, which speak when it is read again.
            self.client.commit(membership, &after, writes)?;
            metrics::counter!("holdpoint_transactions_total", "outcome" => "committed", "stage" => "score")
                .increment(1);
            metrics::histogram!("holdpoint_transaction_seconds", "stage" => "score")
                .record(watch.elapsed().as_secs_f64());
            let said: Vec<Bundle> = self.unsaid.drain(..n).collect();
            self.publish_decided(&said);
            self.publish_counts();
        }
        Ok(())
    }

    /// Counts what was decided, and how long that took: from the oldest entry of the batch, which ingest wrote within
    /// its own batch's time, to now.
    fn publish_decided(&self, said: &[Bundle]) {
        let mut any = false;
        for (action, mode) in said.iter().flat_map(|bundle| &bundle.decided) {
            any = true;
            metrics::counter!("holdpoint_decisions_total", "action" => action.name(), "mode" => mode.name())
                .increment(1);
        }
        if let (Some(written), true) = (self.oldest_written, any) {
            let latency = self.settings.clock.now().since(written);
            metrics::histogram!("holdpoint_decision_latency_seconds").record(latency.as_secs_f64());
        }
    }
}
