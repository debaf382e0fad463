//! What `git diff-tree --stdin -r --root -M --raw --numstat -z --always` writes, asked with [`super::LOG_ARGUMENTS`], as commits.
//!
//! All of it is tokens that end in a zero byte, which neither a path nor a message can hold. A commit begins with a
//! token that begins with `C`; its raw entries begin with `:`, its counts of lines with a digit or `-`; the paths
//! behind these are taken by their number. So no file name can be taken for anything else.

use std::io::{self, BufRead};

use crate::model::shorten;

/// The most that is kept of one token: a message or a path longer than this is cut, at its end.
const MAX_TOKEN_BYTES: usize = 1 << 20;
/// Tokens of a commit before its files: as the `--format` of [`super::LOG_ARGUMENTS`] has them.
const N_FIELDS: usize = 9;

/// Why the output of `git` cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("reading what git says")]
    Io(#[from] io::Error),
    #[error("git says what was not asked for: expected {expected}, found `{found}`")]
    Unexpected { expected: &'static str, found: String },
    #[error("git stopped in the midst of a commit")]
    Incomplete,
}

/// Someone as git knows them: not checked by anybody.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Person {
    pub name: String,
    pub email: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// 40 hexadecimal digits, or 64.
    pub sha: Box<str>,
    /// Unix seconds, by the committer's clock.
    pub committed_at: i64,
    /// Shas of its parents; a merge has more than one.
    pub parents: Vec<Box<str>>,
    pub author: Person,
    /// The author's address after the repository's `.mailmap`: who it is, whatever they wrote it with.
    pub author_key: String,
    pub committer: Person,
    /// In UTF-8, where git knew the encoding.
    pub message: String,
    pub files: Vec<FileChange>,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Added,
    Deleted,
    /// Its content or its kind.
    Modified,
    RenamedFrom(Box<[u8]>),
}

