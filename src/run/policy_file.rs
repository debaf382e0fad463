//! The policy file of this instance: read when it changes; a bad one is refused, kept out, and shown in a metric.
//!
//! A file system that hangs keeps whoever reads from it, for as long as it likes. So the file is looked at on threads of
//! their own: the start waits for its look only so long, nothing waits for those after it, and one that does not end is
//! noticed.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, RwLock,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::{Duration, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};

use super::policy;
use crate::clock::Stopwatch;

/// Between two looks at the file.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A look that lasts longer counts as one that failed.
const LOOK_MAX: Duration = Duration::from_secs(10);

/// A policy as the file has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PolicyText {
    pub(crate) digest: Box<str>,
    pub(crate) revision: i64,
    pub(crate) text: Box<str>,
}

/// The file, and the last good policy in it.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    path: Option<PathBuf>,
    // Written by the one thread that looks at the file, read by the workers: a whole value, never across a wait.
    current: RwLock<Option<Arc<PolicyText>>>,
    watched: RwLock<Watched>,
    /// Since when it is being looked at, and whether that it lasts was complained of.
    looking: RwLock<Option<(Stopwatch, bool)>>,
}

/// What looks at the file have come to.
#[derive(Debug, Default)]
struct Watched {
    /// What the last one found: a policy, or why there is none.
    seen: Option<Result<PolicyText, Box<str>>>,
    /// Why the file was refused last, so that it is complained of once.
    refused: Option<Box<str>>,
}

impl PolicyFile {
    /// Without a path there is no file, and the policy is what the log says.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        metrics::gauge!("holdpoint_policy_last_reload_successful").set(1.0);
        Self {
            path,
            current: RwLock::new(None),
            watched: RwLock::default(),
            looking: RwLock::new(None),
        }
    }

    /// The last good policy; `None` without a file, or before it was ever good.
    pub(crate) fn current(&self) -> Option<Arc<PolicyText>> {
        self.current
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Takes up what the file holds as the program starts; an error means that it is refused, or cannot be read in time.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        self.take_up(within(LOOK_MAX, path, load_first), path)
    }

    /// Looks at the file every second, on a thread of its own, until `stop`.
    pub(crate) fn watch(self: &Arc<Self>, stop: &Arc<AtomicBool>) -> anyhow::Result<()> {
        let (file, stop) = (Arc::clone(self), Arc::clone(stop));
        let run = move || {
            while !stop.load(Ordering::Relaxed) {
                file.set_looking(Some((Stopwatch::start(), false)));
                file.look();
                file.set_looking(None);
                std::thread::sleep(LOOK_EVERY);
            }
        };
        let thread = std::thread::Builder::new().name("policy".to_owned());
        thread.spawn(run).context("starting a thread")?;
        Ok(())
    }

    /// Complains once of a look that does not end.
    pub(crate) fn note_hung(&self) {
        let looking = *self.looking.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (Some((since, false)), Some(path)) = (looking, &self.path) else {
            return;
        };
        if since.elapsed() < LOOK_MAX {
            return;
        }
        metrics::gauge!("holdpoint_policy_last_reload_successful").set(0.0);
        tracing::error!(
            "{} has not been read for {LOOK_MAX:?}: the last good policy stays",
            path.display()
        );
        self.set_looking(Some((since, true)));
    }

    fn set_looking(&self, looking: Option<(Stopwatch, bool)>) {
        *self.looking.write().unwrap_or_else(std::sync::PoisonError::into_inner) = looking;
    }

    /// Takes up what the file holds once two looks in a row have found the same, and complains once of each fault. One
    /// that is written in place is empty first, and then a part of itself, and each may be a good policy.
    fn look(&self) {
        let Some(path) = &self.path else { return };
        let found = load(path).map_err(|error| format!("{error:#}").into_boxed_str());
        let mut watched = self.watched.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = watched.seen.replace(found.clone());
        if before.as_ref() != Some(&found) {
            return;
        }
        let complaint = self.take_up(found, path).err();
        if complaint != watched.refused {
            if let Some(complaint) = &complaint {
                tracing::error!("the policy file is refused, the last good policy stays: {complaint}");
            }
            watched.refused = complaint;
        }
    }

    fn take_up<E>(&self, found: Result<PolicyText, E>, path: &Path) -> Result<(), E> {
        metrics::gauge!("holdpoint_policy_last_reload_successful").set(f64::from(u8::from(found.is_ok())));
        let found = found?;
        let is_other = |known: Arc<PolicyText>| known.digest != found.digest || known.revision < found.revision;
        if self.current().is_none_or(is_other) {
            tracing::info!(path = %path.display(), digest = %found.digest, revision = found.revision, "policy loaded");
            *self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::new(found));
        }
        Ok(())
    }
}

