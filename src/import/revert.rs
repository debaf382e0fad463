//! Which commits a commit takes back.
//!
//! Its message says so: by title, as `git revert` writes it; by sha, as `git revert`, Gerrit and Phabricator write it;
//! or as Mercurial's people do, "Backed out changeset". What it names must be a commit seen before, so a word that only
//! looks like a sha takes nothing back. Taking back a revert lands the first change again: nothing failed then.

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Bound,
};

use foldhash::HashMap;

use super::message::Message;
use crate::model::hash_text;

/// Commits remembered by their sha (some 17 MB), and by their title; the next forgets the oldest. Reverts come soon.
const SHAS_MAX: usize = 1 << 17;
const TITLES_MAX: usize = 1 << 16;
/// Commits taken back by one, at most.
const CULPRITS_MAX: usize = 256;
/// An abbreviation shorter than this is no sha: git itself gives no fewer digits.
const LEAST_DIGITS: usize = 7;

/// What may stand before the shas, at the beginning of a line; the first also within one.
const BEFORE_SHAS: [&str; 14] = [
    "this reverts ",
    "reverts ",
    "reverting ",
    "revert ",
    "this backs out ",
    "backs out ",
    "backed out ",
    "backing out ",
    "back out ",
    "backout ",
    "backout: ",
    "revert: ",
    "original commit changeset: ",
    "original commit: ",
];
/// What may stand between them.
const BETWEEN_SHAS: [&str; 8] = [
    "commit",
    "commits",
    "changeset",
    "changesets",
    "revision",
    "revisions",
    "and",
    "&",
];
/// What may stand before a title in quotes.
const BEFORE_TITLE: [&str; 5] = ["revert ", "reverts ", "reverted ", "back out ", "backout "];

/// What a message takes back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TakenBack {
    /// Shas of commits seen before, each once.
    pub(super) culprits: Vec<Box<str>>,
    /// It is a revert, and what it names is not of this history.
    pub(super) is_unknown: bool,
}

/// The commits seen so far, as far as reverts can name them.
#[derive(Debug, Default)]
pub(super) struct Reverts {
    /// Whether it was a revert itself.
    shas: BTreeMap<Box<str>, bool>,
    order: VecDeque<Box<str>>,
    titles: HashMap<u64, Box<str>>,
    titles_order: VecDeque<u64>,
}

impl Reverts {
    /// What the commit takes back; it is known from here on.
    pub(super) fn take(&mut self, sha: &str, message: &Message<'_>) -> TakenBack {
        let named = named_shas(message);
        let title = reverted_title(message.subject);
        let lands_again =
            message.subject.starts_with("Reapply ") || title.is_some_and(|title| reverted_title(title).is_some());
        let is_revert = !named.is_empty() || title.is_some();
        let mut found: Vec<(&str, bool)> = named.iter().filter_map(|prefix| self.find(prefix)).collect();
        if found.is_empty()
            && let Some(title) = title
        {
            found.extend(self.titled(title));
        }
        let mut culprits: Vec<Box<str>> = Vec::new();
        for (culprit, was_revert) in &found {
            if !lands_again
                && !was_revert
                && culprits.len() < CULPRITS_MAX
                && !culprits.iter().any(|known| **known == **culprit)
            {
                culprits.push((*culprit).into());
            }
        }
        let is_unknown = is_revert && found.is_empty() && !lands_again;
        self.remember(sha, message.subject, is_revert && !lands_again);
        TakenBack { culprits, is_unknown }
    }

