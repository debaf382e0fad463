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
    /// The ground on which it is closed now; others may follow it.
    pub window: &'a Window,
    /// When it opens.
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
        if exempt_from > Timestamp::MIN {
            outlook.closed = denied.or(outside.filter(|_| !is_allowed));
        }
        if let Some(closed) = &mut outlook.closed {
            let end = exempt_from.min(horizon(now));
            let opens = self.opens_at((closed.until, end), |window| {
                window.scope.has(service, tier, environment)
            });
            closed.until = opens.min(end);
            outlook.changes_at = outlook.changes_at.min(closed.until);
        }
        outlook
    }
}

/// Grounds that follow each other without a gap are followed so far: a month of days.
const FOLLOWED_MAX: usize = 32;

impl Policy {
    /// When what is closed until `from` opens, of the moments before `end`: all that denies is over, and of what allows, if
    /// there is any, one is open. A ground that begins as another ends leaves no moment between them, in which a gate would
    /// see a freeze that is over and none yet that follows.
    fn opens_at(&self, (from, end): (Timestamp, Timestamp), is_meant: impl Fn(&Window) -> bool) -> Timestamp {
        let meant: Vec<&Window> = self.windows.iter().filter(|window| is_meant(window)).collect();
        let mut at = from;
        for _ in 0..FOLLOWED_MAX {
            let follows = (at < end).then(|| stays_closed(&meant, at)).flatten();
            let Some(until) = follows else { break };
            at = until;
        }
        at
    }
}

/// When the ground on which `windows` close at `now` ends; `None` if none does.
fn stays_closed(windows: &[&Window], now: Timestamp) -> Option<Timestamp> {
    let of = |effect| windows.iter().filter(move |window| window.effect == effect);
    let denied = of(WindowEffect::Deny).filter_map(|window| window.at(now).open_until);
    denied.max().or_else(|| {
        let is_allowed = of(WindowEffect::Allow).any(|window| window.at(now).open_until.is_some());
        let next = of(WindowEffect::Allow).map(|window| window.at(now).next).min();
        next.filter(|_| !is_allowed)
    })
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
