//! What is played: which scenario, by how many instances, and what goes wrong at which step.

use std::{collections::BTreeMap, time::Duration};

use super::{baton::Fault, feed::ASKED_AFTER};
use crate::{run::demo::chance::Chance, stream::memory::Weakness};

/// What happens in a schedule, beside its faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scenario {
    /// Events arrive while instances run.
    Running,
    /// The same, and all instances die while people's words stand, to come back a day later.
    DayLater,
    /// Hours of events have arrived before any instance ran.
    Downtime,
    /// While instances run, a service breaks with a deploy, and those that call it suffer.
    Trouble,
}

/// What is played.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) scenario: Scenario,
    pub(super) n_instances: u32,
    /// By number of the step, counted from [`Plan::armed_after`] on.
    pub(super) faults: BTreeMap<u64, Fault>,
    pub(super) armed_after: Duration,
    pub(super) weakness: Option<Weakness>,
}

/// The schedule of a number, by its million: any faults, one fault at a step, hours of downtime, a day without
/// anybody, trouble.
pub(super) fn plan(number: u64) -> Plan {
    const BUSY_STEPS: u64 = 4_200;
    // About three seconds.
    const TROUBLE_STEPS: u64 = 500;
    let (family, i) = (number / 1_000_000, number % 1_000_000);
    match family {
        0 => drawn(number, 6_000),
        1 => {
            // A step further each time, through all kinds, with those between at the next time round.
            let step = 1 + (i * 14 + i / 300) % BUSY_STEPS;
            let kinds = faults(Duration::from_secs(21));
            Plan {
                seed: 1_000_000 + i % 5,
                scenario: Scenario::Running,
                n_instances: 2,
                faults: BTreeMap::from([(step, kinds[usize::try_from(i % 7).unwrap_or(0)])]),
                armed_after: Duration::ZERO,
                weakness: None,
            }
        }
        2 => Plan {
            seed: number,
            scenario: Scenario::Downtime,
            n_instances: if i % 3 == 0 { 1 } else { 2 },
            faults: match i % 3 {
                0 | 1 => BTreeMap::new(),
                _ => BTreeMap::from([(400 * (1 + i % 24), Fault::Crash)]),
            },
            armed_after: Duration::ZERO,
            weakness: None,
        },
        3 => Plan {
            scenario: Scenario::DayLater,
            ..drawn(number, 6_000)
        },
        _ => Plan {
            scenario: Scenario::Trouble,
            armed_after: ASKED_AFTER[usize::from(i % 2 == 1)],
            ..drawn(number, TROUBLE_STEPS)
        },
    }
}

/// Two or three instances, and up to three faults within so many steps, drawn by a seed.
fn drawn(seed: u64, n_steps: u64) -> Plan {
    let mut chance = Chance::new(seed);
    let n_instances = if chance.is(0.5) { 2 } else { 3 };
    let n_faults = 1 + chance.below(3);
    let faults = (0..n_faults)
        .map(|_| (1 + chance.below(n_steps), fault(&mut chance)))
        .collect();
    Plan {
        seed,
        scenario: Scenario::Running,
        n_instances,
        faults,
        armed_after: Duration::ZERO,
        weakness: None,
    }
}

/// Every kind of fault, those of time lasting `time`.
fn faults(time: Duration) -> [Fault; 7] {
    [
        Fault::Fail,
        Fault::Break,
        Fault::Silence,
        Fault::Crash,
        Fault::Stop,
        Fault::Hold(time),
        Fault::Freeze(time),
    ]
}

fn fault(chance: &mut Chance) -> Fault {
    // Short of the timeouts, and beyond them.
    let time = Duration::from_millis(500 + chance.below(25_000));
    *chance.pick(&faults(time))
}
