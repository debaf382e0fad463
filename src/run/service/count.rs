//! Which partition count of the log holds: that of its state, whatever the log has by now.
//!
//! Under another count services are on other partitions, where nothing is known of them, and what stands of them
//! elsewhere would be spoken over. Each partition's record names the count it was written for, but partitions that were
//! added have none. So every part of an instance asks before it begins, and what was found once is not asked for again:
//! the count is fixed.

use std::{sync::atomic::Ordering, time::Duration};

use super::Instance;
use crate::{
    clock::Stopwatch,
    model::PartitionIndex,
    run::restore::beside,
    stream::{Fault, TopicPartition, kafka::KafkaReader},
    wire::state::{self, Snapshot},
};

/// Partitions that do not answer are passed over for so long; the supervisor takes a minute for a wedge.
const LOOK_MAX: Duration = Duration::from_secs(15);

impl Instance {
    /// The count that holds where the log has `n_partitions`: what its state was written for, else the first one that
    /// was seen.
    pub(super) fn standing_count(&self, reader: &mut KafkaReader, n_partitions: u32) -> Result<u32, Fault> {
        let known = self.n_partitions.load(Ordering::Relaxed);
        if known != 0 {
            return Ok(known);
        }
        let written = self.written_count(reader, n_partitions)?.unwrap_or(n_partitions);
        // Another part may have been quicker.
        let before = self
            .n_partitions
            .compare_exchange(0, written, Ordering::Relaxed, Ordering::Relaxed);
        Ok(before.err().unwrap_or(written))
    }

    /// What the first record of a partition says that there is; `None` where there is none.
    fn written_count(&self, reader: &mut KafkaReader, n_partitions: u32) -> Result<Option<u32>, Fault> {
        let topic = Self::topic(&self.settings.topics.state);
        let watch = Stopwatch::start();
        let mut unanswered = None;
        for index in 0..n_partitions {
            let partition = PartitionIndex(i32::try_from(index).unwrap_or(i32::MAX));
            match count_of(reader, &beside(&topic, partition)) {
                Ok(Some(count)) => return Ok(Some(count)),
                Ok(None) => {}
                Err(fault @ Fault::Retry(_)) if watch.elapsed() < LOOK_MAX => unanswered = Some(fault),
                Err(fault) => return Err(fault),
            }
        }
        unanswered.map_or(Ok(None), Err)
    }
}

/// What a partition's record says. One that this program cannot read is refused where it is restored.
fn count_of(reader: &mut KafkaReader, snapshots: &TopicPartition) -> Result<Option<u32>, Fault> {
    let key = state::partition_key(snapshots.partition);
    let mut value = None;
    reader.read_decided(snapshots, &mut |record| {
        if record.key == Some(&*key) {
            value = record.value.map(<[u8]>::to_vec);
        }
    })?;
    let snapshot = value.and_then(|value| state::decode(&key, &value).ok());
    Ok(match snapshot {
        Some(Snapshot::Partition(image)) => Some(image.n_partitions),
        Some(Snapshot::Service { .. } | Snapshot::Changes { .. } | Snapshot::Fleet { .. }) | None => None,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::Clock,
        config::{Overrides, Settings},
        model::{Offset, Timestamp},
        score::Partition,
        stream::{
            Write,
            embedded::Embedded,
            kafka::{Publisher, Tuning},
        },
    };

    /// An instance whose log, state and control are the topic `log`.
    fn of_log(instance: &Instance, log: &str) -> Instance {
        let mut settings = (*instance.settings).clone();
        for topic in [
            &mut settings.topics.events,
            &mut settings.topics.state,
            &mut settings.topics.control,
        ] {
            log.clone_into(topic);
        }
        Instance {
            settings: Arc::new(settings),
            ..instance.clone()
        }
    }

    fn instance(embedded: &Embedded) -> Instance {
        let flags: Overrides = [("brokers".to_owned(), embedded.brokers())].into();
        let (settings, _) =
            Settings::load(None, std::iter::empty(), &flags, &|path| std::fs::read_to_string(path)).expect("good");
        Instance::new(settings, Tuning::embedded(), Clock::wall()).expect("no policy file")
    }

    fn refusal(instance: &Instance) -> Option<String> {
        instance.topic_counts().err().map(|error| format!("{error:#}"))
    }

    #[test]
    fn a_count_that_changed_is_refused_however_often_it_is_asked_for() {
        let embedded = Embedded::start(&[("few", 2), ("many", 4), ("holdpoint.rejected", 1)]).expect("a cluster");
        let instance = instance(&embedded);
        let [few, many] = ["few", "many"].map(|log| of_log(&instance, log));
        assert_eq!(refusal(&few), None);
        for _ in 0..3 {
            let why = refusal(&many).expect("it is refused");
            assert!(why.contains("fixed at creation"), "{why}");
        }
        assert_eq!(refusal(&few), None);
    }

    /// The partitions that were added have no record yet, and of the others one will do.
    #[test]
    fn an_instance_that_has_just_started_refuses_another_count_than_its_state_was_written_for() {
        let embedded = Embedded::start(&[("many", 4), ("holdpoint.rejected", 1)]).expect("a cluster");
        let instance = of_log(&instance(&embedded), "many");
        let publisher = Publisher::new(&instance.connection, "publisher", &instance.tuning).expect("a client");
        let write = |index: i32, n_partitions: u32| {
            let partition = PartitionIndex(index);
            let image = Partition::default().image(Offset(0), n_partitions);
            let write = Write {
                topic: Arc::from("many"),
                partition,
                timestamp: Timestamp::from_millis(0),
                key: Some(state::partition_key(partition)),
                value: Some(state::encode_partition(&image)),
                headers: Vec::new(),
            };
            publisher.send(&write, Duration::from_secs(10)).expect("sent");
        };
        write(1, 2);
        for _ in 0..3 {
            let why = refusal(&instance).expect("it is refused");
            assert!(why.contains("fixed at creation"), "{why}");
        }
        write(1, 4);
        let another = Instance {
            n_partitions: Arc::default(),
            ..instance
        };
        assert_eq!(refusal(&another), None);
    }
}
