//! How fast a service spends its error budget.
//!
//! A service level objective lets a share 1 − o of requests fail over its window. The *burn rate* over a stretch is the
//! share that failed there as a multiple of that: 1 spends exactly the budget by the end of the window. After the SRE
//! workbook, *Alerting on SLOs*: 14.4 over an hour and 5 minutes, 6 over 6 hours and 30 minutes, 1 over 3 days and
//! 6 hours; the short stretch says that it goes on. A stretch of which only a part was seen counts as if nothing had
//! failed in the rest: a service of ten minutes has not burned for an hour.
//!
//! Five rings of slots from a minute to a 28th of the window hold errors and requests; the slot that is being filled is
//! exact, those that are full are [`Short`]: a rate within a hundredth of itself, in 276 bytes. A stretch is of whole slots, the
//! last of them the running one; an evidence step longer than a slot counts in the slot of its end.
//!
//! **Invariant:** errors without requests are in no ring: without them a burn rate is neither met nor asked for.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{baseline::count, evidence::narrow, short::Short};
use crate::model::{Second, Slo, Timestamp};

const MINUTE_MS: u32 = 60_000;
const DAY_MS: u32 = 86_400_000;
/// Slots of each ring, finest first. That of the window has 28 of a 28th of it.
const N_SLOTS: [usize; N_RINGS] = [5, 12, 12, 12, 28];
const N_RINGS: usize = 5;
const N_ALL: usize = 69;
/// What a slot of each ring spans, in milliseconds; that of the window's depends on it.
const SPANS_MS: [u32; N_RINGS - 1] = [MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 360 * MINUTE_MS];
/// Fewer errors than this in the short stretch are no burn: at three requests an hour one failure is a rate of 333.
const ERRORS_MIN: f64 = 10.0;
/// So long without requests, told or none, is a gap.
const GAP: Duration = Duration::from_hours(1);
/// The least share of failures that an objective allows, which rates of burning are divided by: one may be set as near
/// to 1 as numbers go, and counts as if it allowed one failure in a thousand million.
const ALLOWED_MIN: f64 = 1e-9;

/// A stretch of time up to the last closed step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stretch {
    FiveMinutes,
    HalfHour,
    Hour,
    SixHours,
    ThreeDays,
    /// The window of the objective: 28 days, where it says nothing else.
    Window,
}

impl Stretch {
    /// The ring it is taken from, and how many of its slots it spans.
    fn place(self) -> (usize, usize) {
        match self {
            Self::FiveMinutes => (0, 5),
            Self::HalfHour => (1, 6),
            Self::Hour => (1, 12),
            Self::SixHours => (2, 12),
            Self::ThreeDays => (3, 12),
            Self::Window => (4, 28),
        }
    }

    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5 m",
            Self::HalfHour => "30 m",
            Self::Hour => "1 h",
            Self::SixHours => "6 h",
            Self::ThreeDays => "3 d",
            Self::Window => "the whole window",
        }
    }
}

/// How the budget is being spent, gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Alert {
    /// All of it is gone.
    Spent,
    /// At its pace: 1 over 3 days and 6 hours.
    Slow,
    /// 6 over 6 hours and 30 minutes.
    Fast,
    /// 14.4 over an hour and 5 minutes: 2 % of the budget of 30 days in an hour.
    Page,
}

impl Alert {
    /// The long and the short stretch, and the rate that both must reach.
    pub(crate) fn condition(self) -> (Stretch, Stretch, f64) {
        match self {
            Self::Page => (Stretch::Hour, Stretch::FiveMinutes, 14.4),
            Self::Fast => (Stretch::SixHours, Stretch::HalfHour, 6.0),
            Self::Slow => (Stretch::ThreeDays, Stretch::SixHours, 1.0),
            Self::Spent => (Stretch::Window, Stretch::Window, 1.0),
        }
    }
}

/// Errors and requests of the slot that is being filled.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct Sum {
    errors: f32,
    requests: f32,
}