    /// The one commit whose sha begins so.
    fn find(&self, prefix: &str) -> Option<(&str, bool)> {
        let mut from = self
            .shas
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(sha, _)| sha.starts_with(prefix));
        let (sha, was_revert) = from.next()?;
        from.next().is_none().then_some((sha, *was_revert))
    }

    /// The latest commit of that title.
    fn titled(&self, title: &str) -> Option<(&str, bool)> {
        self.find(self.titles.get(&hash_text(without_number(title)))?)
    }

    fn remember(&mut self, sha: &str, title: &str, is_revert: bool) {
        if self.order.len() == SHAS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.shas.remove(&oldest);
        }
        self.order.push_back(sha.into());
        self.shas.insert(sha.into(), is_revert);
        if title.is_empty() {
            return;
        }
        if self.titles_order.len() == TITLES_MAX
            && let Some(oldest) = self.titles_order.pop_front()
        {
            self.titles.remove(&oldest);
        }
        let hash = hash_text(without_number(title));
        if self.titles.insert(hash, sha.into()).is_none() {
            self.titles_order.push_back(hash);
        }
    }
}

/// What is between the quotes of `Revert "…"`, or behind `revert: `.
fn reverted_title(subject: &str) -> Option<&str> {
    let subject = without_number(subject);
    if let Some(title) = strip_word(subject, "revert: ") {
        return Some(title.trim()).filter(|title| !title.is_empty());
    }
    let quoted = BEFORE_TITLE.iter().find_map(|before| strip_word(subject, before))?;
    quoted
        .strip_prefix('"')?
        .strip_suffix('"')
        .filter(|title| !title.is_empty())
}

/// Without the number of a pull request at its end, ` (#17)`, which a revert has not or has another.
fn without_number(title: &str) -> &str {
    let Some((rest, number)) = title.trim_end().rsplit_once(" (#") else {
        return title.trim_end();
    };
    match number.strip_suffix(')') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        Some(_) | None => title.trim_end(),
    }
}

fn strip_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(word.len())?;
    start.eq_ignore_ascii_case(word).then_some(rest)
}

/// The shas that the message says it takes back, in lower case.
fn named_shas(message: &Message<'_>) -> Vec<String> {
    let mut shas = Vec::new();
    let mut lines = std::iter::once(message.subject).chain(message.own_lines()).peekable();
    while let Some(line) = lines.next() {
        let Some(rest) = behind_words(line) else { continue };
        // A line that ends before its shas has them on the next.
        let wraps = rest.split_whitespace().all(|word| BETWEEN_SHAS.contains(&word));
        let rest = if wraps {
            lines.peek().copied().unwrap_or("")
        } else {
            rest
        };
        shas.extend(leading_shas(rest));
        if shas.len() >= CULPRITS_MAX {
            break;
        }
    }
    shas
}

/// What stands behind the words that say that something is taken back.
fn behind_words(line: &str) -> Option<&str> {
    let line =
        line.trim_start_matches(|letter: char| letter.is_whitespace() || matches!(letter, '-' | '*' | '(' | '['));
    if let Some(rest) = BEFORE_SHAS.iter().find_map(|before| strip_word(line, before)) {
        return Some(rest);
    }
    let within = "this reverts commit";
    // By bytes, so that a letter of another length in lower case moves nothing.
    let place = line
        .as_bytes()
        .windows(within.len())
        .position(|window| window.eq_ignore_ascii_case(within.as_bytes()))?;
    line.get(place + within.len()..)
}

