//! The user's own `git`, as a program beside us.

use std::{
    collections::BTreeSet,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, anyhow, bail};

/// Variables that would turn git to another repository than the one named: a hook has them set.
const MISLEADING: [&str; 8] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
];
/// What settings of the user or of the repository would change: whose address is whose, and what runs where. Most of it
/// plumbing never looks at.
const SETTINGS: [&str; 3] = ["mailmap.file=", "mailmap.blob=HEAD:.mailmap", "core.fsmonitor=false"];
/// Of what git complains, so much is repeated.
const COMPLAINT_BYTES_MAX: u64 = 2_048;

/// A repository.
#[derive(Debug)]
pub(super) struct Git {
    path: PathBuf,
    /// Its root, or where it is itself if it has no working tree.
    root: PathBuf,
}

impl Git {
    /// Errs if there is no `git`, no repository at `path`, or no commit in it.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let mut git = Self {
            path: path.to_owned(),
            root: PathBuf::new(),
        };
        let inside = git
            .ask(&["rev-parse", "--is-inside-work-tree"])
            .with_context(|| format!("{} is no git repository that can be read", path.display()))?;
        let root = if inside == "true" {
            "--show-toplevel"
        } else {
            "--absolute-git-dir"
        };
        git.root = PathBuf::from(git.ask(&["rev-parse", root])?);
        if git.ask(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"]).is_err() {
            bail!("{}: HEAD is no commit; there is no history to import", path.display());
        }
        Ok(git)
    }

    /// What to call it: the name of its folder.
    pub(super) fn name(&self) -> String {
        let name = self.root.file_name().map(|name| name.to_string_lossy().into_owned());
        match name.as_deref() {
            // A repository without a working tree is `shop.git`, or rarely `shop/.git`.
            Some(".git") => {
                let above = self.root.parent().and_then(Path::file_name);
                above
                    .map(|name| name.to_string_lossy().into_owned())
                    .unwrap_or_default()
            }
            Some(name) => name.strip_suffix(".git").unwrap_or(name).to_owned(),
            None => String::new(),
        }
    }

    /// The commits at which a shallow clone begins; none of a whole one.
    pub(super) fn boundary(&self) -> anyhow::Result<BTreeSet<Box<str>>> {
        if self.ask(&["rev-parse", "--is-shallow-repository"])? != "true" {
            return Ok(BTreeSet::new());
        }
        let file = self.path.join(self.ask(&["rev-parse", "--git-path", "shallow"])?);
        let text = std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        Ok(text.lines().map(Into::into).collect())
    }

    /// Whether something may be missing that git would fetch, were it let.
    pub(super) fn is_partial(&self) -> bool {
        let settings = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$";
        self.ask(&["config", "--get-regexp", settings]).is_ok()
    }

    pub(super) fn n_commits(&self) -> anyhow::Result<u64> {
        let count = self.ask(&["rev-list", "--count", "HEAD"])?;
        count.parse().context("git counts in no number")
    }

    /// Names all commits, parents before children and else by date.
    pub(super) fn list(&self) -> anyhow::Result<Running> {
        self.start(&["rev-list", "--reverse", "--date-order", "HEAD"])
    }

    pub(super) fn start(&self, arguments: &[&str]) -> anyhow::Result<Running> {
        let mut command = self.command(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().map_err(missing)?;
        let stderr = child.stderr.take().context("git has no standard error")?;
        Ok(Running {
            what: arguments.first().map_or(String::new(), |first| (*first).to_owned()),
            // Read beside, or it would wait for us when it has much to complain of.
            complaint: thread::spawn(move || complaint(stderr)),
            child,
        })
    }

    /// A short answer, without the line's end.
    fn ask(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let output = self.command(arguments).stdin(Stdio::null()).output().map_err(missing)?;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout)
            .trim_end_matches(['\n', '\r'])
            .to_owned())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.path).arg("--no-pager");
        for setting in SETTINGS {
            command.args(["-c", setting]);
        }
        command.args(arguments);
        for variable in MISLEADING {
            command.env_remove(variable);
        }
        command
            // What was written, not what was put in its place.
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_OPTIONAL_LOCKS", "0")
            // To fetch what a partial clone lacks, git would go by the repository's settings, which may name a program.
            // Older versions know the second only: no transport at all.
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ALLOW_PROTOCOL", "")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C");
        command
    }
}

fn missing(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::NotFound {
        return anyhow!("there is no `git` on the PATH; install it, version 2.15 or later");
    }
    anyhow::Error::new(error).context("starting git")
}

fn complaint(mut stderr: impl Read) -> String {
    let mut text = Vec::new();
    // What cannot be read was not said; the rest is read to its end, or git would wait for us.
    drop(stderr.by_ref().take(COMPLAINT_BYTES_MAX).read_to_end(&mut text));
    drop(io::copy(&mut stderr, &mut io::sink()));
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// A `git` at work. One whose output nobody takes any more ends by itself, at its next word.
#[derive(Debug)]
pub(super) struct Running {
    what: String,
    child: Child,
    complaint: JoinHandle<String>,
}

impl Running {
    /// Its input; once.
    pub(super) fn stdin(&mut self) -> ChildStdin {
        self.child.stdin.take().expect("it was asked for, and is taken once")
    }

    /// Its output; once.
    pub(super) fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("it was asked for, and is taken once")
    }

    /// Waits for its end. Errs with its own words if it failed.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let status = self.child.wait().context("waiting for git")?;
        let complaint = self.complaint.join().unwrap_or_default();
        if !status.success() {
            bail!("git {} failed ({status}): {complaint}", self.what);
        }
        Ok(())
    }
}
