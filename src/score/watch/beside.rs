//! What a step is held against: the other versions, or the baseline.

use super::{Step, Watch};
use crate::score::{
    baseline,
    evidence::{Blocks, Control, DECLARED_MIN, SHARE_MAX, SHARE_MIN, Seen},
    steps::Version,
};

/// ln of how seldom one that tells errors has none in a step, to be taken for one that is not heard: once in twenty.
const LN_SILENT: f64 = 2.995_732_273_553_991;

impl Watch {
    /// The version it brings, and the one it takes the place of; none where they are not told apart.
    pub(crate) fn versions(&self) -> (Version, Version) {
        (self.version, self.previous)
    }

    /// A step beside its control where it has one, else against the baseline.
    pub(super) fn seen<'a>(&self, step: &Step<'a>, control: Option<&Control>) -> Seen<'a> {
        let exposure = self.exposure.value().max(DECLARED_MIN);
        if let Some(control) = control {
            return Seen {
                ln_ratios: control.ln_ratios(1.0, &step.likeness),
                errors: control.new,
                expected: control.expected(),
                blocks: None,
            };
        }
        let size = step.observation.sizes.step * self.part_heard(step);
        Seen {
            ln_ratios: step.observation.ln_ratios(size, exposure),
            errors: step.observation.errors,
            expected: step.observation.expected,
            // The steps before were held against another level.
            blocks: (!self.raised.is_some()).then(|| Blocks {
                recent: step.recent,
                sizes: &step.observation.sizes,
                harmless: step.observation.harmless / step.observation.expected,
                exposure,
                spike: step.spike,
            }),
        }
    }

    /// The part of the traffic that a step without a control tells of. Where attempts are told and all of them are of the new
    /// version, which has a part of the traffic by what was declared, the other's records were lost, and errors scatter as
    /// those of so few instances do.
    pub(super) fn part_heard(&self, step: &Step<'_>) -> f64 {
        let new = step
            .closed
            .by_version
            .as_ref()
            .and_then(|by_version| by_version.of(self.version));
        let attempts = new.map(|new| u64::from(new.requests)).filter(|requests| *requests > 0);
        let exposure = self.exposure.value();
        if attempts.is_some() && attempts == step.closed.requests && exposure < SHARE_MAX {
            exposure
        } else {
            1.0
        }
    }

    /// The other versions' errors beside those of this one, where every record says whose they are and both have
    /// traffic. Which it is rests on no error, with one exception: where the old version tells none though that can hardly
    /// be, its record was lost or late, or it has no traffic left. What the new one told would stand beside nothing, and
    /// all of it against it; it is held against the baseline as all the errors there were.
    pub(super) fn control(&self, step: &Step<'_>) -> Option<Control> {
        let by_version = step.closed.by_version.as_ref()?;
        if self.version == Version::NONE {
            return None;
        }
        let new = by_version.of(self.version).unwrap_or_default();
        let (errors, requests) = (f64::from(new.errors), f64::from(new.requests));
        let known = by_version.of(self.previous);
        let (old_errors, old_requests) = known.map_or_else(
            || {
                let all_requests = step.closed.requests.unwrap_or(0);
                (
                    step.observation.errors - errors,
                    baseline::count(all_requests) - requests,
                )
            },
            |old| (f64::from(old.errors), f64::from(old.requests)),
        );
        let by_requests = step.closed.requests.is_some() && requests + old_requests > 0.0;
        let (share, least, margin) = if by_requests {
            (requests / (requests + old_requests), SHARE_MIN, step.margin)
        } else {
            // Shares that are declared are of instances, not of traffic.
            (self.exposure.value(), DECLARED_MIN, 2.0 * step.margin)
        };
        // Without attempts, errors of minutes would stand beside those of one.
        if !by_requests && step.closed.n_steps(step.grain) > 1 {
            return None;
        }
        let is_heard = by_requests || old_errors > 0.0 || !self.is_silence_odd(step, 1.0 - share);
        (is_heard && (least..SHARE_MAX).contains(&share)).then_some(Control {
            new: errors,
            old: old_errors.max(0.0),
            share,
            margin,
        })
    }

    /// Whether the share of what is usual would hardly ever make no error in a step: where instances scatter independently,
    /// a share p of a size k has the size k p.
    fn is_silence_odd(&self, step: &Step<'_>, share: f64) -> bool {
        let size = step.observation.sizes.step * share;
        self.judged && size * (step.observation.expected / step.observation.sizes.step).ln_1p() > LN_SILENT
    }

    /// Whether every judged step had a control, so that what happens without a deploy says nothing of its evidence.
    pub(crate) fn is_controlled(&self) -> bool {
        !self.was_uncontrolled && (self.process.n_steps() > 0 || self.seen_of_blip > 0)
    }

    /// How many times as many errors there would be if all the traffic had it, as it has a part: 1 where it has all.
    pub(crate) fn times_for_all(&self) -> f64 {
        let (ratio, exposure) = (self.since_onset().ratio(), self.exposure.value().max(DECLARED_MIN));
        // Beside another version the ratio is its own errors', else that of all.
        let own = if self.is_controlled() {
            ratio
        } else {
            1.0 + (ratio - 1.0) / exposure
        };
        (own / (1.0 + exposure * (own - 1.0))).max(1.0)
    }
}
