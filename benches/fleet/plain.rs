//! The plain detector: what the design starts from, for comparison.
//!
//! One e-process for each deploy and its service, without a control: no versions, no blame of others,
//! no calibration by placebo windows, no spending of α by risk. Of each step of the producers' interval, x errors:
//!
//! ```text
//! m = rate · requests, or level · hour's profile where none are told; learned until the deploy
//! ln L_r = x ln r − (k' + x) [ln(k' + r h m) − ln(k' + h m)]      S_r ← (S_r + w_t) L_r      E = Σ S_r / 6 + rest
//! ```
//! 1/k' = 3 max(1, (1+ρ)/(1−ρ) · step/60 s) / k + 1/(X+1), of the size k and the autocorrelation ρ seen so far, and of X errors;
//! h is 1.25 where requests are told and 1.5 where not; half of the mass w is on the first step after each stage's restart, the
//! rest as 1/j. E ≥ 1/α freezes and names the deploy of the service's own with the
//! greatest E. So a caller is convicted of what its callee does, and an outage is put down to whatever was deployed last.

use std::time::Duration;

use holdpoint::{
    model::{Action, ChangeKind, Timestamp},
    sim::{Deploy, Reporting, Service, Simulation},
};

use crate::{
    drive::{Heard, Suspect, Voices},
    oracle::{ALPHA, step},
    sights::{Sight, Sights},
};

const MULTIPLES: [f64; 6] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0];
const WATCH: Duration = Duration::from_hours(2);
const WATCH_OF_BATCH: Duration = Duration::from_hours(26);
/// A stage's restarts: no step that meets them is judged.
const BLIP: Duration = Duration::from_mins(1);
const LEASE: Duration = Duration::from_hours(1);
/// Nobody is convicted by less history.
const HISTORY_MIN: Duration = Duration::from_hours(4);
const STEPS_MIN: u32 = 60;
const ANCHORED: f64 = 0.5;
/// 1 + 1/2 + … + 1/120.
const HARMONIC: f64 = 5.368_868;
const CAUTION: f64 = 3.0;
const RHO_MAX: f64 = 0.9;
const MARGIN: f64 = 0.25;

/// What it says of a fleet's services in production.
pub(crate) fn voices(simulation: &Simulation, sights: &Sights) -> Voices {
    let mut voices = Voices::new();
    for (place, service) in simulation.services().iter().enumerate() {
        let deploys = simulation.truth().deploys.iter();
        let deploys = deploys.filter(|deploy| {
            deploy.service == place && deploy.preview.is_none() && deploy.kind != ChangeKind::Rollback
        });
        let mut deploys: Vec<&Deploy> = deploys.collect();
        deploys.sort_by_key(|deploy| deploy.started_at());
        let said = Plain::new(service).voice(&deploys, sights.of(place, (Timestamp::MIN, Timestamp::NEVER)));
        voices.insert((service.name.clone(), "production".into()), said);
    }
    voices
}

/// One service.
struct Plain {
    step: Duration,
    watch: Duration,
    harmless: f64,
    usual: Usual,
    frozen_until: Timestamp,
}

impl Plain {
    fn new(service: &Service) -> Self {
        let told = service.reporting == Reporting::WithRequests;
        Self {
            step: step(service.interval),
            watch: if service.batch.is_some() { WATCH_OF_BATCH } else { WATCH },
            harmless: 1.0 + if told { MARGIN } else { 2.0 * MARGIN },
            usual: Usual::new(told, service.born_at),
            frozen_until: Timestamp::MIN,
        }
    }

