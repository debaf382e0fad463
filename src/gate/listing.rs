//! Pages of what stands: services, riskiest first, and the newest decisions.
//!
//! A cursor is the last item's place in the order, not a number of items to skip: what moves between two pages is
//! seen twice or not at all, and nothing else shifts.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    fmt,
    ops::Bound,
    str::FromStr,
    sync::{Arc, PoisonError, RwLock},
};

use super::{record::StandingDecision, view::View};
use crate::model::{Action, EnvironmentId, ServiceId, Subject, Timestamp, UnitInterval};

/// How many of the newest decisions are kept: an hour of a bad day of a large fleet, about a megabyte.
pub const RECENT_MAX: usize = 1_000;

/// Items of a page, at most: one answer stays below about a megabyte.
pub const PAGE_ITEMS_MAX: usize = 1_000;

/// Part of a list. `next` asks for what follows; `None` at the end.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<Cursor> {
    pub items: Vec<Arc<StandingDecision>>,
    pub next: Option<Cursor>,
}

/// A place in the list of services: action, then risk, both worst first, then names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServiceCursor {
    action: Reverse<Action>,
    /// The bits of a number from 0 to 1, which order as the numbers do.
    risk: Reverse<u64>,
    service: ServiceId,
    environment: EnvironmentId,
}

impl ServiceCursor {
    /// What has lapsed ranks with the services that may proceed. `None`: it is not on a service.
    #[must_use]
    pub fn of(decision: &StandingDecision, now: Timestamp) -> Option<Self> {
        let Subject::Service { service, environment } = &decision.subject else {
            return None;
        };
        let action = if decision.is_in_force(now) {
            decision.action
        } else {
            Action::Proceed
        };
        let risk = decision.risk.unwrap_or(UnitInterval::ZERO).value() + 0.0;
        Some(Self {
            action: Reverse(action),
            risk: Reverse(risk.to_bits()),
            service: service.clone(),
            environment: environment.clone(),
        })
    }
}

/// A text that is no cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct InvalidCursor;

/// `freeze.3fe….8.checkoutproduction`: the number is the length of the service's name in bytes.
impl fmt::Display for ServiceCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            action: Reverse(action),
            risk: Reverse(risk),
            service,
            environment,
        } = self;
        write!(
            f,
            "{}.{risk:x}.{}.{service}{environment}",
            action.name(),
            service.as_str().len()
        )
    }
}

impl FromStr for ServiceCursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        parse_service_cursor(text).ok_or(InvalidCursor)
    }
}

fn parse_service_cursor(text: &str) -> Option<ServiceCursor> {
    let mut parts = text.splitn(4, '.');
    let action = parts.next()?;
    let action = Action::ALL.into_iter().find(|known| known.name() == action)?;
    let risk = u64::from_str_radix(parts.next()?, 16).ok()?;
    let length: usize = parts.next()?.parse().ok()?;
    let (service, environment) = parts.next()?.split_at_checked(length)?;
    let (service, environment) = (service.parse().ok()?, environment.parse().ok()?);
    Some(ServiceCursor {
        action: Reverse(action),
        risk: Reverse(risk),
        service,
        environment,
    })
}

/// A place among the newest decisions: when decided, then how many came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecentCursor {
    at: Timestamp,
    n: u64,
}

/// `1773151327120.42`.
impl fmt::Display for RecentCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.at.millis(), self.n)
    }
}

impl FromStr for RecentCursor {
    type Err = InvalidCursor;
    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let (at, n) = text.split_once('.').ok_or(InvalidCursor)?;
        let (Ok(at), Ok(n)) = (at.parse(), n.parse()) else {
            return Err(InvalidCursor);
        };
        Ok(Self {
            at: Timestamp::from_millis(at),
            n,
        })
    }
}

/// The newest [`RECENT_MAX`] decisions by the time they were made: partitions are read one behind the other at first,
/// and the order of arrival would show the last one's only.
#[derive(Debug, Default)]
pub(super) struct Recent {
    // Held for one insertion or one page; a concurrent map has no order.
    kept: RwLock<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    decisions: BTreeMap<RecentCursor, Arc<StandingDecision>>,
    n: u64,
}

impl Recent {
    pub(super) fn push(&self, decision: Arc<StandingDecision>) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        kept.n += 1;
        let key = RecentCursor {
            at: decision.decided_at,
            n: kept.n,
        };
        kept.decisions.insert(key, decision);
        if kept.decisions.len() > RECENT_MAX {
            kept.decisions.pop_first();
        }
    }
}

impl View {
    /// The latest decisions on services, those that hold the most up first. At most `limit` items, and at least one.
    #[must_use]
    pub fn services(&self, now: Timestamp, after: Option<&ServiceCursor>, limit: usize) -> Page<ServiceCursor> {
        let n_max = limit.clamp(1, PAGE_ITEMS_MAX) + 1;
        let mut found: Vec<(ServiceCursor, Arc<StandingDecision>)> = Vec::new();
        for of_service in &self.services {
            let decisions = of_service.environments.iter().map(|(_, known)| &known.decision);
            let places = decisions.filter_map(|decision| Some((ServiceCursor::of(decision, now)?, decision.clone())));
            found.extend(places.filter(|(place, _)| after.is_none_or(|after| place > after)));
            // Only the first are wanted: the others are let go of before there are many, and never sorted.
            if found.len() >= 4 * PAGE_ITEMS_MAX {
                found.select_nth_unstable_by(n_max - 1, |(a, _), (b, _)| a.cmp(b));
                found.truncate(n_max);
            }
        }
        found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        page(found.into_iter(), limit)
    }

    /// The newest decisions, on services and changes, newest first.
    #[must_use]
    pub fn recent(&self, before: Option<RecentCursor>, limit: usize) -> Page<RecentCursor> {
        let kept = self.recent.kept.read().unwrap_or_else(PoisonError::into_inner);
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let newest_first = kept.decisions.range((Bound::Unbounded, end)).rev();
        page(newest_first.map(|(place, decision)| (*place, decision.clone())), limit)
    }
}

fn page<Cursor>(items: impl Iterator<Item = (Cursor, Arc<StandingDecision>)>, limit: usize) -> Page<Cursor> {
    let limit = limit.clamp(1, PAGE_ITEMS_MAX);
    let mut page = Page {
        items: Vec::new(),
        next: None,
    };
    let mut last = None;
    for (place, decision) in items {
        if page.items.len() == limit {
            page.next = last;
            break;
        }
        page.items.push(decision);
        last = Some(place);
    }
    page
}
