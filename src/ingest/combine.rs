//! Events of one batch into entries of the log.
//!
//! Neighbouring errors of a service in an environment, within ten seconds of event time, become one entry with the sums
//! and, per event, its identity, its counts and which of a few variants it is: releases and kinds of errors are mixed as
//! they come. Only neighbours, and in their order: else the order in which a step meets duplicates would change.
//!
//! Texts are copied into one arena that lives from batch to batch, so a batch allocates nothing once it has grown.
//!
//! **Invariant:** combining and packing change no decision.

mod text;

use foldhash::{HashMap, HashMapExt};

use self::text::{NO_TEXT, Text, place, usize_of};
use crate::model::{
    Body, ERROR_GRAIN_MS, Entry, ErrorCount, Errors, Event, EventHash, Happened, Origin, Original, Timestamp,
    VARIANTS_MAX, Variant, hash_text,
};

/// One batch on its way into the log.
///
/// What goes to one log partition lies together: it is written as it comes, and read partition by partition.
#[derive(Debug)]
pub struct Batch {
    shares: Vec<Share>,
    size_bytes: usize,
    /// The serial forms of the entry at hand, kept for their memory.
    packed: Packed,
}

#[derive(Debug, Default)]
struct Packed {
    entry: Vec<u8>,
    variants: Vec<u8>,
    originals: Vec<u8>,
}

/// What of a batch goes to one log partition, in order.
#[derive(Debug)]
struct Share {
    texts: String,
    /// The last environment and topic kept: the next entry's are nearly always the same.
    environment: Text,
    topic: Text,
    bytes: Vec<u8>,
    /// Chains of packed originals: where the next one is, how long this one is, and itself. Read by the tens of thousands
    /// in no order that caches know, so they are kept small.
    originals: Vec<u8>,
    variants: Vec<PendingVariant>,
    pending: Vec<Pending>,
    /// Each service's last entry in this batch, by the hash of its name; compared in full before it is believed.
    last: HashMap<u64, u32>,
}

const NONE: u32 = u32::MAX;

#[derive(Debug)]
enum Pending {
    Errors(PendingErrors),
    /// An entry in its final form.
    Encoded {
        start: u32,
        end: u32,
    },
}

#[derive(Debug)]
struct PendingErrors {
    service: Text,
    environment: Text,
    topic: Text,
    partition: i32,
    offset: i64,
    time: Timestamp,
    interval_ms: u64,
    errors: u64,
    requests: Option<u64>,
    n_events: u32,
    /// Its first and last original.
    first: u32,
    last: u32,
    first_variant: u32,
}

/// A variant of an entry, and the one after it.
#[derive(Debug)]
struct PendingVariant {
    version: Text,
    fingerprint: Text,
    upstream: Text,
    next: u32,
}

/// What a share keeps of each kind of bytes from batch to batch: several times what a large one of many services takes.
const KEPT_BYTES_MAX: usize = 256 * 1024;

/// Bytes before each packed original: the place of the next one, and its own length.
const ORIGINAL_HEAD_BYTES: usize = 5;

/// Where an event came from, and what stands for no environment.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    pub origin: Origin<'a>,
    pub default_environment: &'a str,
}

impl Batch {
    /// For a log of `n_partitions`.
    #[must_use]
    pub fn new(n_partitions: usize) -> Self {
        Self {
            shares: (0..n_partitions).map(|_| Share::new()).collect(),
            size_bytes: 0,
            packed: Packed::default(),
        }
    }

