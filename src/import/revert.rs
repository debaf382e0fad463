//! Which commits a commit takes back.
//!
//! Its message says so: by title, as `git revert` writes it; by sha, as `git revert`, Gerrit and Phabricator write it;
//! or as Mercurial's people do, "Backed out changeset". What it names must be a commit seen before, so a word that only
//! looks like a sha takes nothing back: a squash quotes the messages of its branch, whose commits are of no history here. Of
//! a merge it takes back the commits that were brought by it. Taking back a revert lands the first change again: nothing
//! failed then.

use super::{message::Message, past::Past};

/// Commits taken back by one, at most.
const CULPRITS_MAX: usize = 256;
/// An abbreviation shorter than this is no sha: git itself gives no fewer digits.
const LEAST_DIGITS: usize = 7;

/// What may stand before the shas, at the beginning of a line; the first also within one.
const BEFORE_SHAS: [&str; 16] = [
    "this reverts ",
    "reverts ",
    "revert ",
    "this backs out ",
    "backs out ",
    "backed out ",
    "backing out ",
    "back out ",
    "backout ",
    "backout: ",
    "automated rollback of ",
    "rollback of ",
    "roll back ",
    "revert: ",
    "original commit changeset: ",
    "original commit: ",
];
/// And in a title: in a sentence it may be of what would be.
const IN_TITLES: &str = "reverting ";
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
/// What may stand before the title of a change that lands again.
const BEFORE_LANDED: &str = "reapply ";
/// How a title may be quoted.
const QUOTES: [(char, char); 6] = [('"', '"'), ('“', '”'), ('„', '“'), ('\'', '\''), ('‘', '’'), ('`', '`')];

/// What a message takes back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct TakenBack {
    /// Shas of commits seen before, each once.
    pub(super) culprits: Vec<Box<str>>,
    /// It is a revert, and what it names is not of this history, or a merge of too much.
    pub(super) is_unknown: bool,
}

/// The commits seen so far, as far as reverts can name them.
#[derive(Debug, Default)]
pub(super) struct Reverts {
    past: Past,
}

impl Reverts {
    /// What the commit takes back; it is known from here on.
    pub(super) fn take(&mut self, sha: &str, parents: &[Box<str>], message: &Message<'_>) -> TakenBack {
        let named = named_shas(message);
        let title = reverted(message.subject).map(|(title, _)| title);
        let mut found: Vec<_> = named.iter().filter_map(|prefix| self.past.find(prefix)).collect();
        let says_so = title.is_some() || (!named.is_empty() && behind_words(message.subject, true).is_some());
        let is_revert = !lands_again(message.subject) && (says_so || !found.is_empty());
        if found.is_empty()
            && let Some(title) = title
        {
            found.extend(self.past.titled(without_number(title)));
        }
        // Of a merge all that it brought is taken back.
        let brought: Vec<_> = found.iter().filter_map(|found| self.past.brought(*found)).collect();
        let is_unknown = is_revert && brought.is_empty();
        let mut culprits: Vec<Box<str>> = Vec::new();
        for culprit in brought.iter().flatten() {
            if is_revert
                && !culprit.was_revert
                && culprits.len() < CULPRITS_MAX
                && !culprits.iter().any(|known| **known == *culprit.sha)
            {
                culprits.push(culprit.sha.into());
            }
        }
        // What takes back nothing but reverts lands what they took back.
        let was_revert = is_unknown || !culprits.is_empty();
        let titles = [without_number(message.subject)];
        self.past.remember(sha, parents, titles, was_revert);
        TakenBack { culprits, is_unknown }
    }

    /// A merge is known from here on: by its subject, and by the line behind it, which is the title of the pull request where
    /// a forge made it.
    pub(super) fn merge(&mut self, sha: &str, parents: &[Box<str>], message: &Message<'_>) {
        let request = message.own_lines().find(|line| !line.trim().is_empty()).unwrap_or("");
        let titles = [message.subject, request].map(without_number);
        self.past.remember(sha, parents, titles, false);
    }
}

/// The title that a subject takes back, `Revert "…"` or `revert: …`, and how often: a revert once, `Reapply "…"` twice.
fn reverted(subject: &str) -> Option<(&str, u32)> {
    let subject = without_tags(without_number(subject));
    let (title, n) = if let Some(title) = behind_type(subject) {
        (in_quotes(title).unwrap_or(title), 1)
    } else {
        let subject = without_scopes(subject);
        if let Some(title) = BEFORE_TITLE.iter().find_map(|before| strip_word(subject, before)) {
            (in_quotes(title)?, 1)
        } else {
            (in_quotes(strip_word(subject, BEFORE_LANDED)?)?, 2)
        }
    };
    (!title.is_empty()).then_some((title, n))
}

