//! Who knows which service failed first, what is usual of it and how much more there was, and has to date it by the counts.
//!
//! A posterior over that service's deploys and nobody, by the simulator's own chances (`src/sim/{rollout,trouble}`) and the
//! counts x of the intervals since an onset t, negative binomial around m without the trouble and f·m with it:
//!
//! ```text
//! P(d) ∝ .07 · p(f | fault) · Σₜ P(t | d) · Π NB(x; f·m) / NB(x; m)
//! P(nobody) ∝ p(f | outage) · Σₜ outages of this service in t · Π NB(x; f·m) / NB(x; m)
//! ```
//! f holds for the traffic that has the deploy's version, and for a part of the interval in which it begins.

use std::time::Duration;

use holdpoint::{
    model::{ChangeKind, Timestamp},
    sim::{Deploy, FACTORS, LATENCIES},
};

use crate::{oracle::ln_ratio, sights::Sight};

/// How often a deploy is bad, at once and later; about what both families draw.
const BAD: f64 = 0.07;
const AT_ONCE: f64 = 0.6;
const LATER: f64 = 0.4;
/// Outages by their multiple, as [`FACTORS`] has it of faults.
const OUTAGE_FACTORS: [(f64, (f64, f64)); 1] = [(1.0, (6.0, 40.0))];
/// Outages a minute in the whole fleet, and the hours of a day in which they begin.
const OUTAGES: f64 = 1.2 / (11.0 * 60.0);
const OUTAGE_HOURS: std::ops::Range<u64> = 8..19;
/// So long before it may have begun: a nightly batch shows nothing before its run.
pub(crate) const REACH: Duration = Duration::from_hours(9);
pub(crate) const REACH_OF_BATCH: Duration = Duration::from_hours(30);
/// Parts of the interval in which it begins that may be raised, each as likely.
const PARTS: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];

/// What it goes by.
pub(crate) struct Seen<'a> {
    pub(crate) sights: &'a [Sight],
    /// Further errors as a multiple of the usual ones.
    pub(crate) excess: f64,
    /// Whether a deploy raised them, so that what else did is known as well.
    pub(crate) is_of_deploy: bool,
    pub(crate) is_batch: bool,
    /// The service's share of the fleet's outages.
    pub(crate) share_of_outages: f64,
}

/// An interval in which it may have begun: the end of the one told before it, and its own.
type Span = (Timestamp, Timestamp);

impl Seen<'_> {
    /// The deploy that it is put down to; `None` if none of them.
    pub(crate) fn likeliest<'d>(&self, deploys: impl Iterator<Item = &'d Deploy>) -> Option<&'d Deploy> {
        deploys
            .map(|deploy| (self.ln_of(deploy), Some(deploy)))
            .chain([(self.ln_of_nobody(), None)])
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .and_then(|(_, deploy)| deploy)
    }

    fn ln_of(&self, deploy: &Deploy) -> f64 {
        // The same version again is a redeploy, which brings nothing that could be bad.
        if deploy.kind == ChangeKind::Release && deploy.version == deploy.previous {
            return f64::NEG_INFINITY;
        }
        let (at_once, later) = if self.is_batch { (1.0, 0.0) } else { (AT_ONCE, LATER) };
        let onset = |(from, until): Span| {
            let minutes = |at: Timestamp| at.since(deploy.started_at()).as_secs_f64() / 60.0;
            let (x, y) = (minutes(from), minutes(until));
            let within = |(low, high): (f64, f64)| (y.min(high) - x.max(low)).max(0.0) / (high - low);
            let latent: f64 = LATENCIES.iter().map(|(share, range)| share * within(*range)).sum();
            let is_first = from <= deploy.started_at() && until > deploy.started_at();
            (if is_first { at_once } else { 0.0 }) + later * latent
        };
        let ln_of_size = (BAD * density(&FACTORS, 1.0 + self.excess)).ln();
        ln_of_size + self.ln_sum(|sight| share(deploy, sight), onset)
    }

    fn ln_of_nobody(&self) -> f64 {
        let onset = |(from, until): Span| {
            let midnight = from.floor(Duration::from_hours(24));
            let hour = from.since(midnight).as_secs() / 3_600;
            let minutes = until.since(from).as_secs_f64() / 60.0;
            if OUTAGE_HOURS.contains(&hour) {
                OUTAGES * self.share_of_outages * minutes
            } else {
                0.0
            }
        };
        density(&OUTAGE_FACTORS, 1.0 + self.excess).ln() + self.ln_sum(|_| 1.0, onset)
    }

    /// ln of the sum over all intervals in which it may have begun: how often it does, times the likelihood of what came
    /// from there on.
    fn ln_sum(&self, share: impl Fn(&Sight) -> f64, onset: impl Fn(Span) -> f64) -> f64 {
        let (mut ln_since, mut terms) = (0.0, Vec::with_capacity(self.sights.len()));
        let mut rest = self.sights;
        while let Some(last) = rest.last() {
            // Versions of one interval are told one after the other.
            let begins = rest.partition_point(|sight| sight.time < last.time);
            let (before, interval) = rest.split_at(begins);
            let raised = |part: f64| -> f64 {
                let ln_ratios = interval.iter().map(|sight| {
                    let mean = if self.is_of_deploy {
                        sight.mean_without()
                    } else {
                        sight.usual()
                    };
                    let raised = mean * (1.0 + self.excess * share(sight) * part);
                    ln_ratio(sight.errors(), sight.size(), (mean, raised))
                });
                ln_ratios.sum()
            };
            let from = before.last().map_or(last.began(), |sight| sight.time);
            let ln_begins = ln_sum_exp(PARTS.map(raised).into_iter()) - 5.0_f64.ln();
            terms.push(onset((from, last.time)).ln() + ln_begins + ln_since);
            ln_since += raised(1.0);
            rest = before;
        }
        ln_sum_exp(terms.into_iter())
    }
}

/// Of a multiple, on a logarithmic scale, by classes.
fn density(classes: &[(f64, (f64, f64))], factor: f64) -> f64 {
    let of = |(share, (low, high)): &(f64, (f64, f64))| {
        let is_within = (*low..*high).contains(&factor);
        if is_within { share / (high / low).ln() } else { 0.0 }
    };
    classes.iter().map(of).sum()
}

fn ln_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let greatest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if greatest == f64::NEG_INFINITY {
        return greatest;
    }
    greatest + terms.map(|term| (term - greatest).exp()).sum::<f64>().ln()
}

/// How much of what an interval tells is on a deploy's version; all of it where it brings none.
pub(crate) fn share(deploy: &Deploy, sight: &Sight) -> f64 {
    let stage = deploy.stages.iter().rev().find(|stage| stage.at <= sight.time);
    match (stage, sight.version) {
        (None, _) => 0.0,
        (Some(_), _) if deploy.version == deploy.previous => 1.0,
        (Some(_), Some(version)) => f64::from(u8::from(version >= deploy.version)),
        (Some(stage), None) => stage.share,
    }
}
