//! What one reporter tells, interval by interval, and what whoever knows all sees beside it.

use std::{fmt::Write as _, time::Duration};

use super::{
    calendar::Environment,
    chance::{Chance, real},
    fleet::{Reporting, Service},
    rollout::{Shift, minutes},
    signal::Drift,
    trouble::covered,
    truth::{Cause, Raise, Truth},
};
use crate::model::Timestamp;

/// Errors of a preview a minute, and their size: few, and in bursts.
const PREVIEW_ERRORS: f64 = 0.2;
const PREVIEW_SIZE: f64 = 0.5;
/// No more of the requests fail than this.
const FAILING_MAX: f64 = 0.95;

/// What one interval of a service in production held, of one version where it tells them apart, and what was to be
/// expected of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Glimpse {
    pub service: usize,
    pub version: Option<u32>,
    /// The place of the deploy at fault, where an own fault goes on.
    pub fault: Option<usize>,
    /// The end of the interval.
    pub time: Timestamp,
    pub interval: Duration,
    pub errors: u64,
    /// Whether they are told or not.
    pub requests: u64,
    /// Mean with the fault and without it: traffic, hour, drift and what others do included.
    pub mean: f64,
    pub mean_without: f64,
    /// Mean where nothing raises it.
    pub usual: f64,
    /// Negative-binomial size of the interval's count.
    pub size: f64,
}

/// One reporter: a service in production, or a preview of it.
#[derive(Debug)]
pub(super) struct Reporter {
    place: usize,
    preview: Option<u32>,
    /// When it next speaks, and when it falls silent for good.
    pub(super) next_at: Timestamp,
    until: Timestamp,
    chance: Chance,
    errors: Drift,
    traffic: Drift,
    /// Its records so far: their ids.
    n_records: u64,
    shift: usize,
    /// Raises before this one are over or under way; those under way.
    raise: usize,
    raised: Vec<usize>,
    gap: usize,
    storm: usize,
}

/// What a reporter knows besides its own state.
#[derive(Debug, Clone, Copy)]
pub(super) struct World<'a> {
    pub(super) services: &'a [Service],
    pub(super) truth: &'a Truth,
    pub(super) shifts: &'a [Vec<Shift>],
}

/// A record on its way.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) time: Timestamp,
    pub(super) line: String,
}

/// A part of an interval's errors that goes into records of its own.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    errors: u64,
    requests: Option<u64>,
    version: Option<u32>,
    /// The callee that failed.
    upstream: Option<usize>,
    /// The deploy whose code failed.
    fault: Option<usize>,
    /// One client did it.
    storm: bool,
}

impl Reporter {
    pub(super) fn production(place: usize, service: &Service, end: Timestamp, mut chance: Chance) -> Self {
        let phase = chance.seconds((0.0, service.interval.as_secs_f64()));
        let mut reporter = Self::new((place, None), (service.born_at + phase, end), chance);
        reporter.errors = Drift::new(service.signal.drift, service.signal.drift_kept, &mut reporter.chance);
        reporter
    }

    pub(super) fn preview(place: usize, number: u32, span: (Timestamp, Timestamp), chance: Chance) -> Self {
        Self::new((place, Some(number)), span, chance)
    }

    fn new((place, preview): (usize, Option<u32>), (from, until): (Timestamp, Timestamp), mut chance: Chance) -> Self {
        Self {
            place,
            preview,
            next_at: from,
            until,
            errors: Drift::new(0.0, 0.0, &mut chance),
            traffic: Drift::of_traffic(&mut chance),
            chance,
            n_records: 0,
            shift: 0,
            raise: 0,
            raised: Vec::new(),
            gap: 0,
            storm: 0,
        }
    }

