//! Reads every topic of the site from its first record on, decided transactions only, while everything else happens.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use holdpoint::{
    model::Timestamp,
    stream::kafka::{Followed, Follower, Tuning},
};

use crate::{
    arguments::Spoil,
    feed::lock,
    ledger::Ledger,
    support::{Site, eventually},
    violations::Violations,
    voices::Voices,
};

/// All that was read.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) voices: Voices,
    pub(crate) ledger: Ledger,
    /// What single records show.
    pub(crate) violations: Violations,
    /// Why reading has ended, if it has.
    pub(crate) failed: Option<String>,
}

/// The thread that reads.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(crate) fn start(site: &Site, spoil: Option<Spoil>) -> anyhow::Result<Self> {
        let inputs: HashSet<String> = site.inputs().map(|(topic, _)| topic).collect();
        let own = ["rejected", "events", "control"].map(|topic| site.topic(topic));
        let topics: Vec<&str> = inputs.iter().chain(&own).map(String::as_str).collect();
        let mut follower = eventually("all topics are followed", || {
            Follower::new(&site.connection, "watch", &topics, &Tuning::default())
                .ok()
                .filter(|follower| !follower.lacks_any())
        });
        let mut reader = Reading {
            inputs,
            own,
            overlooks: spoil == Some(Spoil::Reject),
            last: HashMap::new(),
        };
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let (theirs, stopped) = (Arc::clone(&seen), Arc::clone(&stop));
        let run = move || {
            while !stopped.load(Ordering::Acquire) {
                let polled = follower.poll(Duration::from_millis(200), &mut |followed| {
                    reader.note(followed, &mut lock(&theirs));
                });
                if let Err(fault) = polled {
                    lock(&theirs).failed = Some(fault.to_string());
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(run);
        Ok(Self {
            seen,
            stop,
            thread: Some(thread.context("a thread")?),
        })
    }

    pub(crate) fn seen(&self) -> MutexGuard<'_, Seen> {
        lock(&self.seen)
    }

    /// Errs when nothing is read any more: then silence shows nothing.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let failed = self.seen().failed.clone();
        let ended = self.thread.as_ref().is_some_and(JoinHandle::is_finished);
        match failed {
            Some(why) => Err(anyhow!("the topics are no longer read: {why}")),
            None if ended => Err(anyhow!("the topics are no longer read")),
            None => Ok(()),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            // Its panic has been reported by itself.
            drop(thread.join());
        }
    }
}

struct Reading {
    inputs: HashSet<String>,
    /// Rejected, events, control.
    own: [String; 3],
    overlooks: bool,
    last: HashMap<(String, i32), i64>,
}

impl Reading {
    fn note(&mut self, followed: &Followed<'_>, seen: &mut Seen) {
        let Followed {
            topic,
            partition,
            record,
        } = followed;
        let last = self.last.entry(((*topic).to_owned(), partition.0)).or_insert(-1);
        // A client may fetch again what it had.
        if record.offset.0 <= *last {
            return;
        }
        *last = record.offset.0;
        let [rejected, events, control] = &self.own;
        if self.inputs.contains(*topic) {
            seen.ledger
                .note_input((topic, partition.0, record.offset.0), record.key);
        } else if *topic == rejected {
            seen.ledger.note_rejected(&(record.headers)(), self.overlooks);
        } else if *topic == events {
            seen.ledger.note_log(&(record.headers)());
        } else if *topic == control {
            let written = record.timestamp.unwrap_or(Timestamp::MIN);
            let Seen { voices, violations, .. } = seen;
            voices.hear(record.key.unwrap_or_default(), record.value, written, violations);
        }
    }
}
