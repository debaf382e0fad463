//! Attempts that tell what is usual: how much is lost by having to find that out.
//!
//! Where requests are told, as many are told instead as make the errors that are usual in that interval, by the service's
//! errors a request. So errors per attempt are the same all the time but for faults of its own: whoever holds errors against
//! attempts knows of traffic, hour and drift, and of what callees, outages and restarts add. The level, how errors scatter, when a
//! fault began and by how much it raises them is left to find out; and so is all of services that tell no requests.

use std::collections::BTreeMap;

use holdpoint::{
    model::Timestamp,
    sim::{Service, Simulation},
};
use serde::Deserialize;

use crate::sights::{Sight, Sights};

/// The services of a fleet, by name.
pub(crate) struct Telling<'a> {
    services: BTreeMap<&'a str, (usize, &'a Service)>,
}

/// What it needs of a line.
#[derive(Deserialize)]
struct Record<'a> {
    service: &'a str,
    time: &'a str,
    version: Option<&'a str>,
    count: u64,
    requests: u64,
}

impl<'a> Telling<'a> {
    pub(crate) fn of(simulation: &'a Simulation) -> Self {
        let services = simulation.services().iter().enumerate();
        Self {
            services: services
                .map(|(place, service)| (&*service.name, (place, service)))
                .collect(),
        }
    }

    /// Puts as many requests into a line that tells some as make the errors that were usual then.
    pub(crate) fn rewrite(&self, line: &mut String, sights: &Sights) {
        let Ok(record) = serde_json::from_str::<Record<'_>>(line) else {
            return;
        };
        let (place, service) = self.services[record.service];
        let time: Timestamp = record.time.parse().expect("the simulator writes times");
        let version = record
            .version
            .map(|version| version[1..].parse().expect("and versions"));
        let of_time = sights.of(place, (time - std::time::Duration::from_millis(1), time));
        let usual: f64 = of_time
            .iter()
            .filter(|sight| sight.version == version)
            .map(Sight::mean_without)
            .sum();
        let requests = (usual / service.signal.errors_per_request).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::as_conversions,
            reason = "a count of requests"
        )]
        let requests = (requests as u64).max(record.count);
        let told = format!(r#""requests":{}"#, record.requests);
        *line = line.replacen(&told, &format!(r#""requests":{requests}"#), 1);
    }
}
