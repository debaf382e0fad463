//! A commit's message: its subject, its trailers, and whether it says that a defect is repaired.

/// Words that say so, after Kamei et al. (TSE 2013, §4.1: "bug", "fix", "defect" or "patch"), in the forms they take.
const FIX_WORDS: [&str; 22] = [
    "bug",
    "bugs",
    "bugfix",
    "bugfixed",
    "bugfixes",
    "bugfixing",
    "fix",
    "fixes",
    "fixed",
    "fixing",
    "fixup",
    "hotfix",
    "hotfixed",
    "hotfixes",
    "hotfixing",
    "defect",
    "defects",
    "defective",
    "patch",
    "patched",
    "patches",
    "patching",
];
/// Lines of a message that are looked at: a log pasted into it need not be read.
const LINES_MAX: usize = 4_096;

/// A `Key: value` line of a paragraph made for such, with the lines that it is folded over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trailer {
    /// In lower case.
    pub(super) key: String,
    /// In one line.
    pub(super) value: String,
    /// In the last paragraph, where `git interpret-trailers` looks. A squash merge leaves others behind.
    pub(super) is_last: bool,
}

#[derive(Debug)]
pub(super) struct Message<'a> {
    /// The first line that is not blank.
    pub(super) subject: &'a str,
    /// All lines behind it, without blanks at their ends.
    lines: Vec<&'a str>,
}

impl<'a> Message<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let mut lines = text.lines().map(str::trim_end).skip_while(|line| line.is_empty());
        Self {
            subject: lines.next().unwrap_or("").trim(),
            lines: lines.take(LINES_MAX).collect(),
        }
    }

    /// The lines behind the subject that are the author's own words: quoted ones are somebody else's.
    pub(super) fn own_lines(&self) -> impl Iterator<Item = &'a str> {
        self.lines
            .iter()
            .copied()
            .filter(|line| !line.starts_with(['>', '|', '\t']) && !line.starts_with("    "))
    }

    /// Those of the last paragraph, and of each that has nothing else.
    pub(super) fn trailers(&self) -> Vec<Trailer> {
        let paragraphs: Vec<&[&str]> = self
            .lines
            .split(|line| line.is_empty())
            .filter(|paragraph| !paragraph.is_empty())
            .collect();
        let mut trailers = Vec::new();
        for (place, paragraph) in paragraphs.iter().enumerate() {
            let is_last = place + 1 == paragraphs.len();
            if !is_last
                && !paragraph
                    .iter()
                    .all(|line| is_continuation(line) || trailer(line).is_some())
            {
                continue;
            }
            // The one that the line before is of.
            let mut open: Option<Trailer> = None;
            for line in *paragraph {
                if let Some(open) = open.as_mut().filter(|_| is_continuation(line)) {
                    if !open.value.is_empty() {
                        open.value.push(' ');
                    }
                    open.value.push_str(line.trim_start());
                    continue;
                }
                trailers.extend(open.take());
                open = trailer(line).map(|(key, value)| Trailer {
                    key: key.to_ascii_lowercase(),
                    value: value.to_owned(),
                    is_last,
                });
            }
            trailers.extend(open);
        }
        trailers
    }

    pub(super) fn is_fix(&self) -> bool {
        let lines = std::iter::once(self.subject).chain(self.own_lines());
        lines
            .flat_map(|line| line.split(|letter: char| !letter.is_alphanumeric()))
            .any(|word| FIX_WORDS.iter().any(|fix| fix.eq_ignore_ascii_case(word)))
    }
}

fn is_continuation(line: &str) -> bool {
    line.starts_with([' ', '\t'])
}

/// `Key: value`, the key of letters, digits and hyphens, and blanks behind it, as git has it.
fn trailer(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim_end_matches([' ', '\t']);
    let is_key = key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    is_key.then(|| (key, value.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `git interpret-trailers --parse` says of the same messages.
    #[test]
    fn trailers_are_those_that_git_knows() {
        let cases: [(&str, &[(&str, &str)]); 4] = [
            (
                "s\n\nKey: value\nOther : more\n",
                &[("key", "value"), ("other", "more")],
            ),
            (
                "s\n\nKey: folded\n  over three\n\tlines\nOther:\n more\nThird : x\n",
                &[("key", "folded over three lines"), ("other", "more"), ("third", "x")],
            ),
            ("s\n\nKey\t: value\n", &[("key", "value")]),
            ("s\n\nTwo words: value\n", &[]),
        ];
        for (text, expected) in cases {
            let found = Message::of(text).trailers();
            let found: Vec<(&str, &str)> = found.iter().map(|found| (&*found.key, &*found.value)).collect();
            assert_eq!(found, expected, "{text}");
        }
    }
}