/// Whether a subject takes back a revert: an even number of them around a title land it.
fn lands_again(subject: &str) -> bool {
    let (mut innermost, mut n_reverts) = (subject, 0_u32);
    while let Some((title, n)) = reverted(innermost) {
        innermost = title;
        n_reverts += n;
    }
    if n_reverts == 0 {
        return strip_word(subject, BEFORE_LANDED).is_some();
    }
    n_reverts.is_multiple_of(2)
}

/// What stands behind `revert: `, or `revert(scope): `.
fn behind_type(subject: &str) -> Option<&str> {
    let rest = strip_word(subject, "revert")?;
    let rest = match rest.strip_prefix('(') {
        Some(scope) => scope.split_once(')')?.1,
        None => rest,
    };
    Some(rest.strip_prefix('!').unwrap_or(rest).strip_prefix(": ")?.trim())
}

/// What is between quotes, if all of it is.
fn in_quotes(text: &str) -> Option<&str> {
    QUOTES
        .iter()
        .find_map(|(open, close)| text.strip_prefix(*open)?.strip_suffix(*close))
}

/// Without tags before it, as in `[cart] Revert "…"`.
fn without_tags(subject: &str) -> &str {
    let mut rest = subject;
    while let Some((_, behind)) = rest.strip_prefix('[').and_then(|tag| tag.split_once(']')) {
        rest = behind.trim_start();
    }
    rest
}

/// Without types and parts before it, as in `fix(cart): revert "…"` and `net: dsa: Revert "…"`.
fn without_scopes(subject: &str) -> &str {
    let mut rest = subject;
    while let Some((_, behind)) = rest
        .split_once(": ")
        .filter(|(scope, _)| !scope.is_empty() && !scope.contains(char::is_whitespace))
    {
        rest = behind.trim_start();
    }
    rest
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
    let mut is_subject = true;
    while let Some(line) = lines.next() {
        let is_title = std::mem::take(&mut is_subject);
        let Some(rest) = behind_words(line, is_title) else {
            continue;
        };
        // A line that ends before its shas has them on the next.
        let wraps = rest.split_whitespace().all(|word| BETWEEN_SHAS.contains(&word));
        let rest = if wraps {
            lines.peek().copied().unwrap_or("")
        } else {
            rest
        };
        shas.extend(leading_shas(rest));
        // So may a list that is not at its end.
        let mut list = rest;
        while goes_on(list)
            && let Some(next) = lines.next_if(|next| leading_shas(next).next().is_some())
        {
            shas.extend(leading_shas(next));
            list = next;
        }
        if shas.len() >= CULPRITS_MAX {
            break;
        }
    }
    shas
}

/// Whether a list of shas ends so that more must come.
fn goes_on(list: &str) -> bool {
    let end = list.split_whitespace().next_back().unwrap_or("");
    end.ends_with(',') || BETWEEN_SHAS.contains(&end)
}

