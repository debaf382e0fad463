//! The one reader of the wall clock.

use std::time::{Duration, Instant};

use crate::model::Timestamp;

/// A clock: the wall's, or one that starts where it is told and runs at a multiple of the wall's speed.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: Instant,
    start: Timestamp,
    rate: u32,
}

impl Clock {
    /// The wall clock.
    #[must_use]
    pub fn wall() -> Self {
        Self::compressed(wall_now(), 1)
    }

    /// Begins at `start`, and lets `rate` seconds pass in each second.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn compressed(start: Timestamp, rate: u32) -> Self {
        Self {
            began: Instant::now(),
            start,
            rate,
        }
    }

    /// This instant by this clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        // A wall clock that is set while we run is followed; a compressed one has no other to follow.
        if self.rate == 1 {
            return wall_now();
        }
        self.start + self.began.elapsed() * self.rate
    }

    /// How long `duration` of this clock is for one who waits.
    #[must_use]
    pub fn real(&self, duration: Duration) -> Duration {
        duration / self.rate
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock")]
fn wall_now() -> Timestamp {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(now.as_millis()).unwrap_or(i64::MAX))
}

/// How long something takes, for bounds and metrics; never an input of a decision.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
