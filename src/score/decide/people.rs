//! What people said, and what they planned.

use super::{
    Order,
    ought::{Ought, only_wait_until, plain},
};
use crate::{
    model::{Action, Effect, Reason},
    score::policy::{Closed, WindowEffect},
};

/// Decisions say that a person decided, and never who.
pub(super) fn by_order(order: Order) -> Ought {
    let Order { effect, until, .. } = order;
    let (action, text) = match effect {
        Effect::Freeze => (Action::Freeze, "a person froze it"),
        Effect::Proceed => (Action::Proceed, "a person lets it proceed"),
    };
    Ought {
        about: until.to_string().into(),
        to_lift: if effect == Effect::Freeze {
            vec![only_wait_until(until)]
        } else {
            Vec::new()
        },
        ..plain(action, Some(until), Reason::new("override", text))
    }
}

/// What a person planned needs no grant of the fleet's.
pub(super) fn by_window(closed: &Closed<'_>) -> Ought {
    let Closed { window, until } = *closed;
    let name = &window.name;
    let end = window.local(until);
    let text = match window.effect {
        WindowEffect::Allow => format!("outside of the policy's window {name}; open again {end}"),
        WindowEffect::Deny | WindowEffect::Exempt => format!("in the policy's window {name}; closed until {end}"),
    };
    Ought {
        about: until.to_string().into(),
        to_lift: vec![only_wait_until(until)],
        ..plain(Action::Freeze, Some(until), Reason::new(format!("policy:{name}"), text))
    }
}
