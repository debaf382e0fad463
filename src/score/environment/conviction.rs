//! From evidence to a freeze: what convicts a deploy, asking the fleet, and its answer.

use super::{Environment, PROPOSE_EVERY, Proposal, Scene, closed::Allowance, margin, trouble::HARMLESS_RISE};
use crate::{
    model::{Calibration, Criticality, Ground, Message, Second, Timestamp},
    score::{
        Reading, Said,
        baseline::Sizes,
        calibration,
        catalog::Graph,
        hold::{Beside, Found, Hold},
        placebo::Threshold,
        policy::{Evidence, Settings},
        watch::{Watch, WatchVerdict},
    },
};

/// Fewer errors beyond the expected convict nobody.
const EXCESS_MIN: f64 = 5.0;

impl Environment {
    /// The evidence of the watch that has most of it.
    pub(crate) fn reading(&self, terms: &Terms<'_>) -> Option<Reading> {
        let leading = self.leading()?;
        let sizes = self.baseline.sizes(terms.evidence);
        let threshold = self.threshold(leading, terms);
        Some(Reading {
            ln_e: leading.ln_e(),
            ln_threshold: f64::from(threshold.ln_e),
            is_noisy: threshold.is_noisy,
            is_material: is_material(leading, &sizes, margin(terms.settings, false)),
            steps_since_onset: leading.since_onset().n_steps,
        })
    }

    /// The watch that has most evidence.
    pub(super) fn leading(&self) -> Option<&Watch> {
        leading_of(self.watches.iter())
    }

    /// What the evidence against a deploy must reach.
    pub(super) fn threshold(&self, watch: &Watch, terms: &Terms<'_>) -> Threshold {
        let Terms {
            tier,
            settings,
            told,
            evidence,
        } = *terms;
        let alpha = calibration::alpha(&settings.freeze, settings.mode, watch.prior(), told, evidence);
        if watch.is_controlled() {
            return Threshold::without(alpha, evidence);
        }
        self.threshold_at(alpha, tier, told, evidence)
    }

    /// The threshold at α that its own placebo windows and those of its like ask for.
    pub(crate) fn threshold_at(
        &self,
        alpha: f64,
        tier: Criticality,
        told: &Calibration,
        evidence: &Evidence,
    ) -> Threshold {
        let own = self.placebo.as_ref().map(|placebo| placebo.tail()).unwrap_or_default();
        let pool = &told.tails[tier.index()][usize::from(self.rate_class())];
        Threshold::of(alpha, &own, pool, evidence)
    }

    /// The class of its rate of errors.
    pub(super) fn rate_class(&self) -> u8 {
        let grain = self.steps.grain;
        calibration::rate_class(self.baseline.level(grain) / grain.minutes())
    }

    /// Asks for a freeze if a watch has the evidence for one, as of the step that ended at `end`.
    pub(super) fn convict(&mut self, end: Timestamp, allowance: Allowance, scene: &mut Scene<'_>) {
        let Allowance { margin, by_requests } = allowance;
        let sizes = self.baseline.sizes(&scene.context.policy.evidence);
        let mut guilty: Option<(&Watch, Threshold)> = None;
        for watch in &self.watches {
            // No threshold is lower; most steps of most watches end here.
            if !watch.judged || watch.ln_e() < LN_THRESHOLD_MIN {
                continue;
            }
            if !is_material(watch, &sizes, margin_of(watch, margin)) {
                continue;
            }
            if !self.lets_convict(watch, scene.tier) {
                continue;
            }
            let threshold = self.threshold(watch, &scene.terms());
            let leads = guilty.is_none_or(|(leading, _)| watch.ln_e() > leading.ln_e());
            if watch.ln_e() >= f64::from(threshold.ln_e) && leads {
                guilty = Some((watch, threshold));
            }
        }
        let Some((leading, threshold)) = guilty else {
            self.proposal = None;
            self.drop_question();
            return;
        };
        let onset = end - self.steps.grain.duration() * u32::from(leading.since_onset().n_steps);
        let deploy_id = leading.deploy_id.clone();
        let beside = match (leading.is_controlled(), by_requests) {
            (true, _) => Beside::Version,
            (false, _) if leading.raised.is_some() => Beside::Raised,
            (false, true) => Beside::Requests,
            (false, false) => Beside::Minutes,
        };
        let margin = margin_of(leading, margin);
        let mut found = Found::new(
            (leading.ln_e(), leading.since_onset()),
            (beside, margin),
            threshold,
            onset,
        );
        found.dominant = self.kinds.as_ref().and_then(|kinds| kinds.dominant());
        if let Some(watch) = self.watches.iter_mut().find(|watch| watch.deploy_id == deploy_id) {
            watch.alarm(scene.context.now);
        }
        let asked = self.proposal.take();
        let asks =
            !found.threshold.is_noise(f64::from(found.ln_e)) && asked.as_ref().is_none_or(|asked| asked.is_noisy());
        // What was answered to an earlier question is no answer to this one.
        if !asks || scene.is_alone() {
            found.suspects = self.name_suspects(&deploy_id, &found, scene);
        }
        self.proposal = Some(Box::new(Proposal {
            deploy_id,
            found,
            withheld: !asks && asked.as_ref().is_some_and(|asked| asked.withheld),
            asked_at: asked
                .filter(|_| !asks)
                .map_or(Second::of(scene.context.now), |asked| asked.asked_at),
        }));
        if asks {
            self.inquire(true, scene);
        }
    }

