//! The state of one partition of the log, and the step that folds it.
//!
//! ```text
//! entry ─┬─ errors, event ─► duplicates out ─► service ─► sayings
//!        ├─ time ──────────► clocks ─► services whose time has come
//!        ├─ policy ────────► in force ─► all services
//!        └─ message ───────► service · fleet · bulletin
//! ```
//!
//! **Invariant:** a service takes in every entry of its own once: one that its snapshot covers is passed over.
//! **Invariant:** what is said is a function of the entries alone; the order of a hash map reaches no output.

mod image;
mod look;
mod time;

use std::{cmp::Reverse, collections::BinaryHeap};

use foldhash::{HashMap, HashMapExt};
use serde::{Deserialize, Serialize};

pub use image::Image;

use self::time::Occasion;
use super::{
    Context, Fleet, Said, Saying, Service,
    change::{ChangePage, SOURCE_WINDOW},
    clocks::Clocks,
    dedupe::{RecordPlace, Window},
    policy::Policy,
    steps::Totals,
};
use crate::model::{
    Bulletin, Cause, Entry, Errors, Happened, Kind, Message, Offset, Origin, PartitionIndex, PolicyText, Recipient,
    ServiceId, Timestamp,
};

/// One partition of the log, folded.
#[derive(Debug)]
pub struct Partition {
    services: HashMap<Box<str>, usize>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    timers: BinaryHeap<Reverse<(Timestamp, usize)>>,
    window: Window,
    clocks: Clocks,
    policy: Policy,
    policy_text: Box<str>,
    revision: i64,
    bulletin: Bulletin,
    fleet: Fleet,
    fleet_skip_to: Option<Offset>,
    fleet_dirty_since: Option<Offset>,
    applied: Applied,
    n_late: u64,
    dropped: Vec<Dropped>,
    scratch: Vec<Said>,
    /// Kept for its memory.
    totals: Totals,
}

#[derive(Debug)]
struct Slot {
    service: Option<Service>,
    /// The deadline for which a timer is set.
    timer: Timestamp,
    /// What the snapshot it was put back from covers.
    skip_to: Option<Offset>,
    /// The first entry that its last snapshot does not cover.
    dirty_since: Option<Offset>,
}

/// Unique events by kind, and duplicates: a function of the log, for the books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Applied {
    pub by_kind: [u64; Kind::ALL.len()],
    pub duplicates: u64,
}

impl Default for Partition {
    fn default() -> Self {
        Self {
            services: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            timers: BinaryHeap::new(),
            window: Window::new(),
            clocks: Clocks::default(),
            policy: Policy::default(),
            policy_text: "".into(),
            revision: i64::MIN,
            bulletin: Bulletin::default(),
            fleet: Fleet::default(),
            fleet_skip_to: None,
            dropped: Vec::new(),
            fleet_dirty_since: None,
            applied: Applied::default(),
            n_late: 0,
            scratch: Vec::new(),
            totals: Totals::default(),
        }
    }
}

impl Partition {
    /// Folds one entry of the log, in the record at `offset` that the broker dated `written_at`, and appends what it says.
    pub fn step(&mut self, entry: &Entry<'_>, offset: Offset, written_at: Timestamp, sayings: &mut Vec<Saying>) {
        let place = RecordPlace { offset, written_at };
        match entry {
            Entry::Errors(errors) => self.errors(errors, place, sayings),
            Entry::Event(event) => self.event(event, place, sayings),
            Entry::Time(tick) => self.tick(tick, place, sayings),
            Entry::Policy(policy) => self.take_policy(policy, offset, sayings),
            Entry::Message(message) => self.message(message, offset, sayings),
        }
    }

