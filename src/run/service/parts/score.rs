//! The score worker of an instance, and the thread beside it that restores its partitions.

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc},
    time::Duration,
};

use anyhow::Context as _;

use super::{Instance, close, judge};
use crate::{
    clock::Stopwatch,
    run::{
        restore::{beside, restore},
        score::{Ask, Query, Restorer, ScoreSettings, Worker},
        service::probe::Probe,
        supervise::Life,
    },
    stream::{Fault, kafka::KafkaClient},
};

pub(crate) struct ScorePart {
    instance: Instance,
    worker: Option<Worker<KafkaClient>>,
    pub(super) probe: Option<Probe>,
    /// Questions outlive the worker that answers them: it has them while it lives.
    queries: Option<mpsc::Receiver<Query>>,
}

impl ScorePart {
    pub(crate) fn new(instance: Instance, queries: mpsc::Receiver<Query>) -> Self {
        Self {
            instance,
            worker: None,
            probe: None,
            queries: Some(queries),
        }
    }
}

impl Life for ScorePart {
    fn begin(&mut self) -> anyhow::Result<()> {
        let instance = &self.instance;
        let counts = instance.topic_counts()?;
        let topics = &instance.settings.topics;
        let written = [&topics.control, &topics.state, &topics.events].map(|topic| &**topic);
        let client = instance.client("score", &[&topics.events], &written)?;
        let restorer = restorer(instance.clone(), counts.log)?;
        // Taken last, for what fails here is tried again.
        let queries = self
            .queries
            .take()
            .context("the questions are held by a worker that was not let go")?;
        self.worker = Some(Worker::new(
            score_settings(instance, counts.log),
            client,
            restorer,
            queries,
            Arc::clone(&instance.policy),
        ));
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Fault> {
        match &mut self.worker {
            Some(worker) => worker.turn(),
            None => Err(Fault::Fatal("no worker".to_owned())),
        }
    }

    fn stuck(&mut self) -> Option<String> {
        let worker = self.worker.as_mut()?;
        judge(&self.instance, &mut self.probe, worker.stuck(), || worker.excuse())
    }

    fn well_for(&self) -> Duration {
        self.worker.as_ref().map(Worker::well_for).unwrap_or_default()
    }

    fn not_ready(&mut self) -> Option<String> {
        self.worker.as_ref()?.not_ready()
    }

    fn end(&mut self) {
        self.probe = None;
        if let Some(worker) = self.worker.take() {
            let (client, queries) = worker.into_parts();
            self.queries = Some(queries);
            close(client);
        }
    }
}

fn score_settings(instance: &Instance, n_partitions: u32) -> ScoreSettings {
    let topics = &instance.settings.topics;
    ScoreSettings {
        instance: instance.name.clone(),
        group: instance.settings.group.as_str().into(),
        url: instance.url.clone(),
        events: Instance::topic(&topics.events),
        state: Instance::topic(&topics.state),
        control: Instance::topic(&topics.control),
        n_partitions,
        clock: instance.clock,
        ai: instance.ai.clone(),
    }
}

/// A thread with a reader of its own that restores partitions, one after the other; it ends with its worker.
fn restorer(instance: Instance, n_partitions: u32) -> anyhow::Result<Restorer> {
    let (ask, asked) = mpsc::channel::<Ask>();
    let (answer, answers) = mpsc::channel();
    let (events, state) = (
        Instance::topic(&instance.settings.topics.events),
        Instance::topic(&instance.settings.topics.state),
    );
    let mut reader = Some(instance.reader("restore")?);
    let run = move || {
        let mut waiting: VecDeque<Ask> = VecDeque::new();
        loop {
            if waiting.is_empty() {
                match asked.recv() {
                    Ok(ask) => waiting.push_back(ask),
                    Err(_gone) => return,
                }
            }
            // Only the last question about a partition is still asked.
            for ask in asked.try_iter() {
                waiting.retain(|known| known.partition != ask.partition);
                waiting.push_back(ask);
            }
            let Some(ask) = waiting.pop_front() else { continue };
            if instance.is_stopping() {
                return;
            }
            let watch = Stopwatch::start();
            // One that failed may not mend by itself.
            let fresh = reader.take().map_or_else(|| instance.reader("restore"), Ok);
            let restored = fresh.map_err(anyhow::Error::from).and_then(|fresh| {
                restore(
                    reader.insert(fresh),
                    &beside(&events, ask.partition),
                    &beside(&state, ask.partition),
                    n_partitions,
                )
            });
            metrics::histogram!("holdpoint_state_restore_seconds").record(watch.elapsed().as_secs_f64());
            if restored.is_err() {
                reader = None;
                std::thread::sleep(Duration::from_millis(500));
            }
            if answer.send((ask, restored)).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("restore".to_owned())
        .spawn(run)
        .context("starting a thread")?;
    Ok(Restorer { ask, answers })
}
