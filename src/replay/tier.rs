//! Which tier a service is of, and figures kept for each tier.

use foldhash::{HashMap, HashMapExt};

use crate::{
    model::{Body, Criticality, Event, Timestamp},
    score::Policy,
};

/// Services whose catalog entry is remembered: 100 bytes each. The rest count as if they had none.
const SERVICES_MAX: usize = 1_000_000;

/// One of something per tier, in the order of [`Criticality::ALL`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ByTier<T>([T; 4]);

impl<T> ByTier<T> {
    pub(super) fn of(&self, tier: Criticality) -> &T {
        &self.0[place(tier)]
    }

    pub(super) fn of_mut(&mut self, tier: Criticality) -> &mut T {
        &mut self.0[place(tier)]
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }
}

fn place(tier: Criticality) -> usize {
    match tier {
        Criticality::Low => 0,
        Criticality::Medium => 1,
        Criticality::High => 2,
        Criticality::Critical => 3,
    }
}

/// What the catalog says of services: the latest entry stands.
#[derive(Debug)]
pub(super) struct Roster {
    entries: HashMap<Box<str>, (Timestamp, Option<Criticality>)>,
}

impl Default for Roster {
    fn default() -> Self {
        Self {
            entries: HashMap::new(),
        }
    }
}

impl Roster {
    pub(super) fn note(&mut self, event: &Event<'_>) {
        let Body::Service(catalog) = &event.body else { return };
        if let Some(known) = self.entries.get_mut(&*event.service) {
            if event.time >= known.0 {
                *known = (event.time, catalog.criticality);
            }
        } else if self.entries.len() < SERVICES_MAX {
            let entry = (event.time, catalog.criticality);
            self.entries.insert((&*event.service).into(), entry);
        }
    }

    pub(super) fn tier(&self, policy: &Policy, service: &str) -> Criticality {
        let criticality = self.entries.get(service).and_then(|(_, criticality)| *criticality);
        policy.tier(service, criticality)
    }
}
