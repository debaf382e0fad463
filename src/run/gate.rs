//! `holdpoint gate`: what a pipeline calls before it deploys.
//!
//! From the topic: the one partition of control that holds the service's decision, its changes' and its heartbeat, and
//! all of the overrides. Over HTTP: one request, or several where the changes are many. An answer that cannot be had
//! whole follows the fail mode.

use std::{
    io::Write as _,
    sync::{Arc, mpsc},
    time::Duration,
};

use anyhow::Context as _;

use super::viewer::take_in;
use crate::{
    clock::{Clock, Stopwatch},
    gate::{Answer, ExitStatus, Finding, Request, Verdict, View, assess, for_terminals, unreachable, without_words},
    stream::{
        Fault, Reader as _, TopicPartition,
        kafka::{Connection, Followed, KafkaReader, Tuning},
    },
    wire::{control, partition::partition_of},
};

/// Between two questions of a waiting gate.
const ASK_EVERY: Duration = Duration::from_secs(5);
/// Between two attempts at a broker that is not ready.
const RETRY_AFTER: Duration = Duration::from_millis(200);
/// The least time that one answer is given.
const ANSWER_MIN: Duration = Duration::from_millis(100);

/// What services and proxies answer to a question that is wrong or too long, or put to a path where none is answered, or
/// by a name that the instance does not answer by.
const REFUSALS: [u16; 5] = [400, 403, NOT_FOUND, 414, 431];
const NOT_FOUND: u16 = 404;

/// Whom to ask.
#[derive(Debug, Clone)]
pub enum Source {
    /// An instance's URL.
    Url(String),
    /// The control topic itself.
    Topic {
        connection: Connection,
        control: String,
        overrides: String,
    },
}

/// A gate's question and how long it may take.
#[derive(Debug, Clone)]
pub struct Gate {
    pub source: Source,
    pub request: Request,
    /// Ask again until proceed, for so long.
    pub wait: Option<Duration>,
    /// The bound on one answer.
    pub timeout: Duration,
    pub json: bool,
}

/// One answer, as it is printed.
struct Told {
    answer: Answer,
    json: Vec<u8>,
}

impl From<&Verdict> for Told {
    fn from(verdict: &Verdict) -> Self {
        Self {
            answer: verdict.into(),
            json: control::encode_verdict(verdict),
        }
    }
}

/// The service says that the question is wrong, or librdkafka that the settings are. No fail mode is an answer to that: a
/// gate that lets by what it could not ask about would lift a freeze with a typing error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// Asks, prints, and says with which status to end. Never an error: what cannot be asked is not known, and what is
/// asked wrongly is wrong usage.
#[must_use]
pub fn run(gate: &Gate) -> ExitStatus {
    let watch = Stopwatch::start();
    let mut said = Box::default();
    loop {
        let told = match ask(gate) {
            Ok(told) => told,
            Err(refused) => {
                complain(&refused.to_string());
                return ExitStatus::Usage;
            }
        };
        let answer = &told.answer;
        let left = gate.wait.unwrap_or_default().saturating_sub(watch.elapsed());
        let blocked = matches!(
            answer.exit_status,
            ExitStatus::ExtraReview | ExitStatus::Frozen | ExitStatus::FailingClosed
        );
        if !blocked || left.is_zero() {
            print(gate, &told);
            return answer.exit_status;
        }
        // Each new reason once: a pipeline's log is read by people.
        if answer.text != said {
            complain(&format!("{} – asking again for {} s", answer.text, left.as_secs()));
            said = told.answer.text;
        }
        std::thread::sleep(ASK_EVERY.min(left));
    }
}

fn print(gate: &Gate, Told { answer, json }: &Told) {
    let mut line = if gate.json {
        json.clone()
    } else {
        answer.text.as_bytes().to_vec()
    };
    line.push(b'\n');
    // A closed stdout changes no verdict.
    drop(std::io::stdout().write_all(&line));
    if !answer.known && answer.exit_status == ExitStatus::Proceed {
        let why = match answer.verdict {
            Finding::Unknown => "not known, and going on since the fail mode is open",
            Finding::Proceed | Finding::ExtraReview | Finding::Freeze => {
                "a change that was never seen decides nothing unless an enforced policy says `require_known_changes`"
            }
        };
        complain(&format!("{why}: {}", answer.text));
    }
}

fn complain(text: &str) {
    drop(writeln!(std::io::stderr(), "holdpoint gate: {text}"));
}

