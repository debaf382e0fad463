//! From what holds for a service in an environment to what is published of it.
//!
//! The worst ground decides, and a person's word is over all of them. What is published is what differs from what
//! stands: another action, another ground, another mode, another end.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Context, Said,
    environment::{Environment, Owner, Proposal},
    hold::Found,
    service::Word,
};
use crate::model::{
    Action, Decision, Effect, Evidence, Exemption, Mode, Reason, Sequence, Subject, Suspect, Timestamp, UnitInterval,
};

const COOLDOWN_CODE: &str = "cooldown";

/// What was last published of a subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    pub(crate) sequence: Sequence,
    pub(crate) action: Action,
    pub(crate) mode: Mode,
    pub(crate) valid_until: Option<Timestamp>,
    requires_known_changes: bool,
    /// The ground, and what it is about.
    ground: Box<str>,
    /// The person's word in force: decided by the service, kept here so that time alone can end it.
    pub(crate) word: Option<Word>,
}

impl Standing {
    /// When it must be looked at again: at the end of what it says.
    pub(crate) fn speaks_at(&self) -> Option<Timestamp> {
        let word = self.word.as_ref().map(|word| word.until);
        let end = match self.action {
            Action::ExtraReview if !self.ground.starts_with(COOLDOWN_CODE) => {
                self.valid_until.map(|until| until - RENEW_BEFORE)
            }
            Action::ExtraReview | Action::Freeze | Action::Proceed => self.valid_until,
        };
        end.into_iter().chain(word).min()
    }
}

/// What ought to stand.
struct Ought {
    action: Action,
    valid_until: Option<Timestamp>,
    risk: Option<UnitInterval>,
    reason: Reason,
    /// What the reason is about: a deploy, an incident.
    about: Box<str>,
    to_lift: Vec<Box<str>>,
    suspects: Vec<Suspect>,
}

impl Environment {
    /// Publishes what ought to stand, if it differs from what stands.
    pub(crate) fn decide(&mut self, owner: Owner<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        let word = self
            .standing
            .as_ref()
            .and_then(|standing| standing.word.clone())
            .filter(|word| word.until > context.now);
        self.decide_under(word, owner, context, said);
    }

    /// [`Environment::decide`] when a person's word came, changed or ended.
    pub(crate) fn decide_under(
        &mut self,
        word: Option<Word>,
        owner: Owner<'_>,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) {
        let ought = self.ought(word.as_ref(), owner, context);
        let mode = owner.settings.mode;
        let requires_known_changes = owner.settings.require_known_changes;
        let ground: Box<str> = format!("{}:{}", ought.reason.code, ought.about).into();
        let published = match &mut self.standing {
            Some(standing) => {
                standing.word.clone_from(&word);
                standing.action != ought.action
                    || standing.requires_known_changes != requires_known_changes
                    || lapses(standing.valid_until, &ought, context.now)
                    || (ought.action != Action::Proceed && (standing.mode != mode || standing.ground != ground))
            }
            None => true,
        };
        if !published {
            return;
        }
        let sequence = self
            .standing
            .as_ref()
            .map_or_else(Sequence::default, |standing| standing.sequence)
            .next();
        self.standing = Some(Standing {
            sequence,
            action: ought.action,
            mode,
            valid_until: ought.valid_until,
            requires_known_changes,
            ground,
            word,
        });
        said.push(Said::Decision(Box::new(Decision {
            sequence,
            subject: Subject::Service {
                service: owner.service.clone(),
                environment: self.name.clone(),
            },
            action: ought.action,
            mode,
            decided_at: context.at,
            valid_until: ought.valid_until,
            risk: ought.risk,
            reasons: vec![ought.reason],
            to_lift: ought.to_lift,
            obligations: Vec::new(),
            exempt: if ought.action == Action::Freeze {
                Exemption::ALL.to_vec()
            } else {
                Vec::new()
            },
            requires_known_changes,
            suspects: ought.suspects,
            policy: context.policy.digest.clone(),
            model: super::change::model_digest(),
            cause: (context.cause)(),
        })));
    }

