//! The words of people on a service: which stands where, and what becomes of it.

use serde::{Deserialize, Serialize};

use super::Service;
use crate::{
    model::{Effect, EnvironmentId, Happened, Override, Timestamp},
    score::{Context, Said, decide::Order},
};

/// A word is remembered for longer than the 7 days that any may last.
const WORD_REMEMBERED: std::time::Duration = std::time::Duration::from_hours(8 * 24);

/// A person's word on a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Word {
    effect: Effect,
    until: Timestamp,
    time: Timestamp,
    id: Box<str>,
}

impl Service {
    pub(super) fn take_word(
        &mut self,
        word: &Override<'_>,
        event: &Happened<'_>,
        context: &Context<'_>,
        said: &mut Vec<Said>,
    ) {
        let scope: Option<EnvironmentId> = match event.environment.map(str::parse) {
            Some(Ok(name)) => Some(name),
            Some(Err(_)) => return,
            None => None,
        };
        let word = Word {
            effect: word.effect,
            until: word.until,
            time: event.time,
            id: event.id.into(),
        };
        match self.words.iter_mut().find(|(known, _)| *known == scope) {
            Some((_, known)) if (known.time, &known.id) > (word.time, &word.id) => return,
            Some((_, known)) => *known = word,
            None => {
                self.words.reserve_exact(1);
                self.words.push((scope, word));
            }
        }
        for place in self.places_meant(event, context, said) {
            let order = self.order_on(place, context.now);
            self.with_environment(place, context, said, |environment, scene| {
                environment.touch(event.time);
                environment.decide_under(order, scene);
            });
        }
    }

    /// The word in force on an environment: the newest of that on it and that on all, while it lasts.
    pub(super) fn order_on(&self, place: usize, now: Timestamp) -> Option<Order> {
        let name = &self.environments.get(place)?.name;
        let meant = self
            .words
            .iter()
            .filter(|(scope, _)| scope.as_ref().is_none_or(|scope| scope == name));
        let (_, newest) = meant.max_by(|(_, a), (_, b)| (a.time, &a.id).cmp(&(b.time, &b.id)))?;
        (newest.until > newest.time && newest.until > now).then_some(Order {
            effect: newest.effect,
            until: newest.until,
            is_ending: false,
        })
    }

    /// Lets go of old words. Also of one that only took back another: an older word that comes late must not stand again.
    pub(super) fn forget_words(&mut self, now: Timestamp) {
        self.words
            .retain(|(_, word)| word.until > now || now.since(word.time) < WORD_REMEMBERED);
    }
}
