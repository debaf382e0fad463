//! Deploys whose commits are told of another service.
//!
//! A commit is known under its service, and an imported repository under the name of its folder. Where that is not what is
//! deployed, no deploy has the risk of its changes and no incident finds the change behind it, and no other figure says why.
//! In a repository of several services a deploy may well list commits that are none of its service's, so only services that
//! have no commit of their own are meant.
//!
//! **Invariant:** memory is bounded by [`COMMITS_MAX`] commits and [`SERVICES_MAX`] services of either kind.

use std::collections::BTreeMap;

use foldhash::HashSet;

use super::latest::Latest;
use crate::model::{Body, Commit, Deploy, Event, hash_text};

/// Commits remembered, the latest: deploys come soon after. 4 MiB.
const COMMITS_MAX: usize = 32_768;
/// Services remembered.
const SERVICES_MAX: usize = 20_000;

#[derive(Debug)]
pub(super) struct Strangers {
    /// By the hash of their sha, of which service commits were told first.
    commits: Latest<u64, Box<str>>,
    /// Hashes of the names of services that tell commits.
    with_commits: HashSet<u64>,
    /// Services that were deployed with a commit of another one: the first, and of which.
    deployed: BTreeMap<Box<str>, (Box<str>, Box<str>)>,
}

/// Services without commits of their own that are deployed with those of another.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Strange<'a> {
    pub(super) n_services: usize,
    /// The first of them by name, with the first such commit and the service that it is told of.
    pub(super) service: &'a str,
    pub(super) sha: &'a str,
    pub(super) other: &'a str,
}

impl Default for Strangers {
    fn default() -> Self {
        Self {
            commits: Latest::new(COMMITS_MAX),
            with_commits: HashSet::default(),
            deployed: BTreeMap::new(),
        }
    }
}

impl Strangers {
    pub(super) fn note(&mut self, event: &Event<'_>) {
        match &event.body {
            Body::Commit(commit) => self.committed(&event.service, commit),
            Body::Deploy(deploy) => self.deployed(&event.service, deploy),
            Body::Error(_) | Body::Incident(_) | Body::Override(_) | Body::Review(_) | Body::Service(_) => {}
        }
    }

    fn committed(&mut self, service: &str, commit: &Commit<'_>) {
        if self.with_commits.len() < SERVICES_MAX {
            self.with_commits.insert(hash_text(service));
        }
        self.commits.remember(hash_text(&commit.sha), || service.into());
    }

    fn deployed(&mut self, service: &str, deploy: &Deploy<'_>) {
        if self.with_commits.contains(&hash_text(service))
            || self.deployed.len() >= SERVICES_MAX
            || self.deployed.contains_key(service)
        {
            return;
        }
        let of_another = deploy
            .commits
            .iter()
            .find_map(|sha| Some((sha, self.commits.get(hash_text(sha))?)));
        if let Some((sha, other)) = of_another {
            let stranger = ((&**sha).into(), other.clone());
            self.deployed.insert(service.into(), stranger);
        }
    }

    /// `None` if there are none, or more services tell commits than are remembered.
    pub(super) fn found(&self) -> Option<Strange<'_>> {
        if self.with_commits.len() >= SERVICES_MAX {
            return None;
        }
        let is_meant = |service: &str| !self.with_commits.contains(&hash_text(service));
        let mut meant = self.deployed.iter().filter(|(service, _)| is_meant(service));
        let (service, (sha, other)) = meant.next()?;
        Some(Strange {
            n_services: 1 + meant.count(),
            service,
            sha,
            other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ingest::{self, Origin},
        model::Timestamp,
    };

    fn tell(strangers: &mut Strangers, fields: &str) {
        let line = format!(r#"{{"id":"1","time":"2026-03-02T00:00:00Z",{fields}}}"#);
        let origin = Origin {
            topic: "file",
            kind: None,
        };
        let event = ingest::decode(Some(line.as_bytes()), &origin, Timestamp::NEVER);
        strangers.note(&event.expect("an event"));
    }

    #[test]
    fn the_latest_commits_are_remembered_and_no_more() {
        let mut strangers = Strangers::default();
        for n in 0..=COMMITS_MAX {
            tell(
                &mut strangers,
                &format!(r#""kind":"commit","service":"shop","sha":"c{n}""#),
            );
        }
        let deploy = |sha: &str| {
            format!(
                r#""kind":"deploy","service":"cart","environment":"p","deploy_id":"d","status":"started","commits":["{sha}"]"#
            )
        };
        tell(&mut strangers, &deploy("c0"));
        assert_eq!(strangers.found(), None, "forgotten by then");
        tell(&mut strangers, &deploy("c1"));
        let found = strangers.found().expect("a commit of another service");
        assert_eq!(
            (found.n_services, found.service, found.sha, found.other),
            (1, "cart", "c1", "shop")
        );
    }
}
