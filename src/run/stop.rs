//! What tells a process to end: SIGTERM, of supervisors, and SIGINT, of people at a terminal.

use tokio::signal::{
    ctrl_c,
    unix::{SignalKind, signal},
};

/// Resolves at either, within a runtime. SIGTERM is caught from the call on: a supervisor may change its mind at once.
pub fn stop_signal() -> impl Future<Output = ()> {
    let signal = signal(SignalKind::terminate());
    let terminated = async {
        match signal {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::error!(%error, "SIGTERM cannot be caught");
                std::future::pending::<()>().await;
            }
        }
    };
    async {
        tokio::select! {
            () = terminated => {}
            interrupted = ctrl_c() => drop(interrupted),
        }
    }
}
