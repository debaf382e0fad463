//! One freeze, from an hour before it to some time after its end.

use std::{cmp::Reverse, collections::VecDeque, fmt::Write as _, time::Duration};

use super::{
    AFTER,
    ring::{MINUTES, Ring},
};
use crate::model::{
    Action, Criticality, Decision, EnvironmentId, Evidence, Mode, Reason, ServiceId, Subject, Suspect, Timestamp,
};
use crate::replay::{detection::EVIDENCE, told::Told};

/// What ends a freeze at its end is said some seconds before that.
const SAID_BEFORE_MAX: Duration = Duration::from_mins(1);

/// Something that happened to the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) at: Timestamp,
    pub(crate) kind: MarkKind,
    pub(crate) label: Box<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkKind {
    Deploy,
    /// A deploy that failed or was rolled back, or one that rolls back.
    TakenBack,
    Incident,
    Resolved,
    /// A person's override. Who it was is not kept.
    Word,
}

/// One freeze.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timeline {
    pub(crate) service: ServiceId,
    pub(crate) environment: EnvironmentId,
    pub(crate) tier: Criticality,
    pub(crate) mode: Mode,
    /// The code of its reason.
    pub(crate) ground: Box<str>,
    /// Why, in a sentence.
    pub(crate) text: Box<str>,
    /// The figures that speak for it.
    pub(crate) figures: Vec<(&'static str, Box<str>)>,
    pub(crate) suspects: Vec<Suspect>,
    pub(crate) began: Timestamp,
    /// When it would end, as last decided.
    until: Timestamp,
    /// When another decision took its place, and what lifted it.
    ended: Option<(Timestamp, Box<str>)>,
    /// When another freeze stood for it first, where it went on after that.
    covered_at: Option<Timestamp>,
    /// Whether an incident or a deploy taken back bore it out; `None` for a freeze that is not by evidence.
    pub(crate) borne_out: Option<bool>,
    /// The first minute of `errors`.
    pub(crate) from: Timestamp,
    /// Errors by the minute; none if they were not kept.
    pub(crate) errors: Vec<f32>,
    pub(crate) marks: Vec<Mark>,
    filled: bool,
}

impl Timeline {
    pub(super) fn begin(decision: &Decision, tier: Criticality, before: Duration) -> Option<Self> {
        let Subject::Service { service, environment } = &decision.subject else {
            return None;
        };
        let reason = decision.reasons.first();
        Some(Self {
            service: service.clone(),
            environment: environment.clone(),
            tier,
            mode: decision.mode,
            ground: reason.map_or("", |reason| &reason.code).into(),
            text: reason.map_or("", |reason| &reason.text).into(),
            figures: reason.map(figures).unwrap_or_default(),
            suspects: decision.suspects.clone(),
            began: decision.decided_at,
            until: decision.valid_until.unwrap_or(decision.decided_at),
            ended: None,
            covered_at: None,
            borne_out: None,
            from: decision.decided_at - before,
            errors: Vec::new(),
            marks: Vec::new(),
            filled: false,
        })
    }

    /// Whether this deploy of the service is the first of the suspects, or named by the reason.
    pub(super) fn is_put_down_to(&self, deploy_id: &str) -> bool {
        let mut own = self.suspects.iter().filter(|suspect| suspect.service == self.service);
        let first = own.find_map(|suspect| suspect.deploy_id.as_deref());
        let named = self.figures.iter().find(|(name, _)| *name == "deploy_id");
        first == Some(deploy_id) || named.is_some_and(|(_, named)| **named == *deploy_id)
    }

    /// It goes on, until another instant.
    pub(super) fn renew(&mut self, decision: &Decision) {
        self.until = decision.valid_until.unwrap_or(self.until).max(self.until);
        if !decision.suspects.is_empty() {
            self.suspects.clone_from(&decision.suspects);
        }
    }

    /// It goes on where another freeze had taken its place. It is filled again at its end, unless its first minutes would be
    /// no longer kept by then.
    pub(super) fn resume(&mut self, decision: &Decision) {
        let ended_at = self.ended.take().map(|(at, _)| at);
        self.covered_at = self.covered_at.or(ended_at);
        self.renew(decision);
        self.filled &= decision.decided_at >= self.kept_until();
    }

