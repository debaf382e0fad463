//! What a pipeline asks before it deploys.

use crate::model::{ChangeKind, EnvironmentId, InvalidName, ServiceId, check_name};

/// Changes of one request, at most: more than any deploy holds, and so many of 40 letters fit into a URL.
pub const CHANGES_MAX: usize = 1_000;
/// What they take in a URL, at most, in bytes: servers end at 64 KiB, and the rest is for address and names.
pub const CHANGES_BYTES_MAX: usize = 60_000;
/// The query of one HTTP request, at most, in bytes: a question with more changes is asked in parts. Proxies in front of
/// an instance refuse longer request lines, Apache those over 8,190 bytes and nginx over 8 KiB; the rest is for the
/// address.
pub const QUERY_BYTES_MAX: usize = 6_000;

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

    /// Names and values of its query, without the changes: what each part of the question repeats.
    #[must_use]
    pub fn parameters(&self) -> Vec<(&'static str, &str)> {
        let mut parameters = vec![
            ("service", self.service.as_str()),
            ("environment", self.environment.as_str()),
            ("kind", kind_name(self.kind)),
            ("fail_mode", self.fail_mode.name()),
        ];
        parameters.extend(self.incident.as_deref().map(|incident| ("incident", incident)));
        parameters
    }

    /// The changes in the order asked, in as few runs as keep each part's query within [`QUERY_BYTES_MAX`]. A question
    /// without changes is one part; no part of any other is without: a freeze lets by whom it lets by for their changes.
    #[must_use]
    pub fn parts(&self) -> Vec<&[Box<str>]> {
        let repeated_bytes: usize = self
            .parameters()
            .iter()
            .map(|(name, value)| in_query(name, value))
            .sum();
        let mut parts = Vec::new();
        let mut rest = self.changes.as_slice();
        loop {
            let mut size_bytes = repeated_bytes;
            let fitting = rest.iter().take_while(|sha| {
                size_bytes += in_query("change", sha);
                size_bytes <= QUERY_BYTES_MAX
            });
            // Names have 256 bytes, so there is room for one, whatever is repeated.
            let n = fitting.count().max(1).min(rest.len());
            let (part, after) = rest.split_at(n);
            parts.push(part);
            if after.is_empty() {
                return parts;
            }
            rest = after;
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
    let size_bytes = shas.iter().map(|sha| in_query("change", sha)).sum();
    if size_bytes > CHANGES_BYTES_MAX {
        return Err(InvalidChanges::TooLong { size_bytes });
    }
    Ok(shas.iter().map(|sha| (*sha).into()).collect())
}

/// Bytes of a parameter in a query, at most: all of the value but letters, digits and a few signs is escaped.
fn in_query(name: &str, value: &str) -> usize {
    let escaped = value.bytes().map(|byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            1
        } else {
            3
        }
    });
    "&=".len() + name.len() + escaped.sum::<usize>()
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

/// The name under which a kind is asked about.
fn kind_name(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::Release | ChangeKind::Config | ChangeKind::Flag => "release",
        ChangeKind::Rollback => "rollback",
        ChangeKind::Hotfix => "hotfix",
        ChangeKind::Security => "security",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest names there are, each byte of them escaped, and shas as they are.
    #[test]
    fn parts_hold_all_changes_in_order_and_keep_within_a_query() {
        let long = "ä".repeat(128);
        let short = Request::new("a".parse().expect("a name"), "b".parse().expect("a name"));
        let wide = Request {
            kind: ChangeKind::Security,
            incident: Some(long.as_str().into()),
            ..Request::new(long.parse().expect("a name"), long.parse().expect("a name"))
        };
        let shas = |n: usize| (0..n).map(|i| format!("{i:040x}").into()).collect();
        for (request, changes, n_parts) in [
            (&short, Vec::new(), 1),
            (&short, shas(1), 1),
            (&short, shas(123), 1),
            (&short, shas(124), 2),
            (&short, shas(CHANGES_MAX), 9),
            (&wide, Vec::new(), 1),
            (&wide, vec![long.as_str().into(); 77], 20),
        ] {
            let request = Request {
                changes,
                ..request.clone()
            };
            let parts = request.parts();
            assert_eq!((parts.len(), parts.concat()), (n_parts, request.changes.clone()));
            for part in &parts {
                assert!(!part.is_empty() || request.changes.is_empty());
                let changes = part.iter().map(|sha| ("change", &**sha));
                let query = request.parameters().into_iter().chain(changes);
                let size_bytes: usize = query.map(|(name, value)| in_query(name, value)).sum();
                assert!(size_bytes <= QUERY_BYTES_MAX, "{size_bytes} bytes");
            }
        }
    }

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
