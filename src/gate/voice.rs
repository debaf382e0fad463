//! What one subject says to a request: the service, and each change that is known.

use std::{sync::Arc, time::Duration};

use super::{
    exit_status::ExitStatus,
    record::{Heartbeat, StandingDecision},
    request::{FailMode, Request},
    verdict::Finding,
    view::{Seen, Standing, View},
    word::Word,
};
use crate::model::{Action, ChangeKind, Effect, Exemption, Mode, PartitionIndex, Timestamp};

/// A heartbeat whose Kafka timestamp is further behind the gate's clock is stale: three are missed.
const HEARTBEAT_AGE_MAX: Duration = Duration::from_secs(15);

/// A partition whose own time is further behind the gate's clock says nothing of the present.
const LAG_MAX: Duration = Duration::from_mins(1);

/// What a voice comes to; the greater decides.
///
/// What blocks outweighs what does not. A freeze outweighs failing closed, since its reason is known; failing closed
/// outweighs an extra review, which an approval would let by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Proceed,
    WouldReview,
    WouldFreeze,
    FailsOpen,
    Review,
    FailsClosed,
    Freeze,
}

impl Outcome {
    /// What a verdict came to. The exit status has the first word, for it is what stops a pipeline.
    pub(super) fn of(finding: Finding, exit_status: ExitStatus) -> Self {
        match (exit_status, finding) {
            (ExitStatus::Frozen, _) => Self::Freeze,
            (ExitStatus::FailingClosed, _) => Self::FailsClosed,
            (ExitStatus::ExtraReview, _) => Self::Review,
            (ExitStatus::Proceed, Finding::Unknown) => Self::FailsOpen,
            (ExitStatus::Proceed, Finding::Freeze) => Self::WouldFreeze,
            (ExitStatus::Proceed, Finding::ExtraReview) => Self::WouldReview,
            (ExitStatus::Proceed, Finding::Proceed) => Self::Proceed,
            (ExitStatus::Usage, _) => unreachable!("no verdict has it"),
        }
    }

    pub(super) fn finding(self) -> Finding {
        match self {
            Self::Proceed => Finding::Proceed,
            Self::WouldReview | Self::Review => Finding::ExtraReview,
            Self::WouldFreeze | Self::Freeze => Finding::Freeze,
            Self::FailsOpen | Self::FailsClosed => Finding::Unknown,
        }
    }

