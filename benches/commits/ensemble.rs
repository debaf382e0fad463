//! Online ensembles of the other methods: what would be gained by more than one model.
//!
//! Members see the labels that baselines see, as they come: a bug once it is revealed, clean after 90 days without; where
//! one turns, what was learned of it as clean is taken back. Two ways to put them together: *fixed share* (Herbster and
//! Warmuth, *Tracking the Best Expert*, 1998), a mixture by the log loss of calibrated probabilities so far; and a *stack*
//! (Wolpert 1992), whose weights are learned as Holdpoint learns its own, from pairs of changes of one time.

use crate::{
    figures::number,
    history::Landed,
    paths::{self, COMPARISON, Candidate},
    refit::{Known, Row, rows},
};

/// Variances of weights before anything is learned: of an intercept, of what a member's logit counts, of a measure beside
/// the cold start, and of a member in a stack, by itself or on top of another method.
const INTERCEPT_PRIOR: f64 = 4.0;
const SLOPE_PRIOR: f64 = 0.1;
const MEASURE_PRIOR: f64 = 0.01;
const MEMBER_PRIOR: f64 = 0.1;
const ON_TOP_PRIOR: f64 = 0.01;
/// The share of each weight that goes to all members at each label.
const SHARED: f64 = 1e-3;
/// A member before anything is learned of it: one change in five is buggy, and a deviation more risk is .7 more in logits.
const RATE_LOGIT: f64 = -1.4;
const SLOPE: f64 = 0.7;

/// Commits that means and deviations remember: a member's level moves with what it was fitted on.
const MEMORY: f64 = 500.0;

/// Weights as a normal distribution, moved by a step of Newton's for each label (an extended Kalman filter).
struct Filter {
    mean: Vec<f64>,
    covariance: Vec<Vec<f64>>,
}

impl Filter {
    /// By their means and variances.
    fn new(prior: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let (mean, variances): (Vec<f64>, Vec<f64>) = prior.into_iter().unzip();
        let n = mean.len();
        let row = |i: usize| (0..n).map(|j| if i == j { variances[i] } else { 0.0 }).collect();
        Self {
            covariance: (0..n).map(row).collect(),
            mean,
        }
    }

    fn logit(&self, input: &[f64]) -> f64 {
        dot(&self.mean, input)
    }

    fn learn(&mut self, input: &[f64], is_buggy: bool, weight: f64) {
        let p = sigmoid(self.logit(input));
        let residual = f64::from(u8::from(is_buggy)) - p;
        let curvature = weight * (p * (1.0 - p)).max(1e-4);
        let direction: Vec<f64> = self.covariance.iter().map(|row| dot(row, input)).collect();
        let scale = 1.0 / (1.0 + curvature * dot(&direction, input));
        for (i, row) in self.covariance.iter_mut().enumerate() {
            for (value, other) in row.iter_mut().zip(&direction) {
                *value -= curvature * scale * direction[i] * other;
            }
            self.mean[i] += weight * residual * scale * direction[i];
        }
    }

    /// What was learned as clean is buggy: the slopes of both together are 1, and their curvatures cancel.
    fn turn(&mut self, input: &[f64]) {
        for (mean, row) in self.mean.iter_mut().zip(&self.covariance) {
            *mean += dot(row, input);
        }
    }
}

/// What is said of a change at some time.
#[derive(Clone, Copy)]
enum Label {
    Clean,
    Buggy,
    /// It was taken for clean, and is not.
    Turned,
}

/// The labels in order of time, with the places of their commits.
fn labels(known: &Known<'_>) -> Vec<(i64, usize, Label)> {
    let mut labels = Vec::new();
    for (place, (commit, reveal)) in known.history.commits.iter().zip(known.reveals).enumerate() {
        let clean_at = commit.at + known.clean_after;
        match *reveal {
            Some(at) if at <= clean_at.max(commit.at + 1) => labels.push((at, place, Label::Buggy)),
            turned => {
                labels.push((clean_at, place, Label::Clean));
                labels.extend(turned.map(|at| (at, place, Label::Turned)));
            }
        }
    }
    labels.sort_by_key(|(at, place, _)| (*at, *place));
    labels
}