    /// This decision takes its place; `marks` are those of its service.
    pub(super) fn end(&mut self, decision: &Decision, marks: &VecDeque<Mark>) {
        let code = decision.reasons.first().map_or("", |reason| &reason.code);
        let at = decision.decided_at;
        let marks = || marks.iter().filter(|mark| mark.at >= self.from && mark.at <= at);
        let mut taken_back = marks().filter(|mark| mark.kind == MarkKind::TakenBack).peekable();
        // A rollback has an id of its own; what names a deploy that was seen is of that.
        let is_deployed = |label: &str| marks().any(|mark| mark.kind == MarkKind::Deploy && *mark.label == *label);
        let names_another = |mark: &Mark| !self.is_put_down_to(&mark.label) && is_deployed(&mark.label);
        let lifted_by = if code == "override" {
            "a person's word"
        } else if decision.action == Action::Freeze {
            "another freeze took over"
        } else if at + SAID_BEFORE_MAX >= self.until {
            "its end was reached"
        } else if &*self.ground == "incident" {
            "the incident was resolved"
        } else if &*self.ground == "override" {
            "a person took it back"
        } else if *self.ground == *EVIDENCE && taken_back.peek().is_some() {
            if taken_back.all(names_another) {
                "another deploy was taken back and errors recovered"
            } else {
                "the deploy was taken back and errors recovered"
            }
        } else {
            "what it was for is over"
        };
        self.ended = Some((at.min(self.until), lifted_by.into()));
    }

    pub(crate) fn ended_at(&self) -> Timestamp {
        self.ended.as_ref().map_or(self.until, |(at, _)| *at)
    }

    /// Up to when it was the one that stood: its end, or when another freeze stood for it first.
    pub(crate) fn stood_until(&self) -> Timestamp {
        self.covered_at.unwrap_or_else(|| self.ended_at())
    }

    /// What ended it.
    pub(crate) fn lifted_by(&self) -> &str {
        self.ended.as_ref().map_or("its end was reached", |(_, by)| by)
    }

    pub(crate) fn lasted(&self) -> Duration {
        self.ended_at().since(self.began)
    }

    /// When nothing more is drawn of it, or its first minutes are about to be no longer kept; `None` once it is filled.
    pub(super) fn due_at(&self) -> Option<Timestamp> {
        (!self.filled).then(|| (self.ended_at() + AFTER).min(self.kept_until()))
    }

    /// When its first minutes are about to be no longer kept.
    fn kept_until(&self) -> Timestamp {
        let minutes = u64::try_from(MINUTES).unwrap_or(0);
        self.from + Duration::from_mins(minutes - 1)
    }

    pub(super) fn is_filled(&self) -> bool {
        self.filled
    }

    /// Whether nothing more becomes of it. A freeze by evidence is judged hours after it began, and may be over by then.
    pub(super) fn is_settled(&self) -> bool {
        self.filled && (self.borne_out.is_some() || *self.ground != *EVIDENCE)
    }

    pub(super) fn fill(&mut self, errors: &Ring, marks: &VecDeque<Mark>) {
        let to = self.ended_at() + AFTER;
        if !errors.is_empty() {
            self.errors = errors.between(self.from, to);
        }
        let is_shown = |mark: &&Mark| mark.at >= self.from && mark.at <= to;
        self.marks = marks.iter().filter(is_shown).cloned().collect();
        self.filled = true;
    }

    /// Whether it is by a window of the policy or a person's word, for which nothing was found.
    pub(crate) fn is_told(&self) -> bool {
        Told::of(&self.ground).is_some()
    }

    /// Those to look at come first: what nothing bore out, then what matters most, then the earliest; last what was told.
    pub(crate) fn rank(&self) -> (bool, bool, Reverse<Criticality>, Timestamp, &str, &str) {
        (
            self.is_told(),
            self.borne_out != Some(false),
            Reverse(self.tier),
            self.began,
            self.service.as_str(),
            self.environment.as_str(),
        )
    }

    /// Mean errors a minute before it, up to the first deploy shown: what is usual here. `None` if there is no such time.
    pub(crate) fn usual(&self) -> Option<f32> {
        let mut deploys = self.marks.iter().filter(|mark| mark.kind == MarkKind::Deploy);
        let until = deploys.next().map_or(self.began, |mark| mark.at.min(self.began));
        let n = usize::try_from(until.since(self.from).as_secs() / 60)
            .ok()?
            .min(self.errors.len());
        let before = self.errors.get(..n).filter(|before| before.len() >= 5)?;
        #[expect(clippy::cast_precision_loss, clippy::as_conversions, reason = "minutes of an hour")]
        let n = before.len() as f32;
        Some(before.iter().sum::<f32>() / n)
    }
}

fn figures(reason: &Reason) -> Vec<(&'static str, Box<str>)> {
    let text = |evidence: &Evidence| {
        let mut text = String::new();
        let written = match evidence {
            Evidence::Count(n) => write!(text, "{n}"),
            Evidence::Number(n) if *n != 0.0 && (n.abs() >= 1e6 || n.abs() < 1e-3) => write!(text, "{n:.1e}"),
            Evidence::Number(n) => write!(text, "{n}"),
            Evidence::Text(inner) => write!(text, "{inner}"),
        };
        written.expect("a string takes all that is written");
        text.into()
    };
    let evidence = reason.evidence.iter();
    evidence.map(|(name, evidence)| (*name, text(evidence))).collect()
}
