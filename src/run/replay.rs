//! `holdpoint replay`: recorded events through the whole path, on recorded time.
//!
//! All files are opened, and the policy is read, before anything is written: a mistake costs no earlier result.

use std::{
    cell::Cell,
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, IsTerminal as _, Read, Write},
    path::{Path, PathBuf},
    rc::Rc,
    time::Duration,
};

use anyhow::{Context as _, bail};

use crate::{
    clock::Stopwatch,
    replay::{Input, Merge, Replay, encode_score},
    score::{Policy, Said},
    wire::control::encode_decision,
};

/// Bytes read from a file, and written to one, at a time.
const BUFFER_BYTES: usize = 256 * 1024;
/// Lines between two looks at the clock for the progress bar.
const PROGRESS_LINES: u64 = 10_000;
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// What to replay, and where the results go.
#[derive(Debug, Clone, Default)]
pub struct Args {
    /// NDJSON files in any order; `-` is standard input.
    pub events: Vec<PathBuf>,
    /// The policy file; without one the defaults hold.
    pub policy: Option<PathBuf>,
    /// Where decisions go, one per line.
    pub decisions: Option<PathBuf>,
    /// Where scores go, one per line.
    pub scores: Option<PathBuf>,
    /// The summary as JSON instead of text.
    pub json: bool,
}

/// Replays, and writes the summary to `out`.
///
/// Errs if an input cannot be opened or read to its end, the policy is not valid, or a result cannot be written.
pub fn run(args: &Args, out: &mut dyn Write) -> anyhow::Result<()> {
    let policy = args.policy.as_deref().map(read_policy).transpose()?;
    let mut progress = Progress::new();
    let inputs = open_all(args, &mut progress)?;
    let mut decisions = create(args.decisions.as_deref(), args)?;
    let mut scores = create(args.scores.as_deref(), args)?;

    let mut replay = Replay::new(policy.as_deref());
    let mut merge = Merge::new(inputs)?;
    while let Some(arrival) = merge.next()? {
        replay.take(&arrival);
        write_said(&mut replay, decisions.as_mut(), scores.as_mut())?;
        progress.line();
    }
    replay.finish();
    write_said(&mut replay, decisions.as_mut(), scores.as_mut())?;
    for output in [decisions, scores].into_iter().flatten() {
        output.finish()?;
    }
    progress.clear();

    let summary = replay.summary();
    if args.json {
        serde_json::to_writer_pretty(&mut *out, &summary)?;
        writeln!(out)?;
    } else {
        write!(out, "{summary}")?;
    }
    out.flush().context("writing the summary")
}

fn read_policy(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    Policy::parse(&text).with_context(|| format!("in {}", path.display()))?;
    Ok(text)
}

fn open_all<'r>(args: &Args, progress: &mut Progress) -> anyhow::Result<Vec<Input<'r>>> {
    if args.events.is_empty() {
        bail!("no events to replay: name at least one file, or - for standard input");
    }
    // By the bytes of the paths: two that read alike must not be told apart by the order in which they were given.
    let mut paths: Vec<&Path> = args.events.iter().map(PathBuf::as_path).collect();
    paths.sort();
    if paths.iter().filter(|path| is_standard(path)).count() > 1 {
        bail!("standard input (-) can be read only once");
    }
    paths
        .into_iter()
        .map(|path| {
            Ok(Input {
                name: path.to_string_lossy().into(),
                reader: open(path, progress).with_context(|| format!("reading {}", path.display()))?,
            })
        })
        .collect()
}

fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// The one place that knows how a file's bytes become lines.
fn open<'r>(path: &Path, progress: &mut Progress) -> anyhow::Result<Box<dyn BufRead + 'r>> {
    let name = path.to_string_lossy();
    if name.ends_with(".gz") || name.ends_with(".zst") {
        let reader = if name.ends_with(".gz") { "gunzip -c" } else { "zstd -dc" };
        bail!("compressed files are not supported yet; try `{reader} {name} | holdpoint replay --events -`");
    }
    let reader: Box<dyn Read + 'r> = if is_standard(path) {
        progress.total = None;
        Box::new(io::stdin().lock())
    } else {
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            bail!("it is a directory");
        }
        // A pipe or device has no length.
        let length = metadata.is_file().then_some(metadata.len());
        progress.total = progress.total.zip(length).map(|(total, length)| total + length);
        Box::new(file)
    };
    let counting = Counting {
        reader,
        n_read: Rc::clone(&progress.n_read),
    };
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, counting)))
}

