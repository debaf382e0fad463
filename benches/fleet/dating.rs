//! Who knows which service failed first, what is usual of it and how much more there was, and has to date it by the counts.
//!
//! A posterior over that service's deploys and nobody, each with the onsets t that the simulator gives it, and the counts
//! x of the intervals from then on, negative binomial around m without the trouble and f·m with it:
//!
//! ```text
//! P(d) ∝ .07 · Σₜ P(t | d) · Π NB(x; f·m) / NB(x; m)          P(nobody) ∝ outages a minute · Σₜ …
//! ```
//! f holds for the traffic that has the deploy's version.

use std::time::Duration;

use holdpoint::{model::Timestamp, sim::Deploy};

use crate::{oracle::ln_ratio, sights::Sight};

/// How often a deploy is bad, at once and later; about what both families draw.
const BAD: f64 = 0.07;
const AT_ONCE: f64 = 0.6;
const LATER: f64 = 0.4;
/// Of those that show later: shares, and minutes from the deploy.
const LATENCIES: [(f64, (f64, f64)); 3] = [(0.5, (2.0, 30.0)), (0.3, (30.0, 100.0)), (0.2, (130.0, 480.0))];
/// Outages of a service a minute.
const OUTAGES: f64 = 1.2 / 120.0 / 1_440.0;
/// So long before it may have begun: a nightly batch shows nothing before its run.
pub(crate) const REACH: Duration = Duration::from_hours(9);
pub(crate) const REACH_OF_BATCH: Duration = Duration::from_hours(30);
/// Likelihoods beyond this are as good as certain.
const LN_MAX: f64 = 600.0;

/// What it goes by.
pub(crate) struct Seen<'a> {
    pub(crate) sights: &'a [Sight],
    /// Further errors as a multiple of the usual ones.
    pub(crate) excess: f64,
    /// Whether a deploy raised them, so that what else did is known as well.
    pub(crate) is_of_deploy: bool,
}

impl Seen<'_> {
    /// The deploy that it is put down to; `None` if none of them.
    pub(crate) fn likeliest<'d>(&self, deploys: impl Iterator<Item = &'d Deploy>) -> Option<&'d Deploy> {
        deploys
            .map(|deploy| (self.weight_of(deploy), Some(deploy)))
            .chain([(self.weight_of_nobody(), None)])
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .and_then(|(_, deploy)| deploy)
    }

    fn weight_of(&self, deploy: &Deploy) -> f64 {
        let onset = |(before, from, until): (Timestamp, Timestamp, Timestamp)| {
            let minutes = |at: Timestamp| at.since(deploy.started_at()).as_secs_f64() / 60.0;
            let (x, y) = (minutes(from), minutes(until));
            let within = |(low, high): (f64, f64)| (y.min(high) - x.max(low)).max(0.0) / (high - low);
            let later: f64 = LATENCIES.iter().map(|(share, range)| share * within(*range)).sum();
            // The first interval that was told since.
            let is_first = before <= deploy.started_at() && until > deploy.started_at();
            BAD * (if is_first { AT_ONCE } else { 0.0 } + LATER * later)
        };
        self.weight(|sight| share(deploy, sight), onset)
    }

    fn weight_of_nobody(&self) -> f64 {
        self.weight(
            |_| 1.0,
            |(_, from, until)| OUTAGES * until.since(from).as_secs_f64() / 60.0,
        )
    }

    /// Over all intervals in which it may have begun: how often it begins in one, given the end of the one before and its
    /// own bounds, times the likelihood of what came from there on.
    fn weight(&self, share: impl Fn(&Sight) -> f64, onset: impl Fn((Timestamp, Timestamp, Timestamp)) -> f64) -> f64 {
        let (mut ln_since, mut sum) = (0.0, 0.0);
        for (i, sight) in self.sights.iter().enumerate().rev() {
            let mean = if self.is_of_deploy {
                sight.mean_without()
            } else {
                sight.usual()
            };
            let raised = mean * (1.0 + self.excess * share(sight));
            ln_since += ln_ratio(sight.errors(), sight.size(), (mean, raised));
            let before = i
                .checked_sub(1)
                .map_or(Timestamp::MIN, |before| self.sights[before].time);
            // Versions of one interval are told one after the other.
            if before < sight.time {
                sum += onset((before.min(sight.began()), sight.began(), sight.time)) * ln_since.min(LN_MAX).exp();
            }
        }
        sum
    }
}

/// How much of what an interval tells is on a deploy's version; all of it where it brings none.
fn share(deploy: &Deploy, sight: &Sight) -> f64 {
    let stage = deploy.stages.iter().rev().find(|stage| stage.at <= sight.time);
    match (stage, sight.version) {
        (None, _) => 0.0,
        (Some(_), _) if deploy.version == deploy.previous => 1.0,
        (Some(_), Some(version)) => f64::from(u8::from(version >= deploy.version)),
        (Some(stage), None) => stage.share,
    }
}
