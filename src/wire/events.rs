//! `holdpoint.events`, the log: all entries of a transaction for one partition travel as one record.
//!
//! A record is a version byte and then entries in postcard's format, one behind the other. From the first release on, a
//! reader of a newer version keeps reading the older ones; an older reader refuses a newer record rather than guess.

use crate::model::Entry;

/// The version this program writes.
pub const VERSION: u8 = 7;

/// A record is closed before an entry that would make it longer than this, so that only a single entry may be: a policy,
/// or a commit with all its lists, which stay below the usual limit of 1 MiB by their own bounds.
pub const RECORD_BYTES_MAX: usize = 512 * 1024;

/// The header that says how many input records a record stands for.
pub const HEADER_INPUTS: &str = "hp_inputs";

/// Bytes that are no record of the log.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    #[error("empty record")]
    Empty,
    #[error("log version {version}; this program reads {VERSION}")]
    Version { version: u8 },
    #[error("broken entry")]
    Entry(#[source] postcard::Error),
}

/// Whether so many bytes more go into a record, or need one of their own.
#[must_use]
pub fn has_room(record: &[u8], n_bytes: usize) -> bool {
    record.len() <= 1 || record.len() + n_bytes <= RECORD_BYTES_MAX
}

/// Begins a record.
pub fn begin(bytes: &mut Vec<u8>) {
    bytes.clear();
    bytes.push(VERSION);
}

/// Appends one entry.
///
/// # Panics
/// Never for entries made by this crate: writing to memory cannot fail, and every part has a known length.
pub fn append(entry: &Entry<'_>, bytes: &mut Vec<u8>) {
    struct Appender<'a>(&'a mut Vec<u8>);
    impl Extend<u8> for Appender<'_> {
        fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
            self.0.extend(bytes);
        }
    }
    postcard::to_extend(entry, Appender(bytes)).expect("an entry has a serial form and memory takes it");
}

/// The entries of a record, in order.
pub fn entries(record: &[u8]) -> Result<Entries<'_>, Unreadable> {
    let (version, rest) = record.split_first().ok_or(Unreadable::Empty)?;
    if *version != VERSION {
        return Err(Unreadable::Version { version: *version });
    }
    Ok(Entries { rest })
}

/// Reads a record entry by entry, borrowing from it.
#[derive(Debug, Clone)]
pub struct Entries<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, Unreadable>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match postcard::take_from_bytes(self.rest) {
            Ok((entry, rest)) => {
                self.rest = rest;
                Some(Ok(entry))
            }
            Err(error) => {
                self.rest = &[];
                Some(Err(Unreadable::Entry(error)))
            }
        }
    }
}
