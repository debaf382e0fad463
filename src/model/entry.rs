//! What the log holds: everything that ever moves state.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::{Body, Criticality, EventHash, Kind, Mode, Timestamp};

/// The grain of an error's time in the log: every length of an evidence step is a multiple of it.
pub const ERROR_GRAIN_MS: i64 = 10_000;

/// One entry of a log partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Entry<'a> {
    /// Errors of one service that a step cannot tell apart.
    #[serde(borrow)]
    Errors(Errors<'a>),
    /// An event of any other kind.
    #[serde(borrow)]
    Event(Happened<'a>),
    #[serde(borrow)]
    Time(Tick<'a>),
    #[serde(borrow)]
    Policy(PolicyText<'a>),
    #[serde(borrow)]
    Message(Message<'a>),
}

/// Where an event came from: a record of a topic, or with partition −1 a line of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub offset: i64,
}

/// Error events that agree in every field but count and requests, within one grain of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Errors<'a> {
    pub service: &'a str,
    pub environment: &'a str,
    /// The start of the grain.
    pub time: Timestamp,
    /// Of the first of them.
    pub origin: Origin<'a>,
    /// The sum of the errors.
    pub errors: u64,
    /// The sum of the attempts; `None` where not told.
    pub requests: Option<u64>,
    /// The length of each event's interval; 0 for instants.
    pub interval_ms: u64,
    pub version: Option<&'a str>,
    pub fingerprint: Option<&'a str>,
    pub upstream: Option<&'a str>,
    /// One [`Original`] per event, packed; see [`Errors::originals`].
    pub originals: &'a [u8],
}

/// What one of several combined errors was, so that a duplicate can be taken out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original {
    pub hash: EventHash,
    pub errors: u64,
    pub requests: Option<u64>,
}

impl Original {
    /// Appends the packed form: the hash, then the counts with as many bytes as they need.
    pub fn pack(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.hash.0.to_le_bytes());
        pack_number(self.errors, bytes);
        pack_number(self.requests.map_or(0, |requests| requests.saturating_add(1)), bytes);
    }
}

fn pack_number(mut number: u64, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    bytes.push(u8::try_from(number).unwrap_or_default());
}

impl<'a> Errors<'a> {
    /// The events this entry stands for, in order of arrival. Ends early at bytes that are no packed original.
    #[must_use]
    pub fn originals(&self) -> Originals<'a> {
        Originals { bytes: self.originals }
    }
}

/// Reads packed originals.
#[derive(Debug, Clone)]
pub struct Originals<'a> {
    bytes: &'a [u8],
}

impl Originals<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

impl Iterator for Originals<'_> {
    type Item = Original;
    fn next(&mut self) -> Option<Original> {
        let (hash, rest) = self.bytes.split_first_chunk::<8>()?;
        self.bytes = rest;
        let errors = self.number()?;
        let requests = self.number()?.checked_sub(1);
        Some(Original {
            hash: EventHash(u64::from_le_bytes(*hash)),
            errors,
            requests,
        })
    }
}

/// One event that is not an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Happened<'a> {
    pub hash: EventHash,
    /// The event's id: overrides of one instant are ordered by it.
    pub id: &'a str,
    pub time: Timestamp,
    pub service: &'a str,
    pub environment: Option<&'a str>,
    /// What stands for no environment, as the instance that read the event is set.
    pub default_environment: &'a str,
    pub origin: Origin<'a>,
    #[serde(borrow)]
    pub body: Body<'a>,
}

impl Happened<'_> {
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.body.kind()
    }
}

/// What one ingest worker knows of time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tick<'a> {
    /// Its wall clock.
    pub wall: Timestamp,
    /// For each input partition it holds: no record before this is still to come.
    #[serde(borrow)]
    pub watermarks: Vec<Watermark<'a>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watermark<'a> {
    pub topic: &'a str,
    pub partition: i32,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyText<'a> {
    /// The order among policies: one lower than that in force is passed over.
    pub revision: i64,
    pub text: &'a str,
}

/// The ground of a freeze that needs a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Ground {
    Evidence,
    Incident,
}

/// What one state machine tells another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message<'a> {
    /// A service is to be counted as known in an environment, or no longer.
    Presence {
        #[serde(borrow)]
        service: Cow<'a, str>,
        #[serde(borrow)]
        environment: Cow<'a, str>,
        known: bool,
    },
    /// The condition for a freeze holds.
    Propose {
        #[serde(borrow)]
        service: Cow<'a, str>,
        #[serde(borrow)]
        environment: Cow<'a, str>,
        mode: Mode,
        ground: Ground,
    },
    /// What the fleet says to a proposal.
    Answer {
        #[serde(borrow)]
        service: Cow<'a, str>,
        #[serde(borrow)]
        environment: Cow<'a, str>,
        ground: Ground,
        granted: bool,
    },
    /// The loss of a change of a tier.
    Loss { tier: Criticality, loss: f64 },
    /// An approval with a known level was seen.
    Approved { at: Timestamp },
    /// What the fleet has learned, to every partition.
    Bulletin(Bulletin),
}

/// Who gets a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient<'a> {
    Fleet,
    Service(&'a str),
    EveryPartition,
}

impl Message<'_> {
    #[must_use]
    pub fn recipient(&self) -> Recipient<'_> {
        match self {
            Self::Presence { .. } | Self::Propose { .. } | Self::Loss { .. } | Self::Approved { .. } => {
                Recipient::Fleet
            }
            Self::Answer { service, .. } => Recipient::Service(service),
            Self::Bulletin(_) => Recipient::EveryPartition,
        }
    }
}

/// What every partition knows of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Bulletin {
    /// Per tier, low to critical: the loss above which risk alone asks for extra review; `None` before 50 changes.
    pub losses: [Option<f64>; 4],
    /// When an approval with a known level was last seen anywhere.
    pub approved_at: Option<Timestamp>,
}