/// What stands behind the words that say that something is taken back.
fn behind_words<'a>(whole: &'a str, is_title: bool) -> Option<&'a str> {
    let bare = |text: &'a str| {
        text.trim_start_matches(|letter: char| letter.is_whitespace() || matches!(letter, '-' | '*' | '(' | '['))
    };
    let line = bare(whole);
    let before_shas = |line: &'a str| BEFORE_SHAS.iter().find_map(|before| strip_word(line, before));
    let of_title = || {
        let title = bare(without_scopes(without_tags(whole)));
        strip_word(title, IN_TITLES).or_else(|| before_shas(title))
    };
    if let Some(rest) = before_shas(line).or_else(|| is_title.then(of_title).flatten()) {
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
    use super::{super::past::BROUGHT_MAX, *};

    const A: &str = "aaaaaaa0123456789012345678901234567890ab";
    const B: &str = "bbbbbbb0123456789012345678901234567890ab";

    /// What `message` takes back, after A "Add cache (#7)" and B, which took back a commit unknown.
    fn taken(message: &str) -> (Vec<&'static str>, bool) {
        let mut reverts = Reverts::default();
        reverts.take(A, &[], &Message::of("Add cache (#7)"));
        reverts.take(
            B,
            &[],
            &Message::of("Revert \"Something\"\n\nThis reverts commit 1234567."),
        );
        let back = reverts.take("c", &[], &Message::of(message));
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
            "x\n\nThis reverts commits 1111111 and\naaaaaaa0.".to_owned(),
            "Reverting aaaaaaa0".to_owned(),
            "* Reverting aaaaaaa0".to_owned(),
            "Backed out changeset AAAAAAA01234 (bug 12) for failures".to_owned(),
            "Backed out 2 changesets (bug 12) for failures\n\nBacked out changeset aaaaaaa01234 (bug 12)\nBacked out changeset 1234567890ab (bug 12)".to_owned(),
            "backout: aaaaaaa01234".to_owned(),
            "Back out \"Add cache\"\n\nSummary: Original commit changeset: aaaaaaa01234".to_owned(),
            "Revert aaaaaaa0".to_owned(),
            "Revert \"Add cache\"".to_owned(),
            "Revert \"Add cache\" (#8)".to_owned(),
            "Revert \"Add cache (#7)\" (#8)".to_owned(),
            "revert: Add cache".to_owned(),
            "revert: \"Add cache\"".to_owned(),
            "revert(cart): Add cache (#8)".to_owned(),
            "revert(cart)!: Add cache".to_owned(),
            "[cart] Revert \"Add cache\" (#8)".to_owned(),
            "[cart][v2] Revert \"Add cache\"".to_owned(),
            "Revert “Add cache”".to_owned(),
            "Revert 'Add cache'".to_owned(),
            "fix(cart): revert \"Add cache\" (#8)".to_owned(),
            "cart: Revert \"Add cache (#7)\"".to_owned(),
            "net: dsa: Revert `Add cache`".to_owned(),
            "chore: revert aaaaaaa0".to_owned(),
            "[cart] Revert aaaaaaa0".to_owned(),
            format!("Automated rollback of commit {A}.\n\n*** Reason for rollback ***"),
            "Rollback of aaaaaaa01234 because of timeouts".to_owned(),
            "cart: roll back aaaaaaa01234".to_owned(),
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
            "Improve docs\n\nReverting commit aaaaaaa01234 would be wrong.",
            "Add cache",
            "revert:",
            "revert: \"\"",
            "revert(cart) Add cache",
            "[cart] Add cache",
            "cart: Add cache",
            "cart: revert to Add cache",
            "docs: revert \"Add cache\" button",
            "Explain how: revert \"Add cache\"",
            "Roll back on errors",
            "Rollback of deployments",
            "x\n\nRolling back aaaaaaa01234 would be wrong.",
            "x\n\ncart: revert aaaaaaa01234 if it is slow",
            "Revert \"\"",
            "Revert “”",
            // Of a branch whose commits were squashed.
            "Try caches (#8)\n\n* Try x\n\n* Revert \"Try y\"\n\nThis reverts commit 7777777.",
            "x\n\nThis reverts commit 7777777.",
            "",
        ] {
            assert_eq!(taken(message), (vec![], false), "{message}");
        }
    }

    #[test]
    fn one_of_another_history_is_counted() {
        for message in [
            "Revert \"No such title\"",
            "Revert \"No such title\"\n\nThis reverts commit 7777777.",
            "Backed out changeset 7777777",
            "Backed out 2 changesets for failures\n\nBacked out changeset 7777777",
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
            "Revert \"Reapply \"Revert \"Something\"\"\"".to_owned(),
            "Reapply Something".to_owned(),
            "cart: Reapply \"Something\"".to_owned(),
            "fix: revert \"cart: revert \"Something\"\"".to_owned(),
            "Rollback of rollback of Something".to_owned(),
        ] {
            assert_eq!(taken(&message), (vec![], false), "{message}");
        }
    }

    /// A squash is no revert because of a commit of its branch that was one.
    #[test]
    fn a_squash_that_quotes_reverts_of_its_branch_can_be_taken_back() {
        let squash = "Try caches (#8)\n\n* Try y\n\n* Revert \"Try y\"\n\nThis reverts commit 7777777.";
        for revert in [
            "Revert \"Try caches\" (#9)",
            "Revert \"Try caches (#8)\"\n\nThis reverts commit 1000000.",
        ] {
            let found = of_history(&[("1000000", &[], squash), ("2000000", &["1000000"], revert)]);
            assert_eq!(found, (vec!["1000000".to_owned()], false), "{revert}");
        }
    }

    /// It landed, was taken back, and landed again; each of the last messages takes that back.
    #[test]
    fn a_change_that_landed_again_is_accused_when_it_is_taken_back_again() {
        for (reland, last) in [
            ("Revert \"Revert \"Add b\"\"", "Revert \"Revert \"Revert \"Add b\"\"\""),
            (
                "Revert \"Revert \"Add b (#1)\" (#2)\" (#3)",
                "Revert \"Revert \"Revert \"Add b (#1)\" (#2)\" (#3)\" (#4)",
            ),
            ("Reapply \"Add b\"", "Revert \"Reapply \"Add b\"\""),
            ("Land it\n\nThis reverts commit 2000000.", "Revert \"Land it\""),
            ("Reapply \"Add b\"", "x\n\nThis reverts commit 3000000."),
        ] {
            let found = of_history(&[
                ("1000000", &[], "Add b (#1)"),
                ("2000000", &["1000000"], "Revert \"Add b (#1)\" (#2)"),
                ("3000000", &["2000000"], reland),
                ("4000000", &["3000000"], last),
            ]);
            assert_eq!(found, (vec!["3000000".to_owned()], false), "{last}");
        }
    }

    #[test]
    fn an_abbreviation_of_two_commits_names_neither() {
        let mut reverts = Reverts::default();
        reverts.take("abcdef01", &[], &Message::of("one"));
        reverts.take("abcdef02", &[], &Message::of("two"));
        assert_eq!(
            reverts
                .take("c", &[], &Message::of("x\n\nThis reverts commit abcdef0."))
                .culprits
                .len(),
            0
        );
        assert_eq!(
            reverts
                .take("d", &[], &Message::of("x\n\nThis reverts commit abcdef02."))
                .culprits,
            ["abcdef02".into()]
        );
    }

    /// A history of `(sha, parents, message)`; what the last of them takes back.
    fn of_history(history: &[(&str, &[&str], &str)]) -> (Vec<String>, bool) {
        let mut reverts = Reverts::default();
        let mut last = TakenBack::default();
        for (sha, parents, message) in history {
            let parents: Vec<Box<str>> = parents.iter().map(|sha| (*sha).into()).collect();
            let message = Message::of(message);
            if parents.len() > 1 {
                reverts.merge(sha, &parents, &message);
            } else {
                last = reverts.take(sha, &parents, &message);
            }
        }
        (last.culprits.iter().map(ToString::to_string).collect(), last.is_unknown)
    }

    /// Main is 1, 2, 3, 4; a side left it at 1 and has 5, a merge of 2, and 6; it is brought by the merge 7. Another side of one
    /// commit, 8, is brought by 9, which stands behind.
    #[test]
    fn of_a_merge_what_it_brought_is_taken_back() {
        let history = |message: &'static str| {
            of_history(&[
                ("1000000", &[], "one"),
                ("2000000", &["1000000"], "two"),
                ("5000000", &["1000000"], "five"),
                ("3000000", &["2000000"], "three"),
                ("5500000", &["5000000", "2000000"], "Merge branch 'main' into side"),
                ("6000000", &["5500000"], "Revert \"Something\""),
                ("6600000", &["6000000"], "six"),
                ("4000000", &["3000000"], "four"),
                (
                    "7000000",
                    &["4000000", "6600000"],
                    "Merge pull request #7 from shop/side\n\nAdd coupons",
                ),
                ("8000000", &["1000000"], "Add sales (#8)"),
                (
                    "9000000",
                    &["7000000", "8000000"],
                    "Merge branch 'sales' into 'main'\n\nAdd sales\n\nSee merge request !8",
                ),
                ("a000000", &["9000000"], message),
            ])
        };
        let of = |shas: &[&str]| (shas.iter().map(ToString::to_string).collect::<Vec<_>>(), false);
        for message in [
            "Revert \"Merge pull request #7 from shop/side\"\n\nThis reverts commit 7000000, reversing\nchanges made to 4000000.",
            "Revert \"Merge pull request #7 from shop/side\"",
            "Revert \"Add coupons\" (#10)",
            "x\n\nThis reverts commit 7000000",
        ] {
            assert_eq!(history(message), of(&["6600000", "5000000"]), "{message}");
        }
        assert_eq!(history("Revert \"Add sales\""), of(&["8000000"]), "once");
        assert_eq!(history("Revert \"two\""), of(&["2000000"]), "a commit is itself");
        assert_eq!(history("Reapply \"Add coupons\""), of(&[]), "it lands again");
    }

    #[test]
    fn a_merge_of_too_much_accuses_nobody() {
        let side = |n: usize| {
            let shas: Vec<String> = (0..=n).map(|i| format!("{i:07x}")).collect();
            let mut reverts = Reverts::default();
            let mut parent: Vec<Box<str>> = Vec::new();
            for sha in &shas {
                reverts.take(sha, &parent, &Message::of("work"));
                parent = vec![sha.as_str().into()];
            }
            let parents = ["0000000".into(), parent[0].clone()];
            reverts.merge("fffffff", &parents, &Message::of("Merge branch 'side'"));
            let back = reverts.take(
                "eeeeeee",
                &["fffffff".into()],
                &Message::of("x\n\nThis reverts commit fffffff."),
            );
            (back.culprits.len(), back.is_unknown)
        };
        assert_eq!(side(BROUGHT_MAX), (BROUGHT_MAX, false));
        assert_eq!(side(BROUGHT_MAX + 1), (0, true));
    }
}
