//! Commit risk, and the decision that every commit gets.
//!
//! `p = σ(w·z + b)`: fourteen measures in their logarithms, standardised by the service's own decayed moments shrunk
//! to those of other projects, weighted as learned across projects. The measures are those of Kamei et al., *A
//! Large-Scale Empirical Study of Just-in-Time Quality Assurance* (TSE 2013). A bug is not an outage: p is shifted to
//! the rate of incidents, and asks for review; it never freezes. Nothing of the author's level or of AI is in it.

use std::{cmp::Reverse, fmt::Write as _, sync::LazyLock, time::Duration};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Context, Said,
    policy::{Rule, Settings},
    review::{Approvals, Author, Note},
};
use crate::model::{
    Action, ApprovalKind, Assistance, Change, Commit, Criticality, Decision, Level, MEASURE_NAMES, Measures, Mode,
    N_MEASURES, Obligation, Reason, Sequence, ServiceId, Subject, Timestamp, UnitInterval, When, hash_text,
};

/// Weights learned across projects, in the order of [`MEASURE_NAMES`].
const WEIGHTS: [f64; N_MEASURES] = [
    -0.002, 0.065, 0.058, 0.040, 0.567, 0.093, 0.078, 0.447, 0.115, -0.058, -0.106, -0.129, 0.043, 0.119,
];
const INTERCEPT: f64 = -1.386;
/// Mean and standard deviation of each measure across projects, after the logarithm where it is taken.
const MOMENTS: [(f64, f64); N_MEASURES] = [
    (0.75, 0.16),
    (0.97, 0.40),
    (1.13, 0.54),
    (0.77, 0.91),
    (2.76, 1.56),
    (2.00, 1.56),
    (7.13, 1.70),
    (0.46, 0.50),
    (3.07, 1.29),
    (3.64, 1.60),
    (4.50, 1.64),
    (6.15, 2.32),
    (3.54, 1.66),
    (4.33, 2.01),
];
/// Entropy and fix stand as they are; all others as ln(1 + x).
const AS_IS: [usize; 2] = [3, 7];
/// Own moments weigh against those above as so many commits.
const MOMENTS_PRIOR: f64 = 50.0;
/// Own moments forget half in so many commits.
const MOMENTS_HALF_LIFE: f64 = 500.0;
/// The share of commits that cause an incident: the mean of Beta(1, 99).
const INCIDENT_RATE: f64 = 0.01;
/// Commits remembered per service; the next drops the oldest.
const CHANGES_MAX: usize = 512;
/// A change is forgotten this long after its last event.
const FORGET_AFTER: Duration = Duration::from_hours(14 * 24);
/// Without an approval of known level for this long, a rule that asks for one only advises.
const SOURCE_WINDOW: Duration = Duration::from_hours(30 * 24);

/// `sha256:` and the digest of the constants above: which model spoke.
pub(crate) fn model_digest() -> Box<str> {
    static DIGEST: LazyLock<Box<str>> = LazyLock::new(|| {
        let text = format!(
            "{WEIGHTS:?}{INTERCEPT}{MOMENTS:?}{INCIDENT_RATE}{}",
            super::STEP_VERSION
        );
        let mut digest = String::from("sha256:");
        for byte in Sha256::digest(text) {
            write!(digest, "{byte:02x}").expect("writing to memory cannot fail");
        }
        digest.into()
    });
    DIGEST.clone()
}

/// What one feature added to a change's logit.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    pub feature: &'static str,
    /// The measure as reported.
    pub value: f64,
    pub logit: f64,
}

/// A scored change, for reports.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredChange {
    pub change: Change,
    pub time: Timestamp,
    /// The chance that the change causes an incident.
    pub probability: UnitInterval,
    /// Whether it was sent to extra review.
    pub gated: bool,
    pub contributions: Vec<Contribution>,
}

/// The changes of one service, and what is learned of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Changes {
    list: Vec<Remembered>,
    means: [f32; N_MEASURES],
    squares: [f32; N_MEASURES],
    weights: [f32; N_MEASURES],
}

/// One change: 96 bytes beside its sha.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Remembered {
    sha: Box<str>,
    author: Author,
    change_id: Option<u64>,
    heads: Box<[u64]>,
    approvals: Box<[Note]>,
    last_event: Timestamp,
    sequence: u32,
    probability: f32,
    ai: Assistance,
    action: Action,
    mode: Mode,
    by_risk: bool,
}

