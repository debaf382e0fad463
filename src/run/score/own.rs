//! What partitions say in their own name: heartbeats, the policy of this instance's file, checkpoints.

use std::time::Duration;

use super::{Worker, live::Live, speech::Bundle};
use crate::{
    gate::{ControlKey, Heartbeat},
    model::{Entry, PartitionIndex, PolicyText, Timestamp},
    run::ingest::{is_due, log_record},
    stream::{Client, Header, Write},
    wire::{control, events, state},
};

const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);

impl<C: Client> Worker<C> {
    /// What partitions say in their own name: heartbeats, policies, checkpoints.
    pub(super) fn own_writes(&mut self) -> Vec<Bundle> {
        let now = self.settings.clock.now();
        let mut all = Vec::new();
        let partitions: Vec<PartitionIndex> = self.live.keys().copied().collect();
        for partition in partitions {
            let mut own = Bundle::of(partition);
            // One that reads again what a former owner had read would tell a time that is past, and a policy that is
            // in the log already.
            if self.live.get(&partition).is_some_and(Live::is_whole) {
                own.writes.extend(self.heartbeat(partition, now));
                own.writes.extend(self.policy_entry(partition, now));
            }
            let Some(live) = self.live.get_mut(&partition) else {
                continue;
            };
            let mut snapshots = live.forgotten();
            snapshots.extend(live.checkpoint(partition, self.settings.n_partitions, now));
            let log = live.log.as_ref().map(|log| Header {
                name: state::HEADER_LOG.into(),
                value: Some(log.to_string().into_bytes()),
            });
            let snapshots = snapshots.into_iter();
            own.writes
                .extend(snapshots.map(|snapshot| self.state_write(partition, snapshot)));
            let key = state::partition_key(partition);
            let of_partition = own.writes.iter_mut().find(|write| write.key.as_ref() == Some(&key));
            if let (Some(write), Some(log)) = (of_partition, log) {
                write.headers.push(log);
            }
            if !own.writes.is_empty() {
                all.push(own);
            }
        }
        all
    }

    fn heartbeat(&mut self, partition: PartitionIndex, now: Timestamp) -> Option<Write> {
        let live = self.live.get_mut(&partition)?;
        if !is_due(live.heartbeat_at, now, HEARTBEAT_EVERY) {
            return None;
        }
        live.heartbeat_at = now;
        let time = live.state.now();
        let heartbeat = Heartbeat {
            partition,
            at: now,
            now: (time != Timestamp::MIN).then_some(time),
            interval_ms: u64::try_from(HEARTBEAT_EVERY.as_millis()).unwrap_or(u64::MAX),
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

    /// Appends the policy of this instance's file.
    fn policy_entry(&mut self, partition: PartitionIndex, now: Timestamp) -> Option<Write> {
        let file = self.policy.current()?;
        let live = self.live.get_mut(&partition)?;
        if !live.takes_up(&file) {
            return None;
        }
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
}
