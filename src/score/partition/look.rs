//! What others may ask of a partition.

use super::{Applied, Partition};
use crate::{
    model::{Bulletin, Criticality, ServiceId, Timestamp},
    score::{Fleet, Service, ServiceReport, clocks::Clocks, policy::Policy},
};

impl Partition {
    /// The partition's time: no event on time is before it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clocks.now()
    }

    #[must_use]
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    /// What the fleet told last.
    #[must_use]
    pub fn bulletin(&self) -> &Bulletin {
        &self.bulletin
    }

    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The order among policies of the one in force.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    #[must_use]
    pub fn applied(&self) -> Applied {
        self.applied
    }

    /// Errors taken in since this value was made that came too late to be evidence.
    #[must_use]
    pub fn n_late(&self) -> u64 {
        self.n_late
    }

    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// How far back duplicates are known.
    #[must_use]
    pub fn dedupe_window(&self) -> std::time::Duration {
        self.window.span()
    }

    #[must_use]
    pub fn n_services(&self) -> usize {
        self.services.len()
    }

    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services
            .get(name)
            .and_then(|slot| self.slots[*slot].service.as_ref())
    }

    /// The tier of a service, known or not.
    #[must_use]
    pub fn tier_of(&self, service: &ServiceId) -> Criticality {
        let known = self.service(service.as_str());
        known.map_or_else(
            || self.policy.tier(service.as_str(), None),
            |known| known.tier(&self.policy),
        )
    }

    /// All services, in the order of their names.
    #[must_use]
    pub fn services(&self) -> Vec<&Service> {
        let mut services: Vec<&Service> = self.slots.iter().filter_map(|slot| slot.service.as_ref()).collect();
        services.sort_by(|a, b| a.name().cmp(b.name()));
        services
    }

    /// What is known of a service, for people.
    #[must_use]
    pub fn report(&self, name: &str) -> Option<ServiceReport> {
        Some(
            self.service(name)?
                .report(&self.policy, &self.bulletin, self.clocks.now()),
        )
    }
}
