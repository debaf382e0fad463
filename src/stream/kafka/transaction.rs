//! Whole transactions: records and positions, decided by the broker before the call returns.
//!
//! ```text
//! begin ──► positions, and beside them records ──► commit ──► Ok
//!   │                       │                          │  └ retriable: the outcome is unknown, so ask again, never abort
//!   │                       └───────── any error ──────┴──► abort ──► Aborted
//!   └──────── fatal, or a bound passed ──────────────────────► Fenced | Fatal
//! ```
//!
//! All bounds of one transaction together are less than a minute, after which a turn counts as a wedge.
//!
//! **Invariant:** no transaction is open when a call returns, except with `Fenced` or `Fatal`: then the client is of
//! no more use, and the next one with the same transactional id decides what it left.

use std::{cell::Cell, sync::Arc, time::Duration};

use rdkafka::{
    config::FromClientConfigAndContext,
    error::{KafkaError, KafkaResult},
    producer::{Producer, ThreadedProducer},
    types::RDKafkaErrorCode as Code,
};

use super::{
    Bound, Connection, Tuning,
    context::Plain,
    fault, ffi,
    handover::{GRACE, Handover, Moved},
    record,
};
use crate::stream::{Fault, Write};

/// On taking the place of a former producer: its open transaction is aborted first.
const INIT_BOUND: Duration = Duration::from_secs(20);
/// On handing all records of a transaction over; they wait for room only while a broker is slow.
const PRODUCE_BOUND: Duration = Duration::from_secs(10);
/// On the group's coordinator taking the positions.
const OFFSETS_BOUND: Duration = Duration::from_secs(10);
/// On a decision, once asked for; three times what the broker leaves a transaction.
const DECISION_BOUND: Duration = Duration::from_secs(30);
/// On an abort; after as long the broker aborts by itself.
const ABORT_BOUND: Duration = Duration::from_secs(10);
/// On a first record having reached every partition that a worker writes to: nobody reads on there meanwhile.
const SETTLE_BOUND: Duration = Duration::from_secs(3);
/// A broker takes 2 to 4 ms to mark a transaction that it has decided.
const MARKING: Duration = Duration::from_millis(5);
/// A broker refuses what it has no right to as fast as it is asked: after an abort the next transaction waits, after each
/// in a row twice as long, and this at most.
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Between two tries of a call that does not wait itself.
const PAUSE: Duration = Duration::from_millis(2);

/// A transactional producer; its thread serves delivery reports, on which commit and abort wait.
pub(super) struct Transactions {
    producer: Arc<ThreadedProducer<Plain>>,
    handover: Handover,
    /// While the broker may still mark the transaction before.
    marking: Cell<Option<Bound>>,
    /// In a row.
    n_aborted: Cell<u32>,
    context: Plain,
}

/// Why a transaction goes no further.
enum Stop {
    /// Abort it; another try may succeed.
    Abort(String),
    /// Abort it; the same would fail for ever.
    Refused(String),
    /// Nothing can be done with this client.
    Broken(Fault),
}

impl Transactions {
    /// Takes the place of any other producer with this id; that one's open transaction is aborted.
    pub(super) fn open(connection: &Connection, transactional_id: &str, tuning: &Tuning) -> Result<Self, Fault> {
        let context = Plain::default();
        let config = connection.transactional(transactional_id, tuning);
        let producer = ThreadedProducer::from_config_and_context(&config, context.clone())
            .map_err(|error| fault::fault("producer", &error))?;
        let producer = Arc::new(producer);
        let handover = Handover::start(Arc::clone(&producer))?;
        let transactions = Self {
            producer,
            handover,
            marking: Cell::new(None),
            n_aborted: Cell::new(0),
            context,
        };
        let bound = Bound::new(INIT_BOUND);
        loop {
            match transactions
                .producer
                .init_transactions(bound.left().max(Duration::from_secs(1)))
            {
                Ok(()) => return Ok(transactions),
                Err(error) => match fault::fault("init_transactions", &error) {
                    Fault::Retry(_) if !bound.has_passed() => std::thread::sleep(PAUSE),
                    fault @ (Fault::Retry(_) | Fault::Aborted(_) | Fault::Fenced(_) | Fault::Fatal(_)) => {
                        return Err(transactions.context.health.explain_fault(fault));
                    }
                },
            }
        }
    }

