//! The changes of a service, and the decision that every commit gets.
//!
//! Risk asks for review, and so may the policy by how a change was made; neither freezes. What is asked for is met by
//! approvals.
//!
//! **Invariant:** changes, reviews and traces together take at most [`bound::BYTES_MAX`].

mod bound;
mod leaf;
mod loss;
mod pages;
mod release;
mod sheet;
mod verdict;

use std::{cmp::Reverse, time::Duration};

use serde::{Deserialize, Serialize};

pub use self::pages::ChangePage;
pub(crate) use self::{
    loss::{Landed, tier_weight},
    pages::Pages,
    release::Failure,
};
use self::{
    loss::{Rank, ai_weight, rank},
    release::Release,
    verdict::{Learned, rate_of},
};
use super::{
    Context, Said,
    policy::{Condition, Rule, Settings},
    review::{Approvals, Author, Note, Person, Target},
    risk::{self, Circumstances, Contribution, model_digest},
};
use crate::model::{
    Action, ApprovalKind, Assistance, Bulletin, Change, Commit, Criticality, Decision, Exemption, Level, Mode,
    Obligation, Reason, Second, Sequence, ServiceId, Subject, Timestamp, UnitInterval, When, hash_text,
};

/// A change is forgotten this long after its last event.
const FORGET_AFTER: Duration = Duration::from_hours(14 * 24);
/// A decision is said again when its end has moved by so much.
const REPEAT_AFTER: Duration = Duration::from_hours(24);
/// Rules named as reasons; all of them are among the obligations.
const RULE_REASONS_MAX: usize = 12;
/// Without an approval of known level for this long, a rule that asks for one only advises.
pub(crate) const SOURCE_WINDOW: Duration = Duration::from_hours(30 * 24);

/// A scored change, for reports.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredChange {
    pub change: Change,
    pub time: Timestamp,
    /// The chance that the change causes an incident.
    pub probability: UnitInterval,
    /// The same if the fleet's rate of incidents were that of one in a hundred changes: what changes of different times are
    /// ranked by.
    pub at_reference: UnitInterval,
    /// Whether AI had a part in it: no part of the chance.
    pub ai: Assistance,
    /// Whether it was sent to extra review.
    pub gated: bool,
    pub contributions: Vec<Contribution>,
}

/// The changes of one service, and what is learned of them.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Changes {
    list: Pages,
    /// None before the first commit: most services of an old estate see none.
    learned: Option<Box<Learned>>,
}

/// One change: 64 bytes beside its sha, which mostly has 40.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    sha: Box<str>,
    change_id: Option<Target>,
    brought: Option<Box<Brought>>,
    author_id: Option<Person>,
    last_event: Second,
    sequence: u32,
    probability: f32,
    /// A part of the hash of what was last asked for.
    asked: u16,
    author_level: Level,
    author_is_bot: bool,
    ai: Assistance,
    action: Action,
    mode: Mode,
    rank: Rank,
    release: Release,
}

/// By which [`bound::CHANGES_MAX`] was chosen.
const _: () = assert!(size_of::<Remembered>() == 64);

/// What few commits bring with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Brought {
    /// The shas it had before a squash or merge.
    heads: Box<[Target]>,
    approvals: Box<[Note]>,
    /// Tags of the rules whose conditions on the change itself it met when it landed.
    met: Box<[u32]>,
}

/// Where changes are decided: what must be known besides their own state, and what is said so far.
pub(crate) struct Scene<'a> {
    pub(crate) service: &'a ServiceId,
    pub(crate) tier: Criticality,
    pub(crate) settings: &'a Settings,
    /// What a change's chance to fail is multiplied by: its loss is that of the service.
    pub(crate) blast: f64,
    pub(crate) approvals: &'a Approvals,
    pub(crate) context: &'a Context<'a>,
    pub(crate) said: &'a mut Vec<Said>,
}

impl Changes {
    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// The chance that a commit of this service causes an incident; that of any commit if it is not remembered.
    pub(crate) fn probability(&self, sha: &str, bulletin: &Bulletin) -> f64 {
        let known = self.list.find(sha);
        known.map_or_else(
            || rate_of(self.learned.as_deref()).mean(bulletin),
            |known| f64::from(known.probability),
        )
    }