/// A file that results go to.
struct Output {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl Output {
    fn line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        let written = self.writer.write_all(line).and_then(|()| self.writer.write_all(b"\n"));
        written.with_context(|| format!("writing {}", self.path.display()))
    }

    fn finish(mut self) -> anyhow::Result<()> {
        self.writer
            .flush()
            .with_context(|| format!("writing {}", self.path.display()))
    }
}

fn create(path: Option<&Path>, args: &Args) -> anyhow::Result<Option<Output>> {
    let Some(path) = path else { return Ok(None) };
    // Results that overwrite what they are made from, or each other, are lost.
    let others = [&args.decisions, &args.scores].into_iter().flatten();
    let same = |other: &Path| match (path.canonicalize(), other.canonicalize()) {
        (Ok(path), Ok(other)) => path == other && path.is_file(),
        (Ok(_) | Err(_), Ok(_) | Err(_)) => path == other,
    };
    if args.events.iter().any(|input| same(input)) || others.filter(|other| same(other)).count() > 1 {
        bail!("{} is named twice: results need a file of their own", path.display());
    }
    let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
    Ok(Some(Output {
        path: path.to_owned(),
        writer: BufWriter::with_capacity(BUFFER_BYTES, file),
    }))
}

fn write_said(
    replay: &mut Replay,
    mut decisions: Option<&mut Output>,
    mut scores: Option<&mut Output>,
) -> anyhow::Result<()> {
    for said in replay.take_said() {
        if let Said::Decision(decision) = &said {
            if let Some(output) = &mut decisions {
                output.line(&encode_decision(decision))?;
            }
        } else if let Some(output) = &mut scores
            && let Some(line) = encode_score(&said)
        {
            output.line(&line)?;
        }
    }
    Ok(())
}

/// Counts what is read.
struct Counting<R> {
    reader: R,
    n_read: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        self.n_read.set(self.n_read.get() + u64::try_from(n).unwrap_or(0));
        Ok(n)
    }
}

/// A line on standard error that says how far it is, if somebody is there to see it.
struct Progress {
    n_read: Rc<Cell<u64>>,
    /// Bytes to read in all; `None` if that is not known.
    total: Option<u64>,
    n_lines: u64,
    began: Stopwatch,
    drawn_at: Duration,
    seen: bool,
}

impl Progress {
    fn new() -> Self {
        Self {
            n_read: Rc::default(),
            total: Some(0),
            n_lines: 0,
            began: Stopwatch::start(),
            drawn_at: Duration::ZERO,
            seen: io::stderr().is_terminal(),
        }
    }

    fn line(&mut self) {
        self.n_lines += 1;
        if !self.seen || !self.n_lines.is_multiple_of(PROGRESS_LINES) {
            return;
        }
        let elapsed = self.began.elapsed();
        if elapsed < self.drawn_at + PROGRESS_EVERY {
            return;
        }
        self.drawn_at = elapsed;
        self.draw(&bar(self.n_read.get(), self.total, self.n_lines, elapsed));
    }

    fn clear(&mut self) {
        if self.seen && self.drawn_at > Duration::ZERO {
            self.draw("");
        }
    }

    fn draw(&mut self, text: &str) {
        // A terminal that went away is no reason to stop.
        self.seen = write!(io::stderr(), "\r{text}\x1b[K").is_ok();
    }
}

/// Bytes read and in all, events a second, and when it will be done.
fn bar(n_read: u64, total: Option<u64>, n_lines: u64, elapsed: Duration) -> String {
    const WIDTH: u64 = 30;
    let per_second = u128::from(n_lines) * 1_000 / elapsed.as_millis().max(1);
    let megabytes = n_read >> 20;
    let Some(total) = total.filter(|total| *total > 0) else {
        return format!("{megabytes} MiB  {per_second} events/s");
    };
    let n_read = n_read.min(total);
    let filled = usize::try_from(n_read.saturating_mul(WIDTH) / total).unwrap_or(0);
    let left = elapsed.as_millis() * u128::from(total - n_read) / u128::from(n_read.max(1)) / 1_000;
    format!(
        "[{:<30}] {megabytes} of {} MiB  {per_second} events/s  {}:{:02} left",
        "=".repeat(filled),
        total >> 20,
        left / 60,
        left % 60
    )
}
