//! When a window is open, and when the next one begins.
//!
//! A window begins at a local time of its zone, on the days of its recurrence, and lasts for a length by the clock on
//! the wall: from Friday 18:00, 62 h are to Monday 8:00, also when the clocks change in between. A beginning that the
//! clocks pass over is as much later, and the end with it: as in RFC 5545, section 3.3.5, it is read by the clocks before.
//! Of one that they show twice, it is the first.
//!
//! **Invariant:** a function of the window and of `now` alone, in bounded time; zones are those compiled in, so every
//! machine says the same.

use std::{cell::RefCell, collections::BTreeSet};

use jiff::{
    SignedDuration, Zoned,
    civil::{Date, DateTime},
    tz::{TimeZone, TimeZoneDatabase},
};

use super::recurrence::{Recurrence, Until};
use crate::model::Timestamp;

/// The longest window, so that few days must be looked at for one that is open.
pub(super) const LENGTH_MAX: SignedDuration = SignedDuration::from_hours(62 * 24);
/// How far ahead the next window is looked for. What is beyond is looked for again by then.
pub(super) const HORIZON_DAYS: i32 = 10 * 366;
const DAY_MS: i64 = 86_400_000;

/// When a window is open.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Schedule {
    pub(super) zone: TimeZone,
    /// The first beginning.
    pub(super) from: DateTime,
    /// By the clock on the wall; above 0, at most [`LENGTH_MAX`].
    pub(super) length: SignedDuration,
    pub(super) days: Days,
    /// Days on which it does not begin after all.
    pub(super) except: BTreeSet<Date>,
    pub(super) memo: Memo,
}

/// The days on which a window begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Days {
    /// Rising: of a window that is once, or a number of times.
    Listed(Vec<Date>),
    Recurring(Recurrence),
}

impl Days {
    /// Whether `date` is one of them, of those that begin with `start`, whatever `UNTIL` says.
    pub(super) fn give(&self, date: Date, start: Date) -> bool {
        match self {
            Self::Listed(days) => days.contains(&date),
            Self::Recurring(rule) => rule.gives(date, start),
        }
    }
}

/// A window at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// When what is open ends; `None` if it is not open.
    pub open_until: Option<Timestamp>,
    /// When it begins next, after the instant; [`Timestamp::NEVER`] if it does not within ten years.
    pub next: Timestamp,
}

/// What was found out already: all services are asked about at the same instant, and a window that seldom comes is looked
/// for over years. A policy belongs to one partition, and a partition to one thread.
#[derive(Debug, Default)]
pub(super) struct Memo(RefCell<Vec<Span>>);

/// More are forgotten together: as many as instants are asked about for one `now`.
const SPANS_MAX: usize = 36;

/// A stretch of time in which the answer is the same.
#[derive(Debug, Clone, Copy)]
struct Span {
    from: Timestamp,
    /// The first instant at which it may be another: something begins or ends, or the days that are looked at are others.
    until: Timestamp,
    at: At,
}

impl Memo {
    fn of(&self, now: Timestamp) -> Option<At> {
        let spans = self.0.borrow();
        let span = spans.iter().find(|span| span.from <= now && now < span.until);
        span.map(|span| span.at)
    }

    fn note(&self, now: Timestamp, at: At) {
        let day = now.millis().div_euclid(DAY_MS);
        let midnight = Timestamp::from_millis(day.saturating_add(1).saturating_mul(DAY_MS));
        let until = at.open_until.unwrap_or(Timestamp::NEVER).min(at.next).min(midnight);
        let mut spans = self.0.borrow_mut();
        if spans.len() >= SPANS_MAX {
            spans.clear();
        }
        spans.push(Span { from: now, until, at });
    }
}