impl Commit {
    /// Whether it joins histories. What it changed is not told with it.
    pub(super) fn is_merge(&self) -> bool {
        self.parents.len() > 1
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// From the root of the repository, as git has it: any bytes but zero.
    pub path: Box<[u8]>,
    pub status: Status,
    /// Lines; both 0 for a binary file. A submodule has one line.
    pub added: u64,
    pub deleted: u64,
}

/// Reads commits one by one.
#[derive(Debug)]
pub struct Log<R> {
    reader: R,
    /// The token after those that were taken, if there is one.
    ahead: Option<Vec<u8>>,
}

impl<R: BufRead> Log<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, ahead: None }
    }

    /// The next commit; `None` at the end.
    pub fn next_commit(&mut self) -> Result<Option<Commit>, LogError> {
        self.skip_empty()?;
        let Some(first) = self.ahead.take() else {
            return Ok(None);
        };
        let Some(sha) = first.strip_prefix(b"C").and_then(sha) else {
            return Err(unexpected("a commit", &first));
        };
        let mut fields: [String; N_FIELDS - 1] = Default::default();
        for field in &mut fields {
            *field = text(self.token()?);
        }
        let [
            committed_at,
            parents,
            name,
            email,
            author_key,
            committer_name,
            committer_email,
            message,
        ] = fields;
        let files = self.files()?;
        Ok(Some(Commit {
            sha,
            // One that is no number is as wrong as one of 1970, and treated alike.
            committed_at: committed_at.parse().unwrap_or(0),
            parents: parents.split_ascii_whitespace().map(Into::into).collect(),
            author: Person { name, email },
            author_key,
            committer: Person {
                name: committer_name,
                email: committer_email,
            },
            message,
            files,
        }))
    }

    /// Raw entries, then the counts of lines, in the same order.
    fn files(&mut self) -> Result<Vec<FileChange>, LogError> {
        let mut files = Vec::new();
        let mut n_counted = 0;
        loop {
            self.skip_empty()?;
            match self.ahead.as_deref() {
                None | Some([b'C', ..]) => break,
                Some([b':', ..]) => {
                    let entry = self.token()?;
                    files.push(self.raw(&entry)?);
                }
                Some(_) => {
                    let entry = self.token()?;
                    let (added, deleted) = self.lines(&entry)?;
                    let Some(file) = files.get_mut(n_counted) else {
                        return Err(unexpected("as many counts as files", &entry));
                    };
                    (file.added, file.deleted) = (added, deleted);
                    n_counted += 1;
                }
            }
        }
        if n_counted == files.len() {
            Ok(files)
        } else {
            Err(LogError::Incomplete)
        }
    }

    /// `:100644 100644 <id> <id> M`, and one path behind it, or two.
    fn raw(&mut self, entry: &[u8]) -> Result<FileChange, LogError> {
        let status = entry
            .rsplit(|byte| *byte == b' ')
            .next()
            .and_then(|status| status.first());
        let path = self.token()?.into_boxed_slice();
        let (path, status) = match status {
            // A copy is a file of its own from here on.
            Some(b'C') => (self.token()?.into_boxed_slice(), Status::Added),
            Some(b'R') => (self.token()?.into_boxed_slice(), Status::RenamedFrom(path)),
            Some(b'A') => (path, Status::Added),
            Some(b'D') => (path, Status::Deleted),
            Some(b'M' | b'T') => (path, Status::Modified),
            Some(_) | None => return Err(unexpected("a change of a file", entry)),
        };
        Ok(FileChange {
            path,
            status,
            added: 0,
            deleted: 0,
        })
    }

    /// `1⇥2⇥path`, or `1⇥2⇥` with two paths behind it; `-` for a binary file.
    fn lines(&mut self, entry: &[u8]) -> Result<(u64, u64), LogError> {
        let mut parts = entry.splitn(3, |byte| *byte == b'\t');
        let mut count = || match parts.next()? {
            b"-" => Some(0),
            digits => std::str::from_utf8(digits).ok()?.parse().ok(),
        };
        let (Some(added), Some(deleted), Some(path)) = (count(), count(), parts.next()) else {
            return Err(unexpected("a count of lines", entry));
        };
        if path.is_empty() {
            self.token()?;
            self.token()?;
        }
        Ok((added, deleted))
    }

    /// The next token. Errs at the end of the output.
    fn token(&mut self) -> Result<Vec<u8>, LogError> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => self.read()?.ok_or(LogError::Incomplete),
        }
    }

    /// Has the next token ahead that is not empty, without the line ends before it: git sets them between a commit and
    /// its files.
    fn skip_empty(&mut self) -> Result<(), LogError> {
        loop {
            let token = match self.ahead.take() {
                Some(token) => token,
                None => match self.read()? {
                    Some(token) => token,
                    None => return Ok(()),
                },
            };
            let start = token.iter().position(|byte| *byte != b'\n');
            if let Some(start) = start {
                self.ahead = Some(if start == 0 { token } else { token[start..].to_vec() });
                return Ok(());
            }
        }
    }

    fn read(&mut self) -> Result<Option<Vec<u8>>, LogError> {
        let mut token = Vec::new();
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            if buffer.is_empty() {
                return if token.is_empty() {
                    Ok(None)
                } else {
                    Err(LogError::Incomplete)
                };
            }
            let end = buffer.iter().position(|byte| *byte == 0);
            let part = &buffer[..end.unwrap_or(buffer.len())];
            token.extend_from_slice(&part[..part.len().min(MAX_TOKEN_BYTES - token.len())]);
            let n_read = part.len() + usize::from(end.is_some());
            self.reader.consume(n_read);
            if end.is_some() {
                return Ok(Some(token));
            }
        }
    }
}

fn sha(token: &[u8]) -> Option<Box<str>> {
    let is_sha = matches!(token.len(), 40 | 64) && token.iter().all(u8::is_ascii_hexdigit);
    is_sha.then(|| String::from_utf8_lossy(token).to_ascii_lowercase().into())
}

/// What is not UTF-8 in it is replaced.
fn text(token: Vec<u8>) -> String {
    String::from_utf8(token).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

fn unexpected(expected: &'static str, found: &[u8]) -> LogError {
    LogError::Unexpected {
        expected,
        found: shorten(&String::from_utf8_lossy(found)),
    }
}
