//! Evidence steps: where errors are summed until nothing on time can come for them any more.
//!
//! A step is a stretch of 1, 5 or 15 minutes of event time, the least not shorter than the intervals its producers
//! report. At most eight steps are open; an error for a closed step, or for one beyond them, is late. A step counts
//! once, when `lateness` has passed since its end.
//!
//! A record is booked whole at its time, which is the end of its interval: of what a step holds a part happened before the
//! step began, and with each step goes the stretch that its records tell of.

mod intervals;
mod storms;
mod totals;
mod versions;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::{intervals::Intervals, storms::Storms, versions::Versions};
pub(crate) use self::{
    totals::Totals,
    versions::{ByVersion, Version},
};
use crate::model::{ERROR_GRAIN_MS, Errors, Timestamp};

/// The length of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Grain(u32);

impl Grain {
    pub(crate) const ONE_MINUTE: Self = Self(60_000);
    const LONGEST: Self = Self(900_000);
    const ALL: [Self; 3] = [Self::ONE_MINUTE, Self(300_000), Self::LONGEST];

    /// The least length not shorter than `interval_ms`, or the greatest there is.
    pub(crate) fn for_interval(interval_ms: u64) -> Self {
        Self::ALL
            .into_iter()
            .find(|grain| u64::from(grain.0) >= interval_ms)
            .unwrap_or(Self::LONGEST)
    }

    pub(crate) fn millis(self) -> i64 {
        i64::from(self.0)
    }

    pub(crate) fn millis_f64(self) -> f64 {
        f64::from(self.0)
    }

    pub(crate) fn minutes(self) -> f64 {
        f64::from(self.0) / 60_000.0
    }

    pub(crate) fn duration(self) -> Duration {
        Duration::from_millis(u64::from(self.0))
    }
}

/// Steps open at once: enough for producers whose clocks or queues differ by minutes.
const OPEN_MAX: i64 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Slot {
    errors: u64,
    requests: u64,
    /// The stretch that its records tell of, in seconds from its start; `until` is when the last one's grain of time begins.
    from: i16,
    until: i16,
    /// 255 where there are more.
    n_records: u8,
    /// Whether a record is of an interval that asks for longer steps; whether one told no attempts, or named no version
    /// which is told apart.
    is_long: bool,
    lacks_requests: bool,
    lacks_version: bool,
}

impl Slot {
    /// Takes in that so many records tell of a stretch.
    fn cover(&mut self, (from, until): (i16, i16), n_records: u8) {
        let is_first = self.n_records == 0;
        self.from = if is_first { from } else { self.from.min(from) };
        self.until = if is_first { until } else { self.until.max(until) };
        self.n_records = self.n_records.saturating_add(n_records);
    }

    /// The stretch that its records tell of, and its length; of what comes from several producers, whose intervals end at
    /// different times, the length that each of them tells of.
    fn told(&self, start: Timestamp, grain: Grain) -> (Timestamp, Timestamp, Duration) {
        let step = grain.duration();
        if self.n_records == 0 {
            return (start, start + step, step);
        }
        let at = |seconds: i16| Timestamp::from_millis(start.millis() + i64::from(seconds) * 1_000);
        let (from, last) = (at(self.from), at(self.until));
        let until = Timestamp::from_millis(last.millis() + ERROR_GRAIN_MS);
        let length = if self.is_long {
            last.since(from).max(step)
        } else {
            until.since(from).min(step)
        };
        (from, until, length)
    }
}

/// The stretch that a record tells of, in seconds from the start of its step, counted from the epoch: its interval, or of
/// an instant all the step.
fn stretch(errors: &Errors<'_>, step: i64, grain: Grain) -> (i16, i16) {
    let seconds = |ms: i64| i16::try_from((ms.div_euclid(1_000)).clamp(-32_000, 32_000)).unwrap_or(0);
    let until = errors.time.millis() - step * grain.millis();
    match i64::try_from(errors.interval_ms).unwrap_or(i64::MAX) {
        0 => (0, seconds(grain.millis() - ERROR_GRAIN_MS)),
        interval_ms => (seconds(until.saturating_sub(interval_ms)), seconds(until)),
    }
}

/// One step that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) start: Timestamp,
    /// The stretch that its records tell of, and how long it is for each producer; without a record, the step itself.
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) length: Duration,
    pub(crate) errors: u64,
    /// Attempts, where every record told them and they are not fewer than the errors.
    pub(crate) requests: Option<u64>,
    /// 255 where there are more.
    pub(crate) n_records: u8,
    /// By version, where every record named one.
    pub(crate) by_version: Option<ByVersion>,
}