    /// Asks the fleet for a freeze.
    pub(super) fn propose(&self, ground: Ground, scene: &mut Scene<'_>) {
        scene.said.push(Said::Message(Message::Propose {
            service: scene.service.as_str().to_owned().into(),
            environment: self.name.as_str().to_owned().into(),
            mode: scene.settings.mode,
            ground,
        }));
    }

    pub(super) fn propose_again(&mut self, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        let is_asking = self.is_asking();
        if let Some(proposal) = &mut self.proposal
            && !is_asking
            && !proposal.is_noisy()
            && now >= proposal.asked_at.start() + PROPOSE_EVERY
        {
            proposal.asked_at = Second::of(now);
            self.inquire(false, scene);
        }
        if self.incidents.ask_again(now, PROPOSE_EVERY) {
            self.propose(Ground::Incident, scene);
        }
    }

    /// The fleet's answer to a proposal. What has passed meanwhile is not frozen for.
    pub(crate) fn answer(&mut self, ground: Ground, granted: bool, scene: &mut Scene<'_>) {
        match ground {
            Ground::Incident => self.incidents.answer(granted),
            Ground::Burn => self.answer_lease(granted, scene),
            Ground::Evidence => match self.proposal.take() {
                Some(proposal) if granted && !proposal.is_noisy() && !self.is_elsewhere() => {
                    self.freeze(*proposal, scene);
                }
                Some(mut proposal) => {
                    proposal.withheld = !granted;
                    self.proposal = Some(proposal);
                }
                None => {}
            },
        }
        self.decide(scene);
    }

    fn freeze(&mut self, proposal: Proposal, scene: &mut Scene<'_>) {
        let now = scene.context.now;
        let lease = self.begin_freeze(scene.settings.freeze.lease, now);
        let suspects = proposal.found.suspects(scene.service);
        let mut hold = Hold::new(&proposal.deploy_id, proposal.found, now, lease);
        let convicted = self
            .watches
            .iter()
            .find(|watch| *watch.deploy_id == *proposal.deploy_id);
        if convicted.is_some_and(|watch| watch.started_at() <= self.undone_at.start()) {
            // Whoever saw the errors was quicker than the evidence.
            hold.roll_back(self.undone_at.start());
        }
        self.hold = Some(Box::new(hold));
        self.frozen_for = None;
        self.elevated_since = Second::default();
        self.kinds = None;
        self.steps.forget_versions();
        self.drop_inquiry();
        let began = self.watches.iter().map(Watch::started_at).min();
        self.pending.drop_from(began.unwrap_or(now));
        // The evidence is spent: what follows is judged by the hold and by later deploys' own watches.
        for watch in std::mem::take(&mut self.watches) {
            if watch.deploy_id == proposal.deploy_id {
                self.close(&watch, WatchVerdict::Regressed, &suspects, scene);
            } else {
                self.close(&watch, WatchVerdict::Unknown, &[], scene);
            }
        }
    }
}

