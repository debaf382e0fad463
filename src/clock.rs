//! The one reader of the wall clock.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::{Duration, Instant},
};

use crate::model::Timestamp;

/// A clock: the wall's, one that starts where it is told and runs at a multiple of the wall's speed, or one that is set
/// by who holds its milliseconds, and stands still until then.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Hands);

#[derive(Debug, Clone, Copy)]
enum Hands {
    Wall,
    Compressed {
        began: Instant,
        start: Timestamp,
        rate: u32,
    },
    Set(&'static AtomicI64),
}

impl Clock {
    /// The wall clock; one that is set while we run is followed.
    #[must_use]
    pub fn wall() -> Self {
        Self(Hands::Wall)
    }

    /// Begins at `start`, and lets `rate` seconds pass in each second.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn compressed(start: Timestamp, rate: u32) -> Self {
        Self(Hands::Compressed {
            began: Instant::now(),
            start,
            rate,
        })
    }

    /// Shows what `millis` holds: for tests that play time.
    #[must_use]
    pub fn set_by(millis: &'static AtomicI64) -> Self {
        Self(Hands::Set(millis))
    }

    /// This instant by this clock.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self.0 {
            Hands::Wall => wall_now(),
            Hands::Compressed { began, start, rate } => start + began.elapsed() * rate,
            Hands::Set(millis) => Timestamp::from_millis(millis.load(Ordering::Relaxed)),
        }
    }

    /// How long `duration` of this clock is for one who waits.
    #[must_use]
    pub fn real(&self, duration: Duration) -> Duration {
        match self.0 {
            Hands::Wall | Hands::Set(_) => duration,
            Hands::Compressed { rate, .. } => duration / rate,
        }
    }

    /// Measures how long something takes: in real time, unless this clock is set by hand.
    #[must_use]
    pub fn stopwatch(&self) -> Stopwatch {
        match self.0 {
            Hands::Wall | Hands::Compressed { .. } => Stopwatch::start(),
            Hands::Set(millis) => Stopwatch(Started::At(millis, millis.load(Ordering::Relaxed))),
        }
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
pub struct Stopwatch(Started);

#[derive(Debug, Clone, Copy)]
enum Started {
    Now(Instant),
    At(&'static AtomicI64, i64),
}

impl Stopwatch {
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn start() -> Self {
        Self(Started::Now(Instant::now()))
    }

    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match self.0 {
            Started::Now(began) => began.elapsed(),
            Started::At(millis, began) => {
                let passed = millis.load(Ordering::Relaxed) - began;
                Duration::from_millis(u64::try_from(passed).unwrap_or(0))
            }
        }
    }
}