/// The shas at the beginning of `text`, up to the first other word.
fn leading_shas(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | ';' | ':'))
        .map(|word| {
            word.trim_matches(|letter: char| {
                matches!(letter, '.' | '(' | ')' | '"' | '\'' | '`' | '<' | '>' | '[' | ']')
            })
        })
        .filter(|word| !word.is_empty() && !BETWEEN_SHAS.iter().any(|between| between.eq_ignore_ascii_case(word)))
        .map_while(|word| {
            let is_sha = (LEAST_DIGITS..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_sha.then(|| word.to_ascii_lowercase())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaa0123456789012345678901234567890ab";
    const B: &str = "bbbbbbb0123456789012345678901234567890ab";

    /// What `message` takes back, after A "Add cache (#7)" and B, which took back a commit unknown.
    fn taken(message: &str) -> (Vec<&'static str>, bool) {
        let mut reverts = Reverts::default();
        reverts.take(A, &Message::of("Add cache (#7)"));
        reverts.take(B, &Message::of("Revert \"Something\"\n\nThis reverts commit 1234567."));
        let back = reverts.take("c", &Message::of(message));
        let known = back.culprits.iter().map(|sha| if **sha == *A { A } else { B });
        (known.collect(), back.is_unknown)
    }

    #[test]
    fn a_revert_is_known_by_its_words_and_names_a_commit_seen_before() {
        for message in [
            format!("Revert \"Add cache\"\n\nThis reverts commit {A}.\n"),
            format!("x\n\nthis reverts commit {A}"),
            format!("Revert \"Merge\"\n\nThis reverts commit {A}, reversing\nchanges made to {B}."),
            format!("x\n\nToo slow, so this reverts commit {A} for the time being"),
            "x\n\nThis reverts commit\naaaaaaa01234.".to_owned(),
            "x\n\nThis reverts commits aaaaaaa0 and 1111111.".to_owned(),
            "Backed out changeset AAAAAAA01234 (bug 12) for failures".to_owned(),
            "Backed out 2 changesets (bug 12) for failures\n\nBacked out changeset aaaaaaa01234 (bug 12)\nBacked out changeset 1234567890ab (bug 12)".to_owned(),
            "backout: aaaaaaa01234".to_owned(),
            "Back out \"Add cache\"\n\nSummary: Original commit changeset: aaaaaaa01234".to_owned(),
            "Revert aaaaaaa0".to_owned(),
            "Revert \"Add cache\"".to_owned(),
            "Revert \"Add cache\" (#8)".to_owned(),
            "Revert \"Add cache (#7)\" (#8)".to_owned(),
            "revert: Add cache".to_owned(),
        ] {
            assert_eq!(taken(&message), (vec![A], false), "{message}");
        }
    }

    #[test]
    fn what_only_looks_like_one_takes_nothing_back() {
        for message in [
            "Revert the sign of the offset",
            "Revert to the old parser",
            "Add backout page",
            "x\n\n> This reverts commit aaaaaaa01234.",
            "x\n\n    This reverts commit aaaaaaa01234.",
            "x\n\nSee also aaaaaaa01234",
            "Add cache",
            "revert:",
            "Revert \"\"",
            "",
        ] {
            assert_eq!(taken(message), (vec![], false), "{message}");
        }
    }

    #[test]
    fn one_of_another_history_is_counted() {
        for message in [
            "Revert \"No such title\"",
            "x\n\nThis reverts commit 7777777.",
            "Backed out changeset 7777777",
        ] {
            assert_eq!(taken(message), (vec![], true), "{message}");
        }
    }

    #[test]
    fn a_change_that_lands_again_accuses_nobody() {
        for message in [
            format!("Revert \"Revert \"Something\"\"\n\nThis reverts commit {B}."),
            format!("Reapply \"Something\"\n\nThis reverts commit {B}."),
            format!("Land it again\n\nThis reverts commit {B}."),
            "Revert \"Revert \"Something\"\"".to_owned(),
        ] {
            assert_eq!(taken(&message), (vec![], false), "{message}");
        }
    }

    #[test]
    fn an_abbreviation_of_two_commits_names_neither() {
        let mut reverts = Reverts::default();
        reverts.take("abcdef01", &Message::of("one"));
        reverts.take("abcdef02", &Message::of("two"));
        assert_eq!(
            reverts
                .take("c", &Message::of("x\n\nThis reverts commit abcdef0."))
                .culprits
                .len(),
            0
        );
        assert_eq!(
            reverts
                .take("d", &Message::of("x\n\nThis reverts commit abcdef02."))
                .culprits,
            ["abcdef02".into()]
        );
    }
}
