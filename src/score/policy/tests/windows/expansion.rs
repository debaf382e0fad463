//! Rules of recurrence, and all their days laid out.

use jiff::{
    Span, ToSpan as _,
    civil::{Date, Weekday, date},
};
use proptest::prelude::*;

use super::super::super::recurrence::{Day, Frequency, Recurrence, Until};

pub(super) fn any_rule() -> impl Strategy<Value = Recurrence> {
    let weekday = prop::sample::select(vec![
        Weekday::Monday,
        Weekday::Wednesday,
        Weekday::Friday,
        Weekday::Sunday,
    ]);
    let frequency = prop::sample::select(vec![
        Frequency::Daily,
        Frequency::Weekly,
        Frequency::Monthly,
        Frequency::Yearly,
    ]);
    let ordinal = prop::option::of(prop::sample::select(vec![-5_i16, -2, -1, 1, 2, 4, 5]));
    let day = (weekday, ordinal).prop_map(|(weekday, ordinal)| Day { weekday, ordinal });
    let months = prop::collection::vec(1_i8..=12, 0..3);
    let month_days = prop::collection::vec(prop::sample::select(vec![-31_i8, -3, -1, 1, 13, 29, 31]), 0..3);
    let until = prop::option::of(0_i32..900);
    let places = prop::collection::vec(prop::sample::select(vec![-4_i16, -2, -1, 1, 2, 3, 30]), 0..3);
    let week_start = prop::sample::select(vec![Weekday::Monday, Weekday::Wednesday, Weekday::Sunday]);
    (
        frequency,
        1_i32..5,
        prop::collection::vec(day, 0..3),
        month_days,
        months,
        until,
        (places, week_start),
    )
        .prop_map(
            |(frequency, interval, mut by_day, mut by_month_day, by_month, until, (places, week_start))| {
                if matches!(frequency, Frequency::Daily | Frequency::Weekly) {
                    for day in &mut by_day {
                        day.ordinal = None;
                    }
                }
                if frequency == Frequency::Weekly {
                    by_month_day.clear();
                }
                let until =
                    until.map(|days| Until::Local(date(2025, 1, 1).saturating_add(days.days()).at(12, 0, 0, 0)));
                let names_days = !(by_day.is_empty() && by_month_day.is_empty() && by_month.is_empty());
                Recurrence {
                    frequency,
                    interval,
                    by_day,
                    by_month_day,
                    by_month,
                    by_set_pos: if names_days { places } else { Vec::new() },
                    week_start,
                    count: None,
                    until,
                }
            },
        )
}

/// All days of a rule as RFC 5545 expands them, period by period, from the table of its section 3.3.10: an oracle that
/// shares nothing with the question asked of one day.
pub(super) fn expanded(rule: &Recurrence, start: Date, end: Date) -> Vec<Date> {
    let mut days = Vec::new();
    let mut period = match rule.frequency {
        Frequency::Daily => start,
        Frequency::Weekly => start.saturating_sub(i32::from(start.weekday().since(rule.week_start)).days()),
        Frequency::Monthly => start.first_of_month(),
        Frequency::Yearly => start.first_of_year(),
    };
    while period <= end {
        let before = days.len();
        let step = match rule.frequency {
            Frequency::Daily => {
                days.extend(Some(period).filter(|day| {
                    limits(rule, *day)
                        && (rule.by_day.is_empty() || rule.by_day.iter().any(|by| by.weekday == day.weekday()))
                }));
                rule.interval.days()
            }
            Frequency::Weekly => {
                let wanted: Vec<Weekday> = if rule.by_day.is_empty() {
                    vec![start.weekday()]
                } else {
                    rule.by_day.iter().map(|day| day.weekday).collect()
                };
                days.extend(
                    (0..7)
                        .map(|i| period.saturating_add(i.days()))
                        .filter(|day| limits(rule, *day) && wanted.contains(&day.weekday())),
                );
                rule.interval.weeks()
            }
            Frequency::Monthly => {
                days.extend(in_month(rule, period, start));
                rule.interval.months()
            }
            Frequency::Yearly => {
                days.extend(in_year(rule, period, start));
                rule.interval.years()
            }
        };
        let of_period = in_places(rule, days.split_off(before));
        days.extend(of_period);
        period = period.saturating_add(step);
    }
    days.retain(|day| *day >= start && *day <= end);
    days.sort_unstable();
    days.dedup();
    days
}

