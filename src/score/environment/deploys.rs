//! Deploys: which are watched, and which are over.

use super::{Environment, Scene, closing::Closes, ended::Ended};
use crate::{
    model::{ChangeKind, Deploy, DeployStatus, Message, Second, Timestamp, UnitInterval, Watched},
    score::{Said, exposure::Exposure, steps::Version, watch::Watch},
};

/// Deploys watched at once; the next drops the oldest. Fewer where something else takes their place, so that all of it
/// stays within 4 KiB: a freeze that of three, the deploy that a freeze was for, an error budget and the names of callees and
/// callers that of one each, and kinds of errors and versions that of one each beside them.
const WATCHES_MAX: usize = 6;
const WATCHES_OF_HOLD: usize = 3;
const WATCHES_OF_BUDGET: usize = 1;
const WATCHES_OF_GRAPH: usize = 1;
const WATCHES_OF_PAST_HOLD: usize = 1;

impl Environment {
    /// A deploy began, went on or ended; `prior` is the chance that its changes cause an incident.
    pub(crate) fn deploy(&mut self, deploy: &Deploy<'_>, time: Timestamp, prior: f64, scene: &mut Scene<'_>) {
        self.touch(time);
        if !self.is_watched() {
            // Of whatever kind it is, and whether it is watched or not.
            self.pass_quiet_steps(scene.settings, scene.context);
            self.abandon_placebo(scene.context.at);
        }
        let taken_back = self.takes_back(deploy, time, scene.context.now);
        if taken_back {
            self.set_back_version(deploy);
            self.close_watches(Closes::TakenBack, scene, |watch| *watch.deploy_id == *deploy.deploy_id);
            self.ended.take_back(&deploy.deploy_id, time);
            self.frozen_for
                .take_if(|frozen_for| frozen_for.is_for(&deploy.deploy_id));
        }
        let is_rollback = deploy.change_kind == ChangeKind::Rollback;
        let undoes = is_rollback && deploy.status != DeployStatus::Failed;
        if let Some(hold) = &mut self.hold {
            if undoes || (taken_back && hold.may_be_of(&deploy.deploy_id)) {
                hold.roll_back(time);
            }
        } else if undoes {
            self.frozen_for = None;
            self.undone_at = self.undone_at.max(Second::of(time));
        } else if is_rollback {
            self.undone_at = Second::default();
        }
        if undoes && self.is_latest(time) {
            self.version = Version::of(deploy.version.as_deref());
        }
        if !is_rollback && !is_end_of_try(deploy.status) {
            self.go_on(deploy, time, prior, scene);
        }
        self.decide(scene);
    }

    /// Whether a status takes the deploy back, and not an earlier try of it that is over.
    pub(crate) fn takes_back(&self, deploy: &Deploy<'_>, time: Timestamp, now: Timestamp) -> bool {
        let is_known = self.watch_of(&deploy.deploy_id).is_some() || !self.ended.may_have_forgotten(time, now);
        let ended = self.ended.of(&deploy.deploy_id);
        is_end_of_try(deploy.status) && ended.map_or(is_known, |ended| ended.is_before(time))
    }

    /// A deploy has reached some of the traffic: another stage of a watch, or one to begin with.
    fn go_on(&mut self, deploy: &Deploy<'_>, time: Timestamp, prior: f64, scene: &mut Scene<'_>) {
        let exposure = Exposure::of(deploy.exposure.map_or(1.0, UnitInterval::value));
        let horizon = self.horizon(scene.settings, scene.context.policy);
        let ended = self.ended.of(&deploy.deploy_id);
        if ended.is_some_and(|ended| !ended.is_before(time)) {
            return;
        }
        let is_of = |watch: &Watch| *watch.deploy_id == *deploy.deploy_id;
        // Errors that rise as the stage comes are evidence of the watch that has seen them rise.
        let is_calm = !self.unrest.is_on();
        if let Some(watch) = self.watches.iter_mut().find(|watch| is_of(watch)) {
            if !(is_calm && watch.is_followed_by(exposure)) {
                watch.stage(time, exposure, horizon);
                return;
            }
            self.close_watches(Closes::Over, scene, is_of);
        }
        let opens = match self.ended.of(&deploy.deploy_id) {
            Some(ended) => ended.goes_on(deploy.status, exposure),
            None => !self.ended.may_have_forgotten(time, scene.context.now),
        };
        if opens {
            self.watch(deploy, time, prior, scene);
            // Steps may have another length now.
            let horizon = self.horizon(scene.settings, scene.context.policy);
            if let Some(watch) = self.watches.last_mut() {
                watch.stage(time, exposure, horizon);
            }
        }
    }