    /// Tells of its next interval: records, and what they are to whoever knows all.
    pub(super) fn speak(&mut self, world: World<'_>, told: &mut Vec<Line>, glimpses: &mut Vec<Glimpse>) {
        let service = &world.services[self.place];
        if self.preview.is_some() {
            self.speak_of_preview(world, told);
            return;
        }
        // A tracker sends each failure at once, so its interval is still to come; others tell when it is over.
        let (start, end) = if service.reporting == Reporting::Tracked {
            (self.next_at, self.next_at + service.interval)
        } else {
            (self.next_at - service.interval, self.next_at)
        };
        self.next_at = self.next_at + service.interval;
        let before = (told.len(), glimpses.len());
        if runs(service, end) {
            self.tell_interval(world, (start, end), told, glimpses);
        } else if let Some(batch) = service.batch {
            let midnight = end.floor(Duration::from_hours(24));
            let today = midnight + batch.begins;
            let next = if today > end {
                today
            } else {
                today + Duration::from_hours(24)
            };
            self.next_at = self.next_at.max(next);
        }
        if self.is_in_gap(world.truth, end) {
            told.truncate(before.0);
            glimpses.truncate(before.1);
        }
        if self.next_at > self.until {
            self.next_at = Timestamp::NEVER;
        }
    }

    fn speak_of_preview(&mut self, world: World<'_>, told: &mut Vec<Line>) {
        let interval = Duration::from_mins(1);
        let end = self.next_at;
        self.next_at = if end + interval > self.until {
            Timestamp::NEVER
        } else {
            end + interval
        };
        let errors = self.chance.scattered(PREVIEW_ERRORS, PREVIEW_SIZE);
        if errors > 0 {
            let part = Part {
                errors,
                ..Part::default()
            };
            self.tell(world, (end, Some(interval)), &part, told);
        }
    }

    fn tell_interval(
        &mut self,
        world: World<'_>,
        (start, end): (Timestamp, Timestamp),
        told: &mut Vec<Line>,
        glimpses: &mut Vec<Glimpse>,
    ) {
        let service = &world.services[self.place];
        let length = minutes(service.interval);
        let signal = &service.signal;
        let drift = self.errors.pass(length, &mut self.chance);
        let expected = signal.errors_per_minute / signal.errors_per_request * signal.season(end) * length;
        let expected = expected * self.traffic.pass(length, &mut self.chance);
        let requests = self.chance.poisson(expected);
        let raises = self.raises(world, start, end);
        let shift = self.shift(world, end);
        let mut left = requests;
        for (version, share, is_last) in versions(service, shift) {
            let requests = if is_last {
                left
            } else {
                self.chance.binomial(left, share)
            };
            left -= requests.min(left);
            let load = Load {
                requests,
                mean: real(requests) * signal.errors_per_request * drift,
                size: signal.size * length * share,
            };
            let of = |raise: &Raise| match (raise.versions_from, version) {
                (Some(first), Some(version)) => f64::from(u8::from(version >= first)),
                (Some(first), None) => shift.share_from(first),
                (None, _) => 1.0,
            };
            let excesses: Vec<(Raise, f64)> = raises
                .iter()
                .map(|(raise, covered)| (*raise, raise.excess * covered * of(raise)))
                .collect();
            self.tell_version(world, (start, end), (version, load, &excesses), (told, glimpses));
        }
        self.tell_storm(world, (start, end), told);
    }

    fn tell_version(
        &mut self,
        world: World<'_>,
        (start, end): (Timestamp, Timestamp),
        (version, load, raised): (Option<u32>, Load, &[(Raise, f64)]),
        (told, glimpses): (&mut Vec<Line>, &mut Vec<Glimpse>),
    ) {
        let service = &world.services[self.place];
        let of_fault = |raise: &Raise| match raise.cause {
            Cause::Deploy(deploy) if raise.by.is_none() => Some(deploy),
            Cause::Deploy(_) | Cause::Outage(_) | Cause::Blip => None,
        };
        let total: f64 = 1.0 + raised.iter().map(|(_, excess)| excess).sum::<f64>();
        let cap = FAILING_MAX * real(load.requests);
        let mean = (load.mean * total).min(cap);
        let errors = self.chance.scattered(mean, load.size).min(load.requests);
        let fault = raised.iter().find_map(|(raise, _)| of_fault(raise));
        let own: f64 = raised
            .iter()
            .filter(|(raise, _)| of_fault(raise).is_some())
            .map(|(_, excess)| excess)
            .sum();
        glimpses.push(Glimpse {
            service: self.place,
            version,
            fault,
            time: end,
            interval: service.interval,
            errors,
            requests: load.requests,
            mean,
            mean_without: (load.mean * (total - own)).min(cap),
            usual: load.mean,
            size: load.size,
        });
        let whole_part = Part {
            errors,
            requests: Some(load.requests),
            version,
            ..Part::default()
        };
        let parts = self.split(service, whole_part, (total, raised));
        for part in parts {
            if part.errors > 0 || (service.reporting.is_dense() && part.upstream.is_none()) {
                self.tell_part(world, (start, end), &part, told);
            }
        }
    }

