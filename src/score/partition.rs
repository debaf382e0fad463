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

use std::{cmp::Reverse, collections::BinaryHeap};

use foldhash::{HashMap, HashMapExt};
use serde::{Deserialize, Serialize};

use super::{
    Context, Fleet, STEP_VERSION, Said, Saying, Service, ServiceReport,
    change::SOURCE_WINDOW,
    clocks::Clocks,
    dedupe::{RecordPlace, Window},
    policy::Policy,
};
use crate::model::{
    Bulletin, Cause, Entry, Errors, Happened, Kind, Message, Offset, Origin, PartitionIndex, PolicyText, Recipient,
    ServiceId, Tick, Timestamp,
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
    dropped: Vec<ServiceId>,
    scratch: Vec<Said>,
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

/// A partition's own state as of an offset: with the snapshots of its services and the log from there on, all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Image {
    pub step_version: u32,
    /// How many partitions the log had: it is fixed.
    pub n_partitions: u32,
    /// The first entry not in it.
    pub tail: Offset,
    /// Where priming the duplicates begins; not after `tail`.
    pub prime: Offset,
    clocks: Clocks,
    policy_text: Box<str>,
    revision: i64,
    bulletin: Bulletin,
    applied: Applied,
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
        }
    }
}

impl Partition {
    /// The partition's own state from its record; services and fleet are put back one by one.
    #[must_use]
    pub fn from_image(image: Image) -> Self {
        // The text was in force once, so it parses; a newer program that refuses it goes by the default and says so
        // by the digest in every decision.
        let policy = Policy::parse(&image.policy_text).unwrap_or_default();
        Self {
            clocks: image.clocks,
            policy,
            policy_text: image.policy_text,
            revision: image.revision,
            bulletin: image.bulletin,
            applied: image.applied,
            ..Self::default()
        }
    }

    /// The partition's own state now, if `tail` is the next entry.
    #[must_use]
    pub fn image(&self, tail: Offset, n_partitions: u32) -> Image {
        Image {
            step_version: STEP_VERSION,
            n_partitions,
            tail,
            prime: self.window.oldest_offset().unwrap_or(tail),
            clocks: self.clocks.clone(),
            policy_text: self.policy_text.clone(),
            revision: self.revision,
            bulletin: self.bulletin,
            applied: self.applied,
        }
    }

    /// Puts a service back from its snapshot, which covers the log up to `covered`.
    pub fn put_back(&mut self, service: Service, covered: Offset) {
        let name: Box<str> = service.name().as_str().into();
        let slot = self.slot_for(name);
        self.slots[slot].service = Some(service);
        self.slots[slot].skip_to = Some(covered);
        self.set_timer(slot);
    }

    /// Puts the fleet back from its snapshot.
    pub fn put_back_fleet(&mut self, fleet: Fleet, covered: Option<Offset>) {
        self.fleet = fleet;
        self.fleet_skip_to = covered;
    }

    /// Takes only the identities of an entry before the tail, so that duplicates after it are known.
    pub fn prime(&mut self, entry: &Entry<'_>, offset: Offset, written_at: Timestamp) {
        let place = RecordPlace { offset, written_at };
        match entry {
            Entry::Errors(errors) => {
                for original in errors.originals() {
                    self.window.is_duplicate(original.hash, place);
                }
            }
            Entry::Event(event) => {
                self.window.is_duplicate(event.hash, place);
            }
            Entry::Time(_) | Entry::Policy(_) | Entry::Message(_) => {}
        }
    }

    /// Folds one entry of the log, in the record at `offset` written at `written_at`, and appends what it says.
    pub fn step(&mut self, entry: &Entry<'_>, offset: Offset, written_at: Timestamp, sayings: &mut Vec<Saying>) {
        let place = RecordPlace { offset, written_at };
        match entry {
            Entry::Errors(errors) => self.errors(errors, place, sayings),
            Entry::Event(event) => self.event(event, place, sayings),
            Entry::Time(tick) => self.tick(tick, offset, sayings),
            Entry::Policy(policy) => self.take_policy(policy, offset, sayings),
            Entry::Message(message) => self.message(message, offset, sayings),
        }
    }

