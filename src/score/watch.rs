//! One deploy under watch.

mod restart;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    baseline::Sizes,
    blame::{density, steps_between},
    evidence::{
        Blocks, Control, DECLARED_MIN, EProcess, Likeness, Observation, Recent, SHARE_MAX, SHARE_MIN, Seen, Shares,
        Since, narrow,
    },
    exposure::Exposure,
    multiple::Multiple,
    short::Short,
    steps::{Closed, Grain, Version},
};
use crate::model::{EnvironmentId, Second, ServiceId, Suspect, Timestamp};

/// A watch that waits for observed steps ends so long after its last stage at the latest: a nightly batch is judged by its
/// next run.
const WATCH_MAX: Duration = Duration::from_hours(26);
/// How many times longer than asked for a watch lasts at most where errors are rare.
const LONGER_MAX: u16 = 4;
/// Fewer observed steps than this judge nobody healthy.
const STEPS_MIN: u16 = 10;
/// Evidence that is no reason to act but none to call a deploy healthy either.
const LN_DOUBTFUL: f64 = std::f64::consts::LN_10;
/// ln of how seldom one that tells errors has none in a step, to be taken for one that is not heard: once in twenty.
const LN_SILENT: f64 = 2.995_732_273_553_991;
/// How many steps before a stage a rise of rare errors may seem to have begun that came with it.
const EARLY_MAX: f64 = 10.0;
/// Stages that have a blip and an onset of their own; a rollout in a hundred small steps is judged all along.
const STAGES_MAX: usize = 5;
/// Stages prolong a watch to so many times its length at most.
const PROLONGED_MAX: u16 = 5;
/// And doubt to so many.
const DOUBTED_MAX: u16 = 2;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Watch {
    pub(crate) deploy_id: Box<str>,
    started_at: Second,
    stage_at: Second,
    /// Stages so far; none while no traffic has reached it.
    n_stages: u8,
    /// The judged step that was the first of each stage, from 1; 0 while it has had none.
    first_steps: [u16; STAGES_MAX],
    /// Whether there was a baseline when it began.
    pub(crate) judged: bool,
    /// What errors had risen to before it began, while they are there: they are not this deploy's.
    pub(crate) raised: Multiple,
    /// The chance that one of its changes causes an incident, from commit risk.
    prior: Short,
    exposure: Exposure,
    /// How much of the traffic the last stage added.
    restarted: Short,
    /// How many observed steps it lasts if no later stage prolongs it.
    horizon: u16,
    /// The observed step that is its last.
    last_step: u16,
    /// The version it brings, and the one it takes the place of; none where they are not told apart.
    version: Version,
    previous: Version,
    /// How its shares scattered: what is usual if it turns out healthy.
    pub(crate) shares: Shares,
    /// How many errors more its last step had than its share of all; 0 where that was no step beside a control.
    last_residual: Short,
    /// Whether a judged step had no control.
    was_uncontrolled: bool,
    /// What an earlier watch of the same deploy found, if there was one.
    pub(crate) earlier: Option<WatchVerdict>,
    process: EProcess,
    /// How much of its last stage's blip it took in by now, in 1/200, rounded up: records of several producers tell of the
    /// same seconds. 0: the last step it took in was none of restarts.
    seen_of_blip: u8,
    ln_e_max: f32,
    /// When it was first convicted; 1970 while it is not.
    alarmed_at: Second,
}

// Six of them beside all else are within 4 KiB.
const _: () = assert!(size_of::<Watch>() <= 152);

/// A closed step, and what it is judged by.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub(crate) closed: &'a Closed,
    pub(crate) grain: Grain,
    pub(crate) observation: &'a Observation,
    /// The steps up to this one.
    pub(crate) recent: &'a Recent,
    /// The margin where attempts are known.
    pub(crate) margin: f64,
    /// How alike the shares of healthy versions are.
    pub(crate) likeness: Likeness,
    /// What a step counts as at most, as a multiple of what is expected.
    pub(crate) spike: f64,
    /// How much of the traffic restarts for a deploy under watch, of which errors had not risen before: the part of what the
    /// step tells in which it may make errors, times its share.
    pub(crate) restarting: f64,
    /// How long restarts alone make errors.
    pub(crate) blip: Duration,
    /// Up to how many times as many as usual.
    pub(crate) blip_errors: f64,
}

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

