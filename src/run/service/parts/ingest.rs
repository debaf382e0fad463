//! The ingest worker of an instance.

use std::time::Duration;

use super::{Instance, close, judge};
use crate::{
    run::{
        ingest::{IngestSettings, Worker},
        service::probe::Probe,
        supervise::Life,
        viewer::peers,
    },
    stream::{Fault, kafka::KafkaClient},
};

pub(crate) struct IngestPart {
    instance: Instance,
    worker: Option<Worker<KafkaClient>>,
    pub(super) probe: Option<Probe>,
}

impl IngestPart {
    pub(crate) fn new(instance: Instance) -> Self {
        Self {
            instance,
            worker: None,
            probe: None,
        }
    }
}

impl Life for IngestPart {
    fn begin(&mut self) -> anyhow::Result<()> {
        self.worker = Some(worker(&self.instance)?);
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Fault> {
        let Self { instance, worker, .. } = self;
        match worker {
            Some(worker) => worker.turn(peers(&instance.view, &instance.name, instance.clock.now())),
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
        None
    }

    fn end(&mut self) {
        self.probe = None;
        if let Some(mut worker) = self.worker.take() {
            if self.instance.is_stopping() {
                worker.leave();
            }
            close(worker.into_client());
        }
    }
}

fn worker(instance: &Instance) -> anyhow::Result<Worker<KafkaClient>> {
    let counts = instance.topic_counts()?;
    let topics = &instance.settings.topics;
    let inputs: Vec<&str> = topics.consumed().map(|(_, topic)| topic).collect();
    let written = [&*topics.control, &*topics.events, &*topics.rejected];
    let client = instance.client("ingest", &inputs, &written)?;
    let settings = IngestSettings {
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
    Ok(Worker::new(settings, client))
}
