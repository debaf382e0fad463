//! What options' values may be: addresses, days, lengths of time.

use std::{path::PathBuf, time::Duration};

use clap::builder::{PathBufValueParser, TypedValueParser};

use crate::{
    config::is_place,
    ingest::MAX_OVERRIDE,
    model::{InvalidName, Timestamp, check_name},
};

/// The longest address taken, in bytes: with it, the longest question fits into a URL.
const URL_BYTES_MAX: usize = 2_048;

/// An address to prefix paths with, and to ask. One at which nobody could be asked is a typing error, which must not be
/// taken for an instance that is gone.
pub fn url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let Some(authority) = rest.and_then(|rest| rest.split('/').next()) else {
        return Err("an address such as http://holdpoint:8484".to_owned());
    };
    if text.len() > URL_BYTES_MAX {
        return Err(format!("an address of at most {URL_BYTES_MAX} bytes"));
    }
    // A path behind a query or a fragment would be part of it, and the question be put to another one.
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#');
    let place = authority.rsplit('@').next().unwrap_or_default();
    if !is_place(place) || text.contains(is_odd) {
        return Err("an address such as http://holdpoint:8484, without query, fragment and blanks".to_owned());
    }
    Ok(text.to_owned())
}

/// Where a result goes: a file of its own.
pub(super) fn result() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if path.as_os_str() == "-" {
            return Err("expected a file; standard output is /dev/stdout");
        }
        Ok(path)
    })
}

/// The id of an incident; empty, as a variable that is not set leaves it, is none.
pub(super) fn incident(text: &str) -> Result<String, InvalidName> {
    if !text.is_empty() {
        check_name(text)?;
    }
    Ok(text.to_owned())
}

/// A day, from its beginning in UTC, or an instant.
pub(super) fn date(text: &str) -> Result<Timestamp, String> {
    let instant = text.parse().or_else(|_no_instant| format!("{text}T00:00:00Z").parse());
    instant.map_err(|_neither: crate::model::InvalidTimestamp| {
        format!("`{text}` is no date, such as 2026-01-01 or 2026-01-01T12:00:00+01:00")
    })
}

/// How long a person's word lasts.
pub(super) fn length_of_word(text: &str) -> Result<Duration, String> {
    let length = duration(text)?;
    if length > MAX_OVERRIDE {
        let days = MAX_OVERRIDE.as_secs() / 86_400;
        return Err(format!(
            "at most {days}d; what is needed for longer belongs in the policy"
        ));
    }
    Ok(length)
}

/// Why a person says so: what the audit asks for is not to be passed over with nothing.
pub(super) fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("say why, for whoever reads it later".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn duration_above_zero(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("longer than nothing, such as 30s".to_owned()),
        duration => Ok(duration),
    }
}

/// `90s`, `10m`, `2h`, `7d`, or plain `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time, such as 90s, 10m, 2h or 7d");
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_not_a_number| wrong())?;
    number
        .checked_mul(seconds)
        .filter(|seconds| *seconds <= 366 * 86_400)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_day_in_utc_or_an_instant() {
        for (text, expected) in [
            ("2026-01-02", Some("2026-01-02T00:00:00.000Z")),
            ("2026-01-02T01:00:00+01:00", Some("2026-01-02T00:00:00.000Z")),
            ("2026-02-30", None),
            ("last week", None),
            ("", None),
        ] {
            assert_eq!(
                date(text).ok().map(|date| date.to_string()).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_persons_word_has_a_reason_and_an_end_within_a_week() {
        for (text, is_taken) in [
            ("0", true),
            ("7d", true),
            ("168h", true),
            ("169h", false),
            ("8d", false),
        ] {
            assert_eq!(length_of_word(text).is_ok(), is_taken, "{text}");
        }
        for (text, is_taken) in [("INC-7", true), ("", false), (" \t\u{a0}", false)] {
            assert_eq!(reason(text).is_ok(), is_taken, "{text:?}");
        }
    }

    #[test]
    fn an_address_is_one_that_a_path_can_follow() {
        for good in [
            "http://holdpoint:8484",
            "https://holdpoint.example.net/behind/a/proxy/",
            "http://me:hush@[::1]:8484",
            "http://hold_point:65535",
        ] {
            assert_eq!(url(good).as_deref(), Ok(good));
        }
        for wrong in [
            "holdpoint:8484",
            "http://",
            "http:///v1",
            "http://:8484",
            "http://me:hush@",
            "http://holdpoint:",
            "http://holdpoint:port",
            "http://holdpoint:84845",
            "http://[::1:8484",
            "http://hold%70oint:8484",
            "http://hölzl:8484",
            "http://holdpoint:8484?",
            "http://holdpoint:8484/?team=a",
            "http://holdpoint:8484#",
            "http://holdpoint :8484",
            "http://holdpoint:8484\n",
        ] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_of_time_have_a_unit() {
        for (text, seconds) in [
            ("0", Some(0)),
            ("30s", Some(30)),
            ("10m", Some(600)),
            ("7d", Some(604_800)),
            ("10", None),
            ("", None),
            ("m", None),
            ("é", None),
            ("99999999999999999999s", None),
        ] {
            assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs), "{text}");
        }
    }
}