/// A copy has to find out for itself.
impl Clone for Memo {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// What was asked before makes no other schedule.
impl PartialEq for Memo {
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Schedule {
    /// Whether a window is open at `now`, until when, and when the next begins.
    pub(super) fn at(&self, now: Timestamp) -> At {
        self.memo.of(now).unwrap_or_else(|| {
            let at = self.look(now);
            self.memo.note(now, at);
            at
        })
    }

    fn look(&self, now: Timestamp) -> At {
        let mut found = At {
            open_until: None,
            next: Timestamp::NEVER,
        };
        let Ok(instant) = jiff::Timestamp::from_millisecond(now.millis()) else {
            return found;
        };
        let today = instant.to_zoned(TimeZone::UTC).date();
        // What is open began at most its length ago, and two days more for what clocks and zones can add.
        let reach = i32::try_from(self.length.as_hours() / 24)
            .unwrap_or(i32::MAX)
            .saturating_add(3);
        let first = today
            .saturating_sub(jiff::Span::new().days(reach))
            .max(self.from.date());
        let last = today
            .saturating_add(jiff::Span::new().days(HORIZON_DAYS))
            .min(self.last_day());
        let mut look = |date: Date| {
            let Some((begin, end)) = self.occurrence(date) else {
                return false;
            };
            if begin > now {
                found.next = begin;
            } else if end > now {
                found.open_until = found.open_until.max(Some(end));
            }
            begin > now
        };
        match &self.days {
            Days::Listed(days) => {
                let from = days.partition_point(|day| *day < first);
                days.iter()
                    .skip(from)
                    .take_while(|day| **day <= last)
                    .any(|day| look(*day));
            }
            Days::Recurring(rule) => {
                let days = first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last);
                days.filter(|day| rule.gives(*day, self.from.date())).any(&mut look);
            }
        }
        found
    }

    /// No window begins after it.
    fn last_day(&self) -> Date {
        let until = match &self.days {
            Days::Listed(_) => None,
            Days::Recurring(rule) => rule.until,
        };
        match until {
            None => Date::MAX,
            Some(Until::Local(until)) => until.date(),
            Some(Until::Instant(until)) => until.to_zoned(self.zone.clone()).date(),
        }
    }

    /// The window that begins on `date`, if it is not excepted and not after the end.
    pub(super) fn occurrence(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        if self.except.contains(&date) {
            return None;
        }
        let local = date.to_datetime(self.from.time());
        let begins = self.zoned(local)?;
        let begin = instant(&begins);
        let is_over = self.is_over(local, begin);
        // From what the clocks show at the beginning: in a gap that is later than `local`.
        let end = instant(&self.zoned(begins.datetime().checked_add(self.length).ok()?)?);
        (!is_over && end > begin).then_some((begin, end))
    }

    /// Whether `UNTIL` is before the beginning at `local`, which is the instant `begin`.
    fn is_over(&self, local: DateTime, begin: Timestamp) -> bool {
        let until = match &self.days {
            Days::Listed(_) => None,
            Days::Recurring(rule) => rule.until,
        };
        match until {
            None => false,
            Some(Until::Local(until)) => local > until,
            Some(Until::Instant(until)) => begin.millis() > until.as_millisecond(),
        }
    }

    /// Whether its rule ends before it begins.
    pub(super) fn never_begins(&self) -> bool {
        self.zoned(self.from)
            .is_none_or(|begins| self.is_over(self.from, instant(&begins)))
    }

    /// Whether, once it has begun, no moment is left between its windows for as long as they are looked for.
    pub(super) fn never_opens(&self) -> bool {
        let Some(begins) = self.zoned(self.from) else {
            return false;
        };
        let begin = instant(&begins);
        let end = Timestamp::from_millis(begin.millis().saturating_add(i64::from(HORIZON_DAYS) * DAY_MS));
        let mut at = begin;
        while at < end {
            match self.look(at).open_until {
                Some(until) => at = until,
                None => return false,
            }
        }
        true
    }

    /// The last local beginning that its rule lets be, for tests that lay all of them out.
    #[cfg(test)]
    pub(super) fn days_until(&self) -> Option<DateTime> {
        match &self.days {
            Days::Recurring(Recurrence {
                until: Some(Until::Local(until)),
                ..
            }) => Some(*until),
            Days::Recurring(_) | Days::Listed(_) => None,
        }
    }

    fn zoned(&self, local: DateTime) -> Option<Zoned> {
        self.zone.to_ambiguous_zoned(local).compatible().ok()
    }
}

fn instant(zoned: &Zoned) -> Timestamp {
    Timestamp::from_millis(zoned.timestamp().as_millisecond())
}

/// The zone of that name, of those compiled in.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    TimeZoneDatabase::bundled().get(name).ok()
}
