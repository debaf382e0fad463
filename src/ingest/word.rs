//! Words of a closed set, such as `started` or `senior`, as the model's own names for them.

use std::fmt;

use serde::{
    Deserialize,
    de::{self, value::StrDeserializer},
};

/// The value that `text` names, as `T` is named in JSON. Errs with the words it could have been.
pub(super) fn word<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, UnknownWord> {
    T::deserialize(StrDeserializer::new(text))
}

/// The words of the set that a text is not in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnknownWord {
    pub(super) expected: &'static [&'static str],
}

impl de::Error for UnknownWord {
    fn custom<T: fmt::Display>(_message: T) -> Self {
        Self { expected: &[] }
    }
    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Self {
        Self { expected }
    }
}

impl std::error::Error for UnknownWord {}

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not one of {}", self.expected.join(", "))
    }
}
