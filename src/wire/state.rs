//! `holdpoint.state`: compacted snapshots, each with the log offset it covers.
//!
//! A value is a version byte, then a postcard body. Keys are `service:<name>`, `changes:<page>:<service>`, `fleet` and
//! `partition:7`. A service's changes beyond the newest are in pages beside it, written in the same transaction whenever
//! they changed.

use serde::{Deserialize, Serialize};

use crate::{
    model::{Offset, PartitionIndex},
    score::{ChangePage, Fleet, Image, Service},
};

/// The version this program writes.
pub const VERSION: u8 = 17;
/// On a partition's record: which topic the log is that it is of, as a text that says so. Whoever does not know it goes by
/// the offsets alone.
pub const HEADER_LOG: &str = "hp_log";
const SERVICE_PREFIX: &str = "service:";
const CHANGES_PREFIX: &str = "changes:";
const FLEET_KEY: &str = "fleet";
const PARTITION_PREFIX: &str = "partition:";

/// One snapshot, read back.
#[derive(Debug)]
pub enum Snapshot {
    Service { service: Box<Service>, covered: Offset },
    Changes { service: Box<str>, page: ChangePage },
    Fleet { fleet: Box<Fleet>, covered: Offset },
    Partition(Box<Image>),
}

/// Bytes that are no snapshot of ours.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("snapshot under unknown key `{key}`")]
    Key { key: String },
    #[error("snapshot version {version}; this program reads {VERSION}")]
    Version { version: u8 },
    #[error("empty snapshot")]
    Empty,
    #[error("broken snapshot under `{key}`")]
    Body {
        key: String,
        #[source]
        source: postcard::Error,
    },
}

#[derive(Serialize)]
struct Covering<'a, T> {
    covered: Offset,
    state: &'a T,
}

#[derive(Deserialize)]
struct Covered<T> {
    covered: Offset,
    state: T,
}

#[must_use]
pub fn service_key(name: &str) -> Vec<u8> {
    format!("{SERVICE_PREFIX}{name}").into_bytes()
}

#[must_use]
pub fn changes_key(name: &str, page: u32) -> Vec<u8> {
    format!("{CHANGES_PREFIX}{page}:{name}").into_bytes()
}

#[must_use]
pub fn fleet_key() -> Vec<u8> {
    FLEET_KEY.as_bytes().to_vec()
}

#[must_use]
pub fn partition_key(partition: PartitionIndex) -> Vec<u8> {
    format!("{PARTITION_PREFIX}{partition}").into_bytes()
}

#[must_use]
pub fn encode_service(service: &Service, covered: Offset) -> Vec<u8> {
    encode(&Covering {
        covered,
        state: service,
    })
}

#[must_use]
pub fn encode_changes(page: &ChangePage) -> Vec<u8> {
    encode(page)
}

#[must_use]
pub fn encode_fleet(fleet: &Fleet, covered: Offset) -> Vec<u8> {
    encode(&Covering { covered, state: fleet })
}

#[must_use]
pub fn encode_partition(image: &Image) -> Vec<u8> {
    encode(image)
}

fn encode<T: Serialize>(state: &T) -> Vec<u8> {
    postcard::to_extend(state, vec![VERSION]).expect("state has a serial form and memory takes it")
}

/// Reads one record of the topic back.
pub fn decode(key: &[u8], value: &[u8]) -> Result<Snapshot, Unreadable> {
    let key = String::from_utf8_lossy(key);
    let (version, body) = value.split_first().ok_or(Unreadable::Empty)?;
    if *version != VERSION {
        return Err(Unreadable::Version { version: *version });
    }
    if key.starts_with(SERVICE_PREFIX) {
        let Covered { covered, state } = read::<Covered<Box<Service>>>(&key, body)?;
        Ok(Snapshot::Service {
            service: state,
            covered,
        })
    } else if let Some((_, service)) = key
        .strip_prefix(CHANGES_PREFIX)
        .and_then(|page_and_name| page_and_name.split_once(':'))
    {
        Ok(Snapshot::Changes {
            service: service.into(),
            page: read(&key, body)?,
        })
    } else if key == FLEET_KEY {
        let Covered { covered, state } = read::<Covered<Box<Fleet>>>(&key, body)?;
        Ok(Snapshot::Fleet { fleet: state, covered })
    } else if key.starts_with(PARTITION_PREFIX) {
        Ok(Snapshot::Partition(Box::new(read(&key, body)?)))
    } else {
        Err(Unreadable::Key { key: key.into_owned() })
    }
}

fn read<T: serde::de::DeserializeOwned>(key: &str, body: &[u8]) -> Result<T, Unreadable> {
    postcard::from_bytes(body).map_err(|source| Unreadable::Body {
        key: key.to_owned(),
        source,
    })
}
