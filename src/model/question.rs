//! What services ask each other when one's errors have risen, and what they answer.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// How a service is reached from the one whose errors are looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Path {
    /// It is called, over so many hops: 1 to 3.
    Callee(u8),
    /// It calls.
    Caller,
}

/// A question that goes to the surroundings of a service whose errors have risen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask<'a> {
    /// Who is asked.
    #[serde(borrow)]
    pub service: Cow<'a, str>,
    #[serde(borrow)]
    pub environment: Cow<'a, str>,
    /// Who asks, and when it first did: together they name the question.
    #[serde(borrow)]
    pub by: Cow<'a, str>,
    pub asked_at: Timestamp,
    pub path: Path,
}

/// The answer to an [`Ask`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Told<'a> {
    /// Who asked.
    #[serde(borrow)]
    pub service: Cow<'a, str>,
    #[serde(borrow)]
    pub environment: Cow<'a, str>,
    pub asked_at: Timestamp,
    /// Who answers, and how it is reached.
    #[serde(borrow)]
    pub by: Cow<'a, str>,
    pub path: Path,
    /// How many further services were asked on its way.
    pub n_forwarded: u8,
    /// How many services asked within the last minutes, this one included; 0 where too few to say anything.
    pub n_askers: u8,
    pub state: Health,
    /// The start of the last step of its errors that it has seen.
    pub seen_from: Timestamp,
    /// What here could be it, at most three.
    #[serde(borrow)]
    pub clues: Vec<Clue<'a>>,
}

/// How a service is by its own errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// Nothing can be said: it tells no errors, or too few yet.
    Unknown,
    Well,
    /// Its errors have risen.
    Ill {
        since: Timestamp,
        /// It is frozen for them, or they have outlasted its freeze.
        is_held: bool,
    },
    /// They have risen, and it puts that down to another service.
    Suffers {
        since: Timestamp,
    },
}

/// One deploy of a service asked, or with `None` none of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clue<'a> {
    #[serde(borrow)]
    pub deploy_id: Option<Cow<'a, str>>,
    /// When it began, and when its last stage did. Of one that is ill: the step in which its errors rose, from and until.
    pub started_at: Timestamp,
    pub stage_at: Timestamp,
    /// Of one that is ill: how likely it is that this is why, 0 to 1. Else the chance that its changes cause an incident.
    pub weight: f32,
}
