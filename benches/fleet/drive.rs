//! A simulated fleet through the path.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{self, BufRead, Read},
    rc::Rc,
};

use holdpoint::{
    model::{Action, Decision, Evidence, Reason, Subject, Timestamp},
    replay::{Input, Merge, Replay},
    score::{ClosedWatch, Said},
    sim::{Simulation, Stream},
};

use crate::{arguments::Arguments, oracle::Oracle, plain, sights::Sights, told::Telling};

/// Lines made at a time.
const LINES: usize = 256;

pub(crate) type Voices = BTreeMap<(Box<str>, Box<str>), Vec<Heard>>;

/// What came of it.
pub(crate) struct Run {
    pub(crate) simulation: Simulation,
    /// By service and environment, what was decided, in order.
    pub(crate) voices: Voices,
    /// By deploy id.
    pub(crate) watches: BTreeMap<Box<str>, ClosedWatch>,
    pub(crate) oracle: Oracle,
    pub(crate) sights: Sights,
    pub(crate) n_lines: u64,
    pub(crate) n_late: u64,
    pub(crate) n_rejected: u64,
}

/// Whom something is put down to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Suspect {
    /// By its id, which is the only one of its name in a fleet.
    Deploy(Box<str>),
    /// None of the deploys.
    Nobody,
}

impl Suspect {
    pub(crate) fn of(deploy_id: Option<&str>) -> Self {
        deploy_id.map_or(Self::Nobody, |id| Self::Deploy(id.into()))
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Deploy(id) => id,
            Self::Nobody => "nobody",
        }
    }
}

/// A decision on a service, as far as it matters here.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) at: Timestamp,
    pub(crate) action: Action,
    pub(crate) until: Option<Timestamp>,
    pub(crate) code: Box<str>,
    /// The deploy that its reason names.
    pub(crate) deploy: Option<Box<str>>,
    /// The first one.
    pub(crate) suspect: Option<Suspect>,
    /// Its reason, for people.
    pub(crate) text: Box<str>,
}

pub(crate) fn run(arguments: &Arguments, seed: u64) -> Run {
    let simulation = Simulation::new(&arguments.family, seed, arguments.days);
    let knows = Rc::new(RefCell::new(Knows::default()));
    let mut replay = Replay::new(arguments.policy.as_deref());
    let (mut voices, mut watches) = (Voices::new(), BTreeMap::new());
    {
        let lines = Lines {
            stream: simulation.stream(),
            telling: arguments.told.then(|| Telling::of(&simulation)),
            knows: Rc::clone(&knows),
            line: String::new(),
            buffer: Vec::new(),
            at: 0,
        };
        let input = Input {
            name: "simulated".into(),
            reader: Box::new(lines),
        };
        let mut merge = Merge::new(vec![input]).expect("memory reads");
        while let Some(arrival) = merge.next().expect("memory reads") {
            replay.take(&arrival);
            hear(&mut replay, &mut voices, &mut watches);
        }
    }
    replay.finish();
    hear(&mut replay, &mut voices, &mut watches);
    let events = replay.summary().events;
    let Knows { oracle, sights } = Rc::into_inner(knows).expect("the reader is gone").into_inner();
    if arguments.plain {
        (voices, watches) = (plain::voices(&simulation, &sights), BTreeMap::new());
    }
    Run {
        simulation,
        voices,
        watches,
        oracle,
        sights,
        n_lines: events.consumed,
        n_late: events.late,
        n_rejected: events.rejected,
    }
}

fn hear(replay: &mut Replay, voices: &mut Voices, watches: &mut BTreeMap<Box<str>, ClosedWatch>) {
    for said in replay.take_said() {
        match said {
            Said::Decision(decision) => {
                if let Subject::Service { service, environment } = &decision.subject {
                    let key = (service.as_str().into(), environment.as_str().into());
                    voices.entry(key).or_default().push(heard(&decision));
                }
            }
            Said::Closed(watch) => {
                // Of a deploy that is watched several times the gravest.
                let known = watches.get(&watch.deploy_id);
                if known.is_none_or(|known| known.verdict <= watch.verdict) {
                    watches.insert(watch.deploy_id.clone(), *watch);
                }
            }
            Said::Forget(_) | Said::Message(_) | Said::Scored(_) => {}
        }
    }
}

fn heard(decision: &Decision) -> Heard {
    let reason = decision.reasons.first();
    let deploy = reason.and_then(|reason| match reason.evidence.get("deploy_id") {
        Some(Evidence::Text(id)) => Some(id.clone()),
        Some(Evidence::Count(_) | Evidence::Number(_)) | None => None,
    });
    Heard {
        at: decision.decided_at,
        action: decision.action,
        until: decision.valid_until,
        code: reason.map_or_else(|| "".into(), |reason| reason.code.clone()),
        deploy,
        suspect: decision
            .suspects
            .first()
            .map(|suspect| Suspect::of(suspect.deploy_id.as_deref())),
        text: reason.map_or_else(|| "".into(), text),
    }
}

/// The sentence, and the figures that speak for it.
fn text(reason: &Reason) -> Box<str> {
    format!("{} {:?}", reason.text, reason.evidence).into()
}

/// What is seen by those who know all.
#[derive(Default)]
struct Knows {
    oracle: Oracle,
    sights: Sights,
}

/// The stream as a file; those who know all look on.
struct Lines<'a> {
    stream: Stream<'a>,
    telling: Option<Telling<'a>>,
    knows: Rc<RefCell<Knows>>,
    line: String,
    buffer: Vec<u8>,
    at: usize,
}

impl BufRead for Lines<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at >= self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
            let mut knows = self.knows.borrow_mut();
            for _ in 0..LINES {
                let is_over = self.stream.next(&mut self.line).is_none();
                for glimpse in self.stream.glimpses() {
                    knows.oracle.see(glimpse);
                    knows.sights.see(glimpse);
                }
                if is_over {
                    break;
                }
                if let Some(telling) = &self.telling {
                    telling.rewrite(&mut self.line, &knows.sights);
                }
                self.buffer.extend_from_slice(self.line.as_bytes());
                self.buffer.push(b'\n');
            }
        }
        Ok(&self.buffer[self.at..])
    }

    fn consume(&mut self, n: usize) {
        self.at += n;
    }
}

impl Read for Lines<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let from = self.fill_buf()?;
        let n = from.len().min(into.len());
        into[..n].copy_from_slice(&from[..n]);
        self.consume(n);
        Ok(n)
    }
}
