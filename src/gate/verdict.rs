//! From what stands to what a pipeline is told: the worst of the service and its changes decides.

use std::sync::Arc;

use super::{
    answer::{Answer, merge},
    exit_status::ExitStatus,
    record::StandingDecision,
    request::Request,
    text,
    view::View,
    voice::{Basis, Ignorance, Voice},
    word::Word,
};
use crate::model::Timestamp;

/// What was found for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Finding {
    Proceed,
    ExtraReview,
    Freeze,
    Unknown,
}

impl Finding {
    pub const ALL: [Self; 4] = [Self::Proceed, Self::ExtraReview, Self::Freeze, Self::Unknown];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Proceed => "proceed",
            Self::ExtraReview => "extra_review",
            Self::Freeze => "freeze",
            Self::Unknown => "unknown",
        }
    }
}

/// The answer to a [`Request`].
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What applies to the request; in shadow mode, what would have.
    pub verdict: Finding,
    /// Whether all that was asked about is known: the service, and each change.
    pub known: bool,
    /// Whether it binds. Never in shadow mode.
    pub enforced: bool,
    pub exit_status: ExitStatus,
    /// The decision behind it; under an override, the one that the override is over.
    pub decision: Option<Arc<StandingDecision>>,
    /// What, why, until when, and what lifts it, for people: one line, without what acts on a terminal.
    pub text: String,
    /// The changes asked about, in the order asked.
    pub changes: Vec<AskedChange>,
    /// The person's word that stands on the service.
    pub word: Option<Arc<Word>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedChange {
    pub sha: Box<str>,
    /// Whether a decision on it is in force. One never seen decides nothing.
    pub known: bool,
}

/// Says what `request` is to do at `now`, the gate's clock.
///
/// - A standing override decides for the service, whatever is decided: `proceed` for the changes too.
/// - A freeze or an extra review stands until its `valid_until`, whether or not the scorer lives.
/// - Else a service without a decision in force, or whose heartbeat is stale, is unknown and follows the fail mode.
/// - A change without a decision in force decides nothing, unless the service's decision requires known changes and
///   binds: then it is unknown.
/// - A freeze that says so lets by a request that names changes, each of them known and of low loss.
/// - The worst of what is left decides; what is in shadow mode never blocks.
#[must_use]
pub fn assess(view: &View, request: &Request, now: Timestamp) -> Verdict {
    let of_service = Voice::of_service(view, request, now);
    let in_force = |sha: &str| {
        view.change(&request.service, sha)
            .filter(|decision| decision.is_in_force(now))
    };
    let found: Vec<_> = request.changes.iter().map(|sha| (sha, in_force(sha))).collect();
    let changes: Vec<AskedChange> = found
        .iter()
        .map(|(sha, decision)| AskedChange {
            sha: (*sha).clone(),
            known: decision.is_some(),
        })
        .collect();
    let all_low = !found.is_empty()
        && found
            .iter()
            .all(|(_, decision)| decision.as_ref().is_some_and(|known| known.low_loss));
    let of_service = if all_low {
        of_service.let_low_loss_by()
    } else {
        of_service
    };
    let mut worst = of_service.clone();
    if !of_service.is_final() {
        for decision in found.into_iter().filter_map(|(_, decision)| decision) {
            let of_change = Voice::by_decision(request, decision);
            if of_change.outcome > worst.outcome {
                worst = of_change;
            }
        }
        if of_service.requires_known_changes()
            && let Some(unseen) = changes.iter().find(|change| !change.known)
        {
            let of_change = Voice::unknown(request, Ignorance::UnseenChange(unseen.sha.clone()));
            if of_change.outcome > worst.outcome {
                worst = of_change;
            }
        }
    }
    conclude(request, &of_service, &worst, changes, now)
}

/// The verdict when neither view nor service could be asked; `why` is a clause without a full stop.
#[must_use]
pub fn unreachable(request: &Request, why: &str, now: Timestamp) -> Verdict {
    let nobody = Voice::unknown(request, Ignorance::Unreachable(why.into()));
    let changes = request
        .changes
        .iter()
        .map(|sha| AskedChange {
            sha: sha.clone(),
            known: false,
        })
        .collect();
    conclude(request, &nobody, &nobody, changes, now)
}

/// The verdict from a view that lacks what people said, or have said lately; `why` is a clause without a full stop. Nothing
/// is let by as known; what is held stays so, for a topic misspelt, forbidden or deleted must lift no freeze.
#[must_use]
pub fn without_words(view: &View, request: &Request, why: &str, now: Timestamp) -> Verdict {
    let mut held = assess(view, request, now);
    held.text = text::for_terminals(&format!("overrides may be missing ({why}); {}", held.text));
    // The other part names the changes.
    let of_service = Request {
        changes: Vec::new(),
        ..request.clone()
    };
    let unknown = unreachable(&of_service, why, now);
    let (index, answer) = merge(&[Answer::from(&held), Answer::from(&unknown)]);
    Verdict {
        known: answer.known,
        text: answer.text.into(),
        changes: answer.changes,
        ..if index == 0 { held } else { unknown }
    }
}

fn conclude(
    request: &Request,
    of_service: &Voice,
    worst: &Voice,
    changes: Vec<AskedChange>,
    now: Timestamp,
) -> Verdict {
    let word = match &of_service.basis {
        Basis::Word { word, .. } => Some(word.clone()),
        Basis::Decision(_) | Basis::Nothing(_) => None,
    };
    Verdict {
        verdict: worst.outcome.finding(),
        known: of_service.is_known() && changes.iter().all(|change| change.known),
        enforced: worst.binds(),
        exit_status: worst.outcome.exit_status(),
        decision: worst.decision().cloned(),
        text: text::tell(request, of_service, worst, &changes, now),
        changes,
        word,
    }
}
