//! What went wrong, as `application/problem+json` (RFC 9457).

use axum::{
    http::{Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

/// When to ask again after 503, in seconds: about what a restore or a rebuilt worker takes.
const RETRY_AFTER_SECONDS: &str = "5";

/// A request that is not answered as it was meant.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// For the one who asked: what is wrong, and where it helps, what would be right.
    detail: String,
}

#[derive(Serialize)]
struct Json<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    detail: &'a str,
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }

    pub(super) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(super) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Self { status, detail } = self;
        let title = status.canonical_reason().unwrap_or("Error");
        let json = Json {
            r#type: "about:blank",
            title,
            status: status.as_u16(),
            detail: &detail,
        };
        let body = serde_json::to_vec(&json).expect("keys are texts, and writing to memory cannot fail");
        let mut response = (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        let headers = response.headers_mut();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(
                header::RETRY_AFTER,
                header::HeaderValue::from_static(RETRY_AFTER_SECONDS),
            );
        }
        // What is left of a request that was refused half read is not a request.
        if matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::PAYLOAD_TOO_LARGE) {
            headers.insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        }
        response
    }
}

pub(super) async fn not_found(uri: Uri) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, format!("there is no `{}` here", uri.path()))
}

pub(super) async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("`{method}` is not possible here: everything is read with GET"),
    )
}
