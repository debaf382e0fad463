//! Which file a path leads to, however it is spelled.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file; of one that is there what it is on the disk, so that links of either kind lead to one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Identity {
    #[cfg(unix)]
    OnDisk {
        device: u64,
        inode: u64,
    },
    At(PathBuf),
}

/// `None` for what is no file, such as `/dev/null` or a pipe: nothing in it could be lost.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    match fs::metadata(path) {
        Ok(metadata) => metadata.is_file().then(|| of_file(path, &metadata)),
        Err(_) => Some(Identity::At(place(path))),
    }
}

#[cfg(unix)]
fn of_file(_: &Path, metadata: &fs::Metadata) -> Identity {
    use std::os::unix::fs::MetadataExt as _;
    Identity::OnDisk {
        device: metadata.dev(),
        inode: metadata.ino(),
    }
}

#[cfg(not(unix))]
fn of_file(path: &Path, _: &fs::Metadata) -> Identity {
    Identity::At(path.canonicalize().unwrap_or_else(|_| place(path)))
}

/// Where a file would be that is not there yet.
fn place(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    match (folder.unwrap_or(Path::new(".")).canonicalize(), path.file_name()) {
        (Ok(folder), Some(name)) => folder.join(name),
        (Ok(_) | Err(_), _) => path.to_owned(),
    }
}