impl Watch {
    /// `versions`: the one it brings, and the one it takes the place of.
    pub(crate) fn new(
        deploy_id: &str,
        started_at: Timestamp,
        judged: bool,
        prior: f64,
        versions: (Version, Version),
    ) -> Self {
        Self {
            deploy_id: deploy_id.into(),
            started_at: Second::of(started_at),
            stage_at: Second::of(started_at),
            n_stages: 0,
            first_steps: [0; STAGES_MAX],
            judged,
            raised: Multiple::NONE,
            prior: Short::of(prior),
            exposure: Exposure::default(),
            restarted: Short::default(),
            horizon: STEPS_MIN,
            last_step: STEPS_MIN,
            version: versions.0,
            previous: versions.1,
            shares: Shares::default(),
            last_residual: Short::default(),
            was_uncontrolled: false,
            earlier: None,
            process: EProcess::new(),
            seen_of_blip: 0,
            ln_e_max: 0.0,
            alarmed_at: Second::default(),
        }
    }

    /// It lasts for so many observed steps.
    pub(crate) fn lasting(mut self, horizon: u16) -> Self {
        self.horizon = horizon;
        self.last_step = horizon;
        self
    }

    /// It goes on where an earlier watch of the same deploy has ended.
    pub(crate) fn following(mut self, earlier: Option<WatchVerdict>) -> Self {
        self.earlier = earlier;
        self
    }

    /// Errors had risen before it began.
    pub(crate) fn amid(mut self, raised: Multiple) -> Self {
        self.raised = raised;
        self
    }

    /// What had risen before it is over: by the usual level nothing was seen of it yet, and it has all of its time for that.
    pub(crate) fn leave_trouble(&mut self) {
        self.raised = Multiple::NONE;
        if self.process.n_steps() > 0 {
            self.last_step = self.process.n_steps().saturating_add(self.horizon);
            self.begin_anew();
        }
    }

    /// What was seen so far is explained by something else: it is judged by what follows.
    pub(crate) fn begin_anew(&mut self) {
        self.horizon = self.left().max(STEPS_MIN);
        self.last_step = self.horizon;
        self.process = EProcess::new();
        // Its stages were long ago: none of the steps to come is the first of one.
        for first in &mut self.first_steps {
            *first = if *first > 0 { u16::MAX } else { 0 };
        }
        self.seen_of_blip = 0;
        self.ln_e_max = 0.0;
        self.acquit();
    }

    /// The chance that one of its changes causes an incident, from commit risk.
    pub(crate) fn prior(&self) -> f64 {
        self.prior.value()
    }

    pub(crate) fn started_at(&self) -> Timestamp {
        self.started_at.start()
    }

    /// It is convicted at `now`, and may have been before.
    pub(crate) fn alarm(&mut self, now: Timestamp) {
        if !self.has_alarmed() {
            self.alarmed_at = Second::of(now);
        }
    }

    /// What convicted it was another service's doing.
    pub(crate) fn acquit(&mut self) {
        self.alarmed_at = Second::default();
    }

    /// When it was first convicted, if it is.
    pub(crate) fn alarmed_at(&self) -> Timestamp {
        self.alarmed_at.start()
    }

    pub(crate) fn has_alarmed(&self) -> bool {
        self.alarmed_at != Second::default()
    }

    /// The deploy has reached `exposure` of the traffic: if that is more than before, a stage with an onset of its own, and
    /// `horizon` observed steps for what it brings to show.
    pub(crate) fn stage(&mut self, at: Timestamp, exposure: Exposure, horizon: u16) {
        if exposure <= self.exposure {
            return;
        }
        let last_step = self.process.n_steps().saturating_add(horizon);
        let longest = horizon.saturating_mul(PROLONGED_MAX);
        self.last_step = self.last_step.max(last_step.min(longest));
        self.restarted = Short::of(exposure.value() - self.exposure.value());
        self.exposure = exposure;
        if usize::from(self.n_stages) < STAGES_MAX {
            self.n_stages += 1;
            self.stage_at = self.stage_at.max(Second::of(at));
            self.seen_of_blip = 0;
        }
    }

