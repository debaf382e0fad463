//! Deploys whose watch is over, so that what is said of them late or again opens none, and what they do next does.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    model::{DeployStatus, Second, Timestamp, short_hash},
    score::{
        exposure::Exposure,
        steps::Version,
        watch::{Watch, WatchVerdict},
    },
};

/// Deploys remembered; the next drops the one that ended first.
const ENDED_MAX: usize = 7;
/// A status later than this may be of a deploy that is not remembered any more: it comes from a mirror that sends a day
/// again, not from a pipeline.
const LATE_MAX: Duration = Duration::from_hours(3);

/// The last deploys whose watch is over, the last one first.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct EndedDeploys([Ended; ENDED_MAX]);

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Half of the hash of its id; 0 where there is none.
    deploy: u32,
    /// When its last stage began, or it was taken back.
    at: Second,
    /// How much of the traffic it had reached.
    reached: Exposure,
    /// What its watches found; `None` once it was taken back.
    pub(super) verdict: Option<WatchVerdict>,
    /// Whether its version stood beside another.
    pub(super) is_apart: bool,
}

impl EndedDeploys {
    pub(super) fn of(&self, deploy_id: &str) -> Option<Ended> {
        let deploy = short_hash(deploy_id);
        self.0
            .iter()
            .copied()
            .find(|ended| ended.is_known() && ended.deploy == deploy)
    }

    /// The watch of a deploy is over. What it says counts beside what earlier ones said.
    pub(super) fn note(&mut self, watch: &Watch, verdict: WatchVerdict) {
        self.put_first(Ended {
            deploy: short_hash(&watch.deploy_id),
            at: Second::of(watch.stage_at()),
            reached: watch.exposure(),
            verdict: watch.earlier.max(Some(verdict)),
            is_apart: watch.versions().0 != Version::NONE,
        });
    }

    /// A deploy was taken back at `time`.
    pub(super) fn take_back(&mut self, deploy_id: &str, time: Timestamp) {
        self.put_first(Ended {
            deploy: short_hash(deploy_id),
            at: Second::of(time),
            ..Ended::default()
        });
    }

    fn put_first(&mut self, ended: Ended) {
        let known = self
            .0
            .iter()
            .position(|known| known.is_known() && known.deploy == ended.deploy);
        self.0[..=known.unwrap_or(ENDED_MAX - 1)].rotate_right(1);
        self.0[0] = ended;
    }

    /// Whether a status of `time` may be of one that is not remembered any more.
    pub(super) fn may_have_forgotten(&self, time: Timestamp, now: Timestamp) -> bool {
        let is_full = self.0[ENDED_MAX - 1].is_known();
        is_full && time < self.newest() && now.since(time) > LATE_MAX
    }

    /// The last instant at which one of them went on or was taken back.
    pub(super) fn newest(&self) -> Timestamp {
        self.0.iter().map(|ended| ended.at).max().unwrap_or_default().start()
    }
}

impl Ended {
    fn is_known(&self) -> bool {
        *self != Self::default()
    }

    pub(super) fn was_taken_back(&self) -> bool {
        self.verdict.is_none()
    }

    /// Whether a status of `time` is later than what is known, and so of no earlier try of the deploy.
    pub(super) fn is_before(&self, time: Timestamp) -> bool {
        let time = Second::of(time);
        self.at < time || (self.at == time && !self.was_taken_back())
    }

    /// Whether a status is of what the deploy does next: it reaches more of the traffic than it had, or is tried again
    /// after it was taken back. That it has succeeded, the pipeline says of a rollback too.
    pub(super) fn goes_on(&self, status: DeployStatus, exposure: Exposure) -> bool {
        if self.was_taken_back() {
            matches!(status, DeployStatus::Started | DeployStatus::Progressing)
        } else {
            exposure > self.reached
        }
    }
}
