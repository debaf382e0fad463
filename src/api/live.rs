//! Decisions as they are made, as server-sent events.
//!
//! Each is sent once to who is there. One who was away, or too slow, asks `GET /v1/decisions` for what it missed: of a
//! gap it is told with a `lagged` event.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderName, HeaderValue},
    response::{
        IntoResponse as _, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use tokio::sync::{
    OwnedSemaphorePermit,
    broadcast::{self, error::RecvError},
    mpsc, watch,
};
use tokio_stream::wrappers::ReceiverStream;

use super::{Edge, STREAMS_MAX, problem::Problem, server::told_to_stop};
use crate::gate::StandingDecision;

/// So often a comment says that the connection lives; proxies cut off what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// When a client that lost its connection is to come back.
const RETRY: Duration = Duration::from_secs(3);
/// Events on their way to one client; behind them the broadcast waits, and overflows.
const IN_FLIGHT_MAX: usize = 16;

type Decisions = broadcast::Receiver<Arc<StandingDecision>>;

pub(super) fn follow(edge: &Edge) -> Result<Response, Problem> {
    let Ok(permit) = edge.streams.clone().try_acquire_owned() else {
        return Err(Problem::unavailable(format!(
            "{STREAMS_MAX} clients follow decisions here already"
        )));
    };
    let (sender, receiver) = mpsc::channel(IN_FLIGHT_MAX);
    tokio::spawn(forward(
        edge.state.decisions.subscribe(),
        edge.stopping.clone(),
        sender,
        permit,
    ));
    let events = Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    let mut response = events.into_response();
    // Or nginx keeps events back until its buffer is full.
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

/// Hands on what comes until the client leaves or the server stops. `permit` is the client's place.
async fn forward(
    mut decisions: Decisions,
    mut stopping: watch::Receiver<bool>,
    sender: mpsc::Sender<Result<Event, Infallible>>,
    permit: OwnedSemaphorePermit,
) {
    let mut event = Event::default().retry(RETRY).comment("decisions follow");
    loop {
        let sent = tokio::select! {
            sent = sender.send(Ok(event)) => sent.is_ok(),
            () = told_to_stop(&mut stopping) => false,
        };
        if !sent {
            break;
        }
        let received = tokio::select! {
            received = decisions.recv() => received,
            () = sender.closed() => break,
            () = told_to_stop(&mut stopping) => break,
        };
        event = match received {
            Ok(decision) => of_decision(&decision),
            Err(RecvError::Lagged(n_missed)) => Event::default()
                .event("lagged")
                .data(format!("{{\"missed\":{n_missed}}}")),
            Err(RecvError::Closed) => break,
        };
    }
    drop(permit);
}

fn of_decision(decision: &StandingDecision) -> Event {
    let event = Event::default().event("decision").data(decision.json.text());
    let id = decision.id().to_string();
    // An id fits on a line, or is left out: a commit's name comes from outside.
    if id.contains(char::is_control) {
        event
    } else {
        event.id(id)
    }
}
