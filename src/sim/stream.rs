//! The events of a fleet in the order in which they arrive, made as they are asked for.
//!
//! **Invariant:** memory is bounded by reporters and by records that are on their way, not by the length of history.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{
    Simulation,
    calendar::Book,
    chance::Chance,
    telemetry::{Glimpse, Line, Reporter, World},
};
use crate::model::Timestamp;

/// Seconds from a record's making to its arrival: most, and those held up on the way.
const USUAL_DELAY: (f64, f64) = (0.2, 4.0);
const LONG_DELAY: (f64, f64) = (12.0, 180.0);
/// Seconds after which a record is sent again whose answer was lost.
const AGAIN_AFTER: (f64, f64) = (1.0, 60.0);

/// What arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    pub at: Timestamp,
    /// A second copy of what arrived before.
    pub again: bool,
}

/// A fleet's events; see [`Simulation::stream`].
#[derive(Debug)]
pub struct Stream<'a> {
    simulation: &'a Simulation,
    chance: Chance,
    reporters: Vec<Reporter>,
    /// When each of them next speaks.
    next: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// The next event that is no error.
    planned: usize,
    on_the_way: BinaryHeap<Reverse<Sent>>,
    n_sent: u64,
    told: Vec<Line>,
    glimpses: Vec<Glimpse>,
}

/// A record on its way, ordered by its arrival and, within a millisecond, by its making.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Sent {
    arrives_at: Timestamp,
    n: u64,
    again: bool,
    line: String,
}

impl<'a> Stream<'a> {
    pub(super) fn new(simulation: &'a Simulation) -> Self {
        let root = Chance::new(simulation.seed).branch(STREAM);
        let mut reporters: Vec<Reporter> = Vec::new();
        for (place, service) in simulation.services.iter().enumerate() {
            let chance = root.branch(u64::try_from(place).unwrap_or(0));
            reporters.push(Reporter::production(place, service, simulation.end, chance));
        }
        for (i, preview) in simulation.previews.iter().enumerate() {
            let chance = root.branch(PREVIEWS + u64::try_from(i).unwrap_or(0));
            let span = (preview.from, preview.until.min(simulation.end));
            reporters.push(Reporter::preview(preview.service, preview.number, span, chance));
        }
        let next = reporters
            .iter()
            .enumerate()
            .map(|(i, reporter)| Reverse((reporter.next_at, i)));
        Self {
            simulation,
            chance: root.branch(u64::MAX),
            next: next.collect(),
            reporters,
            planned: 0,
            on_the_way: BinaryHeap::new(),
            n_sent: 0,
            told: Vec::new(),
            glimpses: Vec::new(),
        }
    }

    /// Replaces `line` by the next event as native JSON; `None` at the end.
    pub fn next(&mut self, line: &mut String) -> Option<Arrived> {
        self.glimpses.clear();
        loop {
            let arrival = self.on_the_way.peek().map(|Reverse(sent)| sent.arrives_at);
            let reporter = self.next.peek().map(|Reverse((at, _))| *at);
            let planned = self.simulation.calendar.get(self.planned).map(|planned| planned.at);
            let made = [reporter, planned].into_iter().flatten().min();
            if let Some(arrival) = arrival
                && made.is_none_or(|made| arrival <= made)
            {
                let Reverse(sent) = self.on_the_way.pop()?;
                *line = sent.line;
                return Some(Arrived {
                    at: sent.arrives_at,
                    again: sent.again,
                });
            }
            made?;
            if planned.is_some() && planned == made {
                self.send_planned();
            } else {
                self.let_speak();
            }
        }
    }

    /// What whoever knows all saw of the intervals that ended before that event, since the one before; in order.
    #[must_use]
    pub fn glimpses(&self) -> &[Glimpse] {
        &self.glimpses
    }

    /// Records that are on their way.
    #[cfg(test)]
    pub(super) fn n_on_the_way(&self) -> usize {
        self.on_the_way.len()
    }

    fn let_speak(&mut self) {
        let Some(Reverse((_, place))) = self.next.pop() else {
            return;
        };
        let simulation = self.simulation;
        let world = World {
            services: &simulation.services,
            truth: &simulation.truth,
            shifts: &simulation.shifts,
        };
        let mut told = std::mem::take(&mut self.told);
        self.reporters[place].speak(world, &mut told, &mut self.glimpses);
        for Line { time, line } in told.drain(..) {
            self.send(time, line);
        }
        self.told = told;
        let next_at = self.reporters[place].next_at;
        if next_at < Timestamp::NEVER {
            self.next.push(Reverse((next_at, place)));
        }
    }

    fn send_planned(&mut self) {
        let simulation = self.simulation;
        let planned = &simulation.calendar[self.planned];
        let mut line = String::new();
        let book = Book {
            services: &simulation.services,
            truth: &simulation.truth,
            commits: &simulation.commits,
        };
        planned
            .write(self.planned, book, &mut line)
            .expect("memory takes what is written");
        self.planned += 1;
        if planned.at < simulation.end {
            self.send(planned.at, line);
        }
    }

    fn send(&mut self, time: Timestamp, line: String) {
        let family = &self.simulation.family;
        let delay = if self.chance.is(family.late) {
            LONG_DELAY
        } else {
            USUAL_DELAY
        };
        let arrives_at = time + self.chance.seconds(delay);
        if self.chance.is(family.duplicated) {
            let again_at = arrives_at + self.chance.seconds(AGAIN_AFTER);
            self.put(again_at, true, line.clone());
        }
        self.put(arrives_at, false, line);
    }

    fn put(&mut self, arrives_at: Timestamp, again: bool, line: String) {
        self.n_sent += 1;
        self.on_the_way.push(Reverse(Sent {
            arrives_at,
            n: self.n_sent,
            again,
            line,
        }));
    }
}

/// Branches of the seed.
const STREAM: u64 = 0x57;
const PREVIEWS: u64 = 1 << 32;
