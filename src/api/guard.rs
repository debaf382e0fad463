//! What holds for every request and answer: bounds on the one, headers on the other.

use axum::{
    body::{Body, HttpBody as _},
    extract::{self, Request},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio_stream::StreamExt as _;

use super::{host::Hosts, problem::Problem, server::Limits};

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

/// What requests are taken under.
#[derive(Debug, Clone)]
pub(super) struct Terms {
    pub(super) limits: Limits,
    pub(super) hosts: Hosts,
}

/// Bounds a request's size, and the time until its answer begins. How long an answer may wait to be taken, a stream too,
/// is the socket's to bound.
pub(super) async fn guard(extract::State(terms): extract::State<Terms>, request: Request, next: Next) -> Response {
    let Terms { limits, hosts } = &terms;
    let answer = tokio::time::timeout(limits.request, async {
        match hosts.check(request.uri(), request.headers()) {
            Ok(()) => pass(limits, request, next).await,
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
