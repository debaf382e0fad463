//! The replay itself: each line through ingest and score, time between them, and on to the end.
//!
//! **Invariant:** time only goes forward, and stops at every deadline on its way.
//! **Invariant:** what the fleet and the services tell each other is taken in before anything else happens.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    holding::{Passes, Total},
    merge::Arrival,
    source::MAX_AHEAD,
    summary::Summary,
    tally::Tally,
};
use crate::{
    ingest::{HeldAgainst, Reject},
    model::{
        Body, ERROR_GRAIN_MS, Entry, EnvironmentId, ErrorCount, Errors, Event, EventHash, Happened, Message, Offset,
        Origin, Original, PolicyText, ServiceId, Timestamp, Variant,
    },
    score::{Partition, Said, Saying, Service},
};

/// What stands for no environment, where nothing else is said.
const DEFAULT_ENVIRONMENT: &str = "production";
/// How long time runs on after the last event, at most: a watch of 26 h that ends in a freeze of 4 h, and the day of
/// extra review after it; and as long as a person's word stands. Windows and spent budgets may never end.
const RUN_ON_MAX: Duration = Duration::from_hours(54);
const WORD_MAX: Duration = Duration::from_hours(7 * 24);
/// How often it is asked whether anything is still open then.
const RUN_ON_STEP: Duration = Duration::from_mins(10);
/// Live, time goes on once a second: a deadline that has passed already is looked at so much later.
const TICK: Duration = Duration::from_secs(1);
/// A deadline that stays in the past after so many looks stays there: nothing is gained by looking each second.
const STUCK_MAX: u32 = 16;
/// A question that goes three hops, its answers, a proposal and the fleet's answer, and room to spare.
const ROUNDS_MAX: u32 = 16;

/// A fleet, on recorded time.
#[derive(Debug)]
pub struct Replay {
    partition: Partition,
    /// Where the next entry would stand in the log.
    offset: Offset,
    messages: VecDeque<Message<'static>>,
    pub(super) said: Vec<Said>,
    /// Reused from step to step.
    sayings: Vec<Saying>,
    /// The one variant and the one original of an error, packed: kept for their memory.
    packed: [Vec<u8>; 2],
    tally: Tally,
    default_environment: Box<str>,
    /// A service that was watched when it was last asked.
    watched: Option<ServiceId>,
}

impl Replay {
    /// Before the first line. `policy` is the text of one that parses; `None` goes by the defaults.
    #[must_use]
    pub fn new(policy: Option<&str>) -> Self {
        let mut replay = Self {
            partition: Partition::default(),
            offset: Offset(0),
            messages: VecDeque::new(),
            said: Vec::new(),
            sayings: Vec::new(),
            packed: Default::default(),
            tally: Tally::default(),
            default_environment: DEFAULT_ENVIRONMENT.into(),
            watched: None,
        };
        if let Some(text) = policy {
            replay.step(&Entry::Policy(PolicyText { revision: 0, text }));
        }
        replay
    }

    /// The environment of events without one, from here on; `production` before.
    pub fn default_to(&mut self, environment: &EnvironmentId) {
        self.default_environment = environment.as_str().into();
    }

    /// Keeps what the timelines of a report need, from here on.
    pub fn chronicle(&mut self) {
        self.tally.chronicle.get_or_insert_default();
    }

    /// Takes in one line. Says why, if it is refused.
    pub fn take(&mut self, arrival: &Arrival<'_>) -> Option<Reject> {
        let now = self.partition.now();
        let refused = match arrival.event {
            Ok(event) if arrival.is_alone && now > Timestamp::MIN && event.time > now + MAX_AHEAD => {
                Reject::Unconfirmed {
                    time: event.time,
                    held: HeldAgainst::Files(now),
                }
            }
            Ok(event) => {
                self.take_event(event, arrival.file, arrival.line);
                return None;
            }
            Err(reject) => reject.clone(),
        };
        self.tally.events.reject(refused.reason());
        Some(refused)
    }

    /// Takes in one event, told at `line` of `file`.
    pub fn take_event(&mut self, event: &Event<'_>, file: &str, line: u64) {
        self.tally.events.n_lines += 1;
        self.pass_time(event.time);
        self.tally.note(event, file, &self.default_environment);
        let origin = Origin {
            topic: file,
            partition: -1,
            offset: i64::try_from(line).unwrap_or(i64::MAX),
        };
        self.step_event(event, origin);
    }

    fn step_event(&mut self, event: &Event<'_>, origin: Origin<'_>) {
        let default_environment = std::mem::take(&mut self.default_environment);
        if let Body::Error(count) = &event.body {
            let environment = event.environment.as_deref().unwrap_or(&default_environment);
            self.step_errors(event, count, (environment, origin));
        } else {
            self.step(&Entry::Event(Happened {
                hash: EventHash::of(&event.service, &event.source, &event.id),
                id: &event.id,
                time: event.time,
                service: &event.service,
                environment: event.environment.as_deref(),
                default_environment: &default_environment,
                origin,
                body: event.body.clone(),
            }));
        }
        self.default_environment = default_environment;
    }

