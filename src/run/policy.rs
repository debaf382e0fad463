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

/// What a good policy file has, in a line; or its faults, each with its line and column.
pub fn check(path: &Path) -> anyhow::Result<Result<String, Vec<String>>> {
    Ok(match Policy::parse(&read(path)?) {
        Ok(policy) => Ok(format!("{}: good; {}", path.display(), outline(&policy))),
        Err(faults) => Err(lines(path, &faults)),
    })
}

/// By which one sees that a file says what it is meant to: a table left out or switched off is no fault.
fn outline(policy: &Policy) -> String {
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    format!(
        "mode {}; {}, {}; tables of {}, {}, {}",
        policy.base.mode.name(),
        count(policy.rules.len(), "rule"),
        count(policy.windows.len(), "window"),
        count(policy.tiers.len(), "tier"),
        count(policy.environments.len(), "environment"),
        count(policy.services.len(), "service"),
    )
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