fn ask(gate: &Gate) -> Result<Told, Refused> {
    let asked = match &gate.source {
        Source::Url(url) => ask_url(url, gate),
        Source::Topic {
            connection,
            control,
            overrides,
        } => ask_topic(connection, control, overrides, gate),
    };
    asked.or_else(|error| {
        let error = match error.downcast::<Refused>() {
            Ok(refused) => return Err(refused),
            Err(error) => error,
        };
        let verdict = unreachable(&gate.request, &format!("{error:#}"), Clock::wall().now());
        Ok((&verdict).into())
    })
}

/// All parts of the question within the one bound, over the same connection where the other side keeps it. Of a part that
/// fails nothing is known; the others are asked all the same, for each tells what holds for the service. And it is asked
/// without changes, for a freeze that let a part by for its changes of low loss does not where some are not known.
fn ask_url(url: &str, gate: &Gate) -> anyhow::Result<Told> {
    let Gate { request, timeout, .. } = gate;
    let watch = Stopwatch::start();
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let shown = without_userinfo(url);
    let ask = |changes: &[Box<str>]| {
        let call = agent
            .get(format!("{}/v1/verdict", url.trim_end_matches('/')))
            .query_pairs(request.parameters())
            .query_pairs(changes.iter().map(|sha| ("change", sha)));
        ask_part(call, timeout.saturating_sub(watch.elapsed()), &shown)
    };
    let parts = request.parts();
    if let [only] = parts[..] {
        return told(vec![ask(only)?], &shown);
    }
    let (mut bodies, mut any_failed) = (Vec::new(), false);
    for changes in parts {
        bodies.push(match ask(changes) {
            Ok(body) => body,
            Err(error) if error.is::<Refused>() => return Err(error),
            Err(error) => {
                any_failed = true;
                let part = Request {
                    changes: changes.to_vec(),
                    ..request.clone()
                };
                let unknown = unreachable(&part, &format!("{error:#}"), Clock::wall().now());
                control::encode_verdict(&unknown)
            }
        });
    }
    if any_failed {
        bodies.extend(ask(&[]).ok());
    }
    told(bodies, &shown)
}

/// The answers to all parts as one.
fn told(bodies: Vec<Vec<u8>>, shown: &str) -> anyhow::Result<Told> {
    let (answer, json) = control::merge_verdicts(bodies).with_context(|| format!("the answer of {shown}"))?;
    Ok(Told { answer, json })
}

/// What the instance `shown` answers to one part within the time that is left.
fn ask_part(
    call: ureq::RequestBuilder<ureq::typestate::WithoutBody>,
    left: Duration,
    shown: &str,
) -> anyhow::Result<Vec<u8>> {
    anyhow::ensure!(!left.is_zero(), "no whole answer from {shown} in time");
    let call = call.config().timeout_global(Some(left)).build();
    let mut response = call.call().with_context(|| format!("asking {shown}"))?;
    let status = response.status();
    let body = response.body_mut().with_config().limit(1024 * 1024).read_to_vec();
    if REFUSALS.contains(&status.as_u16()) {
        let why = body.ok().and_then(|body| detail(&body));
        // A wrong address and an instance that is gone look the same, and a typing error must lift no freeze.
        let hint =
            (status.as_u16() == NOT_FOUND).then(|| "the address must be one that `/v1/verdict` follows".to_owned());
        let why = why.into_iter().chain(hint).collect::<Vec<_>>().join("; ");
        return Err(Refused(for_terminals(&format!("{shown} refuses the question: {status}: {why}"))).into());
    }
    let body = body.with_context(|| format!("reading the answer of {shown}"))?;
    anyhow::ensure!(status.is_success(), "{shown} answers {status}");
    control::decode_verdict(&body).with_context(|| format!("the answer of {shown}"))?;
    Ok(body)
}

/// The address for people and logs: without a name and password, even where it is mistyped.
fn without_userinfo(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
        (Some(_) | None, _) => url.to_owned(),
    }
}

/// What a problem's JSON says for people.
fn detail(problem: &[u8]) -> Option<String> {
    let problem: serde_json::Value = serde_json::from_slice(problem).ok()?;
    Some(problem.get("detail")?.as_str()?.to_owned())
}

