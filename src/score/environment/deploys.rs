//! Deploys: which are watched, and which are over.

use super::{Environment, Scene};
use crate::{
    model::{ChangeKind, Deploy, DeployStatus, Timestamp, UnitInterval, hash_text},
    score::{Context, catalog::Graph, watch::Watch},
};

/// Deploys watched at once; the next drops the oldest. Fewer where something else takes their place, so that all of it
/// stays near 4 KiB: a freeze that of three, an error budget that of two, what is known of the surroundings that of up to
/// two.
const WATCHES_MAX: usize = 8;
const WATCHES_MIN: usize = 2;
const WATCH_BYTES: usize = 210;
/// Deploys remembered whose watch is over; the next drops the oldest.
const ENDED_MAX: usize = 16;

impl Environment {
    /// A deploy began, went on or ended; `prior` is the chance that its changes cause an incident.
    pub(crate) fn deploy(&mut self, deploy: &Deploy<'_>, time: Timestamp, prior: f64, scene: &mut Scene<'_>) {
        self.touch(time);
        let taken_back = matches!(deploy.status, DeployStatus::RolledBack | DeployStatus::Failed);
        if taken_back {
            self.close_watches(scene, |watch| *watch.deploy_id == *deploy.deploy_id);
            if self.is_first_word_of(deploy) {
                self.note_ended(&deploy.deploy_id);
            }
        }
        let undoes = deploy.change_kind == ChangeKind::Rollback && deploy.status != DeployStatus::Failed;
        if let Some(hold) = &mut self.hold
            && (undoes || (taken_back && *hold.deploy_id == *deploy.deploy_id))
        {
            hold.roll_back(time);
        }
        let exposure = deploy.exposure.map_or(1.0, UnitInterval::value);
        let known = self
            .watches
            .iter_mut()
            .find(|watch| *watch.deploy_id == *deploy.deploy_id);
        if let Some(watch) = known {
            watch.stage(time, exposure);
        } else if !taken_back && deploy.change_kind != ChangeKind::Rollback && self.is_first_word_of(deploy) {
            self.watch(deploy, time, prior, scene);
            if let Some(watch) = self.watches.last_mut() {
                watch.stage(time, exposure);
            }
        }
        self.decide(scene);
    }

    /// Begins to watch a deploy.
    fn watch(&mut self, deploy: &Deploy<'_>, time: Timestamp, prior: f64, scene: &mut Scene<'_>) {
        let Context { now, policy, .. } = *scene.context;
        if !self.is_watched() {
            self.pass_quiet_steps(now, policy.lateness);
        }
        let graph_bytes = scene.graph.map_or(0, Graph::bytes);
        if self.watches.len() >= self.watches_max(graph_bytes) {
            let oldest = self.watches[0].deploy_id.clone();
            self.close_watches(scene, |watch| watch.deploy_id == oldest);
        }
        self.watches.reserve_exact(1);
        self.watches
            .push(Watch::new(&deploy.deploy_id, time, self.baseline.is_known(now), prior));
    }

    fn watches_max(&self, graph_bytes: usize) -> usize {
        let held = 3 * usize::from(self.hold.is_some());
        let budgeted = 2 * usize::from(self.budget.is_some());
        let fewer = held + budgeted + graph_bytes.div_ceil(WATCH_BYTES);
        WATCHES_MAX.saturating_sub(fewer).max(WATCHES_MIN)
    }

    /// A deploy whose watch has ended opens none again by a late or repeated status.
    fn is_first_word_of(&self, deploy: &Deploy<'_>) -> bool {
        !self.ended.contains(&short_hash(&deploy.deploy_id))
    }

    /// Remembers that the watch of a deploy is over.
    pub(super) fn note_ended(&mut self, deploy_id: &str) {
        if self.ended.len() >= ENDED_MAX {
            self.ended.remove(0);
        }
        self.ended.push(short_hash(deploy_id));
    }
}

/// Half of a hash: two of seventeen deploys fall together once in thirty million times.
pub(super) fn short_hash(deploy_id: &str) -> u32 {
    u32::try_from(hash_text(deploy_id) >> 32).unwrap_or(u32::MAX)
}
