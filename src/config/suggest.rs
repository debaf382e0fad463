//! What somebody may have meant.

use super::{KEYS, SECTIONS};
use crate::model::nearest;

/// The key that `written` resembles: by few slips of the fingers, or by its last part in another table.
pub(super) fn key(written: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().map(str::to_owned);
    let known = || SECTIONS.into_iter().chain(KEYS);
    let misplaced = || KEYS.into_iter().find(|key| last(key) == last(written));
    nearest(written, known()).or_else(misplaced)
}
