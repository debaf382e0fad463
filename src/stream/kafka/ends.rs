//! The ends of the assigned partitions, and which topics they are of, asked for about once a second beside the worker.
//!
//! **Invariant:** an answer counts only for the assignment it was asked in: one from before could call a partition
//! "read to its end" of which the former owner's records were not in yet.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Condvar, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

use super::{context::lock, fault, group::GroupContext, identity, record};
use crate::{
    clock::Stopwatch,
    model::{Offset, PartitionIndex},
    stream::{Fault, Identity, TopicPartition},
};

/// Between two rounds.
const INTERVAL: Duration = Duration::from_secs(1);
/// On one round's answer; also what ending the thread may take.
pub(super) const ANSWER_BOUND: Duration = Duration::from_secs(2);
/// An end that was told so long ago is not known any more: whoever holds it for the end would call what was written
/// since then late.
const KNOWN_FOR: Duration = Duration::from_secs(8);
/// On the answer of one broker for one topic, when all together did not answer.
const SINGLE_BOUND: Duration = Duration::from_millis(500);
/// Every so many rounds the subscribed topics are looked for.
const N_ROUNDS_BETWEEN_SEARCHES: u32 = 10;

#[derive(Debug, Default)]
struct Board {
    ended: bool,
    /// Something was assigned or started: do not wait for the next round.
    due: bool,
    /// Counts assignments, so that an answer can be matched with the one it was asked in.
    assignment: u64,
    /// By partition, the assignment, and the end with the time it was asked for.
    ends: HashMap<TopicPartition, (u64, Option<(Offset, Stopwatch)>)>,
    /// Topics that are looked at, with what they were last.
    identities: HashMap<Arc<str>, Identity>,
    /// What the last search did not find, and what it may not see.
    missing: Vec<String>,
}

#[derive(Debug, Default)]
struct Shared {
    board: Mutex<Board>,
    changed: Condvar,
}

/// The background thread of one consumer. It ends, and lets go of the consumer, when this is dropped.
#[derive(Debug)]
pub(super) struct Ends {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Ends {
    pub(super) fn watch(consumer: Arc<BaseConsumer<GroupContext>>, topics: Vec<Arc<str>>) -> Result<Self, Fault> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("kafka-ends".to_owned())
            .spawn(move || watch(&theirs, &consumer, &topics))
            .map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    pub(super) fn assigned(&self, partition: &TopicPartition) {
        let mut board = lock(&self.shared.board);
        board.assignment += 1;
        board.due = true;
        let assignment = board.assignment;
        board.ends.insert(partition.clone(), (assignment, None));
        self.shared.changed.notify_one();
    }

    /// Asks at once. The question also wakes librdkafka's thread for the leader: asleep for want of anything to fetch,
    /// it would notice a partition's first start only at its next look around, up to a second later.
    pub(super) fn ask_now(&self) {
        lock(&self.shared.board).due = true;
        self.shared.changed.notify_one();
    }

    /// Looks at a topic from now on: it is this one.
    pub(super) fn identified(&self, topic: Arc<str>, identity: Identity) {
        lock(&self.shared.board).identities.insert(topic, identity);
    }

    /// No longer.
    pub(super) fn unidentified(&self, topic: &str) {
        lock(&self.shared.board).identities.remove(topic);
    }

    /// Which topic this name stands for, of those that are looked at.
    pub(super) fn identity(&self, topic: &str) -> Option<Identity> {
        lock(&self.shared.board).identities.get(topic).cloned()
    }

    pub(super) fn unassigned(&self, partition: &TopicPartition) {
        lock(&self.shared.board).ends.remove(partition);
    }

    /// The end as told of late, since `partition` was assigned.
    pub(super) fn of(&self, partition: &TopicPartition) -> Option<Offset> {
        let board = lock(&self.shared.board);
        let (_, told) = board.ends.get(partition)?;
        told.filter(|(_, asked)| asked.elapsed() < KNOWN_FOR)
            .map(|(end, _)| end)
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        lock(&self.shared.board).ended = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that asks for ends panicked");
        }
    }
}

fn watch(shared: &Shared, consumer: &BaseConsumer<GroupContext>, topics: &[Arc<str>]) {
    let mut n_rounds = 0_u32;
    while let Some(asked) = next_round(shared) {
        let at = Stopwatch::start();
        match ask(consumer, &asked, ANSWER_BOUND) {
            Ok(answers) => enter(shared, &asked, &answers, at),
            Err(fault) => {
                tracing::debug!(%fault, "ends of partitions");
                ask_apart(shared, consumer, &asked);
            }
        }
        identify(shared, consumer);
        if n_rounds.is_multiple_of(N_ROUNDS_BETWEEN_SEARCHES) {
            search(shared, consumer, topics);
        }
        n_rounds = n_rounds.wrapping_add(1);
    }
}

/// Waits for the next round and says what to ask for; `None` when there is none.
fn next_round(shared: &Shared) -> Option<Vec<(TopicPartition, u64)>> {
    let board = lock(&shared.board);
    let waited = shared
        .changed
        .wait_timeout_while(board, INTERVAL, |board| !board.due && !board.ended);
    let mut board = match waited {
        Ok((board, _)) => board,
        Err(poisoned) => poisoned.into_inner().0,
    };
    board.due = false;
    (!board.ended).then(|| {
        board
            .ends
            .iter()
            .map(|(partition, (assignment, _))| (partition.clone(), *assignment))
            .collect()
    })
}

