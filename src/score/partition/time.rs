//! Time: which services act when it passes, in what order, and what it is that makes them.

use std::cmp::Reverse;

use super::Partition;
use crate::{
    model::{Cause, Offset, Tick, Timestamp},
    score::{Context, Said, Saying, Service, dedupe::RecordPlace},
};

/// Why services are looked at that no event is about.
pub(super) struct Occasion {
    /// Of the entry that brings it.
    pub(super) offset: Offset,
    pub(super) cause: Cause,
}

impl Partition {
    /// Lets the services act whose time has come, in the order of their names.
    pub(super) fn tick(&mut self, tick: &Tick<'_>, place: RecordPlace, sayings: &mut Vec<Saying>) {
        let before = self.clocks.now();
        self.clocks.tick(tick, place.written_at);
        if self.clocks.now() > before {
            self.time_passed(place.offset, sayings);
        }
    }

    /// Sets time outright, for one who sees everything there is: a replay.
    pub fn advance_to(&mut self, now: Timestamp, offset: Offset, sayings: &mut Vec<Saying>) {
        if now > self.clocks.now() {
            self.clocks.advance_to(now);
            self.time_passed(offset, sayings);
        }
    }

    /// When time alone makes a difference next, as far as timers know: it may turn out to be later.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.peek().map(|Reverse((at, _))| *at)
    }

    fn time_passed(&mut self, offset: Offset, sayings: &mut Vec<Saying>) {
        let now = self.clocks.now();
        let mut fired = Vec::new();
        while let Some(Reverse((at, slot))) = self.timers.peek().copied()
            && at <= now
        {
            self.timers.pop();
            if self.slots[slot].timer == at {
                self.slots[slot].timer = Timestamp::NEVER;
                fired.push(slot);
            }
        }
        if fired.is_empty() {
            return;
        }
        // A timer may be older than what has happened since. Whether a service is looked at must follow from its state
        // alone, or a restored one would be looked at at other times than the one it was restored from.
        let mut due = Vec::new();
        for slot in fired {
            let deadline = self.slots[slot]
                .service
                .as_ref()
                .map(|service| service.next_deadline(&self.policy));
            if deadline.is_some_and(|deadline| deadline <= now) {
                due.push(slot);
            } else {
                self.set_timer(slot);
            }
        }
        let occasion = Occasion {
            offset,
            cause: Cause::Time(now),
        };
        self.visit(due, &occasion, sayings, |service, context, said| {
            service.advance(context, said)
        });
    }

    /// Calls `act` for services in the order of their names; those of which it says that nothing is left are dropped.
    pub(super) fn visit(
        &mut self,
        mut slots: Vec<usize>,
        occasion: &Occasion,
        sayings: &mut Vec<Saying>,
        act: impl Fn(&mut Service, &Context<'_>, &mut Vec<Said>) -> bool,
    ) {
        let name = |slot: &usize| self.slots[*slot].service.as_ref().map(|service| service.name().clone());
        slots.sort_by_cached_key(name);
        let now = self.clocks.now();
        let Occasion { offset, cause } = occasion;
        for slot in slots {
            if self.slots[slot].covers(*offset) {
                self.set_timer(slot);
                continue;
            }
            // Before the first time entry, no time is known but that of events.
            let last_event = self.slots[slot].service.as_ref().map(Service::last_event);
            let at = last_event.filter(|_| now == Timestamp::MIN).unwrap_or(now);
            let context = Context {
                now,
                at,
                wall: self.clocks.wall(),
                policy: &self.policy,
                bulletin: &self.bulletin,
                cause: &|| cause.clone(),
            };
            let Some(service) = self.slots[slot].service.as_mut() else {
                continue;
            };
            let over = act(service, &context, &mut self.scratch);
            self.after(slot, *offset, sayings);
            if over {
                self.drop_service(slot);
            } else {
                self.set_timer(slot);
            }
        }
    }

    pub(super) fn set_timer(&mut self, slot: usize) {
        let entry = &mut self.slots[slot];
        let Some(service) = &entry.service else { return };
        let at = service.next_deadline(&self.policy);
        if at < entry.timer {
            entry.timer = at;
            self.timers.push(Reverse((at, slot)));
        }
    }
}
