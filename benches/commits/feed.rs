//! The module under test as it runs: a partition of the log, fed with commits, deploys, and incidents that name their cause.

use holdpoint::{
    model::{
        Ai, Assistance, Author, Body, CausedBy, ChangeKind, Commit, Deploy, DeployStatus, Entry, EventHash, Happened,
        Incident, IncidentStatus, Message, Offset, Origin, Timestamp,
    },
    score::{Fleet, Partition, Said, Saying, ScoredChange},
};

use crate::history::Landed;

#[derive(Default)]
pub(crate) struct Feed {
    partition: Partition,
    offset: i64,
}

impl Feed {
    /// What is known of all services together.
    pub(crate) fn fleet(&self) -> &Fleet {
        self.partition.fleet()
    }

    /// A commit lands, and is scored.
    pub(crate) fn land(
        &mut self,
        service: &str,
        landed: &Landed,
        assistance: Assistance,
        at: Timestamp,
    ) -> ScoredChange {
        let body = Body::Commit(Box::new(Commit {
            sha: landed.sha.as_str().into(),
            repository: None,
            author: Author::default(),
            ai: Ai {
                assistance,
                confidence: None,
            },
            measures: landed.told(),
            paths: Vec::new(),
            approvals: Vec::new(),
            change_id: None,
            head_shas: Vec::new(),
        }));
        let said = self.happen(service, &landed.sha, at, body);
        let scored = said.into_iter().find_map(|saying| match saying.said {
            Said::Scored(change) => Some(*change),
            Said::Decision(_) | Said::Forget(_) | Said::Message(_) | Said::Closed(_) => None,
        });
        scored.expect("a commit seen for the first time is scored")
    }

    /// An incident names the commit that caused it; it is over at once, so that nothing is frozen.
    pub(crate) fn reveal(&mut self, service: &str, sha: &str, at: Timestamp) {
        let body = Body::Incident(Incident {
            incident_id: sha.into(),
            status: IncidentStatus::Resolved,
            severity: 5,
            caused_by: Some(CausedBy {
                deploy_id: None,
                sha: Some(sha.into()),
            }),
        });
        self.happen(service, sha, at, body);
    }

    /// Changes go out to all traffic at once.
    pub(crate) fn deploy(&mut self, service: &str, id: &str, shas: &[&str], at: Timestamp) {
        let body = Body::Deploy(Box::new(Deploy {
            deploy_id: id.into(),
            status: DeployStatus::Succeeded,
            version: None,
            previous_version: None,
            commits: shas.iter().map(|sha| (*sha).into()).collect(),
            exposure: None,
            change_kind: ChangeKind::Release,
        }));
        self.happen(service, id, at, body);
    }

    /// Time goes on to `at`, an event happens, and what state machines tell each other is passed on.
    fn happen(&mut self, service: &str, id: &str, at: Timestamp, body: Body<'_>) -> Vec<Saying> {
        let mut said = Vec::new();
        self.offset += 1;
        self.partition.advance_to(at, Offset(self.offset), &mut said);
        let origin = Origin {
            topic: "history",
            partition: -1,
            offset: self.offset,
        };
        let event = Entry::Event(Happened {
            hash: EventHash::of(service, body.kind().name(), id),
            id,
            time: at,
            service,
            environment: None,
            default_environment: "production",
            origin,
            body,
        });
        self.partition.step(&event, Offset(self.offset), at, &mut said);
        let mut passed_on = 0;
        while let Some(message) = Self::next_message(&said, &mut passed_on) {
            self.offset += 1;
            self.partition
                .step(&Entry::Message(message), Offset(self.offset), at, &mut said);
        }
        said
    }

    fn next_message(said: &[Saying], passed_on: &mut usize) -> Option<Message<'static>> {
        while let Some(saying) = said.get(*passed_on) {
            *passed_on += 1;
            if let Said::Message(message) = &saying.said {
                return Some(message.clone());
            }
        }
        None
    }
}
