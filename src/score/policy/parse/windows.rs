//! The windows of a file.

use std::collections::BTreeMap;

use jiff::{
    SignedDuration,
    civil::{Date, DateTime, Time, Weekday},
    tz::TimeZone,
};

use super::{
    MINUTE, TIERS,
    fault::Reader,
    section::{Item, Section},
    value::quote,
};
use crate::{
    model::{EnvironmentId, check_name},
    score::policy::{
        glob::{Glob, is_pattern},
        recurrence::Recurrence,
        schedule::{self, Days, LENGTH_MAX, Memo, Schedule},
        window::{Scope, Window, WindowEffect},
    },
};

/// Every decision on a service looks at every window.
const MAX_WINDOWS: usize = 64;
/// Names and patterns of one list, and days of `except`.
const MAX_NAMES: usize = 256;
/// Two windows that name each other's days would be a list, not a rule: the days looked at to name a first one.
const FIRST_DAYS_MAX: usize = 36_525;

pub(super) const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
const EFFECTS: [(&str, WindowEffect); 3] = [
    ("deny", WindowEffect::Deny),
    ("allow", WindowEffect::Allow),
    ("exempt", WindowEffect::Exempt),
];

pub(super) fn windows(reader: &mut Reader, item: Option<Item<'_>>) -> Vec<Window> {
    if let Some(item) = item.as_ref().filter(|item| item.value.is_table()) {
        reader.wrong(item, "is a table; expected [[window]] in double brackets");
        return Vec::new();
    }
    let at = item.as_ref().map_or(0, |item| item.at);
    let items = reader.list(item);
    if items.len() > MAX_WINDOWS {
        reader.note(
            at,
            "window",
            format!("is given {} times, at most {MAX_WINDOWS}", items.len()),
        );
        return Vec::new();
    }
    let mut windows = Vec::new();
    let mut first: BTreeMap<Box<str>, String> = BTreeMap::new();
    for item in items {
        let mut section = reader.section(Some(item));
        if !section.is_there() {
            continue;
        }
        let name = name(reader, &mut section);
        if let Some((name, item)) = &name {
            if let Some(other) = first.get(name) {
                reader.wrong(
                    item,
                    format!("is {}, which is the name of {other} already", quote(name)),
                );
            }
            first.entry(name.clone()).or_insert_with(|| section.path.clone());
        }
        let is_on = reader.boolean(section.take("enabled")).unwrap_or(true);
        let effect = effect(reader, &mut section);
        let scope = scope(reader, &mut section, true);
        let schedule = schedule(reader, &mut section, effect);
        reader.close(&section);
        if let (Some((name, _)), Some(effect), Some(schedule), true) = (name, effect, schedule, is_on) {
            windows.push(Window {
                name,
                effect,
                scope,
                schedule,
            });
        }
    }
    windows
}

fn name<'a>(reader: &mut Reader, section: &mut Section<'a>) -> Option<(Box<str>, Item<'a>)> {
    let Some(item) = section.take("name") else {
        reader.note_missing(section.at, &section.path, "has no `name`");
        return None;
    };
    let name = reader.text(Some(&item))?;
    if let Err(error) = check_name(name) {
        reader.wrong(&item, error.to_string());
        return None;
    }
    Some((name.into(), item))
}

fn effect(reader: &mut Reader, section: &mut Section<'_>) -> Option<WindowEffect> {
    let item = section.take("effect");
    if item.is_none() {
        let text = "has no `effect`: \"deny\" closes while it lasts, \"allow\" closes outside of it, \"exempt\" opens";
        reader.note_missing(section.at, &section.path, text);
    }
    reader.word(item, &EFFECTS)
}

/// Whom it is about: `services`, `tiers` and, of a window, `environments`.
pub(super) fn scope(reader: &mut Reader, section: &mut Section<'_>, has_environments: bool) -> Scope {
    let services = globs(reader, section.take("services"), Glob::parse);
    let tiers = reader.words(section.take("tiers"), &TIERS);
    let mut environments: Vec<EnvironmentId> = Vec::new();
    if has_environments {
        for item in texts(reader, section.take("environments")) {
            if is_pattern(item.1) {
                let text = "is a pattern, and environments are named; list each one";
                reader.wrong(&item.0, text);
                continue;
            }
            match item.1.parse() {
                Ok(name) => environments.push(name),
                Err(error) => reader.wrong(&item.0, format!("is a name that {error}")),
            }
        }
    }
    Scope {
        services,
        tiers,
        environments,
    }
}

