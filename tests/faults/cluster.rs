//! Brokers of this run's own, by `scripts/kafka`: those of other tests may not be killed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

use crate::arguments::Arguments;

/// A cluster that goes down with this value.
#[derive(Debug)]
pub(crate) struct Cluster {
    dir: PathBuf,
    keep: bool,
    pub(crate) brokers: String,
}

impl Cluster {
    /// Starts one without data of a former run.
    pub(crate) fn start(arguments: &Arguments) -> anyhow::Result<Self> {
        // Set before the start, so that one that fails half-way is cleaned up too.
        let mut cluster = Self {
            dir: arguments.dir.join("kafka"),
            keep: arguments.keep,
            brokers: String::new(),
        };
        let (nodes, port) = (arguments.nodes.to_string(), arguments.port.to_string());
        cluster.brokers = script(&cluster.dir, &["up", "--fresh", "--nodes", &nodes, "--port", &port])?;
        Ok(cluster)
    }

    /// Does something to one node: `kill`, `stop` or `start`.
    pub(crate) fn node(&self, verb: &str, node: u32) -> anyhow::Result<()> {
        script(&self.dir, &[&format!("{verb}-node"), &node.to_string()]).map(drop)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let mut arguments = vec!["down"];
        if !self.keep {
            arguments.push("--wipe");
        }
        // The script has said why.
        drop(script(&self.dir, &arguments));
    }
}

/// Runs the script for a cluster; its last line, for it may talk before. What it says on the way is of interest only
/// when it fails.
fn script(dir: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka");
    let output = Command::new(path)
        .args(arguments)
        .arg("--dir")
        .arg(dir)
        .stdin(Stdio::null())
        .output()
        .context("scripts/kafka cannot be run")?;
    ensure!(
        output.status.success(),
        "scripts/kafka {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