impl Closed {
    /// How many steps of this length it tells of, at least one: an interval may be longer.
    pub(crate) fn n_steps(&self, grain: Grain) -> u16 {
        let step = grain.duration();
        if self.length == step {
            return 1;
        }
        let n = (self.length + step / 2).as_millis() / step.as_millis();
        u16::try_from(n).unwrap_or(u16::MAX).max(1)
    }

    /// Whether it tells of more than the longest step, which none can stand for.
    pub(crate) fn is_beyond_steps(&self, grain: Grain) -> bool {
        self.length > Grain::LONGEST.duration() + grain.duration()
    }

    /// The greatest part of what it tells that may have happened in a stretch.
    pub(crate) fn part_within(&self, from: Timestamp, until: Timestamp) -> f64 {
        let shared = until.min(self.until).since(from.max(self.from));
        (shared.as_secs_f64() / self.length.as_secs_f64()).min(1.0)
    }
}

/// Which kinds of errors a booked entry told.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tells {
    pub(crate) fingerprints: bool,
    pub(crate) upstreams: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Steps {
    pub(crate) grain: Grain,
    /// The first step not closed, counted from the epoch.
    next: i64,
    slots: [Slot; 8],
    /// Made with the first record that names a version.
    versions: Option<Box<Versions>>,
    storms: Option<Box<Storms>>,
    intervals: Intervals,
}

impl Steps {
    /// Begins with the first step open at `now`; while there is no `now`, with the step before the one of `first`, since
    /// sources are read in step, and not to the second.
    pub(crate) fn new(grain: Grain, first: Timestamp, now: Timestamp, lateness: Duration) -> Self {
        let from = if now == Timestamp::MIN {
            first - grain.duration()
        } else {
            now - lateness
        };
        let next = from.millis().div_euclid(grain.millis());
        Self {
            grain,
            next,
            slots: [Slot::default(); 8],
            versions: None,
            storms: None,
            intervals: Intervals::default(),
        }
    }

    /// The start of the first step not closed.
    pub(crate) fn next_start(&self) -> Timestamp {
        Timestamp::from_millis(self.next * self.grain.millis())
    }

    /// When the first open step closes.
    pub(crate) fn next_close(&self, lateness: Duration) -> Timestamp {
        Timestamp::from_millis((self.next + 1) * self.grain.millis()) + lateness
    }

    /// Sums what an entry told, versions apart if `by_version`. `None`: it came late, and is not in.
    pub(crate) fn book(&mut self, errors: &Errors<'_>, totals: &Totals, by_version: bool) -> Option<Tells> {
        let step = errors.time.millis().div_euclid(self.grain.millis());
        if step < self.next || step >= self.next + OPEN_MAX {
            return None;
        }
        let index = Self::index(step);
        let (slot, all) = (&mut self.slots[index], totals.all());
        slot.errors = slot.errors.saturating_add(all.errors);
        if all.n_records > 0 {
            let n_records = u8::try_from(all.n_records).unwrap_or(u8::MAX);
            slot.cover(stretch(errors, step, self.grain), n_records);
            slot.is_long |= Grain::for_interval(errors.interval_ms) > self.grain;
        }
        match all.requests {
            Some(requests) => slot.requests = slot.requests.saturating_add(requests),
            None => slot.lacks_requests |= all.n_records > 0,
        }
        let (mut n_without_version, mut tells) = (all.n_records, Tells::default());
        for (variant, part) in errors.variants().zip(totals.parts()) {
            // What was all seen before has told its version then.
            if part.n_records == 0 {
                continue;
            }
            tells.fingerprints |= variant.fingerprint.is_some();
            tells.upstreams |= variant.upstream.is_some();
            let mut errors = part.errors;
            if !part.storm.is_none() {
                let storms = self.storms.get_or_insert_default();
                let more = storms.book(variant, (index, self.grain), part.storm);
                slot.errors = slot.errors.saturating_add(more);
                errors = errors.saturating_add(more);
            }
            let version = Version::of(variant.version);
            if version == Version::NONE || !by_version {
                continue;
            }
            let versions = self.versions.get_or_insert_default();
            if versions.book(version, index, (errors, part.requests)) {
                n_without_version = n_without_version.saturating_sub(part.n_records);
            }
        }
        slot.lacks_version |= n_without_version > 0;
        Some(tells)
    }

    /// Whether versions are told apart.
    pub(crate) fn has_versions(&self) -> bool {
        self.versions.is_some()
    }

    /// No longer tells versions apart; of the open steps what was told is not known any more.
    pub(crate) fn forget_versions(&mut self) {
        if self.versions.take().is_some() {
            for slot in self.slots.iter_mut().filter(|slot| slot.n_records > 0) {
                slot.lacks_version = true;
            }
        }
    }

    fn index(step: i64) -> usize {
        usize::try_from(step.rem_euclid(OPEN_MAX)).unwrap_or(0)
    }

