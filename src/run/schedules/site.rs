//! Instances on a log in memory: the workers that run in production, each on a thread that waits for its turn.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusRecorder;

use super::baton::Baton;
use crate::{
    gate::{Place, View},
    model::{Entry, Kind, Offset, PartitionIndex, PolicyText, Timestamp},
    run::{
        ingest::{self, IngestSettings, log_record},
        policy_file::PolicyFile,
        progress::Stuck,
        restore::{beside, restore},
        score::{self, Restorer, ScoreSettings},
        viewer::peers,
    },
    stream::{
        Fault, TopicPartition,
        memory::{Cluster, MemoryClient, MemoryReader, Process, Schedule as _},
    },
    wire::{control, events},
};

pub(super) const LOG_PARTITIONS: u32 = 3;
/// The input topics with their partitions.
pub(super) const INPUTS: [(Kind, &str, u32); 5] = [
    (Kind::Commit, "commits", 2),
    (Kind::Deploy, "deploys", 1),
    (Kind::Error, "errors", 3),
    (Kind::Override, "overrides", 1),
    (Kind::Service, "catalog", 1),
];
pub(super) const INGEST_GROUP: &str = "hp.ingest";
pub(super) const SCORE_GROUP: &str = "hp.score";

/// Between two lives of a worker.
const BACKOFF: Duration = Duration::from_millis(300);
const RESTORER_LOOKS_EVERY: Duration = Duration::from_millis(200);

/// What all instances share.
#[derive(Clone)]
pub(super) struct Site {
    pub(super) baton: Arc<Baton>,
    pub(super) cluster: Arc<Cluster>,
    /// What workers count, of those that have died too.
    pub(super) recorder: Arc<PrometheusRecorder>,
    /// The file of every instance: older than what is in force, and never taken up.
    pub(super) policy: Arc<PolicyFile>,
}

impl Site {
    /// Starts an instance of this name as `process`.
    pub(super) fn start(&self, name: &str, process: Process) {
        for run in [Self::run_ingest, Self::run_score] {
            let (site, instance) = (self.clone(), name.to_owned());
            self.baton.spawn(process, move || {
                let recorder = Arc::clone(&site.recorder);
                metrics::with_local_recorder(&*recorder, || run(&site, &instance, process));
            });
        }
    }

    /// Puts a policy into the log before anything else.
    pub(super) fn bring_into_force(&self, text: &str) {
        for index in 0..LOG_PARTITIONS {
            let mut record = Vec::new();
            events::begin(&mut record);
            events::append(&Entry::Policy(PolicyText { revision: 1, text }), &mut record);
            let index = PartitionIndex(i32::try_from(index).unwrap_or(0));
            let record = log_record(&Arc::from("events"), index, self.baton.now(), record, 0);
            self.cluster.append(record);
        }
    }

    fn is_ending(&self, process: Process) -> bool {
        self.baton.is_dead(process) || self.baton.is_stopping(process)
    }

    fn run_ingest(&self, instance: &str, process: Process) {
        let topics = INPUTS.map(|(_, topic, _)| topic);
        let id = format!("hp-{instance}-ingest");
        let mut control = Control::default();
        while !self.is_ending(process) {
            if let Ok(client) = MemoryClient::open(&self.cluster, process, (INGEST_GROUP, &id), &topics) {
                let mut worker = ingest::Worker::new(self.ingest(instance), client);
                loop {
                    if self.is_ending(process) {
                        worker.leave();
                        break;
                    }
                    control.follow(&self.cluster);
                    let peers = peers(&control.view, instance, self.baton.now());
                    match worker.turn(peers) {
                        Ok(()) | Err(Fault::Retry(_)) => {}
                        Err(_) => break,
                    }
                    if let Some(stuck) = worker.stuck() {
                        if self.could_be_done(&stuck) {
                            break;
                        }
                        worker.excuse();
                    }
                }
                worker.into_client().close();
            }
            self.baton.wait(process, BACKOFF);
        }
    }

