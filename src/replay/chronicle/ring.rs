//! Errors by the minute, of the last hours.

use crate::model::Timestamp;

const MINUTE_MS: i64 = 60_000;
/// How many minutes are kept: the hour before a freeze, four hours of it, and some time after.
pub(crate) const MINUTES: usize = 384;
/// An interval longer than this is spread over so many minutes of it only.
const SPREAD_MAX: u32 = 60;

/// A ring of minutes, made when the first error is added: many services have none.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    errors: Box<[f32]>,
    /// The latest minute there is, counted from the epoch.
    latest: i64,
}

fn minute_of(at: Timestamp) -> i64 {
    at.millis().div_euclid(MINUTE_MS)
}

fn slot(minute: i64) -> usize {
    let n = i64::try_from(MINUTES).unwrap_or(1);
    usize::try_from(minute.rem_euclid(n)).unwrap_or(0)
}

impl Ring {
    /// Adds errors of the interval that ends at `at`, or of that instant, in even shares over its minutes.
    pub(crate) fn add(&mut self, at: Timestamp, errors: u64, interval_ms: u64) {
        let ms = i64::try_from(interval_ms)
            .unwrap_or(0)
            .min(MINUTE_MS * i64::from(SPREAD_MAX));
        // The last instant within it: one that ends on the minute belongs to the minute before.
        let last = minute_of(Timestamp::from_millis(at.millis() - i64::from(ms > 0)));
        let n = u32::try_from((ms + MINUTE_MS / 2) / MINUTE_MS)
            .unwrap_or(1)
            .clamp(1, SPREAD_MAX);
        self.advance(last);
        #[expect(
            clippy::cast_precision_loss,
            clippy::as_conversions,
            reason = "errors to draw, to seven digits"
        )]
        let share = errors as f32 / n as f32;
        for minute in last + 1 - i64::from(n)..=last {
            if self.is_kept(minute) {
                self.errors[slot(minute)] += share;
            }
        }
    }

    fn advance(&mut self, minute: i64) {
        if self.errors.is_empty() {
            self.errors = vec![0.0; MINUTES].into();
            self.latest = minute;
            return;
        }
        if minute <= self.latest {
            return;
        }
        let n = i64::try_from(MINUTES).unwrap_or(i64::MAX);
        for emptied in (self.latest + 1).max(minute + 1 - n)..=minute {
            self.errors[slot(emptied)] = 0.0;
        }
        self.latest = minute;
    }

    fn is_kept(&self, minute: i64) -> bool {
        let n = i64::try_from(MINUTES).unwrap_or(0);
        !self.errors.is_empty() && minute <= self.latest && minute > self.latest - n
    }

    /// Errors of each minute from that of `from` to that of `to`; a minute that is not kept has none.
    pub(crate) fn between(&self, from: Timestamp, to: Timestamp) -> Vec<f32> {
        let minutes = minute_of(from)..=minute_of(to);
        let errors = minutes.map(|minute| {
            if self.is_kept(minute) {
                self.errors[slot(minute)]
            } else {
                0.0
            }
        });
        errors.take(MINUTES).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_millis(minutes * MINUTE_MS)
    }

    #[test]
    fn errors_are_spread_over_their_interval_and_the_oldest_minutes_make_place() {
        let mut ring = Ring::default();
        ring.add(at(10), 10, 300_000);
        ring.add(at(9) + std::time::Duration::from_secs(30), 1, 0);
        assert_eq!(ring.between(at(4), at(10)), [0.0, 2.0, 2.0, 2.0, 2.0, 3.0, 0.0]);
        let n = i64::try_from(MINUTES).expect("small");
        ring.add(at(6 + n), 7, 60_000);
        assert_eq!(ring.between(at(4), at(7)), [0.0, 0.0, 2.0, 2.0]);
        ring.add(at(6), 5, 60_000);
        assert_eq!(ring.between(at(4), at(7)), [0.0, 0.0, 2.0, 2.0], "too late to be kept");
        ring.add(at(3 * n), 1, 60_000);
        let errors: Vec<f32> = ring
            .between(at(2 * n), at(3 * n))
            .into_iter()
            .filter(|errors| *errors > 0.0)
            .collect();
        assert_eq!(errors, [1.0], "what is older than all that is kept is gone");
    }
}
