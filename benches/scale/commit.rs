//! What a commit and a deploy cost, by how many changes their service remembers.

use std::{fmt::Write as _, time::Duration};

use holdpoint::{clock::Stopwatch, ingest::Batch, score::Partition, wire::events};

use crate::{
    fleet,
    log::Log,
    step::float,
    support::{add, at, deploy},
    usage::say,
};

/// The last is more than any service remembers.
pub(crate) const SIZES: [usize; 4] = [4, 64, 256, 600];
const SERVICES: usize = 100;
/// Of each service; the median of them is told.
const ROUNDS: usize = 9;
const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn run(sizes: &[usize]) -> anyhow::Result<()> {
    say("")?;
    say("A commit, and a deploy of one: reading its entry, stepping it, deciding; median of nine rounds")?;
    say(&format!(
        "  {:>18}{:>14}{:>8}{:>14}{:>8}",
        "changes remembered", "commit, ns", "×", "deploy, ns", "×"
    ))?;
    let mut least = None;
    for n in sizes {
        let (commit, deploy, n_remembered) = costs(*n);
        let least: (f64, f64) = *least.get_or_insert((commit, deploy));
        say(&format!(
            "  {n_remembered:>18}{commit:>14.0}{:>8.2}{deploy:>14.0}{:>8.2}",
            commit / least.0,
            deploy / least.1,
        ))?;
    }
    Ok(())
}

/// Of a commit and of a deploy in nanoseconds, of services that have had `n_before`; and how many they remember then.
fn costs(n_before: usize) -> (f64, f64, usize) {
    let mut log = Log::of(Partition::default(), at(0));
    let mut n_commits = 0;
    for _ in 0..n_before {
        n_commits += 1;
        commit_all(&mut log, n_commits);
    }
    let n_remembered = log
        .partition
        .report(&fleet::name(0))
        .map_or(0, |report| report.changes_remembered);
    let (mut commits, mut deploys) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        n_commits += 1;
        commits.push(commit_all(&mut log, n_commits));
        deploys.push(deploy_all(&mut log, n_commits));
    }
    (median(commits), median(deploys), n_remembered)
}

fn commit_all(log: &mut Log, n: usize) -> Duration {
    let time = log.now;
    let commit = |service: &str| {
        format!(
            r#"{{"kind":"commit","id":"commit-{n}","time":"{time}","service":"{service}","sha":"{}","author":{{"id":"somebody","level":"senior"}},"change":{{"lines_added":90,"lines_deleted":12,"files":3}}}}"#,
            sha(service, n)
        )
    };
    fold_all(log, commit)
}

fn deploy_all(log: &mut Log, n: usize) -> Duration {
    let time = log.now;
    let of_commit = |service: &str| {
        let id = format!("deploy-{n}");
        deploy(
            service,
            &id,
            time,
            "started",
            &format!(r#","commits":["{}"]"#, sha(service, n)),
        )
    };
    fold_all(log, of_commit)
}

/// As long as any, and alike in no part.
fn sha(service: &str, n: usize) -> String {
    let mut sha = String::new();
    let mut state = holdpoint::model::hash_text(&format!("{service} {n}"));
    while sha.len() < 40 {
        write!(sha, "{state:016x}").expect("writing to memory cannot fail");
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
    }
    sha.truncate(40);
    sha
}

fn fold_all(log: &mut Log, value: impl Fn(&str) -> String) -> Duration {
    log.pass(SECOND);
    let mut batch = Batch::new(1);
    for n in 0..SERVICES {
        add(&mut batch, &value(&fleet::name(n)), n, log.now);
    }
    let mut record = Vec::new();
    events::begin(&mut record);
    batch.pack(0, (&mut record, usize::MAX), events::append, |_, _| {});
    let watch = Stopwatch::start();
    log.fold(&[record]);
    watch.elapsed()
}

fn median(mut took: Vec<Duration>) -> f64 {
    took.sort();
    took[took.len() / 2].as_secs_f64() * 1e9 / float(SERVICES)
}
