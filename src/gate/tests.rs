//! The gate's rules, one case each, at the instants where they turn.

mod kinds;
mod parts;
mod standing;
mod texts;
mod view;
mod words;

use std::{borrow::Cow, time::Duration};

use super::{FailMode, Finding, Heartbeat, Place, Record, Request, StandingDecision, StandingReason, View, assess};
use crate::model::{
    Action, Body, Change, ChangeKind, Effect, Event, Exemption, Mode, Offset, Override, PartitionIndex, Sequence,
    Subject, Timestamp, UnitInterval,
};

const PARTITION: PartitionIndex = PartitionIndex(3);

/// A heartbeat's age in milliseconds, and how far behind the time is that it tells of.
type Beat = Option<(i64, Option<i64>)>;

const ALIVE: Beat = Some((1_000, Some(2_000)));
const DEAD: Beat = None;

/// Finding, known, enforced, exit status.
type Expected = (&'static str, bool, bool, u8);

const GO: Expected = ("proceed", true, true, 0);
const REVIEW: Expected = ("extra_review", true, true, 10);
const FROZEN: Expected = ("freeze", true, true, 20);
const WOULD_GO: Expected = ("proceed", true, false, 0);
const WOULD_REVIEW: Expected = ("extra_review", true, false, 0);
const WOULD_FREEZE: Expected = ("freeze", true, false, 0);
const OPEN: Expected = ("unknown", false, false, 0);
const CLOSED: Expected = ("unknown", false, true, 30);

/// The same with something asked about that is not known.
fn not_all_known((verdict, _, enforced, status): Expected) -> Expected {
    (verdict, false, enforced, status)
}

/// Asks `view`, and says `expected` of the answer.
fn check(case: &str, view: &View, request: &Request, expected: Expected) {
    let verdict = assess(view, request, now());
    let found = (
        verdict.verdict.name(),
        verdict.known,
        verdict.enforced,
        verdict.exit_status.code(),
    );
    assert_eq!(found, expected, "{case}: {}", verdict.text);
    if request.changes.is_empty() && request.kind == ChangeKind::Release {
        assert_eq!(
            surveyed(view, request),
            verdict.verdict,
            "{case}: what is told of all agrees"
        );
    }
}

/// What is found for the request's service where all are looked at.
fn surveyed(view: &View, request: &Request) -> Finding {
    let (mut here, mut anywhere) = (None, None);
    view.survey(now(), |glances| {
        for glance in glances.filter(|glance| *glance.service == request.service) {
            match glance.environment {
                None => anywhere = Some(glance.finding),
                Some(environment) if *environment == request.environment => here = Some(glance.finding),
                Some(_) => {}
            }
        }
    });
    here.or(anywhere).unwrap_or(Finding::Unknown)
}

fn closed(request: Request) -> Request {
    Request {
        fail_mode: FailMode::Closed,
        ..request
    }
}

/// A quarter past two in the afternoon of a Tuesday.
fn now() -> Timestamp {
    "2026-03-10T14:15:00Z".parse().expect("an instant")
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// An enforced decision on checkout in production, ten minutes old, that holds for another hour.
fn on_service(action: Action) -> StandingDecision {
    let subject = Subject::Service {
        service: "checkout".parse().expect("a name"),
        environment: "production".parse().expect("a name"),
    };
    decision(subject, action)
}

fn on_change(sha: &str, action: Action) -> StandingDecision {
    decision(
        Subject::Change(Change {
            service: "checkout".parse().expect("a name"),
            sha: sha.into(),
        }),
        action,
    )
}

fn decision(subject: Subject, action: Action) -> StandingDecision {
    StandingDecision {
        sequence: Sequence(1),
        subject,
        action,
        mode: Mode::Enforce,
        decided_at: now() - secs(600),
        valid_until: Some(now() + secs(3600)),
        frozen_since: None,
        risk: None,
        reasons: [StandingReason {
            code: "deploy_regression".into(),
            text: "errors since d-81".into(),
        }]
        .into(),
        to_lift: ["roll back d-81".into()].into(),
        obligations: [].into(),
        exempt: [].into(),
        incidents: [].into(),
        requires_known_changes: false,
        low_loss: false,
        json: "{}".into(),
    }
}

fn shadow(decision: StandingDecision) -> StandingDecision {
    StandingDecision {
        mode: Mode::Shadow,
        ..decision
    }
}

/// A decision whose end came so many milliseconds ago; negative: is yet to come.
fn ended(decision: StandingDecision, ago_ms: i64) -> StandingDecision {
    StandingDecision {
        valid_until: Some(Timestamp::from_millis(now().millis() - ago_ms)),
        ..decision
    }
}

fn because(decision: StandingDecision, code: &str, incident: Option<&str>) -> StandingDecision {
    let reason = StandingReason {
        code: code.into(),
        text: "so".into(),
    };
    StandingDecision {
        reasons: [reason].into(),
        incidents: incident.into_iter().map(Into::into).collect(),
        ..decision
    }
}

fn exempting(decision: StandingDecision, exempt: Exemption) -> StandingDecision {
    StandingDecision {
        exempt: [exempt].into(),
        ..decision
    }
}

fn numbered(decision: StandingDecision, sequence: u64) -> StandingDecision {
    StandingDecision {
        sequence: Sequence(sequence),
        ..decision
    }
}

fn risking(decision: StandingDecision, risk: f64) -> StandingDecision {
    StandingDecision {
        risk: Some(UnitInterval::clamped(risk)),
        ..decision
    }
}

/// A heartbeat written now by the owner of [`PARTITION`], whose own time is `lag_ms` behind.
fn heartbeat(lag_ms: Option<i64>) -> Heartbeat {
    Heartbeat {
        partition: PARTITION,
        at: now(),
        now: lag_ms.map(|lag| Timestamp::from_millis(now().millis() - lag)),
        interval_ms: 5000,
        services: 1,
        instance: "node-a".into(),
        url: "http://node-a:8484".into(),
    }
}

/// An override on checkout, given and ending so many seconds from now.
fn word(effect: Effect, environment: Option<&'static str>, from: i64, until: i64, id: &'static str) -> Event<'static> {
    let at = |secs: i64| Timestamp::from_millis(now().millis() + secs * 1000);
    let said = Override {
        effect,
        until: at(until),
        reason: "release day".into(),
        by: "someone@example.net".into(),
    };
    Event {
        id: id.into(),
        time: at(from),
        service: "checkout".into(),
        environment: environment.map(Cow::Borrowed),
        source: "cli".into(),
        body: Body::Override(said),
    }
}

/// A release of checkout to production.
fn release(changes: &[&str]) -> Request {
    let (service, environment) = (
        "checkout".parse().expect("a name"),
        "production".parse().expect("a name"),
    );
    Request {
        changes: changes.iter().map(|sha| (*sha).into()).collect(),
        ..Request::new(service, environment)
    }
}

fn of_kind(kind: ChangeKind, incident: Option<&str>, request: Request) -> Request {
    Request {
        kind,
        incident: incident.map(Into::into),
        ..request
    }
}

/// A place on [`PARTITION`] with the broker's time.
fn place(offset: i64, timestamp: Timestamp) -> Place {
    Place {
        partition: PARTITION,
        offset: Offset(offset),
        timestamp,
    }
}

/// A view of these decisions, and of the words, with a heartbeat of this age in milliseconds and this lag.
fn view(decisions: Vec<StandingDecision>, beat: Beat, words: &[Event<'_>]) -> View {
    let view = View::new();
    let mut offset = 0;
    for decision in decisions {
        view.apply(place(offset, now() - secs(600)), Ok(Record::Decision(decision)));
        offset += 1;
    }
    if let Some((age_ms, lag_ms)) = beat {
        let at = Timestamp::from_millis(now().millis() - age_ms);
        view.apply(place(offset, at), Ok(Record::Heartbeat(heartbeat(lag_ms))));
    }
    for word in words {
        view.apply_override(word);
    }
    view
}
