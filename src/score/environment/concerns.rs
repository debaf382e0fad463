//! What few environments have: kept apart, and given up when nothing is left of it.

use serde::{Deserialize, Serialize};

use super::{Environment, queue::Queue};
use crate::score::{
    blame::{Askers, Inquiry},
    lease::Lease,
    slo::Budget,
};

/// What concerns an environment beside its own deploys.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Concerns {
    pub(super) budget: Option<Box<Budget>>,
    pub(super) lease: Option<Box<Lease>>,
    /// Asked of its surroundings, while a freeze is proposed.
    pub(super) inquiry: Option<Box<Inquiry>>,
    /// Who depends on it and alarms.
    pub(super) askers: Option<Box<Askers>>,
    /// Changes that landed since the last freeze began, and their Λ.
    pub(super) queue: Queue,
}

impl Environment {
    pub(super) fn drop_empty_concerns(&mut self) {
        self.concerns = self.concerns.take().filter(|known| **known != Concerns::default());
    }
}
