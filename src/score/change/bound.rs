//! How much is remembered of a service's changes, and what goes first.

use super::{Changes, Pages, Remembered, Scene};
use crate::{model::Trace, score::Said};

/// Commits remembered per service; the next drops the oldest.
pub(super) const CHANGES_MAX: usize = 512;
/// What they, the reviews and the traces may take: 96 bytes for each. One with a sha of 40 takes 116, so some 400 of
/// these are remembered at first, and 300 once there are traces of many more; fewer where shas are longer, or many
/// reviews wait for their commits. What they leave, traces of changes forgotten may take.
pub(super) const BYTES_MAX: usize = CHANGES_MAX * 96;
/// What traces of changes forgotten may take even where more changes want the room: nine hundred of them. Less, and a
/// service of 25 commits a day or more could not tell what came of them within the month that its rate is of.
const TRACES_BYTES: usize = 12 * 1024;

impl Changes {
    /// Forgets the oldest traces and changes until the rest, with one to come, are within their bounds.
    pub(super) fn bound(&mut self, coming: Option<&Remembered>, scene: &mut Scene<'_>) {
        let coming_bytes = coming.map_or(0, |change| change.bytes() + size_of::<Trace>() + 1);
        let learned_bytes = self.learned.as_ref().map_or(0, |learned| learned.bytes());
        let beside_bytes = scene.approvals.bytes() + learned_bytes + coming_bytes;
        let has_room =
            |list: &Pages| list.bytes() + beside_bytes <= BYTES_MAX || list.bytes_of_traces_alone() <= TRACES_BYTES;
        while self.list.let_go(scene.context.at, has_room(&self.list)) {}
        let mut bytes_left = self.list.bytes() + beside_bytes;
        let mut n_left = self.list.len() + usize::from(coming.is_some());
        let mut n_gone = 0;
        for change in self.list.iter() {
            if n_left <= CHANGES_MAX && bytes_left <= BYTES_MAX {
                break;
            }
            bytes_left -= change.bytes();
            n_left -= 1;
            n_gone += 1;
        }
        if n_gone > 0 {
            self.leave_oldest(n_gone, scene);
            let gone = self.list.take_oldest(n_gone).into_iter();
            scene
                .said
                .extend(gone.map(|change| Said::Forget(change.subject(scene.service))));
        }
    }
}
