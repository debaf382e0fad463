//! `holdpoint policy check`: all that is wrong with a policy file, at once.

use std::path::Path;

use anyhow::Context as _;

use crate::score::Policy;

/// The faults of a policy file, each with its line and column; empty if it is good.
pub fn check(path: &Path) -> anyhow::Result<Vec<String>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    match Policy::parse(&text) {
        Ok(_) => Ok(Vec::new()),
        Err(faults) => Ok(faults
            .to_string()
            .lines()
            .map(|line| format!("{}:{line}", path.display()))
            .collect()),
    }
}
