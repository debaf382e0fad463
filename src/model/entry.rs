//! What the log holds: everything that ever moves state.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer};

use super::{Ask, Assistance, Body, Criticality, ErrorCount, EventHash, Kind, Mode, N_MEASURES, Timestamp, Told};

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

/// Error events of one service in one environment, within one grain of time, with none of its other events between
/// them. They may differ in count, in requests where all tell them, and in what makes a [`Variant`].
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
    /// What kinds of errors they are, packed; see [`Errors::variants`].
    #[serde(serialize_with = "as_bytes")]
    pub variants: &'a [u8],
    /// One [`Original`] per event, packed; see [`Errors::originals`].
    #[serde(serialize_with = "as_bytes")]
    pub originals: &'a [u8],
}

/// Variants of one entry, at most: a service fails in few ways at a time, and each is looked for among the others.
pub const VARIANTS_MAX: usize = 16;

/// In one piece, not byte by byte.
fn as_bytes<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

/// What combined errors may differ in besides their numbers: texts, or the bytes that they were packed as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant<T> {
    pub version: Option<T>,
    pub fingerprint: Option<T>,
    pub upstream: Option<T>,
}

impl<T> Default for Variant<T> {
    fn default() -> Self {
        Self {
            version: None,
            fingerprint: None,
            upstream: None,
        }
    }
}

impl<'a> Variant<&'a str> {
    /// The same as they are told in an event.
    #[must_use]
    pub fn of(count: &'a ErrorCount<'_>) -> Self {
        Self {
            version: count.version.as_deref(),
            fingerprint: count.fingerprint.as_deref(),
            upstream: count.upstream.as_deref(),
        }
    }

    fn texts(self) -> [Option<&'a str>; 3] {
        [self.version, self.fingerprint, self.upstream]
    }

    /// Appends the packed form: of each text its length and one, or 0 where there is none, then itself.
    pub fn pack(self, bytes: &mut Vec<u8>) {
        for text in self.texts() {
            pack_number(text.map_or(0, |text| length(text) + 1), bytes);
            bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
        }
    }
}

fn length(text: &str) -> u64 {
    u64::try_from(text.len()).expect("a length fits in 64 bits")
}

/// Reads packed variants. Their bytes are not looked at: texts are told apart by hashes, and whoever reads one sees
/// whether it is any.
#[derive(Debug, Clone)]
pub struct Variants<'a> {
    packed: Packed<'a>,
}

impl<'a> Iterator for Variants<'a> {
    type Item = Variant<&'a [u8]>;
    fn next(&mut self) -> Option<Variant<&'a [u8]>> {
        let mut variant = Variant::default();
        for text in [&mut variant.version, &mut variant.fingerprint, &mut variant.upstream] {
            self.packed.text(text)?;
        }
        Some(variant)
    }
}

/// Bytes that were packed, from the front.
#[derive(Debug, Clone)]
struct Packed<'a> {
    bytes: &'a [u8],
}

impl<'a> Packed<'a> {
    #[inline]
    fn number(&mut self) -> Option<u64> {
        let (mut number, mut shift) = (0_u64, 0);
        while shift < u64::BITS {
            let (byte, rest) = self.bytes.split_first()?;
            self.bytes = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
            shift += 7;
        }
        None
    }

    /// Reads a text, or that there is none, into `text`. `None`: these are no packed bytes.
    fn text(&mut self, text: &mut Option<&'a [u8]>) -> Option<()> {
        let Some(length) = self.number()?.checked_sub(1) else {
            *text = None;
            return Some(());
        };
        let (bytes, rest) = self.bytes.split_at_checked(usize::try_from(length).ok()?)?;
        self.bytes = rest;
        *text = Some(bytes);
        Some(())
    }
}

/// What one of several combined errors was, so that a duplicate can be taken out again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Original {
    pub hash: EventHash,
    /// Which of the entry's variants it is.
    pub variant: u8,
    /// See [`ErrorCount::is_storm`].
    pub is_storm: bool,
    pub errors: u64,
    pub requests: Option<u64>,
}