    /// Takes apart what is told apart: what came by a callee, and what a fault's own code did.
    fn split(&mut self, service: &Service, part: Part, (total, raised): (f64, &[(Raise, f64)])) -> Vec<Part> {
        let (mut parts, mut rest, mut total) = (Vec::new(), part, total);
        if service.reporting == Reporting::WithRequests {
            return vec![part];
        }
        rest.requests = None;
        for (raise, excess) in raised {
            let fault = match raise.cause {
                Cause::Deploy(deploy) if raise.by.is_none() && service.reporting == Reporting::Tracked => Some(deploy),
                Cause::Deploy(_) | Cause::Outage(_) | Cause::Blip => None,
            };
            let upstream = raise.by.filter(|_| service.tells_upstream);
            if (fault.is_none() && upstream.is_none()) || *excess <= 0.0 {
                continue;
            }
            let errors = self.chance.binomial(rest.errors, excess / total);
            rest.errors -= errors;
            total -= excess;
            parts.push(Part {
                errors,
                upstream,
                fault,
                ..rest
            });
        }
        parts.push(rest);
        parts
    }

    fn tell_part(&mut self, world: World<'_>, (start, end): (Timestamp, Timestamp), part: &Part, told: &mut Vec<Line>) {
        if world.services[self.place].reporting != Reporting::Tracked {
            self.tell(world, (end, Some(world.services[self.place].interval)), part, told);
            return;
        }
        // Few come one by one, many are gathered by the tracker.
        let (n, each) = if part.errors <= 3 {
            (part.errors, 1)
        } else {
            (1, part.errors)
        };
        for _ in 0..n {
            let at = start + end.since(start).mul_f64(self.chance.unit());
            let one = Part { errors: each, ..*part };
            self.tell(world, (at, None), &one, told);
        }
    }

    fn tell_storm(&mut self, world: World<'_>, (start, end): (Timestamp, Timestamp), told: &mut Vec<Line>) {
        let storms = &world.truth.storms;
        while storms
            .get(self.storm)
            .is_some_and(|storm| storm.service < self.place || (storm.service == self.place && storm.until <= start))
        {
            self.storm += 1;
        }
        let Some(storm) = storms
            .get(self.storm)
            .filter(|storm| storm.service == self.place && storm.from < end)
        else {
            return;
        };
        let part = Part {
            errors: self.chance.poisson(real(storm.errors)).max(20),
            storm: true,
            ..Part::default()
        };
        self.tell(world, (start + Duration::from_secs(1), None), &part, told);
    }

    /// Writes one record. `interval`: `None` for a failure of an instant.
    fn tell(
        &mut self,
        world: World<'_>,
        (time, interval): (Timestamp, Option<Duration>),
        part: &Part,
        told: &mut Vec<Line>,
    ) {
        let mut line = String::with_capacity(224);
        self.write(world, (time, interval), part, &mut line)
            .expect("memory takes what is written");
        told.push(Line { time, line });
    }