/// What a look at `path` finds, on a thread that is left behind where it does not end.
fn within(bound: Duration, path: &Path, look: fn(&Path) -> anyhow::Result<PolicyText>) -> anyhow::Result<PolicyText> {
    let (tell, told) = mpsc::channel();
    let theirs = path.to_owned();
    let thread = std::thread::Builder::new().name("policy".to_owned());
    thread
        // Nobody may be waiting any more.
        .spawn(move || drop(tell.send(look(&theirs))))
        .context("starting a thread")?;
    let waited = told.recv_timeout(bound).ok();
    waited.with_context(|| format!("{} has not been read for {bound:?}", path.display()))?
}

fn load_first(path: &Path) -> anyhow::Result<PolicyText> {
    // Of a pipe the next look would find nothing, which is a good policy.
    ensure!(
        !std::fs::metadata(path).is_ok_and(|data| !data.is_file()),
        "{} is no file that can be read again and again",
        path.display()
    );
    load(path)
}

fn load(path: &Path) -> anyhow::Result<PolicyText> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let policy = policy::parse(path, &text)?;
    let modified = std::fs::metadata(path)
        .and_then(|data| data.modified())
        .with_context(|| format!("the time of {}", path.display()))?;
    let seconds = modified.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let revision = policy
        .revision
        .unwrap_or_else(|| i64::try_from(seconds).unwrap_or(i64::MAX));
    Ok(PolicyText {
        digest: policy.digest,
        revision,
        text: text.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::{fs::File, time::Duration};

    use super::*;

    /// What an operator does to have this file's policy over one written after it elsewhere.
    #[test]
    fn the_same_text_written_anew_has_the_newer_revision() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("policy.toml");
        let write = |text: &str, seconds: u64| {
            std::fs::write(&path, text).expect("written");
            let file = File::options().write(true).open(&path).expect("there");
            file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds))
                .expect("dated");
        };
        let policy = PolicyFile::new(Some(path.clone()));
        let mut revisions = Vec::new();
        for (text, seconds) in [
            ("mode = \"enforce\"\n", 1_000),
            ("mode = \"enforce\"\n", 2_000),
            ("mode = \"enforce\"\n", 1_500),
            ("mode = \"shadow\"\n", 1_500),
            ("mode = \"shadow\"\nrevision = 7\n", 3_000),
            ("mode = \"shadow\"\nrevision = 7\n", 4_000),
        ] {
            write(text, seconds);
            policy.reload().expect("a good policy");
            revisions.push(policy.current().expect("loaded").revision);
        }
        assert_eq!(revisions, [1_000, 2_000, 2_000, 1_500, 7, 7]);
    }

    /// Written in place, it is empty for a moment and then a part of itself: each may be a good policy.
    #[test]
    fn a_file_is_taken_up_once_it_is_the_same_for_two_looks() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let path = folder.path().join("policy.toml");
        let write = |text: &str| std::fs::write(&path, text).expect("written");
        let (enforce, longer, shadow) = (
            "mode = \"enforce\"\n",
            "mode = \"enforce\"\nlateness = \"20s\"\n",
            "mode = \"shadow\"\n",
        );
        write(enforce);
        let policy = PolicyFile::new(Some(path.clone()));
        policy.reload().expect("a good policy");
        for (written, in_force) in [
            (Some(""), enforce),
            (Some(enforce), enforce),
            (Some("mode = \"enf"), enforce),
            (Some(longer), enforce),
            (None, longer),
            (Some(shadow), longer),
            (None, shadow),
        ] {
            if let Some(text) = written {
                write(text);
            }
            policy.look();
            assert_eq!(&*policy.current().expect("loaded").text, in_force, "{written:?}");
        }
    }

    #[test]
    fn a_look_that_does_not_end_is_waited_for_only_so_long() {
        let hung = |_path: &Path| -> anyhow::Result<PolicyText> {
            loop {
                std::thread::park();
            }
        };
        let why = within(Duration::from_millis(10), Path::new("p.toml"), hung).expect_err("it hangs");
        assert!(format!("{why:#}").contains("p.toml has not been read"), "{why:#}");
    }

    /// It could be read but once: at the next look it would be empty, and so a good policy.
    #[test]
    fn what_is_no_file_is_refused() {
        let policy = PolicyFile::new(Some("/dev/null".into()));
        let why = policy.reload().expect_err("it is refused").to_string();
        assert!(why.contains("/dev/null"), "{why}");
    }
}