    /// One transaction with all of `writes` and what is `moved`, which must not be empty, or the broker would not check
    /// the membership.
    pub(super) fn run(&self, moved: &Moved, writes: &[Write]) -> Result<(), Fault> {
        assert!(
            moved.positions.count() > 0,
            "a transaction without positions checks no membership"
        );
        self.begin()?;
        match self.fill(moved, writes).and_then(|()| self.decide()) {
            Ok(()) => {
                self.n_aborted.set(0);
                Ok(())
            }
            Err(stop) => self.stop(stop),
        }
    }

    /// Decides what a broker may have left undecided of a former producer's transaction.
    ///
    /// A broker that is killed within a transaction may say, when it is back, that it is aborted, and not have marked
    /// its records so (seen with Kafka 4.3.1, one node killed just after it took the positions): whoever waits for their
    /// end then waits for ever. The same producer's next decision on a partition decides them too. So there is one, an
    /// abort, on every partition that a transaction of this id may have touched: each of `writes`, and the positions'.
    pub(super) fn settle(&self, moved: &Moved, writes: &[Write]) -> Result<(), Fault> {
        self.begin()?;
        match self.fill(moved, writes).and_then(|()| self.reach(moved)) {
            Ok(()) => self.abort("settling what a former client may have left"),
            // One that fails while it is asked for more says why to who asks again.
            Err(Stop::Abort(why)) => self.stop(self.ask_more(moved).err().unwrap_or(Stop::Abort(why))),
            Err(stop) => self.stop(stop),
        }
    }

    /// Has the broker told of every partition of the open transaction: it marks those, and an abort throws away what is
    /// on its way. Fails where one of them may not be written.
    fn reach(&self, moved: &Moved) -> Result<(), Stop> {
        if let Err(error) = self.producer.flush(SETTLE_BOUND) {
            tracing::warn!(%error, "not every partition was reached: what a former client left there may stay undecided");
        }
        self.ask_more(moved)
    }

    /// Hands the positions over once more: only so does a transaction that has failed meanwhile say so.
    fn ask_more(&self, moved: &Moved) -> Result<(), Stop> {
        let bound = Bound::new(OFFSETS_BOUND);
        self.hand_over(moved, &bound)?;
        self.await_positions(moved, None, &bound)
    }

    fn begin(&self) -> Result<(), Fault> {
        self.producer
            .begin_transaction()
            .map_err(|error| match fault::fault("begin", &error) {
                Fault::Retry(text) | Fault::Aborted(text) | Fault::Fatal(text) => Fault::Fatal(text),
                Fault::Fenced(text) => Fault::Fenced(text),
            })
    }

    fn stop(&self, stop: Stop) -> Result<(), Fault> {
        match stop {
            Stop::Abort(why) => {
                self.abort(&why)?;
                let n_aborted = self.n_aborted.get();
                self.n_aborted.set(n_aborted.saturating_add(1));
                std::thread::sleep(backoff(n_aborted));
                Err(Fault::Aborted(self.context.health.explain(&why)))
            }
            Stop::Refused(why) => self.abort(&why).and(Err(Fault::Fatal(why))),
            Stop::Broken(fault) => Err(fault),
        }
    }

