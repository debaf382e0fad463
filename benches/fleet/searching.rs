//! Who knows of every interval what is usual and how it scatters, as the oracle does, and has to find out when a fault
//! began and by how much it raises errors, as score has.
//!
//! Score's own mixture (`docs/evidence.md`): of a deploy's watch, half of the mass on the first interval after each stage,
//! the rest as 1/j over its steps, and six multiples, each as likely:
//!
//! ```text
//! S_r ← (S_r + w_t) · NB(x; m_r) / NB(x; m)        E = Σ S_r / 6        alarm at E ≥ 1/α
//! ```
//! with m the true mean without the fault, times what the policy takes for harmless where that is asked for; `m_r` that with
//! r times the errors on the version's true share of the traffic; and the true size. Without the fault E is a supermartingale
//! from 1 at the most: it alarms in at most α of the watches.

use std::time::Duration;

use holdpoint::{model::Timestamp, sim::Deploy};

use crate::{
    dating::share,
    oracle::{ALPHA, ln_ratio},
    sights::Sight,
};

/// What score looks for.
const MULTIPLES: [f64; 6] = [1.5, 2.0, 3.0, 5.0, 10.0, 30.0];
/// The mass on stages, as a share of all.
const ANCHORED: f64 = 0.5;
/// 1 + 1/2 + … + 1/120: what 1/j adds up to over two hours of minutes.
const HARMONIC: f64 = 5.368_868;

/// Whether it was sure, from `since` on, of a deploy whose intervals these are, where up to `harmless` times the usual
/// errors are no fault; score's steps are so long.
pub(crate) fn finds(deploy: &Deploy, sights: &[Sight], since: Timestamp, step: Duration, harmless: f64) -> bool {
    let stages = f64::from(u32::try_from(deploy.stages.len().max(1)).unwrap_or(u32::MAX));
    let mut ln_s = [f64::NEG_INFINITY; MULTIPLES.len()];
    let (mut n_steps, mut n_stages, mut last_step) = (0.0, 0, None);
    for interval in sights.chunk_by(|a, b| a.time == b.time) {
        let time = interval[0].time;
        let at = time - Duration::from_millis(1);
        let begun = deploy.stages.iter().filter(|stage| stage.at <= at).count();
        let mut mass = 0.0;
        if last_step != Some(at.floor(step)) {
            last_step = Some(at.floor(step));
            n_steps += 1.0;
            mass += (1.0 - ANCHORED) / (n_steps * HARMONIC);
        }
        if begun > n_stages {
            mass += ANCHORED * f64::from(u32::try_from(begun - n_stages).unwrap_or(u32::MAX)) / stages;
            n_stages = begun;
        }
        for (ln_s, multiple) in ln_s.iter_mut().zip(MULTIPLES) {
            let ln_ratios = interval.iter().map(|sight| {
                let usual = harmless * sight.mean_without();
                let raised = usual * (1.0 + (multiple - 1.0) * share(deploy, sight));
                ln_ratio(sight.errors(), sight.size(), (usual, raised))
            });
            *ln_s = ln_sum_exp([*ln_s, mass.ln()]) + ln_ratios.sum::<f64>();
        }
        let ln_e = ln_sum_exp(ln_s) - 6.0_f64.ln();
        if time > since && ln_e >= -ALPHA.ln() {
            return true;
        }
    }
    false
}

fn ln_sum_exp<const N: usize>(terms: [f64; N]) -> f64 {
    let greatest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if greatest == f64::NEG_INFINITY {
        return greatest;
    }
    greatest + terms.iter().map(|term| (term - greatest).exp()).sum::<f64>().ln()
}
