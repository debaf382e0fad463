//! A local repository as a history: its commits with their measures and paths, and when each was taken back.
//!
//! It is read by the project's own import, line by line through ingest, as `holdpoint import git | holdpoint replay` would.
//! Only what starts `git` is of the bench, since the core starts no program.

use std::{
    collections::{BTreeSet, HashMap},
    io::{BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
};

use holdpoint::{
    import::{Import, LOG_ARGUMENTS, Log, Options},
    ingest::{self, Origin},
    model::{Body, Event, Timestamp, hash_text},
};

use crate::{
    history::{History, Landed},
    labels::Reveals,
};

/// Commits for which one `git diff-tree` lives.
const BATCH_COMMITS: usize = 2_048;

/// Errs with words for the user.
pub(crate) fn read(path: &Path) -> Result<(History, Reveals), String> {
    let name = name(path)?;
    let mut import = Import::new(Options {
        service: "repository".parse().map_err(|_error| "a service's name")?,
        repository: name.as_str().into(),
        since: None,
        now: newest(path)?,
        boundary: boundary(path)?,
    });
    let (mut lines, mut told) = (Vec::new(), Told::default());
    let shas = ask(path, &["rev-list", "--reverse", "--date-order", "--no-merges", "HEAD"])?;
    let shas: Vec<&str> = shas.lines().collect();
    for batch in shas.chunks(BATCH_COMMITS) {
        changes(path, batch, &mut import, &mut lines)?;
        told.take(&mut lines)?;
    }
    import.finish(&mut lines);
    told.take(&mut lines)?;
    let history = History {
        project: name,
        commits: told.commits,
    };
    Ok((history, told.reveals))
}

/// What the commits of a batch changed, as events.
fn changes(path: &Path, batch: &[&str], import: &mut Import, lines: &mut Vec<u8>) -> Result<(), String> {
    let mut child = start(path, &LOG_ARGUMENTS)?;
    let mut stdin = child.stdin.take().ok_or("git has no standard input")?;
    let mut log = Log::new(BufReader::new(child.stdout.take().ok_or("git has no standard output")?));
    thread::scope(|scope| {
        let names = batch.join("\n") + "\n";
        // It may end early, and its exit status then says why.
        scope.spawn(move || drop(stdin.write_all(names.as_bytes())));
        while let Some(commit) = log.next_commit().map_err(|error| error.to_string())? {
            import.take(commit, lines);
        }
        Ok::<(), String>(())
    })?;
    ended(child, "diff-tree")
}

/// What events told.
#[derive(Default)]
struct Told {
    commits: Vec<Landed>,
    places: HashMap<String, usize>,
    reveals: Reveals,
}

impl Told {
    fn take(&mut self, lines: &mut Vec<u8>) -> Result<(), String> {
        let origin = Origin {
            topic: "git",
            kind: None,
        };
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let event = ingest::decode(Some(line), &origin, Timestamp::NEVER);
            self.event(&event.map_err(|reject| format!("an imported line is refused: {reject}"))?);
        }
        lines.clear();
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) {
        let at = event.time.millis().div_euclid(1_000);
        match &event.body {
            Body::Commit(commit) => {
                self.places.insert(commit.sha.to_string(), self.commits.len());
                self.reveals.push(None);
                self.commits.push(Landed {
                    sha: commit.sha.to_string(),
                    at,
                    measures: commit.measures.map(Option::unwrap_or_default),
                    is_buggy: false,
                    author: commit.author.id.as_ref().map_or(0, |id| hash_text(id)),
                    paths: commit.paths.iter().map(ToString::to_string).collect(),
                });
            }
            Body::Incident(incident) => {
                let sha = incident.caused_by.as_ref().and_then(|cause| cause.sha.as_deref());
                if let Some(place) = sha.and_then(|sha| self.places.get(sha)) {
                    self.commits[*place].is_buggy = true;
                    self.reveals[*place].get_or_insert(at);
                }
            }
            Body::Deploy(_) | Body::Error(_) | Body::Review(_) | Body::Service(_) | Body::Override(_) => {}
        }
    }
}

/// The folder's, or of a repository without a working tree its own.
fn name(path: &Path) -> Result<String, String> {
    let path = path
        .canonicalize()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    Ok(name.unwrap_or_else(|| "repository".to_owned()))
}

/// When the newest commit was made, by its own clock: nothing is later.
fn newest(path: &Path) -> Result<Timestamp, String> {
    let seconds = ask(path, &["show", "-s", "--format=%ct", "HEAD"])?;
    let seconds: i64 = seconds.trim().parse().map_err(|_error| "git tells no time")?;
    Ok(Timestamp::from_millis(seconds.saturating_mul(1_000)))
}

/// Where a shallow clone begins.
fn boundary(path: &Path) -> Result<BTreeSet<Box<str>>, String> {
    if ask(path, &["rev-parse", "--is-shallow-repository"])?.trim() != "true" {
        return Ok(BTreeSet::new());
    }
    let file = path.join(ask(path, &["rev-parse", "--git-path", "shallow"])?.trim());
    let text = std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text.lines().map(Into::into).collect())
}

/// What git answers.
pub(crate) fn ask(path: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = command(path, arguments).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("starting git: {error}"))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{}: {}", path.display(), complaint.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A git that is written to, and read from.
pub(crate) fn start(path: &Path, arguments: &[&str]) -> Result<Child, String> {
    let mut command = command(path, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().map_err(|error| format!("starting git: {error}"))
}

pub(crate) fn ended(mut child: Child, what: &str) -> Result<(), String> {
    let status = child.wait().map_err(|error| format!("waiting for git: {error}"))?;
    status
        .success()
        .then_some(())
        .ok_or_else(|| format!("git {what} failed: {status}"))
}

fn command(path: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(path).args(arguments);
    // A hook has them set, and they would turn git to another repository.
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
        command.env_remove(variable);
    }
    command.env("GIT_NO_REPLACE_OBJECTS", "1").env("LC_ALL", "C");
    command
}
