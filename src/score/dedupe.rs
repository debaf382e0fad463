//! Which events of late were seen already.
//!
//! A window over the log: the last [`WINDOW_HASHES_MAX`] identities, none older than 10 minutes, duplicates
//! included. So whether an event is a duplicate is a function of the log's last stretch alone, and reading that
//! stretch again (priming) gives the same answers.

mod last;

use std::{collections::VecDeque, time::Duration};

use self::last::Last;
use crate::model::{EventHash, Offset, Timestamp};

/// Identities remembered per log partition: 10 minutes of 430 events a second, in about 4 MiB.
pub const WINDOW_HASHES_MAX: usize = 1 << 18;
/// How long an identity is remembered.
const WINDOW: Duration = Duration::from_mins(10);

#[derive(Debug, Default)]
pub(crate) struct Window {
    arrivals: Arrivals,
    /// The records they came in, each with how many of `arrivals`.
    records: VecDeque<(RecordPlace, u32)>,
    last: Last,
    newest: Option<Timestamp>,
}

/// The identities in the window in the order of their arrival, which are numbered from 1.
#[derive(Debug)]
struct Arrivals {
    identities: VecDeque<EventHash>,
    /// The number of the oldest.
    first: u32,
}

/// Where in the log, and when it was written: by the broker's clock, or the writer's where the topic keeps that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordPlace {
    pub(crate) offset: Offset,
    pub(crate) written_at: Timestamp,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            identities: VecDeque::new(),
            first: 1,
        }
    }
}

impl Arrivals {
    /// Whether the arrival of that number is in the window and of that identity.
    fn is(&self, number: u32, hash: EventHash) -> bool {
        let place = number.checked_sub(self.first).map(usize::try_from);
        matches!(place, Some(Ok(place)) if self.identities.get(place) == Some(&hash))
    }

    /// Takes in one; returns its number. `None`: no number is left, and nothing is taken in.
    fn push(&mut self, hash: EventHash) -> Option<u32> {
        let number = self.first.checked_add(u32::try_from(self.identities.len()).ok()?)?;
        self.identities.push_back(hash);
        Some(number)
    }

    fn pop(&mut self) {
        if self.identities.pop_front().is_some() {
            self.first += 1;
        }
    }

    fn numbered(&self) -> impl Iterator<Item = (u32, EventHash)> {
        (self.first..).zip(self.identities.iter().copied())
    }
}

impl Window {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Takes in one arrival; says whether it was seen before.
    pub(crate) fn is_duplicate(&mut self, hash: EventHash, place: RecordPlace) -> bool {
        // Clocks differ a little, those of brokers too: the window's edge never moves back.
        let newest = self
            .newest
            .map_or(place.written_at, |newest| newest.max(place.written_at));
        self.newest = Some(newest);
        let oldest = newest - WINDOW;
        while self.arrivals.identities.len() >= WINDOW_HASHES_MAX
            || self.records.front().is_some_and(|(place, _)| place.written_at < oldest)
        {
            self.drop_oldest();
        }
        let place = RecordPlace {
            written_at: newest,
            ..place
        };
        match self.records.back_mut() {
            Some((last, n)) if *last == place => *n += 1,
            _ => self.records.push_back((place, 1)),
        }
        let number = self.arrivals.push(hash).unwrap_or_else(|| self.renumber(hash));
        self.last.note(hash, number, &self.arrivals)
    }

    fn drop_oldest(&mut self) {
        self.arrivals.pop();
        if let Some((_, n)) = self.records.front_mut() {
            *n -= 1;
            if *n == 0 {
                self.records.pop_front();
            }
        }
    }

    /// Takes in one after the last number there is: all are numbered anew, from 1.
    fn renumber(&mut self, hash: EventHash) -> u32 {
        self.arrivals.first = 1;
        self.last.rebuild(&self.arrivals);
        self.arrivals.push(hash).unwrap_or(0)
    }

