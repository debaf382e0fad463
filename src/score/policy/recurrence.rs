//! Which days a window begins on: a part of RFC 5545's recurrence rules, as a question about one day.
//!
//! Every part that is taken only names days, so whether a day is one can be asked of that day and its week, month or year:
//! nothing is remembered between two questions. `FREQ` `DAILY`, `WEEKLY`, `MONTHLY` and `YEARLY`, with `INTERVAL`,
//! `BYDAY` (in months and years with an ordinal, as `-1FR`), `BYMONTHDAY`, `BYMONTH`, `BYSETPOS`, `WKST`, `COUNT` and
//! `UNTIL`. `BYWEEKNO`, `BYYEARDAY` and times of day are refused by name.

use jiff::civil::{Date, DateTime, Weekday};

/// The greatest `INTERVAL` and `COUNT`: beyond, a list of single windows says it better.
const INTERVAL_MAX: i32 = 1_000;
const COUNT_MAX: usize = 1_000;
/// Days that are looked at for `COUNT` occurrences: a hundred years.
const COUNT_DAYS_MAX: usize = 36_525;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

/// A day of the week; with an ordinal, that of a month or year, from its end if negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) weekday: Weekday,
    pub(super) ordinal: Option<i16>,
}

/// Until when windows may begin, itself included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// In the window's own zone.
    Local(DateTime),
    Instant(jiff::Timestamp),
}

/// A recurrence rule, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recurrence {
    pub(super) frequency: Frequency,
    pub(super) interval: i32,
    pub(super) by_day: Vec<Day>,
    /// 1 to 31, or from the end of the month −1 to −31.
    pub(super) by_month_day: Vec<i8>,
    pub(super) by_month: Vec<i8>,
    /// Which of the days that a period has by the other parts, from 1, or from the end as −1.
    pub(super) by_set_pos: Vec<i16>,
    pub(super) week_start: Weekday,
    pub(super) count: Option<usize>,
    pub(super) until: Option<Until>,
}