    /// Whether a stage at `exposure` is no part of it any more: it has had its length, prolonged as it may be, and nothing
    /// speaks against the deploy so far. A watch of its own looks at that stage with all the evidence that one may be.
    pub(crate) fn is_followed_by(&self, exposure: Exposure) -> bool {
        let has_lasted = self.process.n_steps() >= self.horizon;
        exposure > self.exposure && has_lasted && !self.has_alarmed() && !self.is_doubtful()
    }

    fn is_doubtful(&self) -> bool {
        self.process.ln_e() >= LN_DOUBTFUL
    }

    /// Whether something speaks against the deploy, little as it may be.
    pub(crate) fn is_suspect(&self) -> bool {
        self.has_alarmed() || self.is_doubtful() || self.raised.is_some()
    }

    /// A step went by of which a record to come tells: it lasts as long by the clock, and takes ten steps at least.
    pub(crate) fn pass(&mut self) {
        let least = STEPS_MIN.max(self.process.n_steps());
        self.last_step = self.last_step.saturating_sub(1).max(least.min(self.last_step));
    }

    /// Observed steps that it lasts yet.
    fn left(&self) -> u16 {
        self.last_step.saturating_sub(self.process.n_steps())
    }

    /// Whether it has seen half of the steps that a watch has after its last stage: of the faults it looks for nine in ten
    /// have begun by then, as far as their onset is presumed (.3 at the deploy, half of the rest as 1/j). More was not
    /// asked for: a service that is deployed every quarter of an hour would never learn.
    pub(crate) fn has_mostly_seen(&self) -> bool {
        self.left() <= self.horizon / 2
    }

    /// When the last stage began, to the second.
    pub(crate) fn stage_at(&self) -> Timestamp {
        self.stage_at.start()
    }

    /// How many observed steps a watch lasts, where so many errors a step are usual: as long as the policy says, and
    /// where errors are rare until enough of them were to be expected for a fault to show, at most four times as long.
    pub(crate) fn horizon(grain: Grain, watch: Duration, level: f64, errors: f64) -> u16 {
        let steps = watch.as_millis() / grain.duration().as_millis().max(1);
        let least = u16::try_from(steps).unwrap_or(u16::MAX).max(STEPS_MIN);
        let most = least.saturating_mul(LONGER_MAX);
        (least..most)
            .find(|steps| f64::from(*steps) * level >= errors)
            .unwrap_or(most)
    }

    /// Takes in a step, unless what it tells of was over before the deploy reached any traffic.
    pub(crate) fn observe(&mut self, step: &Step<'_>) {
        let of_stage = step.closed.until > self.stage_at();
        if self.n_stages == 0 || (self.n_stages == 1 && !of_stage) {
            return;
        }
        let control = self.control(step);
        let stage = usize::from(self.n_stages) - 1;
        let own = self.restarting(step.closed, step.blip);
        // Where versions are told apart, another's restart is in neither's errors.
        let others = if control.is_none() { step.restarting } else { 0.0 };
        if own.max(others) > 0.0 {
            self.was_uncontrolled |= control.is_none();
            let beyond = self.beyond_restarts(step, control.as_ref(), own.max(others));
            let seen = self.take_of_blip(step, own > 0.0);
            self.process.observe_restart(&beyond, (stage, seen));
            self.last_residual = Short::default();
        } else {
            let has_restarted = std::mem::take(&mut self.seen_of_blip) > 0;
            if of_stage && self.first_steps[stage] == 0 {
                self.first_steps[stage] = self.process.n_steps().saturating_add(1);
            }
            self.was_uncontrolled |= control.is_none();
            let seen = self.seen(step, control.as_ref());
            if has_restarted {
                self.process.observe_restarted(&seen, &self.first_steps, self.horizon);
            } else {
                self.process.observe(&seen, &self.first_steps, self.horizon);
            }
            if let Some(control) = &control {
                self.shares.note(control, &mut self.last_residual);
            } else {
                self.last_residual = Short::default();
            }
        }
        self.ln_e_max = self.ln_e_max.max(narrow(self.ln_e()));
    }

