//! Verdicts for people: what, why, until when, and what lifts it.

use super::{
    record::StandingDecision,
    request::{FailMode, Request},
    verdict::AskedChange,
    voice::{Basis, Ignorance, Outcome, Voice},
    word::Word,
};
use crate::model::{Action, ChangeKind, Effect, Level, Obligation, Subject, Timestamp, is_unshowable};

/// Characters of a text: three screen lines; names and reasons come from outside and may be long.
const CHARS_MAX: usize = 600;

/// Says `worst`, and what else is not known, in one line.
pub(super) fn tell(
    request: &Request,
    of_service: &Voice,
    worst: &Voice,
    changes: &[AskedChange],
    now: Timestamp,
) -> String {
    let mut text = match &worst.basis {
        Basis::Nothing(ignorance) => unknown(request, ignorance, now),
        Basis::Word { word, .. } => by_word(request, word, worst, now),
        Basis::Decision(decision) => by_decision(request, decision, worst, now),
    };
    if let (Basis::Nothing(ignorance), true) = (&of_service.basis, worst.is_known()) {
        text = format!("{text}; besides, {}", what_is_not_known(request, ignorance, now));
    }
    for_terminals(&with_unseen(text, worst.outcome, changes))
}

/// A text that was told of `part`, as it is told of `changes`, among which those are.
pub(super) fn retell(told: &str, outcome: Outcome, part: &[AskedChange], changes: &[AskedChange]) -> String {
    let bare = unseen(part).and_then(|unseen| {
        let (before, after) = (format!("{unseen}; "), format!("; {unseen}"));
        told.strip_prefix(&before).or_else(|| told.strip_suffix(&after))
    });
    for_terminals(&with_unseen(bare.unwrap_or(told).to_owned(), outcome, changes))
}

fn with_unseen(text: String, outcome: Outcome, changes: &[AskedChange]) -> String {
    match unseen(changes) {
        Some(unseen) if outcome == Outcome::Proceed => format!("{unseen}; {text}"),
        Some(unseen) => format!("{text}; {unseen}"),
        None => text,
    }
}

fn by_decision(request: &Request, decision: &StandingDecision, voice: &Voice, now: Timestamp) -> String {
    let (what, whom) = (noun(decision.action), whom(request, decision));
    let why = why(decision);
    if voice.passed {
        return format!("{} passes the {what} of {whom} ({why})", kind(request));
    }
    let until = decision
        .valid_until
        .map_or_else(String::new, |until| format!(" until {}", instant(until, now)));
    let lift = lift(decision);
    match voice.outcome {
        Outcome::WouldFreeze => format!("would have frozen {whom}{until}: {why}; shadow mode blocks nothing"),
        Outcome::WouldReview => {
            format!("would have asked for an extra review of {whom}: {why}{lift}; shadow mode blocks nothing")
        }
        Outcome::Freeze => {
            format!(
                "{} is frozen in {}{until}: {why}{lift}{}",
                request.service,
                request.environment,
                hint(request, Some(decision))
            )
        }
        // A change's end is when it will be forgotten: no one waits for that.
        Outcome::Review if decision.is_of_change() => format!("{whom} needs an extra review: {why}{lift}"),
        Outcome::Review => {
            format!(
                "{} needs an extra review in {}{until}: {why}{lift}",
                request.service, request.environment
            )
        }
        Outcome::Proceed | Outcome::FailsOpen | Outcome::FailsClosed => {
            format!(
                "{} may be deployed to {}{}",
                request.service,
                request.environment,
                caveat(decision)
            )
        }
    }
}

fn by_word(request: &Request, word: &Word, voice: &Voice, now: Timestamp) -> String {
    let Request {
        service, environment, ..
    } = request;
    let Word { id, reason, .. } = word;
    let until = instant(word.until, now);
    let over = voice.decision().map(AsRef::as_ref);
    match word.effect {
        Effect::Proceed => format!("override {id} lets {service} proceed in {environment} until {until}: {reason}"),
        Effect::Freeze if voice.passed => {
            let kind = kind(request);
            format!("{kind} passes the freeze of {service} in {environment} by override {id} ({reason})")
        }
        Effect::Freeze => {
            format!(
                "override {id} freezes {service} in {environment} until {until}: {reason}{}",
                hint(request, over)
            )
        }
    }
}

fn unknown(request: &Request, ignorance: &Ignorance, now: Timestamp) -> String {
    let what = what_is_not_known(request, ignorance, now);
    match request.fail_mode {
        FailMode::Open => format!("{what}; failing open"),
        FailMode::Closed if request.kind == ChangeKind::Rollback => {
            format!("{what}; failing closed, also for a rollback: --fail-mode open lets it by")
        }
        FailMode::Closed => format!("{what}; failing closed"),
    }
}

fn what_is_not_known(request: &Request, ignorance: &Ignorance, now: Timestamp) -> String {
    let Request {
        service, environment, ..
    } = request;
    match ignorance {
        Ignorance::NoDecision => format!("nothing is known of {service} in {environment}"),
        Ignorance::Ended(at) => format!(
            "the last decision on {service} in {environment} ended at {}",
            instant(*at, now)
        ),
        Ignorance::TakenBack => {
            format!("the override behind the last decision on {service} in {environment} no longer stands")
        }
        Ignorance::NeverHeard => format!("the scorer of {service} was never heard of"),
        Ignorance::Silent(silence) => format!("the scorer of {service} has been silent for {} s", silence.as_secs()),
        Ignorance::Timeless => format!("the scorer of {service} has yet to catch up"),
        Ignorance::Behind(lag) => format!("the scorer of {service} is {} s behind", lag.as_secs()),
        Ignorance::UnseenChange(sha) => {
            format!(
                "the policy of {service} asks for known changes, and {} was never seen",
                short(sha)
            )
        }
        Ignorance::Unreachable(why) => why.to_string(),
    }
}

