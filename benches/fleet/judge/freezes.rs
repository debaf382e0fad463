//! Freezes, and what they were for.

use std::time::Duration;

use holdpoint::{
    model::{Action, Timestamp},
    sim::{Cause, Simulation, Truth},
};

use super::{ACCOUNTS, Traits, accountable, begun, ends, traits};
use crate::drive::{Heard, Run};

/// What a freeze was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ground {
    /// A bad deploy of its own.
    OwnFault,
    /// It failed itself, and no deploy did it.
    OwnOutage,
    /// It suffers of a callee.
    Innocent,
    /// Nothing was wrong.
    Nothing,
}

#[derive(Debug, Clone)]
pub(crate) struct Freeze {
    pub(crate) traits: Traits,
    pub(crate) environment: Box<str>,
    pub(crate) at: Timestamp,
    pub(crate) held: Duration,
    pub(crate) code: Box<str>,
    pub(crate) deploy: Option<Box<str>>,
    pub(crate) ground: Ground,
    /// What happened in the half hour before, of what is no fault.
    pub(crate) nearby: Vec<&'static str>,
}

pub(super) fn freezes(run: &Run) -> Vec<Freeze> {
    let simulation = &run.simulation;
    let mut all = Vec::new();
    for ((name, environment), voice) in &run.voices {
        let Some(place) = simulation.services().iter().position(|service| service.name == *name) else {
            continue;
        };
        let in_production = **environment == *"production";
        for (i, heard) in begun(voice) {
            all.push(Freeze {
                traits: traits(&simulation.services()[place], heard.at),
                environment: environment.clone(),
                at: heard.at,
                held: ends(voice, i).since(heard.at),
                code: heard.code.clone(),
                deploy: heard.deploy.clone(),
                ground: if in_production {
                    ground(simulation.truth(), place, heard.at)
                } else {
                    Ground::Nothing
                },
                nearby: nearby(simulation, place, (voice, i)),
            });
        }
    }
    all
}

fn ground(truth: &Truth, place: usize, at: Timestamp) -> Ground {
    let grounds = accountable(truth, place, at).map(|raise| match (raise.cause, raise.by) {
        (_, Some(_)) => Ground::Innocent,
        (Cause::Deploy(_), None) => Ground::OwnFault,
        (Cause::Outage(_) | Cause::Blip, None) => Ground::OwnOutage,
    });
    grounds.min().unwrap_or(Ground::Nothing)
}

fn nearby(simulation: &Simulation, place: usize, (voice, i): (&[Heard], usize)) -> Vec<&'static str> {
    let at = voice[i].at;
    let truth = simulation.truth();
    let from = at - Duration::from_mins(30);
    let overlaps = |begin: Timestamp, end: Timestamp| begin < at && end > from;
    let mut all = Vec::new();
    // A freeze is followed by a cool-down, and that by what is decided next.
    let recent = voice[..i]
        .iter()
        .rev()
        .take_while(|heard| at.since(heard.at) <= ACCOUNTS);
    let standing = voice[..i].iter().rev().find(|heard| at.since(heard.at) > ACCOUNTS);
    if recent.chain(standing).any(|heard| heard.action == Action::Freeze) {
        all.push("a freeze just over");
    }
    if truth
        .raised(place, at - Duration::from_mins(5), at)
        .any(|raise| raise.cause == Cause::Blip)
    {
        all.push("blip");
    }
    if truth
        .storms
        .iter()
        .any(|storm| storm.service == place && overlaps(storm.from, storm.until))
    {
        all.push("storm");
    }
    if truth
        .gaps
        .iter()
        .any(|gap| gap.service == place && overlaps(gap.from, gap.until))
    {
        all.push("gap");
    }
    if truth.raised(place, from, at).any(|raise| raise.cause != Cause::Blip) {
        all.push("fault just over, or small");
    }
    all
}