/// What a threshold follows from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    pub(crate) tier: Criticality,
    pub(crate) settings: &'a Settings,
    /// What the fleet tells.
    pub(crate) told: &'a Calibration,
    pub(crate) evidence: &'a Evidence,
}

impl Scene<'_> {
    /// Whether there is nobody to ask.
    pub(super) fn is_alone(&self) -> bool {
        self.graph.is_none_or(Graph::is_empty)
    }

    pub(super) fn terms(&self) -> Terms<'_> {
        Terms {
            tier: self.tier,
            settings: self.settings,
            told: &self.context.bulletin.calibration,
            evidence: &self.context.policy.evidence,
        }
    }
}

/// The one that has most evidence.
pub(super) fn leading_of<'a>(watches: impl Iterator<Item = &'a Watch>) -> Option<&'a Watch> {
    watches.max_by(|a, b| a.ln_e().total_cmp(&b.ln_e()))
}

/// ln of the least threshold that a policy may give.
const LN_THRESHOLD_MIN: f64 = 2.995_732_273_553_991;

/// Whether there are errors enough since the onset: more than the margin allows, and certainly more than is usual. That
/// they are certainly beyond the margin is what E says, whose null it is.
fn is_material(watch: &Watch, sizes: &Sizes, margin: f64) -> bool {
    let since = watch.since_onset();
    since.excess() >= EXCESS_MIN && since.ratio() > 1.0 + margin && since.ratio_low(sizes.of_block(since.n_steps)) > 1.0
}

/// The margin that a watch was judged with, where others have `margin`.
fn margin_of(watch: &Watch, margin: f64) -> f64 {
    if watch.raised.is_some() && !watch.is_controlled() {
        margin.max(HARMLESS_RISE - 1.0)
    } else {
        margin
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::score::{
        baseline::SCALES,
        evidence::{Observation, Recent, Shares},
        exposure::Exposure,
        steps::{Closed, Grain, Version},
        watch::Step,
    };

    fn sizes(k: f64) -> Sizes {
        Sizes {
            step: k,
            blocks: [k; SCALES],
        }
    }

    /// A watch whose one step held so many errors where so many were expected.
    fn seen(errors: u32, expected: f64) -> Watch {
        let minute = |n: i64| Timestamp::from_millis(n * 60_000);
        let mut watch = Watch::new("d", minute(0), true, 0.01, (Version::NONE, Version::NONE));
        watch.stage(minute(0), Exposure::of(1.0), 120);
        let closed = Closed {
            start: minute(1),
            from: minute(1),
            until: minute(2),
            length: Duration::from_mins(1),
            errors: errors.into(),
            requests: None,
            n_records: 1,
            by_version: None,
        };
        let observation = Observation {
            errors: errors.into(),
            counted: errors.into(),
            expected,
            harmless: 1.25 * expected,
            sizes: sizes(100.0),
        };
        let mut recent = Recent::new();
        recent.push(observation.errors, expected);
        watch.observe(&Step {
            closed: &closed,
            grain: Grain::ONE_MINUTE,
            observation: &observation,
            recent: &recent,
            margin: 0.25,
            likeness: Shares::default().likeness(&observation.sizes),
            spike: 1_000.0,
            restarting: 0.0,
            blip: Duration::ZERO,
            blip_errors: 10.0,
        });
        watch
    }

    /// Each that does not convict lacks one thing only. 140 errors are 121 at the least, by 95 %, where counts scatter
    /// little, and 80 where they scatter much.
    #[test]
    fn errors_convict_if_they_are_enough_beyond_the_margin_and_certainly_more_than_usual() {
        for (case, errors, expected, size, margin, convicts) in [
            ("five beyond the expected", 6, 1.0, 100.0, 0.25, true),
            ("not quite five", 5, 0.01, 100.0, 0.25, false),
            ("beyond the margin, and certainly more", 140, 100.0, 1_000.0, 0.25, true),
            ("within the margin", 140, 100.0, 1_000.0, 0.5, false),
            ("perhaps no more than usual", 140, 100.0, 5.0, 0.25, false),
        ] {
            let watch = seen(errors, expected);
            assert_eq!(is_material(&watch, &sizes(size), margin), convicts, "{case}");
        }
    }
}
