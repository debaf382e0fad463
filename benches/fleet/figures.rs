//! The figures that are aimed at, pooled over seeds.

use std::collections::BTreeMap;

use holdpoint::sim::{Fault, Reporting};

use crate::{
    interval::{Median, Share},
    judge::{Found, Freeze, Ground, Guilty, Judged, Outcome, Reviewed},
};

/// "Five times": multiples of all errors at the fault's beginning whose delay is aimed at.
const FIVE: std::ops::Range<f64> = 5.0..10.0;
/// "About one error a minute".
const RARE: std::ops::Range<f64> = 0.5..2.0;

#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) n_lines: u64,
    pub(crate) weeks: f64,
    pub(crate) n_healthy: u32,
    pub(crate) n_freezes: u32,
    pub(crate) n_own: u32,
    pub(crate) n_own_outages: u32,
    pub(crate) n_innocent: u32,
    pub(crate) n_false: u32,
    pub(crate) held_hours: f64,
    pub(crate) held_hours_wrong: f64,
    /// Extra review of services by its first reason.
    pub(crate) reviews: BTreeMap<Box<str>, Reviewed>,
    pub(crate) precision: Option<Share>,
    /// Of freezes whose service truly failed, however it came by it.
    pub(crate) truly_failing: Option<Share>,
    /// By the least multiple: frozen, of those the oracle saw in time.
    pub(crate) recalls: Vec<Recall>,
    pub(crate) delay_frequent: Option<Median>,
    pub(crate) delay_frequent_fine: Option<Median>,
    pub(crate) delay_frequent_steady: Option<Median>,
    pub(crate) delay_rare: Option<Median>,
    pub(crate) delay_all: Option<Median>,
    pub(crate) oracle_delay: Option<Median>,
    pub(crate) ratio: Option<Median>,
    pub(crate) blames: Vec<(&'static str, Share)>,
    pub(crate) blame_overlapping: Option<Share>,
    /// Of errors at least three times the usual ones.
    pub(crate) blame_large: Option<Share>,
    /// Of somebody who knows where and when it began.
    pub(crate) blame_known: Option<Share>,
    /// Of somebody who knows where, and dates it by the counts.
    pub(crate) blame_dated: Option<Share>,
}

/// Faults from one multiple up to another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recall {
    pub(crate) from: f64,
    pub(crate) until: f64,
    pub(crate) n_faults: u32,
    pub(crate) n_after_watch: u32,
    pub(crate) n_unseen: u32,
    pub(crate) n_held: u32,
    pub(crate) n_withheld: u32,
    pub(crate) n_reviewed: u32,
    /// Of those frozen or missed.
    pub(crate) share: Share,
    /// The same without those whose burn is too low by the policy.
    pub(crate) burning: Share,
    /// Of those that leave time.
    pub(crate) timely: Share,
    /// Of services that tell requests; and of one who keeps to the margin.
    pub(crate) by_requests: Share,
    pub(crate) by_requests_beyond_margin: Share,
    /// The same as `share`, of one who knows what is usual, and of one who keeps to the policy's margin as well.
    pub(crate) to_be_found: Share,
    pub(crate) beyond_margin: Share,
}

const CLASSES: [(f64, f64); 5] = [
    (5.0, f64::INFINITY),
    (3.0, f64::INFINITY),
    (3.0, 5.0),
    (2.0, 3.0),
    (1.0, 2.0),
];

impl Figures {
    pub(crate) fn of(judged: &[Judged]) -> Self {
        let freezes: Vec<&Freeze> = judged.iter().flat_map(|judged| &judged.freezes).collect();
        let faults: Vec<&Found> = judged.iter().flat_map(|judged| &judged.faults).collect();
        let of = |ground| count(freezes.iter().filter(|freeze| freeze.ground == ground).count());
        let is_right = |ground| matches!(ground, Ground::OwnFault | Ground::OwnOutage);
        let hours = |freeze: &&&Freeze| freeze.held.as_secs_f64() / 3_600.0;
        let wrong = freezes.iter().filter(|freeze| !is_right(freeze.ground));
        let mut figures = Self {
            n_lines: judged.iter().map(|judged| judged.n_lines).sum(),
            weeks: judged.iter().map(|judged| judged.weeks).sum(),
            n_healthy: judged.iter().map(|judged| judged.n_healthy).sum(),
            n_freezes: count(freezes.len()),
            n_own: of(Ground::OwnFault),
            n_own_outages: of(Ground::OwnOutage),
            n_innocent: of(Ground::Innocent),
            n_false: of(Ground::Nothing),
            held_hours: freezes.iter().map(|freeze| hours(&freeze)).sum(),
            held_hours_wrong: wrong.map(|freeze| hours(&freeze)).sum(),
            precision: Some(Share::of(freezes.iter(), |freeze| is_right(freeze.ground))),
            truly_failing: Some(Share::of(freezes.iter(), |freeze| freeze.ground != Ground::Nothing)),
            recalls: CLASSES.map(|class| recall(&faults, class)).to_vec(),
            ..Self::default()
        };
        for (code, reviewed) in judged.iter().flat_map(|judged| &judged.reviews) {
            figures.reviews.entry(code.clone()).or_default().add(*reviewed);
        }
        figures.add_delays(&faults);
        figures.add_blame(judged);
        figures
    }

