//! A service among others: what it calls, who calls it, and what they ask each other.

use super::Service;
use crate::{
    model::{Ask, Health, Message, Path, Service as Catalog, Timestamp, Told},
    score::{
        Context, Said,
        catalog::{Caller, Goes, Graph, Speaker},
    },
};

/// A question is passed on to so many services at most, and so many hops.
const FORWARDED_MAX: usize = 8;
const HOPS_MAX: u8 = 3;

impl Service {
    /// Acts on the graph, as the one who speaks; what it says is sent.
    fn with_graph(
        &mut self,
        context: &Context<'_>,
        said: &mut Vec<Said>,
        act: impl FnOnce(&mut Graph, &Speaker<'_>, &mut Vec<Message<'static>>),
    ) {
        let share = self.share();
        let Some(graph) = &mut self.graph else { return };
        let speaker = Speaker {
            service: &self.name,
            share,
            now: context.at,
        };
        let mut messages = Vec::new();
        act(graph, &speaker, &mut messages);
        if graph.is_empty() {
            self.graph = None;
        }
        said.extend(messages.into_iter().map(Said::Message));
    }

    /// What the catalog says that it calls.
    pub(super) fn relate(&mut self, catalog: &Catalog<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        if !catalog.depends_on.is_empty() {
            self.graph.get_or_insert_default();
        }
        self.with_graph(context, said, |graph, speaker, messages| {
            graph.set_callees(speaker, &catalog.depends_on, messages);
        });
    }

    /// It is forgotten: nothing hangs on what it called any more.
    pub(super) fn leave_callees(&mut self, context: &Context<'_>, said: &mut Vec<Said>) {
        self.with_graph(context, said, |graph, speaker, messages| {
            graph.set_callees(speaker, &[], messages);
        });
    }

    /// With each deploy, so that one that came to be known since knows its callers too.
    pub(super) fn tell_callees(&mut self, context: &Context<'_>, said: &mut Vec<Said>) {
        self.with_graph(context, said, |graph, speaker, messages| {
            graph.tell(speaker, Goes::On, messages);
        });
    }

    pub(super) fn tell_callees_again(&mut self, context: &Context<'_>, said: &mut Vec<Said>) {
        self.with_graph(context, said, |graph, speaker, messages| {
            graph.tell_again(speaker, messages);
        });
    }

    /// A caller says how much hangs on it.
    pub(super) fn hear_caller(&mut self, message: &Message<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        let Message::Calls {
            caller,
            calls,
            share,
            beyond,
            goes_on,
            ..
        } = message
        else {
            return;
        };
        if *calls {
            self.graph.get_or_insert_default();
        }
        let caller = Caller {
            name: caller,
            calls: *calls,
            share: *share,
            beyond: *beyond,
        };
        self.with_graph(context, said, |graph, speaker, messages| {
            if graph.take_caller(&caller) && *goes_on {
                graph.tell(speaker, Goes::NoFurther, messages);
            }
        });
        self.bound_watches(context, said);
    }

    /// Neighbours, and an objective, take the place of watches.
    pub(super) fn bound_watches(&mut self, context: &Context<'_>, said: &mut Vec<Said>) {
        for place in 0..self.environments.len() {
            self.with_environment(place, context, said, |environment, scene| {
                environment.bound_watches(scene);
            });
        }
    }

    /// Another service alarms, and asks whether it is this one's doing; what this one calls is asked too.
    pub(super) fn hear_ask(&mut self, ask: &Ask<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        let mut n_forwarded = 0;
        if let (Path::Callee(hops @ 1..HOPS_MAX), Some(graph)) = (ask.path, &mut self.graph)
            && graph.is_first(&ask.by, &ask.environment, ask.asked_at)
        {
            for callee in graph.callees().filter(|callee| **callee != *ask.by).take(FORWARDED_MAX) {
                n_forwarded += 1;
                said.push(Said::Message(Message::Ask(Ask {
                    service: callee.to_owned().into(),
                    environment: ask.environment.clone().into_owned().into(),
                    by: ask.by.clone().into_owned().into(),
                    asked_at: ask.asked_at,
                    path: Path::Callee(hops + 1),
                })));
            }
        }
        let place = self
            .environments
            .iter()
            .position(|known| known.name.as_str() == ask.environment.as_ref());
        if let Some(place) = place {
            self.with_environment(place, context, said, |environment, scene| {
                environment.answer_ask(ask, n_forwarded, scene);
            });
            return;
        }
        said.push(Said::Message(Message::Told(Told {
            service: ask.by.clone().into_owned().into(),
            environment: ask.environment.clone().into_owned().into(),
            asked_at: ask.asked_at,
            by: self.name.as_str().to_owned().into(),
            path: ask.path,
            n_forwarded,
            n_askers: 0,
            state: Health::Unknown,
            seen_from: Timestamp::MIN,
            clues: Vec::new(),
        })));
    }

    /// One that was asked answers.
    pub(super) fn hear_told(&mut self, told: &Told<'_>, context: &Context<'_>, said: &mut Vec<Said>) {
        let place = self
            .environments
            .iter()
            .position(|known| known.name.as_str() == told.environment.as_ref());
        if let Some(place) = place {
            self.with_environment(place, context, said, |environment, scene| environment.told(told, scene));
        }
    }
}
