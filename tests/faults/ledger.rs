//! The books as the topics have them: what is in the inputs, what was refused, what the log stands for.

use std::{
    collections::{HashMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use holdpoint::{stream::Header, wire::events};

use crate::{feed::Counts, generator::What, violations::Violations};

/// Where an input record is: topic, partition, offset, as the headers of a reject have it.
type Place = (String, String, String);

/// Counts since the beginning of the topics.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Of every event in the inputs; a hash, for there may be a million.
    seen: HashSet<u64>,
    unique: Counts,
    n_events: u64,
    bad: HashSet<Place>,
    rejected: HashMap<Place, u64>,
    /// Input records that the log stands for, by its own headers.
    n_in_log: u64,
}

impl Ledger {
    pub(crate) fn note_input(&mut self, place: (&str, i32, i64), key: Option<&[u8]>) {
        let what = key
            .and_then(What::parse)
            .expect("every input of this run has a key of ours");
        if what.is_bad() {
            let (topic, partition, offset) = place;
            self.bad
                .insert((topic.to_owned(), partition.to_string(), offset.to_string()));
            return;
        }
        self.n_events += 1;
        let mut hasher = DefaultHasher::new();
        what.hash(&mut hasher);
        if self.seen.insert(hasher.finish()) {
            *self.unique.entry((what.service, what.kind)).or_default() += 1;
        }
    }

    /// `is_overlooked`: as if it had not been there, to see that it is missed.
    pub(crate) fn note_rejected(&mut self, headers: &[Header], is_overlooked: bool) {
        if is_overlooked && self.rejected.is_empty() {
            self.rejected.insert(<_>::default(), 0);
            return;
        }
        let place = ["hp_topic", "hp_partition", "hp_offset"].map(|name| text(headers, name));
        *self.rejected.entry(place.into()).or_default() += 1;
    }

    pub(crate) fn note_log(&mut self, headers: &[Header]) {
        self.n_in_log += text(headers, events::HEADER_INPUTS).parse::<u64>().unwrap_or(0);
    }

    pub(crate) fn n_events(&self) -> u64 {
        self.n_events
    }

    pub(crate) fn n_bad(&self) -> usize {
        self.bad.len()
    }

    /// Inputs against what was acknowledged, rejects against inputs, the log against both.
    pub(crate) fn balance(&self, sent: &Counts, violations: &mut Violations) {
        for ((service, kind), n) in sent {
            let there = self.unique.get(&(service.clone(), kind.clone())).copied().unwrap_or(0);
            violations.books.add(n.abs_diff(there), || {
                format!("{n} {kind} events of {service} were acknowledged, {there} are in the inputs")
            });
        }
        for place in &self.bad {
            match self.rejected.get(place).copied().unwrap_or(0) {
                0 => violations.rejects_missing.note(|| format!("{place:?}")),
                n => violations.rejects_twice.add(n - 1, || format!("{place:?}: {n} times")),
            }
        }
        let strays = self
            .rejected
            .iter()
            .filter(|(place, n)| **n > 0 && !self.bad.contains(*place));
        for (place, n) in strays {
            violations
                .books
                .add(*n, || format!("{place:?} was an event, and rejected"));
        }
        violations.books.add(self.n_in_log.abs_diff(self.n_events), || {
            format!(
                "the log stands for {} input records, there are {} events",
                self.n_in_log, self.n_events
            )
        });
    }
}

/// A header's text, empty where there is none.
fn text(headers: &[Header], name: &str) -> String {
    let header = headers.iter().find(|header| &*header.name == name);
    let value = header.and_then(|header| header.value.as_deref()).unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}
