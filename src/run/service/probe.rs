//! A second opinion: what a client of another make can do of what a worker's cannot.

use std::{sync::mpsc, time::Duration};

use super::Instance;
use crate::{
    run::progress::Stuck,
    stream::{Fault, Reader as _},
};

/// A record that is there is fetched sooner than this.
const FETCH_BOUND: Duration = Duration::from_secs(5);

/// A worker does not get on; whether another would is being found out, on a thread beside it.
pub(super) struct Probe {
    stuck: Stuck,
    could_be_done: mpsc::Receiver<bool>,
}

impl Probe {
    pub(super) fn start(instance: &Instance, stuck: Stuck) -> Self {
        tracing::warn!("{stuck}; asking whether anybody could do better");
        let (answer, could_be_done) = mpsc::channel();
        let (instance, asked) = (instance.clone(), stuck.clone());
        let thread = std::thread::Builder::new().name("probe".to_owned());
        let spawned = thread.spawn(move || {
            // Without an answer nobody could. Who asked may have gone.
            let could_be_done = ask(&instance, &asked).unwrap_or(false);
            answer.send(could_be_done).unwrap_or(());
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "no thread");
        }
        Self { stuck, could_be_done }
    }

    /// One that has been answered already.
    #[cfg(test)]
    pub(super) fn that_found(stuck: Stuck, could_be_done: bool) -> Self {
        let (answer, receive) = mpsc::channel();
        answer.send(could_be_done).expect("it is received below");
        Self {
            stuck,
            could_be_done: receive,
        }
    }

    /// `None` while it is being found out; then what is wrong with the worker, or that nothing is.
    pub(super) fn verdict(&self) -> Option<Result<(), String>> {
        match self.could_be_done.try_recv() {
            Ok(true) => Some(Err(format!("{}, and another client could do it", self.stuck))),
            Ok(false) | Err(mpsc::TryRecvError::Disconnected) => Some(Ok(())),
            Err(mpsc::TryRecvError::Empty) => None,
        }
    }
}

fn ask(instance: &Instance, stuck: &Stuck) -> Result<bool, Fault> {
    let mut reader = instance.reader("probe")?;
    match stuck {
        Stuck::Silent(partition, offset) => reader.has_record(partition, *offset, FETCH_BOUND),
        Stuck::Outside | Stuck::Aborting => Ok(reader.partition_count(&instance.settings.topics.events)?.is_some()),
    }
}
