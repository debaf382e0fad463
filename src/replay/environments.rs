//! In which environments services tell errors, and in which they are deployed.
//!
//! Where the two never meet no deploy is ever convicted, and no other figure says why: an environment is spelled in two
//! ways, or another one stands for none than in the instance that was recorded; or a service has one name where errors are
//! counted and another where it is deployed. Nor does any say why where errors are told too coarsely.

use std::time::Duration;

use foldhash::{HashMap, HashMapExt};

use crate::model::{Body, Event, hash_text, nearest};

/// Services remembered: 5 MiB with an environment or two of each, 100 MiB with 16 of the longest names. What is beyond is not
/// warned of.
const SERVICES_MAX: usize = 20_000;
/// Environments remembered of a service: as many as its state has.
const ENVIRONMENTS_MAX: usize = 16;
/// Names of either kind that are compared letter by letter, the first in order: all pairs of them take some tenths of a
/// second.
const COMPARED_MAX: usize = 300;
/// The longest step of evidence: errors of a longer interval are booked whole at its end, long after what they tell of.
const STEP_MAX: Duration = Duration::from_mins(15);
/// Size of the shortest name that another is taken to begin with: many begin with `api`.
const BEGINNING_BYTES_MIN: usize = 4;

#[derive(Debug)]
pub(super) struct Environments {
    /// By the hashes of their names: no name is read, and so waited for, with each line.
    services: HashMap<u64, Service>,
}

#[derive(Debug)]
struct Service {
    name: Box<str>,
    told: Vec<Told>,
}

/// What is told of an environment.
#[derive(Debug)]
struct Told {
    environment: Box<str>,
    /// Of its name.
    hash: u64,
    errors: bool,
    deploys: bool,
    /// Records of errors, and those of an interval above [`STEP_MAX`].
    n_errors: u64,
    n_coarse: u64,
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
    /// Two whose names are alike, or the first of either.
    pub(super) with_errors: &'a str,
    pub(super) with_deploys: &'a str,
    /// If not, most of those that are deployed tell no errors.
    pub(super) are_alike: bool,
}

/// Services that are deployed and tell errors by intervals too long to judge a deploy by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Coarse<'a> {
    pub(super) n_services: usize,
    /// The first of them by name.
    pub(super) service: &'a str,
}

impl Default for Environments {
    fn default() -> Self {
        Self {
            services: HashMap::new(),
        }
    }
}

impl Environments {
    /// Whether it knew the service, as far as it looked: of errors and deploys only.
    pub(super) fn note(&mut self, event: &Event<'_>, default_environment: &str) -> bool {
        let (errors, deploys, is_coarse) = match &event.body {
            Body::Error(count) => (true, false, Duration::from_millis(count.interval_ms) > STEP_MAX),
            Body::Deploy(_) => (false, true, false),
            Body::Commit(_) | Body::Incident(_) | Body::Override(_) | Body::Review(_) | Body::Service(_) => {
                return false;
            }
        };
        let (n_services, name) = (self.services.len(), hash_text(&event.service));
        let known = self.services.get_mut(&name);
        let is_known = known.is_some();
        let service = match known {
            Some(service) => service,
            None if n_services >= SERVICES_MAX => return false,
            None => self.services.entry(name).or_insert_with(|| Service {
                name: (&*event.service).into(),
                told: Vec::new(),
            }),
        };
        let environment = event.environment.as_deref().unwrap_or(default_environment);
        let (told, hash) = (&mut service.told, hash_text(environment));
        if let Some(own) = told.iter_mut().find(|own| own.hash == hash) {
            own.errors |= errors;
            own.deploys |= deploys;
            own.n_errors += u64::from(errors);
            own.n_coarse += u64::from(is_coarse);
        } else if told.len() < ENVIRONMENTS_MAX {
            told.push(Told {
                environment: environment.into(),
                hash,
                errors,
                deploys,
                n_errors: u64::from(errors),
                n_coarse: u64::from(is_coarse),
            });
        }
        is_known
    }

    /// `None` if there are none.
    pub(super) fn apart(&self) -> Option<Apart<'_>> {
        let mut apart: Vec<(&str, &[Told])> = self
            .services
            .values()
            .filter(|service| is_apart(&service.told))
            .map(|service| (&*service.name, service.told.as_slice()))
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

