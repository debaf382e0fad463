//! From what holds for a service in an environment to what is published of it.
//!
//! The worst ground decides, and a person's word is over all of them. What is published is what differs from what
//! stands: another action, another ground, another mode, another end.

mod figures;
mod grounds;
mod incident;
mod kinds;
mod ought;
mod people;
mod regression;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::{
    grounds::withhold,
    incident::{frozen_by, reviewed_by},
    ought::{Ought, only_wait_until, plain, roll_back, wait_until, wait_until_back},
    people::{by_order, by_window},
    regression::{by_found, by_proposal, put_elsewhere},
};
use super::{
    Context, Said,
    environment::{Environment, Scene},
    hold::SPEAKS_BEFORE,
    lease::Because,
    moment::Moment,
    policy::Settings,
};
use crate::model::{
    Action, Decision, Effect, Exemption, Mode, Reason, Second, Sequence, ServiceId, Subject, Timestamp,
};

/// An extra review that still holds is said again so long before its end.
const RENEW_BEFORE: Duration = Duration::from_mins(2);
/// A partition's time trails events by up to a second or so: what time causes soon after one is not dated before it. An event
/// that is further ahead is of a wrong clock, and dates nothing but what it causes itself.
const TRAILS_MAX: Duration = Duration::from_secs(2);

/// What was last published of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) sequence: Sequence,
    pub(crate) action: Action,
    pub(crate) mode: Mode,
    pub(crate) valid_until: Moment,
    /// When the first freeze was published of those in a row of which this is the last; none of what is no freeze.
    frozen_since: Moment,
    requires_known_changes: bool,
    /// When it was decided: what follows on it is no earlier, see [`TRAILS_MAX`].
    decided_at: Timestamp,
    /// Half of the hash of the ground and of what it is about.
    ground: u32,
    /// Its end follows from its ground; else it is only put off while the ground holds.
    has_own_end: bool,
    /// Decided by the service, kept here so that time alone can end it.
    pub(crate) order: Option<Order>,
}

/// A person's word in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) effect: Effect,
    pub(crate) until: Timestamp,
    /// It was looked at shortly before its end, and is not looked at again by time alone until that.
    pub(crate) is_ending: bool,
}

impl Order {
    fn speaks_at(self) -> Timestamp {
        if self.is_ending {
            self.until
        } else {
            self.until - SPEAKS_BEFORE
        }
    }
}

impl Standing {
    /// When it must be looked at again: at the end of what it says.
    pub(crate) fn speaks_at(&self) -> Option<Timestamp> {
        let end = if self.has_own_end {
            self.valid_until.get()
        } else {
            self.valid_until.get().map(|until| until - RENEW_BEFORE)
        };
        end.into_iter().chain(self.order.map(Order::speaks_at)).min()
    }

    /// Whether it says already what ought to stand on this `ground`. Of a proceed the ground is no
    /// news, nor is the mode unless changes must be known.
    fn says(&self, ought: &Ought, ground: u32, settings: &Settings, now: Timestamp) -> bool {
        let is_held = ought.action != Action::Proceed;
        self.action == ought.action
            && self.requires_known_changes == settings.require_known_changes
            && self.ends_as(ought, now)
            && (self.mode == settings.mode || !(is_held || settings.require_known_changes))
            && (self.ground == ground || !is_held)
    }

    /// Whether its end is still right: the very end of `ought`; but that of an extra review follows the clock, and only
    /// must not be near.
    fn ends_as(&self, ought: &Ought, now: Timestamp) -> bool {
        let until = self.valid_until.get();
        if ought.has_own_end() {
            until == ought.valid_until
        } else {
            until.is_none_or(|until| now + RENEW_BEFORE < until)
        }
    }
}

impl Environment {
    /// Publishes what ought to stand, if it differs from what stands.
    pub(crate) fn decide(&mut self, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        let order = self.standing.as_ref().and_then(|standing| standing.order);
        let order = order.filter(|order| order.until > now);
        let order = order.map(|order| Order {
            is_ending: now >= order.until - SPEAKS_BEFORE,
            ..order
        });
        // Shortly before its end a word stands aside for what is held behind it: gates go by the word itself until then.
        let stands_aside = order.is_some_and(|order| order.is_ending) && {
            let follows = self.ought_now(None, scene.service, scene.settings, scene.context);
            follows.action != Action::Proceed
        };
        self.decide_under(order.filter(|_| !stands_aside), scene);
        if let Some(standing) = &mut self.standing {
            standing.order = order;
        }
    }

