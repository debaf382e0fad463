//! Sends the script's records as the fleet's clock passes their times.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context as _;

use super::{scenario::LIVE, script::Script};
use crate::{
    clock::{Clock, Stopwatch},
    model::{Entry, PartitionIndex, PolicyText},
    run::ingest::log_record,
    stream::kafka::{Connection, Publisher, Tuning},
    wire::events,
};

/// Decisions bind, for this is the fleet's only scorer. All else is as built in.
const POLICY: &str = "mode = \"enforce\"\n";
const SEND_WITHIN: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(5);

/// When each commit of the live part was sent: a watch begun then.
pub(super) type Sent = HashMap<Box<str>, Stopwatch>;

/// Who sends.
pub(super) struct Player {
    pub(super) script: Arc<Script>,
    pub(super) clock: Clock,
    pub(super) n_sent: Arc<AtomicUsize>,
    pub(super) stop: Arc<AtomicBool>,
}

/// One who is sending.
pub(super) struct Playing(JoinHandle<anyhow::Result<Sent>>);

impl Playing {
    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    pub(super) fn join(self) -> anyhow::Result<Sent> {
        match self.0.join() {
            Ok(sent) => sent,
            Err(_panicked) => anyhow::bail!("the thread that sends records is gone"),
        }
    }
}

impl Player {
    pub(super) fn start(self, connection: &Connection) -> anyhow::Result<Playing> {
        let publisher = Publisher::new(connection, "demo-fleet", &Tuning::embedded())?;
        let thread = std::thread::Builder::new()
            .name("fleet".to_owned())
            .spawn(move || self.play(&publisher))
            .context("starting a thread")?;
        Ok(Playing(thread))
    }

    fn play(&self, publisher: &Publisher) -> anyhow::Result<Sent> {
        let records = &self.script.records;
        let mut sent = Sent::new();
        let mut next = 0;
        while next < records.len() && !self.stop.load(Ordering::Relaxed) {
            let now = self.clock.now();
            let due = records[next..].partition_point(|planned| planned.write.timestamp <= now);
            let due = &records[next..next + due];
            if due.is_empty() {
                std::thread::sleep(PAUSE);
                continue;
            }
            for planned in due.iter().filter(|planned| planned.write.timestamp >= LIVE) {
                if let Some(sha) = &planned.sha {
                    sent.entry(sha.clone()).or_insert_with(Stopwatch::start);
                }
            }
            publisher
                .send_all(due.iter().map(|planned| &planned.write), SEND_WITHIN)
                .context("sending the fleet's records")?;
            next += due.len();
            self.n_sent.store(next, Ordering::Relaxed);
        }
        Ok(sent)
    }
}

/// Appends the policy to every partition of the log `events`, before anything else is in it.
pub(super) fn set_policy(connection: &Connection, events: &str, n_partitions: u32) -> anyhow::Result<()> {
    let mut record = Vec::new();
    events::begin(&mut record);
    let policy = PolicyText {
        revision: 1,
        text: POLICY,
    };
    events::append(&Entry::Policy(policy), &mut record);
    let topic = Arc::from(events);
    let writes: Vec<_> = (0..n_partitions)
        .map(|i| {
            let partition = PartitionIndex(i32::try_from(i).unwrap_or(i32::MAX));
            log_record(&topic, partition, LIVE - super::scenario::HISTORY, record.clone(), 0)
        })
        .collect();
    let publisher = Publisher::new(connection, "demo-policy", &Tuning::embedded())?;
    publisher.send_all(&writes, SEND_WITHIN).context("setting the policy")?;
    Ok(())
}