    /// How much of the traffic it has reached.
    pub(crate) fn exposure(&self) -> Exposure {
        self.exposure
    }

    /// The version it brings, and the one it takes the place of; none where they are not told apart.
    pub(crate) fn versions(&self) -> (Version, Version) {
        (self.version, self.previous)
    }

    /// A step beside its control where it has one, else against the baseline.
    fn seen<'a>(&self, step: &Step<'a>, control: Option<&Control>) -> Seen<'a> {
        let exposure = self.exposure.value().max(DECLARED_MIN);
        if let Some(control) = control {
            return Seen {
                ln_ratios: control.ln_ratios(1.0, &step.likeness),
                errors: control.new,
                expected: control.expected(),
                blocks: None,
            };
        }
        let size = step.observation.sizes.step * self.part_heard(step);
        Seen {
            ln_ratios: step.observation.ln_ratios(size, exposure),
            errors: step.observation.errors,
            expected: step.observation.expected,
            // The steps before were held against another level.
            blocks: (!self.raised.is_some()).then(|| Blocks {
                recent: step.recent,
                sizes: &step.observation.sizes,
                harmless: step.observation.harmless / step.observation.expected,
                exposure,
                spike: step.spike,
            }),
        }
    }

    /// The part of the traffic that a step without a control tells of. Where attempts are told and all of them are of the new
    /// version, which has a part of the traffic by what was declared, the other's records were lost, and errors scatter as
    /// those of so few instances do.
    fn part_heard(&self, step: &Step<'_>) -> f64 {
        let new = step
            .closed
            .by_version
            .as_ref()
            .and_then(|by_version| by_version.of(self.version));
        let attempts = new.map(|new| u64::from(new.requests)).filter(|requests| *requests > 0);
        let exposure = self.exposure.value();
        if attempts.is_some() && attempts == step.closed.requests && exposure < SHARE_MAX {
            exposure
        } else {
            1.0
        }
    }

    /// The other versions' errors beside those of this one, where every record says whose they are and both have
    /// traffic. Which it is rests on no error, with one exception: where the old version tells none though that can hardly
    /// be, its record was lost or late, or it has no traffic left. What the new one told would stand beside nothing, and
    /// all of it against it; it is held against the baseline as all the errors there were.
    fn control(&self, step: &Step<'_>) -> Option<Control> {
        let by_version = step.closed.by_version.as_ref()?;
        if self.version == Version::NONE {
            return None;
        }
        let new = by_version.of(self.version).unwrap_or_default();
        let (errors, requests) = (f64::from(new.errors), f64::from(new.requests));
        let known = by_version.of(self.previous);
        let (old_errors, old_requests) = known.map_or_else(
            || {
                let all_requests = step.closed.requests.unwrap_or(0);
                (
                    step.observation.errors - errors,
                    super::baseline::count(all_requests) - requests,
                )
            },
            |old| (f64::from(old.errors), f64::from(old.requests)),
        );
        let by_requests = step.closed.requests.is_some() && requests + old_requests > 0.0;
        let (share, least, margin) = if by_requests {
            (requests / (requests + old_requests), SHARE_MIN, step.margin)
        } else {
            // Shares that are declared are of instances, not of traffic.
            (self.exposure.value(), DECLARED_MIN, 2.0 * step.margin)
        };
        // Without attempts, errors of minutes would stand beside those of one.
        if !by_requests && step.closed.n_steps(step.grain) > 1 {
            return None;
        }
        let is_heard = by_requests || old_errors > 0.0 || !self.is_silence_odd(step, 1.0 - share);
        (is_heard && (least..SHARE_MAX).contains(&share)).then_some(Control {
            new: errors,
            old: old_errors.max(0.0),
            share,
            margin,
        })
    }

    /// Whether the share of what is usual would hardly ever make no error in a step: where instances scatter independently,
    /// a share p of a size k has the size k p.
    fn is_silence_odd(&self, step: &Step<'_>, share: f64) -> bool {
        let size = step.observation.sizes.step * share;
        self.judged && size * (step.observation.expected / step.observation.sizes.step).ln_1p() > LN_SILENT
    }

    /// Whether every judged step had a control, so that what happens without a deploy says nothing of its evidence.
    pub(crate) fn is_controlled(&self) -> bool {
        !self.was_uncontrolled && (self.process.n_steps() > 0 || self.seen_of_blip > 0)
    }

    /// The evidence against it.
    pub(crate) fn ln_e(&self) -> f64 {
        self.process.ln_e()
    }

    pub(crate) fn since_onset(&self) -> Since {
        self.process.since_onset()
    }

    /// How many times as many errors there would be if all the traffic had it, as it has a part: 1 where it has all.
    pub(crate) fn times_for_all(&self) -> f64 {
        let (ratio, exposure) = (self.since_onset().ratio(), self.exposure.value().max(DECLARED_MIN));
        // Beside another version the ratio is its own errors', else that of all.
        let own = if self.is_controlled() {
            ratio
        } else {
            1.0 + (ratio - 1.0) / exposure
        };
        (own / (1.0 + exposure * (own - 1.0))).max(1.0)
    }

    /// Whether it was judged by what is usual and has seen something yet, be it in restarts.
    pub(crate) fn has_judged(&self) -> bool {
        self.judged && (self.process.n_steps() > 0 || self.seen_of_blip > 0)
    }

    /// Whether what speaks against it may have begun before it did: nothing before was looked at.
    pub(crate) fn may_be_older(&self) -> bool {
        self.process.n_steps() <= self.since_onset().n_steps.saturating_add(3)
    }

    /// How well a rise from the step at `onset` on goes with its stages, see [`density`]. What passed while the source was
    /// `silent` does not count: the first run of a nightly batch is close to a deploy of the morning before.
    pub(crate) fn at_stage(
        &self,
        onset: Timestamp,
        step: Duration,
        silent: impl Fn(Timestamp, Timestamp) -> Duration,
    ) -> f64 {
        if self.is_judged_anew() {
            return density([f64::from(self.horizon)]);
        }
        // One of the usual errors just before a rise makes it seem to have begun with that one: half of the usual time from
        // one to the next is no difference.
        let since = self.since_onset();
        let steps_per_error = f64::from(since.n_steps) / f64::from(since.expected).max(0.05);
        let early = (steps_per_error / 2.0).min(EARLY_MAX);
        density(self.stages().map(|at| {
            let silent = silent(at, onset);
            let after = steps_between(at.floor(step) + silent, onset, step);
            after.max((after + early).min(0.0))
        }))
    }

    /// Whether what was seen of its stages was explained by something else.
    fn is_judged_anew(&self) -> bool {
        self.first_steps.contains(&u16::MAX) && !self.first_steps.iter().any(|first| (1..u16::MAX).contains(first))
    }

    /// About when its stages began: the first and the last are known, and those between taken to be even.
    fn stages(&self) -> impl Iterator<Item = Timestamp> {
        let n_later = u32::from(self.n_stages).saturating_sub(1);
        let first = if n_later == 0 {
            self.stage_at()
        } else {
            self.started_at()
        };
        let apart = self.stage_at().since(first) / n_later.max(1);
        (0..=n_later).map(move |stage| first + apart * stage)
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        (self.left() == 0 && !self.goes_on()) || now >= self.ends_by()
    }

    /// Whether it is not left yet though it has had its length: something speaks against the deploy, or errors that had risen
    /// before may hide what it brings. E stays what it is however long it is looked at.
    fn goes_on(&self) -> bool {
        if self.raised.is_some() {
            return true;
        }
        let longest = self.horizon.saturating_mul(DOUBTED_MAX);
        self.judged && self.is_doubtful() && !self.has_alarmed() && self.process.n_steps() < longest
    }

    /// When it ends even if nothing is observed.
    pub(crate) fn ends_by(&self) -> Timestamp {
        self.stage_at() + WATCH_MAX
    }

    /// What it says when nothing alarmed: too little seen is not healthy, nor are errors ten times likelier of a fault, nor
    /// what was only held against errors that had risen before.
    pub(crate) fn quiet_verdict(&self, is_silent: bool) -> WatchVerdict {
        // A source that has fallen silent said something for half of the watch, or nothing good.
        let least = if is_silent {
            STEPS_MIN.max(self.horizon / 2)
        } else {
            STEPS_MIN
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

#[cfg(test)]
mod tests;
