//! Windows: when the policy closes a service to deploys, and when it opens.
//!
//! | effect | says |
//! | --- | --- |
//! | `deny` | closed while the window lasts |
//! | `allow` | closed outside of it; of several, one that is open is enough |
//! | `exempt` | while it lasts, neither counts |
//!
//! A window begins at a local time of its zone, on the days of its recurrence, and lasts for a length by the clock on
//! the wall: from Friday 18:00, 62 h are to Monday 8:00, also when the clocks change in between. A beginning that the
//! clocks pass over is as much later; of one that they show twice, it is the first.
//!
//! **Invariant:** a function of the window and of `now` alone, in bounded time; zones are those compiled in, so every
//! machine says the same.

use std::collections::BTreeSet;

use jiff::{
    SignedDuration,
    civil::{Date, DateTime},
    tz::{TimeZone, TimeZoneDatabase},
};

use super::{
    Policy,
    glob::Glob,
    recurrence::{Recurrence, Until},
};
use crate::model::{Criticality, EnvironmentId, Timestamp};

/// The longest window, so that few days must be looked at for one that is open.
pub(super) const LENGTH_MAX: SignedDuration = SignedDuration::from_hours(62 * 24);
/// How far ahead the next window is looked for. What is beyond is looked for again by then.
const HORIZON_DAYS: i32 = 10 * 366;
const DAY_MS: i64 = 86_400_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WindowEffect {
    Deny,
    Allow,
    Exempt,
}

impl WindowEffect {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Allow => "allow",
            Self::Exempt => "exempt",
        }
    }
}

/// What a rule or window is about; empty lists mean all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope {
    pub services: Vec<Glob>,
    pub tiers: Vec<Criticality>,
    pub environments: Vec<EnvironmentId>,
}

impl Scope {
    /// Whether a service of a tier is meant, in whatever environment.
    #[must_use]
    pub fn has_service(&self, service: &str, tier: Criticality) -> bool {
        let named = self.services.is_empty() || self.services.iter().any(|glob| glob.matches(service));
        named && (self.tiers.is_empty() || self.tiers.contains(&tier))
    }

    #[must_use]
    pub fn has(&self, service: &str, tier: Criticality, environment: &str) -> bool {
        let is_there = |known: &EnvironmentId| known.as_str() == environment;
        (self.environments.is_empty() || self.environments.iter().any(is_there)) && self.has_service(service, tier)
    }
}

/// A window of the policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub name: Box<str>,
    pub effect: WindowEffect,
    pub scope: Scope,
    pub(super) schedule: Schedule,
}

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
}

/// The days on which a window begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Days {
    /// Rising: of a window that is once, or a number of times.
    Listed(Vec<Date>),
    Recurring(Recurrence),
}

/// A window at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// When what is open ends; `None` if it is not open.
    pub open_until: Option<Timestamp>,
    /// When it begins next, after the instant; [`Timestamp::NEVER`] if it does not within ten years.
    pub next: Timestamp,
}

/// Why a service is closed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Closed<'a> {
    pub window: &'a Window,
    /// When this ground ends.
    pub until: Timestamp,
}

/// What windows say of a service at an instant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outlook<'a> {
    pub closed: Option<Closed<'a>>,
    /// When that may be otherwise; [`Timestamp::NEVER`] without windows.
    pub changes_at: Timestamp,
}