    /// Where priming has to begin to have this window again: `None` while it is empty.
    pub(crate) fn oldest_offset(&self) -> Option<Offset> {
        self.records.front().map(|(place, _)| place.offset)
    }

    /// How far back it reaches.
    pub(crate) fn span(&self) -> Duration {
        match (self.records.front(), self.newest) {
            // Below its bounds it reaches as far back as it is meant to.
            (Some((oldest, _)), Some(newest)) if self.arrivals.identities.len() >= WINDOW_HASHES_MAX => {
                newest.since(oldest.written_at)
            }
            _ => WINDOW,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: i64, seconds: i64) -> RecordPlace {
        RecordPlace {
            offset: Offset(offset),
            written_at: Timestamp::from_millis(seconds * 1_000),
        }
    }

    #[test]
    fn an_identity_is_known_for_ten_minutes_after_its_last_arrival() {
        let mut window = Window::new();
        assert!(!window.is_duplicate(EventHash(1), place(0, 0)));
        assert!(window.is_duplicate(EventHash(1), place(1, 599)));
        assert!(
            window.is_duplicate(EventHash(1), place(2, 1_100)),
            "its second arrival counts"
        );
        assert!(!window.is_duplicate(EventHash(2), place(3, 1_200)));
        assert!(!window.is_duplicate(EventHash(1), place(4, 1_801)));
        assert_eq!(window.oldest_offset(), Some(Offset(4)));
    }

    #[test]
    fn arrivals_are_told_apart_when_no_number_is_left() {
        let mut window = Window::new();
        window.arrivals.first = u32::MAX - 2;
        let second = |n: u64| place(0, i64::try_from(n).expect("small"));
        for n in 0..10 {
            assert!(!window.is_duplicate(EventHash(n), second(n)));
        }
        for n in 0..10 {
            assert!(window.is_duplicate(EventHash(n), second(10 + n)));
        }
        // The first arrivals of all are out of the window, and all are known by their second.
        for n in 0..10 {
            assert!(window.is_duplicate(EventHash(n), second(610)));
        }
        assert_eq!((window.arrivals.identities.len(), window.arrivals.first), (20, 11));
        assert!(!window.is_duplicate(EventHash(3), second(1_211)));
        assert_eq!(window.arrivals.identities.len(), 1);
    }

    #[test]
    fn it_holds_no_more_than_its_bound_however_many_come() {
        let mut window = Window::new();
        let n = u64::try_from(WINDOW_HASHES_MAX).expect("small");
        for i in 0..n * 2 {
            assert!(!window.is_duplicate(EventHash(i), place(i64::try_from(i).expect("small"), 0)));
        }
        assert_eq!(window.arrivals.identities.len(), WINDOW_HASHES_MAX);
        assert!(
            window.is_duplicate(EventHash(n + 1), place(0, 0)),
            "one makes place for each"
        );
        assert!(!window.is_duplicate(EventHash(n), place(0, 0)));
        assert_eq!(
            window.span(),
            Duration::ZERO,
            "it reaches back less than it is meant to"
        );
    }

    /// Reading again from the oldest offset kept gives the same answers for all that follows.
    #[test]
    fn priming_from_the_oldest_offset_gives_the_same_answers() {
        let arrivals: Vec<(u64, i64)> = (0..20_000_u64)
            .map(|i| (i * i % 4_001, i64::try_from(i / 10).expect("small")))
            .collect();
        let step = |window: &mut Window, i: usize| {
            let (hash, seconds) = arrivals[i];
            window.is_duplicate(EventHash(hash), place(i64::try_from(i).expect("small"), seconds))
        };
        let mut whole = Window::new();
        for i in 0..12_000 {
            step(&mut whole, i);
        }
        let from = usize::try_from(whole.oldest_offset().expect("not empty").0).expect("small");
        let mut primed = Window::new();
        for i in from..12_000 {
            step(&mut primed, i);
        }
        for i in 12_000..20_000 {
            assert_eq!(step(&mut whole, i), step(&mut primed, i), "arrival {i}");
        }
    }
}