pub(super) fn globs(
    reader: &mut Reader,
    item: Option<Item<'_>>,
    parse: impl Fn(&str) -> Result<Glob, String>,
) -> Vec<Glob> {
    let mut globs = Vec::new();
    for (item, text) in texts(reader, item) {
        match parse(text) {
            Ok(glob) => globs.push(glob),
            Err(error) => reader.wrong(&item, error),
        }
    }
    globs
}

/// The texts of a list that, where it is given, has at least one.
fn texts<'a>(reader: &mut Reader, item: Option<Item<'a>>) -> Vec<(Item<'a>, &'a str)> {
    let Some(item) = item else { return Vec::new() };
    let n = item.value.as_array().map_or(1, |array| array.len());
    if n == 0 {
        reader.wrong(&item, "is empty and so matches nothing; leave the key out to match all");
    }
    if n > MAX_NAMES {
        reader.wrong(&item, format!("has {n} entries, at most {MAX_NAMES}"));
        return Vec::new();
    }
    let mut found = Vec::new();
    for item in reader.list(Some(item)) {
        if let Some(text) = reader.text(Some(&item)) {
            found.push((item, text));
        }
    }
    found
}

pub(super) fn zone(reader: &mut Reader, item: Option<Item<'_>>) -> TimeZone {
    let Some(item) = item else { return TimeZone::UTC };
    let Some(name) = reader.text(Some(&item)) else {
        return TimeZone::UTC;
    };
    schedule::zone(name).unwrap_or_else(|| {
        reader.wrong(
            &item,
            format!(
                "is {}, which is no zone; expected a name such as \"Europe/Berlin\"",
                quote(name)
            ),
        );
        TimeZone::UTC
    })
}

fn schedule(reader: &mut Reader, section: &mut Section<'_>, effect: Option<WindowEffect>) -> Option<Schedule> {
    let zone = zone(reader, section.take("zone"));
    let (from, length, to) = (section.take("from"), section.take("length"), section.take("to"));
    if from.is_none() {
        let text = "has no `from`: when it begins first, as from = 2026-03-06T18:00:00";
        reader.note_missing(section.at, &section.path, text);
    }
    let begins = from.as_ref().and_then(|item| local(reader, item));
    let length = length_of(reader, section, begins, (length, to));
    let repeat = section.take("repeat");
    let except = except(reader, section.take("except"));
    let rule = match &repeat {
        None => None,
        Some(item) => {
            let text = reader.text(Some(item))?;
            match Recurrence::parse(text) {
                Ok(rule) => Some(rule),
                Err(error) => {
                    reader.wrong(item, error);
                    return None;
                }
            }
        }
    };
    let begins = begins?;
    let is_endless = rule
        .as_ref()
        .is_some_and(|rule| rule.count.is_none() && rule.until.is_none());
    if effect == Some(WindowEffect::Allow) && !is_endless {
        let text = if repeat.is_some() {
            "allows and comes to an end, after which all would be closed for good; leave COUNT and UNTIL out of `repeat`"
        } else {
            "allows only once, and all would be closed for good after it; give it a `repeat`, as repeat = \"FREQ=WEEKLY\""
        };
        reader.note_missing(section.at, &section.path, text);
    }
    let days = match rule {
        None => Days::Listed(vec![begins.date()]),
        Some(rule) => days(reader, from.as_ref(), begins, rule)?,
    };
    for (item, day) in &except {
        if !days.give(*day, begins.date()) {
            reader.wrong(item, "is no day on which it would begin, by `from` and `repeat`");
        }
    }
    let schedule = Schedule {
        zone,
        from: begins,
        length: length?,
        days,
        except: except.into_iter().map(|(_, day)| day).collect(),
        memo: Memo::default(),
    };
    if let Some(repeat) = &repeat {
        check_repeat(reader, repeat, &schedule, effect);
    }
    Some(schedule)
}

/// What would never begin, or never end.
fn check_repeat(reader: &mut Reader, repeat: &Item<'_>, schedule: &Schedule, effect: Option<WindowEffect>) {
    if schedule.never_begins() {
        reader.wrong(repeat, "has an UNTIL before `from`, so it never begins");
    } else if effect == Some(WindowEffect::Deny) && schedule.never_opens() {
        let text = "begins again before `length` is over, each time, so all would be closed for good; \
                    shorten `length`, or say with an \"allow\" when it is open";
        reader.wrong(repeat, text);
    }
}

