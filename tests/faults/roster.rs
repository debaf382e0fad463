//! The instances of a run: who is to be there, who is, and how they ended.

use std::{
    fs::OpenOptions,
    path::{Path, PathBuf},
    process::Stdio,
    thread::sleep,
    time::Duration,
};

use anyhow::Context as _;
use holdpoint::clock::Stopwatch;

use crate::{
    support::{Instance, Site},
    violations::Violations,
};

/// The exit status of an instance that leaves it to its supervisor to start anew.
const GAVE_UP: i32 = 70;
/// A clean stop takes at most this.
const STOP_MAX: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Member {
    name: String,
    /// `None` while it is not to be there.
    instance: Option<Instance>,
    is_paused: bool,
}

pub(crate) struct Roster {
    members: Vec<Member>,
    logs: PathBuf,
    /// How often one ended by itself for its supervisor, which is us.
    pub(crate) n_gave_up: u64,
}

impl Roster {
    /// `n` that are to run, and one more that may join.
    pub(crate) fn new(n: u32, logs: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(logs).with_context(|| format!("making {}", logs.display()))?;
        let members = (0..=n).map(|i| Member {
            name: format!("i{i}"),
            ..Member::default()
        });
        Ok(Self {
            members: members.collect(),
            logs: logs.to_owned(),
            n_gave_up: 0,
        })
    }

    /// How many are meant to run when nothing is wrong, the one that may join left out.
    pub(crate) fn n(&self) -> usize {
        self.members.len() - 1
    }

    pub(crate) fn name(&self, member: usize) -> &str {
        &self.members[member].name
    }

    pub(crate) fn is_there(&self, member: usize) -> bool {
        self.members[member].instance.is_some()
    }

    pub(crate) fn start(&mut self, site: &Site, member: usize) -> anyhow::Result<()> {
        self.start_as(site, member, "ingest,score,api")
    }

    /// With roles as the setting names them.
    pub(crate) fn start_as(&mut self, site: &Site, member: usize, roles: &str) -> anyhow::Result<()> {
        let Member { name, instance, .. } = &mut self.members[member];
        let path = self.logs.join(format!("{name}.log"));
        let log = OpenOptions::new().create(true).append(true).open(&path);
        let log = log.with_context(|| format!("opening {}", path.display()))?;
        *instance = Some(Instance::spawn(site, name, |command| {
            command.stderr(Stdio::from(log)).env("HOLDPOINT_ROLES", roles);
        }));
        Ok(())
    }

    pub(crate) fn kill(&mut self, member: usize) {
        if let Some(instance) = self.members[member].instance.take() {
            instance.kill();
        }
    }

    pub(crate) fn pause(&mut self, member: usize) {
        let Member {
            instance, is_paused, ..
        } = &mut self.members[member];
        if let Some(instance) = instance {
            instance.signal("STOP");
            *is_paused = true;
        }
    }

    pub(crate) fn resume(&mut self, member: usize) {
        let Member {
            instance, is_paused, ..
        } = &mut self.members[member];
        if let Some(instance) = instance {
            instance.signal("CONT");
            *is_paused = false;
        }
    }

    /// SIGTERM. It must end well in time, unless brokers are away: then only in time.
    pub(crate) fn terminate(&mut self, member: usize, brokers_answer: bool, violations: &mut Violations) {
        let Member { name, instance, .. } = &mut self.members[member];
        let Some(mut instance) = instance.take() else { return };
        instance.signal("TERM");
        let watch = Stopwatch::start();
        let status = loop {
            match instance.ended() {
                Some(status) => break status.code(),
                None if watch.elapsed() > STOP_MAX => break None,
                None => sleep(Duration::from_millis(20)),
            }
        };
        let is_clean = match status {
            Some(0) => true,
            Some(GAVE_UP) => !brokers_answer,
            Some(_) | None => false,
        };
        if !is_clean {
            let took = watch.elapsed();
            violations.stops.note(|| format!("{name}: {status:?} after {took:?}"));
        }
    }

    /// Starts those again that ended by themselves.
    pub(crate) fn supervise(&mut self, site: &Site, violations: &mut Violations) -> anyhow::Result<()> {
        for member in 0..self.members.len() {
            let Member { name, instance, .. } = &mut self.members[member];
            let Some(status) = instance.as_mut().and_then(Instance::ended) else {
                continue;
            };
            if status.code() == Some(GAVE_UP) {
                self.n_gave_up += 1;
            } else {
                violations.crashes.note(|| format!("{name}: {status}"));
            }
            self.start(site, member)?;
        }
        Ok(())
    }

    /// Those that run.
    pub(crate) fn running(&self) -> impl Iterator<Item = (&str, &Instance)> {
        let awake = self.members.iter().filter(|member| !member.is_paused);
        awake.filter_map(|member| Some((member.name.as_str(), member.instance.as_ref()?)))
    }
}