    fn errors(&mut self, errors: &Errors<'_>, place: RecordPlace, sayings: &mut Vec<Saying>) {
        let mut totals = std::mem::take(&mut self.totals);
        totals.clear();
        let mut n_duplicates = 0_u64;
        for original in errors.originals() {
            if self.window.is_duplicate(original.hash, place) {
                n_duplicates += 1;
            } else {
                totals.note(&original);
            }
        }
        self.applied.duplicates += n_duplicates;
        self.applied.by_kind[Kind::Error.index()] += u64::from(totals.n_records());
        let cause = || cause_of(&errors.origin);
        let seen = Seen {
            service: errors.service,
            time: errors.time,
            place,
            n_duplicates,
        };
        let mut n_late = 0;
        self.with_service(&seen, &cause, sayings, |service, context, said| {
            if totals.n_records() == 0 {
                return false;
            }
            let booked = service.book(errors, &totals, context, said);
            n_late = booked.n_late;
            booked.may_be_nearer
        });
        self.n_late += u64::from(n_late);
        self.totals = totals;
    }

    fn event(&mut self, event: &Happened<'_>, place: RecordPlace, sayings: &mut Vec<Saying>) {
        let duplicate = self.window.is_duplicate(event.hash, place);
        if duplicate {
            self.applied.duplicates += 1;
        } else {
            self.applied.by_kind[event.kind().index()] += 1;
        }
        let cause = || cause_of(&event.origin);
        let seen = Seen {
            service: event.service,
            time: event.time,
            place,
            n_duplicates: u64::from(duplicate),
        };
        self.with_service(&seen, &cause, sayings, |service, context, said| {
            if !duplicate {
                service.take_in(event, context, said);
            }
            true
        });
    }

