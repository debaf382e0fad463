//! Values of each kind, and the words for what they should have been. A value that is not there is no fault.

use std::{ops::RangeInclusive, str::FromStr, time::Duration};

use toml::de::{DeInteger, DeValue};

use super::{fault::Reader, section::Item};
use crate::model::{InvalidName, UnitInterval, shorten};

impl Reader {
    /// Notes a fault of the value itself.
    pub(super) fn wrong(&mut self, item: &Item<'_>, text: impl Into<String>) {
        self.note(item.at, &item.path, text);
    }

    fn unexpected(&mut self, item: &Item<'_>, expected: &str) {
        self.wrong(item, format!("is {}; expected {expected}", describe(item.value)));
    }

    /// The key, where keys are names.
    pub(super) fn name<T: FromStr<Err = InvalidName>>(&mut self, item: &Item<'_>) -> Option<T> {
        match item.key.parse() {
            Ok(name) => Some(name),
            Err(error) => {
                self.note(item.key_at, &item.path, format!("has a name that {error}"));
                None
            }
        }
    }

    pub(super) fn text<'a>(&mut self, item: Option<&Item<'a>>) -> Option<&'a str> {
        let item = item?;
        let text = item.value.as_str();
        if text.is_none() {
            self.unexpected(item, "a string");
        }
        text
    }

    pub(super) fn boolean(&mut self, item: Option<Item<'_>>) -> Option<bool> {
        let item = item?;
        let boolean = item.value.as_bool();
        if boolean.is_none() {
            self.unexpected(&item, "true or false");
        }
        boolean
    }

    /// One of a closed set of words.
    pub(super) fn word<T: Copy>(&mut self, item: Option<Item<'_>>, words: &[(&str, T)]) -> Option<T> {
        let item = item?;
        let text = item.value.as_str();
        let found = text.and_then(|text| words.iter().find(|(word, _)| *word == text));
        if found.is_none() {
            self.unexpected(&item, &one_of(words));
        }
        found.map(|(_, value)| *value)
    }

    /// A number that `fits`, as `expected` says in words.
    pub(super) fn number(&mut self, item: Option<Item<'_>>, expected: &str, fits: impl Fn(f64) -> bool) -> Option<f64> {
        let item = item?;
        let number = match item.value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            // Every bound here is far below 2³¹, and so no number that fits is lost.
            DeValue::Integer(integer) => whole(integer).and_then(|n| i32::try_from(n).ok()).map(f64::from),
            DeValue::String(_) | DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => {
                None
            }
        };
        let number = number.filter(|number| fits(*number));
        if number.is_none() {
            self.unexpected(&item, expected);
        }
        // Minus zero becomes zero.
        number.map(|number| number + 0.0)
    }

    pub(super) fn share(&mut self, item: Option<Item<'_>>) -> Option<UnitInterval> {
        let number = self.number(item, "a number from 0 to 1", |n| UnitInterval::new(n).is_ok())?;
        Some(UnitInterval::clamped(number))
    }

    pub(super) fn whole<T: TryFrom<i64>>(&mut self, item: Option<Item<'_>>, range: RangeInclusive<i64>) -> Option<T> {
        let item = item?;
        let number = match item.value {
            DeValue::Integer(integer) => whole(integer).filter(|number| range.contains(number)),
            DeValue::String(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        };
        let number = number.and_then(|number| T::try_from(number).ok());
        if number.is_none() {
            self.unexpected(
                &item,
                &format!("a whole number from {} to {}", range.start(), range.end()),
            );
        }
        number
    }

    /// A whole number with its unit, as `"90s"`, `"5m"`, `"2h"` or `"1d"`.
    pub(super) fn duration(&mut self, item: Option<Item<'_>>, range: RangeInclusive<Duration>) -> Option<Duration> {
        let item = item?;
        let duration = item
            .value
            .as_str()
            .and_then(duration)
            .filter(|duration| range.contains(duration));
        if duration.is_none() {
            let unit = if is_bare_number(item.value) {
                ", a number without a unit"
            } else {
                ""
            };
            let (least, most) = (brief(*range.start()), brief(*range.end()));
            let found = describe(item.value);
            let expected = "a whole number and a unit (s, m, h, d) in quotes";
            self.wrong(
                &item,
                format!("is {found}{unit}; expected {expected}, from \"{least}\" to \"{most}\""),
            );
        }
        duration
    }

    /// The elements of a list, the first as `path[1]`; none if there is no list.
    pub(super) fn list<'a>(&mut self, item: Option<Item<'a>>) -> Vec<Item<'a>> {
        let Some(item) = item else { return Vec::new() };
        let Some(elements) = item.value.as_array() else {
            self.unexpected(&item, "a list in brackets");
            return Vec::new();
        };
        let element = |(i, element): (usize, &'a toml::Spanned<DeValue<'a>>)| Item {
            path: format!("{}[{}]", item.path, i + 1),
            key: item.key,
            key_at: element.span().start,
            at: element.span().start,
            value: element.get_ref(),
        };
        elements.iter().enumerate().map(element).collect()
    }

    /// A set of words that, where it is given, names at least one.
    pub(super) fn words<T: Copy + PartialEq>(&mut self, item: Option<Item<'_>>, words: &[(&str, T)]) -> Vec<T> {
        let Some(item) = item else { return Vec::new() };
        if item.value.as_array().is_some_and(|array| array.is_empty()) {
            self.wrong(&item, "is empty and so matches nothing; leave the key out to match all");
        }
        let mut values = Vec::new();
        for item in self.list(Some(item)) {
            if let Some(value) = self.word(Some(item), words)
                && !values.contains(&value)
            {
                values.push(value);
            }
        }
        values
    }
}

/// The value as it was written, if it is short.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quote(text),
        DeValue::Integer(number) => shorten(&number.to_string()),
        DeValue::Float(number) => shorten(number.as_str()),
        DeValue::Boolean(boolean) => boolean.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// In quotes, on one line, and not too much of it.
pub(super) fn quote(text: &str) -> String {
    format!("\"{}\"", shorten(text))
}

fn one_of<T>(words: &[(&str, T)]) -> String {
    let quoted: Vec<String> = words.iter().map(|(word, _)| quote(word)).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

fn whole(integer: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn duration(text: &str) -> Option<Duration> {
    let number = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let seconds = match &text[number.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    // A sign is no digit.
    let number = number.bytes().all(|byte| byte.is_ascii_digit()).then_some(number)?;
    number
        .parse::<u64>()
        .ok()?
        .checked_mul(seconds)
        .map(Duration::from_secs)
}

fn is_bare_number(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::Integer(_) | DeValue::Float(_) => true,
        DeValue::String(text) => text.parse::<f64>().is_ok(),
        DeValue::Boolean(_) | DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => false,
    }
}

/// In the greatest unit that leaves a whole number, but a single day in hours.
fn brief(duration: Duration) -> String {
    match duration.as_secs() {
        seconds if seconds >= 2 * 86_400 && seconds % 86_400 == 0 => format!("{}d", seconds / 86_400),
        seconds if seconds >= 3_600 && seconds % 3_600 == 0 => format!("{}h", seconds / 3_600),
        seconds if seconds >= 60 && seconds % 60 == 0 => format!("{}m", seconds / 60),
        seconds => format!("{seconds}s"),
    }
}
