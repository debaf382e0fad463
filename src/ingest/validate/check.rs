//! What a single field may hold: one function per kind of value.
//!
//! Each takes the field as given and its name for the reject, and yields the value, or nothing where the field is
//! absent or null.

use std::{borrow::Cow, ops::RangeInclusive};

use serde::Deserialize;

use crate::{
    ingest::{
        Reject,
        decode::field::{Field, List, Number, Shape, Text},
        reject::Excerpt,
        word::{UnknownWord, word},
    },
    model::{Timestamp, UnitInterval, check_name},
};

/// The most of any count or measure: no fleet sees more in an interval, and a double holds it exactly.
pub(super) const MAX_NUMBER: u64 = 1_000_000_000_000;

/// The bound of a person's groups, in words.
pub(super) const GROUPS_BOUND: &str = "a list of at most 64 groups";

/// The field's value, whatever its range.
pub(super) fn given<'a, T: Shape<'a>>(value: Field<T>, field: &'static str) -> Result<Option<T>, Reject> {
    match value {
        Field::Absent | Field::Null => Ok(None),
        Field::Value(value) => Ok(Some(value)),
        Field::Wrong(found) => Err(Reject::WrongType {
            field,
            expected: T::EXPECTED,
            found,
        }),
    }
}

pub(super) fn required<T>(value: Option<T>, field: &'static str) -> Result<T, Reject> {
    value.ok_or(Reject::MissingField { field })
}

/// An identifier: 1 to 256 bytes without control characters.
pub(super) fn name<'a>(value: Field<Text<'a>>, field: &'static str) -> Result<Option<Text<'a>>, Reject> {
    let Some(text) = given(value, field)? else {
        return Ok(None);
    };
    check_name(&text).map_err(|problem| Reject::InvalidName { field, problem })?;
    Ok(Some(text))
}

/// Free text, of which the first `max_bytes` are kept.
pub(super) fn cut_text<'a>(
    value: Field<Text<'a>>,
    field: &'static str,
    max_bytes: usize,
) -> Result<Option<Text<'a>>, Reject> {
    Ok(given(value, field)?.map(|text| match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..text.floor_char_boundary(max_bytes)]),
        Cow::Owned(mut text) => {
            text.truncate(text.floor_char_boundary(max_bytes));
            Cow::Owned(text)
        }
    }))
}

/// One of a closed set of words.
pub(super) fn one_of<T>(value: Field<Text<'_>>, field: &'static str) -> Result<Option<T>, Reject>
where
    T: for<'de> Deserialize<'de>,
{
    let Some(text) = given(value, field)? else {
        return Ok(None);
    };
    word(&text)
        .map(Some)
        .map_err(|UnknownWord { expected }| Reject::InvalidValue {
            field,
            expected,
            found: Excerpt::of(&text),
        })
}

/// A whole number within `range`, which `expected` puts in words. `3.0` is whole.
pub(super) fn whole(
    value: Field<Number>,
    field: &'static str,
    range: RangeInclusive<u64>,
    expected: &'static str,
) -> Result<Option<u64>, Reject> {
    let Some(number) = given(value, field)? else {
        return Ok(None);
    };
    let number = match number {
        Number::Whole(number) => Some(number),
        Number::Negative => None,
        Number::Decimal(number) => whole_decimal(number),
    };
    match number {
        Some(number) if range.contains(&number) => Ok(Some(number)),
        _ => Err(Reject::OutOfRange { field, expected }),
    }
}

/// `number` if it has no fraction and is not negative: its decimal digits, which `Display` writes in full.
fn whole_decimal(number: f64) -> Option<u64> {
    // A negative zero is zero.
    let number = number + 0.0;
    number.to_string().parse().ok()
}

/// A count: 0 to 10¹².
pub(super) fn count(value: Field<Number>, field: &'static str) -> Result<Option<u64>, Reject> {
    whole(value, field, 0..=MAX_NUMBER, "a whole number from 0 to 10^12")
}

/// A measure: 0 to 10¹², decimals allowed.
pub(super) fn measure(value: Field<Number>, field: &'static str) -> Result<Option<f64>, Reject> {
    let Some(number) = given(value, field)? else {
        return Ok(None);
    };
    let number = decimal(number);
    if (0.0..=decimal(Number::Whole(MAX_NUMBER))).contains(&number) {
        Ok(Some(number + 0.0))
    } else {
        Err(Reject::OutOfRange {
            field,
            expected: "a number from 0 to 10^12",
        })
    }
}