    /// A commit landed: scores it, decides on it and remembers it. A sha known already changes nothing.
    pub(crate) fn land(&mut self, commit: &Commit<'_>, time: Timestamp, scene: &mut Scene<'_>) -> Option<Landed> {
        if self.list.find(&commit.sha).is_some() {
            return None;
        }
        let context = scene.context;
        let learned = self.learned.get_or_insert_default();
        let scaled = learned.moments.scale(&commit.measures);
        let score = risk::score(&commit.measures, &scaled, &learned.rate, context.bulletin);
        learned.moments.learn(&commit.measures);
        learned.rate.land(&score);
        let loss = score.at_reference * scene.blast * ai_weight(commit.ai.assistance, context);
        let author = Author::of(&commit.author, &context.policy.levels);
        let mut change = Remembered {
            sha: commit.sha.as_ref().into(),
            change_id: commit.change_id.as_deref().map(Target::of),
            brought: Brought::of(commit, time, context),
            author_id: author.id,
            author_level: author.level,
            author_is_bot: author.bot,
            last_event: Second::of(context.at),
            sequence: 0,
            probability: narrow(score.probability),
            ai: commit.ai.assistance,
            action: Action::Proceed,
            mode: scene.settings.mode,
            rank: rank(loss, scene.tier.index(), context),
            asked: 0,
            release: Release::Awaited,
        };
        change.decide(Occasion::Event, scene);
        scene.said.push(Said::Scored(Box::new(ScoredChange {
            change: Change {
                service: scene.service.clone(),
                sha: change.sha.clone(),
            },
            time,
            probability: UnitInterval::clamped(score.probability).rounded(),
            at_reference: UnitInterval::clamped(score.at_reference).rounded(),
            ai: change.ai,
            gated: change.action == Action::ExtraReview,
            contributions: score.contributions,
        })));
        self.bound(Some(&change), scene);
        let made = Circumstances {
            ai: change.ai,
            author_level: change.author_level,
        };
        let sha = Target::of(&change.sha);
        let trace = risk::pack(&scaled, made, sha);
        self.list.push(change, trace, sha);
        Some(Landed {
            loss,
            lambda: -(-score.probability).ln_1p(),
        })
    }

    /// A review came or was dismissed: the changes it is about are decided again. What may go is not asked for more because
    /// somebody approved it.
    pub(crate) fn review(&mut self, note: &Note, scene: &mut Scene<'_>) {
        self.bound(None, scene);
        self.list.for_each_meant(note, |change| {
            let asks_more = change.action == Action::Proceed && change.ask(scene).action() != Action::Proceed;
            !(note.approved && asks_more) && change.decide(Occasion::Event, scene)
        });
    }

    /// Whether a review is about a change that is remembered.
    pub(crate) fn is_meant_by(&self, note: &Note) -> bool {
        self.list.is_meant_by(note)
    }

    /// The policy changed, or reviews are seen again: every standing extra review is looked at again.
    pub(crate) fn reconsider(&mut self, scene: &mut Scene<'_>) {
        self.list
            .for_each(|change| change.action != Action::Proceed && change.decide(Occasion::Other, scene));
    }

    pub(crate) fn forget(&mut self, service: &ServiceId, now: Timestamp, said: &mut Vec<Said>) {
        let over = |last_event: Second| now.since(last_event.start()) >= FORGET_AFTER;
        if self.list.oldest().is_some_and(over) {
            self.leave_old(|change| over(change.last_event), now, said);
            let gone = self.list.take_where(|change| over(change.last_event));
            said.extend(gone.iter().map(|change| Said::Forget(change.subject(service))));
        }
    }

    pub(crate) fn pages(&self) -> &Pages {
        &self.list
    }

    pub(crate) fn pages_mut(&mut self) -> &mut Pages {
        &mut self.list
    }

    pub(crate) fn next_deadline(&self) -> Timestamp {
        self.list
            .oldest()
            .map_or(Timestamp::NEVER, |oldest| oldest.start() + FORGET_AFTER)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::as_conversions,
    reason = "a probability to seven digits"
)]
fn narrow(probability: f64) -> f32 {
    probability as f32
}

impl Brought {
    fn of(commit: &Commit<'_>, time: Timestamp, context: &Context<'_>) -> Option<Box<Self>> {
        let conditions = context.policy.rules.iter().filter_map(|rule| rule.condition.as_deref());
        let met = conditions.filter(|condition| condition.is_met(commit, time));
        let met: Box<[u32]> = met.map(Condition::tag).collect();
        if commit.head_shas.is_empty() && commit.approvals.is_empty() && met.is_empty() {
            return None;
        }
        let levels = &context.policy.levels;
        let approvals = commit.approvals.iter();
        Some(Box::new(Self {
            heads: commit.head_shas.iter().map(|sha| Target::of(sha)).collect(),
            approvals: approvals.map(|approval| Note::inline(approval, levels)).collect(),
            met,
        }))
    }
}