/// Logits in order of time, each of the moment its commit landed: `land` scores a change by its place, `learn` takes a label.
fn online<M>(
    known: &Known<'_>,
    model: &mut M,
    land: impl Fn(&mut M, usize) -> f64,
    learn: impl Fn(&mut M, usize, Label),
) -> Vec<f64> {
    let mut labels = labels(known).into_iter().peekable();
    let commits = known.history.commits.iter().enumerate();
    commits
        .map(|(place, commit)| {
            while let Some((_, labeled, label)) = labels.next_if(|(at, labeled, _)| *at < commit.at && *labeled < place)
            {
                learn(model, labeled, label);
            }
            land(model, place)
        })
        .collect()
}

/// Decayed means and deviations (West 1979).
#[derive(Default)]
struct Moments {
    n: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// Standardizes a value by those before it, and takes it in.
    fn scale(&mut self, value: f64) -> f64 {
        let sd = (self.squares / self.n.max(1.0)).sqrt();
        let scaled = if self.n < 2.0 || sd < 1e-9 {
            0.0
        } else {
            ((value - self.mean) / sd).clamp(-5.0, 5.0)
        };
        let kept = 1.0 - 1.0 / (self.n + 1.0).max(MEMORY);
        self.n = self.n * kept + 1.0;
        let off = value - self.mean;
        self.mean += off / self.n;
        self.squares = self.squares * kept + off * (value - self.mean);
        scaled
    }
}

fn standardized(columns: impl Iterator<Item = Vec<f64>>) -> Vec<Vec<f64>> {
    let scaled = columns.map(|column| {
        let mut moments = Moments::default();
        column
            .into_iter()
            .map(|value| moments.scale(value))
            .collect::<Vec<f64>>()
    });
    let columns: Vec<Vec<f64>> = scaled.collect();
    let n = columns.first().map_or(0, Vec::len);
    (0..n)
        .map(|place| columns.iter().map(|column| column[place]).collect())
        .collect()
}

/// Logistic regression that learns each label as it comes, from the cold start on.
pub(crate) fn logistic(known: &Known<'_>, cold: &[f64]) -> Vec<f64> {
    let rows: Vec<Row> = rows(known.history);
    let measures = (0..rows.first().map_or(0, |row| row.len())).map(|i| rows.iter().map(|row| row[i]).collect());
    let inputs: Vec<Vec<f64>> = standardized(measures)
        .into_iter()
        .zip(cold)
        .map(|(row, cold)| [1.0, *cold].into_iter().chain(row).collect())
        .collect();
    let n_measures = inputs.first().map_or(0, |input| input.len() - 2);
    let measures = std::iter::repeat_n((0.0, MEASURE_PRIOR), n_measures);
    let mut filter = Filter::new([(0.0, INTERCEPT_PRIOR), (1.0, SLOPE_PRIOR)].into_iter().chain(measures));
    online(
        known,
        &mut filter,
        |filter, place| filter.logit(&inputs[place]),
        |filter, place, label| match label {
            Label::Clean => filter.learn(&inputs[place], false, 1.0),
            Label::Buggy => filter.learn(&inputs[place], true, 1.0),
            Label::Turned => filter.turn(&inputs[place]),
        },
    )
}

/// Members' probabilities, calibrated as labels come, and what each has earned.
struct Shares {
    calibrations: Vec<Filter>,
    weights: Vec<f64>,
    /// Of each change that landed, what each member said.
    said: Vec<Vec<f64>>,
}

impl Shares {
    /// Weights by how likely each member said that was which came, and the shared part.
    fn earn(&mut self, likelihoods: impl Iterator<Item = f64>) {
        for (weight, likelihood) in self.weights.iter_mut().zip(likelihoods) {
            *weight *= likelihood;
        }
        let total: f64 = self.weights.iter().sum();
        let even = SHARED / number(self.weights.len());
        for weight in &mut self.weights {
            *weight = *weight / total * (1.0 - SHARED) + even;
        }
    }
}

