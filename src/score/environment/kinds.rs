//! Which kinds of errors are counted while something is watched, and which are usual.

use super::{Environment, Scene};
use crate::{
    model::Errors,
    score::steps::{Tells, Totals},
};

/// Steps that are lately.
const LATELY: u16 = 5;

impl Environment {
    /// Takes in what an entry told in time, and that it `tells` these kinds.
    pub(super) fn note_kinds(&mut self, tells: Tells, errors: &Errors<'_>, totals: &Totals) {
        self.usual_kinds.tells_fingerprints |= tells.fingerprints;
        self.usual_kinds.tells_upstreams |= tells.upstreams;
        if self.is_watched() || self.unrest.is_on() {
            self.usual_kinds.pause();
        } else {
            self.usual_kinds.learn(errors, totals);
        }
        if let Some(kinds) = &mut self.kinds {
            kinds.note(errors, totals, &self.usual_kinds);
        }
    }

    /// Cuts what is counted to what has come since the onset, and begins to count where there are kinds and something is
    /// watched. Only with a watch or a step: when their first one comes depends on how errors are combined.
    pub(super) fn settle_kinds(&mut self, scene: &Scene<'_>) {
        let has_room = self.kinds.is_some() || self.watches.len() <= self.watches_max(scene);
        let is_told = self.usual_kinds.tells_kinds() && self.hold.is_none() && has_room;
        if let Some(leading) = self.leading().filter(|_| is_told) {
            let n_steps = leading.since_onset().n_steps;
            self.kinds.get_or_insert_default().settle(n_steps);
        }
    }

    /// While what errors show is another service's doing, what they are of lately says whether it still is.
    pub(super) fn follow_kinds(&mut self) {
        if let Some(kinds) = &mut self.kinds {
            kinds.settle(LATELY);
        }
    }
}
