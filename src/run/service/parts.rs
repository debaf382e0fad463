//! The parts that are supervised: the view, the ingest worker, the score worker.

use std::{
    collections::VecDeque,
    sync::{Arc, mpsc},
    time::Duration,
};

use anyhow::Context as _;

use super::{Instance, instance::Misfit, probe::Probe};
use crate::{
    clock::Stopwatch,
    run::{
        ingest::{self, Ingest},
        progress::Stuck,
        restore::{beside, restore},
        score::{self, Ask, Query, Restorer, Score},
        supervise::Life,
        viewer::{Following, Viewer, peers},
    },
    stream::{Fault, kafka::KafkaClient},
};

/// How long a client may take to leave.
const CLOSE_MAX: Duration = Duration::from_secs(8);

/// The parts that are supervised.
pub(super) enum Part {
    Viewer {
        instance: Instance,
        following: Option<Box<Following>>,
        probe: Option<Probe>,
        /// Brokers lost later are no reason to set the readiness back: heartbeats grow stale, and what stands stands. A
        /// log whose partition count is another one is.
        was_whole: bool,
    },
    Ingest {
        instance: Instance,
        worker: Option<Box<ingest::Worker<KafkaClient>>>,
        probe: Option<Probe>,
    },
    Score {
        instance: Instance,
        worker: Option<Box<score::Worker<KafkaClient>>>,
        probe: Option<Probe>,
        queries: Option<mpsc::Receiver<Query>>,
    },
}

impl Life for Part {
    fn begin(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Viewer {
                instance,
                following,
                was_whole,
                ..
            } => {
                // Only a person mends it, and no override given until then is heard.
                instance
                    .topic_counts()
                    .inspect_err(|error| *was_whole &= !error.is::<Misfit>())?;
                *following = Some(Box::new(Following::begin(viewer(instance))?));
                Ok(())
            }
            Self::Ingest { instance, worker, .. } => {
                *worker = Some(Box::new(ingest_worker(instance)?));
                Ok(())
            }
            Self::Score {
                instance,
                worker,
                queries,
                ..
            } => {
                let counts = instance.topic_counts()?;
                let topics = &instance.settings.topics;
                let written = [&topics.control, &topics.state, &topics.events].map(|topic| &**topic);
                let client = instance.client("score", &[&topics.events], &written)?;
                let restorer = restorer(instance.clone(), counts.log)?;
                // The questions outlive the worker that answers them: taken last, for what fails here is tried again.
                let receive = queries
                    .take()
                    .context("the questions are held by a worker that was not let go")?;
                *worker = Some(Box::new(score::Worker::new(
                    score_settings(instance, counts.log),
                    client,
                    restorer,
                    receive,
                    Arc::clone(&instance.policy),
                )));
                Ok(())
            }
        }
    }

    fn turn(&mut self) -> Result<(), Fault> {
        match self {
            Self::Viewer { following, .. } => match following {
                Some(following) => following.turn(),
                None => Err(Fault::Fatal("no follower".to_owned())),
            },
            Self::Ingest { instance, worker, .. } => match worker {
                Some(worker) => worker.turn(peers(&instance.view, &instance.name, instance.clock.now())),
                None => Err(Fault::Fatal("no worker".to_owned())),
            },
            Self::Score { worker, .. } => match worker {
                Some(worker) => worker.turn(),
                None => Err(Fault::Fatal("no worker".to_owned())),
            },
        }
    }

    fn stuck(&mut self) -> Option<String> {
        match self {
            Self::Viewer {
                instance,
                following: Some(following),
                probe,
                ..
            } => judge(instance, probe, following.stuck(), || following.excuse()),
            Self::Ingest {
                instance,
                worker: Some(worker),
                probe,
            } => judge(instance, probe, worker.stuck(), || worker.excuse()),
            Self::Score {
                instance,
                worker: Some(worker),
                probe,
                ..
            } => judge(instance, probe, worker.stuck(), || worker.excuse()),
            Self::Viewer { following: None, .. }
            | Self::Ingest { worker: None, .. }
            | Self::Score { worker: None, .. } => None,
        }
    }

    fn well_for(&self) -> Duration {
        match self {
            Self::Viewer { following, .. } => following.as_ref().map(|following| following.well_for()),
            Self::Ingest { worker, .. } => worker.as_ref().map(|worker| worker.well_for()),
            Self::Score { worker, .. } => worker.as_ref().map(|worker| worker.well_for()),
        }
        .unwrap_or_default()
    }

    fn not_ready(&mut self) -> Option<String> {
        match self {
            Self::Score {
                worker: Some(worker), ..
            } => worker.not_ready(),
            Self::Viewer {
                instance,
                following,
                was_whole,
                ..
            } => {
                if following.as_ref().is_some_and(|following| following.is_control_read()) {
                    instance.health.note_control_read();
                }
                let behind = following.as_ref().and_then(|following| following.not_ready());
                *was_whole |= behind.is_none();
                behind.filter(|_| !*was_whole)
            }
            Self::Ingest { .. } | Self::Score { worker: None, .. } => None,
        }
    }

    fn not_ready_without(&self, why: String) -> Option<String> {
        match self {
            Self::Viewer { was_whole: true, .. } => None,
            Self::Viewer { .. } | Self::Ingest { .. } | Self::Score { .. } => Some(why),
        }
    }

    fn end(&mut self) {
        match self {
            // What is still being found out is about this client, not the next.
            Self::Viewer { probe, .. } | Self::Ingest { probe, .. } | Self::Score { probe, .. } => *probe = None,
        }
        let client = match self {
            Self::Viewer { following, .. } => {
                *following = None;
                None
            }
            Self::Ingest { instance, worker, .. } => worker.take().map(|mut worker| {
                if instance.is_stopping() {
                    worker.leave();
                }
                worker.into_client()
            }),
            Self::Score { worker, queries, .. } => worker.take().map(|worker| {
                let (client, receive) = worker.into_parts();
                *queries = Some(receive);
                client
            }),
        };
        if let Some(client) = client
            && let Err(fault) = client.close(CLOSE_MAX)
        {
            tracing::warn!("a client did not end in time and is left to itself: {fault}");
        }
    }
}

