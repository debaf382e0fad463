//! An incident that is open.

use std::collections::BTreeMap;

use super::ought::{Ought, plain};
use crate::{
    model::{Action, Evidence, Reason, Timestamp},
    score::environment::OpenIncident,
};

pub(super) fn by_incident(incident: &OpenIncident, action: Action, until: Timestamp, code: &str) -> Ought {
    Ought {
        about: incident.incident_id.clone(),
        ..plain(action, Some(until), incident_reason(incident, code))
    }
}

fn incident_reason(incident: &OpenIncident, code: &str) -> Reason {
    let OpenIncident {
        incident_id, severity, ..
    } = incident;
    let mut reason = Reason::new(code, format!("incident {incident_id} of severity {severity} is open"));
    reason.evidence = BTreeMap::from([
        ("incident_id", Evidence::Text(incident_id.clone())),
        ("severity", Evidence::Count(u64::from(*severity))),
    ]);
    reason
}
