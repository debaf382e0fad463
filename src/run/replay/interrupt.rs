//! SIGINT and SIGTERM while results are written: what is not whole yet goes with the process.

use std::{
    fs,
    path::{Path, PathBuf},
    thread::JoinHandle,
};

use anyhow::{Context as _, anyhow};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
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
    pub(super) fn remove<'a>(self, files: impl Iterator<Item = &'a Path>) -> anyhow::Result<Removal> {
        let files: Vec<PathBuf> = files.map(Path::to_owned).collect();
        let Self {
            runtime,
            mut interrupted,
            mut terminated,
        } = self;
        let (whole, is_whole) = oneshot::channel::<()>();
        let wait = async move {
            tokio::select! {
                biased;
                _ = interrupted.recv() => Some(SignalKind::interrupt()),
                _ = terminated.recv() => Some(SignalKind::terminate()),
                _ = is_whole => None,
            }
        };
        let end = move || {
            let Some(kind) = runtime.block_on(wait) else { return };
            for file in &files {
                drop(fs::remove_file(file));
            }
            std::process::exit(128 + kind.as_raw_value());
        };
        let thread = std::thread::Builder::new().name("interrupt".to_owned()).spawn(end);
        Ok(Removal {
            whole,
            thread: thread.context("starting a thread")?,
        })
    }
}

/// What removes files at a signal.
pub(super) struct Removal {
    whole: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Removal {
    /// All are whole: from here on signals pass unheard, or one between two results would part them. What is left to do
    /// waits for nobody. Does not return if a signal came first.
    pub(super) fn end(self) -> anyhow::Result<()> {
        drop(self.whole);
        self.thread
            .join()
            .map_err(|_panic| anyhow!("the thread that waits for signals panicked"))
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::{Args, Results};

    /// One that was heard would end the tests' own process.
    #[test]
    fn a_signal_is_not_heard_once_results_take_their_places() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let place = |name| Some(folder.path().join(name));
        let args = Args {
            decisions: place("decisions"),
            scores: place("scores"),
            ..Args::default()
        };
        let results = Results::create(&args).expect("created");
        results.finish().expect("kept");
        let process = std::process::id().to_string();
        for signal in ["INT", "TERM"] {
            let kill = Command::new("kill").args(["-s", signal, &process]).status();
            assert!(kill.expect("kill runs").success());
        }
        let names = std::fs::read_dir(folder.path()).expect("a folder");
        assert_eq!(names.count(), 2);
    }
}
