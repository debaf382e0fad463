//! What counts are to be expected by who knows the past only, frozen where a watch begins.
//!
//! The mean of the quarter-hour over the days before, times 1 + w(R − 1), R what the hours before the watch were beside
//! theirs. Only its constants, w and the scatter, are of the whole series: what a detector that learns them could reach.

use crate::placebo::{LEARN, WATCH, number};

/// Counts weigh half after an hour of steps.
const HALF_LIFE: f64 = 12.0;
/// A quarter-hour is drawn to the mean of all days with the weight of so many steps.
const PRIOR: f64 = 10.0;
/// A count is learned from as at most so many times what was expected, and ten; and judged so.
const SPIKE_LEARNED: f64 = 3.0;
pub(crate) const SPIKE_JUDGED: f64 = 5.0;

/// Counts beyond so many times the mean, and ten, are cut.
pub(crate) fn cut(x: f64, mean: f64, spike: f64) -> f64 {
    x.min(spike * mean + 10.0)
}

pub(crate) struct Forecast {
    /// By the days before, per step.
    usual: Vec<f64>,
    /// What the hours before a step were, as a multiple of theirs.
    ratio: Vec<f64>,
    /// How much of that stays.
    weight: f64,
    pub(crate) size: f64,
}

impl Forecast {
    pub(crate) fn new(counts: &[u64], anomalous: &[bool]) -> Self {
        let mut forecast = Self {
            usual: Vec::new(),
            ratio: Vec::new(),
            weight: 0.0,
            size: 1.0,
        };
        forecast.pass(counts, anomalous);
        let watches = watches(counts, anomalous);
        let steps = || {
            watches
                .iter()
                .flat_map(|from| (*from..from + WATCH).map(move |i| (*from, i)))
        };
        let (mut cross, mut squares) = (0.0, 0.0);
        for (from, i) in steps() {
            let m = forecast.usual[i];
            let excess = m * (forecast.ratio[from] - 1.0);
            cross += (cut(number(counts[i]), m, SPIKE_LEARNED) - m) * excess;
            squares += excess * excess;
        }
        forecast.weight = cross / squares;
        let (mut over, mut squares) = (0.0, 0.0);
        for (from, i) in steps() {
            let m = forecast.mean(from, i);
            let x = cut(number(counts[i]), m, SPIKE_LEARNED);
            over += (x - m) * (x - m) - x;
            squares += m * m;
        }
        forecast.size = (squares / over.max(squares * 1e-6)).max(0.01);
        forecast
    }

    /// What is known at each step: of the days before it no count of the last two hours, which a watch may be on.
    fn pass(&mut self, counts: &[u64], anomalous: &[bool]) {
        let (mut cells, mut all) = ([(0.0, 0.0); 96], (0.0, 0.0));
        let (mut errors, mut usual) = (0.0, 0.0);
        let kept = 0.5_f64.powf(1.0 / HALF_LIFE);
        for i in 0..counts.len() {
            if let Some(before) = i.checked_sub(WATCH).filter(|before| !anomalous[*before]) {
                let x = cut(number(counts[before]), self.usual[before], SPIKE_LEARNED);
                for sums in [&mut cells[before / 3 % 96], &mut all] {
                    *sums = (sums.0 + x, sums.1 + 1.0);
                }
            }
            let level = (all.0 + 1.0) / (all.1 + 0.2);
            let cell = cells[i / 3 % 96];
            let m = (cell.0 + PRIOR * level) / (cell.1 + PRIOR);
            self.usual.push(m);
            self.ratio.push((errors + 1.0) / (usual + 1.0));
            if !anomalous[i] {
                errors = errors * kept + cut(number(counts[i]), m, SPIKE_LEARNED);
                usual = usual * kept + m;
            }
        }
    }

    /// The mean of step `i` as of the step `from`, with which a watch begins.
    pub(crate) fn mean(&self, from: usize, i: usize) -> f64 {
        self.usual[i] * (1.0 + self.weight * (self.ratio[from] - 1.0)).max(0.05)
    }
}

/// Where a healthy watch may begin.
pub(crate) fn watches(counts: &[u64], anomalous: &[bool]) -> Vec<usize> {
    (LEARN..counts.len() - WATCH)
        .filter(|from| !anomalous[*from..from + WATCH].contains(&true))
        .collect()
}
