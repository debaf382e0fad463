//! Evidence steps: where errors are summed until nothing on time can come for them any more.
//!
//! A step is a stretch of 1, 5 or 15 minutes of event time, the least not shorter than the intervals its producers
//! report. At most eight steps are open; an error for a closed step, or for one beyond them, is late. A step counts
//! once, when `lateness` has passed since its end.

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
use crate::model::{Errors, Timestamp};

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
    n_records: u32,
    /// Records that told no attempts; those that named no version which is told apart. What counts is whether there are.
    n_without_requests: u16,
    n_without_version: u16,
}

/// One step that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closed {
    pub(crate) start: Timestamp,
    pub(crate) errors: u64,
    /// Attempts, where every record told them and they are not fewer than the errors.
    pub(crate) requests: Option<u64>,
    pub(crate) n_records: u32,
    /// By version, where every record named one.
    pub(crate) by_version: Option<ByVersion>,
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
        self.next_start() + self.grain.duration() + lateness
    }

    /// Sums what an entry told, versions apart if `by_version`. False: it came late, and is not in.
    pub(crate) fn book(&mut self, errors: &Errors<'_>, totals: &Totals, by_version: bool) -> bool {
        let step = errors.time.millis().div_euclid(self.grain.millis());
        if step < self.next || step >= self.next + OPEN_MAX {
            return false;
        }
        let index = Self::index(step);
        let (slot, all) = (&mut self.slots[index], totals.all());
        slot.errors = slot.errors.saturating_add(all.errors);
        slot.n_records = slot.n_records.saturating_add(all.n_records);
        match all.requests {
            Some(requests) => slot.requests = slot.requests.saturating_add(requests),
            None => slot.n_without_requests = added(slot.n_without_requests, all.n_records),
        }
        let mut n_without_version = all.n_records;
        for (variant, part) in errors.variants().zip(totals.parts()) {
            // What was all seen before has told its version then.
            if part.n_records == 0 {
                continue;
            }
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
        slot.n_without_version = added(slot.n_without_version, n_without_version);
        true
    }

    /// Whether versions are told apart.
    pub(crate) fn has_versions(&self) -> bool {
        self.versions.is_some()
    }

    /// No longer tells versions apart; of the open steps what was told is not known any more.
    pub(crate) fn forget_versions(&mut self) {
        if self.versions.take().is_some() {
            for slot in self.slots.iter_mut().filter(|slot| slot.n_records > 0) {
                slot.n_without_version = u16::MAX;
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
        let told = slot.n_records > 0 && slot.n_without_requests == 0;
        // Fewer attempts than errors: the two do not count the same thing, and the errors are counted.
        let requests = (told && slot.requests >= slot.errors).then_some(slot.requests);
        Some(Closed {
            start,
            errors: slot.errors,
            requests,
            n_records: slot.n_records,
            by_version: by_version.filter(|_| slot.n_records > 0 && slot.n_without_version == 0),
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
                into.errors = into.errors.saturating_add(slot.errors);
                into.requests = into.requests.saturating_add(slot.requests);
                into.n_records = into.n_records.saturating_add(slot.n_records);
                into.n_without_requests = into.n_without_requests.saturating_add(slot.n_without_requests);
                into.n_without_version = u16::MAX;
            }
        }
    }
}

fn added(n: u16, more: u32) -> u16 {
    n.saturating_add(u16::try_from(more).unwrap_or(u16::MAX))
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
        steps.book(&entry, &totals, true)
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
