//! What went wrong with each service of late, which bears a freeze out that begins after it.
//!
//! An alert often opens its incident seconds before the evidence suffices, so what comes shortly before a freeze speaks for
//! it as what comes after.
//!
//! **Invariant:** memory is bounded by [`PLACES_MAX`] services with [`KEPT_MAX`] troubles each.

use std::time::Duration;

use foldhash::HashMap;

use super::fates::hash;
use crate::model::{Event, Incident, IncidentStatus, Timestamp, hash_text};

/// An incident that nobody resolves is held to be open for so long after it was last told of, as live.
const OPEN_FOR_MAX: Duration = Duration::from_hours(4);
/// Services whose troubles are kept: 100 bytes each, and as much for each trouble. Of others only what comes after counts.
const PLACES_MAX: usize = 200_000;
/// Troubles kept of a service: the latest.
const KEPT_MAX: usize = 16;

/// Something that bears a freeze out.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Trouble {
    /// When it was last told of; [`Timestamp::MIN`] of one that was only resolved so far, which is near no freeze.
    at: Timestamp,
    /// Until when it is open; one that was never open, when it happened.
    until: Timestamp,
    /// The latest of its resolutions.
    resolved_at: Option<Timestamp>,
    /// `None` is about all environments.
    environment: Option<Box<str>>,
    /// The hash of the incident's id.
    incident: Option<u64>,
    /// The hash of the deploy that it names.
    deploy: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Troubles {
    by_service: HashMap<Box<str>, Vec<Trouble>>,
}

impl Troubles {
    /// An incident was detected, told of again, or resolved.
    pub(super) fn note_incident(&mut self, incident: &Incident<'_>, event: &Event<'_>) {
        let id = hash_text(&incident.incident_id);
        if incident.status == IncidentStatus::Resolved {
            self.note_resolved(id, event);
            return;
        }
        let cause = incident.caused_by.as_ref();
        let deploy_id = cause.and_then(|cause| cause.deploy_id.as_deref());
        self.keep(event, Some(id), deploy_id, event.time + OPEN_FOR_MAX);
    }

    fn note_resolved(&mut self, id: u64, event: &Event<'_>) {
        let Some(kept) = self.of_service(&event.service) else {
            return;
        };
        if let Some(trouble) = kept.iter_mut().find(|trouble| trouble.incident == Some(id)) {
            // The latest word by its own time counts: a resolution from before the last word closes nothing.
            if trouble.at <= event.time {
                trouble.until = trouble.until.min(event.time);
                trouble.resolved_at = trouble.resolved_at.max(Some(event.time));
            }
        } else if kept.len() < KEPT_MAX {
            // Its detection may come after it. It is the first to go.
            let resolved = Trouble {
                at: Timestamp::MIN,
                until: Timestamp::MIN,
                resolved_at: Some(event.time),
                environment: None,
                incident: Some(id),
                deploy: None,
            };
            kept.insert(0, resolved);
        }
    }

    /// A deploy was taken back.
    pub(super) fn note_taken_back(&mut self, deploy_id: Option<&str>, event: &Event<'_>) {
        self.keep(event, None, deploy_id, event.time);
    }

    fn keep(&mut self, event: &Event<'_>, incident: Option<u64>, deploy_id: Option<&str>, until: Timestamp) {
        let Some(kept) = self.of_service(&event.service) else {
            return;
        };
        let is_same = |trouble: &Trouble| incident.is_some() && trouble.incident == incident;
        let mut trouble = Trouble {
            at: event.time,
            until,
            resolved_at: None,
            environment: event.environment.as_deref().map(Into::into),
            incident,
            deploy: deploy_id.map(|deploy_id| hash(&event.service, deploy_id)),
        };
        if let Some(place) = kept.iter().position(is_same) {
            // What comes again, or late, opens nothing that was resolved. It may name the cause.
            if event.time <= kept[place].at {
                kept[place].deploy = kept[place].deploy.or(trouble.deploy);
                return;
            }
            let known = kept.remove(place);
            trouble.deploy = trouble.deploy.or(known.deploy);
            trouble.resolved_at = known.resolved_at.filter(|at| *at >= event.time);
            trouble.until = trouble.resolved_at.unwrap_or(until);
        }
        if kept.len() >= KEPT_MAX {
            kept.remove(0);
        }
        kept.push(trouble);
    }

    /// What is kept of a service; `None` of one too many.
    fn of_service(&mut self, service: &str) -> Option<&mut Vec<Trouble>> {
        if self.by_service.len() >= PLACES_MAX && !self.by_service.contains_key(service) {
            return None;
        }
        Some(self.by_service.entry(service.into()).or_default())
    }

    /// Whether something told already bears a freeze out that begins at `at`, put down to this deploy: an incident that is
    /// open then, or one or a deploy taken back no further off than `within`. What names another deploy says nothing of this.
    pub(super) fn bear_out(
        &self,
        (service, environment): (&str, &str),
        deploy: Option<u64>,
        at: Timestamp,
        within: Duration,
    ) -> bool {
        let mut known = self.by_service.get(service).into_iter().flatten();
        known.any(|trouble| {
            let is_here = trouble.environment.as_deref().is_none_or(|own| own == environment);
            let is_meant = trouble.deploy.is_none() || deploy.is_none() || trouble.deploy == deploy;
            let is_near = trouble.at <= at + within && at <= trouble.until.max(trouble.at + within);
            is_here && is_meant && is_near
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Body;

    fn note(troubles: &mut Troubles, n: i64, status: IncidentStatus) {
        let incident = Incident {
            incident_id: format!("i-{n}").into(),
            status,
            severity: 3,
            caused_by: None,
        };
        let event = Event {
            id: "e".into(),
            time: Timestamp::from_millis(n * 86_400_000),
            service: "s".into(),
            environment: None,
            source: "incidents".into(),
            body: Body::Incident(incident.clone()),
        };
        troubles.note_incident(&incident, &event);
    }

    #[test]
    fn only_the_latest_troubles_of_a_service_are_kept() {
        let mut troubles = Troubles::default();
        let n_max = i64::try_from(KEPT_MAX).expect("few");
        for n in 1..=n_max + 1 {
            note(&mut troubles, n, IncidentStatus::Detected);
        }
        note(&mut troubles, n_max + 2, IncidentStatus::Resolved);
        let at: Vec<i64> = troubles.by_service["s"]
            .iter()
            .map(|trouble| trouble.at.millis() / 86_400_000)
            .collect();
        assert_eq!(at, (2..=n_max + 1).collect::<Vec<_>>());
    }
}
