//! Events of one batch into entries of the log.
//!
//! Neighbouring errors of a service that agree in every field but count and requests, within ten seconds of event
//! time, become one entry with the sums and, per event, its identity and counts. Only neighbours: with another entry
//! of the service between them, the order in which a step meets duplicates would change.
//!
//! Texts are copied into one arena that lives from batch to batch, so a batch allocates nothing once it has grown.
//!
//! **Invariant:** combining and packing change no decision.

use foldhash::{HashMap, HashMapExt};

use crate::model::{Body, ERROR_GRAIN_MS, Entry, Errors, Event, EventHash, Happened, Origin, Original, Timestamp};

/// One batch on its way into the log, per partition of it.
#[derive(Debug)]
pub struct Batch {
    texts: String,
    bytes: Vec<u8>,
    originals: Vec<(Original, u32)>,
    pending: Vec<Pending>,
    /// Per log partition, the entries in order.
    partitions: Vec<Vec<u32>>,
    /// Each service's last entry in this batch, by the hash of its name; compared in full before it is believed.
    last: HashMap<u64, u32>,
}

/// A place in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Text {
    start: u32,
    end: u32,
}

const NO_TEXT: Text = Text {
    start: u32::MAX,
    end: u32::MAX,
};
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
    version: Text,
    fingerprint: Text,
    upstream: Text,
    topic: Text,
    partition: i32,
    offset: i64,
    time: Timestamp,
    interval_ms: u64,
    errors: u64,
    requests: Option<u64>,
    n_events: u32,
    first: u32,
    last: u32,
}

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
            texts: String::new(),
            bytes: Vec::new(),
            originals: Vec::new(),
            pending: Vec::new(),
            partitions: vec![Vec::new(); n_partitions],
            last: HashMap::new(),
        }
    }

    /// Bytes held, about: when it is large, the batch is closed.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.texts.len() + self.bytes.len() + self.originals.len() * 24
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Forgets all entries and keeps the memory.
    pub fn clear(&mut self) {
        self.texts.clear();
        self.bytes.clear();
        self.originals.clear();
        self.pending.clear();
        self.last.clear();
        for entries in &mut self.partitions {
            entries.clear();
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
        let hash = EventHash::of(&event.service, &event.source, &event.id);
        if let Body::Error(_) = &event.body {
            self.add_errors(event, hash, partition, arrival);
            return;
        }
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
        self.push(encoded, &event.service, partition);
    }

    fn push(&mut self, pending: Pending, service: &str, partition: usize) {
        let index = place(self.pending.len());
        self.pending.push(pending);
        if let Some(entries) = self.partitions.get_mut(partition) {
            entries.push(index);
        }
        self.last.insert(crate::model::hash_text(service), index);
    }

    fn add_errors(&mut self, event: &Event<'_>, hash: EventHash, partition: usize, arrival: &Arrival<'_>) {
        let Body::Error(count) = &event.body else { return };
        let environment = event.environment.as_deref().unwrap_or(arrival.default_environment);
        let grain = ERROR_GRAIN_MS;
        let time = Timestamp::from_millis(event.time.millis().div_euclid(grain) * grain);
        let original = place(self.originals.len());
        self.originals.push((
            Original {
                hash,
                errors: count.errors,
                requests: count.requests,
            },
            NONE,
        ));
        let last = self.last.get(&crate::model::hash_text(&event.service)).copied();
        if let Some(Pending::Errors(known)) = last.and_then(|index| self.pending.get_mut(usize_of(index))) {
            let texts = &self.texts;
            let same = known.time == time
                && known.interval_ms == count.interval_ms
                && known.requests.is_some() == count.requests.is_some()
                && known.service.is(texts, Some(&event.service))
                && known.environment.is(texts, Some(environment))
                && known.version.is(texts, count.version.as_deref())
                && known.fingerprint.is(texts, count.fingerprint.as_deref())
                && known.upstream.is(texts, count.upstream.as_deref());
            if same {
                known.errors = known.errors.saturating_add(count.errors);
                known.requests = known.requests.zip(count.requests).map(|(a, b)| a.saturating_add(b));
                known.n_events += 1;
                let previous = std::mem::replace(&mut known.last, original);
                if let Some((_, next)) = self.originals.get_mut(usize_of(previous)) {
                    *next = original;
                }
                return;
            }
        }
        let pending = PendingErrors {
            service: self.keep(&event.service),
            environment: self.keep(environment),
            version: self.keep_optional(count.version.as_deref()),
            fingerprint: self.keep_optional(count.fingerprint.as_deref()),
            upstream: self.keep_optional(count.upstream.as_deref()),
            topic: self.keep(arrival.origin.topic),
            partition: arrival.origin.partition,
            offset: arrival.origin.offset,
            time,
            interval_ms: count.interval_ms,
            errors: count.errors,
            requests: count.requests,
            n_events: 1,
            first: original,
            last: original,
        };
        self.push(Pending::Errors(pending), &event.service, partition);
    }

    fn keep(&mut self, text: &str) -> Text {
        let start = place(self.texts.len());
        self.texts.push_str(text);
        Text {
            start,
            end: place(self.texts.len()),
        }
    }

    fn keep_optional(&mut self, text: Option<&str>) -> Text {
        text.map_or(NO_TEXT, |text| self.keep(text))
    }

    /// Appends the entries of a log partition in order to `record`, in their serial form by `append`. Before one that
    /// would make it longer than `bytes_max`, `full` is called with how many input records it stands for, and takes it
    /// away to begin another. Returns how many the last one stands for.
    pub fn pack(
        &self,
        partition: usize,
        (record, bytes_max): (&mut Vec<u8>, usize),
        append: impl Fn(&Entry<'_>, &mut Vec<u8>),
        mut full: impl FnMut(&mut Vec<u8>, u64),
    ) -> u64 {
        let (mut entry, mut originals) = (Vec::new(), Vec::new());
        let (empty, mut n_inputs) = (record.len(), 0);
        for index in self.partitions.get(partition).into_iter().flatten() {
            let (bytes, n) = match &self.pending[usize_of(*index)] {
                Pending::Encoded { start, end } => (&self.bytes[usize_of(*start)..usize_of(*end)], 1),
                Pending::Errors(errors) => {
                    self.pack_originals(errors, &mut originals);
                    entry.clear();
                    append(&Entry::Errors(self.errors_entry(errors, &originals)), &mut entry);
                    (&entry[..], errors.n_events)
                }
            };
            if record.len() > empty && record.len() + bytes.len() > bytes_max {
                full(record, std::mem::take(&mut n_inputs));
            }
            record.extend_from_slice(bytes);
            n_inputs += u64::from(n);
        }
        n_inputs
    }

    fn pack_originals(&self, errors: &PendingErrors, bytes: &mut Vec<u8>) {
        bytes.clear();
        let mut at = errors.first;
        while let Some((original, next)) = self.originals.get(usize_of(at)) {
            original.pack(bytes);
            at = *next;
        }
    }

    fn errors_entry<'a>(&'a self, errors: &PendingErrors, originals: &'a [u8]) -> Errors<'a> {
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
            version: errors.version.of(texts),
            fingerprint: errors.fingerprint.of(texts),
            upstream: errors.upstream.of(texts),
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

impl Text {
    /// The text; `None` where there was none.
    fn of(self, texts: &str) -> Option<&str> {
        (self != NO_TEXT).then(|| &texts[usize_of(self.start)..usize_of(self.end)])
    }

    fn is(self, texts: &str, other: Option<&str>) -> bool {
        self.of(texts) == other
    }
}

/// Batches are closed at 16 MiB, so places fit in 32 bits.
fn place(index: usize) -> u32 {
    u32::try_from(index).expect("a batch is closed long before 4 GiB")
}

fn usize_of(place: u32) -> usize {
    usize::try_from(place).expect("at least 32 bits")
}
