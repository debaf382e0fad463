//! Which kinds of errors are counted while something is watched.

use super::{Environment, Scene};
use crate::{model::Errors, score::steps::Totals};

impl Environment {
    /// Takes in what an entry told in time.
    pub(super) fn note_fingerprints(&mut self, errors: &Errors<'_>, totals: &Totals) {
        self.tells_fingerprints = self.tells_fingerprints || totals.tell_fingerprints(errors);
        if let Some(fingerprints) = &mut self.fingerprints {
            fingerprints.note(errors, totals);
        }
    }

    /// Cuts what is counted to what has come since the onset, and begins to count where there are fingerprints and
    /// something is watched. Only with a watch or a step: when their first one comes depends on how errors are combined.
    pub(super) fn settle_fingerprints(&mut self, scene: &Scene<'_>) {
        let has_room = self.fingerprints.is_some() || self.watches.len() <= self.watches_max(scene);
        let is_told = self.tells_fingerprints && self.hold.is_none() && has_room;
        if let Some(leading) = self.leading().filter(|_| is_told) {
            let n_steps = leading.since_onset().n_steps;
            self.fingerprints.get_or_insert_default().settle(n_steps);
        }
    }
}
