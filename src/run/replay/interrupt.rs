//! SIGINT and SIGTERM while results are written: what is not whole yet goes with the process.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

/// The signals, caught and not looked at yet.
pub(super) struct Interrupt {
    runtime: Runtime,
    interrupted: Signal,
    terminated: Signal,
}

impl Interrupt {
    /// To be called before there is anything to remove: one that comes meanwhile is kept.
    pub(super) fn catch() -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build();
        let runtime = runtime.context("catching signals")?;
        let entered = runtime.enter();
        let catch = |kind| signal(kind).context("catching signals");
        let (interrupted, terminated) = (catch(SignalKind::interrupt())?, catch(SignalKind::terminate())?);
        drop(entered);
        Ok(Self {
            runtime,
            interrupted,
            terminated,
        })
    }

    /// From here on a signal removes those of `files` that are there, and ends the process with the status that shells give
    /// to it. On a thread of its own, for a run may wait for its input.
    pub(super) fn remove<'a>(self, files: impl Iterator<Item = &'a Path>) -> anyhow::Result<()> {
        let files: Vec<PathBuf> = files.map(Path::to_owned).collect();
        let Self {
            runtime,
            mut interrupted,
            mut terminated,
        } = self;
        let wait = async move {
            tokio::select! {
                _ = interrupted.recv() => SignalKind::interrupt(),
                _ = terminated.recv() => SignalKind::terminate(),
            }
        };
        let end = move || {
            let kind = runtime.block_on(wait);
            for file in &files {
                // One that has become a result is not there any more.
                drop(fs::remove_file(file));
            }
            std::process::exit(128 + kind.as_raw_value());
        };
        let thread = std::thread::Builder::new().name("interrupt".to_owned()).spawn(end);
        thread.context("starting a thread")?;
        Ok(())
    }
}
