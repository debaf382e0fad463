//! Which lines are told in two files.
//!
//! Of a line that names no source the file's name stands for it, so a copy in another file is another event: twice the
//! errors, twice the evidence, and no other figure says why. Files are merged by time, so copies come close together.
//!
//! **Invariant:** memory is bounded by [`REMEMBERED_MAX`] lines. Of a line that is not looked at nothing is remembered.

use super::latest::Latest;
use crate::model::{Event, EventHash, Timestamp};

/// One line of so many is looked at, by its hash: both copies are, or neither.
const SAMPLED: u64 = 16;
/// Lines remembered, the latest: as many as 130,000 that are told before their copies.
const REMEMBERED_MAX: usize = 8_192;

/// What a copy has in common with its original. Ids of two senders may be the same, hardly ever at the same instant.
type Identity = (EventHash, Timestamp);

#[derive(Debug)]
pub(super) struct Copies {
    /// In which file a line was told first.
    files: Latest<Identity, Box<str>>,
    n_found: u64,
    first: Option<Twice>,
}

/// An event that was told twice, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Twice {
    pub(super) service: Box<str>,
    pub(super) id: Box<str>,
    pub(super) files: [Box<str>; 2],
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            files: Latest::new(REMEMBERED_MAX),
            n_found: 0,
            first: None,
        }
    }
}

impl Copies {
    /// An event was told in `file`.
    pub(super) fn note(&mut self, event: &Event<'_>, file: &str) {
        if event.source != file {
            return;
        }
        let hash = EventHash::of(&event.service, event.kind().name(), &event.id);
        if !hash.0.is_multiple_of(SAMPLED) {
            return;
        }
        let identity = (hash, event.time);
        match self.files.get(identity) {
            Some(known) if **known != *file => {
                self.n_found += 1;
                self.first.get_or_insert_with(|| Twice {
                    service: (&*event.service).into(),
                    id: (&*event.id).into(),
                    files: [known.clone(), file.into()],
                });
            }
            Some(_) => {}
            None => self.files.remember(identity, || file.into()),
        }
    }

    /// About how many lines are copies, and the first that was found; `None` if none was.
    pub(super) fn found(&self) -> Option<(u64, &Twice)> {
        Some((self.n_found * SAMPLED, self.first.as_ref()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ingest::{self, Origin};

    fn tell(copies: &mut Copies, n: u32, file: &str) {
        let line = format!(r#"{{"kind":"error","id":"{n}","time":"2026-03-02T00:00:00Z","service":"cart"}}"#);
        let origin = Origin {
            topic: file,
            kind: None,
        };
        let event = ingest::decode(Some(line.as_bytes()), &origin, Timestamp::NEVER);
        copies.note(&event.expect("an event"), file);
    }

    #[test]
    fn the_latest_lines_are_remembered_and_no_more() {
        let mut copies = Copies::default();
        (0..150_000).for_each(|n| tell(&mut copies, n, "a"));
        (0..10_000).for_each(|n| tell(&mut copies, n, "b"));
        assert_eq!(copies.found(), None, "forgotten by then");
        (140_000..150_000).for_each(|n| tell(&mut copies, n, "b"));
        let (n, told) = copies.found().expect("copies");
        assert!((9_000..11_000).contains(&n), "{n}");
        assert_eq!(told.files, ["a".into(), "b".into()]);
    }
}