impl Remembered {
    fn subject(&self, service: &ServiceId) -> Subject {
        Subject::Change(Change {
            service: service.clone(),
            sha: self.sha.clone(),
        })
    }

    /// What it takes, with its place in the list and its tag.
    fn bytes(&self) -> usize {
        let brought = self.brought.as_ref().map_or(0, |brought| {
            size_of::<Brought>()
                + size_of_val(&*brought.heads)
                + size_of_val(&*brought.approvals)
                + size_of_val(&*brought.met)
        });
        size_of::<Self>() + size_of::<u32>() + self.sha.len() + brought
    }

    /// Whether `note` is about it, of whose sha `is_own` knows the hash.
    fn is_meant_by(&self, note: &Note, is_own: impl Fn(Target) -> bool) -> bool {
        let heads = self.brought.as_ref().map_or(&[][..], |brought| &brought.heads);
        note.sha.is_some_and(|sha| is_own(sha) || heads.contains(&sha))
            || (note.change_id.is_some() && note.change_id == self.change_id)
    }

    /// Whether `rule` asks anything of this change.
    fn is_under(&self, rule: &Rule, scene: &Scene<'_>) -> bool {
        let met = self.brought.as_ref().map_or(&[][..], |brought| &brought.met);
        let condition = rule.condition.as_ref();
        let is_meant = condition.is_none_or(|condition| met.contains(&condition.tag()));
        let ai = rule.ai.is_empty() || rule.ai.contains(&self.ai);
        let level = rule.author_level.is_empty() || rule.author_level.contains(&self.author_level);
        // A bot is nobody's junior: it is meant only where AI made the change.
        let bot = !self.author_is_bot || matches!(self.ai, Assistance::Assisted | Assistance::Authored);
        ai && level && bot && is_meant && rule.scope.has_service(scene.service.as_str(), scene.tier)
    }

    /// The latest word of each person on this change; what the commit itself carries is the earliest.
    fn words<'a>(&'a self, approvals: &'a Approvals) -> Vec<&'a Note> {
        let target = Target::of(&self.sha);
        let seen = approvals
            .iter()
            .filter(|note| self.is_meant_by(note, |sha| sha == target));
        let own = self.brought.iter().flat_map(|brought| brought.approvals.iter());
        let mut words: Vec<&Note> = own.chain(seen).collect();
        // Within a second a dismissal is taken for the later word, as among those kept.
        words.sort_by_key(|note| (note.by, Reverse(note.at), note.approved));
        words.dedup_by(|next, known| next.by == known.by && !next.is_nameless());
        words
    }

    /// How many people of at least `level` approved. Who has no name may be any of the others, so all of these together
    /// are one, and none beside a person with a name.
    fn n_approvals(&self, level: Option<Level>, approvals: &Approvals) -> usize {
        let words = self.words(approvals);
        let counts = |note: &&&Note| note.counts_for(self.author_id) && level.is_none_or(|level| note.level >= level);
        let (nameless, named): (Vec<&Note>, Vec<&Note>) =
            words.iter().filter(counts).partition(|note| note.is_nameless());
        named.len().max(nameless.len().min(1))
    }

