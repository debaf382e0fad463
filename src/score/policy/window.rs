//! Windows: when the policy closes a service to deploys, and when it opens.
//!
//! | effect | says |
//! | --- | --- |
//! | `deny` | closed while the window lasts |
//! | `allow` | closed outside of it; of several, one that is open is enough |
//! | `exempt` | while it lasts, neither counts |
//!
//! When each is open is its [`Schedule`]'s to say.

use super::{
    Policy,
    glob::Glob,
    schedule::{At, HORIZON_DAYS, Schedule},
};
use crate::model::{Criticality, EnvironmentId, Timestamp};

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
