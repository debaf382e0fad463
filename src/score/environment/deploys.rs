//! Deploys: which are watched, and which are over.

use super::{Environment, Scene, conviction::taken_back_verdict};
use crate::{
    model::{ChangeKind, Deploy, DeployStatus, Message, Second, Timestamp, UnitInterval, Watched, hash_text},
    score::{Said, steps::Version, watch::Watch},
};

/// Deploys watched at once; the next drops the oldest. Fewer where something else takes their place, so that all of it
/// stays within 4 KiB: a freeze that of three, an error budget and the names of callees and callers that of one
/// each, and kinds of errors and versions that of one each beside them.
const WATCHES_MAX: usize = 6;
const WATCHES_OF_HOLD: usize = 3;
const WATCHES_OF_BUDGET: usize = 1;
const WATCHES_OF_GRAPH: usize = 1;

impl Environment {
    /// A deploy began, went on or ended; `prior` is the chance that its changes cause an incident.
    pub(crate) fn deploy(&mut self, deploy: &Deploy<'_>, time: Timestamp, prior: f64, scene: &mut Scene<'_>) {
        self.touch(time);
        if !self.is_watched() {
            // Of whatever kind it is, and whether it is watched or not.
            self.pass_quiet_steps(scene.settings, scene.context);
            self.abandon_placebo(scene.context.at);
        }
        let taken_back = matches!(deploy.status, DeployStatus::RolledBack | DeployStatus::Failed);
        if taken_back {
            self.close_watches_as(taken_back_verdict, scene, |watch| *watch.deploy_id == *deploy.deploy_id);
            if self.is_first_word_of(deploy) {
                self.note_ended(&deploy.deploy_id);
            }
        }
        let is_rollback = deploy.change_kind == ChangeKind::Rollback;
        let undoes = is_rollback && deploy.status != DeployStatus::Failed;
        if let Some(hold) = &mut self.hold {
            if undoes || (taken_back && hold.may_be_of(&deploy.deploy_id)) {
                hold.roll_back(time);
            }
        } else if undoes {
            self.undone_at = self.undone_at.max(Second::of(time));
        } else if is_rollback {
            self.undone_at = Second::default();
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
        let now = scene.context.now;
        if !self.is_watched() {
            self.regrain();
            self.baseline.break_off();
        }
        self.baseline.anchor(time);
        self.make_room(1, scene);
        self.watches.reserve_exact(1);
        let judged = self.baseline.is_known(now, &scene.context.policy.evidence);
        let versions = self.versions_of(deploy);
        let horizon = self.horizon(scene.settings, scene.context.policy);
        self.watches.push(
            Watch::new(&deploy.deploy_id, time, judged, prior, versions)
                .lasting(horizon)
                .amid_trouble(self.had_risen_by(time)),
        );
        if self.kinds.is_none() {
            self.settle_kinds(scene);
        }
        let windows = self.placebo.as_mut().map(|placebo| placebo.take_untold());
        scene.said.push(Said::Message(Message::Watched(Watched {
            tier: scene.tier,
            mode: scene.settings.mode,
            prior,
            rate_class: self.rate_class(),
            windows: windows.unwrap_or_default(),
        })));
    }

    /// Closes the oldest watches where there are more than may be: what takes their place may have come since they began.
    pub(crate) fn bound_watches(&mut self, scene: &mut Scene<'_>) {
        self.make_room(0, scene);
    }

    /// Makes room for `n` watches more.
    fn make_room(&mut self, n: usize, scene: &mut Scene<'_>) {
        while self.watches.len() + n > self.watches_max(scene) {
            let oldest = self.watches[0].deploy_id.clone();
            self.close_watches(scene, |watch| watch.deploy_id == oldest);
        }
    }

    pub(super) fn watches_max(&self, scene: &Scene<'_>) -> usize {
        let of_hold = WATCHES_OF_HOLD * usize::from(self.hold.is_some());
        let of_budget = WATCHES_OF_BUDGET * usize::from(self.budget().is_some());
        let of_graph = WATCHES_OF_GRAPH * usize::from(scene.graph.is_some());
        let is_tight = self.hold.is_none() && of_budget + of_graph > 0;
        let of_kinds = usize::from(self.known.tells_kinds() && is_tight);
        let of_versions = usize::from(self.steps.has_versions() && is_tight);
        WATCHES_MAX - of_hold - of_budget - of_graph - of_kinds - of_versions
    }

    /// The version it brings and the one it takes the place of; none of the same deployed again, which stands beside
    /// nothing but itself.
    fn versions_of(&mut self, deploy: &Deploy<'_>) -> (Version, Version) {
        let version = Version::of(deploy.version.as_deref());
        let previous = Version::of(deploy.previous_version.as_deref());
        let is_again = version == previous || version == self.version;
        if version != Version::NONE {
            self.version = version;
        }
        if is_again {
            (Version::NONE, Version::NONE)
        } else {
            (version, previous)
        }
    }

    /// A deploy whose watch has ended opens none again by a late or repeated status.
    fn is_first_word_of(&self, deploy: &Deploy<'_>) -> bool {
        !self.ended.contains(&short_hash(&deploy.deploy_id))
    }

    /// Remembers that the watch of a deploy is over.
    pub(super) fn note_ended(&mut self, deploy_id: &str) {
        self.ended.rotate_right(1);
        self.ended[0] = short_hash(deploy_id);
    }
}

/// Half of a hash: two of seventeen deploys fall together once in thirty million times.
pub(in crate::score) fn short_hash(deploy_id: &str) -> u32 {
    u32::try_from(hash_text(deploy_id) >> 32).unwrap_or(u32::MAX)
}
