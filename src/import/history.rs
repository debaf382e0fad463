//! What is known of files and people so far, and the fourteen measures of a commit that it gives.
//!
//! After Kamei et al., *A Large-Scale Empirical Study of Just-in-Time Quality Assurance* (TSE 2013), table 1. All but
//! the size of the change itself are of the time before it. Files keep their past when they are renamed, and commits of
//! another branch, for which a file has its old name still, find it there.
//!
//! **Invariant:** a commit costs time in proportion to its files, with [`DEVELOPERS_MAX`] and the commits kept of a
//! file or of a person in a subsystem as factors; none looks at another commit.

use std::collections::{BTreeSet, VecDeque};

use foldhash::HashMap;
use sha2::{Digest as _, Sha256};

use super::{
    distinct::{Changes, n_distinct},
    log::{Commit, FileChange, Status},
};
use crate::model::Timestamp;

/// People remembered per file: of a file with more, this many count.
const DEVELOPERS_MAX: usize = 4_096;
/// Deleted files whose past is kept, for the commit that brings them back, and old names of renamed ones.
const DELETED_MAX: usize = 65_536;
const DAY_MS: f64 = 86_400_000.0;

/// The fourteen measures, each ≥ 0.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Measured {
    pub(super) subsystems: usize,
    pub(super) directories: usize,
    pub(super) files: usize,
    /// In bits.
    pub(super) entropy: f64,
    pub(super) lines_added: u64,
    pub(super) lines_deleted: u64,
    pub(super) lines_before: u64,
    /// The message says it; nothing here does.
    pub(super) fix: bool,
    pub(super) developers: usize,
    pub(super) age_days: f64,
    pub(super) prior_changes: u64,
    pub(super) author_changes: u32,
    pub(super) author_recent_changes: f64,
    pub(super) author_subsystem_changes: u64,
}

#[derive(Debug, Default)]
pub(super) struct History {
    files: HashMap<Box<[u8]>, File>,
    /// Paths of files that were deleted or left for another one, in the order in which they were, each with the commit that
    /// did it.
    deleted: VecDeque<(Box<[u8]>, u32)>,
    /// Numbers of people, by [`pseudonym`].
    people: HashMap<u64, u32>,
    authors: Vec<Author>,
    /// Changes by person and hash of the subsystem.
    in_subsystem: HashMap<(u32, u64), Changes>,
    n_commits: u32,
}

#[derive(Debug, Clone, Default)]
struct File {
    lines: u64,
    changed_at: Option<Timestamp>,
    changes: Changes,
    /// Numbers of the people who changed it, rising.
    developers: Vec<u32>,
    /// The commit that deleted it, or gave it another name.
    deleted_by: Option<u32>,
    /// It has another name. A file that is made at this one is another file.
    is_moved: bool,
}

#[derive(Debug, Default)]
struct Author {
    n_changes: u32,
    /// Changes by calendar year, in UTC.
    by_year: Vec<(i16, u32)>,
}