    fn write(
        &mut self,
        world: World<'_>,
        (time, interval): (Timestamp, Option<Duration>),
        part: &Part,
        line: &mut String,
    ) -> std::fmt::Result {
        let service = &world.services[self.place];
        self.n_records += 1;
        let (name, environment, n) = (&service.name, Environment(self.preview), self.n_records);
        write!(
            line,
            r#"{{"kind":"error","id":"{name}-{environment}-{n}","time":"{time}","service":"{name}","environment":"{environment}","count":{}"#,
            part.errors
        )?;
        if let Some(interval) = interval {
            write!(line, r#","interval_ms":{}"#, interval.as_millis())?;
        }
        if let Some(requests) = part.requests {
            write!(line, r#","requests":{requests}"#)?;
        }
        if let Some(version) = part.version {
            write!(line, r#","version":"v{version}""#)?;
        }
        if let Some(upstream) = part.upstream {
            write!(line, r#","upstream":"{}""#, world.services[upstream].name)?;
        }
        if service.reporting == Reporting::Tracked && self.preview.is_none() {
            self.write_tracked(part, line)?;
        }
        line.push('}');
        Ok(())
    }

    fn write_tracked(&mut self, part: &Part, line: &mut String) -> std::fmt::Result {
        let place = self.place;
        let affected = if part.storm {
            1
        } else {
            self.chance.binomial(part.errors, 0.8).max(1)
        };
        match (part.storm, part.fault, part.upstream) {
            (true, ..) => write!(line, r#","fingerprint":"fp-{place}-loop""#),
            (_, Some(deploy), _) => write!(line, r#","fingerprint":"fp-{place}-since-{deploy}""#),
            (.., Some(callee)) => write!(line, r#","fingerprint":"fp-{place}-calls-{callee}""#),
            (..) => write!(line, r#","fingerprint":"fp-{place}-{}""#, self.chance.below(3)),
        }?;
        write!(line, r#","class":"exception","affected":{affected}"#)
    }

    /// What raises its errors in an interval, and how much of it.
    fn raises(&mut self, world: World<'_>, start: Timestamp, end: Timestamp) -> Vec<(Raise, f64)> {
        let all = &world.truth.raises[self.place];
        while all.get(self.raise).is_some_and(|raise| raise.from < end) {
            self.raised.push(self.raise);
            self.raise += 1;
        }
        self.raised.retain(|place| all[*place].until > start);
        let raised = self
            .raised
            .iter()
            .map(|place| (all[*place], covered(&all[*place], start, end)));
        raised.collect()
    }

    fn shift<'a>(&mut self, world: World<'a>, at: Timestamp) -> &'a Shift {
        let shifts = &world.shifts[self.place];
        while shifts.get(self.shift + 1).is_some_and(|next| next.at <= at) {
            self.shift += 1;
        }
        &shifts[self.shift]
    }

    fn is_in_gap(&mut self, truth: &Truth, at: Timestamp) -> bool {
        while truth
            .gaps
            .get(self.gap)
            .is_some_and(|gap| gap.service < self.place || (gap.service == self.place && gap.until <= at))
        {
            self.gap += 1;
        }
        truth
            .gaps
            .get(self.gap)
            .is_some_and(|gap| gap.service == self.place && gap.from <= at)
    }
}

/// Requests of one version in an interval, and what errors are usual of them.
#[derive(Debug, Clone, Copy)]
struct Load {
    requests: u64,
    mean: f64,
    size: f64,
}

/// The versions that an interval's records tell apart, each with its share of what is left; the last takes the rest.
fn versions(service: &Service, shift: &Shift) -> Vec<(Option<u32>, f64, bool)> {
    if !service.tells_version {
        return vec![(None, 1.0, true)];
    }
    if shift.share >= 1.0 || shift.newer == shift.older {
        return vec![(Some(shift.newer), 1.0, true)];
    }
    vec![
        (Some(shift.newer), shift.share, false),
        (Some(shift.older), 1.0 - shift.share, true),
    ]
}

/// Whether a service is at work: a batch is for part of the night only.
fn runs(service: &Service, at: Timestamp) -> bool {
    service.batch.is_none_or(|batch| {
        let since = at.since(at.floor(Duration::from_hours(24)));
        since >= batch.begins && since < batch.begins + batch.length
    })
}