    /// Closes the first open step if its time has come.
    pub(crate) fn close(&mut self, now: Timestamp, lateness: Duration) -> Option<Closed> {
        if now < self.next_close(lateness) {
            return None;
        }
        let start = self.next_start();
        let index = Self::index(self.next);
        let mut slot = std::mem::take(&mut self.slots[index]);
        let mut by_version = self.versions.as_mut().map(|versions| versions.take(index));
        if let Some(storms) = &mut self.storms {
            let is_over = storms.close(index, |version, errors| {
                slot.errors = slot.errors.saturating_sub(errors.into());
                if let Some(by_version) = &mut by_version {
                    by_version.take_back(version, errors);
                }
            });
            if is_over {
                self.storms = None;
            }
        }
        self.next += 1;
        let told = slot.n_records > 0 && !slot.lacks_requests;
        // Fewer attempts than errors: the two do not count the same thing, and the errors are counted.
        let requests = (told && slot.requests >= slot.errors).then_some(slot.requests);
        let (from, until, length) = slot.told(start, self.grain);
        Some(Closed {
            start,
            from,
            until,
            length,
            errors: slot.errors,
            requests,
            n_records: slot.n_records,
            by_version: by_version.filter(|_| slot.n_records > 0 && !slot.lacks_version),
        })
    }

    /// How many further steps from here on are over and hold nothing; they are passed over in one go.
    pub(crate) fn skip_empty(&mut self, now: Timestamp, lateness: Duration) -> i64 {
        if self.slots.iter().any(|slot| slot.n_records > 0) {
            return 0;
        }
        let next = (now - lateness).millis().div_euclid(self.grain.millis());
        let n = (next - self.next).max(0);
        self.next += n;
        if n > 0 {
            self.storms = None;
        }
        n
    }

    /// Remembers a producer's interval.
    pub(crate) fn note_interval(&mut self, time: Timestamp, interval_ms: u64) {
        self.intervals.note(time, interval_ms);
    }

    /// The length that the intervals seen ask for; `is_new`: nothing would be lost by longer ones yet.
    pub(crate) fn wanted_grain(&self, is_new: bool) -> Grain {
        self.intervals.wanted(self.grain, is_new)
    }