impl Recurrence {
    /// Reads a rule such as `FREQ=MONTHLY;BYDAY=-1FR`, with or without `RRULE:` before it. Errs with the rest of a
    /// sentence that says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let text = text.strip_prefix("RRULE:").unwrap_or(text);
        let mut rule = Self {
            frequency: Frequency::Daily,
            interval: 1,
            by_day: Vec::new(),
            by_month_day: Vec::new(),
            by_month: Vec::new(),
            by_set_pos: Vec::new(),
            week_start: Weekday::Monday,
            count: None,
            until: None,
        };
        let mut seen: Vec<&str> = Vec::new();
        for part in text.split(';').filter(|part| !part.is_empty()) {
            let (name, value) = part
                .split_once('=')
                .ok_or_else(|| format!("has `{part}`; expected parts such as FREQ=WEEKLY"))?;
            if seen.contains(&name) {
                return Err(format!("has {name} twice"));
            }
            seen.push(name);
            rule.part(name, value)?;
        }
        if !seen.contains(&"FREQ") {
            return Err("has no FREQ; expected FREQ=DAILY, WEEKLY, MONTHLY or YEARLY".to_owned());
        }
        rule.check()?;
        Ok(rule)
    }

    fn part(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "FREQ" => {
                self.frequency = match value {
                    "DAILY" => Frequency::Daily,
                    "WEEKLY" => Frequency::Weekly,
                    "MONTHLY" => Frequency::Monthly,
                    "YEARLY" => Frequency::Yearly,
                    _ => return Err(format!("has FREQ={value}; expected DAILY, WEEKLY, MONTHLY or YEARLY")),
                }
            }
            "INTERVAL" => self.interval = number(name, value, 1..=INTERVAL_MAX)?,
            "COUNT" => self.count = Some(number(name, value, 1..=COUNT_MAX)?),
            "UNTIL" => self.until = Some(until(value)?),
            "BYDAY" => self.by_day = value.split(',').map(day).collect::<Result<_, _>>()?,
            "BYMONTHDAY" => {
                let days: Result<Vec<i8>, String> = value.split(',').map(|day| number(name, day, -31..=31)).collect();
                self.by_month_day = days?;
                if self.by_month_day.contains(&0) {
                    return Err("has BYMONTHDAY=0; days are 1 to 31, or -1 to -31 from the month's end".to_owned());
                }
            }
            "BYMONTH" => {
                let months: Result<Vec<i8>, String> =
                    value.split(',').map(|month| number(name, month, 1..=12)).collect();
                self.by_month = months?;
            }
            "BYSETPOS" => {
                let places: Result<Vec<i16>, String> =
                    value.split(',').map(|place| number(name, place, -366..=366)).collect();
                self.by_set_pos = places?;
                if self.by_set_pos.contains(&0) {
                    return Err("has BYSETPOS=0; places are counted from 1, or from -1 at the end".to_owned());
                }
            }
            "WKST" => {
                self.week_start = weekday(value).ok_or_else(|| format!("has WKST={value}; expected MO to SU"))?;
            }
            "BYWEEKNO" | "BYYEARDAY" | "BYHOUR" | "BYMINUTE" | "BYSECOND" => {
                return Err(format!(
                    "has {name}, which is not supported; write several windows instead"
                ));
            }
            _ => return Err(format!("has {name}, which RFC 5545 does not know")),
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.count.is_some() && self.until.is_some() {
            return Err("has COUNT and UNTIL; one end is enough".to_owned());
        }
        let in_months = matches!(self.frequency, Frequency::Monthly | Frequency::Yearly);
        if !in_months && self.by_day.iter().any(|day| day.ordinal.is_some()) {
            return Err("has BYDAY with an ordinal, which only FREQ=MONTHLY and YEARLY can have".to_owned());
        }
        let names_days = !(self.by_day.is_empty() && self.by_month_day.is_empty() && self.by_month.is_empty());
        if !self.by_set_pos.is_empty() && !names_days {
            return Err("has BYSETPOS with no other BY part, of whose days it would be a place".to_owned());
        }
        if self.frequency == Frequency::Weekly && !self.by_month_day.is_empty() {
            return Err("has BYMONTHDAY, which FREQ=WEEKLY cannot have".to_owned());
        }
        Ok(())
    }

    /// Whether `date` is one of its days, of those that begin with `start`, whatever `COUNT` and `UNTIL` say.
    pub(super) fn gives(&self, date: Date, start: Date) -> bool {
        date >= start
            && self.is_in_step(date, start)
            && self.is_named(date, start)
            && (self.by_set_pos.is_empty() || self.is_in_place(date, start))
    }

    /// Whether the parts that name days name it.
    fn is_named(&self, date: Date, start: Date) -> bool {
        (self.by_month.is_empty() || self.by_month.contains(&date.month()))
            && self.is_month_day(date)
            && (self.by_day.is_empty() || self.by_day.iter().any(|day| self.is_day(*day, date)))
            && self.is_default(date, start)
    }

    /// Whether it has one of the places asked for among the days that its period has, those before `start` included.
    fn is_in_place(&self, date: Date, start: Date) -> bool {
        let n_named = |days: jiff::civil::DateSeries, n: i32| {
            let days = days.take(usize::try_from(n).unwrap_or(0));
            i16::try_from(days.filter(|day| self.is_named(*day, start)).count()).unwrap_or(i16::MAX)
        };
        let (before, after) = self.beside(date);
        let day = jiff::Span::new().days(1);
        let from_start = n_named(date.series(-day), before + 1);
        let from_end = -n_named(date.series(day), after + 1);
        self.by_set_pos
            .iter()
            .any(|place| *place == from_start || *place == from_end)
    }

    /// How many days its period has before it and after it.
    fn beside(&self, date: Date) -> (i32, i32) {
        let (place, length) = match self.frequency {
            Frequency::Daily => (0, 1),
            Frequency::Weekly => (self.day_of_week(date), 7),
            Frequency::Monthly => (i32::from(date.day()) - 1, i32::from(date.days_in_month())),
            Frequency::Yearly => (i32::from(date.day_of_year()) - 1, i32::from(date.days_in_year())),
        };
        (place, length - place - 1)
    }

    /// Days since its week began.
    fn day_of_week(&self, date: Date) -> i32 {
        i32::from(date.weekday().since(self.week_start))
    }

    /// Whether `date` is in a period that `INTERVAL` does not pass over.
    fn is_in_step(&self, date: Date, start: Date) -> bool {
        let periods = match self.frequency {
            Frequency::Daily => days_between(start, date),
            Frequency::Weekly => (days_between(start, date) + self.day_of_week(start)).div_euclid(7),
            Frequency::Monthly => {
                let months = |date: Date| i32::from(date.year()) * 12 + i32::from(date.month());
                months(date) - months(start)
            }
            Frequency::Yearly => i32::from(date.year()) - i32::from(start.year()),
        };
        periods % self.interval == 0
    }

    fn is_month_day(&self, date: Date) -> bool {
        let from_end = date.day() - date.days_in_month() - 1;
        self.by_month_day.is_empty()
            || self
                .by_month_day
                .iter()
                .any(|day| *day == date.day() || *day == from_end)
    }

    fn is_day(&self, day: Day, date: Date) -> bool {
        if date.weekday() != day.weekday {
            return false;
        }
        let Some(ordinal) = day.ordinal else { return true };
        // In a year, of the year, unless months are named.
        let (place, length) = if self.frequency == Frequency::Monthly || !self.by_month.is_empty() {
            (i16::from(date.day()), i16::from(date.days_in_month()))
        } else {
            (date.day_of_year(), date.days_in_year())
        };
        ordinal == (place - 1) / 7 + 1 || ordinal == -((length - place) / 7 + 1)
    }

    /// Where no part names days, the first one does.
    fn is_default(&self, date: Date, start: Date) -> bool {
        if !self.by_day.is_empty() || !self.by_month_day.is_empty() {
            return true;
        }
        match self.frequency {
            Frequency::Daily => true,
            Frequency::Weekly => date.weekday() == start.weekday(),
            Frequency::Monthly => date.day() == start.day(),
            Frequency::Yearly => {
                date.day() == start.day() && (!self.by_month.is_empty() || date.month() == start.month())
            }
        }
    }

    /// The days of a rule with `COUNT`, `start` being the first; fewer if there are no more in a hundred years.
    pub(super) fn counted(&self, start: Date) -> Option<Vec<Date>> {
        let days = start.series(jiff::Span::new().days(1)).take(COUNT_DAYS_MAX);
        Some(days.filter(|date| self.gives(*date, start)).take(self.count?).collect())
    }
}

