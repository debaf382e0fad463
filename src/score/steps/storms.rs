//! Clients that storm, in the open steps: a loop of one client is told of again and again, and stays one client.
//!
//! Of the records of one fingerprint and version in one step that are floods of a client or two ([`Original::is_storm`]), the
//! greatest counts and the others do not: they are taken for the same client, told of every ten seconds, or by several
//! instances. Where there are more than that explains they are many clients, and count: an outage in which everybody's
//! client loops, told client by client, must not vanish. A loop that goes on from one step into the next is the same client's,
//! and counts in the first of them.
//!
//! **Invariant:** while there is room for all of them, what a step counts is a function of the records in it and in the step
//! before, not of their order.

use serde::{Deserialize, Serialize};

use super::{Grain, versions::Version};
use crate::model::{Original, Variant, hash_bytes};

/// Clients told of a minute that may be one: five instances that tell every ten seconds.
const SAME_PER_MINUTE: u16 = 30;
/// Storms told apart in all open steps and the last closed one together; what others tell counts as it is told.
const KNOWN_MAX: usize = 8;

/// What records told of one storm: the most clients that one of them told of, and their sum over all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Storm {
    most: u8,
    sum: u16,
}

impl Storm {
    pub(super) fn note(&mut self, original: &Original) {
        self.join(Self {
            most: u8::try_from(original.errors).unwrap_or(u8::MAX),
            sum: u16::try_from(original.errors).unwrap_or(u16::MAX),
        });
    }

    fn join(&mut self, other: Self) {
        self.most = self.most.max(other.most);
        self.sum = self.sum.saturating_add(other.sum);
    }

    pub(super) fn is_none(self) -> bool {
        self.sum == 0
    }

    /// As how many errors it counts in a step.
    fn errors(self, grain: Grain) -> u64 {
        let minutes = u16::try_from(grain.millis() / 60_000).unwrap_or(u16::MAX);
        let beyond = self.sum.saturating_sub(SAME_PER_MINUTE.saturating_mul(minutes));
        u64::from(beyond.max(self.most.into()))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Known {
    /// Parts of the hashes of fingerprint and version, and of the version.
    kind: u16,
    version: u16,
    /// Of its [`Storm`].
    sum: u16,
    most: u8,
    /// Which of the eight open steps, or [`PAST`].
    slot: u8,
}

/// The step that closed last.
const PAST: u8 = u8::MAX;

/// Made with the first storm in an open step, and given up when a step without one has closed after the last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct Storms {
    known: [Known; KNOWN_MAX],
}

impl Storms {
    /// Takes in what an entry told of a storm in the open step `slot`, and says how many errors more that makes there.
    pub(super) fn book(&mut self, variant: Variant<&[u8]>, (slot, grain): (usize, Grain), told: Storm) -> u64 {
        let slot = narrow(slot);
        let kind = kind(variant);
        let place = self.known.iter().position(|known| known.is(kind, slot));
        let place = place.or_else(|| self.known.iter().position(|known| known.storm().is_none()));
        let Some(known) = place.and_then(|place| self.known.get_mut(place)) else {
            return u64::from(told.sum);
        };
        let before = known.storm();
        let mut storm = before;
        storm.join(told);
        *known = Known {
            kind,
            version: Version::of(variant.version).tag(),
            sum: storm.sum,
            most: storm.most,
            slot,
        };
        storm.errors(grain) - before.errors(grain)
    }

    /// The step `slot` is over, and the past one forgotten. Gives what was counted twice to `take_back`: the clients of the
    /// past step whose storm went on, and the tag of the version they were counted for. True: nothing is left.
    pub(super) fn close(&mut self, slot: usize, mut take_back: impl FnMut(u16, u32)) -> bool {
        let slot = narrow(slot);
        for past in self.known.iter().filter(|known| known.slot == PAST) {
            if let Some(known) = self.known.iter().find(|known| known.is(past.kind, slot)) {
                take_back(known.version, known.most.min(past.most).into());
            }
        }
        for known in &mut self.known {
            if known.slot == PAST {
                *known = Known::default();
            } else if known.slot == slot && !known.storm().is_none() {
                known.slot = PAST;
            }
        }
        self.known.iter().all(|known| known.storm().is_none())
    }
}

impl Known {
    fn storm(self) -> Storm {
        Storm {
            most: self.most,
            sum: self.sum,
        }
    }