/// What a decision on changes needs of the service.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) service: &'a ServiceId,
    pub(crate) tier: Criticality,
    pub(crate) settings: &'a Settings,
    pub(crate) traffic_share: f64,
    pub(crate) approvals: &'a Approvals,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            means: [0.0; N_MEASURES],
            squares: [0.0; N_MEASURES],
            weights: [0.0; N_MEASURES],
        }
    }
}

impl Changes {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The chance that a commit of this service causes an incident; that of any commit if it is not remembered.
    pub(crate) fn probability(&self, sha: &str) -> f64 {
        self.list
            .iter()
            .find(|known| *known.sha == *sha)
            .map_or(INCIDENT_RATE, |known| f64::from(known.probability))
    }

    /// A commit landed: scores it, decides on it and remembers it. Returns its loss. A sha known already changes
    /// nothing.
    pub(crate) fn land(
        &mut self,
        commit: &Commit<'_>,
        time: Timestamp,
        owner: Owner<'_>,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) -> Option<f64> {
        if self.list.iter().any(|known| *known.sha == *commit.sha) {
            return None;
        }
        let (probability, contributions) = self.score(&commit.measures);
        self.learn(&commit.measures);
        let loss = probability * tier_weight(owner.tier) * owner.traffic_share;
        let threshold = context.bulletin.losses.get(tier_index(owner.tier)).copied().flatten();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::as_conversions,
            reason = "a probability to seven digits"
        )]
        let narrow = probability as f32;
        let mut change = Remembered {
            sha: commit.sha.as_ref().into(),
            author: Author::of(&commit.author, &context.policy.levels),
            change_id: commit.change_id.as_deref().map(hash_text),
            heads: commit.head_shas.iter().map(|sha| hash_text(sha)).collect(),
            approvals: commit
                .approvals
                .iter()
                .map(|approval| Note::inline(approval, &context.policy.levels))
                .collect(),
            last_event: time,
            sequence: 0,
            probability: narrow,
            ai: commit.ai.assistance,
            action: Action::Proceed,
            mode: owner.settings.mode,
            by_risk: threshold.is_some_and(|threshold| loss > threshold),
        };
        change.decide(owner, context, said);
        said.push(Said::Scored(Box::new(ScoredChange {
            change: Change {
                service: owner.service.clone(),
                sha: change.sha.clone(),
            },
            time,
            probability: UnitInterval::clamped(probability).rounded(),
            gated: change.action == Action::ExtraReview,
            contributions,
        })));
        if self.list.len() >= CHANGES_MAX {
            let oldest = self.list.remove(0);
            said.push(Said::Forget(oldest.subject(owner.service)));
        }
        self.list.push(change);
        Some(loss)
    }

    /// A review came or was dismissed: the changes it is about are decided again.
    pub(crate) fn review(
        &mut self,
        note: &Note,
        time: Timestamp,
        owner: Owner<'_>,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) {
        for change in self.list.iter_mut().filter(|change| change.is_meant_by(note)) {
            change.last_event = change.last_event.max(time);
            change.decide(owner, context, said);
        }
    }

    /// The policy changed: every standing extra review is looked at again.
    pub(crate) fn reconsider(&mut self, owner: Owner<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        for change in self.list.iter_mut().filter(|change| change.action != Action::Proceed) {
            change.decide(owner, context, said);
        }
    }

    pub(crate) fn forget(&mut self, service: &ServiceId, now: Timestamp, said: &mut Vec<Said>) {
        let over = |change: &Remembered| now.since(change.last_event) >= FORGET_AFTER;
        if !self.list.iter().any(over) {
            return;
        }
        let (gone, kept): (Vec<Remembered>, Vec<Remembered>) =
            std::mem::take(&mut self.list).into_iter().partition(over);
        self.list = kept;
        said.extend(gone.iter().map(|change| Said::Forget(change.subject(service))));
    }

    pub(crate) fn next_deadline(&self) -> Timestamp {
        self.list
            .iter()
            .map(|change| change.last_event)
            .min()
            .map_or(Timestamp::NEVER, |oldest| oldest + FORGET_AFTER)
    }

    /// The chance that a change with these measures causes an incident, and what each measure adds to its logit.
    fn score(&self, measures: &Measures) -> (f64, Vec<Contribution>) {
        let mut logit = INTERCEPT;
        let mut contributions = Vec::with_capacity(N_MEASURES);
        for (i, measure) in measures.iter().enumerate() {
            // A measure that was not told is an average one.
            let Some(measure) = *measure else { continue };
            let (mean, sd) = self.moments(i);
            let part = WEIGHTS[i] * ((scaled(i, measure) - mean) / sd).clamp(-10.0, 10.0);
            logit += part;
            contributions.push(Contribution {
                feature: MEASURE_NAMES[i],
                value: measure,
                logit: (part * 1e6).round() / 1e6,
            });
        }
        // Shifted from the rate of bugs, at which the weights were learned, to that of incidents.
        let shifted = logit - INTERCEPT + (INCIDENT_RATE / (1.0 - INCIDENT_RATE)).ln();
        (1.0 / (1.0 + (-shifted).exp()), contributions)
    }

    fn moments(&self, i: usize) -> (f64, f64) {
        let (mean, sd) = MOMENTS[i];
        let weight = f64::from(self.weights[i]);
        let total = weight + MOMENTS_PRIOR;
        let own = f64::from(self.means[i]);
        let shrunk = (weight * own + MOMENTS_PRIOR * mean) / total;
        let variance = (f64::from(self.squares[i])
            + MOMENTS_PRIOR * (sd * sd + (mean - own) * (mean - own) * weight / total))
            / total;
        (shrunk, variance.max(1e-4).sqrt())
    }

    /// Takes the measures into the decayed moments (West's weighted update).
    fn learn(&mut self, measures: &Measures) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::as_conversions,
            reason = "moments to seven digits"
        )]
        let keep = 0.5_f64.powf(1.0 / MOMENTS_HALF_LIFE) as f32;
        for (i, measure) in measures.iter().enumerate() {
            let Some(measure) = *measure else { continue };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::as_conversions,
                reason = "moments to seven digits"
            )]
            let x = scaled(i, measure) as f32;
            let (mean, square, weight) = (&mut self.means[i], &mut self.squares[i], &mut self.weights[i]);
            *weight = *weight * keep + 1.0;
            let delta = x - *mean;
            *mean += delta / *weight;
            *square = *square * keep + delta * (x - *mean);
        }
    }
}

