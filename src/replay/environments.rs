//! In which environments services tell errors, and in which they are deployed.
//!
//! Where the two never meet no deploy is ever convicted, and no other figure says why: an environment is spelled in two
//! ways, or another one stands for none than in the instance that was recorded; or a service has one name where errors are
//! counted and another where it is deployed.

use foldhash::{HashMap, HashMapExt};

use crate::model::{Body, Event};

/// Services remembered: 5 MiB with an environment or two of each, 100 MiB with 16 of the longest names. What is beyond is not
/// warned of.
const SERVICES_MAX: usize = 20_000;
/// Environments remembered of a service: as many as its state has.
const ENVIRONMENTS_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Environments {
    services: HashMap<Box<str>, Vec<Told>>,
}

/// What is told of an environment.
#[derive(Debug)]
struct Told {
    environment: Box<str>,
    errors: bool,
    deploys: bool,
}

/// Services whose errors and deploys never meet.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Apart<'a> {
    pub(super) n_services: usize,
    /// The first of them by name, and its environments by name.
    pub(super) service: &'a str,
    pub(super) errors: Vec<&'a str>,
    pub(super) deploys: Vec<&'a str>,
}

/// Services that only tell errors, beside services that are only deployed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lonely<'a> {
    pub(super) n_with_errors: usize,
    pub(super) n_with_deploys: usize,
    /// The two whose names begin most alike.
    pub(super) with_errors: &'a str,
    pub(super) with_deploys: &'a str,
}

impl Default for Environments {
    fn default() -> Self {
        Self {
            services: HashMap::new(),
        }
    }
}

impl Environments {
    pub(super) fn note(&mut self, event: &Event<'_>, default_environment: &str) {
        let (errors, deploys) = match &event.body {
            Body::Error(_) => (true, false),
            Body::Deploy(_) => (false, true),
            Body::Commit(_) | Body::Incident(_) | Body::Override(_) | Body::Review(_) | Body::Service(_) => return,
        };
        if !self.services.contains_key(&*event.service) {
            if self.services.len() >= SERVICES_MAX {
                return;
            }
            self.services.insert((&*event.service).into(), Vec::new());
        }
        let Some(told) = self.services.get_mut(&*event.service) else {
            return;
        };
        let environment = event.environment.as_deref().unwrap_or(default_environment);
        if let Some(own) = told.iter_mut().find(|own| *own.environment == *environment) {
            own.errors |= errors;
            own.deploys |= deploys;
        } else if told.len() < ENVIRONMENTS_MAX {
            told.push(Told {
                environment: environment.into(),
                errors,
                deploys,
            });
        }
    }

    /// `None` if there are none.
    pub(super) fn apart(&self) -> Option<Apart<'_>> {
        let all = self.services.iter();
        let mut apart: Vec<(&str, &[Told])> = all
            .filter(|(_, told)| is_apart(told))
            .map(|(service, told)| (&**service, told.as_slice()))
            .collect();
        apart.sort_unstable_by_key(|(service, _)| *service);
        let (service, told) = *apart.first()?;
        let names = |is_meant: fn(&Told) -> bool| {
            let meant = told.iter().filter(|told| is_meant(told));
            let mut names: Vec<&str> = meant.map(|told| &*told.environment).collect();
            names.sort_unstable();
            names
        };
        Some(Apart {
            n_services: apart.len(),
            service,
            errors: names(|told| told.errors),
            deploys: names(|told| told.deploys),
        })
    }

    /// `None` if either is missing: then there is no name that another may stand for.
    pub(super) fn lonely(&self) -> Option<Lonely<'_>> {
        let names = |is_meant: fn(&[Told]) -> bool| {
            let meant = self.services.iter().filter(|(_, told)| is_meant(told));
            let mut names: Vec<&str> = meant.map(|(service, _)| &**service).collect();
            names.sort_unstable();
            names
        };
        let with_errors = names(|told| is_lonely(told, |told| told.errors, |told| told.deploys));
        let with_deploys = names(|told| is_lonely(told, |told| told.deploys, |told| told.errors));
        // Of all names in order the one most alike is a neighbour.
        let neighbours = with_deploys.iter().flat_map(|deployed| {
            let place = with_errors.partition_point(|name| name < deployed);
            let around = with_errors.get(place.saturating_sub(1)..).unwrap_or_default();
            around.iter().take(2).map(move |name| (*name, *deployed))
        });
        let (alike, deployed) = neighbours.rev().max_by_key(|(a, b)| likeness(a, b))?;
        Some(Lonely {
            n_with_errors: with_errors.len(),
            n_with_deploys: with_deploys.len(),
            with_errors: alike,
            with_deploys: deployed,
        })
    }
}

/// In thousandths of the longer name, how much of it both begin with.
fn likeness(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    same * 1_000 / a.len().max(b.len()).max(1)
}

/// Whether one thing is told of a service, and never the other.
fn is_lonely(told: &[Told], is_told: fn(&Told) -> bool, other: fn(&Told) -> bool) -> bool {
    told.len() < ENVIRONMENTS_MAX && told.iter().any(is_told) && !told.iter().any(other)
}

/// Of a service whose environments are not all remembered nobody knows.
fn is_apart(told: &[Told]) -> bool {
    told.len() < ENVIRONMENTS_MAX
        && told.iter().any(|told| told.errors)
        && told.iter().any(|told| told.deploys)
        && !told.iter().any(|told| told.errors && told.deploys)
}
