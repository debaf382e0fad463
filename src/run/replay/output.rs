//! Files that results go to.
//!
//! **Invariant:** what a file holds stays until its result is whole: it is written beside it and renamed at the end. What is
//! no file, such as a pipe, is written as it is.
//! **Invariant:** what the process has open already, such as standard output, is written where it stands, and never emptied.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, ErrorKind, Write as _},
    os::fd::AsFd as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use super::identity::{Identity, identity};

/// Bytes written at a time.
const BUFFER_BYTES: usize = 256 * 1024;
/// Names tried for a file that is not whole yet: others are of runs that were killed.
const NAMES_MAX: u32 = 1_000;

pub(super) struct Output {
    path: PathBuf,
    writer: BufWriter<File>,
    /// Where it is written until it is whole.
    partial: Option<Partial>,
    is_open: bool,
}

impl Output {
    /// Errs if nothing can be written there.
    pub(super) fn create(path: &Path) -> anyhow::Result<Self> {
        let created = match destination(path) {
            Some(to) => Partial::create(to).map(|(file, partial)| (file, Some(partial))),
            None => as_it_is(path).map(|file| (file, None)),
        };
        let (file, partial) = created.with_context(|| format!("creating {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            writer: BufWriter::with_capacity(BUFFER_BYTES, file),
            partial,
            is_open: true,
        })
    }

    /// Where it is written until it is whole, if that is another file.
    pub(super) fn partial(&self) -> Option<&Path> {
        self.partial.as_ref().map(|partial| partial.path.as_path())
    }

    pub(super) fn line(&mut self, line: &[u8]) -> anyhow::Result<()> {
        self.write(line)?;
        self.write(b"\n")
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        if !self.is_open {
            return Ok(());
        }
        let written = self.writer.write_all(bytes);
        self.settle(written)
    }

    /// Writes what is left. That nobody reads on is no error.
    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        if !self.is_open {
            return Ok(());
        }
        let flushed = self.writer.flush();
        self.settle(flushed)
    }

    fn settle(&mut self, written: io::Result<()>) -> anyhow::Result<()> {
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => self.is_open = false,
            other => other.with_context(|| format!("writing {}", self.path.display()))?,
        }
        Ok(())
    }

    /// It is whole, and takes the place of what was there.
    pub(super) fn keep(mut self) -> anyhow::Result<()> {
        let kept = self.partial.take().map_or(Ok(()), Partial::keep);
        kept.with_context(|| format!("writing {}", self.path.display()))
    }
}

/// The file that a result takes the place of; `None` for what is to be written as it is.
fn destination(path: &Path) -> Option<PathBuf> {
    // They stand for what the process has open, which a rename would not reach.
    if path.starts_with("/dev") || path.starts_with("/proc") {
        return None;
    }
    match fs::metadata(path) {
        // A link stays one.
        Ok(metadata) if metadata.is_file() => path.canonicalize().ok(),
        Ok(_) => None,
        Err(_) => fs::symlink_metadata(path).is_err().then(|| path.to_owned()),
    }
}

/// Opened anew, a file behind standard output would be emptied, and written over from its beginning.
fn as_it_is(path: &Path) -> io::Result<File> {
    if is_stdout(path) {
        return io::stdout().as_fd().try_clone_to_owned().map(File::from);
    }
    if is_opened(path) {
        return File::options().append(true).open(path);
    }
    File::create(path)
}

fn is_stdout(path: &Path) -> bool {
    ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"]
        .map(Path::new)
        .contains(&path)
}

/// Whether the path stands for what the process has open.
fn is_opened(path: &Path) -> bool {
    path == Path::new("/dev/stderr") || path.starts_with("/dev/fd") || path.starts_with("/proc")
}

/// A file that is not whole yet, beside the one that it becomes. Given up, it is removed.
struct Partial {
    path: PathBuf,
    to: PathBuf,
    is_kept: bool,
}

impl Partial {
    fn create(to: PathBuf) -> io::Result<(File, Self)> {
        let before = fs::metadata(&to).ok();
        if before.as_ref().is_some_and(|before| before.permissions().readonly()) {
            return Err(ErrorKind::PermissionDenied.into());
        }
        let process = std::process::id();
        let mut result = Err(ErrorKind::AlreadyExists.into());
        for n in 0..NAMES_MAX {
            let path = to.with_file_name(format!(".holdpoint-{process}-{n}.partial"));
            result = File::create_new(&path).map(|file| (file, path));
            if !matches!(&result, Err(error) if error.kind() == ErrorKind::AlreadyExists) {
                break;
            }
        }
        let (file, path) = result?;
        let partial = Self {
            path,
            to,
            is_kept: false,
        };
        if let Some(before) = before {
            file.set_permissions(before.permissions())?;
        }
        Ok((file, partial))
    }

    fn keep(mut self) -> io::Result<()> {
        fs::rename(&self.path, &self.to)?;
        self.is_kept = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_kept {
            // The run has failed already, which is what is told.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// Results that overwrite what they are made from, or each other, would be lost; lines of two in one stream would be cut
/// apart.
pub(super) fn check(results: &[Option<&Path>], read: &[&Path]) -> anyhow::Result<()> {
    if results.iter().flatten().filter(|path| is_stdout(path)).count() > 1 {
        bail!("standard output is named twice: one result can go there, before the summary");
    }
    let mut known: BTreeSet<Identity> = read.iter().filter_map(|path| identity(path)).collect();
    for path in results.iter().flatten() {
        if identity(path).is_some_and(|own| !known.insert(own)) {
            bail!("{} is named twice: results need a file of their own", path.display());
        }
    }
    Ok(())
}
