//! Reading a partition to its end outside any group: for a restore.
//!
//! The end is the high watermark, asked for by a consumer that sees everything: one that sees decided transactions only
//! is told an end before the first open one, and a restore that stops there would miss what is decided a moment later.
//! And the end has been reached when the *position* passes it: the last offsets may be marks of decisions, or aborted
//! records, which nobody is given.

use std::{fmt, sync::Arc, time::Duration};

use rdkafka::{
    Message,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{Bound, Connection, Isolation, Tuning, context::Plain, ends, fault, identity::Identities, offsets, record};
use crate::{
    model::Offset,
    stream::{Fault, Identity, Reader, Record, TopicPartition},
};

/// Without a record or a step of the position for this long, reading is given up; three times what an open transaction
/// of ours may hold it up.
const PROGRESS_BOUND: Duration = Duration::from_secs(30);
/// On one wait for records; then the position is looked at, for it moves without them.
const POLL_WAIT: Duration = Duration::from_millis(5);

/// Readers are given what is there already; a fetch that waits for more only holds up the one of the next partition.
const FETCH_WAIT_MS: u32 = 10;

/// A reader with two connections of its own, one for each isolation.
pub struct KafkaReader {
    decided: BaseConsumer<Plain>,
    everything: BaseConsumer<Plain>,
    identities: Identities,
    context: Plain,
}

impl fmt::Debug for KafkaReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaReader").finish_non_exhaustive()
    }
}

impl KafkaReader {
    /// `group` is asked for its committed offsets and never joined.
    pub fn new(connection: &Connection, client_id: &str, group: &str, tuning: &Tuning) -> Result<Self, Fault> {
        let context = Plain::default();
        let mut config = connection.consumer(client_id, tuning, Isolation::Committed);
        config
            .set("group.id", group)
            .set("fetch.wait.max.ms", FETCH_WAIT_MS.to_string());
        let decided = open(&config, &context)?;
        let everything = open(
            &connection.consumer(client_id, tuning, Isolation::Uncommitted),
            &context,
        )?;
        Ok(Self {
            decided,
            everything,
            identities: Identities::new(tuning.settles),
            context,
        })
    }

    /// Whether a record from `from` on can be had within `bound`.
    pub fn has_record(&mut self, partition: &TopicPartition, from: Offset, bound: Duration) -> Result<bool, Fault> {
        let list = record::list([(partition, rdkafka::Offset::Offset(from.0))])?;
        self.decided
            .assign(&list)
            .map_err(|error| fault::fault("assign", &error))?;
        drop(list);
        let bound = Bound::new(bound);
        let mut found = false;
        while !found && !bound.has_passed() {
            found = matches!(self.decided.poll(POLL_WAIT), Some(Ok(_)));
        }
        self.decided
            .unassign()
            .map_err(|error| fault::fault("unassign", &error))?;
        Ok(found)
    }

    /// The offsets of the first record and behind the last that is decided by now: one before the first open
    /// transaction, of which one may stay so for ever.
    pub fn decided_bounds(&mut self, partition: &TopicPartition) -> Result<(Offset, Offset), Fault> {
        offsets::bounds(&self.decided, partition)
    }

