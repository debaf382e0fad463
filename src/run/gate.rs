//! `holdpoint gate`: what a pipeline calls before it deploys.
//!
//! It asks an instance over HTTP, or reads the topics itself. An answer that cannot be had whole follows the fail mode.

mod http;
mod topic;

use std::{io::Write as _, time::Duration};

use crate::{
    clock::{Clock, Stopwatch},
    gate::{Answer, ExitStatus, Finding, Request, Verdict, unreachable},
    stream::kafka::Connection,
    wire::control,
};

/// Between two questions of a waiting gate.
const ASK_EVERY: Duration = Duration::from_secs(5);

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
struct Reply {
    answer: Answer,
    json: Vec<u8>,
}

impl From<&Verdict> for Reply {
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
        let reply = match ask(gate) {
            Ok(reply) => reply,
            Err(refused) => {
                complain(&refused.to_string());
                return ExitStatus::Usage;
            }
        };
        let answer = &reply.answer;
        let left = gate.wait.unwrap_or_default().saturating_sub(watch.elapsed());
        let blocked = matches!(
            answer.exit_status,
            ExitStatus::ExtraReview | ExitStatus::Frozen | ExitStatus::FailingClosed
        );
        if !blocked || left.is_zero() {
            print(gate, &reply);
            return answer.exit_status;
        }
        // Each new reason once: a pipeline's log is read by people.
        if answer.text != said {
            complain(&format!("{} – asking again for {} s", answer.text, left.as_secs()));
            said = reply.answer.text;
        }
        std::thread::sleep(ASK_EVERY.min(left));
    }
}

fn print(gate: &Gate, Reply { answer, json }: &Reply) {
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

fn ask(gate: &Gate) -> Result<Reply, Refused> {
    let asked = match &gate.source {
        Source::Url(url) => http::ask(url, gate),
        Source::Topic {
            connection,
            control,
            overrides,
        } => topic::ask(connection, control, overrides, gate),
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
