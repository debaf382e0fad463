//! `holdpoint import git`: a repository's history on standard output, by way of the user's own `git`.
//!
//! One `git rev-list` names the commits, parents first; `git diff-tree --stdin` says what each changed. The latter
//! keeps what it has read, so it is started anew for every [`BATCH_COMMITS`], and as many run side by side as there are
//! cores, each ahead of its turn by no more than a pipe and [`CHUNKS_AHEAD`] hold. Both are plumbing, asked so that settings
//! change little of what they say (`docs/import.md` tells what), and git is let fetch nothing: no program that a repository
//! names is run, and nothing is written.

mod git;
mod progress;

use std::{
    collections::VecDeque,
    io::{self, BufRead, BufReader, Read, Write},
    num::NonZeroUsize,
    path::PathBuf,
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{self, ScopedJoinHandle},
};

use anyhow::{Context as _, anyhow};

use self::{git::Git, progress::Progress};
use crate::{
    clock::Clock,
    import::{Counts, Import, LOG_ARGUMENTS, Log, Options},
    model::{ServiceId, Timestamp, shown},
};

/// Commits for which one `git diff-tree` lives: its start costs little beside them, and what it keeps is bounded.
const BATCH_COMMITS: usize = 2_048;
/// `git diff-tree` at once, at most.
const READERS_MAX: usize = 8;
/// Bytes read at a time, and how often that ahead of its turn: 4 MiB per reader.
const CHUNK_BYTES: usize = 64 * 1024;
const CHUNKS_AHEAD: usize = 64;

/// Where git failed in a partial clone, most likely why.
const PARTIAL: &str = "a partial clone, which may lack files of the past, and nothing is fetched here; \
                       `git fetch --refetch --no-filter` (git 2.36 or later), or a clone without --filter, gets the rest";

/// What to import.
#[derive(Debug, Clone)]
pub struct Args {
    pub path: PathBuf,
    /// Without one the repository's name.
    pub service: Option<ServiceId>,
    /// Commits before this are not written.
    pub since: Option<Timestamp>,
}

/// Writes the events to `out`, and what is to be known of them to standard error.
///
/// Errs if there is no `git`, the path is no repository, it has no commits, its name is no name, or git fails. That
/// nobody reads on is no error.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let git = Git::open(&args.path)?;
    let name = git.name();
    let service = match &args.service {
        Some(service) => service.clone(),
        None => name
            .parse()
            .with_context(|| format!("the folder's name `{name}` cannot name a service; give one with --service"))?,
    };
    let boundary = git.boundary()?;
    if !boundary.is_empty() {
        say(&format!(
            "a shallow clone: what was before its first {} commits is missing, so the measures of the past are too low, and \
             these, which look as if they had made every file, are left out; `git fetch --unshallow` gets the rest",
            boundary.len()
        ));
    }
    let options = Options {
        service,
        repository: name.into(),
        since: args.since,
        now: Clock::wall().now(),
        boundary,
    };
    let mut progress = Progress::new(|| git.n_commits());
    let mut sink = Sink { out, is_open: true };
    let counts = read(&git, Import::new(options), &mut sink, &mut progress);
    progress.clear();
    let counts = counts.map_err(|error| {
        if git.is_partial() {
            error.context(PARTIAL)
        } else {
            error
        }
    })?;
    if sink.is_open {
        tell(&counts);
    }
    Ok(())
}

/// Where lines go, until nobody reads them.
struct Sink<'a> {
    out: &'a mut dyn Write,
    is_open: bool,
}

impl Sink<'_> {
    fn write(&mut self, lines: &mut Vec<u8>) -> anyhow::Result<()> {
        match self.out.write_all(lines).and_then(|()| self.out.flush()) {
            Ok(()) => lines.clear(),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.is_open = false,
            Err(error) => return Err(error).context("writing the events"),
        }
        Ok(())
    }
}

/// A `git diff-tree` and the thread that reads it.
struct Batch<'scope> {
    chunks: Receiver<Vec<u8>>,
    reader: ScopedJoinHandle<'scope, anyhow::Result<()>>,
}

