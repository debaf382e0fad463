//! The view of the control topic and the overrides, which every instance keeps.

use std::{sync::Arc, time::Duration};

use super::{Instance, judge};
use crate::{
    run::{
        service::{instance::Misfit, probe::Probe},
        supervise::Life,
        viewer::{Following, Viewer},
    },
    stream::Fault,
};

pub(crate) struct ViewPart {
    instance: Instance,
    following: Option<Following>,
    pub(super) probe: Option<Probe>,
    /// Brokers lost later are no reason to set the readiness back: heartbeats grow stale, and what stands stands. A
    /// log whose partition count is another one is.
    pub(crate) was_whole: bool,
}

impl ViewPart {
    pub(crate) fn new(instance: Instance) -> Self {
        Self {
            instance,
            following: None,
            probe: None,
            was_whole: false,
        }
    }
}

impl Life for ViewPart {
    fn begin(&mut self) -> anyhow::Result<()> {
        // Only a person mends it, and no override given until then is heard.
        self.instance
            .topic_counts()
            .inspect_err(|error| self.was_whole &= !error.is::<Misfit>())?;
        self.following = Some(Following::begin(viewer(&self.instance))?);
        Ok(())
    }

    fn turn(&mut self) -> Result<(), Fault> {
        match &mut self.following {
            Some(following) => following.turn(),
            None => Err(Fault::Fatal("no follower".to_owned())),
        }
    }

    fn stuck(&mut self) -> Option<String> {
        let following = self.following.as_mut()?;
        judge(&self.instance, &mut self.probe, following.stuck(), || {
            following.excuse();
        })
    }

    fn well_for(&self) -> Duration {
        self.following.as_ref().map(Following::well_for).unwrap_or_default()
    }

    fn not_ready(&mut self) -> Option<String> {
        let following = self.following.as_ref();
        if following.is_some_and(Following::is_control_read) {
            self.instance.health.note_control_read();
        }
        let behind = following.and_then(Following::not_ready);
        self.was_whole |= behind.is_none();
        behind.filter(|_| !self.was_whole)
    }

    fn not_ready_without(&self, why: String) -> Option<String> {
        (!self.was_whole).then_some(why)
    }

    fn end(&mut self) {
        self.probe = None;
        self.following = None;
    }
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
