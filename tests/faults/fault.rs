//! One fault: drawn by chance, done, held, undone.

use std::{fmt, time::Duration};

use crate::{
    arguments::{Arguments, Kind},
    chance::Chance,
};

/// Longer than a session and a transaction last, 10 s each, and the look around that ends them.
const PAUSE_SECONDS: u32 = 22;
/// A broker's absence that outlasts sessions and transactions too.
const LONG_ABSENCE_SECONDS: u32 = 24;
/// Draws of faults that go together, at most.
const DRAWS_MAX: u32 = 20;

/// What is done to whom, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// The number of an instance, or of a node.
    pub(crate) target: u32,
    pub(crate) hold: Duration,
}

impl Fault {
    /// Whether the two can be at once: brokers have no majority without two, and nobody is killed twice.
    fn goes_with(&self, other: &Self) -> bool {
        match (self.kind.is_of_broker(), other.kind.is_of_broker()) {
            (true, true) => false,
            (false, false) => {
                let joins = [self.kind, other.kind]
                    .iter()
                    .filter(|kind| **kind == Kind::Join)
                    .count();
                joins == 1 || (joins == 0 && self.target != other.target)
            }
            (true, false) | (false, true) => true,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, target, hold } = self;
        let held = hold.as_secs_f64();
        match kind {
            Kind::Join => write!(f, "{kind}"),
            Kind::BrokerKill | Kind::BrokerStop => write!(f, "{kind} node {target} for {held:.1} s"),
            Kind::Kill | Kind::Pause | Kind::Terminate => write!(f, "{kind} i{target} for {held:.1} s"),
        }
    }
}

/// What happens at once: at most `n_max` faults.
pub(crate) fn draw(chance: &mut Chance, arguments: &Arguments, n_max: u32) -> Vec<Fault> {
    let n_wanted = arguments.at_once.unwrap_or_else(|| 1 + u32::from(chance.one_in(3)));
    let n_wanted = usize::try_from(n_wanted.min(n_max)).unwrap_or(usize::MAX);
    let mut faults: Vec<Fault> = Vec::new();
    for _ in 0..DRAWS_MAX {
        if faults.len() >= n_wanted {
            break;
        }
        let Some(drawn) = one(chance, arguments) else { break };
        if faults.iter().all(|fault| fault.goes_with(&drawn)) {
            faults.push(drawn);
        }
    }
    faults
}

fn one(chance: &mut Chance, arguments: &Arguments) -> Option<Fault> {
    let kind = *chance.pick(&arguments.only)?;
    let target = if kind.is_of_broker() {
        1 + chance.below(arguments.nodes)
    } else {
        chance.below(arguments.instances)
    };
    let short = Duration::from_millis(u64::from(300 + chance.below(6_000)));
    let is_long = chance.one_in(8);
    let hold = match kind {
        Kind::Pause => Duration::from_secs(u64::from(PAUSE_SECONDS + chance.below(4))),
        Kind::Join => Duration::ZERO,
        Kind::BrokerKill | Kind::BrokerStop if is_long => Duration::from_secs(u64::from(LONG_ABSENCE_SECONDS)),
        Kind::Kill | Kind::Terminate | Kind::BrokerKill | Kind::BrokerStop => short,
    };
    Some(Fault { kind, target, hold })
}