    /// Reads what lies between two offsets below the decided end, for `within` at most; says whether it read all of it.
    pub fn read_window(
        &mut self,
        window: (Offset, Offset),
        partition: &TopicPartition,
        within: Duration,
        each: &mut dyn FnMut(&Record<'_>),
    ) -> Result<bool, Fault> {
        self.read_between(window, partition, within, each)
    }

    fn read_between(
        &self,
        (from, end): (Offset, Offset),
        partition: &TopicPartition,
        within: Duration,
        each: &mut dyn FnMut(&Record<'_>),
    ) -> Result<bool, Fault> {
        if from >= end {
            return Ok(true);
        }
        // The consumer that reads finds the leader now, and not with its next look around, up to a second later.
        ends::partition_count(&self.decided, &partition.topic)?;
        let list = record::list([(partition, rdkafka::Offset::Offset(from.0))])?;
        self.decided
            .assign(&list)
            .map_err(|error| fault::fault("assign", &error))?;
        drop(list);
        let read = self.read_to(partition, end, within, each);
        self.decided
            .unassign()
            .map_err(|error| fault::fault("unassign", &error))?;
        read
    }

    /// Whether the end was reached within `within`; a fault where nothing at all was.
    fn read_to(
        &self,
        partition: &TopicPartition,
        end: Offset,
        within: Duration,
        each: &mut dyn FnMut(&Record<'_>),
    ) -> Result<bool, Fault> {
        let whole = Bound::new(within);
        let mut bound = Bound::new(PROGRESS_BOUND.min(within));
        let mut reached = None;
        loop {
            if reached.is_some() && whole.has_passed() {
                return Ok(false);
            }
            match self.decided.poll(POLL_WAIT) {
                Some(Ok(message)) => {
                    let offset = Offset(message.offset());
                    if offset >= end {
                        return Ok(true);
                    }
                    record::lend(&message, &mut *each);
                    if offset.next() >= end {
                        return Ok(true);
                    }
                    reached = Some(offset.next());
                    bound = Bound::new(PROGRESS_BOUND);
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(fault::fault("read", &error)),
                // Rights may be given while we run, and waiting here brings none.
                Some(Err(KafkaError::MessageConsumption(code @ RDKafkaErrorCode::TopicAuthorizationFailed))) => {
                    return Err(fault::by_code(code, format!("{partition}: {code}")));
                }
                Some(Err(error)) => self.context.health.record(format!("{partition}: {error}")),
                None => {
                    let position = position(&self.decided, partition)?;
                    if position.is_some_and(|position| position >= end) {
                        return Ok(true);
                    }
                    if position != reached {
                        reached = position;
                        bound = Bound::new(PROGRESS_BOUND);
                    }
                    if bound.has_passed() {
                        let text = format!("{partition} did not move on from {reached:?} towards {end}");
                        return Err(Fault::Retry(self.context.health.explain(&text)));
                    }
                }
            }
        }
    }
}

pub(super) fn open(config: &rdkafka::ClientConfig, context: &Plain) -> Result<BaseConsumer<Plain>, Fault> {
    BaseConsumer::from_config_and_context(config, context.clone()).map_err(|error| fault::fault("consumer", &error))
}

/// The offset that comes next in an assigned partition, records that nobody is given passed over; `None` before the
/// first.
fn position(consumer: &BaseConsumer<Plain>, partition: &TopicPartition) -> Result<Option<Offset>, Fault> {
    let positions = consumer.position().map_err(|error| fault::fault("position", &error))?;
    let element = positions.find_partition(&partition.topic, partition.partition.0);
    Ok(element.and_then(|element| match element.offset() {
        rdkafka::Offset::Offset(offset) => Some(Offset(offset)),
        rdkafka::Offset::Invalid
        | rdkafka::Offset::Beginning
        | rdkafka::Offset::End
        | rdkafka::Offset::Stored
        | rdkafka::Offset::OffsetTail(_) => None,
    }))
}

impl Reader for KafkaReader {
    fn read(
        &mut self,
        partition: &TopicPartition,
        from: Option<Offset>,
        each: &mut dyn FnMut(&Record<'_>),
    ) -> Result<Offset, Fault> {
        let (first, end) = offsets::bounds(&self.everything, partition)?;
        self.read_between((from.unwrap_or(first).max(first), end), partition, Duration::MAX, each)?;
        Ok(end)
    }

    fn committed(&mut self, partition: &TopicPartition) -> Result<Option<Offset>, Fault> {
        let committed = offsets::committed(&self.decided, std::slice::from_ref(partition)).map_err(|fault| {
            // Why the coordinator is not found is told to who polls.
            drop(self.decided.poll(Duration::ZERO));
            self.context.health.explain_fault(fault)
        })?;
        Ok(committed.into_iter().next().flatten().map(|committed| committed.offset))
    }

    fn bounds(&mut self, partition: &TopicPartition) -> Result<(Offset, Offset), Fault> {
        offsets::bounds(&self.everything, partition)
    }

    fn partition_count(&mut self, topic: &str) -> Result<Option<u32>, Fault> {
        ends::partition_count(&self.everything, topic)
    }

    fn identity(&mut self, topic: &Arc<str>) -> Result<Option<Identity>, Fault> {
        let mut told = self.identities.ask(&self.decided, std::slice::from_ref(topic))?;
        Ok(told.remove(topic))
    }
}