    /// [`Environment::decide`] with `order` as the word in force: one that came, changed or ended.
    pub(crate) fn decide_under(&mut self, order: Option<Order>, scene: &mut Scene<'_>) {
        let (service, settings, context) = (scene.service, scene.settings, scene.context);
        let ought = self.ought_now(order, service, settings, context);
        let (mode, requires_known_changes) = (settings.mode, settings.require_known_changes);
        let open = self.incidents.open().iter();
        let incidents: Vec<Box<str>> = open
            .filter(|_| ought.action != Action::Proceed)
            .map(|open| open.incident_id.clone())
            .collect();
        let ground = ought.ground(&incidents);
        if let Some(standing) = &mut self.standing {
            standing.order = order;
            if standing.says(&ought, ground, settings, context.now) {
                return;
            }
        }
        let stood = self.standing.as_ref();
        let sequence = stood
            .map_or_else(Sequence::default, |standing| standing.sequence)
            .next();
        let decided_at = match stood {
            Some(stood) if stood.decided_at.since(context.at) <= TRAILS_MAX => stood.decided_at.max(context.at),
            Some(_) | None => context.at,
        };
        let frozen_before = stood.and_then(|standing| standing.frozen_since.get());
        if ought.action == Action::Freeze && frozen_before.is_none() {
            self.clear_queue();
        }
        let frozen_since = (ought.action == Action::Freeze).then(|| frozen_before.unwrap_or(decided_at));
        self.standing = Some(Standing {
            sequence,
            action: ought.action,
            mode,
            valid_until: ought.valid_until.map_or(Moment::NONE, Moment::at),
            frozen_since: frozen_since.map_or(Moment::NONE, Moment::at),
            requires_known_changes,
            decided_at,
            ground,
            has_own_end: ought.has_own_end(),
            order,
        });
        scene.said.push(Said::Decision(Box::new(Decision {
            sequence,
            subject: Subject::Service {
                service: service.clone(),
                environment: self.name.clone(),
            },
            action: ought.action,
            mode,
            decided_at,
            valid_until: ought.valid_until,
            frozen_since,
            risk: ought.risk,
            reasons: ought.reasons,
            to_lift: ought.to_lift,
            obligations: Vec::new(),
            exempt: exempt(ought.action),
            incidents,
            requires_known_changes,
            low_loss: ought.low_loss_passes,
            suspects: ought.suspects,
            policy: context.policy.digest.clone(),
            model: super::risk::model_digest(context.bulletin.weights.as_ref()),
            cause: (context.cause)(),
        })));
    }

    /// What ought to stand, the policy's windows included: a person stands above them, and a freeze by evidence or
    /// incident says more.
    fn ought_now(
        &mut self,
        order: Option<Order>,
        service: &ServiceId,
        settings: &Settings,
        context: &Context<'_>,
    ) -> Ought {
        // Before the first time entry, no time is known but that of events.
        let now = if context.now == Timestamp::MIN {
            context.at
        } else {
            context.now
        };
        let outlook = context
            .policy
            .outlook(service.as_str(), settings.tier, self.name.as_str(), now);
        self.window_at = Second::of(outlook.changes_at);
        match outlook.closed {
            Some(closed) if order.is_none() && !self.is_frozen() => by_window(&closed),
            closed => {
                let mut ought = self.ought(order, service, settings, context);
                // What the window lets nobody through for, a freeze by something else does not open.
                ought.low_loss_passes &= closed.is_none();
                ought
            }
        }
    }

    fn is_frozen(&self) -> bool {
        self.hold.is_some() || self.incidents.freeze() || self.lease().is_some_and(|lease| lease.granted.is_some())
    }

    fn ought(&self, order: Option<Order>, service: &ServiceId, settings: &Settings, context: &Context<'_>) -> Ought {
        if let Some(order) = order {
            return by_order(order);
        }
        let mut ought = self
            .frozen(service, context.now)
            .or_else(|| self.reviewed(service, settings, context.at))
            .unwrap_or_else(|| self.proceeding(context));
        ought.low_loss_passes = ought.action == Action::Freeze && settings.freeze.low_loss_passes;
        ought
    }