fn ask_topic(connection: &Connection, control: &str, overrides: &str, gate: &Gate) -> anyhow::Result<Told> {
    let (tell, told) = mpsc::channel();
    let reading = Reading {
        connection: connection.clone(),
        control: Arc::from(control),
        overrides: Arc::from(overrides),
        request: gate.request.clone(),
        within: gate.timeout,
        tell,
    };
    // On a thread of its own: a broker that never answers must not hold up a pipeline beyond its bound.
    std::thread::Builder::new()
        .name("gate".to_owned())
        .spawn(move || reading.read())
        .context("starting a thread")?;
    let watch = Stopwatch::start();
    let bound = gate.timeout.max(ANSWER_MIN);
    let mut best = Err(anyhow::anyhow!(
        "no answer from {} within {} s",
        connection.brokers,
        gate.timeout.as_secs()
    ));
    while let Ok(answer) = told.recv_timeout(bound.saturating_sub(watch.elapsed())) {
        // What control holds stays held, whatever went wrong after it was read.
        if answer.is_ok() || best.is_err() {
            best = answer;
        }
    }
    best
}

/// Whether the same may be had a moment later.
fn passes(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(Fault::Retry(_)))
}

struct Reading {
    connection: Connection,
    control: Arc<str>,
    overrides: Arc<str>,
    request: Request,
    within: Duration,
    /// Takes each answer that is better than the one before, until there is none or nobody waits for it.
    tell: mpsc::Sender<anyhow::Result<Told>>,
}

impl Reading {
    /// Reads until there is an answer; a broker that is not ready is asked again while there is time.
    fn read(&self) {
        let watch = Stopwatch::start();
        let mut why = format!("`{}` was not read within {} s", self.overrides, self.within.as_secs());
        loop {
            let answer = self.attempt(&mut why);
            let is_last = !answer.as_ref().is_err_and(passes) || watch.elapsed() + RETRY_AFTER >= self.within;
            let is_heard = self.tell.send(answer).is_ok();
            if is_last || !is_heard {
                return;
            }
            std::thread::sleep(RETRY_AFTER);
        }
    }

    /// Reads all once; `why` is what is known of why overrides are not. Control alone is told as soon as it is read.
    fn attempt(&self, why: &mut String) -> anyhow::Result<Told> {
        let id = format!("holdpoint-gate-{}", std::process::id());
        let reader = KafkaReader::new(&self.connection, &id, &id, &Tuning::default());
        // No broker is asked for it: what fails and does not pass is what the settings say.
        let mut reader = reader.map_err(|fault| match fault {
            Fault::Fatal(why) => Refused(format!("the settings of Kafka are wrong: {why}")).into(),
            passing @ (Fault::Retry(_) | Fault::Aborted(_) | Fault::Fenced(_)) => anyhow::Error::from(passing),
        })?;
        let n_partitions = reader
            .partition_count(&self.control)?
            .with_context(|| format!("there is no topic `{}` at {}", self.control, self.connection.brokers))?;
        let clock = Clock::wall();
        let view = View::new();
        let partition = partition_of(self.request.service.as_str(), n_partitions);
        self.follow(
            &mut reader,
            &TopicPartition {
                topic: Arc::clone(&self.control),
                partition,
            },
            &view,
            clock,
        )?;
        let of_control = |why: &str| Told::from(&without_words(&view, &self.request, why, clock.now()));
        // Who asks may have gone.
        drop(self.tell.send(Ok(of_control(why))));
        let Err(error) = self.follow_overrides(&mut reader, &view, clock) else {
            return Ok((&assess(&view, &self.request, clock.now())).into());
        };
        *why = format!("{error:#}");
        if passes(&error) {
            drop(self.tell.send(Ok(of_control(why))));
            return Err(error);
        }
        Ok(of_control(why))
    }

    fn follow_overrides(&self, reader: &mut KafkaReader, view: &View, clock: Clock) -> anyhow::Result<()> {
        let n_partitions = reader
            .partition_count(&self.overrides)
            .with_context(|| format!("asking for {}", self.overrides))?
            .with_context(|| format!("there is no topic `{}` at {}", self.overrides, self.connection.brokers))?;
        for index in 0..n_partitions {
            let partition = TopicPartition {
                topic: Arc::clone(&self.overrides),
                partition: crate::model::PartitionIndex(i32::try_from(index)?),
            };
            self.follow(reader, &partition, view, clock)?;
        }
        Ok(())
    }

    fn follow(
        &self,
        reader: &mut KafkaReader,
        partition: &TopicPartition,
        view: &View,
        clock: Clock,
    ) -> anyhow::Result<()> {
        reader
            .read(partition, None, &mut |record| {
                let followed = Followed {
                    topic: &partition.topic,
                    partition: partition.partition,
                    record,
                };
                take_in(view, &followed, &self.overrides, clock.now(), |_applied| {});
            })
            .with_context(|| format!("reading {partition}"))?;
        Ok(())
    }
}
