//! Deploys into errors that had risen before them and go on: those are none of their doing.
//!
//! While the rise is younger than an hour nobody knows how far it goes, and the deploy is not judged. Then it is held against
//! the level that errors had before it, of which up to twice as much is put down to what raised them. It is judged by what is
//! usual once errors are back, or once that level has gone and something is left that is not as bad: what the deploy
//! brought, perhaps. Of a deploy that comes into old trouble and has less of it soon after, what is left is not its doing
//! either.

use std::time::Duration;

use super::Environment;
use crate::{
    model::Timestamp,
    score::{
        baseline::Baseline,
        evidence::{Observation, Recent},
        multiple::Multiple,
        policy::Evidence,
        steps::Closed,
        watch::Watch,
    },
};

/// How far errors rise is known after so long; and so long after a deploy less of them is taken for its merit.
const RISING_MAX: Duration = Duration::from_hours(1);
/// What errors had risen to, and whether that has gone, is read off the steps of so long, and off so many at least.
const LEVEL_OF: Duration = Duration::from_mins(30);
const LEVEL_STEPS: std::ops::RangeInclusive<u16> = 4..=30;
/// A level has gone where each half of that time had at most this share of it.
const GONE: f64 = 0.5;
/// What is left is harmless up to so many times what is usual by days.
pub(super) const LEFT_HARMLESS: f64 = 1.5;
/// Up to so many times a level may be the doing of what raised errors to it.
pub(super) const HARMLESS_RISE: f64 = 2.0;

impl Environment {
    /// What errors had risen to before a deploy at `time`, as a multiple of what is usual by days; none where they had not.
    pub(super) fn raised_by(&self, time: Timestamp, evidence: &Evidence) -> Multiple {
        let step = self.steps.grain.duration();
        let goes_on = self
            .outlasting()
            .is_some_and(|outlasting| outlasting.since + step <= time);
        if !goes_on && !self.had_risen_by(time) {
            return Multiple::NONE;
        }
        let next = self.steps.next_start();
        let n_after = self.n_steps(next.since(time - step + Duration::from_millis(1)));
        let n_risen = self.n_steps(next.since(self.risen_since(next).unwrap_or(next)));
        let n = n_risen.saturating_sub(n_after).clamp(1, self.level_steps());
        let [newer, older] = self.halves(n_after, n);
        let is_young = n < *LEVEL_STEPS.start();
        // A burst is no level: of a rise of some steps the half counts that had fewer.
        let (errors, expected) = if is_young {
            (newer.0 + older.0, newer.1 + older.1)
        } else if times(newer) <= times(older) {
            newer
        } else {
            older
        };
        let times = times((errors, expected)) * self.baseline.factor(next - step);
        if times <= if is_young { 0.0 } else { LEFT_HARMLESS } {
            return Multiple::NONE;
        }
        // A standard error more, since a few steps do not tell a level.
        let open = 1.0 / self.baseline.sizes(evidence).of_block(n) + 1.0 / (errors + 1.0);
        Multiple::of(times * (1.0 + open.sqrt()))
    }

    /// Since when errors are risen, as of the last step, which ended at `end`; none where they are back.
    fn risen_since(&self, end: Timestamp) -> Option<Timestamp> {
        let unrest = self.unrest.since(end, self.steps.grain.duration());
        let outlasting = self.outlasting().map(|outlasting| outlasting.since);
        unrest.into_iter().chain(outlasting).min()
    }

    /// Judges deploys by what is usual from here on where the level they came into is over, as of a closed step. Whether what
    /// is left of it is a level by now, and no rise any more.
    pub(super) fn settle_trouble(&mut self, closed: &Closed, by_requests: bool) -> bool {
        if !self.watches.iter().any(|watch| watch.raised.is_some()) {
            return false;
        }
        let end = closed.start + self.steps.grain.duration();
        let since = self.risen_since(end);
        let is_level = since.is_none_or(|since| end.since(since) >= RISING_MAX);
        let left = self.left_at(closed.start);
        for watch in &mut self.watches {
            let Some(level) = watch.raised.value() else { continue };
            let Some(since) = since else {
                // Where its time is over and the errors are not, they are still none of this deploy's.
                if left <= LEFT_HARMLESS {
                    watch.leave_trouble();
                }
                continue;
            };
            let then = self.baseline.shape_then(watch.started_at(), closed.start, by_requests);
            if !is_level || left > GONE * level * then.min(1.0) {
                continue;
            }
            let has_helped = since + RISING_MAX <= watch.started_at() && end < watch.stage_at() + RISING_MAX;
            if has_helped {
                watch.raised = Multiple::of(left / then.max(1.0));
            } else {
                watch.leave_trouble();
            }
        }
        is_level
    }

    /// What is left of risen errors by the step that begins at `start`: the greater of the last half hour's halves, as a
    /// multiple of what is usual by days.
    pub(super) fn left_at(&self, start: Timestamp) -> f64 {
        let [newer, older] = self.halves(0, self.level_steps()).map(times);
        newer.max(older) * self.baseline.factor(start)
    }

    /// The lesser of the halves of so long before.
    pub(super) fn left_of(&self, stretch: Duration, start: Timestamp) -> f64 {
        let n = self.n_steps(stretch).clamp(2, *LEVEL_STEPS.end());
        let [newer, older] = self.halves(0, n).map(times);
        newer.min(older) * self.baseline.factor(start)
    }

    /// Errors, and what was expected, of the `n` steps before the last `n_after`, the newer half first.
    fn halves(&self, n_after: u16, n: u16) -> [(f64, f64); 2] {
        let Some(recent) = &self.recent else {
            return [(0.0, 1.0); 2];
        };
        [recent.sums(n_after, n / 2), recent.sums(n_after + n / 2, n - n / 2)]
    }

    /// Steps of which a level is read off.
    fn level_steps(&self) -> u16 {
        self.n_steps(LEVEL_OF).clamp(*LEVEL_STEPS.start(), *LEVEL_STEPS.end())
    }

    fn n_steps(&self, stretch: Duration) -> u16 {
        u16::try_from(stretch.as_millis() / self.steps.grain.duration().as_millis()).unwrap_or(u16::MAX)
    }
}

fn times((errors, expected): (f64, f64)) -> f64 {
    errors / expected.max(f64::MIN_POSITIVE)
}

/// How many times what is expected at `start` the level is that a deploy came into, if it is held against that. By the minute
/// that is no less than it was then: trouble need not follow the hours as usual errors do.
pub(super) fn times_raised(watch: &Watch, baseline: &Baseline, (start, by_requests): (Timestamp, bool)) -> Option<f64> {
    let then = baseline.shape_then(watch.started_at(), start, by_requests);
    let times = watch.raised.value()? * then.max(1.0) / baseline.factor(start);
    Some(times.max(1.0))
}

/// A step beside the level that errors had risen to before a deploy, which is `times` what is expected; `recent` are the
/// steps up to this one.
pub(super) fn beside_raised(seen: &Observation, times: f64, (recent, spike): (&Recent, f64)) -> Observation {
    Observation {
        errors: seen.errors,
        counted: recent.counted((seen.errors, seen.expected), spike * times, 1),
        expected: seen.expected * times,
        harmless: times * seen.harmless.max(seen.expected * HARMLESS_RISE),
        sizes: seen.sizes,
    }
}