fn scaled(i: usize, measure: f64) -> f64 {
    if AS_IS.contains(&i) { measure } else { measure.ln_1p() }
}

/// How much a failure of a tier weighs.
fn tier_weight(tier: Criticality) -> f64 {
    match tier {
        Criticality::Low => 0.5,
        Criticality::Medium => 1.0,
        Criticality::High => 2.0,
        Criticality::Critical => 4.0,
    }
}

/// Where a tier stands in a bulletin.
pub(crate) fn tier_index(tier: Criticality) -> usize {
    match tier {
        Criticality::Low => 0,
        Criticality::Medium => 1,
        Criticality::High => 2,
        Criticality::Critical => 3,
    }
}

impl Remembered {
    fn subject(&self, service: &ServiceId) -> Subject {
        Subject::Change(Change {
            service: service.clone(),
            sha: self.sha.clone(),
        })
    }

    fn is_meant_by(&self, note: &Note) -> bool {
        note.target
            .is_some_and(|target| target == hash_text(&self.sha) || self.heads.contains(&target))
            || note
                .change_id
                .is_some_and(|change_id| Some(change_id) == self.change_id)
    }

    /// Whether `rule` asks anything of this change.
    fn is_under(&self, rule: &Rule) -> bool {
        let ai = rule.ai.is_empty() || rule.ai.contains(&self.ai);
        let level = rule.author_level.is_empty() || rule.author_level.contains(&self.author.level);
        // A bot is nobody's junior: it is meant only where AI made the change.
        let bot = !self.author.bot || matches!(self.ai, Assistance::Assisted | Assistance::Authored);
        ai && level && bot
    }

