//! What this process has used, by the kernel's accounts.

use std::io;

/// Seconds for which the main thread has run.
pub(crate) fn cpu() -> f64 {
    let account = std::fs::read_to_string("/proc/self/schedstat").expect("Linux tells it");
    let ns: u64 = account
        .split(' ')
        .next()
        .and_then(|ns| ns.parse().ok())
        .expect("nanoseconds come first");
    std::time::Duration::from_nanos(ns).as_secs_f64()
}

/// The most memory it ever held, in MiB.
pub(crate) fn peak_mib() -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    Ok(kib.unwrap_or(0) / 1_024)
}
