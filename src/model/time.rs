//! Instants in Unix milliseconds.

use std::{
    fmt,
    ops::{Add, Sub},
    str::FromStr,
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// An instant: milliseconds since 1970-01-01T00:00:00Z, within the years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// A text that is no RFC 3339 date and time with an offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an RFC 3339 date and time, such as 2026-03-10T14:02:07Z")]
pub struct InvalidTimestamp {
    pub text: String,
}

impl Timestamp {
    /// Before every event.
    pub const MIN: Self = Self(i64::MIN);
    /// After every event: a deadline that never comes.
    pub const NEVER: Self = Self(i64::MAX);
    pub const QUARTER_HOUR_MS: i64 = 15 * 60 * 1_000;

    #[must_use]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms)
    }

    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// From `earlier` to this instant; zero if it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The quarter-hour that holds it, counted from 1970.
    #[must_use]
    pub const fn quarter_hour(self) -> i64 {
        self.0.div_euclid(Self::QUARTER_HOUR_MS)
    }

    /// The start of the stretch of length `step` that holds this instant.
    #[must_use]
    pub fn floor(self, step: Duration) -> Self {
        let step = millis(step).max(1);
        Self(self.0.div_euclid(step) * step)
    }
}

/// An instant to the second, from 1970 to 2106: for what is remembered by the thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Second(u32);

impl Second {
    /// The second that holds `at`, or the nearest there is.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let seconds = at.0.div_euclid(1_000).clamp(0, i64::from(u32::MAX));
        Self(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Its first instant.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp(i64::from(self.0) * 1_000)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Parts of a millisecond are dropped.
    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        if let Some(ms) = parse_usual(text.as_bytes()) {
            return Ok(Self(ms));
        }
        match text.parse::<jiff::Timestamp>() {
            Ok(timestamp) => Ok(Self(timestamp.as_millisecond())),
            Err(_) => parse_last(text)
                .map(Self)
                .ok_or_else(|| InvalidTimestamp { text: excerpt(text) }),
        }
    }
}

/// The full grammar for the last day and a bit of the year 9999, before which jiff's instants end so that they have a
/// date in every zone.
fn parse_last(text: &str) -> Option<i64> {
    let pieces = jiff::fmt::temporal::Pieces::parse(text).ok()?;
    let (date, time, offset) = (pieces.date(), pieces.time()?, pieces.to_numeric_offset()?);
    if date.year() != 9_999 {
        return None;
    }
    let days = days_from_civil(date.year().into(), date.month().into(), date.day().into());
    let (hour, minute, second) = (
        i64::from(time.hour()),
        i64::from(time.minute()),
        i64::from(time.second()),
    );
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - i64::from(offset.seconds());
    Some((seconds * 1_000 + i64::from(time.millisecond())).min(LAST_MS))
}

/// 9999-12-31T23:59:59.999Z.
const LAST_MS: i64 = 253_402_300_799_999;

fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

/// `2026-03-10T14:02:07Z`, with or without a fraction: the form nearly every producer writes, an order of magnitude
/// faster than the full grammar. `None` sends the rest to the full grammar, errors included.
fn parse_usual(text: &[u8]) -> Option<i64> {
    let (seconds, fraction) = text.split_at_checked(19)?;
    let separators =
        seconds[4] == b'-' && seconds[7] == b'-' && seconds[10] == b'T' && seconds[13] == b':' && seconds[16] == b':';
    if !separators || fraction.last() != Some(&b'Z') {
        return None;
    }
    let year = digits(&seconds[..4])?;
    let (month, day) = (digits(&seconds[5..7])?, digits(&seconds[8..10])?);
    let (hour, minute, second) = (
        digits(&seconds[11..13])?,
        digits(&seconds[14..16])?,
        digits(&seconds[17..19])?,
    );
    // The 29th to 31st and leap seconds depend on more than their own digits: leave them to the full grammar.
    if year < 1 || !(1..=12).contains(&month) || !(1..=28).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let ms = match &fraction[..fraction.len() - 1] {
        [] => 0,
        [b'.', rest @ ..] if (1..=9).contains(&rest.len()) => {
            digits(rest)?;
            let mut ms = 0;
            for place in 0..3 {
                ms = ms * 10 + rest.get(place).map_or(0, |digit| i64::from(digit - b'0'));
            }
            ms
        }
        _ => return None,
    };
    Some((days_from_civil(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000 + ms)
}

fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0_i64, |sum, byte| {
        byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
    })
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar (Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp:.3}"),
            Err(_) if self.0 < 0 => f.write_str("0001-01-01T00:00:00.000Z"),
            Err(_) => f.write_str("9999-12-31T23:59:59.999Z"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The short way and the full grammar agree wherever both answer.
    #[test]
    fn the_usual_form_reads_as_the_full_grammar_does() {
        let cases = [
            "2026-03-10T14:02:07Z",
            "1970-01-01T00:00:00Z",
            "1969-12-28T23:59:59.999Z",
            "2024-02-28T12:00:00.5Z",
            "2000-03-01T00:00:00.123456789Z",
            "0001-01-01T00:00:00Z",
            "9999-12-28T23:59:59Z",
        ];
        for text in cases {
            let full: jiff::Timestamp = text.parse().expect(text);
            assert_eq!(parse_usual(text.as_bytes()), Some(full.as_millisecond()), "{text}");
        }
        for text in [
            "2026-02-30T00:00:00Z",
            "2026-03-10",
            "2026-03-10T14:02:07",
            "2026-13-10T14:02:07Z",
            "",
            "é026-03-10T14:02:07Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        for (text, ms) in [
            ("9999-12-31T23:59:59Z", LAST_MS - 999),
            ("9999-12-31T23:59:59.999999999Z", LAST_MS),
            ("9999-12-31T23:59:59-01:00", LAST_MS),
            ("9999-12-31t01:00:00.5+01:00", LAST_MS - 86_399_499),
            ("9999-12-30T22:00:00Z", LAST_MS - 93_599_999),
            ("9999-12-30T22:00:01Z", LAST_MS - 93_598_999),
        ] {
            assert_eq!(text.parse(), Ok(Timestamp(ms)), "{text}");
        }
        for text in [
            "9999-12-32T00:00:00Z",
            "9999-12-31T23:59:59",
            "9999-12-31Z",
            "9999-12-31T24:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
        assert_eq!(
            "2024-02-29T12:00:00+02:00"
                .parse::<Timestamp>()
                .expect("leap day")
                .to_string(),
            "2024-02-29T10:00:00.000Z"
        );
    }
}
