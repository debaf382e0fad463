//! Which events of late were seen already.
//!
//! A window over the log: the last [`WINDOW_HASHES_MAX`] identities, none older than 10 minutes, duplicates
//! included. So whether an event is a duplicate is a function of the log's last stretch alone, and reading that
//! stretch again (priming) gives the same answers.

use std::{collections::VecDeque, time::Duration};

use foldhash::{HashMap, HashMapExt};

use crate::model::{EventHash, Offset, Timestamp};

/// Identities remembered per log partition: 10 minutes of 430 events a second, in about 12 MiB.
pub const WINDOW_HASHES_MAX: usize = 1 << 18;
/// How long an identity is remembered.
const WINDOW: Duration = Duration::from_mins(10);

#[derive(Debug, Default)]
pub(crate) struct Window {
    /// In order of arrival: identity, and the log record it came in.
    arrivals: VecDeque<(EventHash, RecordPlace)>,
    /// Arrivals ever.
    n_arrived: u64,
    /// For each identity in the window, the number of its last arrival.
    last: HashMap<EventHash, u64>,
    newest: Option<Timestamp>,
}

/// Where in the log, and when it was written, by the writer's wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordPlace {
    pub(crate) offset: Offset,
    pub(crate) written_at: Timestamp,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self {
            arrivals: VecDeque::new(),
            n_arrived: 0,
            last: HashMap::new(),
            newest: None,
        }
    }

    /// Takes in one arrival; says whether it was seen before.
    pub(crate) fn is_duplicate(&mut self, hash: EventHash, place: RecordPlace) -> bool {
        // Writers' clocks differ a little: the window's edge never moves back.
        let newest = self
            .newest
            .map_or(place.written_at, |newest| newest.max(place.written_at));
        self.newest = Some(newest);
        let oldest = newest - WINDOW;
        while self.arrivals.len() >= WINDOW_HASHES_MAX
            || self
                .arrivals
                .front()
                .is_some_and(|(_, place)| place.written_at < oldest)
        {
            self.drop_oldest();
        }
        self.arrivals.push_back((
            hash,
            RecordPlace {
                written_at: newest,
                ..place
            },
        ));
        self.n_arrived += 1;
        self.last.insert(hash, self.n_arrived).is_some()
    }

    fn drop_oldest(&mut self) {
        let number = self.n_arrived + 1 - u64::try_from(self.arrivals.len()).unwrap_or(u64::MAX);
        if let Some((hash, _)) = self.arrivals.pop_front()
            && self.last.get(&hash) == Some(&number)
        {
            self.last.remove(&hash);
        }
    }

    /// Where priming has to begin to have this window again: `None` while it is empty.
    pub(crate) fn oldest_offset(&self) -> Option<Offset> {
        self.arrivals.front().map(|(_, place)| place.offset)
    }

    /// How far back it reaches.
    pub(crate) fn span(&self) -> Duration {
        match (self.arrivals.front(), self.newest) {
            // Below its bounds it reaches as far back as it is meant to.
            (Some((_, oldest)), Some(newest)) if self.arrivals.len() >= WINDOW_HASHES_MAX => {
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
    fn it_holds_no_more_than_its_bound_however_many_come() {
        let mut window = Window::new();
        let n = u64::try_from(WINDOW_HASHES_MAX).expect("small");
        for i in 0..n * 2 {
            assert!(!window.is_duplicate(EventHash(i), place(i64::try_from(i).expect("small"), 0)));
        }
        assert_eq!(
            (window.arrivals.len(), window.last.len()),
            (WINDOW_HASHES_MAX, WINDOW_HASHES_MAX)
        );
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
