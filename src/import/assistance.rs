//! What part AI had in a commit, as far as the commit says.
//!
//! An agent as the author made the change; a trailer or a marker says that one assisted. Nothing said is unknown: it is
//! not "a person alone". Only who says that no AI took part is taken at their word.

pub(super) mod table;

use self::table::{
    AGENTS, AUTHOR_SUFFIXES, Address, BOTS, MARKERS, SUBJECTS, TOOL_SECOND_WORDS, TOOLS, TRAILERS, UNNAMED, Value,
};
use super::{
    log::Commit,
    message::{Message, Trailer},
};
use crate::model::{Assistance, Confidence};

const GITHUB: &str = "@users.noreply.github.com";

/// What a commit says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Found {
    pub(super) assistance: Assistance,
    /// The agents that are named, each once.
    pub(super) tools: Vec<&'static str>,
    /// That of the surest mark.
    pub(super) confidence: Option<Confidence>,
    /// What speaks for it, such as `author` or `trailer:assisted-by`, each once.
    pub(super) evidence: Vec<String>,
    /// The author is an automaton that is no AI.
    pub(super) bot: bool,
}

/// What one mark says: `None` where AI was denied.
struct Mark {
    agent: Option<&'static str>,
    confidence: Confidence,
    evidence: String,
}

impl Found {
    pub(super) fn is_by_ai(&self) -> bool {
        matches!(self.assistance, Assistance::Assisted | Assistance::Authored)
    }

    fn note(&mut self, assistance: Assistance, agent: &'static str, confidence: Confidence, evidence: String) {
        if self.assistance != Assistance::Authored {
            self.assistance = assistance;
        }
        if agent != UNNAMED && !self.tools.contains(&agent) {
            self.tools.push(agent);
        }
        // The order of the words is from high to low.
        self.confidence = Some(self.confidence.map_or(confidence, |known| known.min(confidence)));
        if !self.evidence.contains(&evidence) {
            self.evidence.push(evidence);
        }
    }
}

/// What the commit says of AI and bots.
pub(super) fn of(commit: &Commit, message: &Message<'_>) -> Found {
    let mut found = Found::default();
    let email = commit.author.email.trim().to_ascii_lowercase();
    if let Some((agent, confidence)) = agent_at(&email) {
        found.note(Assistance::Authored, agent, confidence, "author".to_owned());
    } else {
        found.bot = is_bot(&email);
    }
    let name = commit.author.name.trim_end().to_lowercase();
    for (suffix, agent) in AUTHOR_SUFFIXES {
        if name.ends_with(suffix) {
            found.note(Assistance::Assisted, agent, Confidence::High, "author-name".to_owned());
        }
    }
    let marks: Vec<Mark> = message
        .trailers()
        .iter()
        .filter_map(by_trailer)
        .chain(by_words(message))
        .collect();
    for mark in &marks {
        if let Some(agent) = mark.agent {
            found.note(Assistance::Assisted, agent, mark.confidence, mark.evidence.clone());
        }
    }
    // A denial counts where nothing speaks against it.
    if let Some(denial) = marks.iter().find(|mark| mark.agent.is_none())
        && found.assistance == Assistance::Unknown
    {
        found.assistance = Assistance::None;
        found.confidence = Some(denial.confidence);
        found.evidence.push(denial.evidence.clone());
    }
    found
}

fn by_trailer(trailer: &Trailer) -> Option<Mark> {
    let (_, value) = TRAILERS.iter().find(|(key, _)| *key == trailer.key)?;
    let (agent, confidence) = match value {
        Value::Any(agent) => (Some(*agent), Confidence::High),
        Value::Somebody => {
            let (agent, confidence) = agent_at(&address(&trailer.value)?)?;
            (Some(agent), confidence)
        }
        Value::Flag => flag(&trailer.value)?,
        Value::Tool => tool(&trailer.value)?,
    };
    // What stands in the midst of a message may be what a squash left, or an example.
    let confidence = if trailer.is_last {
        confidence
    } else {
        confidence.max(Confidence::Medium)
    };
    Some(Mark {
        agent,
        confidence,
        evidence: format!("trailer:{}", trailer.key),
    })
}

/// Markers on lines of their own, and the subject's beginning.
fn by_words(message: &Message<'_>) -> Vec<Mark> {
    let mut marks = Vec::new();
    for line in message.own_lines() {
        let line = line
            .trim_start_matches(|letter: char| !letter.is_alphanumeric())
            .to_lowercase();
        if let Some((_, agent, confidence)) = MARKERS.iter().find(|(marker, ..)| line.starts_with(marker)) {
            marks.push(Mark {
                agent: Some(agent),
                confidence: *confidence,
                evidence: "marker:generated-with".to_owned(),
            });
        }
    }
    let subject = message.subject.to_lowercase();
    for (beginning, agent, confidence) in SUBJECTS {
        if subject.starts_with(beginning) {
            marks.push(Mark {
                agent: Some(agent),
                confidence,
                evidence: format!("marker:{agent}-prefix"),
            });
        }
    }
    marks
}