/// Ends by topic and leader: in one question together, a broker or a topic that does not answer takes all others' answers
/// with it.
fn ask_apart(shared: &Shared, consumer: &BaseConsumer<GroupContext>, asked: &[(TopicPartition, u64)]) {
    let mut apart: BTreeMap<(&str, i32), Vec<(TopicPartition, u64)>> = BTreeMap::new();
    let mut by_topic: HashMap<&str, BTreeMap<PartitionIndex, i32>> = HashMap::new();
    for one in asked {
        if lock(&shared.board).ended {
            return;
        }
        let (TopicPartition { topic, partition }, _) = one;
        // Those whose leader cannot be learned are asked for together.
        let known = by_topic.entry(&**topic).or_insert_with(|| {
            leaders(consumer, topic, SINGLE_BOUND)
                .ok()
                .flatten()
                .unwrap_or_default()
        });
        let leader = known.get(partition).copied().unwrap_or(-1);
        apart.entry((&**topic, leader)).or_default().push(one.clone());
    }
    for ((topic, leader), asked) in apart {
        if lock(&shared.board).ended {
            return;
        }
        let at = Stopwatch::start();
        match ask(consumer, &asked, SINGLE_BOUND) {
            Ok(answers) => enter(shared, &asked, &answers, at),
            Err(fault) => tracing::debug!(%fault, topic, leader, "ends of partitions"),
        }
    }
}

/// Each partition of `topic` and its leader, -1 where it has none; `None` while there is no such topic.
pub(super) fn leaders<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
    bound: Duration,
) -> Result<Option<BTreeMap<PartitionIndex, i32>>, Fault> {
    use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr as Response};
    let metadata = consumer
        .fetch_metadata(Some(topic), bound)
        .map_err(|error| fault::fault("metadata", &error))?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(None);
    };
    match found.error() {
        None => {
            let partitions = found.partitions().iter();
            let leaders: BTreeMap<_, _> = partitions
                .map(|partition| (PartitionIndex(partition.id()), partition.leader()))
                .collect();
            Ok(Some(leaders).filter(|leaders| !leaders.is_empty()))
        }
        Some(Response::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART | Response::RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) => {
            Ok(None)
        }
        Some(error) => {
            let code = Code::from(error);
            Err(fault::by_code(code, format!("topic {topic}: {code}")))
        }
    }
}

/// All ends in one request to each broker: behind the last decided record, as the consumer reads no further.
fn ask(
    consumer: &BaseConsumer<GroupContext>,
    asked: &[(TopicPartition, u64)],
    bound: Duration,
) -> Result<HashMap<(String, PartitionIndex), Offset>, Fault> {
    if asked.is_empty() {
        return Ok(HashMap::new());
    }
    let list = record::list(asked.iter().map(|(partition, _)| (partition, rdkafka::Offset::End)))?;
    let answered = consumer
        .offsets_for_times(list, bound)
        .map_err(|error| fault::fault("ends of partitions", &error))?;
    let mut ends = HashMap::new();
    for element in answered.elements() {
        if let (Ok(()), rdkafka::Offset::Offset(end)) = (element.error(), element.offset()) {
            ends.insert(
                (element.topic().to_owned(), PartitionIndex(element.partition())),
                Offset(end),
            );
        }
    }
    Ok(ends)
}

fn enter(
    shared: &Shared,
    asked: &[(TopicPartition, u64)],
    answers: &HashMap<(String, PartitionIndex), Offset>,
    at: Stopwatch,
) {
    let mut board = lock(&shared.board);
    for (partition, asked_in) in asked {
        let answer = answers.get(&(partition.topic.to_string(), partition.partition));
        if let (Some(end), Some((assignment, known))) = (answer, board.ends.get_mut(partition))
            && assignment == asked_in
        {
            *known = Some((*end, at));
        }
    }
}

/// Looks which topics the names stand for.
fn identify(shared: &Shared, consumer: &BaseConsumer<GroupContext>) {
    let known = lock(&shared.board).identities.clone();
    let Some(cluster) = known.values().next().map(Identity::cluster) else {
        return;
    };
    let topics: Vec<Arc<str>> = known.keys().cloned().collect();
    let answers = identity::ask(consumer, cluster, &topics, SINGLE_BOUND);
    let mut board = lock(&shared.board);
    for (topic, identity) in answers {
        if let Some(known) = board.identities.get_mut(&topic) {
            *known = identity;
        }
    }
}

fn search(shared: &Shared, consumer: &BaseConsumer<GroupContext>, topics: &[Arc<str>]) {
    let mut missing = Vec::new();
    for topic in topics {
        if lock(&shared.board).ended {
            return;
        }
        match partition_count(consumer, topic) {
            Ok(Some(_)) => {}
            Ok(None) => missing.push(topic.to_string()),
            Err(Fault::Fatal(why)) => missing.push(why),
            Err(fault) => {
                tracing::debug!(%fault, topic = &**topic, "search for a topic");
                return;
            }
        }
    }
    let mut board = lock(&shared.board);
    if board.missing != missing {
        if missing.is_empty() {
            tracing::info!("all subscribed topics are there");
        } else {
            let topics = missing.join(", ");
            tracing::warn!(topics, "subscribed topics that cannot be read; they are waited for");
        }
        board.missing = missing;
    }
}

/// How many partitions `topic` has; `None` while there is no such topic.
pub(super) fn partition_count<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    topic: &str,
) -> Result<Option<u32>, Fault> {
    let leaders = leaders(consumer, topic, ANSWER_BOUND)?;
    Ok(leaders.and_then(|leaders| u32::try_from(leaders.len()).ok()))
}
