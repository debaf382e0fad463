//! What a pipeline is told, and the answers to the parts of a question as the answer to all of it.
//!
//! Each part asks about the service and some of the changes, so what holds for the service comes back with every one.
//!
//! **Invariant:** what [`merge`] makes of parts that were answered from one view at one instant is what [`assess`] says
//! to the whole question, whose parts each have a change.
//!
//! [`assess`]: super::assess

use std::cmp::Reverse;

use super::{
    exit_status::ExitStatus,
    text,
    verdict::{AskedChange, Finding, Verdict},
    voice::Outcome,
};

/// A [`Verdict`] without what is behind it: what a client acts on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub verdict: Finding,
    pub known: bool,
    pub enforced: bool,
    /// Never [`ExitStatus::Usage`].
    pub exit_status: ExitStatus,
    pub text: Box<str>,
    /// The changes asked about, in the order asked.
    pub changes: Vec<AskedChange>,
}

impl From<&Verdict> for Answer {
    fn from(verdict: &Verdict) -> Self {
        Self {
            verdict: verdict.verdict,
            known: verdict.known,
            enforced: verdict.enforced,
            exit_status: verdict.exit_status,
            text: verdict.text.as_str().into(),
            changes: verdict.changes.clone(),
        }
    }
}

/// The answer to a whole question from those to all its parts, in the order asked, and the index of the part whose
/// decision and override are behind it.
///
/// The gravest part decides and gives the text, the first of several; all is known if all is in each part. The answer to
/// the only part is left as it is.
///
/// # Panics
/// Without parts: no question is without one.
#[must_use]
pub fn merge(parts: &[Answer]) -> (usize, Answer) {
    if let [only] = parts {
        return (0, only.clone());
    }
    let outcome = |part: &Answer| Outcome::of(part.verdict, part.exit_status);
    let (index, gravest) = parts
        .iter()
        .enumerate()
        .min_by_key(|(_, part)| Reverse(outcome(part)))
        .expect("a question has a part");
    let changes: Vec<_> = parts.iter().flat_map(|part| part.changes.iter().cloned()).collect();
    let text = text::retell(&gravest.text, outcome(gravest), &gravest.changes, &changes);
    let answer = Answer {
        known: parts.iter().all(|part| part.known),
        text: text.into(),
        changes,
        ..gravest.clone()
    };
    (index, answer)
}
