//! What each interval held and what was to be expected of it, for whoever looks back.

use std::{collections::BTreeMap, time::Duration};

use holdpoint::{model::Timestamp, sim::Glimpse};

use crate::oracle::real;

/// By service, in order.
#[derive(Debug, Default)]
pub(crate) struct Sights {
    all: BTreeMap<usize, Vec<Sight>>,
}

/// Of one version, where they are told apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sight {
    /// The end of the interval.
    pub(crate) time: Timestamp,
    interval_s: u16,
    pub(crate) version: Option<u32>,
    errors: f32,
    requests: f32,
    usual: f32,
    /// With what others do, and without a fault of its own.
    mean_without: f32,
    size: f32,
}

impl Sights {
    pub(crate) fn see(&mut self, glimpse: &Glimpse) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::as_conversions,
            reason = "seven digits will do"
        )]
        let short = |value: f64| value as f32;
        self.all.entry(glimpse.service).or_default().push(Sight {
            time: glimpse.time,
            interval_s: u16::try_from(glimpse.interval.as_secs()).unwrap_or(u16::MAX),
            version: glimpse.version,
            errors: short(real(glimpse.errors)),
            requests: short(real(glimpse.requests)),
            usual: short(glimpse.usual),
            mean_without: short(glimpse.mean_without),
            size: short(glimpse.size),
        });
    }

    /// A service's of intervals that ended after `from` and not after `until`.
    pub(crate) fn of(&self, service: usize, (from, until): (Timestamp, Timestamp)) -> &[Sight] {
        let all = self.all.get(&service).map_or(&[][..], Vec::as_slice);
        let place = |at| all.partition_point(|sight| sight.time <= at);
        &all[place(from)..place(until).max(place(from))]
    }
}

impl Sight {
    pub(crate) fn began(&self) -> Timestamp {
        self.time - Duration::from_secs(u64::from(self.interval_s))
    }

    pub(crate) fn errors(&self) -> f64 {
        f64::from(self.errors)
    }

    pub(crate) fn requests(&self) -> f64 {
        f64::from(self.requests)
    }

    /// Above 0: what is divided by it stays finite.
    pub(crate) fn usual(&self) -> f64 {
        f64::from(self.usual).max(1e-9)
    }

    pub(crate) fn mean_without(&self) -> f64 {
        f64::from(self.mean_without).max(1e-9)
    }

    pub(crate) fn size(&self) -> f64 {
        f64::from(self.size).max(1e-6)
    }
}