impl Original {
    /// Appends the packed form: the hash, the variant with a mark of a storm, then the counts with as many bytes as they
    /// need.
    pub fn pack(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(&self.hash.0.to_le_bytes());
        bytes.push(self.variant | if self.is_storm { STORM } else { 0 });
        pack_number(self.errors, bytes);
        pack_number(self.requests.map_or(0, |requests| requests.saturating_add(1)), bytes);
    }
}

/// Marks the packed variant of a storm: there are at most [`VARIANTS_MAX`] variants.
const STORM: u8 = 0x80;

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
        Originals {
            packed: Packed { bytes: self.originals },
        }
    }

    /// The variants there are among them, in order of their first arrival; at most [`VARIANTS_MAX`]. Ends early at bytes
    /// that are no packed variant.
    #[must_use]
    pub fn variants(&self) -> Variants<'a> {
        Variants {
            packed: Packed { bytes: self.variants },
        }
    }
}

/// Reads packed originals.
#[derive(Debug, Clone)]
pub struct Originals<'a> {
    packed: Packed<'a>,
}

impl Iterator for Originals<'_> {
    type Item = Original;
    fn next(&mut self) -> Option<Original> {
        let (hash, rest) = self.packed.bytes.split_first_chunk::<8>()?;
        let (variant, rest) = rest.split_first()?;
        self.packed.bytes = rest;
        let errors = self.packed.number()?;
        let requests = self.packed.number()?.checked_sub(1);
        Some(Original {
            hash: EventHash(u64::from_le_bytes(*hash)),
            variant: *variant & !STORM,
            is_storm: *variant & STORM != 0,
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
    /// An error budget that is being spent too fast, or is spent.
    Burn,
}

/// What fails as one: a deploy whose changes are all of one class, or one change of any other deploy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lot {
    pub ai: Assistance,
    /// To the second.
    pub deployed_at: Timestamp,
    pub n_changes: u8,
}

/// Ages of what was deployed are told apart by which of so many stretches they are in.
pub const N_AGES: usize = 8;

/// Λ = −Σ ln(1 − p) of what a service had at risk with a lot that failed, itself among it, by age.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Rivals {
    /// Of changes without AI.
    pub human: [f32; N_AGES],
    /// Of changes that AI had a part in.
    pub ai: [f32; N_AGES],
    /// Of the lot that failed.
    pub age: u8,
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
    /// A deploy is watched from here on; with it goes what windows without a deploy have shown since the last.
    Watched(Watched),
    /// The loss of a change of a tier, at the reference rate of incidents.
    Loss { tier: Criticality, loss: f64 },
    /// An approval with a known level was seen.
    Approved { at: Timestamp },
    /// A change caused an incident, and others of its service that landed about then did not, as far as is known.
    Verdict {
        /// The chance that it was this change, of those of a deploy.
        share: f32,
        guilty: Trace,
        beside: Vec<Trace>,
        /// Whether it came soon enough to count for the rate of incidents.
        is_timely: bool,
    },
    /// What the fleet has learned, to every partition.
    Bulletin(Box<Bulletin>),
    /// `caller` calls `service`, or no longer does.
    Calls {
        #[serde(borrow)]
        service: Cow<'a, str>,
        #[serde(borrow)]
        caller: Cow<'a, str>,
        calls: bool,
        /// The caller's share of the fleet's traffic.
        share: f32,
        /// The sum of the shares of those that call the caller.
        beyond: f32,
        /// Whether the callee is to tell its own callees, if the shares of its callers have changed by it.
        goes_on: bool,
    },
    /// A deploy brought so many changes without AI, with it, and of which that was not told. None was deployed before.
    Deployed { at: Timestamp, n_changes: [u32; 3] },
    /// A lot failed that was at risk.
    Failed { lot: Lot, rivals: Rivals },
    /// A lot is at risk no more, and did not fail as far as is counted.
    Left { lot: Lot },
    #[serde(borrow)]
    Ask(Ask<'a>),
    #[serde(borrow)]
    Told(Told<'a>),
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
            Self::Presence { .. }
            | Self::Propose { .. }
            | Self::Watched(_)
            | Self::Loss { .. }
            | Self::Approved { .. }
            | Self::Verdict { .. }
            | Self::Deployed { .. }
            | Self::Failed { .. }
            | Self::Left { .. } => Recipient::Fleet,
            Self::Answer { service, .. }
            | Self::Calls { service, .. }
            | Self::Ask(Ask { service, .. })
            | Self::Told(Told { service, .. }) => Recipient::Service(service),
            Self::Bulletin(_) => Recipient::EveryPartition,
        }
    }
}

