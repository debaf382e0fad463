//! Numbers with a meaning, so that one cannot be given where another is meant.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number outside the range its type stands for.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{value} is not within 0 to 1")]
pub struct OutOfRange {
    pub value: f64,
}

/// A share or probability: finite, 0 ≤ x ≤ 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct UnitInterval(f64);

impl UnitInterval {
    pub const ZERO: Self = Self(0.0);
    pub const ONE: Self = Self(1.0);

    /// Refuses NaN and what lies outside 0 to 1.
    pub fn new(value: f64) -> Result<Self, OutOfRange> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(OutOfRange { value })
        }
    }

    /// The nearest share: NaN becomes 0.
    #[must_use]
    pub fn clamped(value: f64) -> Self {
        Self(if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) })
    }

    /// Rounded to 1e-6, as on the wire: decisions compare this value, so that two machines cannot disagree in the
    /// last bit.
    #[must_use]
    pub fn rounded(self) -> Self {
        Self((self.0 * 1e6).round() / 1e6)
    }

    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for UnitInterval {
    type Error = OutOfRange;
    fn try_from(value: f64) -> Result<Self, OutOfRange> {
        Self::new(value)
    }
}

impl From<UnitInterval> for f64 {
    fn from(share: UnitInterval) -> Self {
        share.0
    }
}

/// A place in a partition, as Kafka counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Offset(pub i64);

impl Offset {
    /// The offset after this one: where reading goes on.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Which partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PartitionIndex(pub i32);

/// The place of a decision among those of its subject; the first is 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

macro_rules! display {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}
display!(Offset, PartitionIndex, Sequence, UnitInterval);