/// A share: 0 to 1.
pub(super) fn share(value: Field<Number>, field: &'static str) -> Result<Option<UnitInterval>, Reject> {
    let Some(number) = given(value, field)? else {
        return Ok(None);
    };
    UnitInterval::new(decimal(number) + 0.0)
        .map(Some)
        .map_err(|_number| Reject::OutOfRange {
            field,
            expected: "a share from 0 to 1",
        })
}

fn decimal(number: Number) -> f64 {
    match number {
        #[expect(
            clippy::as_conversions,
            clippy::cast_precision_loss,
            reason = "exact wherever it is within range"
        )]
        Number::Whole(number) => number as f64,
        Number::Negative => -1.0,
        Number::Decimal(number) => number,
    }
}

/// True or false; absent is false.
pub(super) fn flag(value: Field<bool>, field: &'static str) -> Result<bool, Reject> {
    Ok(given(value, field)?.unwrap_or_default())
}

/// The items of a list, each as `item` has it; absent is empty. Errs if there are more than `KEEP`, which `expected`
/// puts in words.
pub(super) fn list<'a, T, U, const KEEP: usize>(
    value: Field<List<T, KEEP>>,
    field: &'static str,
    expected: &'static str,
    item: impl Fn(Field<T>) -> Result<U, Reject>,
) -> Result<Vec<U>, Reject>
where
    T: Shape<'a>,
{
    if matches!(&value, Field::Value(list) if list.n_items > KEEP) {
        return Err(Reject::OutOfRange { field, expected });
    }
    first_items(value, field, item)
}

/// The first `KEEP` items of a list, each as `item` has it; absent is empty.
pub(super) fn first_items<'a, T, U, const KEEP: usize>(
    value: Field<List<T, KEEP>>,
    field: &'static str,
    item: impl Fn(Field<T>) -> Result<U, Reject>,
) -> Result<Vec<U>, Reject>
where
    T: Shape<'a>,
{
    given(value, field)?
        .map_or_else(Vec::new, |list| list.items)
        .into_iter()
        .map(item)
        .collect()
}

/// The identifiers in a list, each called `item`; see [`list`].
pub(super) fn names<'a, const KEEP: usize>(
    value: Field<List<Text<'a>, KEEP>>,
    field: &'static str,
    item: &'static str,
    expected: &'static str,
) -> Result<Vec<Text<'a>>, Reject> {
    list(value, field, expected, |text| not_null(name(text, item)?, item))
}

/// An item of a list: unlike a field it cannot be null.
pub(super) fn not_null<'a, T: Shape<'a>>(value: Option<T>, field: &'static str) -> Result<T, Reject> {
    value.ok_or(Reject::WrongType {
        field,
        expected: T::EXPECTED,
        found: "null",
    })
}

/// An instant in RFC 3339.
pub(super) fn instant(value: Field<Text<'_>>, field: &'static str) -> Result<Option<Timestamp>, Reject> {
    let Some(text) = given(value, field)? else {
        return Ok(None);
    };
    let time = if is_rfc3339(text.as_bytes()) {
        text.parse().ok()
    } else {
        None
    };
    time.map(Some).ok_or_else(|| Reject::InvalidTime {
        field,
        found: Excerpt::of(&text),
    })
}

/// Whether the text has the form `2026-03-10T14:02:07.5+01:00`: parsing takes other forms of ISO 8601 too, which the
/// contract leaves out.
fn is_rfc3339(text: &[u8]) -> bool {
    let Some((seconds, rest)) = text.split_at_checked(b"2026-03-10T14:02:07".len()) else {
        return false;
    };
    let has_form = |text: &[u8], form: &[u8]| {
        text.len() == form.len()
            && text.iter().zip(form).all(|(byte, place)| match place {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't' | b' '),
                b'+' => matches!(byte, b'+' | b'-'),
                _ => byte == place,
            })
    };
    let n_digits = match rest {
        [b'.', digits @ ..] => digits.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    let offset = if n_digits > 0 { &rest[1 + n_digits..] } else { rest };
    has_form(seconds, b"0000-00-00T00:00:00") && (matches!(offset, b"Z" | b"z") || has_form(offset, b"+00:00"))
}
