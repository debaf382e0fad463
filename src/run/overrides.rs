//! `holdpoint override`: a person's word, as an audited event with an end.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use anyhow::Context as _;

use super::connection;
use crate::{
    clock::{Clock, Stopwatch},
    config::Settings,
    ingest::{self, Origin},
    model::{Effect, EnvironmentId, Kind, ServiceId, Timestamp},
    stream::{
        Fault, Header, Reader as _, Write,
        kafka::{KafkaReader, Publisher, Tuning},
    },
    wire::partition::partition_of,
};

const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Of which for the number of partitions: what is left is enough for one record.
const ASK_WITHIN: Duration = Duration::from_secs(20);
/// Between two attempts at a broker that is not ready.
const RETRY_AFTER: Duration = Duration::from_millis(200);

/// What is said, of what, for how long, why and by whom.
#[derive(Debug, Clone)]
pub struct Override {
    pub service: ServiceId,
    /// `None`: in every environment.
    pub environment: Option<EnvironmentId>,
    pub effect: Effect,
    /// Zero takes back what was said before.
    pub length: Duration,
    pub reason: String,
    pub by: String,
}

/// Publishes it, and returns when the broker has it: a line for the person. What is no override is a
/// [`Reject`](ingest::Reject), before a broker is asked.
pub fn run(settings: &Settings, said: &Override) -> anyhow::Result<String> {
    let connection = connection(settings);
    let topic = &settings.topics.overrides;
    let client_id = format!("holdpoint-override-{}", std::process::id());
    let now = Clock::wall().now();
    let value = event(said, now, now + said.length)?;
    let origin = Origin {
        topic,
        kind: Some(Kind::Override),
    };
    // What ingest and gates would refuse is refused here, with their words.
    ingest::decode(Some(&value), &origin, now)?;
    let watch = Stopwatch::start();
    let mut reader = KafkaReader::new(&connection, &client_id, &client_id, &Tuning::default())?;
    let n_partitions = ask_within(ASK_WITHIN, &watch, || reader.partition_count(topic))
        .with_context(|| format!("no answer from {}", settings.brokers))?
        .with_context(|| {
            format!(
                "there is no topic `{topic}` at {}: create it with `holdpoint topics ensure`",
                settings.brokers
            )
        })?;
    // It counts from when it is sent: brokers may have had to be waited for.
    let now = Clock::wall().now();
    let until = now + said.length;
    let value = event(said, now, until)?;
    let write = Write {
        topic: Arc::from(topic.as_str()),
        partition: partition_of(said.service.as_str(), n_partitions),
        timestamp: now,
        key: Some(said.service.as_str().as_bytes().to_vec()),
        value: Some(value),
        headers: vec![Header {
            name: "content-type".into(),
            value: Some(b"application/json".to_vec()),
        }],
    };
    let publisher = Publisher::new(&connection, &client_id, &Tuning::default())?;
    let offset = publisher
        .send(&write, SEND_WITHIN.saturating_sub(watch.elapsed()))
        .with_context(|| format!("sending to {topic} at {}", settings.brokers))?;
    let mut line = String::new();
    let place = said
        .environment
        .as_ref()
        .map_or("every environment".to_owned(), ToString::to_string);
    let what = match said.effect {
        Effect::Freeze => "frozen",
        Effect::Proceed => "may proceed",
    };
    if said.length.is_zero() {
        write!(line, "{} in {place}: earlier overrides are taken back", said.service)?;
    } else {
        write!(line, "{} in {place}: {what} until {until}", said.service)?;
    }
    write!(line, " ({topic}-{} at {offset})", write.partition)?;
    Ok(line)
}

/// Asks again while brokers are not ready and there is time.
fn ask_within<T>(within: Duration, watch: &Stopwatch, mut ask: impl FnMut() -> Result<T, Fault>) -> Result<T, Fault> {
    loop {
        match ask() {
            Err(Fault::Retry(_)) if watch.elapsed() + RETRY_AFTER < within => std::thread::sleep(RETRY_AFTER),
            answer => return answer,
        }
    }
}

fn event(said: &Override, now: Timestamp, until: Timestamp) -> anyhow::Result<Vec<u8>> {
    let effect = match said.effect {
        Effect::Freeze => "freeze",
        Effect::Proceed => "proceed",
    };
    let mut event = serde_json::json!({
        "kind": "override",
        "id": format!("{}-{}", now.millis(), std::process::id()),
        "time": now.to_string(),
        "service": said.service,
        "effect": effect,
        "until": until.to_string(),
        "reason": said.reason,
        "by": said.by,
    });
    if let (Some(environment), Some(event)) = (&said.environment, event.as_object_mut()) {
        event.insert("environment".to_owned(), serde_json::to_value(environment)?);
    }
    Ok(serde_json::to_vec(&event)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_that_is_not_ready_is_asked_again_while_there_is_time() {
        for (within, fault, n_asked) in [
            (ASK_WITHIN, Fault::Retry("not yet".to_owned()), 2),
            (ASK_WITHIN, Fault::Fatal("never".to_owned()), 1),
            (Duration::ZERO, Fault::Retry("not yet".to_owned()), 1),
        ] {
            let mut n = 0;
            let answer = ask_within(within, &Stopwatch::start(), || {
                n += 1;
                if n == 1 { Err(fault.clone()) } else { Ok(n) }
            });
            assert_eq!((n, answer.is_ok()), (n_asked, n_asked == 2), "{fault}");
        }
    }
}
