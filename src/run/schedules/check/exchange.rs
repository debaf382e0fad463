//! What services and the fleet tell each other: each message said is in the log once, and who is asked is as far as the
//! one who asks.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::super::site::LOG_PARTITIONS;
use crate::{
    model::{Ask, Entry, Ground, Message, Recipient, Timestamp, Told},
    score::{Said, Saying},
};

/// As long as a question is waited for.
const WAIT: Duration = Duration::from_secs(10);

/// How much was said that evidence gives rise to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct Talk {
    /// Freezes by evidence asked for.
    pub(in super::super) convictions: u64,
    pub(in super::super) questions: u64,
    pub(in super::super) answers: u64,
    /// Answers that came when they were no longer waited for, by the wall clock.
    pub(in super::super) late: u64,
}

/// The messages of all partitions.
#[derive(Debug)]
pub(super) struct Exchange {
    talk: Talk,
    /// How often each was said and is not in the log: 0, where it is there as often.
    outstanding: BTreeMap<String, i64>,
    /// What the wall clocks said last, in the partition that is read.
    wall: Timestamp,
    /// What they said when a service asked, by its name and the time it asked at.
    asked: BTreeMap<(String, Timestamp), Timestamp>,
    /// Who had to go on without an answer.
    unheard: BTreeSet<String>,
}

impl Exchange {
    pub(super) fn new() -> Self {
        Self {
            talk: Talk::default(),
            outstanding: BTreeMap::new(),
            wall: Timestamp::MIN,
            asked: BTreeMap::new(),
            unheard: BTreeSet::new(),
        }
    }

    /// Another partition of the log is read from its beginning.
    pub(super) fn begin(&mut self) {
        self.wall = Timestamp::MIN;
    }

    /// An entry of the log, which its partition has taken in at `now`.
    pub(super) fn hear(&mut self, entry: &Entry<'_>, now: Timestamp) {
        if let Entry::Time(tick) = entry {
            self.wall = self.wall.max(tick.wall);
        }
        let Entry::Message(message) = entry else { return };
        *self.outstanding.entry(format!("{message:?}")).or_default() -= 1;
        if let Message::Propose { ground, .. } = message {
            self.talk.convictions += u64::from(*ground == Ground::Evidence);
        }
        if let Message::Ask(Ask {
            service, by, asked_at, ..
        }) = message
        {
            self.talk.questions += 1;
            assert!(
                now >= *asked_at,
                "{service} is asked by {by} at {asked_at}, and is no further than {now}"
            );
        }
        if let Message::Told(Told { service, asked_at, .. }) = message {
            self.talk.answers += 1;
            let service = service.clone().into_owned();
            let asked = self.asked.get(&(service.clone(), *asked_at)).copied();
            if self.wall.since(asked.expect("it was asked before it is answered")) >= WAIT {
                self.talk.late += 1;
                self.unheard.insert(service);
            }
        }
    }

    pub(super) fn say(&mut self, said: &[Saying]) {
        for saying in said {
            let Said::Message(message) = &saying.said else { continue };
            if let Message::Ask(Ask { by, asked_at, .. }) = message
                && saying.by.as_ref().is_some_and(|service| service.as_str() == by)
            {
                let asked = self.asked.entry((by.clone().into_owned(), *asked_at));
                asked.or_insert(self.wall);
            }
            let n_copies = if message.recipient() == Recipient::EveryPartition {
                i64::from(LOG_PARTITIONS)
            } else {
                1
            };
            *self.outstanding.entry(format!("{message:?}")).or_default() += n_copies;
        }
    }

    pub(super) fn check(&self) -> Talk {
        let wrong: Vec<(&String, &i64)> = self.outstanding.iter().filter(|(_, n)| **n != 0).collect();
        assert!(
            wrong.is_empty(),
            "messages that are not in the log as often as they were said, and by how much: {wrong:#?}"
        );
        self.talk
    }

    pub(super) fn unheard(&self) -> &BTreeSet<String> {
        &self.unheard
    }
}
