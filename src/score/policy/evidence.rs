//! How evidence is weighed: the constants of the e-process, its baseline and its calibration. One value for all services.

use std::time::Duration;

/// The `[evidence]` table. Formulas and reasons: `docs/evidence.md`.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// History without which errors convict nobody: 4 h, since with a quarter of an hour a fifth of healthy deploys of a
    /// service with an error in ten minutes would be convicted; 1 h to 14 d.
    pub baseline_age: Duration,
    /// Observed steps without which errors convict nobody: 12, a batch's run of an hour told every five minutes, since what
    /// few steps leave open is in the scatter; 10 to 10,000.
    pub baseline_steps: u32,
    /// After each stage, restarts alone make errors for so long: 60 s; 0 to 10 min.
    pub restart_blip: Duration,
    /// Instances that restart may make up to so many times their usual errors meanwhile; what is beyond that counts: 10,
    /// since more than that would be called a fault; 1 to 1e6.
    pub restart_errors: f64,
    /// Where errors are rare a watch lasts until so many were to be expected, up to four times as long as it would: 25,
    /// which five times the errors double in a tenth of it; 0 to 1,000.
    pub watch_errors: f64,
    /// A step is learned from as at most so many times what is expected, and ten errors, since one spike would hide every
    /// fault for days: 3; 2 to 1,000.
    pub spike_learned: f64,
    /// A step is judged as at most so many times what is expected, and ten errors, unless each of the three before reached
    /// more: real counts have spikes that are over after a step or three, and faults last; 6, since of five times the errors
    /// little is cut; 2 to 1,000.
    pub spike_judged: f64,
    /// The scatter of single steps is taken for so many times what was measured, a standard error included: 1, since no
    /// truth of the null grid needs more; 1 to 10.
    pub step_caution: f64,
    /// The same for blocks of steps: 1; 1 to 10.
    pub block_caution: f64,
    /// Added to the margin at a time of day that was never seen, where errors are not held against attempts: .5, by which
    /// many services' errors differ between night and noon; 0 to 10.
    pub unseen_margin: f64,
    /// The share of steps with a record that makes a source dense, so that silence is no good news: 0.8; 0.1 to 1.
    pub dense_share: f64,
    /// Silent for so many times its usual gap, a source is unknown: 5; 2 to 100.
    pub silent_gaps: f64,
    /// No e-value below this freezes, however much α there is to spend: 200; 20 to 1e6.
    pub e_value_min: f64,
    /// Calibration raises the threshold to at most so many times 1/α; a service that would need more is `noisy_service`
    /// while E is between the two: 1,000; 1 to 1e6.
    pub calibration_max: f64,
    /// A service's own placebo windows count beside the pool as n/(n + this): 200; 10 to 10,000.
    pub calibration_weight: f64,
    /// Watches a week that are presumed until four weeks were counted: 100; 1 to 1e6.
    pub watches_per_week: f64,
}

impl Default for Evidence {
    fn default() -> Self {
        Self {
            baseline_age: Duration::from_hours(4),
            baseline_steps: 12,
            restart_blip: Duration::from_mins(1),
            restart_errors: 10.0,
            watch_errors: 25.0,
            spike_learned: 3.0,
            spike_judged: 6.0,
            step_caution: 1.0,
            block_caution: 1.0,
            unseen_margin: 0.5,
            dense_share: 0.8,
            silent_gaps: 5.0,
            e_value_min: 200.0,
            calibration_max: 1_000.0,
            calibration_weight: 200.0,
            watches_per_week: 100.0,
        }
    }
}
