//! JSON answers. Decisions go out byte for byte as their writer wrote them.

use std::{fmt::Display, sync::Arc};

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::gate::{Page, StandingDecision};

/// An answer whose body is JSON already.
pub(super) fn respond(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("keys are texts, and writing to memory cannot fail")
}

/// `[{…},{…}]`.
pub(super) fn array(decisions: &[Arc<StandingDecision>]) -> Vec<u8> {
    let mut json = b"[".to_vec();
    for (place, decision) in decisions.iter().enumerate() {
        if place > 0 {
            json.push(b',');
        }
        json.extend_from_slice(decision.json.text().as_bytes());
    }
    json.push(b']');
    json
}

/// `{"items":[…],"next":"…"|null}`.
pub(super) fn list<Cursor: Display>(page: &Page<Cursor>) -> Response {
    let mut json = b"{\"items\":".to_vec();
    json.extend(array(&page.items));
    json.extend_from_slice(b",\"next\":");
    json.extend(to_json(&page.next.as_ref().map(|cursor| conceal(&cursor.to_string()))));
    json.push(b'}');
    respond(StatusCode::OK, json)
}

/// A cursor as clients see it: hexadecimal digits, which need no escaping in a URL whatever names the cursor holds.
fn conceal(cursor: &str) -> String {
    cursor
        .bytes()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

/// Reads what [`conceal`] wrote; `None` for anything else.
pub(super) fn reveal(hidden: &str) -> Option<String> {
    let (pairs, []) = hidden.as_bytes().as_chunks::<2>() else {
        return None;
    };
    let digit = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_and_nothing_else_does() {
        for cursor in ["", "freeze.3ff0.8.checkoutproduction", "δοκιμή & co"] {
            assert_eq!(reveal(&conceal(cursor)).as_deref(), Some(cursor));
        }
        for other in ["f", "zz", "ff", "+f", "é"] {
            assert_eq!(reveal(other), None, "{other}");
        }
    }
}