    /// Goes over to steps of another length; sums that are open go to the step that holds their start.
    pub(crate) fn regrain(&mut self, grain: Grain) {
        let old = self.clone();
        self.next = old.next_start().millis().div_euclid(grain.millis());
        self.grain = grain;
        self.slots = [Slot::default(); 8];
        // What is open is not taken apart: those steps are judged without a control.
        if let Some(versions) = &mut self.versions {
            versions.clear();
        }
        self.storms = None;
        for step in old.next..old.next + OPEN_MAX {
            let slot = old.slots[Self::index(step)];
            let start = step * old.grain.millis();
            let target = start.div_euclid(grain.millis());
            if slot.n_records > 0 && (self.next..self.next + OPEN_MAX).contains(&target) {
                let into = &mut self.slots[Self::index(target)];
                let moved = i16::try_from((start - target * grain.millis()) / 1_000).unwrap_or(0);
                let stretch = (slot.from.saturating_add(moved), slot.until.saturating_add(moved));
                into.cover(stretch, slot.n_records);
                into.is_long |= slot.is_long;
                into.errors = into.errors.saturating_add(slot.errors);
                into.requests = into.requests.saturating_add(slot.requests);
                into.lacks_requests |= slot.lacks_requests;
                into.lacks_version = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{EventHash, Origin, Original, Variant};

    const LATENESS: Duration = Duration::from_secs(10);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    /// Books one record.
    fn book(steps: &mut Steps, time: Timestamp, told: (u64, Option<u64>), version: Option<&str>) -> bool {
        book_flood(steps, time, told, version, false)
    }

    /// Books one record, which may be a client's flood.
    fn book_flood(
        steps: &mut Steps,
        time: Timestamp,
        (errors, requests): (u64, Option<u64>),
        version: Option<&str>,
        is_storm: bool,
    ) -> bool {
        let mut variants = Vec::new();
        Variant {
            version,
            ..Variant::default()
        }
        .pack(&mut variants);
        let entry = Errors {
            service: "checkout",
            environment: "production",
            time,
            origin: Origin {
                topic: "errors",
                partition: 0,
                offset: 0,
            },
            errors,
            requests,
            interval_ms: 0,
            variants: &variants,
            originals: &[],
        };
        let mut totals = Totals::default();
        totals.note(&Original {
            hash: EventHash(1),
            variant: 0,
            is_storm,
            errors,
            requests,
        });
        steps.book(&entry, &totals, true).is_some()
    }

    /// Seconds of events, then the second of `now`, then what is booked and what closes.
    #[test]
    fn a_step_closes_lateness_after_its_end_and_takes_nothing_after() {
        let mut steps = Steps::new(Grain::ONE_MINUTE, at(600), at(600), LATENESS);
        assert_eq!(
            steps.next_start(),
            at(540),
            "the step before is still open for stragglers"
        );
        assert!(book(&mut steps, at(610), (3, None), None));
        assert!(steps.close(at(609), LATENESS).is_none());
        assert_eq!(steps.close(at(610), LATENESS).map(|closed| closed.start), Some(at(540)));
        assert!(steps.close(at(669), LATENESS).is_none());
        assert!(book(&mut steps, at(659), (1, Some(10)), None));
        let closed = steps.close(at(670), LATENESS).expect("it is time");
        assert_eq!((closed.errors, closed.requests, closed.n_records), (4, None, 2));
        assert!(!book(&mut steps, at(659), (1, None), None), "closed");
        assert!(
            !book(&mut steps, at(660 + 8 * 60), (1, None), None),
            "beyond the open ones"
        );
        assert!(book(&mut steps, at(659 + 8 * 60), (1, None), None));
    }

    #[test]
    fn a_longer_interval_makes_longer_steps_and_keeps_what_is_open() {
        let mut steps = Steps::new(Grain::ONE_MINUTE, at(600), at(600), LATENESS);
        assert!(book(&mut steps, at(600), (2, None), None) && book(&mut steps, at(660), (3, None), None));
        steps.note_interval(at(600), 300_000);
        assert_eq!(steps.wanted_grain(true), Grain(300_000));
        steps.regrain(Grain(300_000));
        let closed: Vec<(Timestamp, u64)> = std::iter::from_fn(|| steps.close(at(910), LATENESS))
            .map(|closed| (closed.start, closed.errors))
            .collect();
        assert_eq!(closed, [(at(300), 0), (at(600), 5)]);
    }

    /// A step is told apart only if every record in it names a version that is.
    #[test]
    fn counts_by_version_are_of_steps_whose_records_all_name_one() {
        let mut steps = Steps::new(Grain::ONE_MINUTE, at(600), at(610), LATENESS);
        for (version, seconds, errors) in [("a", 600, 1), ("b", 610, 2), ("a", 660, 3), ("b", 720, 4)] {
            assert!(book(&mut steps, at(seconds), (errors, Some(100)), Some(version)));
        }
        assert!(book(&mut steps, at(670), (5, Some(100)), None));
        let mut close = || steps.close(at(10_000), LATENESS).expect("it is time").by_version;
        let first = close().expect("all of them name one");
        let errors = |version: &str| {
            first
                .of(Version::of(Some(version)))
                .map(|count| (count.errors, count.requests))
        };
        assert_eq!(
            (errors("a"), errors("b"), errors("c")),
            (Some((1, 100)), Some((2, 100)), None)
        );
        assert!(close().is_none(), "one of them names none");
        let third = close().expect("all of them name one");
        assert_eq!(third.of(Version::of(Some("a"))).map(|count| count.errors), Some(0));
    }

    /// One client loops for three minutes through two versions, and again two minutes later.
    #[test]
    fn a_storm_that_goes_on_counts_in_its_first_step_for_the_service_and_for_each_version() {
        let mut steps = Steps::new(Grain::ONE_MINUTE, at(600), at(610), LATENESS);
        let mut closed = Vec::new();
        for minute in 0..6_i64 {
            for version in ["a", "b"] {
                let time = at(600 + 60 * minute);
                assert!(book(&mut steps, time, (10, Some(100)), Some(version)));
                if ![3, 4].contains(&minute) {
                    assert!(book_flood(&mut steps, time, (1, None), Some(version), true));
                }
            }
            let step = steps.close(at(670 + 60 * minute), LATENESS).expect("it is time");
            let by_version = step.by_version.expect("all of them name one");
            let errors = |name| by_version.of(Version::of(Some(name))).map(|count| count.errors);
            closed.push((step.errors, errors("a"), errors("b")));
        }
        let (first, on) = ((22, Some(11), Some(11)), (20, Some(10), Some(10)));
        assert_eq!(closed, [first, on, on, on, on, first]);
    }

    /// More versions at once than are told apart leave no step with a part of them.
    #[test]
    fn a_step_with_too_many_versions_is_not_told_apart() {
        let mut steps = Steps::new(Grain::ONE_MINUTE, at(600), at(610), LATENESS);
        for version in ["a", "b", "c", "d", "e"] {
            assert!(book(&mut steps, at(600), (1, None), Some(version)));
        }
        let closed = steps.close(at(10_000), LATENESS).expect("it is time");
        assert_eq!((closed.errors, closed.by_version), (5, None));
        assert!(book(&mut steps, at(660), (1, None), Some("e")));
        let closed = steps.close(at(10_000), LATENESS).expect("it is time");
        assert!(closed.by_version.is_some(), "the others have gone");
    }
}
