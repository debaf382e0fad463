//! From what holds for a service in an environment to what is published of it.
//!
//! The worst ground decides, and a person's word is over all of them. What is published is what differs from what
//! stands: another action, another ground, another mode, another end.

mod grounds;
mod kinds;

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use self::{
    grounds::{outlasting_reason, put_elsewhere, withhold},
    kinds::name_dominant,
};
use super::{
    Context, Said,
    environment::{Environment, OpenIncident, Outlasting, Proposal, Scene},
    hold::{Beside, Found, SPEAKS_BEFORE},
    lease::Because,
    moment::Moment,
    policy::{Closed, Settings, WindowEffect},
};
use crate::model::{
    Action, Decision, Effect, Evidence, Exemption, Mode, Reason, Second, Sequence, ServiceId, Subject, Suspect,
    Timestamp, UnitInterval, hash_text,
};

const COOLDOWN_CODE: &str = "cooldown";
const OUTLASTING_CODE: &str = "errors_go_on";
/// An extra review that still holds is said again so long before its end.
const RENEW_BEFORE: Duration = Duration::from_mins(2);

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
    /// The hash of the ground and of what it is about.
    ground: u64,
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
    fn says(&self, ought: &Ought, ground: u64, settings: &Settings, now: Timestamp) -> bool {
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

/// What ought to stand.
struct Ought {
    action: Action,
    valid_until: Option<Timestamp>,
    risk: Option<UnitInterval>,
    /// At least one; the first is the ground.
    reasons: Vec<Reason>,
    /// What the reason is about: a deploy, an incident.
    about: Box<str>,
    to_lift: Vec<Box<str>>,
    suspects: Vec<Suspect>,
    low_loss_passes: bool,
}

impl Ought {
    fn code(&self) -> &str {
        self.reasons.first().map_or("", |reason| &reason.code)
    }

    /// The hash of its ground, of what that is about, and of what is told beside it for as long as it holds.
    fn ground(&self, incidents: &[Box<str>]) -> u64 {
        let passes = if self.low_loss_passes { " low loss passes" } else { "" };
        let mut beside = self.reasons.iter().skip(1);
        let goes_on = if beside.any(|reason| &*reason.code == OUTLASTING_CODE) {
            " errors go on"
        } else {
            ""
        };
        let (code, about) = (self.code(), &self.about);
        hash_text(&format!("{code}:{about}:{}{passes}{goes_on}", incidents.join(" ")))
    }

    /// An extra review lasts as long as its ground does, which nobody knows; all else ends when it says.
    fn has_own_end(&self) -> bool {
        self.action != Action::ExtraReview || self.code() == COOLDOWN_CODE
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
        let frozen_before = stood.and_then(|standing| standing.frozen_since.get());
        if ought.action == Action::Freeze && frozen_before.is_none() {
            self.clear_queue();
        }
        let frozen_since = (ought.action == Action::Freeze).then(|| frozen_before.unwrap_or(context.at));
        self.standing = Some(Standing {
            sequence,
            action: ought.action,
            mode,
            valid_until: ought.valid_until.map_or(Moment::NONE, Moment::at),
            frozen_since: frozen_since.map_or(Moment::NONE, Moment::at),
            requires_known_changes,
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
            decided_at: context.at,
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
        self.hold.is_some()
            || self.incidents.leading().is_some_and(|incident| incident.granted)
            || self.lease().is_some_and(|lease| lease.granted.is_some())
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
        if let Some(incident) = self.incidents.leading().filter(|incident| incident.granted) {
            let until = incident.freezes_until();
            let mut ought = by_incident(incident, Action::Freeze, until, "incident");
            ought.to_lift = vec![
                format!("resolve incident {}", incident.incident_id).into(),
                wait_until(until),
            ];
            return Some(ought);
        }
        if let Some(hold) = &self.hold {
            let mut ought = by_found(&hold.found, &hold.deploy_id, Action::Freeze, hold.until);
            ought.suspects = hold.found.suspects(service);
            ought.to_lift = vec![format!("roll back {}", hold.deploy_id).into(), wait_until(hold.until)];
            self.note_relapse(&mut ought, now);
            return Some(ought);
        }
        let lease = self.lease()?;
        let (_, until) = lease.granted?;
        let mut ought = self.by_lease(lease, Action::Freeze, until);
        ought.to_lift = vec![only_wait_until(until)];
        if lease.because == Because::Burn {
            self.note_relapse(&mut ought, now);
        }
        Some(ought)
    }

    /// What asks for extra review: freezes not granted, what a freeze leaves behind, and what does not suffice for one.
    fn reviewed(&self, service: &ServiceId, settings: &Settings, at: Timestamp) -> Option<Ought> {
        let until = at + settings.freeze.lease;
        if let Some(incident) = self.incidents.leading() {
            let code = if incident.withheld {
                "limiter_withheld"
            } else {
                "incident"
            };
            let mut ought = by_incident(incident, Action::ExtraReview, until, code);
            ought.to_lift = vec![format!("resolve incident {}", incident.incident_id).into()];
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
        if let Some(until) = self.cooldown_until.get() {
            let mut ought = plain(Action::ExtraReview, Some(until), self.cooldown_reason());
            ought.to_lift = vec![only_wait_until(until)];
            ought.reasons.extend(self.told_outlasting(at).map(outlasting_reason));
            return Some(ought);
        }
        if let Some(outlasting) = self.told_outlasting(at) {
            let mut ought = plain(Action::ExtraReview, Some(until), outlasting_reason(outlasting));
            ought.to_lift = vec![wait_until_back(outlasting)];
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

fn plain(action: Action, valid_until: Option<Timestamp>, reason: Reason) -> Ought {
    Ought {
        action,
        valid_until,
        risk: None,
        reasons: vec![reason],
        about: "".into(),
        to_lift: Vec::new(),
        suspects: Vec::new(),
        low_loss_passes: false,
    }
}

fn wait_until(until: Timestamp) -> Box<str> {
    format!("or wait: it ends {until}").into()
}

/// Where nothing else lifts it.
fn only_wait_until(until: Timestamp) -> Box<str> {
    format!("wait: it ends {until}").into()
}

fn wait_until_back(outlasting: Outlasting) -> Box<str> {
    let until = outlasting.until();
    format!("wait: it ends when errors are back, and {until} at the latest").into()
}

/// Decisions say that a person decided, and never who.
fn by_order(order: Order) -> Ought {
    let Order { effect, until, .. } = order;
    let (action, text) = match effect {
        Effect::Freeze => (Action::Freeze, "a person froze it"),
        Effect::Proceed => (Action::Proceed, "a person lets it proceed"),
    };
    Ought {
        about: until.to_string().into(),
        to_lift: if effect == Effect::Freeze {
            vec![only_wait_until(until)]
        } else {
            Vec::new()
        },
        ..plain(action, Some(until), Reason::new("override", text))
    }
}

/// What a person planned needs no grant of the fleet's.
fn by_window(closed: &Closed<'_>) -> Ought {
    let Closed { window, until } = *closed;
    let name = &window.name;
    let end = window.local(until);
    let text = match window.effect {
        WindowEffect::Allow => format!("outside of the policy's window {name}; open again {end}"),
        WindowEffect::Deny | WindowEffect::Exempt => format!("in the policy's window {name}; closed until {end}"),
    };
    Ought {
        about: until.to_string().into(),
        to_lift: vec![only_wait_until(until)],
        ..plain(Action::Freeze, Some(until), Reason::new(format!("policy:{name}"), text))
    }
}

fn by_proposal(proposal: &Proposal, service: &ServiceId, until: Timestamp) -> Ought {
    let Proposal {
        deploy_id,
        found,
        withheld,
        ..
    } = proposal;
    let mut ought = by_found(found, deploy_id, Action::ExtraReview, until);
    ought.suspects = found.suspects(service);
    if proposal.is_noisy() {
        for reason in &mut ought.reasons {
            reason.code = "noisy_service".into();
            reason.text = format!(
                "{}; they rise as far where nothing was deployed, so it is not frozen",
                reason.text
            )
            .into();
        }
    } else if *withheld {
        withhold(&mut ought);
    }
    ought.to_lift = vec![format!("roll back {deploy_id}").into()];
    ought
}

fn by_incident(incident: &OpenIncident, action: Action, until: Timestamp, code: &str) -> Ought {
    Ought {
        about: incident.incident_id.clone(),
        ..plain(action, Some(until), incident_reason(incident, code))
    }
}

fn incident_reason(incident: &OpenIncident, code: &str) -> Reason {
    let OpenIncident {
        incident_id, severity, ..
    } = incident;
    let mut reason = Reason::new(code, format!("incident {incident_id} of severity {severity} is open"));
    reason.evidence = BTreeMap::from([
        ("incident_id", Evidence::Text(incident_id.clone())),
        ("severity", Evidence::Count(u64::from(*severity))),
    ]);
    reason
}

fn by_found(found: &Found, deploy_id: &str, action: Action, until: Timestamp) -> Ought {
    let since = found.since_onset;
    let ratio = round(since.ratio(), 100.0);
    let usual = match found.beside {
        Beside::Requests => "the baseline (per request)",
        Beside::Minutes => "the baseline (per minute, requests not known)",
        Beside::Version => "those of the version beside it",
        Beside::Raised => "what they had risen to before it",
    };
    let text = format!("errors at {ratio} times {usual} since deploy {deploy_id}");
    let mut reason = Reason::new("deploy_regression", text);
    reason.value = Some(ratio);
    reason.threshold = Some(round(1.0 + found.margin(), 1_000.0));
    let e_value = f64::from(found.ln_e).min(690.0).exp();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::as_conversions,
        reason = "a count of errors, ≥ 0"
    )]
    let errors = f64::from(since.errors).round() as u64;
    reason.evidence = BTreeMap::from([
        ("deploy_id", Evidence::Text(deploy_id.into())),
        ("e_value", Evidence::Number(significant(e_value))),
        ("errors", Evidence::Count(errors)),
        ("expected", Evidence::Number(round(f64::from(since.expected), 100.0))),
        (
            "e_threshold",
            Evidence::Number(significant(f64::from(found.threshold.ln_e).min(690.0).exp())),
        ),
        (
            "placebo_windows",
            Evidence::Number(f64::from(found.threshold.n).round()),
        ),
        (
            "placebo_quantile",
            Evidence::Number(significant(f64::from(found.threshold.ln_quantile).min(690.0).exp())),
        ),
    ]);
    name_dominant(&mut reason, found.dominant.as_ref());
    Ought {
        // The chance of a regression at even odds before the evidence.
        risk: Some(UnitInterval::clamped(e_value / (1.0 + e_value)).rounded()),
        about: deploy_id.into(),
        ..plain(action, Some(until), reason)
    }
}

fn round(value: f64, per_unit: f64) -> f64 {
    (value * per_unit).round() / per_unit
}

/// Three significant digits.
fn significant(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return value;
    }
    let scale = 10_f64.powf(2.0 - value.log10().floor());
    (value * scale).round() / scale
}