fn days_between(start: Date, date: Date) -> i32 {
    // Between two dates of our calendar, which ends in 9999: it is always a number of days.
    start.until(date).map_or(0, |span| span.get_days())
}

fn number<T>(name: &str, value: &str, range: std::ops::RangeInclusive<T>) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let wrong = || format!("has {name}={value}; expected {} to {}", range.start(), range.end());
    let number = value
        .strip_prefix('+')
        .unwrap_or(value)
        .parse()
        .map_err(|_no_number| wrong())?;
    if range.contains(&number) {
        Ok(number)
    } else {
        Err(wrong())
    }
}

fn day(text: &str) -> Result<Day, String> {
    let wrong = || format!("has BYDAY={text}; expected MO to SU, in months with an ordinal as 1MO or -1FR");
    let (ordinal, name) = text.split_at_checked(text.len().saturating_sub(2)).ok_or_else(wrong)?;
    let weekday = weekday(name).ok_or_else(wrong)?;
    if ordinal.is_empty() {
        return Ok(Day { weekday, ordinal: None });
    }
    let ordinal: i16 = number("BYDAY", ordinal, -53..=53).map_err(|_no_ordinal| wrong())?;
    if ordinal == 0 {
        return Err(wrong());
    }
    Ok(Day {
        weekday,
        ordinal: Some(ordinal),
    })
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "MO" => Weekday::Monday,
        "TU" => Weekday::Tuesday,
        "WE" => Weekday::Wednesday,
        "TH" => Weekday::Thursday,
        "FR" => Weekday::Friday,
        "SA" => Weekday::Saturday,
        "SU" => Weekday::Sunday,
        _ => return None,
    })
}

/// `20261231`, `20261231T180000` or, in UTC, `20261231T180000Z`. A day ends with its last second.
fn until(text: &str) -> Result<Until, String> {
    let wrong = || format!("has UNTIL={text}; expected 20261231, 20261231T180000 or 20261231T180000Z");
    let local = text.strip_suffix('Z').unwrap_or(text);
    let at = match local.len() {
        8 if local == text => {
            let date = Date::strptime("%Y%m%d", local).map_err(|_no_date| wrong())?;
            date.at(23, 59, 59, 0)
        }
        15 => DateTime::strptime("%Y%m%dT%H%M%S", local).map_err(|_no_time| wrong())?,
        _ => return Err(wrong()),
    };
    if local == text {
        return Ok(Until::Local(at));
    }
    let instant = at.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_out_of_range| wrong())?;
    Ok(Until::Instant(instant.timestamp()))
}
