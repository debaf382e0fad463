//! The incidents of an environment: which are open, which may freeze it, and until when.

use std::{cmp::Reverse, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    model::{Incident, IncidentStatus, Second, Timestamp, short_hash},
    score::hold::SPEAKS_BEFORE,
};

/// Open incidents remembered; of those and the next the least is dropped, which may be the next itself.
const OPEN_MAX: usize = 3;
/// Resolved incidents remembered, so that their detection, read late or again, opens none.
const RESOLVED_MAX: usize = 4;
/// An incident freezes until it is resolved, and at most this long after its last event.
const OPEN_FOR_MAX: Duration = Duration::from_hours(4);
/// The severities that freeze: 1 is the worst.
const FREEZES_FROM: u8 = 2;

/// Most environments never have one, and then keep nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Incidents(Option<Box<Known>>);

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct Known {
    open: Vec<OpenIncident>,
    /// Hashes of their ids, and when they were resolved.
    resolved: Vec<(u32, Second)>,
    /// Until when the last of them lasted.
    over_at: Option<Second>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenIncident {
    pub(crate) incident_id: Box<str>,
    pub(crate) severity: u8,
    last_event: Second,
    pub(crate) granted: bool,
    pub(crate) withheld: bool,
    asked_at: Second,
}

/// What an incident event or the passing of time comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Nothing,
    /// A freeze is to be asked for.
    Asks,
    /// One that froze is over.
    Lifts,
}

impl OpenIncident {
    pub(crate) fn freezes_until(&self) -> Timestamp {
        self.last_event.start() + OPEN_FOR_MAX
    }

    fn may_freeze(&self) -> bool {
        self.severity <= FREEZES_FROM
    }

    /// When it is over unless it is told of again: what follows is said before the freeze runs out ([`SPEAKS_BEFORE`]).
    fn over_at(&self) -> Timestamp {
        self.freezes_until() - SPEAKS_BEFORE
    }

    /// It is to freeze from now on: with what `is_frozen` by another, or where the fleet grants it.
    fn freeze(&mut self, is_frozen: bool, now: Timestamp) -> Outcome {
        self.granted = is_frozen;
        self.asked_at = Second::of(now);
        if is_frozen { Outcome::Nothing } else { Outcome::Asks }
    }

    /// The greater, the sooner it is dropped.
    fn lowness(&self) -> (u8, Reverse<Second>) {
        (self.severity, Reverse(self.last_event))
    }
}

impl Incidents {
    pub(super) fn is_empty(&self) -> bool {
        self.open().is_empty()
    }

    /// Those open, in order of arrival.
    pub(crate) fn open(&self) -> &[OpenIncident] {
        self.0.as_ref().map_or(&[], |known| &known.open)
    }

    /// Those that may freeze, the one that decides first: one that was granted, then the most severe.
    pub(crate) fn grave(&self) -> Vec<&OpenIncident> {
        let mut grave: Vec<&OpenIncident> = self.open().iter().filter(|open| open.may_freeze()).collect();
        grave.sort_by_key(|open| (!open.granted, open.severity));
        grave
    }

    /// Whether one of them freezes.
    pub(crate) fn freeze(&self) -> bool {
        self.open().iter().any(|open| open.may_freeze() && open.granted)
    }

    /// Whether one was open during the step that begins at `start`: then it is not what is usual.
    pub(super) fn touch(&self, start: Timestamp) -> bool {
        let over_at = self.0.as_ref().and_then(|known| known.over_at);
        !self.is_empty() || over_at.is_some_and(|over_at| start < over_at.start())
    }

    /// An incident was detected, went on, or was resolved.
    pub(super) fn take(&mut self, incident: &Incident<'_>, time: Timestamp, now: Timestamp) -> Outcome {
        let known = self.0.get_or_insert_default();
        match incident.status {
            IncidentStatus::Resolved => known.resolve(&incident.incident_id, time),
            IncidentStatus::Detected => known.detect(incident, time, now),
        }
    }

    /// Lets go of those whose time is over.
    pub(super) fn end_old(&mut self, now: Timestamp) -> Outcome {
        self.0.as_mut().map_or(Outcome::Nothing, |known| known.end_old(now))
    }

