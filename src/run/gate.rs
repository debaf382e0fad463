//! `holdpoint gate`: what a pipeline calls before it deploys.
//!
//! From the topic: the one partition of control that holds the service's decision, its changes' and its heartbeat, and
//! all of the overrides. Over HTTP: one request. An answer that cannot be had follows the fail mode.

use std::{io::Write as _, sync::Arc, time::Duration};

use anyhow::Context as _;

use super::viewer::take_in;
use crate::{
    clock::{Clock, Stopwatch},
    gate::{ExitStatus, Finding, Request, View, assess, for_terminals, unreachable},
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

/// What services and proxies answer to a question that is wrong or too long.
const REFUSALS: [u16; 3] = [400, 414, 431];

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
struct Answer {
    finding: Finding,
    exit_status: ExitStatus,
    known: bool,
    text: String,
    json: Vec<u8>,
}

/// The service says that the question is wrong. No fail mode is an answer to that: a gate that lets by what it could not
/// ask about would lift a freeze with a typing error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Refused(String);

/// Asks, prints, and says with which status to end. Never an error: what cannot be asked is not known, and what is
/// asked wrongly is wrong usage.
#[must_use]
pub fn run(gate: &Gate) -> ExitStatus {
    let watch = Stopwatch::start();
    let mut told = String::new();
    loop {
        let answer = match ask(gate) {
            Ok(answer) => answer,
            Err(refused) => {
                complain(&refused.to_string());
                return ExitStatus::Usage;
            }
        };
        let left = gate.wait.unwrap_or_default().saturating_sub(watch.elapsed());
        let blocked = matches!(
            answer.exit_status,
            ExitStatus::ExtraReview | ExitStatus::Frozen | ExitStatus::FailingClosed
        );
        if !blocked || left.is_zero() {
            print(gate, &answer);
            return answer.exit_status;
        }
        // Each new reason once: a pipeline's log is read by people.
        if answer.text != told {
            complain(&format!("{} – asking again for {} s", answer.text, left.as_secs()));
            told = answer.text;
        }
        std::thread::sleep(ASK_EVERY.min(left));
    }
}

fn print(gate: &Gate, answer: &Answer) {
    let mut line = if gate.json {
        answer.json.clone()
    } else {
        answer.text.clone().into_bytes()
    };
    line.push(b'\n');
    // A closed stdout changes no verdict.
    drop(std::io::stdout().write_all(&line));
    if !answer.known && answer.exit_status == ExitStatus::Proceed {
        let why = match answer.finding {
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

fn ask(gate: &Gate) -> Result<Answer, Refused> {
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
        Ok(Answer {
            finding: verdict.verdict,
            exit_status: verdict.exit_status,
            known: false,
            json: control::encode_verdict(&verdict),
            text: verdict.text,
        })
    })
}

fn ask_url(url: &str, gate: &Gate) -> anyhow::Result<Answer> {
    let request = &gate.request;
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(gate.timeout))
        .http_status_as_error(false)
        .build()
        .into();
    let shown = without_userinfo(url);
    let mut call = agent
        .get(format!("{}/v1/verdict", url.trim_end_matches('/')))
        .query("service", request.service.as_str())
        .query("environment", request.environment.as_str())
        .query("kind", kind_name(request.kind))
        .query("fail_mode", request.fail_mode.name());
    for sha in &request.changes {
        call = call.query("change", sha);
    }
    if let Some(incident) = &request.incident {
        call = call.query("incident", incident);
    }
    let mut response = call.call().with_context(|| format!("asking {shown}"))?;
    let status = response.status();
    let body = response.body_mut().with_config().limit(1024 * 1024).read_to_vec();
    if REFUSALS.contains(&status.as_u16()) {
        let why = body.ok().and_then(|body| detail(&body)).unwrap_or_default();
        return Err(Refused(for_terminals(&format!("{shown} refuses the question: {status}: {why}"))).into());
    }
    let body = body.with_context(|| format!("reading the answer of {shown}"))?;
    anyhow::ensure!(status.is_success(), "{shown} answers {status}");
    let answer = control::decode_verdict(&body).with_context(|| format!("the answer of {shown}"))?;
    Ok(Answer {
        finding: answer.verdict,
        exit_status: answer.exit_status,
        known: answer.known,
        text: answer.text.to_string(),
        json: body,
    })
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

fn kind_name(kind: crate::model::ChangeKind) -> &'static str {
    use crate::model::ChangeKind;
    match kind {
        ChangeKind::Release | ChangeKind::Config | ChangeKind::Flag => "release",
        ChangeKind::Rollback => "rollback",
        ChangeKind::Hotfix => "hotfix",
        ChangeKind::Security => "security",
    }
}

fn ask_topic(connection: &Connection, control: &str, overrides: &str, gate: &Gate) -> anyhow::Result<Answer> {
    let (send, receive) = std::sync::mpsc::channel();
    let reading = Reading {
        connection: connection.clone(),
        control: Arc::from(control),
        overrides: Arc::from(overrides),
        request: gate.request.clone(),
        within: gate.timeout,
    };
    // On a thread of its own: a broker that never answers must not hold up a pipeline beyond its bound.
    std::thread::Builder::new()
        .name("gate".to_owned())
        .spawn(move || drop(send.send(reading.read())))
        .context("starting a thread")?;
    receive.recv_timeout(gate.timeout.max(ANSWER_MIN)).map_err(|_late| {
        anyhow::anyhow!(
            "no answer from {} within {} s",
            connection.brokers,
            gate.timeout.as_secs()
        )
    })?
}

struct Reading {
    connection: Connection,
    control: Arc<str>,
    overrides: Arc<str>,
    request: Request,
    within: Duration,
}

impl Reading {
    /// Reads until there is an answer; a broker that is not ready is asked again while there is time.
    fn read(&self) -> anyhow::Result<Answer> {
        let watch = Stopwatch::start();
        loop {
            match self.attempt() {
                Err(error)
                    if matches!(error.downcast_ref(), Some(Fault::Retry(_)))
                        && watch.elapsed() + RETRY_AFTER < self.within =>
                {
                    std::thread::sleep(RETRY_AFTER);
                }
                answer => return answer,
            }
        }
    }

    fn attempt(&self) -> anyhow::Result<Answer> {
        let id = format!("holdpoint-gate-{}", std::process::id());
        let mut reader = KafkaReader::new(&self.connection, &id, &id, &Tuning::default())?;
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
        for index in 0..reader.partition_count(&self.overrides)?.unwrap_or(0) {
            let partition = crate::model::PartitionIndex(i32::try_from(index)?);
            self.follow(
                &mut reader,
                &TopicPartition {
                    topic: Arc::clone(&self.overrides),
                    partition,
                },
                &view,
                clock,
            )?;
        }
        let verdict = assess(&view, &self.request, clock.now());
        Ok(Answer {
            finding: verdict.verdict,
            exit_status: verdict.exit_status,
            known: verdict.known,
            json: control::encode_verdict(&verdict),
            text: verdict.text,
        })
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
