//! One deploy under watch.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    evidence::{Blip, EProcess, LN_BLIP_FACTOR, Observation, Since, narrow},
    steps::Grain,
};
use crate::model::{EnvironmentId, ServiceId, Suspect, Timestamp};

/// The first stretch after each stage, where a restart alone makes errors.
const BLIP: Duration = Duration::from_mins(1);
/// A watch that waits for observed steps ends after this at the latest: a nightly batch is judged by its next run.
const WATCH_MAX: Duration = Duration::from_hours(26);
/// Fewer observed steps than this judge nobody healthy.
const STEPS_MIN: u16 = 10;
/// Stages that have a blip and an onset of their own; a rollout in a hundred small steps is judged all along.
const STAGES_MAX: usize = 5;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) deploy_id: Box<str>,
    pub(crate) started_at: Timestamp,
    pub(crate) stage_at: Timestamp,
    /// Stages so far; none while no traffic has reached it.
    n_stages: u8,
    /// The judged step that was the first of each stage, from 1; 0 while it has had none.
    first_steps: [u16; STAGES_MAX],
    /// Whether there was a baseline when it began.
    pub(crate) judged: bool,
    /// The chance that one of its changes causes an incident, from commit risk.
    pub(crate) prior: f32,
    exposure: f32,
    process: EProcess,
    /// The blip that goes on; what it showed counts while it does.
    blip: Option<Box<Blip>>,
    ln_e_max: f32,
    pub(crate) alarmed_at: Option<Timestamp>,
}

/// What a watch found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchVerdict {
    Healthy,
    Regressed,
    /// Too little was seen, or nothing is known of what is usual.
    Unknown,
}

/// The report of a watch that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosedWatch {
    pub service: ServiceId,
    pub environment: EnvironmentId,
    pub deploy_id: Box<str>,
    pub started_at: Timestamp,
    pub closed_at: Timestamp,
    /// The greatest e-value it reached.
    pub e_value_max: f64,
    /// Errors since the estimated onset as a multiple of the baseline; with its one-sided 95 % lower bound.
    pub rate_ratio: f64,
    pub rate_ratio_low: f64,
    pub verdict: WatchVerdict,
    pub alarmed_at: Option<Timestamp>,
    pub suspects: Vec<Suspect>,
}

impl Watch {
    pub(crate) fn new(deploy_id: &str, started_at: Timestamp, judged: bool, prior: f64) -> Self {
        Self {
            deploy_id: deploy_id.into(),
            started_at,
            stage_at: started_at,
            n_stages: 0,
            first_steps: [0; STAGES_MAX],
            judged,
            prior: narrow(prior),
            exposure: 0.0,
            process: EProcess::new(),
            blip: None,
            ln_e_max: 0.0,
            alarmed_at: None,
        }
    }

    /// The deploy has reached `exposure` of the traffic: if that is more than before, a stage with an onset of its own.
    pub(crate) fn stage(&mut self, at: Timestamp, exposure: f64) {
        let exposure = narrow(exposure);
        if exposure <= self.exposure {
            return;
        }
        self.exposure = exposure;
        if usize::from(self.n_stages) < STAGES_MAX {
            self.n_stages += 1;
            self.stage_at = self.stage_at.max(at);
            self.blip = None;
        }
    }

    /// How many observed steps it lasts.
    pub(crate) fn horizon(grain: Grain, watch: Duration) -> u16 {
        let steps = watch.as_millis() / grain.duration().as_millis().max(1);
        u16::try_from(steps).unwrap_or(u16::MAX).max(STEPS_MIN)
    }

    /// Takes in the step that begins at `start`, unless it was over before the deploy reached any traffic.
    pub(crate) fn observe(&mut self, start: Timestamp, grain: Grain, observation: &Observation, horizon: u16) {
        let of_stage = start + grain.duration() > self.stage_at;
        if self.n_stages == 0 || (self.n_stages == 1 && !of_stage) {
            return;
        }
        if of_stage && start < self.stage_at + BLIP {
            self.blip.get_or_insert_default().observe(observation);
        } else {
            self.blip = None;
            let stage = usize::from(self.n_stages) - 1;
            let is_first = of_stage && self.first_steps[stage] == 0;
            self.process.observe(observation, is_first.then_some(stage), horizon);
            if is_first {
                self.first_steps[stage] = self.process.n_steps();
            }
        }
        self.ln_e_max = self.ln_e_max.max(narrow(self.ln_e()));
    }

    /// The evidence against it, with a blip's share counted at its higher threshold.
    pub(crate) fn ln_e(&self) -> f64 {
        self.process.ln_e().max(self.ln_e_of_blip())
    }

    fn ln_e_of_blip(&self) -> f64 {
        let blip = self.blip.as_ref();
        blip.map_or(f64::NEG_INFINITY, |blip| blip.ln_e() - LN_BLIP_FACTOR)
    }

    /// The blip, if it is what speaks against the deploy.
    fn leading_blip(&self) -> Option<&Blip> {
        self.blip
            .as_deref()
            .filter(|_| self.ln_e_of_blip() > self.process.ln_e())
    }

    pub(crate) fn since_onset(&self) -> Since {
        self.leading_blip()
            .map_or_else(|| self.process.since_onset(), |blip| blip.since)
    }

    pub(crate) fn is_over(&self, now: Timestamp, horizon: u16) -> bool {
        self.process.n_steps() >= horizon || now.since(self.started_at) >= WATCH_MAX
    }

    /// When it ends even if nothing is observed.
    pub(crate) fn ends_by(&self) -> Timestamp {
        self.started_at + WATCH_MAX
    }

    /// What it says when nothing alarmed: too little seen is not healthy.
    pub(crate) fn quiet_verdict(&self) -> WatchVerdict {
        if self.judged && self.process.n_steps() >= STEPS_MIN {
            WatchVerdict::Healthy
        } else {
            WatchVerdict::Unknown
        }
    }

    /// Its report; `size` is the negative-binomial size of the baseline.
    pub(crate) fn report(&self, ends: &Ending<'_>) -> ClosedWatch {
        let since = self.since_onset();
        ClosedWatch {
            service: ends.service.clone(),
            environment: ends.environment.clone(),
            deploy_id: self.deploy_id.clone(),
            started_at: self.started_at,
            closed_at: ends.at,
            e_value_max: f64::from(self.ln_e_max).min(700.0).exp(),
            rate_ratio: since.ratio(),
            rate_ratio_low: since.ratio_low(ends.size),
            verdict: ends.verdict,
            alarmed_at: self.alarmed_at,
            suspects: ends.suspects.to_vec(),
        }
    }
}

/// How a watch ended.
pub(crate) struct Ending<'a> {
    pub(crate) service: &'a ServiceId,
    pub(crate) environment: &'a EnvironmentId,
    pub(crate) at: Timestamp,
    pub(crate) size: f64,
    pub(crate) verdict: WatchVerdict,
    pub(crate) suspects: &'a [Suspect],
}