/// What every partition knows of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Bulletin {
    /// Per tier, low to critical: the loss above which risk alone asks for extra review; `None` before 50 changes.
    pub losses: [Option<f64>; 4],
    /// Per tier: the median loss, up to which a change is among the harmless half; `None` before 50 changes.
    pub medians: [Option<f64>; 4],
    /// How much likelier AI-assisted changes fail than others of the same service and risk, once even the lower end of what
    /// is known is above 1.
    pub ai_multiplier: Option<f64>,
    /// When an approval with a known level was last seen anywhere.
    pub approved_at: Option<Timestamp>,
    /// What the fleet has learned of commit risk; `None` before its first verdict.
    pub weights: Option<RiskWeights>,
    /// The odds that a change of average measures causes an incident, in the fleet; `None` before any was told.
    pub incident_odds: Option<f32>,
    /// The same of incidents as they came, without what is believed before any; `None` before the first.
    pub incident_odds_seen: Option<f32>,
    /// What evidence is weighed by.
    pub calibration: Calibration,
}

/// What a change was like when it landed, in 64 bits: so that thousands can be kept until one is known to have caused
/// an incident. What the bits mean is score's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace(pub u64);

/// Weights of commit risk, in logits, per measure in the order of [`super::MEASURE_NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RiskWeights {
    /// Of z, how many standard deviations a measure is from its service's mean.
    pub linear: [f32; N_MEASURES],
    /// Of z² − 1, z within ±3.
    pub square: [f32; N_MEASURES],
}

/// What the fleet is told of a deploy whose watch begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    pub tier: Criticality,
    pub mode: Mode,
    /// The chance that one of its changes causes an incident.
    pub prior: f64,
    /// Which of [`RATE_CLASSES`] the service's errors fall into.
    pub rate_class: u8,
    /// Bins of the greatest evidence in windows without a deploy.
    pub windows: Vec<u8>,
}

/// Classes of errors a minute: below .1, 1, 10, 100, 1,000, and above.
pub const RATE_CLASSES: usize = 6;

/// What the fleet has counted of watches, and of windows without a deploy.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Calibration {
    /// Watches a week, in shadow and enforced; `None` before the first.
    pub watches_per_week: [Option<f32>; 2],
    /// The mean chance of an incident over the last watches, at the rate of incidents that is told; 0 before the first.
    pub mean_prior: f32,
    /// Per tier, low to critical, and class: how great the evidence becomes for no reason.
    pub tails: [[Tail; RATE_CLASSES]; 4],
    /// When three services last alarmed within a quarter of an hour.
    pub shared_alarm_at: Option<Timestamp>,
}

/// The tail of the greatest ln E of healthy windows: P(max ln E > u + y) = .1 e^(−y/excess).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Tail {
    /// Windows it was learned from.
    pub n: f32,
    /// The .9 quantile.
    pub u: f32,
    /// The mean excess over it.
    pub excess: f32,
}

impl Default for Tail {
    /// What Ville's inequality promises: P(max E > q) ≤ 1/q.
    fn default() -> Self {
        Self {
            n: 0.0,
            u: std::f32::consts::LN_10,
            excess: 1.0,
        }
    }
}
