//! Incidents that are open.

use std::collections::BTreeMap;

use super::ought::{Ought, plain, wait_until};
use crate::{
    model::{Action, Evidence, Reason, Timestamp},
    score::environment::OpenIncident,
};

/// Those that freeze, the gravest first: until the last of them is over.
pub(super) fn frozen_by(incidents: &[&OpenIncident]) -> Option<Ought> {
    let until = incidents.iter().map(|incident| incident.freezes_until()).max()?;
    let mut ought = by_incidents(incidents, Action::Freeze, until)?;
    ought.to_lift.push(wait_until(until));
    Some(ought)
}

/// Those that may freeze and do not: none was granted yet.
pub(super) fn reviewed_by(incidents: &[&OpenIncident], until: Timestamp) -> Option<Ought> {
    by_incidents(incidents, Action::ExtraReview, until)
}

fn by_incidents(incidents: &[&OpenIncident], action: Action, until: Timestamp) -> Option<Ought> {
    let (first, others) = incidents.split_first()?;
    let mut ought = plain(action, Some(until), reason(first));
    ought.reasons.extend(others.iter().map(|incident| reason(incident)));
    ought.about = first.incident_id.clone();
    let ids: Vec<&str> = incidents.iter().map(|incident| &*incident.incident_id).collect();
    let plural = if others.is_empty() { "" } else { "s" };
    ought.to_lift = vec![format!("resolve incident{plural} {}", ids.join(" and ")).into()];
    Some(ought)
}

fn reason(incident: &OpenIncident) -> Reason {
    let OpenIncident {
        incident_id, severity, ..
    } = incident;
    let code = if incident.withheld && !incident.granted {
        "limiter_withheld"
    } else {
        "incident"
    };
    let mut reason = Reason::new(code, format!("incident {incident_id} of severity {severity} is open"));
    reason.evidence = BTreeMap::from([
        ("incident_id", Evidence::Text(incident_id.clone())),
        ("severity", Evidence::Count(u64::from(*severity))),
    ]);
    reason
}
