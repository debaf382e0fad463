//! What the control topic may say, record by record in the order of its log: one voice for each subject and partition.
//!
//! All instances of a run read the same wall clock. So in one partition neither the time of its owners (`at`) nor its
//! own (`now`) may ever fall from one heartbeat to the next, whoever the owner: one who lost the partition and goes on
//! speaking shows by that, for its state stood still. And whoever was stopped beyond all timeouts may publish nothing
//! that it had made before.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use holdpoint::{
    gate::{ControlKey, Heartbeat, Record},
    model::{PartitionIndex, Timestamp},
    wire::control,
};

use crate::violations::Violations;

/// What was on its way to a broker when its sender was stopped has arrived after this.
const ON_ITS_WAY: Duration = Duration::from_secs(2);

/// An instance stopped for longer than its session and its transactions last, while all brokers answered.
#[derive(Debug)]
struct Pause {
    instance: String,
    from: Timestamp,
    to: Timestamp,
}

/// All that was heard on control.
#[derive(Debug, Default)]
pub(crate) struct Voices {
    sequences: HashMap<String, u64>,
    beats: BTreeMap<PartitionIndex, (Heartbeat, Timestamp)>,
    marks: HashMap<Box<str>, Timestamp>,
    pauses: Vec<Pause>,
    /// Since when nothing changes, and who has spoken for each partition since.
    quiet: Option<(Timestamp, BTreeMap<PartitionIndex, Box<str>>)>,
    pub(crate) n_decisions: u64,
    pub(crate) n_heartbeats: u64,
}

impl Voices {
    /// `instance` is stopped now.
    pub(crate) fn note_pause(&mut self, instance: &str, from: Timestamp) {
        self.pauses.push(Pause {
            instance: instance.to_owned(),
            from,
            to: Timestamp::NEVER,
        });
    }

    /// It goes on from now. Where it cannot be known that all timeouts have passed, nothing follows of it.
    pub(crate) fn note_resumption(&mut self, instance: &str, to: Timestamp, is_certain: bool) {
        for pause in &mut self.pauses {
            if pause.instance == instance && pause.to == Timestamp::NEVER {
                pause.to = to;
            }
        }
        if !is_certain {
            self.pauses.retain(|pause| pause.instance != instance || pause.to != to);
        }
    }

    /// From now on, until [`Self::end_quiet`], no partition may change its owner.
    pub(crate) fn begin_quiet(&mut self, from: Timestamp) {
        self.quiet = Some((from, BTreeMap::new()));
    }

    pub(crate) fn end_quiet(&mut self) {
        self.quiet = None;
    }

    /// The latest sign of life of each partition, and when the broker took it.
    pub(crate) fn beats(&self) -> &BTreeMap<PartitionIndex, (Heartbeat, Timestamp)> {
        &self.beats
    }

    pub(crate) fn hear(&mut self, key: &[u8], value: Option<&[u8]>, written: Timestamp, violations: &mut Violations) {
        match control::decode(key, value) {
            Ok(Record::Decision(decision)) => {
                self.n_decisions += 1;
                let subject = decision.subject.to_string();
                let sequence = decision.sequence.0;
                let last = self.sequences.insert(subject.clone(), sequence).unwrap_or(0);
                if sequence > last + 1 {
                    violations.gaps.note(|| format!("{subject}: {sequence} after {last}"));
                } else if sequence <= last {
                    violations
                        .repeats
                        .note(|| format!("{subject}: {sequence} after {last}"));
                }
            }
            Ok(Record::Heartbeat(heartbeat)) => self.hear_heartbeat(heartbeat, written, violations),
            Ok(Record::Ingest(mark)) => {
                let last = self.marks.insert(mark.instance.clone(), mark.at);
                if last.is_some_and(|last| mark.at < last) || self.is_of_the_dead(&mark.instance, mark.at, written) {
                    violations
                        .zombies
                        .note(|| format!("{mark:?}, written {written}, after one of {last:?}"));
                }
            }
            Ok(Record::Forget(ControlKey::Subject(subject))) => {
                self.sequences.remove(&subject.to_string());
            }
            Ok(Record::Forget(ControlKey::Heartbeat(_) | ControlKey::Ingest(_))) => {}
            Err(unreadable) => violations
                .zombies
                .note(|| format!("unreadable: {}: {unreadable}", String::from_utf8_lossy(key))),
        }
    }

    fn hear_heartbeat(&mut self, heartbeat: Heartbeat, written: Timestamp, violations: &mut Violations) {
        self.n_heartbeats += 1;
        let partition = heartbeat.partition;
        if self.is_of_the_dead(&heartbeat.instance, heartbeat.at, written) {
            violations
                .zombies
                .note(|| format!("{heartbeat:?}, written {written}, of one that was stopped"));
        }
        if let Some((last, _)) = self.beats.get(&partition) {
            if heartbeat.at < last.at {
                violations.zombies.note(|| format!("{heartbeat:?} after {last:?}"));
            }
            if heartbeat.now < last.now {
                violations.time_falls.note(|| format!("{heartbeat:?} after {last:?}"));
            }
        }
        if let Some((since, owners)) = &mut self.quiet
            && heartbeat.at >= *since
        {
            let owner = owners.entry(partition).or_insert_with(|| heartbeat.url.clone());
            if *owner != heartbeat.url {
                violations
                    .owners
                    .note(|| format!("{partition} is spoken for by {owner} and {}", heartbeat.url));
            }
        }
        self.beats.insert(partition, (heartbeat, written));
    }

    /// Whether a record was made before its instance was stopped and written when nothing of it was under way any more.
    fn is_of_the_dead(&self, instance: &str, at: Timestamp, written: Timestamp) -> bool {
        self.pauses
            .iter()
            .any(|pause| pause.instance == instance && at < pause.to && written > pause.from + ON_ITS_WAY)
    }
}