/// The days of a rule, of which the first must be that of `from`: else nobody could say when it begins.
fn days(reader: &mut Reader, from: Option<&Item<'_>>, begins: DateTime, rule: Recurrence) -> Option<Days> {
    let start = begins.date();
    if !rule.gives(start, start) {
        let mut later = start.series(jiff::Span::new().days(1)).take(FIRST_DAYS_MAX);
        let hint = match later.find(|date| rule.gives(*date, start)) {
            Some(first) => format!("the first from then on is {first}"),
            None => "nor any day in a hundred years".to_owned(),
        };
        if let Some(from) = from {
            reader.wrong(
                from,
                format!("is on {start}, a day that `repeat` does not name; {hint}"),
            );
        }
        return None;
    }
    Some(match rule.counted(start) {
        Some(days) => Days::Listed(days),
        None => Days::Recurring(rule),
    })
}

/// `length`, or from the beginning `to` an end: one of them.
fn length_of(
    reader: &mut Reader,
    section: &Section<'_>,
    begins: Option<DateTime>,
    given: (Option<Item<'_>>, Option<Item<'_>>),
) -> Option<SignedDuration> {
    let length_max = std::time::Duration::from_secs(LENGTH_MAX.as_secs().unsigned_abs());
    match given {
        (Some(length), None) => {
            let length = reader.duration(Some(length), MINUTE..=length_max)?;
            SignedDuration::try_from(length).ok()
        }
        (None, Some(to)) => {
            let length = local(reader, &to)?.duration_since(begins?);
            if length <= SignedDuration::ZERO || length > LENGTH_MAX {
                reader.wrong(&to, "is not after `from`, or more than 62 days after it");
                return None;
            }
            Some(length)
        }
        (Some(_), Some(to)) => {
            reader.wrong(&to, "is given beside `length`; one of them is enough");
            None
        }
        (None, None) => {
            let text = "has no `length`, as length = \"12h\", nor `to`, the end of the first one";
            reader.note_missing(section.at, &section.path, text);
            None
        }
    }
}

/// A date and time without a zone, which is the window's.
fn local(reader: &mut Reader, item: &Item<'_>) -> Option<DateTime> {
    let text = written(item);
    // A form with an offset is read by a lenient parser too, and would mean another time.
    let has_offset = text.get(10..).is_some_and(|rest| rest.contains(['Z', 'z', '+', '-']));
    let time = text.parse().ok().filter(|_: &DateTime| !has_offset);
    if time.is_none() {
        let text = "is no local time; expected as 2026-03-06T18:00:00, without an offset, for that is `zone`'s";
        reader.wrong(item, text);
    }
    time
}

fn except<'a>(reader: &mut Reader, item: Option<Item<'a>>) -> Vec<(Item<'a>, Date)> {
    let mut days = Vec::new();
    let items = reader.list(item);
    if items.len() > MAX_NAMES
        && let Some(item) = items.first()
    {
        reader.wrong(item, format!("is one of {} days, at most {MAX_NAMES}", items.len()));
        return days;
    }
    for item in items {
        match written(&item).parse() {
            Ok(day) => days.push((item, day)),
            Err(_) => reader.wrong(
                &item,
                "is no day; expected as 2026-12-24: a day on which it would begin",
            ),
        }
    }
    days
}

/// A date or time as it stands in the file, with quotes or without.
fn written(item: &Item<'_>) -> String {
    match item.value {
        toml::de::DeValue::Datetime(datetime) => datetime.to_string(),
        toml::de::DeValue::String(text) => text.to_string(),
        toml::de::DeValue::Integer(_)
        | toml::de::DeValue::Float(_)
        | toml::de::DeValue::Boolean(_)
        | toml::de::DeValue::Array(_)
        | toml::de::DeValue::Table(_) => String::new(),
    }
}

/// `18:00-08:00`: a stretch of the day.
pub(super) fn hours(reader: &mut Reader, item: Option<Item<'_>>) -> Option<(Time, Time)> {
    let item = item?;
    let text = reader.text(Some(&item))?;
    let time = |text: &str| Time::strptime("%H:%M", text.trim()).ok();
    let hours = text.split_once('-').and_then(|(from, to)| time(from).zip(time(to)));
    let hours = hours.filter(|(from, to)| from != to);
    if hours.is_none() {
        reader.wrong(
            &item,
            format!(
                "is {}; expected from and to, as \"18:00-08:00\"; midnight is 00:00",
                quote(text)
            ),
        );
    }
    hours
}