/// A stable number for a person: the first 8 bytes of the SHA-256 of the address in lower case.
///
/// It hides a person from those who read events, not from one who has a list of addresses and tries them.
pub(super) fn pseudonym(email: &str) -> u64 {
    let digest = Sha256::digest(email.trim().to_lowercase());
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

impl History {
    /// The measures of `commit`, which is part of the past from here on.
    pub(super) fn take(&mut self, commit: &Commit, time: Timestamp) -> Measured {
        let author = self.author(commit);
        let subsystems: BTreeSet<&[u8]> = commit.files.iter().map(|file| subsystem(&file.path)).collect();
        let directories: BTreeSet<&[u8]> = commit.files.iter().map(|file| directory(&file.path)).collect();
        let keys: Vec<(u32, u64)> = subsystems.iter().map(|name| (author, hash_bytes(name))).collect();
        let year = year(time);
        let pasts: Vec<&File> = commit.files.iter().filter_map(|file| self.past(file)).collect();
        let own = self.authors.get(usize::try_from(author).unwrap_or(usize::MAX));
        let in_subsystem = keys.iter().filter_map(|key| self.in_subsystem.get(key));
        let author_changes = own.map_or(0, |own| own.n_changes);
        let measured = Measured {
            subsystems: subsystems.len(),
            directories: directories.len(),
            files: commit.files.len(),
            entropy: entropy(&commit.files),
            lines_added: commit.files.iter().map(|file| file.added).sum(),
            lines_deleted: commit.files.iter().map(|file| file.deleted).sum(),
            lines_before: commit.files.iter().map(|file| self.lines_before(file)).sum(),
            fix: false,
            developers: n_developers(&pasts),
            age_days: age_days(&pasts, time),
            prior_changes: n_distinct(pasts.iter().map(|file| &file.changes)),
            author_changes,
            author_recent_changes: own.map_or(0.0, |own| own.recent(year)),
            author_subsystem_changes: n_distinct(in_subsystem).min(author_changes.into()),
        };
        self.learn(commit, author, time);
        for key in keys {
            self.in_subsystem.entry(key).or_default().add(self.n_commits);
        }
        if let Some(own) = self.authors.get_mut(usize::try_from(author).unwrap_or(usize::MAX)) {
            own.learn(year);
        }
        self.n_commits = self.n_commits.saturating_add(1);
        measured
    }

    fn author(&mut self, commit: &Commit) -> u32 {
        let n_authors = self.authors.len();
        *self.people.entry(pseudonym(commit.identity())).or_insert_with(|| {
            self.authors.push(Author::default());
            u32::try_from(n_authors).unwrap_or(u32::MAX)
        })
    }

    /// What is known of its size, and at least what of it is deleted here: merges are not read, and what was changed in
    /// one makes the sum of changes differ from the file.
    fn lines_before(&self, file: &FileChange) -> u64 {
        match file.status {
            Status::Added => 0,
            Status::Deleted => file.deleted,
            Status::Modified | Status::RenamedFrom(_) => {
                let known = self.files.get(past_path(file)).map_or(0, |past| past.lines);
                known.max(file.deleted)
            }
        }
    }

    /// What is known of a file before it is changed.
    fn past(&self, change: &FileChange) -> Option<&File> {
        let past = self.files.get(past_path(change))?;
        let is_another = past.is_moved && change.status == Status::Added;
        (!is_another).then_some(past)
    }

    fn learn(&mut self, commit: &Commit, author: u32, time: Timestamp) {
        let index = self.n_commits;
        // All of them first leave their old names: two files may have changed theirs with each other.
        let moved: Vec<Option<File>> = commit
            .files
            .iter()
            .map(|file| match &file.status {
                Status::RenamedFrom(old) => Some(self.leave(old, true).cloned().unwrap_or_default()),
                Status::Added | Status::Deleted | Status::Modified => None,
            })
            .collect();
        for (change, moved) in commit.files.iter().zip(moved) {
            let lines_before = match (&change.status, &moved) {
                (Status::RenamedFrom(_), Some(file)) => file.lines.max(change.deleted),
                _ => self.lines_before(change),
            };
            let is_made = change.status == Status::Added;
            let file = self.files.entry(change.path.clone()).or_default();
            if is_made && file.is_moved {
                *file = File::default();
            }
            match moved {
                // Another branch has given it the same name before.
                Some(moved) if file.changed_at.is_some() && file.deleted_by.is_none() => file.join(moved),
                Some(moved) => {
                    *file = File {
                        deleted_by: None,
                        is_moved: false,
                        ..moved
                    };
                }
                // One that has another name is forgotten with the others, whichever branch still changes it.
                None if !file.is_moved => file.deleted_by = None,
                None => {}
            }
            file.lines = lines_before.saturating_sub(change.deleted).saturating_add(change.added);
            file.changed_at = Some(time);
            file.changes.add(index);
            file.developed_by(author);
            if change.status == Status::Deleted {
                self.leave(&change.path, false);
            }
        }
        self.forget_deleted();
    }

    /// The file is no longer at its path, or has another one.
    fn leave(&mut self, path: &[u8], is_moved: bool) -> Option<&File> {
        let file = self.files.get_mut(path)?;
        file.deleted_by = Some(self.n_commits);
        file.is_moved |= is_moved;
        self.deleted.push_back((path.into(), self.n_commits));
        Some(file)
    }

    fn forget_deleted(&mut self) {
        while self.deleted.len() > DELETED_MAX {
            let Some((path, by)) = self.deleted.pop_front() else {
                return;
            };
            if self.files.get(&path).is_some_and(|file| file.deleted_by == Some(by)) {
                self.files.remove(&path);
            }
        }
    }
}

impl Commit {
    /// By what its author is told from others: the address, or without one the name.
    pub(super) fn identity(&self) -> &str {
        if self.author_key.trim().is_empty() {
            &self.author.name
        } else {
            &self.author_key
        }
    }
}

impl File {
    /// What another branch has made of it, which gave it the same name.
    fn join(&mut self, other: Self) {
        self.changes.join(&other.changes);
        for author in other.developers {
            self.developed_by(author);
        }
    }

    fn developed_by(&mut self, author: u32) {
        if let Err(place) = self.developers.binary_search(&author)
            && self.developers.len() < DEVELOPERS_MAX
        {
            self.developers.insert(place, author);
        }
    }
}

impl Author {
    /// Changes weighted by their age: Σ 1/(n + 1), n in years, those of this calendar year being 0 years old.
    fn recent(&self, year: i16) -> f64 {
        let weighted = |(of, n): &(i16, u32)| f64::from(*n) / (f64::from(year.saturating_sub(*of).max(0)) + 1.0);
        self.by_year.iter().map(weighted).sum()
    }

    fn learn(&mut self, year: i16) {
        self.n_changes = self.n_changes.saturating_add(1);
        match self.by_year.last_mut() {
            Some((of, n)) if *of == year => *n += 1,
            Some(_) | None => self.by_year.push((year, 1)),
        }
    }
}

/// Under which path the file's past is known.
fn past_path(file: &FileChange) -> &[u8] {
    match &file.status {
        Status::RenamedFrom(old) => old,
        Status::Added | Status::Deleted | Status::Modified => &file.path,
    }
}

/// The top-level directory; all files at the top are one subsystem.
fn subsystem(path: &[u8]) -> &[u8] {
    path.iter()
        .position(|byte| *byte == b'/')
        .map_or(&[], |end| &path[..end])
}

fn directory(path: &[u8]) -> &[u8] {
    path.iter()
        .rposition(|byte| *byte == b'/')
        .map_or(&[], |end| &path[..end])
}

/// How evenly the changed lines are spread over the files: −Σ p log₂ p.
fn entropy(files: &[FileChange]) -> f64 {
    let sizes = files.iter().map(|file| file.added + file.deleted);
    let sum: u64 = sizes.clone().sum();
    if sum == 0 {
        return 0.0;
    }
    let bits = |size: u64| {
        let p = real(size) / real(sum);
        -p * p.log2()
    };
    // Minus zero becomes zero.
    sizes.filter(|size| *size > 0).map(bits).sum::<f64>() + 0.0
}

fn n_developers(pasts: &[&File]) -> usize {
    match pasts {
        [] => 0,
        [only] => only.developers.len(),
        _ => {
            let mut all: Vec<u32> = Vec::new();
            for past in pasts {
                all.extend_from_slice(&past.developers);
                // So that a commit of many old files needs no more room than a few of them.
                if all.len() > 4 * DEVELOPERS_MAX {
                    all.sort_unstable();
                    all.dedup();
                    if all.len() >= DEVELOPERS_MAX {
                        break;
                    }
                }
            }
            all.sort_unstable();
            all.dedup();
            all.len().min(DEVELOPERS_MAX)
        }
    }
}

/// The mean time since the files last changed, over those that did; 0 if none did.
fn age_days(pasts: &[&File], time: Timestamp) -> f64 {
    let ages = pasts
        .iter()
        .filter_map(|file| file.changed_at)
        .map(|at| real_ms(time, at));
    let (n, sum) = ages.fold((0.0, 0.0), |(n, sum), age| (n + 1.0, sum + age));
    if n > 0.0 { sum / n / DAY_MS } else { 0.0 }
}

fn real_ms(later: Timestamp, earlier: Timestamp) -> f64 {
    later.since(earlier).as_secs_f64() * 1_000.0
}

#[expect(
    clippy::cast_precision_loss,
    clippy::as_conversions,
    reason = "a count of lines, far below 2⁵³"
)]
fn real(n: u64) -> f64 {
    n as f64
}

fn hash_bytes(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes)
}

fn year(time: Timestamp) -> i16 {
    jiff::Timestamp::from_millisecond(time.millis()).map_or(1970, |time| time.to_zoned(jiff::tz::TimeZone::UTC).year())
}
