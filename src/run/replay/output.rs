//! Files that results go to.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use super::identity::{Identity, identity};

/// Bytes written at a time.
const BUFFER_BYTES: usize = 256 * 1024;

pub(super) struct Output {
    path: PathBuf,
    writer: BufWriter<File>,
}

impl Output {
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let file = File::create(path).with_context(|| format!("creating {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            writer: BufWriter::with_capacity(BUFFER_BYTES, file),
        })
    }

    pub(super) fn line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.write(line)?;
        self.write(b"\n")
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let written = self.writer.write_all(bytes);
        written.with_context(|| format!("writing {}", self.path.display()))
    }

    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        let flushed = self.writer.flush();
        flushed.with_context(|| format!("writing {}", self.path.display()))
    }
}

/// Results that overwrite what they are made from, or each other, would be lost.
pub(super) fn check(results: &[Option<&Path>], read: &[&Path]) -> anyhow::Result<()> {
    let mut known: BTreeSet<Identity> = read.iter().filter_map(|path| identity(path)).collect();
    for path in results.iter().flatten() {
        if identity(path).is_some_and(|own| !known.insert(own)) {
            bail!("{} is named twice: results need a file of their own", path.display());
        }
    }
    Ok(())
}