    /// Hands the positions over and, beside that, the records.
    ///
    /// A broker that still marks the transaction before takes neither positions nor partitions. librdkafka asks again
    /// after a millisecond for positions, but after twenty for partitions: so positions go first, and records once these
    /// are taken, or it is so long that the marks are surely written.
    fn fill(&self, moved: &Moved, writes: &[Write]) -> Result<(), Stop> {
        let offsets_bound = Bound::new(OFFSETS_BOUND);
        self.hand_over(moved, &offsets_bound)?;
        let marking = self.marking.get().map_or(Duration::ZERO, |bound| bound.left());
        let answer = self.handover.answer(marking);
        let produce_bound = Bound::new(PRODUCE_BOUND);
        let produced = writes.iter().try_for_each(|write| self.produce(write, &produce_bound));
        // Also where nothing comes of it: an abort beside the call would be refused.
        self.await_positions(moved, answer, &offsets_bound)?;
        produced
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the enum is open: what is not known to last may pass"
    )]
    fn produce(&self, write: &Write, bound: &Bound) -> Result<(), Stop> {
        let mut record = record::outgoing(write, ());
        loop {
            let (error, returned) = match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err(failed) => failed,
            };
            let text = format!("record for {}-{}: {error}", write.topic, write.partition);
            match error {
                KafkaError::MessageProduction(Code::QueueFull) if !bound.has_passed() => {
                    record = returned;
                    std::thread::sleep(PAUSE);
                }
                KafkaError::MessageProduction(
                    Code::MessageSizeTooLarge | Code::UnknownPartition | Code::UnknownTopic | Code::InvalidArgument,
                )
                | KafkaError::Nul(_) => return Err(Stop::Refused(text)),
                // Also when the transaction has failed meanwhile: the abort will tell how badly.
                _ => return Err(Stop::Abort(text)),
            }
        }
    }

    fn hand_over(&self, moved: &Moved, bound: &Bound) -> Result<(), Stop> {
        let left = bound.left().max(Duration::from_millis(100));
        if self.handover.begin(moved, left) {
            return Ok(());
        }
        let text = "the thread that hands positions over has ended".to_owned();
        Err(Stop::Broken(Fault::Fatal(text)))
    }

    /// Waits until the group's coordinator has taken the positions; `answer` is there where it has come already.
    fn await_positions(&self, moved: &Moved, mut answer: Option<KafkaResult<()>>, bound: &Bound) -> Result<(), Stop> {
        loop {
            let Some(answered) = answer.take().or_else(|| self.handover.answer(bound.left() + GRACE)) else {
                let text = format!("the group's coordinator did not take the positions within {OFFSETS_BOUND:?}");
                return Err(Stop::Broken(Fault::Fatal(self.context.health.explain(&text))));
            };
            let Err(error) = answered else { return Ok(()) };
            match fault::fault("positions", &error) {
                Fault::Retry(_) if !bound.has_passed() => std::thread::sleep(PAUSE),
                Fault::Retry(text) | Fault::Aborted(text) => return Err(Stop::Abort(text)),
                fault @ (Fault::Fenced(_) | Fault::Fatal(_)) => return Err(Stop::Broken(fault)),
            }
            self.hand_over(moved, bound)?;
        }
    }

    fn decide(&self) -> Result<(), Stop> {
        let bound = Bound::new(DECISION_BOUND);
        loop {
            let Err(error) = ffi::commit_transaction(self.producer.client()) else {
                self.marking.set(Some(Bound::new(MARKING)));
                return Ok(());
            };
            match error.fault("commit") {
                // The broker may have taken the commit before the answer was lost: ask again, never abort here.
                Fault::Retry(_) if !bound.has_passed() => std::thread::sleep(PAUSE),
                Fault::Retry(text) => {
                    return Err(Stop::Broken(Fault::Fatal(format!(
                        "{text}; no decision within {DECISION_BOUND:?}"
                    ))));
                }
                Fault::Aborted(text) => return Err(Stop::Abort(text)),
                fault @ (Fault::Fenced(_) | Fault::Fatal(_)) => return Err(Stop::Broken(fault)),
            }
        }
    }

    fn abort(&self, why: &str) -> Result<(), Fault> {
        let bound = Bound::new(ABORT_BOUND);
        loop {
            let left = bound.left().max(Duration::from_millis(100));
            let Err(error) = self.producer.abort_transaction(left) else {
                self.marking.set(Some(Bound::new(MARKING)));
                return Ok(());
            };
            match fault::fault("abort", &error) {
                Fault::Retry(_) if !bound.has_passed() => std::thread::sleep(PAUSE),
                Fault::Fenced(text) => return Err(Fault::Fenced(format!("{why}; then {text}"))),
                Fault::Retry(text) | Fault::Aborted(text) | Fault::Fatal(text) => {
                    return Err(Fault::Fatal(format!("{why}; then {text}")));
                }
            }
        }
    }
}

/// How long the next transaction waits behind one that was aborted after so many others.
fn backoff(n_aborted: u32) -> Duration {
    let doubled = 1_u64.checked_shl(n_aborted).unwrap_or(u64::MAX);
    Duration::from_millis(doubled).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that a rebalance aborts is taken again at once.
    #[test]
    fn transactions_that_are_aborted_again_and_again_wait_longer_and_longer() {
        let waited = [0, 1, 5, 10, 63, 64, u32::MAX].map(|n_aborted| backoff(n_aborted).as_millis());
        assert_eq!(waited, [1, 2, 32, 1_000, 1_000, 1_000, 1_000]);
    }
}
