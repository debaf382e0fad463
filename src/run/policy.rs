//! `holdpoint policy`: all that is wrong with a policy file, at once; and what it says of a service.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};

use crate::{
    clock::Clock,
    model::{Criticality, EnvironmentId, ServiceId},
    score::{
        Policy,
        policy::{Asked, Explanation, Faults, explain as explain_policy},
    },
};

/// The faults of a policy file, each with its line and column; empty if it is good.
pub fn check(path: &Path) -> anyhow::Result<Vec<String>> {
    Ok(match Policy::parse(&read(path)?) {
        Ok(_) => Vec::new(),
        Err(faults) => lines(path, &faults),
    })
}

/// What is asked of a policy.
#[derive(Debug, Clone)]
pub struct Args {
    pub service: ServiceId,
    pub environment: EnvironmentId,
    /// As the service's catalog has it.
    pub tier: Option<Criticality>,
    /// Without a file, the built-in policy.
    pub file: Option<PathBuf>,
}

/// What the policy says of a service in an environment, by the clock of now; or its faults, as [`check`] has them.
pub fn explain(args: &Args) -> anyhow::Result<Result<Explanation, Vec<String>>> {
    let text = args.file.as_deref().map_or(Ok(String::new()), read)?;
    let asked = Asked {
        service: args.service.as_str(),
        environment: args.environment.as_str(),
        criticality: args.tier,
        now: Clock::wall().now(),
    };
    let path = args.file.as_deref().unwrap_or(Path::new("the built-in policy"));
    Ok(explain_policy(&text, &asked).map_err(|faults| lines(path, &faults)))
}

/// A policy of `path` that is to be gone by; errs with its faults, as [`check`] has them.
pub(super) fn parse(path: &Path, text: &str) -> anyhow::Result<Policy> {
    Policy::parse(text).map_err(|faults| anyhow!("{} has faults:\n{}", path.display(), lines(path, &faults).join("\n")))
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

fn lines(path: &Path, faults: &Faults) -> Vec<String> {
    let text = faults.to_string();
    text.lines().map(|line| format!("{}:{line}", path.display())).collect()
}
