//! How long it takes until snapshots are services again.

use std::time::Duration;

use holdpoint::{clock::Stopwatch, score::Partition, wire::partition::partition_of, wire::state};

use crate::{
    broker,
    fleet::{self, Fleet, Watched},
    support::at,
    usage::{grouped, say},
};

/// How long a restore takes, in the core and, where `HOLDPOINT_TEST_BROKERS` names one, through a broker.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Restore {
    /// Numbers of services.
    #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
    services: Vec<usize>,
    /// Entries to read again, for each service.
    #[arg(long, default_value_t = 2)]
    tail: usize,
    /// Partitions of the log.
    #[arg(long, default_value_t = 12)]
    partitions: u32,
}

impl Restore {
    pub(crate) fn of(sizes: &[usize]) -> Self {
        Self {
            services: sizes.to_vec(),
            tail: 2,
            partitions: 12,
        }
    }

    pub(crate) fn run(&self) -> anyhow::Result<()> {
        say("")?;
        say(&format!(
            "Restore in the core: snapshots decoded and put back, over {} partitions",
            self.partitions
        ))?;
        say(&format!(
            "  {:>18}{:>12}{:>16}{:>18}",
            "services", "seconds", "µs/service", "snapshots, MiB"
        ))?;
        for n in &self.services {
            let (took, size_bytes) = in_core(*n, self.partitions);
            say(&format!(
                "  {:>18}{:>12.2}{:>16.2}{:>18}",
                grouped(u64::try_from(*n)?),
                took.as_secs_f64(),
                took.as_secs_f64() * 1e6 / crate::step::float(*n),
                size_bytes >> 20
            ))?;
        }
        match std::env::var("HOLDPOINT_TEST_BROKERS") {
            Ok(brokers) => broker::run(&brokers, &self.services, self.tail, self.partitions),
            Err(_unset) => say("  Restore through brokers: not run, HOLDPOINT_TEST_BROKERS names none"),
        }
    }
}

fn in_core(n: usize, n_partitions: u32) -> (Duration, usize) {
    let fleet = Fleet::new(at(0), Watched::Some);
    let mut snapshots = vec![Vec::new(); usize::try_from(n_partitions).expect("small")];
    let mut size_bytes = 0;
    for i in 0..n {
        let name = fleet::name(i);
        let index = usize::try_from(partition_of(&name, n_partitions).0).expect("not negative");
        let value = fleet.snapshot(i);
        size_bytes += value.len();
        snapshots[index].push((state::service_key(&name), value));
    }
    let watch = Stopwatch::start();
    let mut partitions = Vec::new();
    for snapshots in &snapshots {
        let mut partition = Partition::default();
        partition.reserve(snapshots.len());
        for (key, value) in snapshots {
            fleet::put_back(&mut partition, key, value);
        }
        partitions.push(partition);
    }
    let took = watch.elapsed();
    assert_eq!(partitions.iter().map(Partition::n_services).sum::<usize>(), n);
    (took, size_bytes)
}
