//! Patterns for paths and names.
//!
//! `?` is one character but `/`, `*` any of these, `**` any at all; `**/` is any folders, or none. A pattern is of the
//! whole path, and one that ends in `/` is of all below. Nothing else stands for anything; of a path, brackets and braces
//! are refused, since elsewhere they do.
//!
//! **Invariant:** time is bounded by the product of the lengths, whatever the pattern: all ways to match are followed at
//! once.

use std::fmt;

/// The longest pattern, in bytes.
pub(super) const PATTERN_BYTES_MAX: usize = 256;

#[derive(Clone, PartialEq, Eq)]
pub struct Glob {
    text: Box<str>,
    tokens: Box<[Token]>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Is(char),
    One,
    /// Within a folder.
    Some,
    Any,
    /// Whole folders, each with its `/`.
    Folders,
}

/// What other patterns have, and these do not.
const FOREIGN: [char; 4] = ['{', '}', '[', ']'];

/// Whether `name` can only be meant as a pattern.
pub(super) fn is_pattern(name: &str) -> bool {
    name.contains(['*', '?'])
}

impl Glob {
    /// A pattern of paths, which begin at the repository's root. Errs with the rest of a sentence that says what is wrong.
    pub(super) fn of_paths(text: &str) -> Result<Self, String> {
        if text.starts_with('/') || text.starts_with("./") {
            return Err("matches nothing, for paths begin at the repository's root; expected as \"src/**\"".to_owned());
        }
        if let Some(foreign) = text.chars().find(|letter| FOREIGN.contains(letter)) {
            return Err(format!(
                "has `{foreign}`, which patterns do not know; `?` is any character, `*` any but `/`, `**` any at all; write several"
            ));
        }
        Self::parse(text)
    }

    /// Errs with the rest of a sentence that says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("is empty and so matches nothing".to_owned());
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("is {} bytes, at most {PATTERN_BYTES_MAX}", text.len()));
        }
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            let (token, length) = if rest.starts_with("**/") {
                (Token::Folders, 3)
            } else if rest.starts_with("**") {
                (Token::Any, 2)
            } else {
                match letter {
                    '*' => (Token::Some, 1),
                    '?' => (Token::One, 1),
                    letter => (Token::Is(letter), letter.len_utf8()),
                }
            };
            tokens.push(token);
            rest = &rest[length..];
        }
        if text.ends_with('/') {
            tokens.push(Token::Any);
        }
        Ok(Self {
            text: text.into(),
            tokens: tokens.into(),
        })
    }

    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut places = Places::default();
        self.enter(0, &mut places);
        for letter in text.chars() {
            let mut next = Places::default();
            for (place, token) in self.tokens.iter().enumerate() {
                if !places.has(place) {
                    continue;
                }
                match token {
                    Token::Is(expected) if *expected == letter => self.enter(place + 1, &mut next),
                    Token::One if letter != '/' => self.enter(place + 1, &mut next),
                    Token::Some if letter != '/' => self.enter(place, &mut next),
                    Token::Any => self.enter(place, &mut next),
                    Token::Folders => {
                        next.add(place);
                        if letter == '/' {
                            self.enter(place + 1, &mut next);
                        }
                    }
                    Token::Is(_) | Token::One | Token::Some => {}
                }
            }
            places = next;
        }
        places.has(self.tokens.len())
    }

    /// Comes to a place, and to those behind it that need no letter.
    fn enter(&self, mut place: usize, places: &mut Places) {
        places.add(place);
        while matches!(self.tokens.get(place), Some(Token::Some | Token::Any | Token::Folders)) {
            place += 1;
            places.add(place);
        }
    }
}

/// A set of places in a pattern.
#[derive(Debug, Clone, Copy, Default)]
struct Places([u64; PATTERN_BYTES_MAX / 64 + 1]);

impl Places {
    fn add(&mut self, place: usize) {
        self.0[place / 64] |= 1 << (place % 64);
    }

    fn has(&self, place: usize) -> bool {
        self.0[place / 64] & (1 << (place % 64)) != 0
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_of_whole_paths_and_stars_know_folders() {
        for (pattern, yes, no) in [
            (
                "src/auth/**",
                &["src/auth/a", "src/auth/b/c.rs"][..],
                &["src/auth", "xsrc/auth/a", "src/authx"][..],
            ),
            ("src/auth/", &["src/auth/a"], &["src/auth"]),
            ("*.sql", &["a.sql", ".sql"], &["db/a.sql", "a.sqlx"]),
            ("**/*.sql", &["a.sql", "db/a.sql", "a/b/c.sql"], &["a.sql/x", "asql"]),
            ("a/**/b", &["a/b", "a/x/b", "a/x/y/b"], &["a/xb", "ab", "a/b/c"]),
            ("v?", &["v1", "vé"], &["v", "v/", "v12"]),
            ("**", &["", "a/b"], &[]),
            ("checkout-*", &["checkout-eu"], &["checkout", "a-checkout-eu"]),
            ("a**b", &["ab", "a/x/b"], &["a", "b"]),
        ] {
            let glob = Glob::parse(pattern).expect(pattern);
            for text in yes {
                assert!(glob.matches(text), "{pattern} {text}");
            }
            for text in no {
                assert!(!glob.matches(text), "{pattern} {text}");
            }
        }
        for pattern in ["/src/**", "./src/**", "src/*.{rs,toml}", "src/[ab]/**", "a]", "}"] {
            assert!(
                Glob::of_paths(pattern).is_err() && Glob::parse(pattern).is_ok(),
                "{pattern}"
            );
        }
        assert!(Glob::of_paths("").is_err() && Glob::of_paths("src/?id?/**").is_ok());
        assert!(Glob::parse("").is_err() && Glob::parse(&"*".repeat(257)).is_err());
        let hard = Glob::parse(&"a*".repeat(128)).expect("256 bytes");
        assert!(!hard.matches(&format!("{}b/", "a".repeat(1_000))));
    }
}
