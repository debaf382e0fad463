//! A partition's state, from its snapshots and the log.
//!
//! First the committed offset: asking for it waits for a former owner's pending transaction. Then the snapshots, to
//! their end. Then the log from where the partition's record says; what lies before its tail only primes the
//! duplicates. The rest of the log is read as ever: under the same version it has nothing to say.

use std::collections::HashMap;

use anyhow::{Context as _, bail};

use crate::{
    model::{Offset, PartitionIndex, Timestamp},
    score::{ChangePage, Fleet, Image, Partition, Service},
    stream::{Header, Identity, Reader, TopicPartition},
    wire::state::{self, Snapshot},
};

/// A partition put back, and where to go on.
pub(crate) struct Restored {
    pub(crate) state: Partition,
    /// Where to read the log from.
    pub(crate) from: Offset,
    /// Entries before this only prime the duplicates.
    pub(crate) tail: Offset,
    /// Up to here the log held what a former owner may have spoken of already.
    pub(crate) told: Offset,
    /// The log's end when it was restored: until there, it is not what a former owner had.
    pub(crate) end: Offset,
    pub(crate) n_snapshots: usize,
    /// When a former owner last moved the tail, by its clock.
    pub(crate) checkpointed_at: Option<Timestamp>,
    /// Which topic the log is, where that is known.
    pub(crate) log: Option<Identity>,
}

/// Restores the partition `events` of the log, whose snapshots are in the partition `snapshots` of the state topic.
pub(crate) fn restore(
    reader: &mut dyn Reader,
    events: &TopicPartition,
    snapshots: &TopicPartition,
    n_partitions: u32,
) -> anyhow::Result<Restored> {
    // Before all that is read of it: of a log that is made anew in between, the next restore knows that it is.
    let log = reader
        .identity(&events.topic)
        .context("asking which topic the log is")?;
    let committed = reader.committed(events).context("asking for the committed offset")?;
    let latest = latest(reader, snapshots)?;
    if let (Some(former), Some(log)) = (&latest.log, &log)
        && former.is_another(log)
    {
        bail!("{events} was deleted and made again, and the state is of the former");
    }
    let (first, end) = reader.bounds(events).context("asking for the log's bounds")?;
    let n_snapshots = latest.by_key.len();
    let Decoded {
        image,
        services,
        pages,
        fleet,
    } = decode(latest.by_key)?;
    let (mut state, prime, tail) = match image {
        Some(image) => {
            if image.n_partitions != n_partitions {
                bail!(
                    "the log has {n_partitions} partitions and its state was written for {}: the count is fixed at creation",
                    image.n_partitions
                );
            }
            let (prime, tail) = (image.prime, image.tail);
            (Partition::from_image(*image), prime, tail)
        }
        None => (Partition::default(), first, first),
    };
    let covered = services.iter().map(|(_, covered)| covered.next());
    let known_end = covered.chain(committed).fold(tail, Offset::max);
    if known_end > end {
        bail!("state covers the log up to {known_end}, and the log ends at {end}: {events} has lost its end");
    }
    put_back(&mut state, services, pages)?;
    if let Some((fleet, covered)) = fleet {
        state.put_back_fleet(*fleet, Some(covered));
    }
    if tail < first {
        super::books::lost(
            events,
            first.0 - tail.0,
            "the log's tail was deleted before it was snapshotted",
        );
    }
    Ok(Restored {
        state,
        from: prime.max(first),
        tail: tail.max(first),
        told: committed.unwrap_or(tail),
        end,
        n_snapshots,
        checkpointed_at: latest.checkpointed_at,
        log,
    })
}

/// A partition's snapshots, by what they are of.
#[derive(Default)]
struct Decoded {
    image: Option<Box<Image>>,
    services: Vec<(Box<Service>, Offset)>,
    pages: HashMap<Box<str>, Vec<ChangePage>>,
    fleet: Option<(Box<Fleet>, Offset)>,
}

fn decode(by_key: HashMap<Vec<u8>, Vec<u8>>) -> anyhow::Result<Decoded> {
    let mut decoded = Decoded::default();
    for (key, value) in by_key {
        match state::decode(&key, &value)? {
            Snapshot::Service { service, covered } => decoded.services.push((service, covered)),
            Snapshot::Changes { service, page } => decoded.pages.entry(service).or_default().push(page),
            Snapshot::Fleet { fleet, covered } => decoded.fleet = Some((fleet, covered)),
            Snapshot::Partition(image) => decoded.image = Some(image),
        }
    }
    Ok(decoded)
}

/// Puts services back, each with its pages.
fn put_back(
    state: &mut Partition,
    mut services: Vec<(Box<Service>, Offset)>,
    mut pages: HashMap<Box<str>, Vec<ChangePage>>,
) -> anyhow::Result<()> {
    // The order of a hash map must reach no output: services are put back in the order of their names.
    services.sort_by(|(a, _), (b, _)| a.name().cmp(b.name()));
    state.reserve(services.len());
    for (mut service, covered) in services {
        for page in pages.remove(service.name().as_str()).unwrap_or_default() {
            service.lay_in(page);
        }
        if let Some(page) = service.missing_page() {
            bail!("the state lacks page {page} of the changes of {}", service.name());
        }
        state.put_back(*service, covered);
    }
    Ok(())
}

/// What the state topic holds of a partition.
#[derive(Default)]
struct Latest {
    /// The newest value of each key.
    by_key: HashMap<Vec<u8>, Vec<u8>>,
    /// When the partition's own record was written.
    checkpointed_at: Option<Timestamp>,
    /// Which topic the log was that it is of.
    log: Option<Identity>,
}

fn latest(reader: &mut dyn Reader, snapshots: &TopicPartition) -> anyhow::Result<Latest> {
    let partition_key = state::partition_key(snapshots.partition);
    let mut latest = Latest::default();
    reader
        .read(snapshots, None, &mut |record| {
            let Some(key) = record.key else { return };
            if *key == *partition_key {
                latest.checkpointed_at = record.timestamp;
                latest.log = (record.headers)().iter().find_map(log_of);
            }
            match record.value {
                Some(value) => latest.by_key.insert(key.to_vec(), value.to_vec()),
                None => latest.by_key.remove(key),
            };
        })
        .context("reading the snapshots")?;
    Ok(latest)
}

fn log_of(header: &Header) -> Option<Identity> {
    let value = header.value.as_deref().filter(|_| *header.name == *state::HEADER_LOG)?;
    Identity::parse(std::str::from_utf8(value).ok()?)
}

/// The partition of `topic` beside that of the log.
pub(crate) fn beside(topic: &std::sync::Arc<str>, partition: PartitionIndex) -> TopicPartition {
    TopicPartition {
        topic: std::sync::Arc::clone(topic),
        partition,
    }
}
