//! A service among others: what it calls, and who calls it.

use super::Service;
use crate::{
    model::{Message, Service as Catalog},
    score::{
        Context, Said,
        catalog::{Caller, Goes, Graph, Speaker},
    },
};

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
    }
}