/// The agent with this address, which is in lower case.
fn agent_at(email: &str) -> Option<(&'static str, Confidence)> {
    let (_, agent, confidence) = AGENTS.iter().find(|(address, ..)| is_at(*address, email))?;
    Some((agent, *confidence))
}

fn is_bot(email: &str) -> bool {
    let is_application = email.strip_suffix(GITHUB).is_some_and(|local| local.ends_with("[bot]"));
    is_application || BOTS.iter().any(|address| is_at(*address, email))
}

fn is_at(address: Address, email: &str) -> bool {
    match address {
        Address::Is(whole) => whole == email,
        Address::GithubId(id) => {
            let local = email.strip_suffix(GITHUB).and_then(|local| local.split_once('+'));
            local.is_some_and(|(number, _)| number.parse() == Ok(id))
        }
    }
}

/// The address in `Name <address>`, in lower case; `None` if there is not exactly one pair of brackets.
fn address(value: &str) -> Option<String> {
    let (_, rest) = value.split_once('<')?;
    let inner = rest.trim_end().strip_suffix('>')?;
    let is_address = inner.contains('@') && !inner.contains(['<', '>']);
    is_address.then(|| inner.trim().to_ascii_lowercase())
}

/// Whether AI took part, in a word, or which.
fn flag(value: &str) -> Option<(Option<&'static str>, Confidence)> {
    match answer(value).to_ascii_lowercase().as_str() {
        "true" | "yes" | "y" | "1" => Some((Some(UNNAMED), Confidence::High)),
        "false" | "no" | "none" | "n" | "0" => Some((None, Confidence::High)),
        _ => tool(value),
    }
}

/// The tool that `value` begins with, or `None` within where it is denied.
fn tool(value: &str) -> Option<(Option<&'static str>, Confidence)> {
    if value.contains('@') {
        // Somebody with an address is an agent if the address is one's.
        let (agent, confidence) = agent_at(&address(value)?)?;
        return Some((Some(agent), confidence));
    }
    let value = value.trim().to_lowercase();
    if matches!(answer(&value), "none" | "no" | "nobody" | "n/a") {
        return Some((None, Confidence::High));
    }
    let (_, agent, _) = TOOLS
        .iter()
        .find(|(name, _, is_persons)| is_tool(&value, name, *is_persons))?;
    Some((Some(agent), Confidence::High))
}

/// Whether `value` begins with the tool's name: alone, with a model behind a colon or a slash, or with a version; where
/// people are called so too, another word behind it must be a tool's.
fn is_tool(value: &str, name: &str, is_persons: bool) -> bool {
    let Some(rest) = value.strip_prefix(name) else {
        return false;
    };
    let mut letters = rest.chars();
    match letters.next() {
        None | Some(':' | '/' | ',' | ';' | '(' | '[') => true,
        Some('.') => letters.next().is_some_and(|next| next.is_ascii_digit()),
        // A model or a part of the tool; what is only called after it is another thing.
        Some('-') => is_model(first_piece(letters.as_str())),
        Some(letter) if letter.is_ascii_digit() => true,
        Some('v') => letters.next().is_some_and(|next| next.is_ascii_digit()),
        Some(letter) if letter.is_whitespace() => {
            let second = first_word(rest);
            let is_version = second
                .trim_start_matches('v')
                .starts_with(|first: char| first.is_ascii_digit());
            !is_persons || is_version || TOOL_SECOND_WORDS.contains(&second) || second.starts_with(['(', '[', '/'])
        }
        Some(_) => false,
    }
}

/// The first word, without what parts it from an explanation.
fn answer(text: &str) -> &str {
    first_word(text).trim_end_matches([',', '.', ';', ':'])
}

/// Up to what parts the pieces of a name.
fn first_piece(text: &str) -> &str {
    text.split(|letter: char| !letter.is_alphanumeric())
        .next()
        .unwrap_or("")
}

/// `5`, `4o`, `v3`, `r1`, or a word that tools have behind their name.
fn is_model(piece: &str) -> bool {
    let behind = piece.trim_start_matches(|letter: char| letter.is_ascii_alphabetic());
    let is_numbered = piece.len() - behind.len() <= 1 && behind.starts_with(|first: char| first.is_ascii_digit());
    is_numbered || TOOL_SECOND_WORDS.contains(&piece)
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or("")
}
