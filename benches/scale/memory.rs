//! What a service takes: live, as a snapshot, and in every instance's view of the control topic.

use std::process::Command;

use allocation_counter::measure;
use anyhow::{Context as _, ensure};
use holdpoint::{
    gate::{Place, View},
    model::{Offset, PartitionIndex},
    wire::control,
};

use crate::{
    fleet::{Fleet, Watched},
    step::{float, own_bytes},
    support::at,
    usage::{grouped, memory_mib, say},
};

pub(crate) fn run(sizes: &[usize]) -> anyhow::Result<()> {
    say("")?;
    say("Memory: one environment, a day of errors by the minute, four commits; one in sixteen has a deploy watched")?;
    say(&format!(
        "  {:>18}{:>14}{:>18}{:>18}{:>14}{:>14}",
        "services", "live, bytes", "snapshot, bytes", "in view, bytes", "state, MiB", "with view"
    ))?;
    for n in sizes {
        // Each in a process of its own, for memory given back stays resident.
        let output = Command::new(std::env::current_exe().context("where this program is")?)
            .args(["memory-of", &n.to_string()])
            .output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        say(String::from_utf8(output.stdout)?.trim_end())?;
    }
    let mib = float(usize::try_from(own_bytes())?) / f64::from(1 << 20);
    say(&format!(
        "  beside its services, a partition whose window of duplicates is full: {mib:.1} MiB"
    ))
}

/// One row.
pub(crate) fn row_of(n: usize) -> anyhow::Result<()> {
    let fleet = Fleet::new(at(0), Watched::Some);
    let snapshots: usize = (0..n).map(|i| fleet.snapshot(i).len()).sum();
    let before = memory_mib(std::process::id())?;
    let mut partition = None;
    let live = measure(|| partition = Some(fleet.partition(n))).bytes_current;
    let of_state = memory_mib(std::process::id())? - before;
    let mut view = None;
    let viewed = measure(|| view = Some(view_of(&fleet, n))).bytes_current;
    let with_view = memory_mib(std::process::id())? - before;
    let each = |bytes: usize| grouped(u64::try_from(bytes / n).unwrap_or(u64::MAX));
    say(&format!(
        "  {:>18}{:>14}{:>18}{:>18}{of_state:>14}{with_view:>14}",
        grouped(u64::try_from(n)?),
        each(usize::try_from(live)?),
        each(snapshots),
        each(usize::try_from(viewed)?),
    ))?;
    drop((partition, view));
    Ok(())
}

fn view_of(fleet: &Fleet, n: usize) -> View {
    let view = View::new();
    for i in 0..n {
        let (key, value) = fleet.decision(i);
        let place = Place {
            partition: PartitionIndex(0),
            offset: Offset(i64::try_from(i).expect("small")),
            timestamp: fleet.now,
        };
        view.apply(place, control::decode(&key, Some(&value)));
    }
    view
}
