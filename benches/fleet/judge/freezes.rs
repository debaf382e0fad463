//! Freezes, and what they were for.

use std::time::Duration;

use holdpoint::{
    model::{Action, Timestamp},
    sim::{Cause, Deploy, Simulation, Truth},
};

use super::{ACCOUNTS, Traits, accountable, begun, ends, is_by_errors, traits};
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
    /// What it suffers from, where it is innocent.
    pub(crate) suffers: Option<Suffers>,
}

/// Trouble that came from a callee.
#[derive(Debug, Clone)]
pub(crate) struct Suffers {
    pub(crate) from: Timestamp,
    /// The failing service, and its bad deploy if one did it.
    pub(crate) by: Box<str>,
    pub(crate) deploy: Option<Box<str>>,
    /// When that was first held for its errors, from the beginning of the trouble on.
    pub(crate) held_at: Option<Timestamp>,
    /// When the deploy that the freeze names began.
    pub(crate) named_at: Option<Timestamp>,
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
                suffers: suffers(run, place, heard).filter(|_| in_production),
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

fn suffers(run: &Run, place: usize, heard: &Heard) -> Option<Suffers> {
    let (truth, services) = (run.simulation.truth(), run.simulation.services());
    let raises = accountable(truth, place, heard.at).filter(|raise| raise.by.is_some());
    let raise = raises.max_by(|a, b| a.excess.total_cmp(&b.excess))?;
    let mut origin = &services[raise.by?];
    let mut deploy = None;
    match raise.cause {
        Cause::Deploy(place) => {
            origin = &services[truth.deploys[place].service];
            deploy = Some(truth.deploys[place].id.clone());
        }
        Cause::Outage(place) => origin = &services[truth.outages[place].service],
        Cause::Blip => {}
    }
    let held = super::voice(run, origin).iter();
    let held = held.filter(|held| held.at >= raise.from && held.action != Action::Proceed && is_by_errors(held));
    let named = truth
        .deploys
        .iter()
        .find(|deploy| heard.deploy.as_ref() == Some(&deploy.id));
    Some(Suffers {
        from: raise.from,
        by: origin.name.clone(),
        deploy,
        held_at: held.map(|held| held.at).next(),
        named_at: named.map(Deploy::started_at),
    })
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