    fn voice(mut self, deploys: &[&Deploy], sights: &[Sight]) -> Vec<Heard> {
        let mut said = Vec::new();
        let mut to_come = deploys.iter().peekable();
        let mut open: Vec<Watch<'_>> = Vec::new();
        let step = self.step;
        for sights in sights.chunk_by(|a, b| ends(a, step) == ends(b, step)) {
            let end = ends(&sights[0], step);
            let counted = Step {
                began: end - step,
                end,
                errors: sights.iter().map(Sight::errors).sum(),
                requests: sights.iter().map(Sight::requests).sum(),
            };
            while let Some(deploy) = to_come.next_if(|deploy| deploy.started_at() < end) {
                open.push(Watch::new(deploy, self.usual.clone(), step));
            }
            open.retain(|watch| watch.is_open(counted.began, self.watch));
            for watch in &mut open {
                watch.observe(&counted, self.harmless);
            }
            let worst = open.iter().max_by(|a, b| a.e_value.total_cmp(&b.e_value));
            if let Some(worst) = worst.filter(|worst| worst.e_value >= 1.0 / ALPHA && end >= self.frozen_until) {
                said.extend(said.last().is_some().then(|| ended(self.frozen_until)));
                said.push(freeze(end, worst));
                self.frozen_until = end + LEASE;
                open.clear();
            }
            if end >= self.frozen_until {
                self.usual.learn(&counted);
            }
        }
        said
    }
}

/// When the step of an interval ends, in which it is booked whole.
fn ends(sight: &Sight, step: Duration) -> Timestamp {
    (sight.time - Duration::from_millis(1)).floor(step) + step
}

fn freeze(at: Timestamp, watch: &Watch<'_>) -> Heard {
    Heard {
        at: at + Duration::from_secs(10),
        action: Action::Freeze,
        until: Some(at + LEASE),
        code: "deploy_regression".into(),
        deploy: Some(watch.deploy.id.clone()),
        suspect: Some(Suspect::of(Some(&watch.deploy.id))),
        text: format!("E {:.0}", watch.e_value).into(),
    }
}

fn ended(at: Timestamp) -> Heard {
    Heard {
        at,
        action: Action::Proceed,
        until: None,
        code: "healthy".into(),
        deploy: None,
        suspect: None,
        text: "".into(),
    }
}

/// One step of all versions together.
struct Step {
    began: Timestamp,
    end: Timestamp,
    errors: f64,
    requests: f64,
}

/// What is usual: errors a request, or errors a step times the shape of the day.
#[derive(Clone)]
struct Usual {
    by_requests: bool,
    born_at: Timestamp,
    n_steps: u32,
    learned_at: Timestamp,
    /// Errors, and requests or steps, decayed.
    errors: f64,
    exposure: f64,
    /// By hour: errors as multiples of the level, and steps.
    hours: [(f64, f64); 24],
    /// Squares beyond chance, and of means.
    over: f64,
    squares: f64,
    /// What the last step had above its mean, in roots of the mean; products of neighbours, and squares.
    last: f64,
    products: f64,
    own_squares: f64,
}

const LEVEL_HALF_LIFE: Duration = Duration::from_hours(72);
const SHAPE_HALF_LIFE: Duration = Duration::from_hours(14 * 24);
/// A cell of the day's shape is drawn to the level by so many steps.
const SHAPE_WEIGHT: f64 = 10.0;

impl Usual {
    fn new(by_requests: bool, born_at: Timestamp) -> Self {
        Self {
            by_requests,
            born_at,
            n_steps: 0,
            learned_at: born_at,
            errors: 0.0,
            exposure: 0.0,
            hours: [(0.0, 0.0); 24],
            over: 0.0,
            squares: 0.0,
            last: 0.0,
            products: 0.0,
            own_squares: 0.0,
        }
    }

    fn is_known(&self, at: Timestamp) -> bool {
        self.n_steps >= STEPS_MIN && at.since(self.born_at) >= HISTORY_MIN
    }

    fn mean(&self, step: &Step) -> f64 {
        let level = (self.errors + 1.0) / self.exposure.max(1e-9);
        if self.by_requests {
            level * step.requests
        } else {
            let (sum, n) = self.hours[hour(step.began)];
            level * (sum + SHAPE_WEIGHT) / (n + SHAPE_WEIGHT)
        }
    }

    fn size(&self) -> f64 {
        if self.over > 0.0 {
            (self.squares / self.over).clamp(0.3, 100.0)
        } else {
            100.0
        }
    }