fn unseen(changes: &[AskedChange]) -> Option<String> {
    let unseen: Vec<&AskedChange> = changes.iter().filter(|change| !change.known).collect();
    match (unseen.as_slice(), changes.len()) {
        ([], _) => None,
        ([_], 1) => Some("the change was never seen".to_owned()),
        ([change], _) => Some(format!("change {} was never seen", short(&change.sha))),
        (several, n) => Some(format!("{} of the {n} changes were never seen", several.len())),
    }
}

fn noun(action: Action) -> &'static str {
    match action {
        Action::Proceed => "consent",
        Action::ExtraReview => "extra review",
        Action::Freeze => "freeze",
    }
}

fn whom(request: &Request, decision: &StandingDecision) -> String {
    match &decision.subject {
        Subject::Service { .. } => format!("{} in {}", request.service, request.environment),
        Subject::Change(change) => format!("change {} of {}", short(&change.sha), request.service),
    }
}

/// As many characters of a sha as people compare.
fn short(sha: &str) -> &str {
    sha.char_indices().nth(12).map_or(sha, |(end, _)| &sha[..end])
}

fn why(decision: &StandingDecision) -> String {
    let texts: Vec<&str> = decision.reasons.iter().map(|reason| reason.text.as_ref()).collect();
    if texts.is_empty() {
        "no reason given".to_owned()
    } else {
        texts.join("; ")
    }
}

fn lift(decision: &StandingDecision) -> String {
    if !decision.obligations.is_empty() {
        let asked: Vec<String> = decision.obligations.iter().map(obligation).collect();
        return format!("; needed: {}", asked.join(" and "));
    }
    if decision.to_lift.is_empty() {
        String::new()
    } else {
        format!("; to lift: {}", decision.to_lift.join(", "))
    }
}

fn obligation(asked: &Obligation) -> String {
    let plural = if asked.count == 1 { "" } else { "s" };
    let level = match asked.level {
        None | Some(Level::Unknown) => "",
        Some(Level::Junior) => " by a junior or above",
        Some(Level::Mid) => " by a mid-level or above",
        Some(Level::Senior) => " by a senior or above",
        Some(Level::Staff) => " by staff",
    };
    let group = asked
        .group
        .as_ref()
        .map_or_else(String::new, |group| format!(" from {group}"));
    format!("{} approval{plural}{level}{group}", asked.count)
}

/// The request's kind as the subject of a sentence.
fn kind(request: &Request) -> String {
    match (request.kind, &request.incident) {
        (ChangeKind::Hotfix, Some(incident)) => format!("a hotfix for {incident}"),
        (ChangeKind::Hotfix, None) => "a hotfix".to_owned(),
        (ChangeKind::Rollback, _) => "a rollback".to_owned(),
        (ChangeKind::Security, _) => "a security change".to_owned(),
        (ChangeKind::Release | ChangeKind::Config | ChangeKind::Flag, _) => "the change".to_owned(),
    }
}

/// What a consent is not to be taken for: nothing speaks against a service either while nothing would.
fn caveat(decision: &StandingDecision) -> &'static str {
    let mut codes = decision.reasons.iter().map(|reason| reason.code.as_ref());
    let caveat = codes.find_map(|code| match code {
        "new_service" => Some("; it is new, so its errors are not watched yet"),
        "no_baseline" => Some("; it has too little history, so its errors freeze nothing yet"),
        "unknown_telemetry" => {
            Some("; how it is is not known, for its errors have not been told for longer than usual")
        }
        // Codes may be added.
        _ => None,
    });
    caveat.unwrap_or_default()
}

/// Why a hotfix is held by a freeze, and how it would pass.
fn hint(request: &Request, decision: Option<&StandingDecision>) -> String {
    if request.kind != ChangeKind::Hotfix {
        return String::new();
    }
    let named = request
        .incident
        .as_ref()
        .map_or_else(String::new, |incident| match decision {
            Some(_) => format!("; {incident} is no open incident of {}", request.service),
            None => format!(
                "; whether {incident} is an open incident of {} is not known",
                request.service
            ),
        });
    match decision.and_then(|decision| decision.incidents.first()) {
        Some(open) => format!("{named}; a hotfix for incident {open} would pass"),
        None if named.is_empty() => "; a hotfix with the id of an open incident would pass".to_owned(),
        None => named,
    }
}

/// To the second; without the date if that is the day of `now`.
fn instant(at: Timestamp, now: Timestamp) -> String {
    let (text, today) = (at.to_string(), now.to_string());
    let seconds = text.get(..19).unwrap_or(&text);
    match seconds.split_once('T') {
        Some((date, time)) if today.starts_with(date) => format!("{time}Z"),
        Some(_) | None => format!("{seconds}Z"),
    }
}

/// Names and reasons come from outside, and the text goes to terminals and logs: nothing gets there that acts on them or
/// shows as other than it is.
#[must_use]
pub fn for_terminals(text: &str) -> String {
    let mut clean: String = text
        .chars()
        .take(CHARS_MAX)
        .map(|c| if is_unshowable(c) { ' ' } else { c })
        .collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        clean.push('…');
    }
    clean
}