    /// Begins to watch a deploy.
    fn watch(&mut self, deploy: &Deploy<'_>, time: Timestamp, prior: f64, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        if !self.is_watched() {
            self.regrain();
            self.baseline.break_off();
        }
        let raised = self.raised_by(time, &scene.context.policy.evidence);
        self.baseline.anchor(time);
        self.make_room(1, scene);
        self.watches.reserve_exact(1);
        let judged = self.baseline.is_known(now, &scene.context.policy.evidence);
        // A deploy that is tried again is another one.
        let ended = self.ended.of(&deploy.deploy_id).filter(|ended| !ended.was_taken_back());
        let versions = self.versions_of(deploy, ended);
        let horizon = self.horizon(scene.settings, scene.context.policy);
        self.watches.push(
            Watch::new(&deploy.deploy_id, time, judged, prior, versions)
                .lasting(horizon)
                .following(ended.and_then(|ended| ended.verdict))
                .amid(raised),
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
            self.close_watches(Closes::CrowdedOut, scene, |watch| watch.deploy_id == oldest);
        }
    }

    pub(super) fn watches_max(&self, scene: &Scene<'_>) -> usize {
        let of_hold = if self.hold.is_some() {
            WATCHES_OF_HOLD
        } else {
            WATCHES_OF_PAST_HOLD * usize::from(self.frozen_for.is_some())
        };
        let of_budget = WATCHES_OF_BUDGET * usize::from(self.budget().is_some());
        let of_graph = WATCHES_OF_GRAPH * usize::from(scene.graph.is_some());
        let is_tight = self.hold.is_none() && of_budget + of_graph > 0;
        let of_kinds = usize::from(self.usual_kinds.tells_kinds() && is_tight);
        let of_versions = usize::from(self.steps.has_versions() && is_tight);
        WATCHES_MAX - of_hold - of_budget - of_graph - of_kinds - of_versions
    }

    /// The version it brings and the one it takes the place of; none of the same deployed again, which stands beside
    /// nothing but itself: that which is named as the previous one, or was last deployed where none is named. Of a deploy
    /// whose watch has `ended` it is known.
    fn versions_of(&mut self, deploy: &Deploy<'_>, ended: Option<Ended>) -> (Version, Version) {
        let version = Version::of(deploy.version.as_deref());
        let previous = Version::of(deploy.previous_version.as_deref());
        let is_again = match ended {
            Some(ended) => !ended.is_apart,
            None if previous == Version::NONE => version == self.version,
            None => false,
        };
        if version != Version::NONE {
            self.version = version;
        }
        if is_again || version == previous {
            (Version::NONE, Version::NONE)
        } else {
            (version, previous)
        }
    }

    /// A deploy is taken back: what it brought in the place of another version runs no more, and may be deployed again.
    fn set_back_version(&mut self, deploy: &Deploy<'_>) {
        let named = (deploy.version.as_deref(), deploy.previous_version.as_deref());
        let named = (Version::of(named.0), Version::of(named.1));
        let watch = self.watch_of(&deploy.deploy_id);
        let (version, previous) = match (watch, self.ended.of(&deploy.deploy_id)) {
            (Some(watch), _) => watch.versions(),
            (None, Some(ended)) if ended.is_apart => named,
            (None, _) => return,
        };
        if version != Version::NONE && version == self.version {
            self.version = if previous == Version::NONE { named.1 } else { previous };
        }
    }

    /// Whether nothing was deployed here after `time`, as far as is remembered.
    fn is_latest(&self, time: Timestamp) -> bool {
        let watched = self.watches.iter().map(Watch::stage_at);
        watched.fold(self.ended.newest(), Timestamp::max) <= time
    }
}

/// Whether the deploy is over, and not well.
fn is_end_of_try(status: DeployStatus) -> bool {
    matches!(status, DeployStatus::RolledBack | DeployStatus::Failed)
}