/// The mixture of members by fixed share, of their logits less intercepts: these are at first the rate of labels that came
/// so far, and would rank a change by its date.
pub(crate) fn fixed_share(known: &Known<'_>, members: &[&[f64]]) -> Vec<f64> {
    let scaled = standardized(members.iter().map(|member| member.to_vec()));
    let input = |member: usize, place: usize| [1.0, scaled[place][member]];
    let n = members.len();
    let mut shares = Shares {
        calibrations: (0..n)
            .map(|_| Filter::new([(RATE_LOGIT, INTERCEPT_PRIOR), (SLOPE, SLOPE_PRIOR)]))
            .collect(),
        weights: vec![1.0 / number(n); n],
        said: Vec::new(),
    };
    let land = |shares: &mut Shares, place: usize| {
        let calibrations = shares.calibrations.iter().enumerate();
        let said: Vec<f64> = calibrations
            .map(|(member, filter)| sigmoid(filter.logit(&input(member, place))).clamp(1e-6, 1.0 - 1e-6))
            .collect();
        shares.said.push(said);
        let slopes = shares.calibrations.iter().map(|filter| filter.mean[1]);
        let weighed = slopes.zip(&shares.weights).zip(&scaled[place]);
        weighed.map(|((slope, weight), z)| slope * weight * z).sum()
    };
    let learn = |shares: &mut Shares, place: usize, label: Label| {
        let said = shares.said[place].clone();
        let likelihood = |p: &f64| match label {
            Label::Clean => 1.0 - p,
            Label::Buggy => *p,
            Label::Turned => p / (1.0 - p),
        };
        shares.earn(said.iter().map(likelihood));
        for (member, filter) in shares.calibrations.iter_mut().enumerate() {
            match label {
                Label::Clean => filter.learn(&input(member, place), false, 1.0),
                Label::Buggy => filter.learn(&input(member, place), true, 1.0),
                Label::Turned => filter.turn(&input(member, place)),
            }
        }
    };
    online(known, &mut shares, land, learn)
}

/// A weighted sum of members' logits; a change that turns out to be buggy is compared with eight of its time.
struct Stack {
    inputs: Vec<Vec<f64>>,
    filter: Filter,
    n_landed: usize,
}

impl Candidate for Stack {
    fn land(&mut self, _change: &Landed, _logit: f64) -> f64 {
        self.n_landed += 1;
        self.filter.logit(&self.inputs[self.n_landed - 1])
    }

    fn reveal(&mut self, guilty: usize, innocent: &[usize]) {
        for other in innocent {
            let pairs = self.inputs[guilty].iter().zip(&self.inputs[*other]);
            let difference: Vec<f64> = pairs.map(|(guilty, other)| guilty - other).collect();
            self.filter.learn(&difference, true, COMPARISON);
        }
    }
}

/// The stack of members, even at first.
pub(crate) fn stack(known: &Known<'_>, members: &[&[f64]]) -> Vec<f64> {
    let inputs = standardized(members.iter().map(|member| member.to_vec()));
    let even = 1.0 / number(members.len());
    let prior = members.iter().map(|_| (even, MEMBER_PRIOR));
    stacked(known, inputs, Filter::new(prior))
}

/// The same on top of a method: at first nothing but its logits, less their mean over all so that another weight of it moves
/// no level.
pub(crate) fn stack_on(own: &[f64], known: &Known<'_>, members: &[&[f64]]) -> Vec<f64> {
    let mut inputs = standardized(members.iter().map(|member| member.to_vec()));
    let mean = own.iter().sum::<f64>() / number(own.len()).max(1.0);
    for (input, own) in inputs.iter_mut().zip(own) {
        input.push(own - mean);
    }
    let prior = members.iter().map(|_| (0.0, ON_TOP_PRIOR));
    stacked(known, inputs, Filter::new(prior.chain([(1.0, ON_TOP_PRIOR)])))
}

fn stacked(known: &Known<'_>, inputs: Vec<Vec<f64>>, filter: Filter) -> Vec<f64> {
    let Known { history, reveals, .. } = known;
    let mut stack = Stack {
        inputs,
        filter,
        n_landed: 0,
    };
    let nothing = vec![0.0; history.commits.len()];
    paths::prequential(&mut stack, history, reveals, &nothing)
}

/// Of probabilities.
pub(crate) fn logits(probabilities: &[f64]) -> Vec<f64> {
    let of = |p: &f64| (p.max(1e-6) / (1.0 - p).max(1e-6)).ln();
    probabilities.iter().map(of).collect()
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}