impl Policy {
    /// What the windows say of a service in an environment at `now`.
    #[must_use]
    pub fn outlook(&self, service: &str, tier: Criticality, environment: &str, now: Timestamp) -> Outlook<'_> {
        let mut outlook = Outlook {
            closed: None,
            changes_at: Timestamp::NEVER,
        };
        let (mut denied, mut outside): (Option<Closed<'_>>, Option<Closed<'_>>) = (None, None);
        let (mut is_allowed, mut exempt_from) = (false, Timestamp::NEVER);
        for window in &self.windows {
            if !window.scope.has(service, tier, environment) {
                continue;
            }
            let at = window.at(now);
            outlook.changes_at = outlook.changes_at.min(at.open_until.unwrap_or(at.next));
            match (window.effect, at.open_until) {
                (WindowEffect::Exempt, Some(_)) => exempt_from = Timestamp::MIN,
                (WindowEffect::Exempt, None) => exempt_from = exempt_from.min(at.next),
                (WindowEffect::Allow, Some(_)) => is_allowed = true,
                (WindowEffect::Deny, None) => {}
                (WindowEffect::Deny, Some(until)) => {
                    // The one that lasts longest says it, so that few decisions are.
                    if denied.is_none_or(|known| until > known.until) {
                        denied = Some(Closed { window, until });
                    }
                }
                (WindowEffect::Allow, None) => {
                    if outside.is_none_or(|known| at.next < known.until) {
                        outside = Some(Closed { window, until: at.next });
                    }
                }
            }
        }
        if let Some(denied) = &mut denied {
            denied.until = self.denied_until(denied.until, |window| window.scope.has(service, tier, environment));
        }
        if exempt_from > Timestamp::MIN {
            outlook.closed = denied.or(outside.filter(|_| !is_allowed));
        }
        if let Some(closed) = &mut outlook.closed {
            closed.until = closed.until.min(exempt_from).min(horizon(now));
            outlook.changes_at = outlook.changes_at.min(closed.until);
        }
        outlook
    }
}

/// Occurrences that follow each other without a gap are followed so far: a fortnight of days.
const FOLLOWED_MAX: usize = 16;

impl Policy {
    /// When what is denied until `until` ends: a window that begins as another ends leaves no moment between them, in which
    /// a gate would see a freeze that is over and none yet that follows.
    fn denied_until(&self, mut until: Timestamp, is_meant: impl Fn(&Window) -> bool) -> Timestamp {
        let denies = |window: &&Window| window.effect == WindowEffect::Deny && is_meant(window);
        for _ in 0..FOLLOWED_MAX {
            let follows = self.windows.iter().filter(denies);
            match follows.filter_map(|window| window.at(until).open_until).max() {
                Some(end) => until = end,
                None => break,
            }
        }
        until
    }
}

/// A freeze has an end also where nothing ends it: the same all day long, so that it is not said again with each event.
fn horizon(now: Timestamp) -> Timestamp {
    let day = now.millis().div_euclid(DAY_MS);
    Timestamp::from_millis(day.saturating_add(i64::from(HORIZON_DAYS)).saturating_mul(DAY_MS))
}

impl Window {
    /// Whether it is open at `now`, until when, and when it begins next.
    #[must_use]
    pub fn at(&self, now: Timestamp) -> At {
        self.schedule.at(now)
    }

    /// `instant` by the window's own clocks, as people say it.
    #[must_use]
    pub fn local(&self, instant: Timestamp) -> String {
        let zone = &self.schedule.zone;
        let name = zone.iana_name().unwrap_or("UTC");
        match jiff::Timestamp::from_millisecond(instant.millis()) {
            Ok(instant) => format!("{} {name}", instant.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M")),
            Err(_) => "for ever".to_owned(),
        }
    }
}

impl Schedule {
    pub(super) fn at(&self, now: Timestamp) -> At {
        let mut found = At {
            open_until: None,
            next: Timestamp::NEVER,
        };
        let Ok(instant) = jiff::Timestamp::from_millisecond(now.millis()) else {
            return found;
        };
        let today = instant.to_zoned(self.zone.clone()).date();
        // What is open began at most its length ago, and a day more for what clocks and zones can add.
        let reach = i32::try_from(self.length.as_hours() / 24)
            .unwrap_or(i32::MAX)
            .saturating_add(2);
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
        let begin = self.instant(local)?;
        let rule = match &self.days {
            Days::Listed(_) => None,
            Days::Recurring(rule) => rule.until,
        };
        let is_over = match rule {
            None => false,
            Some(Until::Local(until)) => local > until,
            Some(Until::Instant(until)) => begin.millis() > until.as_millisecond(),
        };
        let end = self.instant(local.checked_add(self.length).ok()?)?;
        (!is_over && end > begin).then_some((begin, end))
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

    fn instant(&self, local: DateTime) -> Option<Timestamp> {
        let zoned = self.zone.to_ambiguous_zoned(local).compatible().ok()?;
        Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
    }
}

/// The zone of that name, of those compiled in.
pub(super) fn zone(name: &str) -> Option<TimeZone> {
    if name == "UTC" {
        return Some(TimeZone::UTC);
    }
    TimeZoneDatabase::bundled().get(name).ok()
}