    fn is(self, kind: u16, slot: u8) -> bool {
        !self.storm().is_none() && (self.kind, self.slot) == (kind, slot)
    }
}

/// One client's loop may reach two versions, and counts for each: which came first is no reason to blame one of them.
fn kind(
    Variant {
        version, fingerprint, ..
    }: Variant<&[u8]>,
) -> u16 {
    let hash = |text: Option<&[u8]>| text.map_or(0, hash_bytes);
    u16::try_from((hash(fingerprint) ^ hash(version).rotate_left(17)) >> 48).unwrap_or(u16::MAX)
}

fn narrow(slot: usize) -> u8 {
    u8::try_from(slot).unwrap_or(PAST - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventHash;

    /// A record of a storm that told of so many clients.
    fn told(clients: u64) -> Storm {
        let mut storm = Storm::default();
        storm.note(&Original {
            hash: EventHash(1),
            variant: 0,
            is_storm: true,
            errors: clients,
            requests: None,
        });
        storm
    }

    /// Fingerprint, open step and clients.
    type Record = (Option<&'static str>, usize, u64);

    fn variant(fingerprint: Option<&str>) -> Variant<&[u8]> {
        Variant {
            fingerprint: fingerprint.map(str::as_bytes),
            ..Variant::default()
        }
    }

    /// Records, then the errors that each step comes to.
    #[test]
    fn a_storm_counts_once_a_step_and_fingerprint_and_not_where_it_only_goes_on() {
        let one = Some("loop");
        let cases: [(&str, &[Record], [u64; 3]); 10] = [
            ("six records of one client", &[(one, 0, 1); 6], [1, 0, 0]),
            ("of two at most", &[(one, 0, 1), (one, 0, 2), (one, 0, 1)], [2, 0, 0]),
            (
                "of two fingerprints",
                &[(one, 0, 1), (Some("other"), 0, 1), (one, 0, 1)],
                [2, 0, 0],
            ),
            ("of none", &[(None, 0, 1), (None, 0, 2)], [2, 0, 0]),
            ("of a hundred clients", &[(one, 0, 1); 100], [70, 0, 0]),
            (
                "in three steps",
                &[(one, 0, 1), (one, 1, 1), (one, 0, 1), (one, 2, 1)],
                [1, 0, 0],
            ),
            (
                "joined by a second client",
                &[(one, 0, 1), (one, 1, 2), (one, 2, 2)],
                [1, 1, 0],
            ),
            ("with a step between", &[(one, 0, 1), (one, 2, 1)], [1, 0, 1]),
            (
                "and then of another fingerprint",
                &[(one, 0, 1), (Some("other"), 1, 1)],
                [1, 1, 0],
            ),
            (
                "and then many clients",
                &[&[(one, 0, 1)][..], &[(one, 1, 1); 100]].concat(),
                [1, 69, 0],
            ),
        ];
        for (name, records, errors) in cases {
            for turn in 0..records.len() {
                let mut turned = records.to_vec();
                turned.rotate_left(turn);
                let mut storms = Storms::default();
                let mut counted = [0; 3];
                for (fingerprint, slot, clients) in &turned {
                    counted[*slot] += storms.book(variant(*fingerprint), (*slot, Grain::ONE_MINUTE), told(*clients));
                }
                for (slot, counted) in counted.iter_mut().enumerate() {
                    storms.close(slot, |_version, errors| *counted -= u64::from(errors));
                }
                assert_eq!(counted, errors, "{name}, from {turn}");
                assert!(storms.close(3, |_, _| {}), "{name}: nothing is left");
            }
        }
    }

    #[test]
    fn what_is_past_makes_room_and_what_finds_none_counts_as_told() {
        let mut storms = Storms::default();
        let book = |storms: &mut Storms, name: usize, slot: usize| {
            storms.book(variant(Some(&name.to_string())), (slot, Grain::ONE_MINUTE), told(2))
        };
        let close = |storms: &mut Storms, slot: usize| storms.close(slot, |_, _| {});
        for name in 0..KNOWN_MAX {
            assert_eq!(book(&mut storms, name, name % 2), 2);
        }
        assert!(!close(&mut storms, 0));
        assert_eq!([book(&mut storms, 9, 2), book(&mut storms, 9, 2)], [2, 2], "no room");
        assert!(!close(&mut storms, 1));
        assert_eq!([book(&mut storms, 9, 2), book(&mut storms, 9, 2)], [2, 0], "room again");
        assert!(!close(&mut storms, 2) && close(&mut storms, 3), "nothing is left");
    }
}