/// The error budget of a service in an environment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Budget {
    /// The share of requests that may fail: above 0, at most 1.
    allowed: f32,
    /// What a slot of the window's ring spans.
    slot_ms: u32,
    slots: Slots,
    /// Of each ring the slot that is being filled, counted from the epoch.
    running: [u32; N_RINGS],
    sums: [Sum; N_RINGS],
    /// The start of the first step with requests; without one, never.
    first: Second,
    /// The end of the last closed step.
    end: Second,
    /// The end of the last that was told requests, be it none; and since when they are told without a gap of [`GAP`].
    told_until: Second,
    told_since: Second,
    /// The alert that stands, and since when one does.
    pub(crate) raised: Option<(Alert, Second)>,
}

/// Per ring, the slots that are full: errors and requests.
#[derive(Debug, Clone, PartialEq)]
struct Slots([[Short; 2]; N_ALL]);

impl Serialize for Slots {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Slots {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let slots: Vec<[Short; 2]> = Vec::deserialize(deserializer)?;
        slots
            .try_into()
            .map(Self)
            .map_err(|_other| serde::de::Error::custom("not as many slots as rings have"))
    }
}

impl Budget {
    pub(crate) fn new(slo: Slo) -> Self {
        Self {
            allowed: narrow((1.0 - slo.objective.value()).max(ALLOWED_MIN)),
            slot_ms: u32::from(slo.window_days.max(1)).saturating_mul(DAY_MS / 28),
            slots: Slots([[Short::default(); 2]; N_ALL]),
            running: [0; N_RINGS],
            sums: [Sum::default(); N_RINGS],
            first: Second::of(Timestamp::NEVER),
            end: Second::default(),
            told_until: Second::default(),
            told_since: Second::default(),
            raised: None,
        }
    }

    /// Goes over to `slo`: of another objective it keeps its counts, of another window it does not.
    pub(crate) fn set(&mut self, slo: Slo) {
        let fresh = Self::new(slo);
        if fresh.slot_ms == self.slot_ms {
            self.allowed = fresh.allowed;
        } else {
            *self = fresh;
        }
    }

    /// The share of requests that must succeed, to seven digits.
    pub(crate) fn objective(&self) -> f64 {
        ((1.0 - f64::from(self.allowed)) * 1e7).round() / 1e7
    }

    fn span_ms(&self, ring: usize) -> u32 {
        SPANS_MS.get(ring).copied().unwrap_or(self.slot_ms)
    }

    /// Takes in the step from `start` to `end`; without requests, only time goes on. Steps come in order.
    pub(crate) fn observe(&mut self, (start, end): (Timestamp, Timestamp), errors: u64, requests: Option<u64>) {
        if Second::of(end) <= self.end {
            return;
        }
        self.end = Second::of(end);
        if requests.is_some() {
            if start.since(self.told_until.start()) >= GAP {
                self.told_since = Second::of(start);
            }
            self.told_until = Second::of(end);
        }
        if requests.is_some_and(|requests| requests > 0) {
            self.first = self.first.min(Second::of(start));
        }
        for ring in 0..N_RINGS {
            self.roll(ring, end);
            if let Some(requests) = requests {
                let sum = &mut self.sums[ring];
                sum.errors += narrow(count(errors));
                sum.requests += narrow(count(requests));
            }
        }
    }

    /// Goes on to the slot that holds the last instant before `end`.
    fn roll(&mut self, ring: usize, end: Timestamp) {
        let slot = (end.millis() - 1).div_euclid(i64::from(self.span_ms(ring)));
        let slot = u32::try_from(slot.max(0)).unwrap_or(u32::MAX);
        let running = self.running[ring];
        if slot <= running {
            return;
        }
        let Sum { errors, requests } = std::mem::take(&mut self.sums[ring]);
        self.running[ring] = slot;
        let n = u32::try_from(N_SLOTS[ring]).unwrap_or(u32::MAX);
        let slots = self.ring_mut(ring);
        let full = [Short::of(f64::from(errors)), Short::of(f64::from(requests))];
        slots[usize::try_from(running % n).unwrap_or(0)] = full;
        // What lies between is empty; of a longer gap, all there is.
        for passed in (running + 1).max(slot.saturating_sub(n))..slot {
            slots[usize::try_from(passed % n).unwrap_or(0)] = [Short::default(); 2];
        }
    }

