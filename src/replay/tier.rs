//! Figures kept for each tier of services.

use crate::model::Criticality;

/// One of something per tier, in the order of [`Criticality::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ByTier<T>([T; 4]);

impl<T> ByTier<T> {
    pub(super) fn of(&self, tier: Criticality) -> &T {
        &self.0[tier.index()]
    }

    pub(super) fn of_mut(&mut self, tier: Criticality) -> &mut T {
        &mut self.0[tier.index()]
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}