    /// The fleet's answer for all that may freeze.
    pub(super) fn answer(&mut self, granted: bool) {
        let open = self.0.iter_mut().flat_map(|known| &mut known.open);
        for open in open.filter(|open| open.may_freeze()) {
            open.granted |= granted;
            open.withheld = !open.granted;
        }
    }

    /// Whether a freeze is to be asked for again; notes that it was.
    pub(super) fn ask_again(&mut self, now: Timestamp, every: Duration) -> bool {
        let mut waiting = self.open().iter().filter(|open| open.may_freeze() && !open.granted);
        let due = waiting.any(|open| now >= open.asked_at.start() + every);
        if due {
            for open in self.0.iter_mut().flat_map(|known| &mut known.open) {
                open.asked_at = Second::of(now);
            }
        }
        due
    }

    /// When time alone makes a difference next, asking again included.
    pub(super) fn next_deadline(&self, every: Duration) -> Timestamp {
        let ends = self.open().iter().map(OpenIncident::over_at);
        let asked = self.open().iter().filter(|open| open.may_freeze() && !open.granted);
        ends.chain(asked.map(|open| open.asked_at.start() + every))
            .fold(Timestamp::NEVER, Timestamp::min)
    }
}

impl Known {
    fn resolve(&mut self, incident_id: &str, time: Timestamp) -> Outcome {
        let hash = short_hash(incident_id);
        let known = self.resolved.iter().find(|(known, _)| *known == hash);
        // Words may come in any order: the latest by their own time count.
        let resolved_at = known.map_or(Second::of(time), |(_, at)| (*at).max(Second::of(time)));
        self.resolved.retain(|(known, _)| *known != hash);
        if self.resolved.len() >= RESOLVED_MAX {
            self.resolved.remove(0);
        }
        self.resolved.reserve_exact(1);
        self.resolved.push((hash, resolved_at));
        let is_meant = |open: &OpenIncident| *open.incident_id == *incident_id && open.last_event <= resolved_at;
        let Some(place) = self.open.iter().position(is_meant) else {
            return Outcome::Nothing;
        };
        self.over_at = self.over_at.max(Some(resolved_at));
        if self.open.remove(place).granted {
            Outcome::Lifts
        } else {
            Outcome::Nothing
        }
    }

    fn detect(&mut self, incident: &Incident<'_>, time: Timestamp, now: Timestamp) -> Outcome {
        let hash = short_hash(&incident.incident_id);
        let is_old = self
            .resolved
            .iter()
            .any(|(known, resolved_at)| *known == hash && Second::of(time) <= *resolved_at);
        // One that is over by now, as when a past is loaded, must not use up the fleet's grants.
        if is_old || time + OPEN_FOR_MAX <= now + SPEAKS_BEFORE {
            return Outcome::Nothing;
        }
        // One more where an incident freezes already goes on with that freeze: it is no new one to be granted.
        let is_frozen = self.open.iter().any(|open| open.may_freeze() && open.granted);
        let known = self
            .open
            .iter_mut()
            .find(|open| *open.incident_id == *incident.incident_id);
        if let Some(open) = known {
            let could = open.may_freeze();
            open.last_event = open.last_event.max(Second::of(time));
            open.severity = open.severity.min(incident.severity);
            let begins = open.may_freeze() && !could;
            return if begins {
                open.freeze(is_frozen, now)
            } else {
                Outcome::Nothing
            };
        }
        let mut open = OpenIncident {
            incident_id: incident.incident_id.as_ref().into(),
            severity: incident.severity,
            last_event: Second::of(time),
            granted: false,
            withheld: false,
            asked_at: Second::of(now),
        };
        if self.open.len() >= OPEN_MAX && !self.make_room(&open) {
            return Outcome::Nothing;
        }
        let outcome = if open.may_freeze() {
            open.freeze(is_frozen, now)
        } else {
            Outcome::Nothing
        };
        self.open.reserve_exact(1);
        self.open.push(open);
        outcome
    }

