//! What a process has used, and how that is told: the kernel's account of it, all of its threads together.

use std::{collections::BTreeMap, io::Write as _, time::Duration};

use anyhow::Context as _;

/// A tick of the kernel's accounts: Linux shows all of them at 100 a second.
const TICK: Duration = Duration::from_millis(10);

/// User and system time of a process since its start.
pub(crate) fn cpu(process: u32) -> anyhow::Result<Duration> {
    let (_, used) = account(&format!("/proc/{process}/stat"))?;
    Ok(used)
}

/// The same by what its threads are called; those of one name with a number behind it together.
pub(crate) fn cpu_by_thread(process: u32) -> anyhow::Result<BTreeMap<String, Duration>> {
    let mut by: BTreeMap<String, Duration> = BTreeMap::new();
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // A thread may end while it is looked at.
        let Ok((name, used)) = account(&format!("{}/stat", task?.path().display())) else {
            continue;
        };
        let name = name.trim_end_matches(|char: char| char.is_ascii_digit() || char == '-');
        *by.entry(name.to_owned()).or_default() += used;
    }
    Ok(by)
}

/// Name, and user and system time, of a process or thread.
fn account(path: &str) -> anyhow::Result<(String, Duration)> {
    let stat = std::fs::read_to_string(path).with_context(|| format!("reading {path}"))?;
    // The name, second, is in brackets and may hold anything; user and system time are the 14th and 15th.
    let (head, fields) = stat.rsplit_once(')').context("no name in it")?;
    let (_, name) = head.split_once('(').context("no name in it")?;
    let mut times = fields.split_whitespace().skip(11);
    let mut ticks = || -> anyhow::Result<u32> { Ok(times.next().context("too few fields")?.parse()?) };
    Ok((name.to_owned(), TICK * (ticks()? + ticks()?)))
}

/// Memory that a process holds, in MiB.
pub(crate) fn memory_mib(process: u32) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.split_whitespace().next())
        .context("no VmRSS")?;
    Ok(kib.parse::<u64>()? / 1_024)
}

/// Files that a process has open.
pub(crate) fn n_files(process: u32) -> anyhow::Result<usize> {
    count(process, "fd")
}

/// Threads of a process.
pub(crate) fn n_threads(process: u32) -> anyhow::Result<usize> {
    count(process, "task")
}

fn count(process: u32, what: &str) -> anyhow::Result<usize> {
    let path = format!("/proc/{process}/{what}");
    let all = std::fs::read_dir(&path).with_context(|| format!("reading {path}"))?;
    Ok(all.count())
}

/// What was done in a stretch of time, and with how much.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) n_events: u64,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl Work {
    pub(crate) fn per_second(&self) -> u64 {
        rate(self.n_events, self.wall)
    }

    pub(crate) fn per_cpu_second(&self) -> u64 {
        rate(self.n_events, self.cpu)
    }
}

fn rate(n: u64, time: Duration) -> u64 {
    let per_second = u128::from(n) * 1_000_000 / time.as_micros().max(1);
    u64::try_from(per_second).unwrap_or(u64::MAX)
}

/// With a comma before every three digits.
pub(crate) fn grouped(n: u64) -> String {
    if n < 1_000 {
        return n.to_string();
    }
    format!("{},{:03}", grouped(n / 1_000), n % 1_000)
}

/// A line of results.
pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{line}").context("writing to stdout")
}

/// A line of progress.
pub(crate) fn note(line: &str) -> anyhow::Result<()> {
    writeln!(std::io::stderr(), "path: {line}").context("writing to stderr")
}