    fn add_delays(&mut self, faults: &[&Found]) {
        let found = || faults.iter().filter(|found| is_counted(found) && found.delay.is_some());
        let five = || found().filter(|found| is_five(&found.fault) && !found.traits.is_batch);
        let minutes = |found: &&Found| found.delay.map_or(f64::NAN, |delay| delay.as_secs_f64() / 60.0);
        let frequent = || five().filter(|found| found.traits.errors_per_minute >= 10.0 && found.traits.size >= 5.0);
        self.delay_frequent = Median::of(frequent().map(minutes));
        self.delay_frequent_fine = Median::of(frequent().filter(|found| found.traits.interval <= 60).map(minutes));
        self.delay_frequent_steady = Median::of(
            frequent()
                .filter(|found| found.traits.size_of_all() >= 5.0)
                .map(minutes),
        );
        let rare = five().filter(|found| RARE.contains(&found.traits.errors_per_minute) && found.traits.size >= 3.0);
        self.delay_rare = Median::of(rare.map(minutes));
        self.delay_all = Median::of(found().map(minutes));
        let oracle = found().filter_map(|found| found.oracle);
        self.oracle_delay = Median::of(oracle.map(|delay| delay.as_secs_f64() / 60.0));
        let ratios = found().filter_map(|found| found.delay.zip(found.oracle));
        self.ratio = Median::of(ratios.map(|(delay, oracle)| delay.as_secs_f64() / oracle.as_secs_f64().max(1.0)));
    }

    fn add_blame(&mut self, judged: &[Judged]) {
        let blames = || judged.iter().flat_map(|judged| &judged.blames);
        let kinds = [
            ("its own deploy, alone", Guilty::Own, false),
            ("its own deploy, others overlapping", Guilty::Own, true),
            ("a callee's deploy, others overlapping", Guilty::Callee, true),
            ("nobody's (an outage), deploys overlapping", Guilty::Nobody, true),
        ];
        for (name, guilty, overlapping) in kinds {
            let of_kind = blames().filter(|blame| blame.guilty == guilty && blame.overlapping == overlapping);
            self.blames.push((name, Share::of(of_kind, |blame| blame.hits())));
        }
        let overlapping = blames().filter(|blame| blame.overlapping);
        self.blame_overlapping = Some(Share::of(overlapping.clone(), |blame| blame.hits()));
        let large = overlapping.clone().filter(|blame| blame.is_large());
        self.blame_large = Some(Share::of(large, |blame| blame.hits()));
        self.blame_known = Some(Share::of(overlapping.clone(), |blame| blame.is_to_be_known()));
        self.blame_dated = Some(Share::of(overlapping, |blame| blame.is_to_be_dated()));
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn is_five(fault: &Fault) -> bool {
    FIVE.contains(&(1.0 + (fault.factor - 1.0) * fault.share))
}

/// Whether the oracle saw it in time, and the limiter did not stand in the way.
pub(crate) fn is_counted(found: &Found) -> bool {
    found.excused.is_none() && found.outcome != Outcome::Withheld
}

fn recall(faults: &[&Found], (from, until): (f64, f64)) -> Recall {
    use crate::judge::Excused;
    let all = || {
        faults
            .iter()
            .filter(|found| (from..until).contains(&found.fault.factor))
    };
    let excused = |why| count(all().filter(|found| found.excused == Some(why)).count());
    let seen = || all().filter(|found| found.excused.is_none());
    let outcome = |of| count(seen().filter(|found| found.outcome == of).count());
    let by_requests = || all().filter(|found| is_counted(found) && found.traits.reporting == Reporting::WithRequests);
    let frozen = |found: &&&Found| found.outcome == Outcome::Frozen;
    Recall {
        from,
        until,
        n_faults: count(all().count()),
        n_after_watch: excused(Excused::AfterWatch),
        n_unseen: excused(Excused::Unseen),
        n_held: excused(Excused::HeldBefore),
        n_withheld: outcome(Outcome::Withheld),
        n_reviewed: outcome(Outcome::Reviewed),
        share: Share::of(all().filter(|found| is_counted(found)), frozen),
        burning: Share::of(all().filter(|found| is_counted(found) && !found.burns_little), frozen),
        to_be_found: Share::of(all().filter(|found| is_counted(found)), |found| found.searched.usual),
        beyond_margin: Share::of(all().filter(|found| is_counted(found)), |found| found.searched.margin),
        by_requests: Share::of(by_requests(), frozen),
        by_requests_beyond_margin: Share::of(by_requests(), |found| found.searched.margin),
        timely: Share::of(all().filter(|found| is_counted(found) && found.leaves_time), frozen),
    }
}
