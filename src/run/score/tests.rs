use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use super::*;
use crate::{
    run::restore::restore,
    stream::memory::{Cluster, Fate, MemoryClient, MemoryReader, Process, Schedule, Step},
};

/// Refuses to read a partition on for so many times.
struct Refusing {
    n_left: AtomicUsize,
    millis: &'static AtomicI64,
}

impl Schedule for Refusing {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::Relaxed))
    }

    fn reach(&self, _: Process, step: Step) -> Fate {
        let is_refused = step == Step::Starting
            && self
                .n_left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1))
                .is_ok();
        if is_refused { Fate::Fail } else { Fate::GoOn }
    }

    fn wait(&self, _: Process, _: Duration) {}

    fn silent_since(&self, _: Process) -> Option<Timestamp> {
        None
    }
}

/// A worker of one partition, with what restores it.
struct Stage {
    cluster: Arc<Cluster>,
    millis: &'static AtomicI64,
    worker: Worker<MemoryClient>,
    reader: MemoryReader,
    asked: mpsc::Receiver<Ask>,
    answer: mpsc::Sender<(Ask, anyhow::Result<Restored>)>,
    n_restored: usize,
}

impl Stage {
    /// Whose client refuses to read on so many times.
    fn new(n_refused: usize) -> Self {
        let millis: &AtomicI64 = Box::leak(Box::new(AtomicI64::new(1_790_000_000_000)));
        let schedule = Refusing {
            n_left: AtomicUsize::new(n_refused),
            millis,
        };
        let cluster = Arc::new(Cluster::new(Arc::new(schedule), None));
        for topic in ["events", "state", "control"] {
            cluster.create(topic, 1, true);
        }
        let client = MemoryClient::open(&cluster, Process(0), ("g", "t"), &["events"]).expect("a client");
        let ((ask, asked), (answer, answers)) = (mpsc::channel(), mpsc::channel());
        let settings = ScoreSettings {
            instance: "i".into(),
            group: "g".into(),
            url: "http://127.0.0.1".into(),
            events: "events".into(),
            state: "state".into(),
            control: "control".into(),
            n_partitions: 1,
            clock: Clock::set_by(millis),
            ai: watch::Sender::new(None),
        };
        let (_, queries) = mpsc::sync_channel(1);
        let policy = Arc::new(PolicyFile::new(None));
        Self {
            worker: Worker::new(settings, client, Restorer { ask, answers }, queries, policy),
            reader: MemoryReader::new(&cluster, Process(0), "g"),
            cluster,
            millis,
            asked,
            answer,
            n_restored: 0,
        }
    }

    /// A turn, and a tenth of a second.
    fn turn(&mut self) {
        self.worker.turn().expect("it goes on");
        for ask in self.asked.try_iter() {
            self.n_restored += 1;
            let [log, snapshots] = ["events", "state"].map(|topic| beside(&Arc::from(topic), ask.partition));
            let restored = restore(&mut self.reader, &log, &snapshots, 1);
            self.answer.send((ask, restored)).expect("it is heard");
        }
        self.millis.fetch_add(100, Ordering::Relaxed);
    }
}

#[test]
fn a_partition_that_cannot_be_read_on_is_restored_once_and_tried_again_after_a_while() {
    let mut stage = Stage::new(3);
    let mut n_turns = 0;
    while stage.worker.live.is_empty() {
        n_turns += 1;
        assert!(n_turns < 1_000, "never read on");
        stage.turn();
    }
    assert_eq!(stage.n_restored, 1);
    assert!(n_turns > 30, "three pauses of a second: {n_turns} turns");
}

/// Everything that follows control reads each of them.
#[test]
fn heartbeats_are_five_seconds_apart() {
    let mut stage = Stage::new(0);
    while stage.worker.live.is_empty() {
        stage.turn();
    }
    for _ in 0..600 {
        stage.turn();
    }
    let mut n_heartbeats = 0;
    let control = beside(&Arc::from("control"), PartitionIndex(0));
    stage.cluster.follow(&control, &mut Offset(0), |_, record| {
        n_heartbeats += usize::from(record.key.as_deref() == Some(b"heartbeat:0"));
    });
    assert!((12..=13).contains(&n_heartbeats), "{n_heartbeats} in a minute");
}