    fn ought(&self, word: Option<&Word>, owner: Owner<'_>, context: &Context<'_>) -> Ought {
        let now = context.now;
        if let Some(word) = word {
            return by_word(word);
        }
        let incident = self
            .incidents
            .iter()
            .filter(|open| open.severity <= 2)
            .min_by_key(|open| (!open.granted, open.severity));
        if let Some(incident) = incident.filter(|incident| incident.granted) {
            return Ought {
                to_lift: vec![
                    format!("resolve incident {}", incident.incident_id).into(),
                    wait_until(incident.freezes_until()),
                ],
                ..ought_by_incident(incident, Action::Freeze, incident.freezes_until(), "incident")
            };
        }
        if let Some(hold) = &self.hold {
            let mut ought = by_found(&hold.found, &hold.deploy_id, owner, Action::Freeze, hold.until);
            ought.to_lift = vec![format!("roll back {}", hold.deploy_id).into(), wait_until(hold.until)];
            return ought;
        }
        let lease = context.at + owner.settings.freeze.lease;
        if let Some(incident) = incident {
            let code = if incident.withheld {
                "limiter_withheld"
            } else {
                "incident"
            };
            return ought_by_incident(incident, Action::ExtraReview, lease, code);
        }
        if let Some(Proposal {
            deploy_id,
            found,
            withheld,
            ..
        }) = &self.proposal
        {
            let mut ought = by_found(found, deploy_id, owner, Action::ExtraReview, lease);
            if *withheld {
                ought.reason.code = "limiter_withheld".into();
                ought.reason.text =
                    format!("{}; the fleet's limit on new freezes is reached", ought.reason.text).into();
            }
            ought.to_lift = vec![format!("roll back {deploy_id}").into()];
            return ought;
        }
        if let Some(until) = self.cooldown_until {
            let reason = Reason::new(COOLDOWN_CODE, "a freeze has just ended");
            return Ought {
                to_lift: vec![wait_until(until)],
                ..plain(Action::ExtraReview, Some(until), reason)
            };
        }
        if self.elevated_since.is_some() {
            let reason = Reason::new(
                "evidence_elevated",
                "errors since the last deploy are above what is usual",
            );
            return plain(Action::ExtraReview, Some(lease), reason);
        }
        let reason = match (&self.standing, self.has_baseline(now)) {
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

/// An extra review that still holds is said again so long before its end.
const RENEW_BEFORE: Duration = Duration::from_mins(2);

/// Whether what stands has to be said again because of its end: whenever the end moved, or came or went; but an extra
/// review only when it would lapse, since its end follows the clock.
fn lapses(stands_until: Option<Timestamp>, ought: &Ought, now: Timestamp) -> bool {
    match ought.action {
        Action::ExtraReview if ought.reason.code.as_ref() != COOLDOWN_CODE => {
            stands_until.is_some_and(|until| now + RENEW_BEFORE >= until)
        }
        Action::ExtraReview | Action::Freeze | Action::Proceed => stands_until != ought.valid_until,
    }
}

fn plain(action: Action, valid_until: Option<Timestamp>, reason: Reason) -> Ought {
    Ought {
        action,
        valid_until,
        risk: None,
        reason,
        about: "".into(),
        to_lift: Vec::new(),
        suspects: Vec::new(),
    }
}

fn wait_until(until: Timestamp) -> Box<str> {
    format!("or wait: it ends {until}").into()
}

/// Decisions say that a person decided, and never who.
fn by_word(word: &Word) -> Ought {
    let (action, text) = match word.effect {
        Effect::Freeze => (Action::Freeze, "a person froze it"),
        Effect::Proceed => (Action::Proceed, "a person lets it proceed"),
    };
    Ought {
        about: format!("{}", word.until).into(),
        to_lift: if word.effect == Effect::Freeze {
            vec![wait_until(word.until)]
        } else {
            Vec::new()
        },
        ..plain(action, Some(word.until), Reason::new("override", text))
    }
}

fn ought_by_incident(
    incident: &super::environment::OpenIncident,
    action: Action,
    until: Timestamp,
    code: &str,
) -> Ought {
    let mut reason = Reason::new(
        code,
        format!(
            "incident {} of severity {} is open",
            incident.incident_id, incident.severity
        ),
    );
    reason.evidence = BTreeMap::from([
        ("incident_id", Evidence::Text(incident.incident_id.clone())),
        ("severity", Evidence::Count(u64::from(incident.severity))),
    ]);
    Ought {
        about: incident.incident_id.clone(),
        ..plain(action, Some(until), reason)
    }
}

fn by_found(found: &Found, deploy_id: &str, owner: Owner<'_>, action: Action, until: Timestamp) -> Ought {
    let since = found.since_onset;
    let ratio = round(since.ratio(), 100.0);
    let how = if found.by_requests {
        "per request"
    } else {
        "per minute, requests not known"
    };
    let mut reason = Reason::new(
        "deploy_regression",
        format!("errors at {ratio} times the baseline ({how}) since deploy {deploy_id}"),
    );
    reason.value = Some(ratio);
    reason.threshold = Some(1.0 + super::environment::margin(owner.settings, found.by_requests));
    let e_value = found.ln_e.min(690.0).exp();
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
    ]);
    Ought {
        // The chance of a regression at even odds before the evidence.
        risk: Some(UnitInterval::clamped(e_value / (1.0 + e_value)).rounded()),
        about: deploy_id.into(),
        suspects: found.suspects(owner.service),
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
