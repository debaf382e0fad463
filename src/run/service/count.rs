//! Which partition count of the log is the right one: the one that the state was written for.
//!
//! Under another count services are on other partitions, where nothing is known of them, and what stands of them
//! elsewhere would be spoken over. Each partition's record names the count it was written for, but partitions that were
//! added have none. So every part of an instance asks before it begins, and what was found once is not asked for again:
//! the count is fixed.
//!
//! A partition's record is written every few minutes, between snapshots without number: so it is looked for from the
//! end, and only so far. Where none is found so, the log's own count is taken: the restore, which reads all, still refuses
//! each partition whose record names another one, but not those that were added.

use std::{sync::atomic::Ordering, time::Duration};

use super::Instance;
use crate::{
    clock::Stopwatch,
    model::{Offset, PartitionIndex},
    run::restore::beside,
    stream::{Fault, TopicPartition, kafka::KafkaReader},
    wire::state::{self, Snapshot},
};

/// On the whole look; the supervisor takes a minute for a wedge.
const LOOK_MAX: Duration = Duration::from_secs(15);
/// On one partition, whether it does not answer or has much to read; then the next is asked.
const PARTITION_MAX: Duration = Duration::from_secs(5);
/// So many records are read at once, the last of a partition first.
const WINDOWS: [i64; 3] = [1_000, 10_000, 100_000];

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

    /// What the first record of a partition says that there is; `None` where there is none, or none in time.
    fn written_count(&self, reader: &mut KafkaReader, n_partitions: u32) -> Result<Option<u32>, Fault> {
        let topic = Self::topic(&self.settings.topics.state);
        let watch = Stopwatch::start();
        let mut unanswered = None;
        for index in 0..n_partitions {
            let left = LOOK_MAX.saturating_sub(watch.elapsed());
            if left.is_zero() {
                break;
            }
            let partition = PartitionIndex(i32::try_from(index).unwrap_or(i32::MAX));
            match count_of(reader, &beside(&topic, partition), left.min(PARTITION_MAX)) {
                Ok(Some(count)) => return Ok(Some(count)),
                Ok(None) => {}
                Err(fault @ Fault::Retry(_)) => unanswered = Some(fault),
                Err(fault) => return Err(fault),
            }
        }
        unanswered.map_or(Ok(None), Err)
    }
}

/// What a partition's record says, if it is found `within`. One that this program cannot read is refused where it is
/// restored.
fn count_of(reader: &mut KafkaReader, snapshots: &TopicPartition, within: Duration) -> Result<Option<u32>, Fault> {
    let watch = Stopwatch::start();
    let key = state::partition_key(snapshots.partition);
    for window in windows(reader.decided_bounds(snapshots)?) {
        let left = within.saturating_sub(watch.elapsed());
        let mut value = None;
        let read = reader.read_window(window, snapshots, left, &mut |record| {
            if record.key == Some(&*key) {
                value = Some(record.value.map(<[u8]>::to_vec));
            }
        });
        let is_whole = match read {
            // Begun so late that nothing could come.
            Err(Fault::Retry(_)) if watch.elapsed() >= within && left < PARTITION_MAX => false,
            read => read?,
        };
        if let Some(value) = value {
            let snapshot = value.and_then(|value| state::decode(&key, &value).ok());
            return Ok(match snapshot {
                Some(Snapshot::Partition(image)) => Some(image.n_partitions),
                Some(Snapshot::Service { .. } | Snapshot::Changes { .. } | Snapshot::Fleet { .. }) | None => None,
            });
        }
        if !is_whole {
            break;
        }
    }
    Ok(None)
}

/// What is read of a partition between these bounds, one window after the other.
fn windows((first, end): (Offset, Offset)) -> impl Iterator<Item = (Offset, Offset)> {
    WINDOWS
        .iter()
        .scan(end, move |end, length| {
            let window = (Offset(end.0.saturating_sub(*length)).max(first), *end);
            *end = window.0;
            Some(window)
        })
        .take_while(|(from, end)| from < end)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        clock::Clock,
        config::{Flags, Settings},
        model::Timestamp,
        run::{service::parts::ViewPart, supervise::Life as _},
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
        let flags: Flags = [("brokers".to_owned(), embedded.brokers())].into();
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

    /// Else nothing would say that it hears no overrides.
    #[test]
    fn a_view_that_was_whole_says_when_the_count_is_another_one() {
        let embedded = Embedded::start(&[("many", 4), ("holdpoint.rejected", 1)]).expect("a cluster");
        let instance = of_log(&instance(&embedded), "many");
        let mut view = ViewPart::new(instance.clone());
        view.was_whole = true;
        view.begin().expect("it begins");
        assert_eq!(view.not_ready_without("no broker".to_owned()), None);
        view.end();
        instance.n_partitions.store(2, Ordering::Relaxed);
        let why = view.begin().expect_err("it is refused").to_string();
        assert_eq!(view.not_ready_without(why.clone()), Some(why));
    }

    #[test]
    fn the_end_of_a_partition_is_looked_at_first_and_never_all_of_it() {
        let of = |first, end| {
            windows((Offset(first), Offset(end)))
                .map(|(from, end)| (from.0, end.0))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            of(7, 1_000_000),
            [(999_000, 1_000_000), (989_000, 999_000), (889_000, 989_000)]
        );
        assert_eq!(of(7, 1_500), [(500, 1_500), (7, 500)]);
        assert_eq!(of(7, 8), [(7, 8)]);
        assert_eq!(of(7, 7), []);
    }

    fn write(partition: PartitionIndex, key: Vec<u8>, value: Vec<u8>) -> Write {
        Write {
            topic: Arc::from("many"),
            partition,
            timestamp: Timestamp::from_millis(0),
            key: Some(key),
            value: Some(value),
            headers: Vec::new(),
        }
    }

    /// A partition's record, written for so many.
    fn written_for(n_partitions: u32, partition: PartitionIndex) -> Write {
        let image = Partition::default().image(Offset(0), n_partitions);
        write(
            partition,
            state::partition_key(partition),
            state::encode_partition(&image),
        )
    }

    /// The partitions that were added have no record yet, and of the others one will do.
    #[test]
    fn an_instance_that_has_just_started_refuses_another_count_than_its_state_was_written_for() {
        let embedded = Embedded::start(&[("many", 4), ("holdpoint.rejected", 1)]).expect("a cluster");
        let instance = of_log(&instance(&embedded), "many");
        let publisher = Publisher::new(&instance.connection, "publisher", &instance.tuning).expect("a client");
        let partition = PartitionIndex(1);
        let put = |write: &Write| publisher.send(write, Duration::from_secs(10)).expect("sent");
        put(&written_for(2, partition));
        // Snapshots of services are between it and the end.
        let others: Vec<_> = (0..=WINDOWS[0])
            .map(|i| {
                write(
                    partition,
                    state::service_key(&format!("s{i}")),
                    b"not looked at".to_vec(),
                )
            })
            .collect();
        let sent = publisher.send_all(&others, Duration::from_secs(10)).expect("sent");
        assert_eq!(sent, others.len());
        for _ in 0..3 {
            let why = refusal(&instance).expect("it is refused");
            assert!(why.contains("fixed at creation"), "{why}");
        }
        put(&written_for(4, partition));
        let another = Instance {
            n_partitions: Arc::default(),
            ..instance
        };
        assert_eq!(refusal(&another), None);
    }
}