    /// The latest word of each person on this change; what the commit itself carries is the earliest.
    fn words<'a>(&'a self, owner: Owner<'a>) -> Vec<&'a Note> {
        let seen = owner.approvals.iter().filter(|note| self.is_meant_by(note));
        let mut words: Vec<&Note> = self.approvals.iter().chain(seen).collect();
        words.sort_by_key(|note| (note.by, Reverse(note.time)));
        words.dedup_by_key(|note| note.by);
        words
    }

    /// How many people of at least `level` approved.
    fn n_approvals(&self, level: Option<Level>, owner: Owner<'_>) -> usize {
        let words = self.words(owner);
        let counts = |note: &&&Note| note.counts_for(self.author) && level.is_none_or(|level| note.level >= level);
        words.iter().filter(counts).count()
    }

    fn decide(&mut self, owner: Owner<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        let hits: Vec<&Rule> = context.policy.rules.iter().filter(|rule| self.is_under(rule)).collect();
        let open = |rule: &&&Rule| self.n_approvals(rule.level, owner) < usize::from(rule.approvals);
        let unmet: Vec<&Rule> = hits.iter().filter(open).copied().collect();
        // One approval by anybody meets what risk alone asks for.
        let risky = self.by_risk && self.n_approvals(None, owner) == 0;
        let source = context.bulletin.approved_at.max(owner.approvals.last_known_level());
        let has_source = source.is_some_and(|at| context.at.since(at) < SOURCE_WINDOW);
        let advises_only = !risky && !has_source && !unmet.is_empty() && unmet.iter().all(|rule| rule.level.is_some());
        let action = if unmet.is_empty() && !risky {
            Action::Proceed
        } else {
            Action::ExtraReview
        };
        let mode = if advises_only {
            Mode::Shadow
        } else {
            owner.settings.mode
        };
        if self.sequence > 0 && action == self.action && (mode == self.mode || action == Action::Proceed) {
            return;
        }
        let mut reasons: Vec<Reason> = unmet.iter().map(|rule| policy_reason(rule)).collect();
        if risky {
            reasons.push(Reason::new(
                "risk_quantile",
                "its risk is among the highest of its tier's last changes",
            ));
        }
        if advises_only {
            reasons.push(Reason::new(
                "no_review_source",
                "no approval with a known level was seen in 30 days, so it only advises",
            ));
        }
        if reasons.is_empty() {
            let asked = !hits.is_empty() || self.by_risk;
            reasons.push(if asked {
                Reason::new("approved", "approved as asked")
            } else {
                Reason::new("healthy", "nothing speaks against it")
            });
        }
        let mut obligations: Vec<Obligation> = unmet.iter().map(|rule| obligation(rule)).collect();
        if risky {
            obligations.push(Obligation {
                kind: ApprovalKind::Approval,
                count: 1,
                level: None,
                group: None,
                when: When::default(),
            });
        }
        self.sequence += 1;
        self.action = action;
        self.mode = mode;
        said.push(Said::Decision(Box::new(Decision {
            sequence: Sequence(u64::from(self.sequence)),
            subject: self.subject(owner.service),
            action,
            mode,
            decided_at: context.at,
            valid_until: Some(context.at + FORGET_AFTER),
            risk: Some(UnitInterval::clamped(f64::from(self.probability)).rounded()),
            reasons,
            to_lift: if action == Action::ExtraReview {
                vec!["get the approvals under `obligations`".into()]
            } else {
                Vec::new()
            },
            obligations,
            exempt: Vec::new(),
            requires_known_changes: false,
            suspects: Vec::new(),
            policy: context.policy.digest.clone(),
            model: model_digest(),
            cause: (context.cause)(),
        })));
    }
}

fn policy_reason(rule: &Rule) -> Reason {
    let who = rule.level.map_or_else(
        || "anybody".to_owned(),
        |level| format!("{level:?} or above").to_lowercase(),
    );
    let plural = if rule.approvals == 1 { "" } else { "s" };
    Reason::new(
        format!("policy:{}", rule.name),
        format!("the policy asks for {} approval{plural} by {who}", rule.approvals),
    )
}

fn obligation(rule: &Rule) -> Obligation {
    Obligation {
        kind: ApprovalKind::Approval,
        count: rule.approvals,
        level: rule.level,
        group: None,
        when: When {
            ai: rule.ai.clone(),
            author_level: rule.author_level.clone(),
        },
    }
}