    /// Drops the least of those open, unless `newcomer` is less: one that may freeze is never dropped for one that may
    /// not, nor the more severe for the less. Of equals the one that freezes the shortest goes.
    fn make_room(&mut self, newcomer: &OpenIncident) -> bool {
        let least = (0..self.open.len()).rev().max_by_key(|place| {
            let open = &self.open[*place];
            (!open.may_freeze(), !open.granted, open.lowness())
        });
        let Some(least) = least.filter(|least| self.open[*least].lowness() >= newcomer.lowness()) else {
            return false;
        };
        self.open.remove(least);
        true
    }

    fn end_old(&mut self, now: Timestamp) -> Outcome {
        let mut outcome = Outcome::Nothing;
        for open in self.open.extract_if(.., |open| open.over_at() <= now) {
            self.over_at = self.over_at.max(Some(Second::of(open.over_at())));
            if open.granted {
                outcome = Outcome::Lifts;
            }
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_773_151_200_000);

    fn take(incidents: &mut Incidents, incident_id: &str, status: IncidentStatus, severity: u8) -> Outcome {
        let incident = Incident {
            incident_id: incident_id.into(),
            status,
            severity,
            caused_by: None,
        };
        let outcome = incidents.take(&incident, NOW, NOW);
        if outcome == Outcome::Asks {
            incidents.answer(true);
        }
        outcome
    }

    /// Those open after incidents of these severities, named by the order of their arrival.
    fn open_after(severities: &[u8]) -> (Incidents, String) {
        let mut incidents = Incidents::default();
        for (name, severity) in ["a", "b", "c", "d"].iter().zip(severities) {
            take(&mut incidents, name, IncidentStatus::Detected, *severity);
        }
        let open = incidents.open().iter().map(|open| &*open.incident_id);
        let open = open.collect();
        (incidents, open)
    }

    /// What is told of one incident, with when it happened; whether it is open after that, told in any order.
    #[test]
    fn the_latest_word_of_an_incident_counts_in_whatever_order_words_come() {
        use IncidentStatus::{Detected, Resolved};
        for (words, is_open) in [
            ([(Detected, 10), (Resolved, 20), (Detected, 30)], true),
            ([(Detected, 10), (Detected, 20), (Resolved, 30)], false),
            ([(Resolved, 5), (Detected, 10), (Resolved, 20)], false),
            ([(Detected, 10), (Resolved, 10), (Resolved, 5)], false),
        ] {
            for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                let mut incidents = Incidents::default();
                for (status, minute) in order.map(|place| words[place]) {
                    let incident = Incident {
                        incident_id: "a".into(),
                        status,
                        severity: 1,
                        caused_by: None,
                    };
                    incidents.take(&incident, NOW + Duration::from_mins(minute), NOW);
                }
                assert_eq!(!incidents.is_empty(), is_open, "{words:?} in order {order:?}");
            }
        }
    }

    #[test]
    fn one_incident_too_many_drops_the_least_be_it_the_newcomer() {
        for (severities, expected) in [
            ([1, 1, 1, 5], "abc"),
            ([2, 2, 2, 3], "abc"),
            ([4, 4, 3, 5], "abc"),
            ([1, 5, 1, 5], "acd"),
            ([1, 5, 1, 2], "acd"),
            ([4, 4, 4, 3], "bcd"),
            ([2, 2, 2, 1], "bcd"),
            ([1, 1, 1, 1], "bcd"),
            ([2, 1, 1, 2], "bcd"),
        ] {
            assert_eq!(open_after(&severities).1, expected, "{severities:?}");
        }
    }

    #[test]
    fn an_incident_that_freezes_outlives_a_newcomer_that_does_not() {
        let (mut incidents, _) = open_after(&[1, 1, 1, 5]);
        for name in ["b", "c", "d"] {
            take(&mut incidents, name, IncidentStatus::Resolved, 1);
        }
        let leading = incidents.grave()[0];
        assert_eq!((&*leading.incident_id, leading.granted), ("a", true));
        assert_eq!(take(&mut incidents, "a", IncidentStatus::Resolved, 1), Outcome::Lifts);
    }
}
