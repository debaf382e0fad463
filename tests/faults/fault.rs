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
/// Draws of a second fault that goes with the first, at most.
const DRAWS_MAX: u32 = 20;

/// What is done to whom, and for how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) kind: Kind,
    /// The number of an instance, or of a node.
    pub(crate) target: u32,
    pub(crate) hold: Duration,
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

/// One fault, or two at once.
pub(crate) fn draw(chance: &mut Chance, arguments: &Arguments, n_max: u32) -> Vec<Fault> {
    let mut faults: Vec<Fault> = one(chance, arguments).into_iter().collect();
    if arguments.single || n_max < 2 || !chance.one_in(3) {
        return faults;
    }
    for _ in 0..DRAWS_MAX {
        let Some(second) = one(chance, arguments) else { break };
        let goes_with = |first: &Fault| {
            let both_of_brokers = first.kind.is_of_broker() && second.kind.is_of_broker();
            let same_kind_of_target = first.kind.is_of_broker() == second.kind.is_of_broker();
            let joins = [first.kind, second.kind]
                .iter()
                .filter(|kind| **kind == Kind::Join)
                .count();
            !both_of_brokers && joins < 2 && (joins == 1 || !same_kind_of_target || first.target != second.target)
        };
        if faults.iter().all(goes_with) {
            faults.push(second);
            break;
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