    pub(super) fn exit_status(self) -> ExitStatus {
        match self {
            Self::Proceed | Self::WouldReview | Self::WouldFreeze | Self::FailsOpen => ExitStatus::Proceed,
            Self::Review => ExitStatus::ExtraReview,
            Self::FailsClosed => ExitStatus::FailingClosed,
            Self::Freeze => ExitStatus::Frozen,
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Voice {
    pub(super) outcome: Outcome,
    pub(super) basis: Basis,
    /// It would have stopped the request but for the request's kind.
    pub(super) passed: bool,
}

/// What a voice rests on.
#[derive(Debug, Clone)]
pub(super) enum Basis {
    Decision(Arc<StandingDecision>),
    /// A person's word, and the decision in force that it is over.
    Word {
        word: Arc<Word>,
        over: Option<Arc<StandingDecision>>,
    },
    Nothing(Ignorance),
}

/// Why nothing is known of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ignorance {
    NoDecision,
    Ended(Timestamp),
    /// The decision rests on an override that was taken back since.
    TakenBack,
    NeverHeard,
    Silent(Duration),
    /// The partition has not yet learned what time it is.
    Timeless,
    Behind(Duration),
    /// The service's policy asks that every change be known, and this one is not.
    UnseenChange(Box<str>),
    /// Nobody could be asked.
    Unreachable(Box<str>),
}

impl Voice {
    /// What the service says: a person's word, else its decision.
    pub(super) fn of_service(view: &View, request: &Request, now: Timestamp) -> Self {
        let standing = view.standing(&request.service, &request.environment);
        let word = view.word(&request.service, &request.environment);
        if let Some(word) = word.as_ref().filter(|word| word.stands(now)) {
            let over = standing
                .map(|standing| standing.decision)
                .filter(|decision| decision.is_in_force(now));
            return Self::by_word(request, word.clone(), over);
        }
        let pulse = |partition| pulse(view.heartbeat(partition).as_ref(), now);
        let known = standing.as_ref().ok_or(Ignorance::NoDecision);
        match known.and_then(|standing| vouched(standing, word.as_deref(), now, pulse)) {
            Ok(decision) => Self::by_decision(request, decision.clone()),
            Err(ignorance) => Self::unknown(request, ignorance),
        }
    }

    /// What a decision in force on the service, or on a change, says.
    pub(super) fn by_decision(request: &Request, decision: Arc<StandingDecision>) -> Self {
        let passed = decision.action != Action::Proceed && passes(request, decision.action, Some(&decision));
        let action = if passed { Action::Proceed } else { decision.action };
        let outcome = match (action, decision.mode) {
            (Action::Proceed, _) => Outcome::Proceed,
            (Action::ExtraReview, Mode::Shadow) => Outcome::WouldReview,
            (Action::ExtraReview, Mode::Enforce) => Outcome::Review,
            (Action::Freeze, Mode::Shadow) => Outcome::WouldFreeze,
            (Action::Freeze, Mode::Enforce) => Outcome::Freeze,
        };
        Self {
            outcome,
            basis: Basis::Decision(decision),
            passed,
        }
    }

    fn by_word(request: &Request, word: Arc<Word>, over: Option<Arc<StandingDecision>>) -> Self {
        let freezes = word.effect == Effect::Freeze;
        let passed = freezes && passes(request, Action::Freeze, over.as_deref());
        let outcome = if freezes && !passed {
            Outcome::Freeze
        } else {
            Outcome::Proceed
        };
        Self {
            outcome,
            basis: Basis::Word { word, over },
            passed,
        }
    }

    /// What is not known follows the request's fail mode, whatever its kind: who asks to fail closed is stopped.
    pub(super) fn unknown(request: &Request, ignorance: Ignorance) -> Self {
        let outcome = match request.fail_mode {
            FailMode::Closed => Outcome::FailsClosed,
            FailMode::Open => Outcome::FailsOpen,
        };
        Self {
            outcome,
            basis: Basis::Nothing(ignorance),
            passed: false,
        }
    }

    /// What it says to changes of low loss: a service's freeze may let them by.
    pub(super) fn let_low_loss_by(self) -> Self {
        match &self.basis {
            Basis::Decision(decision) if decision.action == Action::Freeze && decision.low_loss => Self {
                outcome: Outcome::Proceed,
                passed: true,
                ..self
            },
            Basis::Decision(_) | Basis::Word { .. } | Basis::Nothing(_) => self,
        }
    }

    /// A person let the service proceed: nothing else is asked.
    pub(super) fn is_final(&self) -> bool {
        matches!(&self.basis, Basis::Word { word, .. } if word.effect == Effect::Proceed)
    }

    /// Whether a change never seen is to make the answer unknown.
    pub(super) fn requires_known_changes(&self) -> bool {
        match &self.basis {
            Basis::Decision(decision) => decision.requires_known_changes && decision.mode == Mode::Enforce,
            Basis::Word { .. } | Basis::Nothing(_) => false,
        }
    }

    pub(super) fn is_known(&self) -> bool {
        !matches!(self.basis, Basis::Nothing(_))
    }

    pub(super) fn binds(&self) -> bool {
        match self.outcome {
            Outcome::WouldReview | Outcome::WouldFreeze | Outcome::FailsOpen => false,
            Outcome::Review | Outcome::FailsClosed | Outcome::Freeze => true,
            Outcome::Proceed => match &self.basis {
                Basis::Decision(decision) => decision.mode == Mode::Enforce,
                Basis::Word { .. } => true,
                Basis::Nothing(_) => unreachable!("what is not known fails open or closed"),
            },
        }
    }

    pub(super) fn decision(&self) -> Option<&Arc<StandingDecision>> {
        match &self.basis {
            Basis::Decision(decision) => Some(decision),
            Basis::Word { over, .. } => over.as_ref(),
            Basis::Nothing(_) => None,
        }
    }
}

/// The decision if it may be gone by: a freeze or an extra review until its end, a proceed while its partition has a
/// `pulse` too.
pub(super) fn vouched<'a>(
    standing: &'a Standing,
    newest_word: Option<&Word>,
    now: Timestamp,
    pulse: impl FnOnce(PartitionIndex) -> Result<(), Ignorance>,
) -> Result<&'a Arc<StandingDecision>, Ignorance> {
    let Standing { decision, partition } = standing;
    if let Some(until) = decision.valid_until.filter(|until| *until <= now) {
        return Err(Ignorance::Ended(until));
    }
    // Words count here at once, their withdrawal too: a decision that only repeats one does not outlive it. A word
    // from before the decision is not the one it repeats.
    if decision.is_by_override() && newest_word.is_some_and(|word| word.time >= decision.decided_at) {
        return Err(Ignorance::TakenBack);
    }
    if decision.action == Action::Proceed {
        pulse(*partition)?;
    }
    Ok(decision)
}

/// Whether a partition with this last heartbeat can be gone by for what does not hold by itself.
pub(super) fn pulse(heartbeat: Option<&Seen<Arc<Heartbeat>>>, now: Timestamp) -> Result<(), Ignorance> {
    let heartbeat = heartbeat.ok_or(Ignorance::NeverHeard)?;
    let silence = now.since(heartbeat.timestamp);
    if silence > HEARTBEAT_AGE_MAX {
        return Err(Ignorance::Silent(silence));
    }
    let lag = now.since(heartbeat.record.now.ok_or(Ignorance::Timeless)?);
    if lag > LAG_MAX {
        return Err(Ignorance::Behind(lag));
    }
    Ok(())
}

/// Whether the request's kind passes `action`, by `decision` or by the word over it.
///
/// A rollback passes everything: it ships nothing new, and is what lifts most freezes. Security and a hotfix with the
/// id of an incident pass every freeze, and the service's extra review, which must not hold what a freeze lets by; a
/// change's own extra review they pass only where the decision exempts them, for it is about what they ship.
fn passes(request: &Request, action: Action, decision: Option<&StandingDecision>) -> bool {
    let of_change = decision.is_some_and(StandingDecision::is_of_change);
    let exemption = match request.kind {
        ChangeKind::Release | ChangeKind::Config | ChangeKind::Flag => return false,
        ChangeKind::Rollback => return true,
        ChangeKind::Security => Exemption::Security,
        // Which incidents are open is the service's to say; a change says whether hotfixes are exempt at all.
        ChangeKind::Hotfix if !of_change && !has_incident(request, decision) => return false,
        ChangeKind::Hotfix => Exemption::Hotfix,
    };
    action == Action::Freeze || !of_change || decision.is_some_and(|decision| decision.exempt.contains(&exemption))
}

/// Whether the request names an incident that is open, as far as the decision says.
fn has_incident(request: &Request, decision: Option<&StandingDecision>) -> bool {
    let named = request.incident.as_deref();
    decision.is_some_and(|decision| decision.incidents.iter().any(|open| Some(&**open) == named))
}