    /// What freezes it, the gravest first.
    fn frozen(&self, service: &ServiceId, now: Timestamp) -> Option<Ought> {
        let mut incidents = self.incidents.grave();
        incidents.retain(|incident| incident.granted);
        if let Some(ought) = frozen_by(&incidents) {
            return Some(ought);
        }
        if let Some(hold) = &self.hold {
            let mut ought = by_found(&hold.found, &hold.deploy_id, Action::Freeze, hold.until);
            ought.suspects = hold.found.suspects(service);
            ought.to_lift = vec![roll_back(&hold.deploy_id), wait_until(hold.until)];
            self.note_relapse(&mut ought, now);
            return Some(ought);
        }
        let lease = self.lease()?;
        let (_, until) = lease.granted?;
        let mut ought = self.by_lease(lease, Action::Freeze, until);
        ought.to_lift = vec![only_wait_until(until)];
        if lease.because != Because::Spent {
            self.note_relapse(&mut ought, now);
        }
        Some(ought)
    }

    /// What asks for extra review: freezes not granted, what a freeze leaves behind, and what does not suffice for one.
    fn reviewed(&self, service: &ServiceId, settings: &Settings, at: Timestamp) -> Option<Ought> {
        let until = at + settings.freeze.lease;
        if let Some(ought) = reviewed_by(&self.incidents.grave(), until) {
            return Some(ought);
        }
        if let Some(proposal) = &self.proposal {
            let mut ought = by_proposal(proposal, service, until);
            if self.is_elsewhere() {
                put_elsewhere(&mut ought, proposal);
            }
            return Some(ought);
        }
        if let Some(proposed) = self.lease() {
            let mut ought = self.by_lease(proposed, Action::ExtraReview, until);
            if proposed.withheld {
                withhold(&mut ought);
            }
            return Some(ought);
        }
        if let Some(until) = self.cooldown_until() {
            let mut ought = plain(Action::ExtraReview, Some(until), self.cooldown_reason());
            ought.to_lift = vec![only_wait_until(until)];
            if let Some(outlasting) = self.told_outlasting(at) {
                ought.reasons.push(self.outlasting_reason(outlasting));
                ought.suspects = self.suspects_of_rise(service);
            }
            return Some(ought);
        }
        if let Some(outlasting) = self.told_outlasting(at) {
            let mut ought = plain(Action::ExtraReview, Some(until), self.outlasting_reason(outlasting));
            let wait = wait_until_back(outlasting);
            ought.to_lift = vec![wait];
            if let Some((deploy_id, _)) = self.was_frozen_for() {
                ought.about = deploy_id.into();
                ought.to_lift.insert(0, roll_back(deploy_id));
            }
            ought.suspects = self.suspects_of_rise(service);
            return Some(ought);
        }
        let reason = match self.budget().and_then(|budget| budget.raised) {
            Some((alert, _)) => self.burn_reason(alert),
            None if self.elevated_since().is_some() => self.elevated_reason(),
            None => return None,
        };
        Some(plain(Action::ExtraReview, Some(until), reason))
    }

    fn proceeding(&self, context: &Context<'_>) -> Ought {
        let reason = match (&self.standing, self.has_baseline(context.now, context.policy)) {
            (Some(_), _) if self.is_silent(context.policy) => Reason::new(
                "unknown_telemetry",
                "nothing speaks against it; its errors have not been told for longer than usual",
            ),
            (None, _) => Reason::new("new_service", "seen for the first time"),
            (Some(_), false) => Reason::new(
                "no_baseline",
                "nothing speaks against it; too little history to freeze by errors",
            ),
            (Some(_), true) => Reason::new("healthy", "nothing speaks against it"),
        };
        plain(Action::Proceed, None, reason)
    }
}

/// What passes a service that is held.
fn exempt(action: Action) -> Vec<Exemption> {
    match action {
        Action::Proceed => Vec::new(),
        Action::ExtraReview | Action::Freeze => Exemption::ALL.to_vec(),
    }
}
