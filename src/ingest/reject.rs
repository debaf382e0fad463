//! Why a record is refused, and what of it is kept.

use std::fmt;

use crate::model::{InvalidName, Timestamp};

use super::MAX_RECORD_BYTES;

/// What a broker takes by default in one batch of records (`max.message.bytes`): key, value, headers and frame.
const MAX_BATCH_BYTES: usize = 1_048_588;
/// More than the frame of a batch of one record (61 bytes, and lengths) and the header that tells of a cut.
const FRAME_BYTES: usize = 192;

/// Characters of the input that a text may repeat.
const MAX_EXCERPT_CHARS: usize = 64;

/// Why a record is no event.
///
/// The text says which field is at fault and what it should have been. It is at most 1 KiB and repeats at most 64
/// characters of the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    #[error("the record has no value")]
    NullValue,
    #[error("the record's value is empty")]
    Empty,
    #[error("the record's value is {size_bytes} bytes, at most {MAX_RECORD_BYTES}")]
    TooLarge { size_bytes: usize },
    #[error("the record is not UTF-8 from byte {at}")]
    NotUtf8 { at: usize },
    #[error("the record is not JSON: {problem}")]
    NotJson { problem: Box<str> },
    #[error("the record is nested deeper than {max}")]
    TooDeep { max: usize },
    #[error("`{key}` is given twice")]
    DuplicateKey { key: Excerpt },
    #[error("something follows the record's closing brace")]
    TrailingData,
    #[error("the record must be an object, not {found}")]
    NotAnObject { found: &'static str },
    #[error("`{field}` must be {expected}, not {found}")]
    WrongType {
        field: &'static str,
        expected: &'static str,
        found: &'static str,
    },
    #[error("`{field}` is missing")]
    MissingField { field: &'static str },
    #[error("`{field}` must be {expected}")]
    OutOfRange {
        field: &'static str,
        expected: &'static str,
    },
    /// JSON sets numbers no bound; ours is that of a double.
    #[error("the number at line {line}, column {column} is too large")]
    HugeNumber { line: usize, column: usize },
    #[error("`{field}` {problem}")]
    InvalidName { field: &'static str, problem: InvalidName },
    #[error("`{field}` must be an RFC 3339 date and time such as 2026-03-10T14:02:07Z, not `{found}`")]
    InvalidTime { field: &'static str, found: Excerpt },
    #[error("`time` is {time}, before 1990")]
    TooOld { time: Timestamp },
    #[error("`time` is {time}, more than 5 minutes after {now}")]
    InTheFuture { time: Timestamp, now: Timestamp },
    /// Of recorded events, which have no clock beside them.
    #[error("`time` is {time}, {held}")]
    Unconfirmed { time: Timestamp, held: HeldAgainst },
    #[error("the record does not say its `kind`, and its topic has none configured")]
    NoKind,
    #[error("`kind` must be one of {}, not `{found}`", expected.join(", "))]
    UnknownKind {
        expected: &'static [&'static str],
        found: Excerpt,
    },
    #[error("an override counts on the topic of overrides alone, and this is another")]
    StrayOverride,
    #[error("`{field}` must be one of {}, not `{found}`", expected.join(", "))]
    InvalidValue {
        field: &'static str,
        expected: &'static [&'static str],
        found: Excerpt,
    },
}

impl Reject {
    /// Every value of [`Reject::reason`].
    pub const REASONS: [&'static str; 16] = [
        "null_value",
        "empty",
        "too_large",
        "not_utf8",
        "not_json",
        "too_deep",
        "duplicate_key",
        "trailing_data",
        "wrong_type",
        "missing_field",
        "out_of_range",
        "invalid_name",
        "invalid_time",
        "in_the_future",
        "unknown_kind",
        "invalid_value",
    ];

    /// The reason as metrics and the header `hp_reason` name it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NullValue => "null_value",
            Self::Empty => "empty",
            Self::TooLarge { .. } => "too_large",
            Self::NotUtf8 { .. } => "not_utf8",
            Self::NotJson { .. } => "not_json",
            Self::TooDeep { .. } => "too_deep",
            Self::DuplicateKey { .. } => "duplicate_key",
            Self::TrailingData => "trailing_data",
            Self::NotAnObject { .. } | Self::WrongType { .. } => "wrong_type",
            Self::MissingField { .. } => "missing_field",
            Self::OutOfRange { .. } | Self::HugeNumber { .. } => "out_of_range",
            Self::InvalidName { .. } => "invalid_name",
            Self::InvalidTime { .. } | Self::TooOld { .. } => "invalid_time",
            Self::InTheFuture { .. } | Self::Unconfirmed { .. } => "in_the_future",
            Self::NoKind | Self::UnknownKind { .. } | Self::StrayOverride => "unknown_kind",
            Self::InvalidValue { .. } => "invalid_value",
        }
    }
}

/// What a recorded line's time is more than 5 minutes ahead of, with no line to confirm it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldAgainst {
    /// The latest of the lines before it.
    LinesBefore(Timestamp),
    /// Of a first line, the one behind it.
    NextLine(Timestamp),
    /// Of a last line, how far all files have come.
    Files(Timestamp),
    /// A first line, behind which nothing can be read.
    Nothing,
}

impl fmt::Display for HeldAgainst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LinesBefore(latest) => write!(
                f,
                "more than 5 minutes after {latest}, the latest before it in its file, and the line behind it does not confirm it"
            ),
            Self::NextLine(next) => write!(
                f,
                "more than 5 minutes after the line behind it, {next}, from which its file goes on"
            ),
            Self::Files(now) => write!(
                f,
                "more than 5 minutes after {now}, the latest of all files so far, and no line follows to confirm it"
            ),
            Self::Nothing => f.write_str("and no line behind it that can be read confirms it"),
        }
    }
}

/// The beginning of a text from outside, fit for one line of a log: control characters are shown escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt(Box<str>);

impl Excerpt {
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(text.chars().take(MAX_EXCERPT_CHARS).collect())
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_debug().fmt(f)
    }
}

/// What is kept of a refused value, and its full size in bytes if that is not all of it.
///
/// It is cut to [`MAX_RECORD_BYTES`], or to what a broker takes by default of a record whose key and headers take
/// `beside` bytes, the lengths of headers included. The caller bounds those. A null stays null.
#[must_use]
pub fn rejected_value(value: Option<&[u8]>, beside: usize) -> (Option<&[u8]>, Option<usize>) {
    let room = MAX_RECORD_BYTES.min(MAX_BATCH_BYTES.saturating_sub(FRAME_BYTES + beside));
    match value {
        Some(bytes) if bytes.len() > room => (Some(&bytes[..room]), Some(bytes.len())),
        kept => (kept, None),
    }
}
