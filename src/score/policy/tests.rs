//! Windows, rules on changes and explanations, as facts.

mod changes;
mod explained;
mod windows;

use super::Policy;

fn policy(text: &str) -> Policy {
    Policy::parse(text).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}
