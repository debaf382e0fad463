//! What is wrong with a policy file, and where.

use std::fmt;

use crate::model::shorten;

/// One thing wrong with a policy file: `3:10: freeze.margin is "high"; expected a number from 0 to 10`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {path}{}{text}", if path.is_empty() { "" } else { " " })]
pub struct Fault {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The key, dotted. The second `[[rule]]` is `rule[2]`. Empty where no key is meant.
    pub path: Box<str>,
    /// What goes on from the path as a sentence, on one line.
    pub text: Box<str>,
}

/// All that is wrong with a policy file, in the order of the file; never empty. Displayed one a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults {
    faults: Vec<Fault>,
    /// Those beyond the first [`MAX_FAULTS`].
    n_more: usize,
}

/// Whoever wrote more wants another file, not a longer list; a file of a mebibyte can hold 200,000.
const MAX_FAULTS: usize = 1_000;

impl Faults {
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            write!(f, "{}{fault}", if i == 0 { "" } else { "\n" })?;
        }
        match self.n_more {
            0 => Ok(()),
            n_more => write!(f, "\nand {n_more} more"),
        }
    }
}

impl std::error::Error for Faults {}

/// Reads values and notes what is wrong with them, so that reading never stops.
#[derive(Debug, Default)]
pub(super) struct Reader {
    found: Vec<Note>,
    /// The line where the text stops being TOML. What is read from there on is the parser's guess and judged no more.
    broken_at: Option<usize>,
}

#[derive(Debug)]
struct Note {
    /// In bytes from the beginning.
    at: usize,
    path: String,
    text: String,
}

impl Reader {
    pub(super) fn note(&mut self, at: usize, path: &str, text: impl Into<String>) {
        if self.broken_at.is_none_or(|broken_at| at < broken_at) {
            self.found.push(Note {
                at,
                path: path.to_owned(),
                text: text.into(),
            });
        }
    }

    /// A key that must be there is not; in a broken text it may only be unreadable.
    pub(super) fn note_missing(&mut self, at: usize, path: &str, text: impl Into<String>) {
        if self.broken_at.is_none() {
            self.note(at, path, text);
        }
    }

    pub(super) fn note_syntax(&mut self, text: &str, errors: &[toml::de::Error]) {
        let mut break_at: Option<usize> = None;
        for error in errors {
            let span = error.span().unwrap_or(text.len()..text.len());
            // A key given twice leaves the rest of the text as readable as it was.
            if error.message() == "duplicate key" {
                let key = shorten(text.get(span.clone()).unwrap_or_default());
                self.found.push(Note {
                    at: span.start,
                    path: String::new(),
                    text: format!("{key} is given twice"),
                });
                continue;
            }
            break_at = Some(break_at.map_or(span.start, |at| at.min(span.start)));
            let text = format!("not TOML: {}", error.message());
            self.found.push(Note {
                at: span.start,
                path: String::new(),
                text,
            });
        }
        let line_of = |at: usize| {
            text.get(..at)
                .and_then(|before| before.rfind('\n'))
                .map_or(0, |end| end + 1)
        };
        self.broken_at = break_at.map(line_of);
    }

    /// Whether there are more faults already than anybody will be shown.
    pub(super) fn is_full(&self) -> bool {
        self.found.len() >= MAX_FAULTS
    }

    /// `value`, if nothing was noted.
    pub(super) fn finish<T>(mut self, text: &str, value: T) -> Result<T, Faults> {
        if self.found.is_empty() {
            return Ok(value);
        }
        self.found.sort_by_key(|note| note.at);
        let n_more = self.found.len().saturating_sub(MAX_FAULTS);
        self.found.truncate(MAX_FAULTS);
        let mut rest = text.char_indices().peekable();
        let (mut line, mut column) = (1, 1);
        let locate = |Note { at, path, text }| {
            while let Some((_, character)) = rest.next_if(|(place, _)| *place < at) {
                (line, column) = match character {
                    '\n' => (line + 1, 1),
                    // A byte order mark is no character of the line.
                    '\u{feff}' if (line, column) == (1, 1) => (1, 1),
                    _ => (line, column + 1),
                };
            }
            Fault {
                line,
                column,
                path: path.into(),
                text: text.into(),
            }
        };
        Err(Faults {
            faults: self.found.into_iter().map(locate).collect(),
            n_more,
        })
    }
}
