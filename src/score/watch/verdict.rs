//! What a watch found, and its report.

use serde::{Deserialize, Serialize};

use super::{WATCH_STEPS_MIN, Watch};
use crate::{
    model::{EnvironmentId, ServiceId, Suspect, Timestamp},
    score::baseline::Sizes,
};

/// What a watch found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WatchVerdict {
    /// Too little was seen, or nothing is known of what is usual.
    Unknown,
    Healthy,
    Regressed,
}

/// The report of a watch that ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ClosedWatch {
    pub service: ServiceId,
    pub environment: EnvironmentId,
    pub deploy_id: Box<str>,
    pub started_at: Timestamp,
    pub closed_at: Timestamp,
    /// Whether there was history enough to judge it by.
    pub judged: bool,
    /// Whether errors had risen before it, and still were, so that it was not judged by what is usual.
    pub in_trouble: bool,
    /// Steps that it was judged by.
    pub n_steps: u16,
    /// The greatest e-value it reached, and what would have convicted it at the end.
    pub e_value_max: f64,
    pub e_threshold: f64,
    /// Errors since the estimated onset as a multiple of the baseline; with its one-sided 95 % lower bound.
    pub rate_ratio: f64,
    pub rate_ratio_low: f64,
    pub verdict: WatchVerdict,
    /// What earlier watches of the same deploy found, if there were any: it is one deploy.
    pub earlier: Option<WatchVerdict>,
    pub alarmed_at: Option<Timestamp>,
    pub suspects: Vec<Suspect>,
}

/// How a watch ended.
pub(crate) struct Ending<'a> {
    pub(crate) service: &'a ServiceId,
    pub(crate) environment: &'a EnvironmentId,
    pub(crate) at: Timestamp,
    pub(crate) sizes: Sizes,
    pub(crate) ln_threshold: f64,
    pub(crate) verdict: WatchVerdict,
    pub(crate) suspects: &'a [Suspect],
}

impl Watch {
    /// What it says when nothing alarmed: too little seen is not healthy, nor are errors ten times likelier of a fault, nor
    /// what was only held against errors that had risen before.
    pub(crate) fn quiet_verdict(&self, is_silent: bool) -> WatchVerdict {
        // A source that has fallen silent said something for half of the watch, or nothing good.
        let least = if is_silent {
            WATCH_STEPS_MIN.max(self.horizon / 2)
        } else {
            WATCH_STEPS_MIN
        };
        if self.judged && self.process.n_steps() >= least && !self.is_doubtful() && !self.raised.is_some() {
            WatchVerdict::Healthy
        } else {
            WatchVerdict::Unknown
        }
    }

    /// Its report.
    pub(crate) fn report(&self, ends: &Ending<'_>) -> ClosedWatch {
        let since = self.since_onset();
        ClosedWatch {
            service: ends.service.clone(),
            environment: ends.environment.clone(),
            deploy_id: self.deploy_id.clone(),
            started_at: self.started_at(),
            closed_at: ends.at,
            judged: self.judged,
            in_trouble: self.raised.is_some(),
            n_steps: self.process.n_steps(),
            e_value_max: f64::from(self.ln_e_max).min(700.0).exp(),
            e_threshold: ends.ln_threshold.min(700.0).exp(),
            rate_ratio: since.ratio(),
            rate_ratio_low: since.ratio_low(ends.sizes.of_block(since.n_steps)),
            verdict: ends.verdict,
            earlier: self.earlier,
            alarmed_at: self.has_alarmed().then(|| self.alarmed_at.start()),
            suspects: ends.suspects.to_vec(),
        }
    }
}