    fn step_errors(&mut self, event: &Event<'_>, count: &ErrorCount<'_>, (environment, origin): (&str, Origin<'_>)) {
        let mut packed = std::mem::take(&mut self.packed);
        let [variants, originals] = &mut packed;
        variants.clear();
        originals.clear();
        Variant::of(count).pack(variants);
        let original = Original {
            hash: EventHash::of(&event.service, &event.source, &event.id),
            variant: 0,
            is_storm: count.is_storm,
            errors: count.errors,
            requests: count.requests,
        };
        original.pack(originals);
        self.step(&Entry::Errors(Errors {
            service: &event.service,
            environment,
            time: Timestamp::from_millis(event.time.millis().div_euclid(ERROR_GRAIN_MS) * ERROR_GRAIN_MS),
            origin,
            errors: count.errors,
            requests: count.requests,
            interval_ms: count.interval_ms,
            variants,
            originals,
        }));
        self.packed = packed;
    }

    /// After the last line: time runs on until nothing is open, at most [`RUN_ON_MAX`], or to the end of a person's word.
    ///
    /// Open is a watch, and what stands for a service and ends: a proceed too, by a person's word, behind which there may be a
    /// freeze. What is forgotten after weeks of silence is not waited for, and of a window that is closed longer no more is
    /// counted.
    pub fn finish(&mut self) {
        let last = self.partition.now();
        if last == Timestamp::MIN {
            return;
        }
        while self.is_open() {
            let now = self.partition.now();
            let is_word = self.tally.holding.is_any_word(now);
            let until = last + if is_word { WORD_MAX } else { RUN_ON_MAX };
            if now >= until {
                break;
            }
            self.pass_time((now + RUN_ON_STEP).min(until));
        }
        self.tally.finish(last, self.partition.now());
    }

    fn is_open(&mut self) -> bool {
        let now = self.partition.now();
        if self.tally.holding.ends_any(now) {
            return true;
        }
        let is_watched = |service: &Service| {
            let report = service.report(self.partition.policy(), self.partition.bulletin(), now);
            let mut environments = report.environments.iter();
            environments.any(|environment| !environment.watches.is_empty())
        };
        // Nearly always it is the one that was watched before: all of a large fleet are asked only when that has ended.
        let known = self
            .watched
            .as_ref()
            .and_then(|name| self.partition.service(name.as_str()));
        if known.is_some_and(is_watched) {
            return true;
        }
        let services = self.partition.services().into_iter();
        self.watched = services
            .filter(|service| is_watched(service))
            .map(|service| service.name().clone())
            .next();
        self.watched.is_some()
    }

    /// What was said since the last call, in order.
    pub fn take_said(&mut self) -> std::vec::Drain<'_, Said> {
        self.said.drain(..)
    }

    /// What came of it all.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.tally.summary(&self.partition, &self.default_environment)
    }

    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// How long every service that was ever held was held in all.
    pub(super) fn held_totals(&self) -> &BTreeMap<(ServiceId, EnvironmentId), Total> {
        self.tally.holding.totals()
    }

    /// Where low loss ever passed a freeze, or changes had to be known.
    pub(super) fn passes(&self) -> &BTreeMap<(ServiceId, EnvironmentId), Passes> {
        self.tally.holding.passes()
    }

    /// Lets time go on to `to`, from deadline to deadline.
    fn pass_time(&mut self, to: Timestamp) {
        let mut n_stuck = 0;
        while let Some(deadline) = self.partition.next_deadline() {
            let now = self.partition.now();
            if now >= to || deadline > to || n_stuck > STUCK_MAX {
                break;
            }
            // Before the first event there is no time that could go on by a tick.
            let at = if deadline > now { deadline } else { (now + TICK).min(to) };
            n_stuck = if deadline > now { 0 } else { n_stuck + 1 };
            self.advance_to(at);
        }
        debug_assert!(
            n_stuck <= STUCK_MAX,
            "a deadline stays at {:?}",
            self.partition.next_deadline()
        );
        self.advance_to(to);
    }

    fn advance_to(&mut self, to: Timestamp) {
        self.partition.advance_to(to, self.offset, &mut self.sayings);
        self.heed();
    }

    /// Appends an entry to the log that there would be, steps it, and what is said to it.
    fn step(&mut self, entry: &Entry<'_>) {
        self.step_once(entry);
        self.heed();
    }

    fn step_once(&mut self, entry: &Entry<'_>) {
        let now = self.partition.now();
        self.partition.step(entry, self.offset, now, &mut self.sayings);
        self.offset = self.offset.next();
    }

    /// Takes in what was said, and what is said to that.
    fn heed(&mut self) {
        // As after nearly every line.
        if self.sayings.is_empty() {
            return;
        }
        self.hear();
        self.settle();
    }

    fn hear(&mut self) {
        for saying in self.sayings.drain(..) {
            match saying.said {
                Said::Message(message) => self.messages.push_back(message),
                said @ (Said::Decision(_) | Said::Forget(_) | Said::Scored(_) | Said::Closed(_)) => {
                    self.tally.hear(&said, &self.partition);
                    self.said.push(said);
                }
            }
        }
    }

    /// Steps the messages said, and those said to them.
    fn settle(&mut self) {
        for _ in 0..ROUNDS_MAX {
            if self.messages.is_empty() {
                return;
            }
            for message in std::mem::take(&mut self.messages) {
                self.step_once(&Entry::Message(message));
                self.hear();
            }
        }
        assert!(self.messages.is_empty(), "messages answer each other without end");
    }
}
