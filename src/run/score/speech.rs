//! What services say, as records: decisions, messages, and the snapshot that goes with them.

use std::{collections::BTreeMap, sync::Arc};

use super::{Worker, live::Snapshot};
use crate::{
    model::{Action, Entry, Message, Mode, PartitionIndex, Recipient, ServiceId},
    run::ingest::log_record,
    score::{Said, Saying},
    stream::{Client, Header, Write},
    wire::{control, events, partition::partition_of},
};

/// What is to be written in the name of one service, or of the fleet, or of the partition.
pub(super) struct Bundle {
    /// Whose owner alone may write it.
    pub(super) partition: PartitionIndex,
    pub(super) writes: Vec<Write>,
    pub(super) messages: Vec<Message<'static>>,
    /// The decisions among it, for the metrics.
    pub(super) decided: Vec<(Action, Mode)>,
}

impl Bundle {
    pub(super) fn of(partition: PartitionIndex) -> Self {
        Self {
            partition,
            writes: Vec::new(),
            messages: Vec::new(),
            decided: Vec::new(),
        }
    }
}

impl<C: Client> Worker<C> {
    /// What the sayings come to: one bundle per service, with its snapshots, and one for the fleet.
    pub(super) fn bundles(&mut self, sayings: Vec<Saying>) -> Vec<Bundle> {
        let mut by: BTreeMap<Option<ServiceId>, Bundle> = BTreeMap::new();
        for saying in sayings {
            let partition = match &saying.by {
                Some(service) => partition_of(service.as_str(), self.settings.n_partitions),
                None => self.fleet_partition(),
            };
            let bundle = by.entry(saying.by).or_insert_with(|| Bundle::of(partition));
            match saying.said {
                Said::Decision(decision) => {
                    bundle.decided.push((decision.action, decision.mode));
                    bundle.writes.push(self.decision_write(&decision));
                }
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
            let partition = bundle.partition;
            let Some(live) = self.live.get_mut(&partition) else {
                continue;
            };
            let snapshots = match speaker {
                Some(service) => live.service_snapshots(service),
                None => vec![live.fleet_snapshot()],
            };
            let snapshots = snapshots.into_iter();
            bundle
                .writes
                .extend(snapshots.map(|snapshot| self.state_write(partition, snapshot)));
        }
        by.into_values().collect()
    }

    fn decision_write(&self, decision: &crate::model::Decision) -> Write {
        let headers = control::decision_headers(decision, &self.settings.group);
        let subject = &decision.subject;
        self.control_write(
            subject.service().as_str(),
            subject.to_string(),
            Some(control::encode_decision(decision)),
            headers,
        )
    }

    pub(super) fn control_write(
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

    pub(super) fn state_write(&self, partition: PartitionIndex, (key, value): Snapshot) -> Write {
        Write {
            topic: Arc::clone(&self.settings.state),
            partition,
            timestamp: self.settings.clock.now(),
            key: Some(key),
            value,
            headers: Vec::new(),
        }
    }

    pub(super) fn fleet_partition(&self) -> PartitionIndex {
        partition_of("fleet", self.settings.n_partitions)
    }

    /// The writes of bundles: all messages to one log partition travel as one record.
    pub(super) fn transaction(&self, bundles: &[Bundle]) -> Vec<Write> {
        let now = self.settings.clock.now();
        let mut writes = Vec::new();
        let mut records: BTreeMap<PartitionIndex, Vec<u8>> = BTreeMap::new();
        for bundle in bundles {
            writes.extend(bundle.writes.iter().cloned());
            for message in &bundle.messages {
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
}
