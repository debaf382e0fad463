//! A change in 64 bits, kept until it is known what came of it.
//!
//! Whether a change caused an incident is known days or months later, when the change itself is long forgotten. What
//! learning needs of it is little: each z to one of eight levels, how it was made, and enough of its sha to know it by.
//!
//! ```text
//! bits 63 … 47    46 … 43                       42            41 … 0
//!      tag of sha │ AI and the author's level │ revealed │ fourteen z, three bits each, the first in 2 … 0
//! ```
//!
//! One sha in 131,072 has the tag of another: of thousands of incidents about changes long forgotten, dozens would be put
//! down to recent ones, and the rate of incidents with them. So pages keep eight more bits of each beside its trace, and
//! what one in 33 million would still teach wrongly does not matter.

use serde::{Deserialize, Serialize};

use super::{Scaled, weights::square};
use crate::{
    model::{Assistance, Level, N_MEASURES, Trace},
    score::review::{TAG_BITS, Target},
};

/// What stands for z. Of a normal distribution rounded to these a thirtieth of the variance is lost; the upper end
/// reaches further, as large changes do.
const LEVELS: [f64; 8] = [-2.1, -1.25, -0.6, 0.0, 0.6, 1.25, 2.0, 2.8];
const LEVEL_BITS: u32 = 3;
const LEVEL_UNTOLD: u64 = 3;
const REVEALED_BIT: u32 = 42;
const MADE_BIT: u32 = 43;
const MADE_BITS: u32 = 4;
const TAG_BIT: u32 = 47;

// Each part begins where the one below it ends, and the tag ends with the number.
#[expect(clippy::as_conversions, clippy::cast_possible_truncation, reason = "fourteen")]
const _: () = assert!(
    REVEALED_BIT == N_MEASURES as u32 * LEVEL_BITS
        && MADE_BIT == REVEALED_BIT + 1
        && TAG_BIT == MADE_BIT + MADE_BITS
        && TAG_BIT + TAG_BITS == u64::BITS
);

/// How many features learning sees: z and square of each measure, AI, and the author's level.
pub(super) const N_FEATURES: usize = 2 * N_MEASURES + 2;
pub(super) const AI_FEATURE: usize = 2 * N_MEASURES;
pub(super) const LEVEL_FEATURE: usize = AI_FEATURE + 1;

/// How a change was made: what is learned beside the score and never in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Circumstances {
    pub(crate) ai: Assistance,
    pub(crate) author_level: Level,
}

impl Circumstances {
    /// One of fifteen.
    fn code(self) -> u64 {
        let ai = match self.ai {
            Assistance::Unknown => 0,
            Assistance::None => 1,
            Assistance::Assisted | Assistance::Authored => 2,
        };
        let level = match self.author_level {
            Level::Unknown => 0,
            Level::Junior => 1,
            Level::Mid => 2,
            Level::Senior => 3,
            Level::Staff => 4,
        };
        ai * 5 + level
    }
}

/// The trace of a change that landed.
pub(crate) fn pack(scaled: &Scaled, made: Circumstances, sha: Target) -> Trace {
    let mut bits = sha.tag_bits() << TAG_BIT | made.code() << MADE_BIT;
    for (i, z) in (0..).zip(scaled) {
        bits |= z.map_or(LEVEL_UNTOLD, nearest) << (LEVEL_BITS * i);
    }
    Trace(bits)
}

/// The level nearest to z, by its place.
fn nearest(z: f64) -> u64 {
    let middles = LEVELS.windows(2).map(|pair| f64::midpoint(pair[0], pair[1]));
    middles.filter(|middle| z > *middle).map(|_| 1_u64).sum()
}

/// Whether it may be the change with this sha.
pub(crate) fn is_of(trace: Trace, sha: Target) -> bool {
    trace.0 >> TAG_BIT == sha.tag_bits()
}

/// Whether the change is known to have caused an incident.
pub(crate) fn is_revealed(trace: Trace) -> bool {
    trace.0 >> REVEALED_BIT & 1 == 1
}

/// The same trace, of a change known to have caused an incident.
pub(crate) fn revealed(trace: Trace) -> Trace {
    Trace(trace.0 | 1 << REVEALED_BIT)
}

/// What learning sees of it. AI is ±½, a level a step of 1, about 0; unknown is 0 in both.
pub(super) fn features(trace: Trace) -> [f64; N_FEATURES] {
    let mut features = [0.0; N_FEATURES];
    for (i, bit) in (0..N_MEASURES).zip((0_u32..).step_by(3)) {
        let level = usize::try_from(trace.0 >> bit & 0b111).unwrap_or(0);
        let z = LEVELS[level];
        features[i] = z;
        features[N_MEASURES + i] = square(z);
    }
    let made = trace.0 >> MADE_BIT & ((1 << MADE_BITS) - 1);
    features[AI_FEATURE] = [0.0, -0.5, 0.5].get(place(made / 5)).copied().unwrap_or(0.0);
    features[LEVEL_FEATURE] = [0.0, -1.5, -0.5, 0.5, 1.5][place(made % 5)];
    features
}

fn place(code: u64) -> usize {
    usize::try_from(code).unwrap_or(0)
}
