//! Extra review of services: how long it stood, for what reason, and whether anything was wrong.

use std::{collections::BTreeMap, time::Duration};

use holdpoint::{
    model::{Action, Timestamp},
    sim::Cause,
};

use super::{ACCOUNTS, voice};
use crate::drive::Run;

/// What raises errors by less than this share of the usual ones is nothing to ask for review about.
const RAISES: f64 = 0.2;

/// Hours of extra review for one reason.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Reviewed {
    pub(crate) hours: f64,
    /// While nothing raised the service's errors.
    pub(crate) hours_for_nothing: f64,
}

impl Reviewed {
    pub(crate) fn add(&mut self, other: Self) {
        self.hours += other.hours;
        self.hours_for_nothing += other.hours_for_nothing;
    }
}

/// By the first reason, of services in production.
pub(super) fn reviews(run: &Run) -> BTreeMap<Box<str>, Reviewed> {
    let mut all: BTreeMap<Box<str>, Reviewed> = BTreeMap::new();
    for (place, service) in run.simulation.services().iter().enumerate() {
        let voice = voice(run, service);
        for (i, heard) in voice.iter().enumerate() {
            if heard.action != Action::ExtraReview {
                continue;
            }
            let next = voice.get(i + 1).map_or(run.simulation.end(), |next| next.at);
            let until = next.min(heard.until.unwrap_or(Timestamp::NEVER)).max(heard.at);
            let hours = hours(until.since(heard.at));
            let wrong = run.simulation.truth().raised(place, heard.at - ACCOUNTS, until);
            let wrong = wrong.filter(|raise| raise.cause != Cause::Blip && raise.excess >= RAISES);
            let wrong = wrong.map(|raise| (raise.until + ACCOUNTS).min(until).since(raise.from.max(heard.at)));
            let wrong = self::hours(wrong.max().unwrap_or(Duration::ZERO));
            all.entry(heard.code.clone()).or_default().add(Reviewed {
                hours,
                hours_for_nothing: (hours - wrong).max(0.0),
            });
        }
    }
    all
}

fn hours(stretch: Duration) -> f64 {
    stretch.as_secs_f64() / 3_600.0
}