    fn errors(&mut self, errors: &Errors<'_>, place: RecordPlace, sayings: &mut Vec<Saying>) {
        let (mut sum, mut requests, mut n_records) = (0_u64, None::<u64>, 0_u32);
        let mut n_duplicates = 0_u64;
        for original in errors.originals() {
            if self.window.is_duplicate(original.hash, place) {
                n_duplicates += 1;
            } else {
                n_records += 1;
                sum = sum.saturating_add(original.errors);
                requests = original
                    .requests
                    .map(|n| requests.unwrap_or(0).saturating_add(n))
                    .or(requests);
            }
        }
        self.applied.duplicates += n_duplicates;
        self.applied.by_kind[Kind::Error.index()] += u64::from(n_records);
        let cause = || cause_of(&errors.origin);
        let seen = Seen {
            service: errors.service,
            time: errors.time,
            kind: Kind::Error,
            place,
            n_duplicates,
        };
        let mut n_late = 0;
        self.with_service(&seen, &cause, sayings, |service, context, said| {
            if n_records > 0 {
                n_late = service.book(errors, (sum, requests, n_records), context, said);
            }
        });
        self.n_late += u64::from(n_late);
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
            kind: event.kind(),
            place,
            n_duplicates: u64::from(duplicate),
        };
        self.with_service(&seen, &cause, sayings, |service, context, said| {
            if !duplicate {
                service.take_in(event, context, said);
            }
        });
    }

    /// Calls `act` with the service, made if it is new, unless its snapshot covers the entry already.
    fn with_service(
        &mut self,
        seen: &Seen<'_>,
        cause: &dyn Fn() -> Cause,
        sayings: &mut Vec<Saying>,
        act: impl FnOnce(&mut Service, &Context<'_>, &mut Vec<Said>),
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
            policy: &self.policy,
            bulletin: &self.bulletin,
            cause,
        };
        let Some(service) = self.slots[slot].service.as_mut() else {
            return;
        };
        service.note_duplicates(seen.n_duplicates);
        act(service, &context, &mut self.scratch);
        // Errors alone bring no deadline nearer: their steps close by the timers of what watches them.
        let retime = seen.kind != Kind::Error || !self.scratch.is_empty() || self.slots[slot].timer == Timestamp::NEVER;
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

    /// Lets the services act whose time has come, in the order of their names.
    fn tick(&mut self, tick: &Tick<'_>, offset: Offset, sayings: &mut Vec<Saying>) {
        let before = self.clocks.now();
        self.clocks.tick(tick);
        if self.clocks.now() > before {
            self.time_passed(offset, sayings);
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
    fn visit(
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
                    self.take_bulletin(*bulletin, offset, sayings);
                }
            }
            Recipient::Service(name) => {
                let slots: Vec<usize> = self.services.get(name).copied().into_iter().collect();
                let occasion = Occasion {
                    offset,
                    cause: Cause::Time(self.clocks.now()),
                };
                self.visit(slots, &occasion, sayings, |service, context, said| {
                    service.answer(message, context, said);
                    false
                });
            }
        }
    }

    fn take_bulletin(&mut self, bulletin: Bulletin, offset: Offset, sayings: &mut Vec<Saying>) {
        let now = self.clocks.now();
        let is_fresh = |at: Timestamp| now.since(at) < SOURCE_WINDOW;
        let had_source = self.bulletin.approved_at.is_some_and(is_fresh);
        self.bulletin = bulletin;
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
            self.dropped.push(service.name().clone());
        }
        *entry = Slot {
            service: None,
            timer: Timestamp::NEVER,
            skip_to: None,
            dirty_since: None,
        };
        self.free.push(slot);
    }

    fn set_timer(&mut self, slot: usize) {
        let entry = &mut self.slots[slot];
        let Some(service) = &entry.service else { return };
        let at = service.next_deadline(&self.policy);
        if at < entry.timer {
            entry.timer = at;
            self.timers.push(Reverse((at, slot)));
        }
    }

    /// The partition's time: no event on time is before it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clocks.now()
    }

    #[must_use]
    pub fn clocks(&self) -> &Clocks {
        &self.clocks
    }

    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The order among policies of the one in force.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.revision
    }

    #[must_use]
    pub fn applied(&self) -> Applied {
        self.applied
    }

    /// Errors taken in since this value was made that came too late to be evidence.
    #[must_use]
    pub fn n_late(&self) -> u64 {
        self.n_late
    }

    #[must_use]
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// How far back duplicates are known.
    #[must_use]
    pub fn dedupe_window(&self) -> std::time::Duration {
        self.window.span()
    }

    #[must_use]
    pub fn n_services(&self) -> usize {
        self.services.len()
    }

    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services
            .get(name)
            .and_then(|slot| self.slots[*slot].service.as_ref())
    }

    /// All services, in the order of their names.
    #[must_use]
    pub fn services(&self) -> Vec<&Service> {
        let mut services: Vec<&Service> = self.slots.iter().filter_map(|slot| slot.service.as_ref()).collect();
        services.sort_by(|a, b| a.name().cmp(b.name()));
        services
    }

    /// Names of the services that changed since their last snapshot in entries before `before`, in order.
    #[must_use]
    pub fn dirty_before(&self, before: Offset) -> Vec<ServiceId> {
        let dirty = self
            .slots
            .iter()
            .filter(|slot| slot.dirty_since.is_some_and(|since| since < before));
        let mut names: Vec<ServiceId> = dirty
            .filter_map(|slot| slot.service.as_ref())
            .map(|s| s.name().clone())
            .collect();
        names.sort();
        names
    }

    /// Whether the fleet changed since its last snapshot in entries before `before`.
    #[must_use]
    pub fn is_fleet_dirty_before(&self, before: Offset) -> bool {
        self.fleet_dirty_since.is_some_and(|since| since < before)
    }

    /// A service's snapshot was handed over to be written.
    pub fn note_snapshot(&mut self, name: &str) {
        if let Some(slot) = self.services.get(name) {
            self.slots[*slot].dirty_since = None;
        }
    }

    /// The fleet's snapshot was handed over to be written.
    pub fn note_fleet_snapshot(&mut self) {
        self.fleet_dirty_since = None;
    }

    /// The services dropped since the last call: their snapshots are to be deleted.
    pub fn take_dropped(&mut self) -> Vec<ServiceId> {
        std::mem::take(&mut self.dropped)
    }

    /// What is known of a service, for people.
    #[must_use]
    pub fn report(&self, name: &str) -> Option<ServiceReport> {
        Some(self.service(name)?.report(&self.policy, self.clocks.now()))
    }
}

impl Slot {
    /// Whether the snapshot it was put back from has taken in the record at `offset` already.
    fn covers(&self, offset: Offset) -> bool {
        self.skip_to.is_some_and(|covered| offset <= covered)
    }
}

/// Why services are looked at that no event is about.
struct Occasion {
    /// Of the entry that brings it.
    offset: Offset,
    cause: Cause,
}

/// What all events have.
struct Seen<'a> {
    service: &'a str,
    time: Timestamp,
    kind: Kind,
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