    /// k', of steps of this length.
    fn cautious_size(&self, step: Duration) -> f64 {
        let rho = if self.own_squares > 0.0 {
            (self.products / self.own_squares).clamp(0.0, RHO_MAX)
        } else {
            0.0
        };
        let steps_as_one = (1.0 + rho) / (1.0 - rho) * step.as_secs_f64() / 60.0;
        1.0 / (CAUTION * steps_as_one.max(1.0) / self.size() + 1.0 / (self.errors + 1.0))
    }

    fn learn(&mut self, step: &Step) {
        if self.n_steps >= STEPS_MIN {
            let mean = self.mean(step);
            self.over += (step.errors - mean) * (step.errors - mean) - mean;
            self.squares += mean * mean;
            let above = (step.errors - mean) / mean.max(1e-9).sqrt();
            self.products += self.last * above;
            self.own_squares += above * above;
            self.last = above;
        }
        let passed = step.end.since(self.learned_at);
        let kept = |half_life: Duration| (-passed.as_secs_f64() / half_life.as_secs_f64()).exp2();
        let level = kept(LEVEL_HALF_LIFE);
        let exposure = if self.by_requests { step.requests } else { 1.0 };
        self.errors = self.errors * level + step.errors;
        self.exposure = self.exposure * level + exposure;
        for sum in [
            &mut self.over,
            &mut self.squares,
            &mut self.products,
            &mut self.own_squares,
        ] {
            *sum *= level;
        }
        if !self.by_requests {
            let shape = kept(SHAPE_HALF_LIFE);
            for (sum, n) in &mut self.hours {
                *sum *= shape;
                *n *= shape;
            }
            let (sum, n) = &mut self.hours[hour(step.began)];
            *sum += step.errors * self.exposure / (self.errors + 1.0);
            *n += 1.0;
        }
        self.n_steps += 1;
        self.learned_at = step.end;
    }
}

fn hour(at: Timestamp) -> usize {
    let since = at.since(at.floor(Duration::from_hours(24)));
    usize::try_from(since.as_secs() / 3_600).unwrap_or(0) % 24
}

/// One deploy.
struct Watch<'a> {
    deploy: &'a Deploy,
    usual: Usual,
    size: f64,
    n_steps: f64,
    n_stages: usize,
    rest: f64,
    sums: [f64; MULTIPLES.len()],
    e_value: f64,
}

impl<'a> Watch<'a> {
    fn new(deploy: &'a Deploy, usual: Usual, step: Duration) -> Self {
        Self {
            deploy,
            size: usual.cautious_size(step),
            usual,
            n_steps: 0.0,
            n_stages: 0,
            rest: 1.0,
            sums: [0.0; MULTIPLES.len()],
            e_value: 0.0,
        }
    }

    /// It was not taken back, and its time is not over.
    fn is_open(&self, at: Timestamp, length: Duration) -> bool {
        let started_at = self.deploy.started_at();
        at.since(started_at) < length
            && self.usual.is_known(started_at)
            && self.deploy.fault.is_none_or(|fault| at < fault.until)
    }

    fn observe(&mut self, step: &Step, harmless: f64) {
        let stages = &self.deploy.stages;
        if stages
            .iter()
            .any(|stage| stage.at < step.end && stage.at + BLIP > step.began)
        {
            return;
        }
        self.n_steps += 1.0;
        let begun = stages.iter().filter(|stage| stage.at <= step.began).count();
        let of_stages = real(begun - self.n_stages.min(begun)) / real(stages.len());
        let mass = ANCHORED * of_stages + (1.0 - ANCHORED) / (self.n_steps * HARMONIC);
        let mass = mass.min(self.rest);
        self.n_stages = begun;
        self.rest -= mass;
        let (x, k, mean) = (step.errors, self.size, (self.usual.mean(step) * harmless).max(1e-9));
        for (sum, r) in self.sums.iter_mut().zip(MULTIPLES) {
            let ln_ratio = x * r.ln() - (k + x) * ((k + r * mean) / (k + mean)).ln();
            *sum = ((*sum + mass) * ln_ratio.exp()).min(1e200);
        }
        self.e_value = self.rest + self.sums.iter().sum::<f64>() / real(MULTIPLES.len());
    }
}

fn real(n: usize) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
