//! One file: its lines in their order, each with the place in time at which it arrives.
//!
//! A line arrives at the greatest time of its file so far. One that is far ahead of that moves it only if the next
//! line of the file that can be read confirms it: a clock gone wrong in one record must not make all that follows
//! late. What the file alone cannot tell, since no line follows, is left open for who knows the time of all files.

use std::{
    collections::VecDeque,
    io::{self, BufRead},
    rc::Rc,
    time::Duration,
};

use self_cell::self_cell;

use super::lines::{Found, Lines};
use crate::{
    ingest::{self, HeldAgainst, Origin, Reject},
    model::{Event, Timestamp},
};

/// How far ahead of the time so far a line may be without another one to confirm it.
pub(super) const MAX_AHEAD: Duration = Duration::from_mins(5);
/// How many lines are read ahead for one that can be read: bounds memory, since few files hold more garbage in a row.
const LOOK_AHEAD_MAX: usize = 64;

/// What a line is to the replay, before its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// An event of this time.
    Event(Timestamp),
    /// An event further ahead of its file's time than any before it, with no line after it: it counts if the time of all
    /// files says so.
    Alone(Timestamp),
    Rejected,
}

/// A line's bytes, with what its event's source is where it names none.
struct Line {
    file: Rc<str>,
    bytes: Vec<u8>,
    /// More than the bytes if it was cut.
    size_bytes: usize,
}

type Fate<'a> = Result<Event<'a>, Reject>;

self_cell!(
    /// A line and its event, which borrows from it.
    struct Decoded {
        owner: Line,
        #[covariant]
        dependent: Fate,
    }
);

/// A line that waits for its turn.
struct Pending {
    number: u64,
    decoded: Decoded,
    standing: Standing,
    /// Why it is refused though it can be read.
    future: Option<Reject>,
}

/// A file as it is merged.
pub(super) struct Source<'r> {
    pub(super) name: Rc<str>,
    lines: Lines<Box<dyn BufRead + 'r>>,
    pending: VecDeque<Pending>,
    spare: Vec<Vec<u8>>,
    /// The greatest time of the lines that had their turn.
    latest: Option<Timestamp>,
    /// The longest that one of them went ahead of those before: in a history of commits, nights and holidays.
    longest: Duration,
}

/// The line whose turn it is.
pub(super) struct Head<'a> {
    pub(super) number: u64,
    pub(super) event: Result<&'a Event<'a>, &'a Reject>,
    /// Far ahead, with no line after it to confirm its time.
    pub(super) is_alone: bool,
}

impl<'r> Source<'r> {
    pub(super) fn new(name: Box<str>, reader: Box<dyn BufRead + 'r>) -> Self {
        Self {
            name: name.into(),
            lines: Lines::new(reader),
            pending: VecDeque::new(),
            spare: Vec::new(),
            latest: None,
            longest: Duration::ZERO,
        }
    }

    pub(super) fn head(&self) -> Option<Head<'_>> {
        self.pending.front().map(|line| Head {
            number: line.number,
            event: match &line.future {
                Some(reject) => Err(reject),
                None => line.decoded.borrow_dependent().as_ref(),
            },
            is_alone: matches!(line.standing, Standing::Alone(_)),
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
            Standing::Rejected => latest,
        }))
    }

    /// The head had its turn.
    pub(super) fn pass(&mut self) {
        let Some(line) = self.pending.pop_front() else { return };
        if let Standing::Event(time) = line.standing {
            let ahead = self.latest.map_or(Duration::ZERO, |latest| time.since(latest));
            self.longest = self.longest.max(ahead);
            self.latest = self.latest.max(Some(time));
        }
        self.spare.push(line.decoded.into_owner().bytes);
    }

    /// Reads one line; false at the end.
    fn read(&mut self) -> io::Result<bool> {
        let mut bytes = self.spare.pop().unwrap_or_default();
        let Some(Found { number, size_bytes }) = self.lines.next(&mut bytes)? else {
            self.spare.push(bytes);
            return Ok(false);
        };
        let line = Line {
            file: Rc::clone(&self.name),
            bytes,
            size_bytes,
        };
        let mut decoded = Decoded::new(line, decode);
        let fate = decoded.borrow_dependent().as_ref();
        let standing = fate.map_or(Standing::Rejected, |event| Standing::Event(event.time));
        if standing == Standing::Rejected {
            decoded = without_bytes(decoded);
        }
        self.pending.push_back(Pending {
            number,
            decoded,
            standing,
            future: None,
        });
        Ok(true)
    }

    /// What the head is, after a look at the lines behind it where it is far ahead.
    fn judge(&mut self) -> io::Result<Standing> {
        let Some(head) = self.pending.front() else {
            return Ok(Standing::Rejected);
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
                Behind::Time(third, _) if third >= next => self.refuse(time, HeldAgainst::NextLine(next)),
                Behind::Time(..) | Behind::Unreadable | Behind::End => Standing::Event(time),
            },
            Behind::Time(..) | Behind::Unreadable => {
                let before = self.latest.map(HeldAgainst::LinesBefore);
                self.refuse(time, before.unwrap_or(HeldAgainst::Nothing))
            }
            Behind::End if self.latest.is_some_and(|latest| time <= latest + self.longest) => Standing::Event(time),
            Behind::End => Standing::Alone(time),
        })
    }

    /// The head can be read, and is out of time.
    fn refuse(&mut self, time: Timestamp, held: HeldAgainst) -> Standing {
        if let Some(head) = self.pending.front_mut() {
            head.future = Some(Reject::Unconfirmed { time, held });
        }
        Standing::Rejected
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

/// The event of a line, whatever its time; the file's name stands for its topic.
fn decode(line: &Line) -> Fate<'_> {
    if line.size_bytes > line.bytes.len() {
        return Err(Reject::TooLarge {
            size_bytes: line.size_bytes,
        });
    }
    let origin = Origin {
        topic: &line.file,
        kind: None,
    };
    ingest::decode(Some(&line.bytes), &origin, Timestamp::NEVER)
}

/// A refused line, which needs no bytes while it waits: many large ones in a row must not fill memory.
fn without_bytes(decoded: Decoded) -> Decoded {
    let reject = decoded.borrow_dependent().as_ref().err().cloned();
    let line = Line {
        bytes: Vec::new(),
        ..decoded.into_owner()
    };
    Decoded::new(line, |_| Err(reject.unwrap_or(Reject::Empty)))
}
