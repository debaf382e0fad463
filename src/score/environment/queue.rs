//! The changes that wait behind a freeze, and come all at once when it ends.

use serde::{Deserialize, Serialize};

use super::Environment;
use crate::{model::Action, score::evidence::narrow};

/// What waits behind a freeze.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Queue {
    pub(crate) n_changes: u32,
    /// −Σ ln(1 − p): the chance that one of them causes an incident is 1 − e^−Λ.
    pub(crate) lambda: f32,
}

impl Environment {
    pub(crate) fn queue(&self) -> Queue {
        self.concerns.as_ref().map(|known| known.queue).unwrap_or_default()
    }

    /// A change landed; behind a freeze it waits.
    pub(crate) fn queue_up(&mut self, lambda: f64) {
        let standing = self.standing.as_ref();
        if standing.is_some_and(|standing| standing.action == Action::Freeze) {
            let queue = &mut self.concerns.get_or_insert_default().queue;
            queue.n_changes = queue.n_changes.saturating_add(1);
            queue.lambda += narrow(lambda);
        }
    }

    /// A freeze begins: nothing waits behind it yet.
    pub(crate) fn clear_queue(&mut self) {
        if let Some(concerns) = &mut self.concerns {
            concerns.queue = Queue::default();
            self.drop_empty_concerns();
        }
    }
}