    fn run_score(&self, instance: &str, process: Process) {
        let id = format!("hp-{instance}-score");
        while !self.is_ending(process) {
            if let Ok(client) = MemoryClient::open(&self.cluster, process, (SCORE_GROUP, &id), &["events"]) {
                let restorer = self.restorer(process);
                let (_, queries) = mpsc::sync_channel(1);
                let policy = Arc::clone(&self.policy);
                let mut worker = score::Worker::new(self.score(instance), client, restorer, queries, policy);
                while !self.is_ending(process) {
                    match worker.turn() {
                        Ok(()) | Err(Fault::Retry(_)) => {}
                        Err(_) => break,
                    }
                    if let Some(stuck) = worker.stuck() {
                        if self.could_be_done(&stuck) {
                            break;
                        }
                        worker.excuse();
                    }
                }
                worker.into_parts().0.close();
            }
            self.baton.wait(process, BACKOFF);
        }
    }

    /// What a second client would find out.
    fn could_be_done(&self, stuck: &Stuck) -> bool {
        match stuck {
            Stuck::Silent(partition, offset) => self.cluster.has_record(partition, *offset),
            Stuck::Outside | Stuck::Aborting => true,
        }
    }

    /// A thread beside the worker, as in production; it ends with its worker.
    fn restorer(&self, process: Process) -> Restorer {
        let (ask, asked) = mpsc::channel();
        let (answer, answers) = mpsc::channel();
        let site = self.clone();
        let (events, state) = (Arc::from("events"), Arc::from("state"));
        self.baton.spawn(process, move || {
            let mut reader = MemoryReader::new(&site.cluster, process, SCORE_GROUP);
            while !site.is_ending(process) {
                let ask: score::Ask = match asked.try_recv() {
                    Ok(ask) => ask,
                    Err(mpsc::TryRecvError::Empty) => {
                        site.baton.wait(process, RESTORER_LOOKS_EVERY);
                        continue;
                    }
                    Err(mpsc::TryRecvError::Disconnected) => return,
                };
                let restored = restore(
                    &mut reader,
                    &beside(&events, ask.partition),
                    &beside(&state, ask.partition),
                    LOG_PARTITIONS,
                );
                if restored.is_err() {
                    site.baton.wait(process, Duration::from_millis(500));
                }
                if answer.send((ask, restored)).is_err() {
                    return;
                }
            }
        });
        Restorer { ask, answers }
    }

    fn ingest(&self, instance: &str) -> IngestSettings {
        IngestSettings {
            instance: instance.into(),
            default_environment: "production".into(),
            kinds: INPUTS.map(|(kind, topic, _)| (Arc::from(topic), kind)).to_vec(),
            events: Arc::from("events"),
            control: Arc::from("control"),
            rejected: Arc::from("rejected"),
            n_partitions: LOG_PARTITIONS,
            n_rejected_partitions: 1,
            clock: self.baton.clock(),
        }
    }

    fn score(&self, instance: &str) -> ScoreSettings {
        ScoreSettings {
            instance: instance.into(),
            group: "hp".into(),
            url: "http://127.0.0.1".into(),
            events: Arc::from("events"),
            state: Arc::from("state"),
            control: Arc::from("control"),
            n_partitions: LOG_PARTITIONS,
            clock: self.baton.clock(),
            ai: tokio::sync::watch::Sender::new(None),
        }
    }
}

/// What a reader knows of control.
pub(super) struct Control {
    pub(super) view: View,
    next: [Offset; 3],
}

impl Default for Control {
    fn default() -> Self {
        Self {
            view: View::new(),
            next: [Offset(0); 3],
        }
    }
}

impl Control {
    pub(super) fn follow(&mut self, cluster: &Cluster) {
        for (index, next) in (0_i32..).zip(&mut self.next) {
            let partition = TopicPartition {
                topic: Arc::from("control"),
                partition: PartitionIndex(index),
            };
            cluster.follow(&partition, next, |offset, stored| {
                let place = Place {
                    partition: PartitionIndex(index),
                    offset,
                    timestamp: stored.timestamp,
                };
                let key = stored.key.as_deref().unwrap_or_default();
                self.view.apply(place, control::decode(key, stored.value.as_deref()));
            });
        }
    }
}

/// The first instant of every schedule.
pub(super) const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);