    fn ring_mut(&mut self, ring: usize) -> &mut [[Short; 2]] {
        let from: usize = N_SLOTS[..ring].iter().sum();
        &mut self.slots.0[from..from + N_SLOTS[ring]]
    }

    /// Errors and requests over a stretch.
    pub(crate) fn counts(&self, stretch: Stretch) -> (f64, f64) {
        let (ring, n) = stretch.place();
        let slots = (0..u32::try_from(n).unwrap_or(1)).map(|back| self.slot(ring, back));
        slots.fold((0.0, 0.0), |(errors, requests), (more, further)| {
            (errors + more, requests + further)
        })
    }

    /// The burn rate over a stretch; `None` without requests there.
    pub(crate) fn rate(&self, stretch: Stretch) -> Option<f64> {
        let (errors, requests) = self.counts(stretch);
        if requests <= 0.0 || self.first == Second::of(Timestamp::NEVER) {
            return None;
        }
        let (ring, n) = stretch.place();
        let span =
            Duration::from_millis(u64::from(self.span_ms(ring))).as_secs_f64() * count(n.try_into().unwrap_or(1));
        // After a gap the first minute is not all there is of an hour; over longer stretches, nights are no gap.
        let first = if stretch == Stretch::Hour {
            self.first.max(self.told_since)
        } else {
            self.first
        };
        let seen = (self.end.start().since(first.start()).as_secs_f64() / span).min(1.0);
        Some(errors / requests / f64::from(self.allowed) * seen)
    }

    /// Errors and requests in the slot so many before the one that is being filled.
    fn slot(&self, ring: usize, back: u32) -> (f64, f64) {
        if back == 0 {
            let Sum { errors, requests } = self.sums[ring];
            return (f64::from(errors), f64::from(requests));
        }
        let from: usize = N_SLOTS[..ring].iter().sum();
        let n_ring = u32::try_from(N_SLOTS[ring]).unwrap_or(1);
        let Some(slot) = self.running[ring].checked_sub(back) else {
            return (0.0, 0.0);
        };
        let [errors, requests] = self.slots.0[from + usize::try_from(slot % n_ring).unwrap_or(0)];
        (errors.value(), requests.value())
    }

    /// Whether the rates over the long and the short stretch both reach what `alert` asks for.
    pub(crate) fn meets(&self, alert: Alert) -> bool {
        let (long, short, least) = alert.condition();
        let reaches = |stretch| self.rate(stretch).is_some_and(|rate| rate >= least);
        reaches(short) && reaches(long) && self.counts(short).0 >= ERRORS_MIN
    }

