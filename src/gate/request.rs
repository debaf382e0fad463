//! What a pipeline asks before it deploys.

use crate::model::{ChangeKind, EnvironmentId, InvalidName, ServiceId, check_name};

/// Changes of one request, at most: more than any deploy holds, and so many of 40 letters fit into a URL.
pub const CHANGES_MAX: usize = 1_000;
/// What they take in a URL, at most, in bytes: servers end at 64 KiB, and the rest is for address and names.
pub const CHANGES_BYTES_MAX: usize = 60_000;

/// Characters of a change's name that a message quotes.
const QUOTED_CHARS_MAX: usize = 40;

/// May these changes of this service go to this environment?
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub service: ServiceId,
    pub environment: EnvironmentId,
    /// Commits as they landed; may be empty.
    pub changes: Vec<Box<str>>,
    pub kind: ChangeKind,
    /// The incident a hotfix is for.
    pub incident: Option<Box<str>>,
    pub fail_mode: FailMode,
}

impl Request {
    /// A release without named changes that fails open.
    #[must_use]
    pub fn new(service: ServiceId, environment: EnvironmentId) -> Self {
        let (kind, fail_mode) = (ChangeKind::default(), FailMode::default());
        Self {
            service,
            environment,
            changes: Vec::new(),
            kind,
            incident: None,
            fail_mode,
        }
    }
}

/// Why changes cannot be asked about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChanges {
    #[error("change {number} of {n}, {quoted:?}, {problem}")]
    Name {
        /// From 1.
        number: usize,
        n: usize,
        quoted: String,
        problem: InvalidName,
    },
    #[error("{n} changes are too many for one question, at most {CHANGES_MAX}")]
    TooMany { n: usize },
    #[error("the changes take {size_bytes} bytes of a URL, at most {CHANGES_BYTES_MAX}")]
    TooLong { size_bytes: usize },
}

/// The changes of a request, by one rule for those who ask and those who answer: what a gate lets by here, no service
/// refuses.
pub fn parse_changes(shas: &[&str]) -> Result<Vec<Box<str>>, InvalidChanges> {
    let n = shas.len();
    if n > CHANGES_MAX {
        return Err(InvalidChanges::TooMany { n });
    }
    for (index, sha) in shas.iter().enumerate() {
        check_name(sha).map_err(|problem| InvalidChanges::Name {
            number: index + 1,
            n,
            quoted: sha.chars().take(QUOTED_CHARS_MAX).collect(),
            problem,
        })?;
    }
    let size_bytes = shas.iter().map(|sha| "&change=".len() + encoded_bytes(sha)).sum();
    if size_bytes > CHANGES_BYTES_MAX {
        return Err(InvalidChanges::TooLong { size_bytes });
    }
    Ok(shas.iter().map(|sha| (*sha).into()).collect())
}

/// What `text` takes in a query at most: all but letters, digits and a few signs is escaped.
fn encoded_bytes(text: &str) -> usize {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                1
            } else {
                3
            }
        })
        .sum()
}

/// What "not known" means to a pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum FailMode {
    /// Go on, and say so.
    #[default]
    Open,
    /// Stop.
    Closed,
}

impl FailMode {
    /// `open` or `closed`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "open" => Some(Self::Open),
            "closed" => Some(Self::Closed),
            _ => None,
        }
    }

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
        }
    }
}

/// The kinds that can be asked about; `None` for any other name.
#[must_use]
pub fn parse_kind(name: &str) -> Option<ChangeKind> {
    match name {
        "release" => Some(ChangeKind::Release),
        "rollback" => Some(ChangeKind::Rollback),
        "hotfix" => Some(ChangeKind::Hotfix),
        "security" => Some(ChangeKind::Security),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_bounded_in_name_number_and_length() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        let long = "ä".repeat(128);
        let too_long = "a".repeat(257);
        for (shas, expected) in [
            (vec![], None),
            (vec![sha; CHANGES_MAX], None),
            (vec![""], Some(r#"change 1 of 1, "", is empty"#)),
            (
                vec![sha, "dead\n", sha],
                Some(r#"change 2 of 3, "dead\n", holds a control character"#),
            ),
            (
                vec![sha, &too_long],
                Some(r#"change 2 of 2, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", is 257 bytes, at most 256"#),
            ),
            (
                vec![sha; CHANGES_MAX + 1],
                Some("1001 changes are too many for one question, at most 1000"),
            ),
            (
                vec![&long; 78],
                Some("the changes take 60528 bytes of a URL, at most 60000"),
            ),
        ] {
            let found = parse_changes(&shas).err().map(|invalid| invalid.to_string());
            assert_eq!(found.as_deref(), expected, "{} changes", shas.len());
        }
    }
}
