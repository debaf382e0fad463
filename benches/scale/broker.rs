//! A restore as users have it: the program is started on topics that hold the state of a fleet, until it is ready.
//!
//! Ready means that all partitions are restored, the log's tail is read again, and the control topic's view is whole.

use std::{sync::Arc, time::Duration};

use anyhow::ensure;
use holdpoint::{
    clock::{Clock, Stopwatch},
    model::{Offset, PartitionIndex, Timestamp},
    score::Partition,
    stream::{
        Write,
        kafka::{Publisher, Tuning},
    },
    wire::{partition::partition_of, state},
};

use crate::{
    chance::Chance,
    fleet::{self, Fleet, Watched},
    log,
    site::Site,
    usage::{cpu, grouped, memory_mib, say},
};

const SENT_WITHIN: Duration = Duration::from_mins(5);
const READY_WITHIN: Duration = Duration::from_mins(5);
/// Services written at a time.
const CHUNK: usize = 20_000;

pub(crate) fn run(brokers: &str, sizes: &[usize], tail: usize, n_partitions: u32) -> anyhow::Result<()> {
    say("")?;
    say(&format!(
        "Restore through a broker: `holdpoint run` until /readyz says so; {n_partitions} partitions, {tail} entries of tail a service"
    ))?;
    say(&format!(
        "  {:>18}{:>12}{:>12}{:>14}{:>16}{:>15}{:>10}{:>12}",
        "services", "ready, s", "CPU, s", "tail records", "tail entries", "RSS peak, MiB", "RSS, MiB", "/metrics, s"
    ))?;
    sizes.iter().try_for_each(|n| row(brokers, *n, tail, n_partitions))
}

fn row(brokers: &str, n: usize, tail: usize, n_partitions: u32) -> anyhow::Result<()> {
    let site = Site::new(brokers, n_partitions)?;
    let now = Clock::wall().now();
    let publisher = Publisher::new(&site.connection, "bench", &Tuning::default())?;
    let n_records = fill_log(&site, &publisher, (n, tail, n_partitions), now)?;
    fill_state(&site, &publisher, (n, n_partitions), now)?;
    drop(publisher);
    let watch = Stopwatch::start();
    let mut instance = site.start()?;
    let took = instance.wait_ready(&watch, READY_WITHIN)?;
    let used = cpu(instance.id())?;
    let (peak, held) = (instance.memory_mib_max()?, memory_mib(instance.id())?);
    // All are there, or the figures are of something else.
    let watch = Stopwatch::start();
    let found = instance.metric("holdpoint_services")?;
    let scraped = watch.elapsed();
    ensure!(
        (found - crate::step::float(n)).abs() < 0.5,
        "{found} services of {n} are in the view"
    );
    say(&format!(
        "  {:>18}{:>12.2}{:>12.2}{:>14}{:>16}{peak:>15}{held:>10}{:>12.2}",
        grouped(u64::try_from(n)?),
        took.as_secs_f64(),
        used.as_secs_f64(),
        grouped(u64::try_from(n_records)?),
        grouped(u64::try_from(n * tail)?),
        scraped.as_secs_f64(),
    ))
}

/// A first record, which the snapshots cover, and the tail. Returns of how many records.
fn fill_log(
    site: &Site,
    publisher: &Publisher,
    (n, tail, n_partitions): (usize, usize, u32),
    now: Timestamp,
) -> anyhow::Result<usize> {
    let mut of_partition = vec![Vec::new(); usize::try_from(n_partitions)?];
    for i in 0..n {
        of_partition[usize::try_from(partition_of(&fleet::name(i), n_partitions).0)?].push(i);
    }
    let mut chance = Chance::new(23);
    let topic = site.topic("events");
    let mut n_records = 0;
    for (index, services) in of_partition.iter().enumerate() {
        let covered = log::errors(services.iter().copied().take(1), now, &mut chance);
        let picked: Vec<usize> = (0..services.len() * tail)
            .map(|_| services[chance.below(services.len())])
            .collect();
        let records = log::errors(picked.into_iter(), now, &mut chance);
        n_records += records.len();
        let writes: Vec<Write> = covered
            .into_iter()
            .chain(records)
            .map(|record| Write {
                topic: Arc::clone(&topic),
                partition: PartitionIndex(i32::try_from(index).unwrap_or(i32::MAX)),
                timestamp: now,
                key: None,
                value: Some(record),
                headers: Vec::new(),
            })
            .collect();
        publisher.send_all(&writes, SENT_WITHIN)?;
    }
    Ok(n_records)
}

/// Snapshots and standing decisions, and the partitions' own records: their tails begin behind the first record.
fn fill_state(
    site: &Site,
    publisher: &Publisher,
    (n, n_partitions): (usize, u32),
    now: Timestamp,
) -> anyhow::Result<()> {
    let fleet = Fleet::new(now, Watched::Some);
    let (snapshots, control) = (site.topic("state"), site.topic("control"));
    let write = |topic: &Arc<str>, partition: PartitionIndex, key: Vec<u8>, value: Vec<u8>| Write {
        topic: Arc::clone(topic),
        partition,
        timestamp: now,
        key: Some(key),
        value: Some(value),
        headers: Vec::new(),
    };
    for from in (0..n).step_by(CHUNK) {
        let mut writes = Vec::new();
        for i in from..n.min(from + CHUNK) {
            let name = fleet::name(i);
            let partition = partition_of(&name, n_partitions);
            let (key, value) = fleet.decision(i);
            writes.push(write(&control, partition, key, value));
            writes.push(write(
                &snapshots,
                partition,
                state::service_key(&name),
                fleet.snapshot(i),
            ));
        }
        publisher.send_all(&writes, SENT_WITHIN)?;
    }
    let image = Partition::default().image(Offset(1), n_partitions);
    let images: Vec<Write> = (0..n_partitions)
        .map(|index| {
            let partition = PartitionIndex(i32::try_from(index).unwrap_or(i32::MAX));
            write(
                &snapshots,
                partition,
                state::partition_key(partition),
                state::encode_partition(&image),
            )
        })
        .collect();
    publisher.send_all(&images, SENT_WITHIN)?;
    Ok(())
}
