//! One file: its lines in their order, each with the place in time at which it arrives.
//!
//! A line arrives at the greatest time of its file so far. One that is far ahead of that moves it only if the next
//! line of the file that can be read confirms it: a clock gone wrong in one record must not make all that follows
//! late. What the file alone cannot tell, since no line follows, is left open for who knows the time of all files.

use std::{
    collections::VecDeque,
    io::{self, BufRead},
    time::Duration,
};

use super::lines::{Found, Lines};
use crate::{
    ingest::{self, Origin, Reject},
    model::{Event, Timestamp},
};

/// How far ahead of the time so far a line may be without another one to confirm it.
pub(super) const MAX_AHEAD: Duration = Duration::from_mins(5);
/// How many lines are read ahead for one that can be read: bounds memory, since few files hold more garbage in a row.
const LOOK_AHEAD_MAX: usize = 64;

/// The reason of a line from the future.
pub(super) const IN_THE_FUTURE: &str = "in_the_future";

/// What is known of a line before its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// An event of this time.
    Event(Timestamp),
    /// An event far ahead of its file's time, with no line after it: it counts if the time of all files says so.
    Alone(Timestamp),
    /// Rejected, for this reason.
    Rejected(&'static str),
}

/// A line that waits for its turn.
struct Pending {
    number: u64,
    bytes: Vec<u8>,
    standing: Standing,
}

/// A file as it is merged.
pub(super) struct Source<'r> {
    pub(super) name: Box<str>,
    lines: Lines<Box<dyn BufRead + 'r>>,
    pending: VecDeque<Pending>,
    spare: Vec<Vec<u8>>,
    /// The greatest time of the lines that had their turn.
    latest: Option<Timestamp>,
}

/// The line whose turn it is.
pub(super) struct Head<'a> {
    pub(super) number: u64,
    pub(super) bytes: &'a [u8],
    pub(super) standing: Standing,
}

impl<'r> Source<'r> {
    pub(super) fn new(name: Box<str>, reader: Box<dyn BufRead + 'r>) -> Self {
        Self {
            name,
            lines: Lines::new(reader),
            pending: VecDeque::new(),
            spare: Vec::new(),
            latest: None,
        }
    }

    pub(super) fn head(&self) -> Option<Head<'_>> {
        self.pending.front().map(|line| Head {
            number: line.number,
            bytes: &line.bytes,
            standing: line.standing,
        })
    }

    /// When the next line arrives: the file's time with it. `None` at the end of the file.
    pub(super) fn arrives_at(&mut self) -> io::Result<Option<Timestamp>> {
        if self.pending.is_empty() && !self.read()? {
            return Ok(None);
        }
        let standing = self.judge()?;
        if let Some(head) = self.pending.front_mut() {
            head.standing = standing;
        }
        let latest = self.latest.unwrap_or(Timestamp::MIN);
        Ok(Some(match standing {
            Standing::Event(time) | Standing::Alone(time) => latest.max(time),
            Standing::Rejected(_) => latest,
        }))
    }

    /// The head had its turn.
    pub(super) fn pass(&mut self) {
        let Some(line) = self.pending.pop_front() else { return };
        if let Standing::Event(time) = line.standing {
            self.latest = self.latest.max(Some(time));
        }
        self.spare.push(line.bytes);
    }

    /// Reads one line; false at the end.
    fn read(&mut self) -> io::Result<bool> {
        let mut bytes = self.spare.pop().unwrap_or_default();
        let Some(found) = self.lines.next(&mut bytes)? else {
            self.spare.push(bytes);
            return Ok(false);
        };
        let standing = match self.decode(&bytes, found) {
            Ok(event) => Standing::Event(event.time),
            Err(reject) => Standing::Rejected(reject.reason()),
        };
        if matches!(standing, Standing::Rejected(_)) {
            bytes.clear();
        }
        self.pending.push_back(Pending {
            number: found.number,
            bytes,
            standing,
        });
        Ok(true)
    }

    fn decode<'a>(&'a self, bytes: &'a [u8], found: Found) -> Result<Event<'a>, Reject> {
        if found.size_bytes > bytes.len() {
            return Err(Reject::TooLarge {
                size_bytes: found.size_bytes,
            });
        }
        decode(bytes, &self.name)
    }

    /// What the head is, after a look at the lines behind it where it is far ahead.
    fn judge(&mut self) -> io::Result<Standing> {
        let Some(head) = self.pending.front() else {
            return Ok(Standing::Rejected(IN_THE_FUTURE));
        };
        let Standing::Event(time) = head.standing else {
            return Ok(head.standing);
        };
        if self.latest.is_some_and(|latest| time <= latest + MAX_AHEAD) {
            return Ok(head.standing);
        }
        Ok(match self.time_behind(0)? {
            Behind::Time(next, _) if next + MAX_AHEAD >= time => Standing::Event(time),
            // The first line has nothing to be ahead of. It is out of time if the lines behind it go on from earlier;
            // where they go back further, the file is the newest first, and is taken as it is.
            Behind::Time(next, place) if self.latest.is_none() => match self.time_behind(place)? {
                Behind::Time(third, _) if third >= next => Standing::Rejected(IN_THE_FUTURE),
                Behind::Time(..) | Behind::Unreadable | Behind::End => Standing::Event(time),
            },
            Behind::Time(..) | Behind::Unreadable => Standing::Rejected(IN_THE_FUTURE),
            Behind::End => Standing::Alone(time),
        })
    }

    /// The time of the first line behind place `from` that can be read.
    fn time_behind(&mut self, from: usize) -> io::Result<Behind> {
        for place in from + 1..=from + LOOK_AHEAD_MAX {
            while self.pending.len() <= place {
                if !self.read()? {
                    return Ok(Behind::End);
                }
            }
            if let Standing::Event(time) = self.pending[place].standing {
                return Ok(Behind::Time(time, place));
            }
        }
        Ok(Behind::Unreadable)
    }
}

/// What follows a line.
enum Behind {
    Time(Timestamp, usize),
    /// Nothing but lines that cannot be read, as far as was looked.
    Unreadable,
    End,
}

/// The event of a line, whatever its time; `file` stands for its topic.
pub(super) fn decode<'a>(bytes: &'a [u8], file: &'a str) -> Result<Event<'a>, Reject> {
    let origin = Origin {
        topic: file,
        kind: None,
    };
    ingest::decode(Some(bytes), &origin, Timestamp::NEVER)
}
