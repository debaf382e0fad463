//! From bytes to the fields that were given: which format a record has, and that its text is sound.
//!
//! One file per format; each fills the [`native::Raw`] that validation reads. A format to come is told apart here,
//! by what its records must have.

pub(super) mod field;
mod json;
pub(super) mod native;

use super::{MAX_RECORD_BYTES, Reject};
use crate::model::Kind;
use native::Raw;

/// The deepest nesting taken, the record's own braces counted: producers' tools stop near it, parsers' stacks later.
const MAX_DEPTH: usize = 64;

/// What the record says, whatever its format. `default` is the kind of a record that does not say its own.
///
/// Errs on whatever cannot be read as text, as JSON or as a kind of event. Fields of the wrong type are no error yet.
pub(super) fn decode(value: Option<&[u8]>, default: Option<Kind>) -> Result<Raw<'_>, Reject> {
    let text = text(value)?;
    native::read(text, default)
}

/// The value as text within its bound.
fn text(value: Option<&[u8]>) -> Result<&str, Reject> {
    let bytes = value.ok_or(Reject::NullValue)?;
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(Reject::TooLarge {
            size_bytes: bytes.len(),
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Reject::NotUtf8 {
        at: error.valid_up_to(),
    })?;
    if text.trim_ascii_start().is_empty() {
        return Err(Reject::Empty);
    }
    Ok(text)
}

/// Errs if some value lies deeper than [`MAX_DEPTH`], in fields nobody reads too: `serde_json` skips those without
/// counting.
fn check_depth(text: &str) -> Result<(), Reject> {
    if depth(text.as_bytes()) > MAX_DEPTH {
        return Err(Reject::TooDeep { max: MAX_DEPTH });
    }
    Ok(())
}

/// The greatest number of open brackets and braces outside strings; of text that is no JSON, some number.
fn depth(bytes: &[u8]) -> usize {
    let (mut open, mut deepest) = (0_usize, 0_usize);
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'{' | b'[' => {
                open += 1;
                deepest = deepest.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
    }
    deepest
}

/// Goes on to after the string's closing quote.
fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => {
                bytes.next();
            }
            _ => {}
        }
    }
}
