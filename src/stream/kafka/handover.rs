//! Handing positions over to the group's coordinator, on a thread of its own.
//!
//! librdkafka's call takes a bound and does not keep it: while the coordinator's broker is away it waits for a change of
//! that broker's state, which need not come (seen with a broker that was stopped: for ever). So whoever commits waits for
//! the answer beside the call, and can give the client up.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use rdkafka::{
    consumer::ConsumerGroupMetadata,
    error::KafkaResult,
    producer::{Producer, ThreadedProducer},
    topic_partition_list::TopicPartitionList,
};

use super::context::Plain;
use crate::stream::Fault;

/// What the call may take beyond its bound before it counts as hung.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// What one transaction moves, and whose membership it shows.
#[derive(Clone)]
pub(super) struct Moved {
    pub(super) positions: Arc<TopicPartitionList>,
    pub(super) group: Arc<ConsumerGroupMetadata>,
}

/// The thread that makes the call; it ends with its owner, or when a hung call returns.
pub(super) struct Handover {
    calls: mpsc::Sender<(Moved, Duration)>,
    answers: mpsc::Receiver<KafkaResult<()>>,
}

impl Handover {
    pub(super) fn start(producer: Arc<ThreadedProducer<Plain>>) -> Result<Self, Fault> {
        let (calls, called) = mpsc::channel::<(Moved, Duration)>();
        let (answer, answers) = mpsc::channel();
        let run = move || {
            while let Ok((moved, bound)) = called.recv() {
                let result = producer.send_offsets_to_transaction(&moved.positions, &moved.group, bound);
                if answer.send(result).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name("kafka-positions".to_owned())
            .spawn(run)
            .map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Ok(Self { calls, answers })
    }

    /// Begins the call, and says whether it could. Each call has one answer, to be waited for before the next.
    pub(super) fn begin(&self, moved: &Moved, bound: Duration) -> bool {
        self.calls.send((moved.clone(), bound)).is_ok()
    }

    /// The answer, if it comes within `wait`.
    pub(super) fn answer(&self, wait: Duration) -> Option<KafkaResult<()>> {
        self.answers.recv_timeout(wait).ok()
    }
}
