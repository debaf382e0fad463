//! The policy file of this instance: read when it changes; a bad one is refused, kept out, and shown in a metric.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::UNIX_EPOCH,
};

use anyhow::Context as _;

use super::policy;

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
    /// The text refused last, so that it is complained of once.
    refused: RwLock<Option<Box<str>>>,
}

impl PolicyFile {
    /// Without a path there is no file, and the policy is what the log says.
    pub(crate) fn new(path: Option<PathBuf>) -> Self {
        metrics::gauge!("holdpoint_policy_last_reload_successful").set(1.0);
        Self {
            path,
            current: RwLock::new(None),
            refused: RwLock::new(None),
        }
    }

    /// The last good policy; `None` without a file, or before it was ever good.
    pub(crate) fn current(&self) -> Option<Arc<PolicyText>> {
        self.current
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Looks at the file. An error means that it is refused, and what was good before stays.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let loaded = load(path);
        metrics::gauge!("holdpoint_policy_last_reload_successful").set(f64::from(u8::from(loaded.is_ok())));
        let loaded = loaded?;
        let is_other = |known: Arc<PolicyText>| known.digest != loaded.digest || known.revision < loaded.revision;
        if self.current().is_none_or(is_other) {
            tracing::info!(path = %path.display(), digest = %loaded.digest, revision = loaded.revision, "policy loaded");
            *self.current.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(Arc::new(loaded));
        }
        Ok(())
    }

    /// [`PolicyFile::reload`], complaining once of each fault.
    pub(crate) fn watch(&self) {
        let complaint = self.reload().err().map(|error| format!("{error:#}").into_boxed_str());
        let mut refused = self.refused.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if complaint != *refused {
            if let Some(complaint) = &complaint {
                tracing::error!("the policy file is refused, the last good policy stays: {complaint}");
            }
            *refused = complaint;
        }
    }
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
}