    /// Calls `act` with the service, made if it is new, unless its snapshot covers the entry already. It says whether a
    /// deadline may have come nearer.
    fn with_service(
        &mut self,
        seen: &Seen<'_>,
        cause: &dyn Fn() -> Cause,
        sayings: &mut Vec<Saying>,
        act: impl FnOnce(&mut Service, &Context<'_>, &mut Vec<Said>) -> bool,
    ) {
        let slot = if let Some(slot) = self.services.get(seen.service) {
            *slot
        } else {
            let Ok(name) = seen.service.parse::<ServiceId>() else {
                return;
            };
            let slot = self.slot_for(seen.service.into());
            self.slots[slot].service = Some(Service::new(name, seen.time));
            slot
        };
        if self.slots[slot].covers(seen.place.offset) {
            return;
        }
        let context = Context {
            now: self.clocks.now(),
            at: self.clocks.now().max(seen.time),
            wall: self.clocks.wall(),
            policy: &self.policy,
            bulletin: &self.bulletin,
            cause,
        };
        let Some(service) = self.slots[slot].service.as_mut() else {
            return;
        };
        service.note_duplicates(seen.n_duplicates);
        // Errors bring no deadline nearer while their steps stay as long and none go on: those close by the timers of what
        // watches them.
        let may_be_nearer = act(service, &context, &mut self.scratch);
        let retime = may_be_nearer || !self.scratch.is_empty() || self.slots[slot].timer == Timestamp::NEVER;
        self.after(slot, seen.place.offset, sayings);
        if retime {
            self.set_timer(slot);
        }
    }

    /// After a service took in an entry: notes it and passes on what it said.
    fn after(&mut self, slot: usize, offset: Offset, sayings: &mut Vec<Saying>) {
        let entry = &mut self.slots[slot];
        entry.dirty_since.get_or_insert(offset);
        if let Some(service) = &entry.service
            && !self.scratch.is_empty()
        {
            let by = service.name().clone();
            sayings.extend(self.scratch.drain(..).map(|said| Saying {
                by: Some(by.clone()),
                said,
            }));
        }
    }

    fn take_policy(&mut self, entry: &PolicyText<'_>, offset: Offset, sayings: &mut Vec<Saying>) {
        if entry.revision < self.revision {
            return;
        }
        // Only what parses is ever appended; a program too old for it keeps what it has.
        let Ok(policy) = Policy::parse(entry.text) else { return };
        self.revision = entry.revision;
        self.policy_text = entry.text.into();
        self.policy = policy;
        let occasion = Occasion {
            offset,
            cause: Cause::Policy(self.policy.digest.clone()),
        };
        let all = self.slots_in_use();
        self.visit(all, &occasion, sayings, |service, context, said| {
            service.reconsider(context, said);
            false
        });
        if self.fleet_skip_to.is_none_or(|covered| offset > covered) {
            let n_said = sayings.len();
            self.fleet.reconsider(&self.policy, sayings);
            if sayings.len() > n_said {
                self.fleet_dirty_since.get_or_insert(offset);
            }
        }
    }

    fn message(&mut self, message: &Message<'_>, offset: Offset, sayings: &mut Vec<Saying>) {
        match message.recipient() {
            Recipient::Fleet => {
                if self.fleet_skip_to.is_none_or(|covered| offset > covered) {
                    self.fleet.step(message, self.clocks.now(), &self.policy, sayings);
                    self.fleet_dirty_since.get_or_insert(offset);
                }
            }
            Recipient::EveryPartition => {
                if let Message::Bulletin(bulletin) = message {
                    self.take_bulletin(bulletin, offset, sayings);
                }
            }
            Recipient::Service(name) => {
                let slots: Vec<usize> = self.services.get(name).copied().into_iter().collect();
                let occasion = Occasion {
                    offset,
                    cause: Cause::Time(self.clocks.now()),
                };
                self.visit(slots, &occasion, sayings, |service, context, said| {
                    service.hear(message, context, said);
                    false
                });
            }
        }
    }

    fn take_bulletin(&mut self, bulletin: &Bulletin, offset: Offset, sayings: &mut Vec<Saying>) {
        let now = self.clocks.now();
        let is_fresh = |at: Timestamp| now.since(at) < SOURCE_WINDOW;
        let had_source = self.bulletin.approved_at.is_some_and(is_fresh);
        self.bulletin = *bulletin;
        if had_source || !bulletin.approved_at.is_some_and(is_fresh) {
            return;
        }
        // Somebody can meet the rules again: what only advised binds.
        let occasion = Occasion {
            offset,
            cause: Cause::Time(now),
        };
        let all = self.slots_in_use();
        self.visit(all, &occasion, sayings, |service, context, said| {
            service.reconsider_changes(context, said);
            false
        });
    }

    fn slots_in_use(&self) -> Vec<usize> {
        let slots = 0..self.slots.len();
        slots.filter(|slot| self.slots[*slot].service.is_some()).collect()
    }

    fn slot_for(&mut self, name: Box<str>) -> usize {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                service: None,
                timer: Timestamp::NEVER,
                skip_to: None,
                dirty_since: None,
            });
            self.slots.len() - 1
        });
        self.services.insert(name, slot);
        slot
    }

    fn drop_service(&mut self, slot: usize) {
        let entry = &mut self.slots[slot];
        if let Some(service) = entry.service.take() {
            self.services.remove(service.name().as_str());
            // Its snapshot is deleted with the next ones.
            self.dropped.push(Dropped {
                service: service.name().clone(),
                pages: service
                    .pages()
                    .map(ChangePage::number)
                    .chain(service.gone_pages().iter().copied())
                    .collect(),
            });
        }
        *entry = Slot {
            service: None,
            timer: Timestamp::NEVER,
            skip_to: None,
            dirty_since: None,
        };
        self.free.push(slot);
    }
}

/// A service that is no more, and what snapshots there may be of it.
#[derive(Debug)]
pub struct Dropped {
    pub service: ServiceId,
    /// Of its changes.
    pub pages: Vec<u32>,
}

impl Slot {
    /// Whether the snapshot it was put back from has taken in the record at `offset` already.
    fn covers(&self, offset: Offset) -> bool {
        self.skip_to.is_some_and(|covered| offset <= covered)
    }

    /// Whether an entry before `before` is in it that its last snapshot does not cover.
    fn is_dirty_before(&self, before: Offset) -> bool {
        self.dirty_since.is_some_and(|since| since < before)
    }
}

/// What all events have.
struct Seen<'a> {
    service: &'a str,
    time: Timestamp,
    place: RecordPlace,
    n_duplicates: u64,
}

fn cause_of(origin: &Origin<'_>) -> Cause {
    if origin.partition < 0 {
        let line = u64::try_from(origin.offset).unwrap_or(0);
        return Cause::Line {
            file: origin.topic.into(),
            line,
        };
    }
    Cause::Record {
        topic: origin.topic.into(),
        partition: PartitionIndex(origin.partition),
        offset: Offset(origin.offset),
    }
}