/// Has a worker that does not get on judged by another client's luck; says what is wrong, if it is the worker.
fn judge(
    instance: &Instance,
    probe: &mut Option<Probe>,
    stuck: Option<Stuck>,
    excuse: impl FnOnce(),
) -> Option<String> {
    if let (None, Some(stuck)) = (&probe, stuck) {
        *probe = Some(Probe::start(instance, stuck));
    }
    let verdict = probe.as_ref()?.verdict()?;
    *probe = None;
    excuse();
    verdict.err()
}

fn viewer(instance: &Instance) -> Viewer {
    Viewer {
        connection: instance.connection.clone(),
        tuning: instance.tuning.clone(),
        client_id: format!("{}-view", instance.name),
        control: Instance::topic(&instance.settings.topics.control),
        overrides: Instance::topic(&instance.settings.topics.overrides),
        view: Arc::clone(&instance.view),
        decisions: instance.decisions.clone(),
        clock: instance.clock,
    }
}

fn ingest_worker(instance: &Instance) -> anyhow::Result<ingest::Worker<KafkaClient>> {
    let counts = instance.topic_counts()?;
    let topics = &instance.settings.topics;
    let inputs: Vec<&str> = topics.consumed().map(|(_, topic)| topic).collect();
    let written = [&*topics.control, &*topics.events, &*topics.rejected];
    let client = instance.client("ingest", &inputs, &written)?;
    let settings = Ingest {
        instance: instance.name.clone(),
        default_environment: instance.settings.default_environment.as_str().into(),
        kinds: topics
            .consumed()
            .map(|(kind, topic)| (Instance::topic(topic), kind))
            .collect(),
        events: Instance::topic(&topics.events),
        control: Instance::topic(&topics.control),
        rejected: Instance::topic(&topics.rejected),
        n_partitions: counts.log,
        n_rejected_partitions: counts.rejected,
        clock: instance.clock,
    };
    Ok(ingest::Worker::new(settings, client))
}

fn score_settings(instance: &Instance, n_partitions: u32) -> Score {
    let topics = &instance.settings.topics;
    Score {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        config::{Flags, Settings},
        stream::kafka::Tuning,
    };

    #[test]
    fn what_is_found_out_of_a_client_is_not_held_against_the_next() {
        let flags = Flags::new();
        let (settings, _) =
            Settings::load(None, std::iter::empty(), &flags, &|path| std::fs::read_to_string(path)).expect("good");
        let instance = Instance::new(settings, Tuning::embedded(), Clock::wall()).expect("without a policy");
        let found = || Some(Probe::that_found(Stuck::Outside, true));
        let parts = [
            Part::Viewer {
                instance: instance.clone(),
                following: None,
                probe: found(),
                was_whole: false,
            },
            Part::Ingest {
                instance: instance.clone(),
                worker: None,
                probe: found(),
            },
            Part::Score {
                instance: instance.clone(),
                worker: None,
                probe: found(),
                queries: None,
            },
        ];
        for mut part in parts {
            part.end();
            let (Part::Viewer { probe, .. } | Part::Ingest { probe, .. } | Part::Score { probe, .. }) = &mut part;
            assert_eq!(judge(&instance, probe, None, || ()), None);
        }
    }
}
