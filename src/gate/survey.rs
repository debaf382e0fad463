//! What gates would be told of all services, for what is told of them together.
//!
//! The same rules as for one question, but that heartbeats are looked at once for all.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    record::StandingDecision,
    verdict::Finding,
    view::{OfService, Standing, View},
    voice::{Ignorance, pulse, vouched},
    word::Word,
};
use crate::model::{Action, Effect, EnvironmentId, PartitionIndex, ServiceId, Timestamp};

/// What stands on a service in an environment.
#[derive(Debug, Clone, Copy)]
pub struct Glance<'a> {
    pub service: &'a ServiceId,
    /// `None`: a word's on all, those never heard of too.
    pub environment: Option<&'a EnvironmentId>,
    /// The latest, in force or not.
    pub decision: Option<&'a Arc<StandingDecision>>,
    /// A person's, while it stands.
    pub word: Option<&'a Arc<Word>>,
    /// What a release that names no change is told; in shadow mode, what it would have been.
    pub finding: Finding,
}

type Pulses = BTreeMap<PartitionIndex, Result<(), Ignorance>>;

impl View {
    /// Calls `each` with what stands on one service after the other, in no order; a word on all environments is first.
    pub fn survey(&self, now: Timestamp, mut each: impl FnMut(&mut dyn Iterator<Item = Glance<'_>>)) {
        let heartbeats = self.heartbeats.iter();
        let pulses: Pulses = heartbeats
            .map(|heartbeat| (*heartbeat.key(), pulse(Some(heartbeat.value()), now)))
            .collect();
        for entry in &self.services {
            let (service, known) = (entry.key(), entry.value().as_ref());
            let on_all = known.word(None).filter(|word| word.stands(now));
            let decided = known
                .environments
                .iter()
                .map(|(environment, standing)| (Some(environment), Some(standing)));
            let mut glances = words_alone(known)
                .map(|environment| (environment, None))
                .chain(decided)
                .map(|(environment, standing)| {
                    let word = known.word(environment);
                    Glance {
                        service,
                        environment,
                        decision: standing.map(|standing| &standing.decision),
                        word: word.filter(|word| word.stands(now)),
                        finding: finding(standing, word, &pulses, now),
                    }
                })
                // An ended word alone tells of no environment, its name may be mistyped; but it is one that a word on all
                // leaves out.
                .filter(|glance| glance.decision.is_some() || glance.word.is_some() || on_all.is_some());
            each(&mut glances);
        }
    }

    /// Whether the owner of a partition is heard of, and knows what time it is: else gates know nothing of its services
    /// but what holds them up.
    #[must_use]
    pub fn is_heard(&self, partition: PartitionIndex, now: Timestamp) -> bool {
        pulse(self.heartbeat(partition).as_ref(), now).is_ok()
    }
}

/// Where there are words and no decision.
fn words_alone(known: &OfService) -> impl Iterator<Item = Option<&EnvironmentId>> {
    let scopes = known.words.keys().map(Option::as_ref);
    scopes.filter(|scope| scope.is_none_or(|environment| known.environment(environment).is_none()))
}

fn finding(standing: Option<&Standing>, word: Option<&Arc<Word>>, pulses: &Pulses, now: Timestamp) -> Finding {
    if let Some(word) = word.filter(|word| word.stands(now)) {
        return match word.effect {
            Effect::Proceed => Finding::Proceed,
            Effect::Freeze => Finding::Freeze,
        };
    }
    let pulse = |partition| pulses.get(&partition).cloned().unwrap_or(Err(Ignorance::NeverHeard));
    let known = standing.ok_or(Ignorance::NoDecision);
    match known.and_then(|standing| vouched(standing, word.map(AsRef::as_ref), now, pulse)) {
        Err(_) => Finding::Unknown,
        Ok(decision) => match decision.action {
            Action::Proceed => Finding::Proceed,
            Action::ExtraReview => Finding::ExtraReview,
            Action::Freeze => Finding::Freeze,
        },
    }
}
