//! What a service calls, and who calls it: its surroundings, as far as the catalog tells.
//!
//! A service knows its callees from its own catalog entry. Its callers tell it that they call it, and how much traffic
//! hangs on them: with their own entry, again five minutes later for those that were not known then, and with each
//! deploy. A callee whose callers' shares changed by it tells its own callees, and those tell nobody: so a word goes two
//! hops and no further, whatever loops there are.
//!
//! **Invariant:** names take at most [`CALLEES_BYTES_MAX`] and [`CALLERS_BYTES_MAX`]; the rest is left out, the callers
//! with the least traffic first.

use std::{borrow::Cow, time::Duration};

use serde::{Deserialize, Serialize};

use super::evidence::narrow;
use crate::model::{Message, Second, ServiceId, Timestamp, short_hash};

/// Callees remembered, and what their names may take.
const CALLEES_MAX: usize = 16;
const CALLEES_BYTES_MAX: usize = 128;
/// Callers remembered: blame looks at them one hop away, and the greatest shares make the blast radius.
const CALLERS_MAX: usize = 8;
const CALLERS_BYTES_MAX: usize = 96;
/// Names hold no control characters, so one parts them.
const PARTED_BY: char = '\n';
/// A callee may come to be known shortly after its callers, as when a catalog is loaded in the order of names.
const TELL_AGAIN: Duration = Duration::from_mins(5);
/// The same is not told again within this: a catalog may be written anew each minute.
const TOLD_FOR: Duration = Duration::from_hours(1);
/// How much of a caller's traffic counts, one hop away and two.
const NEAR: f64 = 0.5;
const FAR: f64 = 0.25;
/// Questions remembered, so that one that comes by two ways is passed on once.
const ASKED_MAX: usize = 2;

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Graph {
    callees: Box<str>,
    callers: Box<str>,
    /// Of each caller, in the same order.
    weights: Box<[Weight]>,
    /// When the callees are to be told once more.
    tell_at: Option<Second>,
    /// When they were told last, and what.
    told: Option<(Second, Weight)>,
    asked: [u32; ASKED_MAX],
}

/// What hangs on a caller.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Weight {
    share: f32,
    /// The shares of those that call it.
    beyond: f32,
}

/// Whether a callee is to tell its own callees, if the shares of its callers have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Goes {
    On,
    NoFurther,
}

/// What a caller told of itself.
pub(crate) struct Caller<'a> {
    pub(crate) name: &'a str,
    pub(crate) calls: bool,
    pub(crate) share: f32,
    pub(crate) beyond: f32,
}

impl Graph {
    pub(crate) fn callees(&self) -> impl Iterator<Item = &str> {
        self.callees.split_terminator(PARTED_BY)
    }

    pub(crate) fn callers(&self) -> impl Iterator<Item = &str> {
        self.callers.split_terminator(PARTED_BY)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.callees.is_empty() && self.callers.is_empty()
    }

    /// How much traffic hangs on it beside its own: Σ ½ of its callers' shares and ¼ of those of their callers. One that
    /// is reached on several ways counts on each.
    pub(crate) fn reach(&self) -> f64 {
        let weights = self.weights.iter();
        weights
            .map(|weight| NEAR * f64::from(weight.share) + FAR * f64::from(weight.beyond))
            .sum()
    }

    fn callers_share(&self) -> f32 {
        self.weights.iter().map(|weight| weight.share).sum()
    }