/// Of the days of a period those that `BYSETPOS` names.
fn in_places(rule: &Recurrence, mut days: Vec<Date>) -> Vec<Date> {
    if rule.by_set_pos.is_empty() {
        return days;
    }
    days.sort_unstable();
    days.dedup();
    let place = |by: i16| {
        let n = i16::try_from(days.len()).expect("few");
        let place = if by > 0 { by - 1 } else { n + by };
        usize::try_from(place).ok().and_then(|place| days.get(place)).copied()
    };
    rule.by_set_pos.iter().filter_map(|by| place(*by)).collect()
}

/// `BYMONTH` and `BYMONTHDAY` where they limit.
fn limits(rule: &Recurrence, day: Date) -> bool {
    let month = rule.by_month.is_empty() || rule.by_month.contains(&day.month());
    let month_days: Vec<Date> = rule.by_month_day.iter().filter_map(|by| month_day(day, *by)).collect();
    month && (rule.by_month_day.is_empty() || month_days.contains(&day))
}

fn month_day(month: Date, by: i8) -> Option<Date> {
    let day = if by > 0 { by } else { month.days_in_month() + 1 + by };
    (1..=month.days_in_month())
        .contains(&day)
        .then(|| date(month.year(), month.month(), day))
}

fn in_month(rule: &Recurrence, month: Date, start: Date) -> Vec<Date> {
    if !rule.by_month.is_empty() && !rule.by_month.contains(&month.month()) {
        return Vec::new();
    }
    let by_day: Vec<Date> = rule
        .by_day
        .iter()
        .flat_map(|by| weekdays(*by, month, month.last_of_month()))
        .collect();
    if !rule.by_month_day.is_empty() {
        let days = rule.by_month_day.iter().filter_map(|by| month_day(month, *by));
        return days
            .filter(|day| rule.by_day.is_empty() || by_day.contains(day))
            .collect();
    }
    if rule.by_day.is_empty() {
        return month_day(month, start.day()).into_iter().collect();
    }
    by_day
}

fn in_year(rule: &Recurrence, year: Date, start: Date) -> Vec<Date> {
    let months: Vec<Date> = (1..=12).map(|month| date(year.year(), month, 1)).collect();
    let of_year: Vec<Date> = rule
        .by_day
        .iter()
        .flat_map(|by| weekdays(*by, year, year.last_of_year()))
        .collect();
    if !rule.by_month.is_empty() {
        return months
            .into_iter()
            .flat_map(|month| in_month(rule, month, start))
            .collect();
    }
    if !rule.by_month_day.is_empty() {
        let days = months
            .iter()
            .flat_map(|month| rule.by_month_day.iter().filter_map(|by| month_day(*month, *by)));
        return days
            .filter(|day| rule.by_day.is_empty() || of_year.contains(day))
            .collect();
    }
    if rule.by_day.is_empty() {
        return month_day(date(year.year(), start.month(), 1), start.day())
            .into_iter()
            .collect();
    }
    of_year
}

/// The weekdays of a stretch, or of them the one with the ordinal.
fn weekdays(by: Day, first: Date, last: Date) -> Vec<Date> {
    let days = first.series(Span::new().days(1)).take_while(|day| *day <= last);
    let all: Vec<Date> = days.filter(|day| day.weekday() == by.weekday).collect();
    let place = |ordinal: i16| {
        let n = i16::try_from(all.len()).expect("few");
        let place = if ordinal > 0 { ordinal - 1 } else { n + ordinal };
        usize::try_from(place).ok().and_then(|place| all.get(place)).copied()
    };
    by.ordinal
        .map_or_else(|| all.clone(), |ordinal| place(ordinal).into_iter().collect())
}
