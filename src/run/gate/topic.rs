//! The gate as a reader of Kafka: the one partition of control that holds the service's decision, its changes' and its
//! heartbeat, and all of the overrides.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use anyhow::Context as _;

use super::{Gate, Refused, Reply};
use crate::{
    clock::{Clock, Stopwatch},
    gate::{Request, View, assess, without_words},
    model::PartitionIndex,
    run::viewer::take_in,
    stream::{
        Fault, Reader as _, TopicPartition,
        kafka::{Connection, Followed, KafkaReader, Tuning},
    },
    wire::partition::partition_of,
};

/// Between two attempts at a broker that is not ready.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// The least time that one answer is given.
const ANSWER_MIN: Duration = Duration::from_millis(100);

pub(super) fn ask(connection: &Connection, control: &str, overrides: &str, gate: &Gate) -> anyhow::Result<Reply> {
    let (tell, told) = mpsc::channel();
    let reading = Reading {
        connection: connection.clone(),
        control: Arc::from(control),
        overrides: Arc::from(overrides),
        request: gate.request.clone(),
        within: gate.timeout,
        tell,
    };
    // On a thread of its own: a broker that never answers must not hold up a pipeline beyond its bound.
    std::thread::Builder::new()
        .name("gate".to_owned())
        .spawn(move || reading.read())
        .context("starting a thread")?;
    let watch = Stopwatch::start();
    let bound = gate.timeout.max(ANSWER_MIN);
    let mut best = Err(anyhow::anyhow!(
        "no answer from {} within {} s",
        connection.brokers,
        gate.timeout.as_secs()
    ));
    while let Ok(answer) = told.recv_timeout(bound.saturating_sub(watch.elapsed())) {
        // What control holds stays held, whatever went wrong after it was read.
        if answer.is_ok() || best.is_err() {
            best = answer;
        }
    }
    best
}

/// Whether the same may be had a moment later.
fn passes(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Fault::Retry(_)))
}

struct Reading {
    connection: Connection,
    control: Arc<str>,
    overrides: Arc<str>,
    request: Request,
    within: Duration,
    /// Takes each answer that is better than the one before, until there is none or nobody waits for it.
    tell: mpsc::Sender<anyhow::Result<Reply>>,
}

impl Reading {
    /// Reads until there is an answer; a broker that is not ready is asked again while there is time.
    fn read(&self) {
        let watch = Stopwatch::start();
        let mut why = format!("`{}` was not read within {} s", self.overrides, self.within.as_secs());
        loop {
            let answer = self.attempt(&mut why);
            let is_last = !answer.as_ref().is_err_and(passes) || watch.elapsed() + RETRY_AFTER >= self.within;
            let is_heard = self.tell.send(answer).is_ok();
            if is_last || !is_heard {
                return;
            }
            std::thread::sleep(RETRY_AFTER);
        }
    }

    /// Reads all once; `why` is what is known of why overrides are not. Control alone is told as soon as it is read.
    fn attempt(&self, why: &mut String) -> anyhow::Result<Reply> {
        let id = format!("holdpoint-gate-{}", std::process::id());
        let reader = KafkaReader::new(&self.connection, &id, &id, &Tuning::default());
        // No broker is asked for it: what fails and does not pass is what the settings say.
        let mut reader = reader.map_err(|fault| match fault {
            Fault::Fatal(why) => Refused(format!("the settings of Kafka are wrong: {why}")).into(),
            passing @ (Fault::Retry(_) | Fault::Aborted(_) | Fault::Fenced(_)) => anyhow::Error::from(passing),
        })?;
        let n_partitions = reader
            .partition_count(&self.control)?
            .with_context(|| format!("there is no topic `{}` at {}", self.control, self.connection.brokers))?;
        let clock = Clock::wall();
        let view = View::new();
        let partition = partition_of(self.request.service.as_str(), n_partitions);
        self.follow(
            &mut reader,
            &TopicPartition {
                topic: Arc::clone(&self.control),
                partition,
            },
            &view,
            clock,
        )?;
        let of_control = |why: &str| Reply::from(&without_words(&view, &self.request, why, clock.now()));
        // Who asks may have gone.
        drop(self.tell.send(Ok(of_control(why))));
        let Err(error) = self.follow_overrides(&mut reader, &view, clock) else {
            return Ok((&assess(&view, &self.request, clock.now())).into());
        };
        *why = format!("{error:#}");
        if passes(&error) {
            drop(self.tell.send(Ok(of_control(why))));
            return Err(error);
        }
        Ok(of_control(why))
    }

    fn follow_overrides(&self, reader: &mut KafkaReader, view: &View, clock: Clock) -> anyhow::Result<()> {
        let n_partitions = reader
            .partition_count(&self.overrides)
            .with_context(|| format!("asking for {}", self.overrides))?
            .with_context(|| format!("there is no topic `{}` at {}", self.overrides, self.connection.brokers))?;
        for index in 0..n_partitions {
            let partition = TopicPartition {
                topic: Arc::clone(&self.overrides),
                partition: PartitionIndex(i32::try_from(index)?),
            };
            self.follow(reader, &partition, view, clock)?;
        }
        Ok(())
    }

    fn follow(
        &self,
        reader: &mut KafkaReader,
        partition: &TopicPartition,
        view: &View,
        clock: Clock,
    ) -> anyhow::Result<()> {
        reader
            .read(partition, None, &mut |record| {
                let followed = Followed {
                    topic: &partition.topic,
                    partition: partition.partition,
                    record,
                };
                take_in(view, &followed, &self.overrides, clock.now(), |_applied| {});
            })
            .with_context(|| format!("reading {partition}"))?;
        Ok(())
    }
}
