//! What holds for every request and answer: bounds on the one, headers on the other.

use std::sync::Arc;

use axum::{
    body::{Body, Bytes, HttpBody as _, to_bytes},
    extract::{self, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_stream::StreamExt as _;

use super::{host::Hosts, problem::Problem, server::Limits, verdict};

/// Nothing but what this server sends runs, loads or frames a page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    // What stands now may not stand in a second.
    (header::CACHE_CONTROL, "no-store"),
];

/// An answer up to so long is given whatever waits to be taken: liveness is. So many for each connection are 64 MiB.
const LIGHT_BYTES_MAX: u64 = 16 * 1_024;

/// What requests are taken under.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) limits: Limits,
    pub(super) hosts: Hosts,
    /// KiB of answers that may yet wait to be taken.
    pub(super) room: Arc<Semaphore>,
}

/// An answer until it is written, and its place among all those.
struct Weighed {
    bytes: Bytes,
    /// Held, not read.
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Weighed {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Bounds a request's size, and the time until its answer begins. How long an answer may wait to be taken, a stream too,
/// is the socket's to bound.
pub(super) async fn guard(extract::State(terms): extract::State<Terms>, request: Request, next: Next) -> Response {
    let Terms { limits, hosts, room } = &terms;
    let answer = tokio::time::timeout(limits.request, async {
        match hosts.check(request.uri(), request.headers()) {
            // Always given, or those who ask for lists would keep a freeze from gates. The bound on a question's changes is
            // one on its length: some 100 KB.
            Ok(()) if request.uri().path() == verdict::PATH => pass(limits, request, next).await,
            Ok(()) => weigh(room, pass(limits, request, next).await).await,
            Err(problem) => problem.into_response(),
        }
    });
    let mut response = answer.await.unwrap_or_else(|_elapsed| {
        let detail = format!("the request was not finished in {:?}", limits.request);
        Problem::new(StatusCode::REQUEST_TIMEOUT, detail).into_response()
    });
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn pass(limits: &Limits, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match drain(limits, &parts.headers, body).await {
        Ok(()) => next.run(Request::from_parts(parts, Body::empty())).await,
        Err(problem) => problem.into_response(),
    }
}

/// Lets an answer go if there is room for it beside those that wait to be taken. Streams are counted by themselves.
async fn weigh(room: &Arc<Semaphore>, response: Response) -> Response {
    let size_bytes = response.body().size_hint().exact().unwrap_or(0);
    if size_bytes <= LIGHT_BYTES_MAX {
        return response;
    }
    let size_kib = u32::try_from(size_bytes.div_ceil(1_024)).unwrap_or(u32::MAX);
    let Ok(room) = room.clone().try_acquire_many_owned(size_kib) else {
        return Problem::unavailable("too many answers wait to be taken").into_response();
    };
    let (parts, body) = response.into_parts();
    match to_bytes(body, usize::MAX).await {
        Ok(bytes) => Response::from_parts(parts, Body::from(Bytes::from_owner(Weighed { bytes, _room: room }))),
        Err(broken) => Problem::unavailable(format!("the answer broke off: {broken}")).into_response(),
    }
}

/// Reads a body to its end and drops it: nothing here takes one, and a connection can only go on behind it.
async fn drain(limits: &Limits, headers: &HeaderMap, body: Body) -> Result<(), Problem> {
    let too_large = || {
        let detail = format!("the body is over {} bytes", limits.body_bytes);
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    };
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes) {
        return Err(too_large());
    }
    if body.is_end_stream() {
        return Ok(());
    }
    let mut size_bytes = 0;
    let mut chunks = body.into_data_stream();
    while let Some(chunk) = chunks.next().await {
        size_bytes += chunk
            .map_err(|broken| Problem::bad_request(format!("the body broke off: {broken}")))?
            .len();
        if size_bytes > limits.body_bytes {
            return Err(too_large());
        }
    }
    Ok(())
}