    /// Publishes what is asked for, if it differs from what stands, or if an event of its own has moved its end by a day;
    /// says whether.
    fn decide(&mut self, occasion: Occasion, scene: &mut Scene<'_>) -> bool {
        let context = scene.context;
        let asked = self.ask(scene);
        let mode = if asked.advises_only {
            Mode::Shadow
        } else {
            scene.settings.mode
        };
        let [low, high, ..] = hash_text(&asked.fingerprint()).to_le_bytes();
        let fingerprint = u16::from_le_bytes([low, high]);
        let action = asked.action();
        let is_event = occasion == Occasion::Event;
        let lasts = !is_event || context.at.since(self.last_event.start()) < REPEAT_AFTER;
        let same = action == self.action && fingerprint == self.asked;
        if self.sequence > 0 && lasts && same && (mode == self.mode || action == Action::Proceed) {
            return false;
        }
        self.sequence += 1;
        self.action = action;
        self.mode = mode;
        self.asked = fingerprint;
        if is_event {
            self.last_event = self.last_event.max(Second::of(context.at));
        }
        scene.said.push(Said::Decision(Box::new(Decision {
            sequence: Sequence(u64::from(self.sequence)),
            subject: self.subject(scene.service),
            action,
            mode,
            decided_at: context.at,
            valid_until: Some(self.last_event.start() + FORGET_AFTER),
            frozen_since: None,
            risk: Some(UnitInterval::clamped(f64::from(self.probability)).rounded()),
            reasons: asked.reasons(),
            to_lift: if action == Action::ExtraReview {
                vec!["get the approvals under `obligations`".into()]
            } else {
                Vec::new()
            },
            obligations: asked.obligations(),
            // It ships nothing new.
            exempt: if action == Action::ExtraReview {
                vec![Exemption::Rollback]
            } else {
                Vec::new()
            },
            incidents: Vec::new(),
            requires_known_changes: false,
            low_loss: self.rank == Rank::Low,
            suspects: Vec::new(),
            policy: context.policy.digest.clone(),
            model: model_digest(context.bulletin.weights.as_ref()),
            cause: (context.cause)(),
        })));
        true
    }

    /// What this change needs that it has not got.
    fn ask<'a>(&self, scene: &Scene<'a>) -> Asked<'a> {
        let context = scene.context;
        let hits: Vec<&Rule> = context
            .policy
            .rules
            .iter()
            .filter(|rule| self.is_under(rule, scene))
            .collect();
        let n_approvals = |level| self.n_approvals(level, scene.approvals);
        let open = |rule: &&&Rule| n_approvals(rule.level) < usize::from(rule.approvals);
        let unmet: Vec<&Rule> = hits.iter().filter(open).copied().collect();
        // One approval by anybody meets what risk alone asks for.
        let risky = self.rank == Rank::High && n_approvals(None) == 0;
        let source = context.bulletin.approved_at.max(scene.approvals.last_known_level());
        let has_source = source.is_some_and(|at| context.at.since(at) < SOURCE_WINDOW);
        Asked {
            advises_only: !risky && !has_source && !unmet.is_empty() && unmet.iter().all(|rule| rule.level.is_some()),
            hit: !hits.is_empty() || self.rank == Rank::High,
            unmet,
            risky,
        }
    }
}

/// Why a change is decided on: an event of its own, from which on it is remembered, or something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Occasion {
    Event,
    Other,
}

/// What a change needs that it has not got.
struct Asked<'a> {
    unmet: Vec<&'a Rule>,
    risky: bool,
    /// Nobody could meet it, as far as is known.
    advises_only: bool,
    /// Something was asked for, whether or not it is met.
    hit: bool,
}

impl Asked<'_> {
    fn action(&self) -> Action {
        if self.unmet.is_empty() && !self.risky {
            Action::Proceed
        } else {
            Action::ExtraReview
        }
    }

    /// Two that differ in it are to be told apart by those who must meet them.
    fn fingerprint(&self) -> String {
        let rules = self.unmet.iter();
        let rules: Vec<String> = rules
            .map(|rule| format!("{}:{}:{:?}", rule.name, rule.approvals, rule.level))
            .collect();
        format!("{} {}", self.risky, rules.join(" "))
    }

    fn reasons(&self) -> Vec<Reason> {
        let rules = self.unmet.iter().take(RULE_REASONS_MAX);
        let mut reasons: Vec<Reason> = rules.map(|rule| policy_reason(rule)).collect();
        if self.risky {
            reasons.push(Reason::new(
                "risk_quantile",
                "its risk is among the highest of its tier's last changes",
            ));
        }
        if self.advises_only {
            reasons.push(Reason::new(
                "no_review_source",
                "no approval with a known level was seen in 30 days, so it only advises",
            ));
        }
        if reasons.is_empty() {
            reasons.push(if self.hit {
                Reason::new("approved", "approved as asked")
            } else {
                Reason::new("healthy", "nothing speaks against it")
            });
        }
        reasons
    }

    fn obligations(&self) -> Vec<Obligation> {
        let by_risk = self.risky.then(|| Obligation {
            kind: ApprovalKind::Approval,
            count: 1,
            level: None,
            group: None,
            when: When::default(),
        });
        self.unmet.iter().map(|rule| obligation(rule)).chain(by_risk).collect()
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