    /// Services of which most errors are too coarse where they are deployed; `None` if there are none.
    pub(super) fn coarse(&self) -> Option<Coarse<'_>> {
        let is_coarse = |told: &Told| told.deploys && told.n_coarse * 2 > told.n_errors;
        let all = self.services.values();
        let (mut n_services, mut first) = (0, None::<&str>);
        for Service { name, .. } in all.filter(|service| service.told.iter().any(is_coarse)) {
            n_services += 1;
            first = Some(first.map_or(&**name, |first| first.min(name)));
        }
        first.map(|service| Coarse { n_services, service })
    }

    /// `None` if either is missing, or nothing says that the one are the other: a fleet may well have a database that nobody
    /// deploys and a job that never errs.
    pub(super) fn lonely(&self) -> Option<Lonely<'_>> {
        let names = |is_meant: fn(&[Told]) -> bool| {
            let meant = self.services.values().filter(|service| is_meant(&service.told));
            let mut names: Vec<&str> = meant.map(|service| &*service.name).collect();
            names.sort_unstable();
            names
        };
        let with_errors = names(|told| is_lonely(told, |told| told.errors, |told| told.deploys));
        let with_deploys = names(|told| is_lonely(told, |told| told.deploys, |told| told.errors));
        let n_deployed = self
            .services
            .values()
            .filter(|service| service.told.iter().any(|told| told.deploys))
            .count();
        let first = with_errors.first().zip(with_deploys.first());
        let first = first.map(|(errors, deploys)| (*errors, *deploys));
        let most = first.filter(|_| with_deploys.len() * 2 > n_deployed);
        let alike = alike(&with_errors, &with_deploys);
        let (errors, deploys) = alike.or(most)?;
        Some(Lonely {
            n_with_errors: with_errors.len(),
            n_with_deploys: with_deploys.len(),
            with_errors: errors,
            with_deploys: deploys,
            are_alike: alike.is_some(),
        })
    }
}

/// The first of the names of one kind, in order, that one of the other is alike: one begins with the other, or is it but for
/// slips.
fn alike<'a>(errors: &[&'a str], deploys: &[&'a str]) -> Option<(&'a str, &'a str)> {
    let beginning = |of: &'a str, among: &[&'a str]| {
        let ends = of.char_indices().map(|(end, _)| end);
        // The longest first.
        let mut known = ends
            .rev()
            .take_while(|end| *end >= BEGINNING_BYTES_MIN)
            .filter_map(|end| among.binary_search(&&of[..end]).ok());
        known.find_map(|place| Some(among[place]).filter(|name| !is_numbered_apart(name, of)))
    };
    let begins = deploys.iter().find_map(|name| Some((beginning(name, errors)?, *name)));
    let begun = || errors.iter().find_map(|name| Some((*name, beginning(name, deploys)?)));
    let slipped = || {
        let errors = errors.get(..COMPARED_MAX).unwrap_or(errors);
        let mut deploys = deploys.iter().take(COMPARED_MAX);
        deploys.find_map(|name| {
            let others = errors.iter().copied().filter(|other| !is_numbered_apart(other, name));
            Some((nearest(name, others)?, *name))
        })
    };
    begins.or_else(begun).or_else(slipped)
}

/// Whether two names differ in their numbers only, as those of machines and versions do.
fn is_numbered_apart(a: &str, b: &str) -> bool {
    let words = |name: &str| name.replace(|letter: char| letter.is_ascii_digit(), "");
    let is_numbered = |name: &str| words(name).len() < name.len();
    is_numbered(a) && is_numbered(b) && words(a) == words(b)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_alike_where_one_begins_with_the_other_or_has_slips() {
        // Names that tell errors; one that is deployed; what it is like.
        let cases: [(&[&str], &str, Option<&str>); 10] = [
            (&["checkout", "orders"], "checkout-api", Some("checkout")),
            (&["cart", "checkout-api"], "checkout", Some("checkout-api")),
            (&["chekcout", "orders"], "checkout", Some("chekcout")),
            (&["check", "checkout"], "checkout-api", Some("checkout")),
            (&["worker"], "worker2", Some("worker")),
            (&["postgres"], "nightly-report", None),
            // Too short to be meant, and another number.
            (&["api", "é"], "api-docs", None),
            (&["worker-1", "worker-17"], "worker-18", None),
            (&["é"], "ééééé", None),
            (&[], "checkout", None),
        ];
        for (errors, deployed, expected) in cases {
            let expected = expected.map(|name| (name, deployed));
            assert_eq!(alike(errors, &[deployed]), expected, "{errors:?} {deployed}");
        }
    }
}