    /// The gravest that holds.
    pub(crate) fn alert(&self) -> Option<Alert> {
        [Alert::Page, Alert::Fast, Alert::Slow, Alert::Spent]
            .into_iter()
            .find(|alert| self.meets(*alert))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnitInterval;

    fn minute(n: i64) -> (Timestamp, Timestamp) {
        let start = 1_772_409_600_000 + n * 60_000;
        (Timestamp::from_millis(start), Timestamp::from_millis(start + 60_000))
    }

    fn budget() -> Budget {
        Budget::new(Slo {
            objective: UnitInterval::clamped(0.99),
            window_days: 28,
        })
    }

    /// Minute by minute so many errors of a thousand requests; where minutes are below 0, nothing is told for so long.
    fn after(minutes: &[(i64, u64)]) -> Budget {
        let (mut budget, mut at) = (budget(), 0);
        for (n, errors) in minutes {
            for _ in 0..*n {
                budget.observe(minute(at), *errors, Some(1_000));
                at += 1;
            }
            at += (-n).max(0);
        }
        budget
    }

    /// Against sums over all minutes kept one by one, within what a slot rounds to and its running part leaves out.
    #[test]
    fn the_rings_tell_what_was_counted_minute_by_minute() {
        let (mut budget, mut seen, mut x) = (budget(), Vec::new(), 7_u64);
        for at in 0..9_000_i64 {
            x = x.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
            let (errors, requests) = ((x >> 33) % 40, 900 + (x >> 40) % 200);
            if at % 997 > 40 {
                budget.observe(minute(at), errors, Some(requests));
                seen.push((at, errors, requests));
            }
            for (stretch, span, slot) in [
                (Stretch::FiveMinutes, 5, 1),
                (Stretch::HalfHour, 30, 5),
                (Stretch::Hour, 60, 5),
                (Stretch::SixHours, 360, 30),
                (Stretch::ThreeDays, 4_320, 360),
            ] {
                if at % 997 <= 40 || at % 131 != 0 {
                    continue;
                }
                // The epoch's slots are those of the hour: the story begins at midnight.
                let from = (at / slot + 1) * slot - span;
                let exact: f64 = seen
                    .iter()
                    .filter(|(at, ..)| *at >= from)
                    .map(|(_, errors, _)| count(*errors))
                    .sum();
                let (told, _) = budget.counts(stretch);
                assert!(
                    (told - exact).abs() <= 0.005 * exact + 1.0,
                    "{at} {stretch:?}: {told} for {exact}"
                );
            }
        }
    }

    #[test]
    fn alerts_come_with_both_stretches_and_go_with_the_short_one() {
        type Case<'a> = (&'a str, &'a [(i64, u64)], Option<Alert>);
        let cases: &[Case<'_>] = &[
            ("as allowed", &[(4_400, 9)], None),
            ("at its pace for three days", &[(4_400, 11)], Some(Alert::Slow)),
            ("not for long enough", &[(2_000, 11)], None),
            ("six times for six hours", &[(400, 61)], Some(Alert::Fast)),
            (
                "a quarter of all, for an hour",
                &[(4_000, 1), (40, 250)],
                Some(Alert::Page),
            ),
            (
                "the same, five minutes after its end",
                &[(4_000, 1), (40, 250), (6, 0)],
                None,
            ),
            ("all of it in a new service", &[(10, 1_000)], Some(Alert::Page)),
            ("a tenth in a new service", &[(10, 100)], None),
            ("a bad minute after a gap", &[(400, 1), (-90, 0), (1, 166)], None),
            (
                "a nightly batch at three times its pace",
                &[
                    (60, 30),
                    (-1_380, 0),
                    (60, 30),
                    (-1_380, 0),
                    (60, 30),
                    (-1_380, 0),
                    (60, 30),
                ],
                Some(Alert::Slow),
            ),
            (
                "ten minutes an hour",
                &[(400, 1), (-50, 0), (10, 166), (-50, 0), (10, 166), (-50, 0), (10, 166)],
                Some(Alert::Page),
            ),
            ("an hour of them", &[(400, 1), (-90, 0), (60, 166)], Some(Alert::Page)),
            ("spent", &[(26 * 1_440, 12), (2 * 1_440, 1)], Some(Alert::Spent)),
        ];
        for (case, minutes, expected) in cases {
            let budget = after(minutes);
            let rates = [
                Stretch::FiveMinutes,
                Stretch::Hour,
                Stretch::SixHours,
                Stretch::ThreeDays,
            ]
            .map(|stretch| budget.rate(stretch));
            assert_eq!(budget.alert(), *expected, "{case}: {rates:?}");
        }
    }

    #[test]
    fn few_errors_or_no_requests_are_no_burn() {
        let (mut few, mut untold) = (budget(), budget());
        for at in 0..100 {
            few.observe(minute(at), u64::from(at % 12 == 0), Some(1));
            untold.observe(minute(at), 500, None);
        }
        assert!(few.rate(Stretch::Hour).is_some_and(|rate| rate > 8.0));
        assert_eq!(
            (few.alert(), untold.alert(), untold.rate(Stretch::Hour)),
            (None, None, None)
        );
    }

    #[test]
    fn the_rings_take_less_than_their_budget_of_memory() {
        assert!(size_of::<Budget>() <= 376, "{}", size_of::<Budget>());
        assert_eq!(N_SLOTS.iter().sum::<usize>(), N_ALL);
    }
}