    /// What a new catalog entry says that it calls; tells all of them, and those it no longer calls.
    pub(crate) fn set_callees(
        &mut self,
        of: &Speaker<'_>,
        callees: &[Cow<'_, str>],
        messages: &mut Vec<Message<'static>>,
    ) {
        let own = of.service.as_str();
        let mut names = String::new();
        for (n, callee) in callees.iter().filter(|callee| *callee != own).enumerate() {
            let is_known = names.split_terminator(PARTED_BY).any(|name| *name == **callee);
            if n < CALLEES_MAX && !is_known && names.len() + callee.len() < CALLEES_BYTES_MAX {
                names.push_str(callee);
                names.push(PARTED_BY);
            }
        }
        for gone in self
            .callees()
            .filter(|known| !names.split_terminator(PARTED_BY).any(|name| name == *known))
        {
            messages.push(self.calls(of, gone, None));
        }
        if *names == *self.callees && self.is_told(of) {
            return;
        }
        self.callees = names.into();
        self.tell_at = (!self.callees.is_empty()).then(|| Second::of(of.now + TELL_AGAIN));
        self.told = None;
        self.tell(of, Goes::On, messages);
    }

    fn weight(&self, of: &Speaker<'_>) -> Weight {
        Weight {
            share: narrow(of.share),
            beyond: self.callers_share(),
        }
    }

    /// Whether all callees were told just this, and lately.
    fn is_told(&self, of: &Speaker<'_>) -> bool {
        let weight = self.weight(of);
        self.told
            .is_some_and(|(at, told)| told == weight && of.now.since(at.start()) < TOLD_FOR)
    }

    /// Tells all callees that they are called, and by how much, unless they know.
    pub(crate) fn tell(&mut self, of: &Speaker<'_>, goes: Goes, messages: &mut Vec<Message<'static>>) {
        if self.is_told(of) {
            return;
        }
        self.told = Some((Second::of(of.now), self.weight(of)));
        messages.extend(self.callees().map(|callee| self.calls(of, callee, Some(goes))));
    }

    /// That it calls `callee`; `None`: no longer.
    fn calls(&self, of: &Speaker<'_>, callee: &str, goes: Option<Goes>) -> Message<'static> {
        Message::Calls {
            service: callee.to_owned().into(),
            caller: of.service.as_str().to_owned().into(),
            calls: goes.is_some(),
            share: narrow(of.share),
            beyond: self.callers_share(),
            goes_on: goes != Some(Goes::NoFurther),
        }
    }

    /// Tells them once more, when it is time.
    pub(crate) fn tell_again(&mut self, of: &Speaker<'_>, messages: &mut Vec<Message<'static>>) {
        if self.tell_at.is_some_and(|at| at.start() <= of.now) {
            (self.tell_at, self.told) = (None, None);
            self.tell(of, Goes::On, messages);
        }
    }

    pub(crate) fn next_deadline(&self) -> Timestamp {
        self.tell_at.map_or(Timestamp::NEVER, Second::start)
    }

    /// Takes in what a caller told. True: the callers' shares changed by it.
    pub(crate) fn take_caller(&mut self, caller: &Caller<'_>) -> bool {
        let before = self.callers_share();
        let mut known: Vec<(String, Weight)> = self
            .callers()
            .map(str::to_owned)
            .zip(self.weights.iter().copied())
            .collect();
        known.retain(|(name, _)| *name != *caller.name);
        if caller.calls {
            let weight = Weight {
                share: caller.share,
                beyond: caller.beyond,
            };
            known.push((caller.name.to_owned(), weight));
        }
        known.sort_by(|(a_name, a), (b_name, b)| b.share.total_cmp(&a.share).then_with(|| a_name.cmp(b_name)));
        let mut names = String::new();
        let mut weights = Vec::with_capacity(known.len());
        for (name, weight) in known {
            if weights.len() < CALLERS_MAX && names.len() + name.len() < CALLERS_BYTES_MAX {
                names.push_str(&name);
                names.push(PARTED_BY);
                weights.push(weight);
            }
        }
        self.weights = weights.into();
        self.callers = names.into();
        self.callers_share().to_bits() != before.to_bits()
    }

    /// Whether a question is asked here for the first time; remembers it.
    pub(crate) fn is_first(&mut self, by: &str, environment: &str, asked_at: Timestamp) -> bool {
        let question = format!("{by}@{environment} {}", asked_at.millis());
        let hash = short_hash(&question);
        if self.asked.contains(&hash) {
            return false;
        }
        self.asked.rotate_right(1);
        self.asked[0] = hash;
        true
    }
}

/// Who speaks to its callees.
pub(crate) struct Speaker<'a> {
    pub(crate) service: &'a ServiceId,
    pub(crate) share: f64,
    pub(crate) now: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(name: &str, share: f32) -> Caller<'_> {
        Caller {
            name,
            calls: true,
            share,
            beyond: 0.0,
        }
    }

    #[test]
    fn names_beyond_the_bounds_are_left_out_those_with_the_least_traffic_first() {
        let mut graph = Graph::default();
        for i in 0..40_u8 {
            graph.take_caller(&caller(&format!("caller-{i:02}"), f32::from(i) / 100.0));
        }
        let callers: Vec<&str> = graph.callers().collect();
        assert_eq!(callers.first().copied(), Some("caller-39"));
        assert_eq!(
            (callers.len(), callers.last().copied()),
            (CALLERS_MAX, Some("caller-32"))
        );
        assert!(!graph.take_caller(&caller("caller-01", 0.01)), "too little to matter");
        assert!(graph.take_caller(&Caller {
            calls: false,
            ..caller("caller-39", 0.39)
        }));
        assert_eq!(graph.callers().count(), CALLERS_MAX - 1);
        let service: ServiceId = "s".parse().expect("a name");
        let of = Speaker {
            service: &service,
            share: 1.0,
            now: Timestamp::from_millis(0),
        };
        let names: Vec<Cow<'_, str>> = (0..64).map(|i| format!("callee-{i:0100}").into()).collect();
        let mut messages = Vec::new();
        graph.set_callees(&of, &names, &mut messages);
        assert!(graph.callees().count() == 1 && messages.len() == 1);
        graph.set_callees(&of, &names, &mut messages);
        graph.tell(&of, Goes::On, &mut messages);
        assert_eq!(messages.len(), 1, "the same within an hour");
        assert!(graph.callees.len() <= CALLEES_BYTES_MAX && graph.callers.len() <= CALLERS_BYTES_MAX);
    }

    #[test]
    fn a_question_is_passed_on_once() {
        let mut graph = Graph::default();
        let at = Timestamp::from_millis(5);
        assert!(graph.is_first("a", "e", at) && !graph.is_first("a", "e", at));
        assert!(graph.is_first("a", "f", at) && graph.is_first("a", "e", Timestamp::from_millis(6)));
    }
}
