//! Several files as one stream, by time.
//!
//! **Invariant:** of the lines next in their files, the one whose file's time is least comes first, then by the names
//! of the files. The order in which they were given plays no part.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fmt,
    io::{self, BufRead},
};

use super::source::Source;
use crate::{
    ingest::Reject,
    model::{Event, Timestamp},
};

/// A file to be read.
pub struct Input<'r> {
    /// Its name, as decisions cite it and as the source of events that name none.
    pub name: Box<str>,
    pub reader: Box<dyn BufRead + 'r>,
}

/// A file could not be read on.
#[derive(Debug, thiserror::Error)]
#[error("reading {file}")]
pub struct ReadError {
    pub file: Box<str>,
    #[source]
    pub source: io::Error,
}

/// The files, each at its next line.
pub struct Merge<'r> {
    sources: Vec<Source<'r>>,
    next: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The file whose line was handed out last.
    current: Option<usize>,
}

/// A line, in its turn.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    pub file: &'a str,
    /// From 1.
    pub line: u64,
    /// What it says, or why it is refused.
    pub event: Result<&'a Event<'a>, &'a Reject>,
    /// Far ahead of its file's time and the last of it: it counts if the time of all files has come as far.
    pub(super) is_alone: bool,
}

impl<'r> Merge<'r> {
    /// Reads the first line of each.
    pub fn new(inputs: Vec<Input<'r>>) -> Result<Self, ReadError> {
        let mut inputs = inputs;
        inputs.sort_by(|a, b| a.name.cmp(&b.name));
        let mut merge = Self {
            sources: inputs
                .into_iter()
                .map(|input| Source::new(input.name, input.reader))
                .collect(),
            next: BinaryHeap::new(),
            current: None,
        };
        for place in 0..merge.sources.len() {
            merge.line_up(place)?;
        }
        Ok(merge)
    }

    fn line_up(&mut self, place: usize) -> Result<(), ReadError> {
        let Some(source) = self.sources.get_mut(place) else {
            return Ok(());
        };
        match source.arrives_at() {
            Ok(Some(at)) => self.next.push(Reverse((at, place))),
            Ok(None) => {}
            Err(error) => {
                return Err(ReadError {
                    file: (&*source.name).into(),
                    source: error,
                });
            }
        }
        Ok(())
    }

    /// The next line of all; `None` at the end of all files.
    #[expect(
        clippy::should_implement_trait,
        reason = "what it gives borrows from it, which an iterator cannot say"
    )]
    pub fn next(&mut self) -> Result<Option<Arrival<'_>>, ReadError> {
        if let Some(place) = self.current.take() {
            if let Some(source) = self.sources.get_mut(place) {
                source.pass();
            }
            self.line_up(place)?;
        }
        let Some(Reverse((_, place))) = self.next.pop() else {
            return Ok(None);
        };
        self.current = Some(place);
        Ok(self.sources.get(place).and_then(|source| {
            source.head().map(|head| Arrival {
                file: &source.name,
                line: head.number,
                event: head.event,
                is_alone: head.is_alone,
            })
        }))
    }
}

impl fmt::Debug for Merge<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.sources.iter().map(|source| &source.name);
        f.debug_list().entries(names).finish()
    }
}

impl fmt::Debug for Input<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