fn read(git: &Git, mut import: Import, sink: &mut Sink<'_>, progress: &mut Progress) -> anyhow::Result<Counts> {
    let n_readers = thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(READERS_MAX);
    let mut lines = Vec::new();
    let mut list = git.list()?;
    thread::scope(|scope| {
        let mut names = BufReader::new(list.stdout());
        let mut batches = VecDeque::new();
        loop {
            while batches.len() < n_readers {
                let Some(batch) = next_batch(&mut names)? else { break };
                let (sender, chunks) = sync_channel(CHUNKS_AHEAD);
                let reader = scope.spawn(move || diff(git, &batch, &sender));
                batches.push_back(Batch { chunks, reader });
            }
            let Some(batch) = batches.pop_front() else { break };
            let mut log = Log::new(Chunks::new(batch.chunks));
            loop {
                let commit = match log.next_commit() {
                    Ok(Some(commit)) => commit,
                    Ok(None) => break,
                    Err(error) => {
                        // Where git failed, its own words say more than what it left of its output.
                        drop(log);
                        return ended(batch.reader).and(Err(error.into()));
                    }
                };
                progress.commit(commit.committed_at);
                import.take(commit, &mut lines);
                if lines.len() >= CHUNK_BYTES {
                    sink.write(&mut lines)?;
                }
                if !sink.is_open {
                    return Ok(());
                }
            }
            ended(batch.reader)?;
        }
        anyhow::Ok(())
    })?;
    if sink.is_open {
        list.finish()?;
    }
    let counts = import.finish(&mut lines);
    if sink.is_open {
        sink.write(&mut lines)?;
    }
    Ok(counts)
}

fn ended(reader: ScopedJoinHandle<'_, anyhow::Result<()>>) -> anyhow::Result<()> {
    reader.join().map_err(|_panic| anyhow!("a reader of git panicked"))?
}

/// The names of the next commits, a line each; `None` if there are no more.
fn next_batch(names: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut batch = Vec::new();
    for _ in 0..BATCH_COMMITS {
        if names.read_until(b'\n', &mut batch)? == 0 {
            break;
        }
    }
    Ok(Some(batch).filter(|batch| !batch.is_empty()))
}

/// What the commits of `batch` changed, in chunks; ends early when nobody takes them.
fn diff(git: &Git, batch: &[u8], chunks: &SyncSender<Vec<u8>>) -> anyhow::Result<()> {
    let mut child = git.start(&LOG_ARGUMENTS)?;
    let (mut stdin, mut stdout) = (child.stdin(), child.stdout());
    thread::scope(|scope| {
        // It may stop early, and its exit status then says why.
        let writer = scope.spawn(move || drop(stdin.write_all(batch)));
        loop {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            let limit = u64::try_from(CHUNK_BYTES).unwrap_or(u64::MAX);
            if stdout.by_ref().take(limit).read_to_end(&mut chunk)? == 0 || chunks.send(chunk).is_err() {
                break;
            }
        }
        drop(stdout);
        writer.join().map_err(|_panic| anyhow!("a writer to git panicked"))
    })?;
    child.finish()
}

/// Chunks as one stream of bytes.
struct Chunks {
    source: Receiver<Vec<u8>>,
    chunk: Vec<u8>,
    place: usize,
}

impl Chunks {
    fn new(source: Receiver<Vec<u8>>) -> Self {
        Self {
            source,
            chunk: Vec::new(),
            place: 0,
        }
    }
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.fill_buf()?.read(buffer)?;
        self.consume(n);
        Ok(n)
    }
}

impl BufRead for Chunks {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.place == self.chunk.len() {
            // No sender: the end.
            self.chunk = self.source.recv().unwrap_or_default();
            self.place = 0;
        }
        Ok(&self.chunk[self.place..])
    }

    fn consume(&mut self, n: usize) {
        self.place += n;
    }
}

fn tell(counts: &Counts) {
    let Counts {
        commits,
        merges,
        written,
        reverts,
        unknown_reverts,
        ai,
        bots,
    } = *counts;
    let unknown = match unknown_reverts {
        0 => String::new(),
        n => format!(", {n} more name no commit written here, or a merge of too much"),
    };
    let merges = match merges {
        0 => String::new(),
        1 => "; 1 merge left out, what it brought is counted".to_owned(),
        n => format!("; {n} merges left out, what they brought is counted"),
    };
    let counted = |n, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    say(&format!(
        "{} of {commits}, {ai} of them with AI by their own word, {bots} by bots; {}{unknown}{merges}",
        counted(written, "commit"),
        counted(reverts, "revert")
    ));
}

fn say(text: &str) {
    // Who closed standard error wants no words.
    drop(writeln!(io::stderr(), "holdpoint: {}", shown(text)));
}