    /// Bytes held, about: when it is large, the batch is closed.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.shares.iter().all(|share| share.pending.is_empty())
    }

    /// Forgets all entries and keeps the memory.
    pub fn clear(&mut self) {
        self.size_bytes = 0;
        for share in &mut self.shares {
            share.clear();
        }
    }

    /// Takes in one event for log partition `partition`.
    pub fn add(
        &mut self,
        event: &Event<'_>,
        partition: usize,
        arrival: &Arrival<'_>,
        append: impl FnOnce(&Entry<'_>, &mut Vec<u8>),
    ) {
        let Some(share) = self.shares.get_mut(partition) else {
            return;
        };
        let before = share.size_bytes();
        let hash = EventHash::of(&event.service, &event.source, &event.id);
        if let Body::Error(count) = &event.body {
            share.add_errors(event, count, hash, arrival);
        } else {
            share.add_other(event, hash, arrival, append);
        }
        self.size_bytes += share.size_bytes() - before;
    }

    /// Appends the entries of a log partition in order to `record`, in their serial form by `append`. Before one that
    /// would make it longer than `bytes_max`, `full` is called with how many input records it stands for, and takes it
    /// away to begin another. Returns how many the last one stands for.
    pub fn pack(
        &mut self,
        partition: usize,
        (record, bytes_max): (&mut Vec<u8>, usize),
        append: impl Fn(&Entry<'_>, &mut Vec<u8>),
        mut full: impl FnMut(&mut Vec<u8>, u64),
    ) -> u64 {
        let Self { shares, packed, .. } = self;
        let (empty, mut n_inputs) = (record.len(), 0);
        let Some(share) = shares.get(partition) else { return 0 };
        for pending in &share.pending {
            let (bytes, n) = share.serial(pending, packed, &append);
            if record.len() > empty && record.len() + bytes.len() > bytes_max {
                full(record, std::mem::take(&mut n_inputs));
            }
            record.extend_from_slice(bytes);
            n_inputs += u64::from(n);
        }
        n_inputs
    }
}

impl Share {
    fn new() -> Self {
        Self {
            texts: String::new(),
            environment: NO_TEXT,
            topic: NO_TEXT,
            bytes: Vec::new(),
            originals: Vec::new(),
            variants: Vec::new(),
            pending: Vec::new(),
            last: HashMap::new(),
        }
    }

    fn size_bytes(&self) -> usize {
        self.texts.len() + self.bytes.len() + self.originals.len()
    }

    fn clear(&mut self) {
        self.texts.clear();
        (self.environment, self.topic) = (NO_TEXT, NO_TEXT);
        self.bytes.clear();
        self.originals.clear();
        self.variants.clear();
        self.pending.clear();
        self.last.clear();
        // A batch may all be for one partition, and the next one for another.
        for bytes in [&mut self.bytes, &mut self.originals] {
            bytes.shrink_to(KEPT_BYTES_MAX);
        }
        self.texts.shrink_to(KEPT_BYTES_MAX);
    }

    fn add_other(
        &mut self,
        event: &Event<'_>,
        hash: EventHash,
        arrival: &Arrival<'_>,
        append: impl FnOnce(&Entry<'_>, &mut Vec<u8>),
    ) {
        let start = place(self.bytes.len());
        let entry = Entry::Event(Happened {
            hash,
            id: &event.id,
            time: event.time,
            service: &event.service,
            environment: event.environment.as_deref(),
            default_environment: arrival.default_environment,
            origin: arrival.origin,
            body: for_log(&event.body),
        });
        append(&entry, &mut self.bytes);
        let encoded = Pending::Encoded {
            start,
            end: place(self.bytes.len()),
        };
        self.push(encoded, hash_text(&event.service));
    }

    fn push(&mut self, pending: Pending, service: u64) {
        let index = place(self.pending.len());
        self.pending.push(pending);
        self.last.insert(service, index);
    }

    fn add_errors(&mut self, event: &Event<'_>, count: &ErrorCount<'_>, hash: EventHash, arrival: &Arrival<'_>) {
        let environment = event.environment.as_deref().unwrap_or(arrival.default_environment);
        let grain = ERROR_GRAIN_MS;
        let time = Timestamp::from_millis(event.time.millis().div_euclid(grain) * grain);
        let service = hash_text(&event.service);
        let last = self.last.get(&service).copied();
        if let Some(index) = last.map(usize_of)
            && self.takes(index, event, (environment, time), count)
            && let Some(variant) = self.variant_of(index, count)
        {
            self.join(index, hash, variant, count);
            return;
        }
        let first_variant = self.keep_variant(Variant::of(count), None);
        let original = self.keep_original(hash, 0, count);
        self.environment = self.keep_again(environment, self.environment);
        self.topic = self.keep_again(arrival.origin.topic, self.topic);
        let pending = PendingErrors {
            service: self.keep(&event.service),
            environment: self.environment,
            topic: self.topic,
            partition: arrival.origin.partition,
            offset: arrival.origin.offset,
            time,
            interval_ms: count.interval_ms,
            errors: count.errors,
            requests: count.requests,
            n_events: 1,
            first: original,
            last: original,
            first_variant,
        };
        self.push(Pending::Errors(pending), service);
    }

    /// Whether the entry at `index` is one that an error of `place` and `count` may join, but for its variant.
    fn takes(&self, index: usize, event: &Event<'_>, place: (&str, Timestamp), count: &ErrorCount<'_>) -> bool {
        let Some(Pending::Errors(known)) = self.pending.get(index) else {
            return false;
        };
        known.time == place.1
            && known.interval_ms == count.interval_ms
            && known.requests.is_some() == count.requests.is_some()
            && known.service.is(&self.texts, Some(&event.service))
            && known.environment.is(&self.texts, Some(place.0))
    }

    /// Which variant of the entry at `index` an error is; the entry is given it if there is room.
    fn variant_of(&mut self, index: usize, count: &ErrorCount<'_>) -> Option<u8> {
        let Some(Pending::Errors(known)) = self.pending.get(index) else {
            return None;
        };
        let variant = Variant::of(count);
        let (mut at, mut number) = (known.first_variant, 0);
        loop {
            let known = self.variants.get(usize_of(at))?;
            if known.is(&self.texts, variant) {
                return Some(number);
            }
            number += 1;
            if known.next == NONE {
                break;
            }
            at = known.next;
        }
        if usize::from(number) == VARIANTS_MAX {
            return None;
        }
        let next = self.keep_variant(variant, Some(at));
        self.variants.get_mut(usize_of(at))?.next = next;
        Some(number)
    }

    fn join(&mut self, index: usize, hash: EventHash, variant: u8, count: &ErrorCount<'_>) {
        let original = self.keep_original(hash, variant, count);
        let Some(Pending::Errors(known)) = self.pending.get_mut(index) else {
            return;
        };
        known.errors = known.errors.saturating_add(count.errors);
        known.requests = known.requests.zip(count.requests).map(|(a, b)| a.saturating_add(b));
        known.n_events += 1;
        let previous = usize_of(std::mem::replace(&mut known.last, original));
        if let Some(next) = self.originals.get_mut(previous..previous + 4) {
            next.copy_from_slice(&original.to_le_bytes());
        }
    }

    /// Most variants of an entry are of one version: `before` may have it already.
    fn keep_variant(&mut self, variant: Variant<&str>, before: Option<u32>) -> u32 {
        let version = before.and_then(|before| self.variants.get(usize_of(before)));
        let version = version
            .map(|before| before.version)
            .filter(|known| known.is(&self.texts, variant.version));
        let kept = PendingVariant {
            version: version.unwrap_or_else(|| self.keep_optional(variant.version)),
            fingerprint: self.keep_optional(variant.fingerprint),
            upstream: self.keep_optional(variant.upstream),
            next: NONE,
        };
        self.variants.push(kept);
        place(self.variants.len() - 1)
    }

    /// Appends an original that nothing follows, and says where it is.
    fn keep_original(&mut self, hash: EventHash, variant: u8, count: &ErrorCount<'_>) -> u32 {
        let at = self.originals.len();
        self.originals.extend_from_slice(&NONE.to_le_bytes());
        self.originals.push(0);
        let original = Original {
            hash,
            variant,
            is_storm: count.is_storm,
            errors: count.errors,
            requests: count.requests,
        };
        original.pack(&mut self.originals);
        let size_bytes = self.originals.len() - at - ORIGINAL_HEAD_BYTES;
        self.originals[at + 4] = u8::try_from(size_bytes).expect("a hash, a variant and two numbers");
        place(at)
    }

    fn keep(&mut self, text: &str) -> Text {
        let start = place(self.texts.len());
        self.texts.push_str(text);
        Text {
            start,
            end: place(self.texts.len()),
        }
    }

    /// The same, unless it is what `known` has.
    fn keep_again(&mut self, text: &str, known: Text) -> Text {
        if known.is(&self.texts, Some(text)) {
            known
        } else {
            self.keep(text)
        }
    }

    fn keep_optional(&mut self, text: Option<&str>) -> Text {
        text.map_or(NO_TEXT, |text| self.keep(text))
    }

    /// The serial form of an entry, and how many input records it stands for.
    fn serial<'a>(
        &'a self,
        pending: &Pending,
        packed: &'a mut Packed,
        append: &impl Fn(&Entry<'_>, &mut Vec<u8>),
    ) -> (&'a [u8], u32) {
        let errors = match pending {
            Pending::Encoded { start, end } => return (&self.bytes[usize_of(*start)..usize_of(*end)], 1),
            Pending::Errors(errors) => errors,
        };
        let Packed {
            entry,
            variants,
            originals,
        } = packed;
        self.pack_variants(errors, variants);
        self.pack_originals(errors, originals);
        entry.clear();
        append(&Entry::Errors(self.errors_entry(errors, variants, originals)), entry);
        (entry, errors.n_events)
    }

    fn pack_variants(&self, errors: &PendingErrors, bytes: &mut Vec<u8>) {
        bytes.clear();
        let mut at = errors.first_variant;
        while let Some(variant) = self.variants.get(usize_of(at)) {
            variant.of(&self.texts).pack(bytes);
            at = variant.next;
        }
    }

    fn pack_originals(&self, errors: &PendingErrors, bytes: &mut Vec<u8>) {
        bytes.clear();
        let mut at = errors.first;
        while let Some([a, b, c, d, size_bytes, rest @ ..]) = self.originals.get(usize_of(at)..) {
            bytes.extend_from_slice(&rest[..usize::from(*size_bytes)]);
            at = u32::from_le_bytes([*a, *b, *c, *d]);
        }
    }

    fn errors_entry<'a>(&'a self, errors: &PendingErrors, variants: &'a [u8], originals: &'a [u8]) -> Errors<'a> {
        let texts = &self.texts;
        Errors {
            service: errors.service.of(texts).unwrap_or_default(),
            environment: errors.environment.of(texts).unwrap_or_default(),
            time: errors.time,
            origin: Origin {
                topic: errors.topic.of(texts).unwrap_or_default(),
                partition: errors.partition,
                offset: errors.offset,
            },
            errors: errors.errors,
            requests: errors.requests,
            interval_ms: errors.interval_ms,
            variants,
            originals,
        }
    }
}

/// What of a body goes into the log: all but who gave an override, which stays on its own topic.
fn for_log<'a>(body: &Body<'a>) -> Body<'a> {
    let mut body = body.clone();
    if let Body::Override(word) = &mut body {
        word.by = "".into();
    }
    body
}

impl PendingVariant {
    fn of<'a>(&self, texts: &'a str) -> Variant<&'a str> {
        Variant {
            version: self.version.of(texts),
            fingerprint: self.fingerprint.of(texts),
            upstream: self.upstream.of(texts),
        }
    }

    fn is(&self, texts: &str, variant: Variant<&str>) -> bool {
        self.of(texts) == variant
    }
}

#[cfg(test)]
mod tests;
