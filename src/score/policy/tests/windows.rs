//! When windows are open: by hand, and held against an expansion of all their occurrences.

mod expansion;
mod opening;
mod refused;

use jiff::{
    ToSpan as _,
    civil::{Date, DateTime, date},
};
use proptest::prelude::*;

use self::expansion::{any_rule, expanded};
use super::{
    super::{
        Policy, WindowEffect,
        recurrence::Recurrence,
        schedule::{Days, Memo, Schedule, zone},
    },
    policy,
};
use crate::model::{Criticality, Timestamp};

fn window(fields: &str) -> String {
    format!("[[window]]\nname = \"w\"\neffect = \"deny\"\n{fields}\n")
}

/// The local times in `zone` at which a window begins and ends, over the two years from its beginning.
fn occurrences(fields: &str, zone: &str) -> Vec<String> {
    let policy = policy(&window(&format!("zone = \"{zone}\"\n{fields}")));
    let window = &policy.windows[0];
    let mut found = Vec::new();
    let mut now = ms(window.schedule.from.date().yesterday().expect("a day"));
    let end = now + std::time::Duration::from_hours(2 * 366 * 24);
    while now < end {
        let at = window.at(now);
        let next = at.open_until.map_or(at.next, |until| until.min(at.next));
        if next == Timestamp::NEVER {
            break;
        }
        let begins = window.at(next).open_until.is_some();
        let local = window.local(next);
        found.push(format!(
            "{} {}",
            if begins { '+' } else { '-' },
            local.strip_suffix(&format!(" {zone}")).expect("its zone")
        ));
        now = next;
    }
    found
}

fn ms(date: Date) -> Timestamp {
    let midnight = date.to_zoned(jiff::tz::TimeZone::UTC).expect("within range");
    Timestamp::from_millis(midnight.timestamp().as_millisecond())
}

#[test]
fn a_weekend_is_from_friday_to_monday_by_the_clock_on_the_wall() {
    let found = occurrences(
        "from = 2026-03-20T18:00:00\nlength = \"62h\"\nrepeat = \"FREQ=WEEKLY;BYDAY=FR;UNTIL=20260410T180000\"\nexcept = [2026-04-03]",
        "Europe/Berlin",
    );
    // The clocks change on the 29th: the window is an hour shorter, and ends at 8 all the same.
    let expected = [
        "+ 2026-03-20 18:00",
        "- 2026-03-23 08:00",
        "+ 2026-03-27 18:00",
        "- 2026-03-30 08:00",
        "+ 2026-04-10 18:00",
        "- 2026-04-13 08:00",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_time_that_the_clocks_pass_over_is_later_and_one_shown_twice_is_the_first() {
    // From 3:30, for 2:30 is not, and as long as on any other day.
    for (length, end) in [("30m", "04:00"), ("1h", "04:30"), ("2h", "05:30")] {
        let spring = occurrences(
            &format!("from = 2026-03-29T02:30:00\nlength = \"{length}\""),
            "Europe/Berlin",
        );
        assert_eq!(spring, ["+ 2026-03-29 03:30".to_owned(), format!("- 2026-03-29 {end}")]);
    }
    let nightly = occurrences(
        "from = 2026-03-28T02:30:00\nlength = \"1h\"\nrepeat = \"FREQ=DAILY;COUNT=3\"",
        "Europe/Berlin",
    );
    let expected = [
        "+ 2026-03-28 02:30",
        "- 2026-03-28 03:30",
        "+ 2026-03-29 03:30",
        "- 2026-03-29 04:30",
        "+ 2026-03-30 02:30",
        "- 2026-03-30 03:30",
    ];
    assert_eq!(nightly, expected);
    let policy = policy(&window(
        "zone = \"Europe/Berlin\"\nfrom = 2026-10-25T02:30:00\nlength = \"1h\"",
    ));
    let summer: Timestamp = "2026-10-25T00:30:00Z".parse().expect("an instant");
    assert!(
        policy.windows[0].at(summer).open_until.is_some(),
        "summer time, the first 2:30"
    );
    assert_eq!(
        policy.windows[0].at(summer).open_until,
        "2026-10-25T02:30:00Z".parse().ok()
    );
}

#[test]
fn recurrences_name_the_days_that_rfc_5545_says() {
    let cases: [(&str, &str, &[&str]); 9] = [
        (
            "2026-01-30",
            "FREQ=MONTHLY;BYDAY=-1FR;COUNT=3",
            &["2026-01-30", "2026-02-27", "2026-03-27"],
        ),
        (
            "2026-01-05",
            "FREQ=MONTHLY;BYDAY=1MO,3MO;COUNT=3",
            &["2026-01-05", "2026-01-19", "2026-02-02"],
        ),
        (
            "2026-01-31",
            "FREQ=MONTHLY;COUNT=3",
            &["2026-01-31", "2026-03-31", "2026-05-31"],
        ),
        (
            "2026-01-31",
            "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3",
            &["2026-01-31", "2026-02-28", "2026-03-31"],
        ),
        (
            "2026-02-13",
            "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=3",
            &["2026-02-13", "2026-03-13", "2026-11-13"],
        ),
        // From RFC 5545, section 3.8.5.3: every other week on Tuesday and Sunday, weeks beginning on Monday.
        (
            "1997-08-05",
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
            &["1997-08-05", "1997-08-10", "1997-08-19", "1997-08-24"],
        ),
        // And every 20th Monday of the year.
        (
            "1997-05-19",
            "FREQ=YEARLY;BYDAY=20MO;COUNT=3",
            &["1997-05-19", "1998-05-18", "1999-05-17"],
        ),
        // And every Thursday in March.
        (
            "1997-03-13",
            "FREQ=YEARLY;BYMONTH=3;BYDAY=TH;COUNT=4",
            &["1997-03-13", "1997-03-20", "1997-03-27", "1998-03-05"],
        ),
        ("2024-02-29", "FREQ=YEARLY;COUNT=2", &["2024-02-29", "2028-02-29"]),
    ];
    check_days(&cases);
}

#[test]
fn places_and_weeks_are_counted_as_rfc_5545_says() {
    let cases: [(&str, &str, &[&str]); 6] = [
        // From RFC 5545, section 3.8.5.3: every other week, weeks beginning on Sunday.
        (
            "1997-08-05",
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
            &["1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31"],
        ),
        // The third of Tuesdays, Wednesdays and Thursdays, of which the first is none before it began.
        (
            "1997-09-04",
            "FREQ=MONTHLY;COUNT=3;BYDAY=TU,WE,TH;BYSETPOS=3",
            &["1997-09-04", "1997-10-07", "1997-11-06"],
        ),
        // The last working day but one.
        (
            "1997-09-29",
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2;COUNT=5",
            &["1997-09-29", "1997-10-30", "1997-11-27", "1997-12-30", "1998-01-29"],
        ),
        // The first and the last working day.
        (
            "2026-01-01",
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-1;COUNT=4",
            &["2026-01-01", "2026-01-30", "2026-02-02", "2026-02-27"],
        ),
        // The last Friday or Saturday of a year.
        (
            "2026-12-26",
            "FREQ=YEARLY;BYDAY=FR,SA;BYSETPOS=-1;COUNT=3",
            &["2026-12-26", "2027-12-31", "2028-12-30"],
        ),
        // The second of a week's named days, by weeks that begin on Sunday: its Tuesdays.
        (
            "2026-01-06",
            "FREQ=WEEKLY;BYDAY=SU,TU,FR;WKST=SU;BYSETPOS=2;COUNT=2",
            &["2026-01-06", "2026-01-13"],
        ),
    ];
    check_days(&cases);
}

/// Of each its first day, the rule, and its days.
fn check_days(cases: &[(&str, &str, &[&str])]) {
    for (from, rule, expected) in cases {
        let start: Date = from.parse().expect("a day");
        let rule = Recurrence::parse(rule).expect("a rule");
        let found: Vec<String> = rule
            .counted(start)
            .expect("counted")
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, *expected, "{rule:?}");
    }
}

#[test]
fn what_is_wrong_with_a_window_is_said_with_its_line_all_at_once() {
    let text = "\
[[window]]
name = \"a\"
effect = \"close\"
zone = \"Europe/Berln\"
from = 2026-03-06T18:00:00Z
length = \"63d\"
repeat = \"FREQ=YEARLY;BYWEEKNO=20\"
except = [\"soon\"]
services = []

[[window]]
name = \"a\"
effect = \"allow\"
from = 2026-03-05T18:00:00
repeat = \"FREQ=WEEKLY;BYDAY=FR;COUNT=3\"
day = \"fri\"
";
    let faults = Policy::parse(text).expect_err("faulty").to_string();
    let lines: Vec<&str> = faults.lines().collect();
    let beginnings = [
        "3:10: window[1].effect is \"close\"; expected \"deny\", \"allow\" or \"exempt\"",
        "4:8: window[1].zone is \"Europe/Berln\", which is no zone",
        "5:8: window[1].from is no local time",
        "6:10: window[1].length is \"63d\"; expected a whole number and a unit",
        "7:10: window[1].repeat has BYWEEKNO, which is not supported",
        "8:11: window[1].except[1] is no day",
        "9:12: window[1].services is empty and so matches nothing",
        "11:1: window[2] has no `length`",
        "11:1: window[2] allows and comes to an end",
        "12:8: window[2].name is \"a\", which is the name of window[1] already",
        "14:8: window[2].from is on 2026-03-05, a day that `repeat` does not name; the first from then on is 2026-03-06",
        "16:1: window[2].day is unknown",
    ];
    assert_eq!(lines.len(), beginnings.len(), "{faults}");
    for (line, beginning) in lines.iter().zip(beginnings) {
        assert!(line.starts_with(beginning), "{line}\n{beginning}");
    }
}

#[test]
fn rules_that_say_nothing_or_too_much_are_refused_in_words() {
    for (rule, expected) in [
        ("", "no FREQ"),
        ("FREQ=HOURLY", "expected DAILY"),
        ("BYDAY=MO", "no FREQ"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
        ("FREQ=DAILY;COUNT=1001", "COUNT=1001"),
        ("FREQ=DAILY;COUNT=1;UNTIL=20270101", "one end is enough"),
        ("FREQ=WEEKLY;BYDAY=1FR", "ordinal"),
        ("FREQ=MONTHLY;BYDAY=0FR", "BYDAY=0FR"),
        ("FREQ=MONTHLY;BYDAY=é", "BYDAY=é"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY=0"),
        ("FREQ=DAILY;UNTIL=tomorrow", "UNTIL=tomorrow"),
        ("FREQ=DAILY;UNTIL=20260231", "UNTIL=20260231"),
        ("FREQ=WEEKLY;WKST=Monday", "WKST=Monday; expected MO to SU"),
        ("FREQ=MONTHLY;BYDAY=FR;BYSETPOS=0", "BYSETPOS=0"),
        ("FREQ=MONTHLY;BYSETPOS=-1", "no other BY part"),
        ("FREQ=DAILY;COLOR=red", "COLOR"),
        ("every day", "every day"),
    ] {
        let error = Recurrence::parse(rule).expect_err(rule);
        assert!(error.contains(expected), "{rule}: {error}");
    }
}

const TEAM: &str = "\
[[window]]
name = \"hours\"
effect = \"allow\"
environments = [\"production\"]
from = 2026-03-02T09:00:00
length = \"8h\"
repeat = \"FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR\"
[[window]]
name = \"moving\"
effect = \"deny\"
from = 2026-03-03T10:00:00
length = \"1d\"
tiers = [\"critical\"]
[[window]]
name = \"hotline\"
effect = \"exempt\"
services = [\"pay-*\"]
from = 2026-03-03T11:00:00
length = \"1h\"
";

/// Who is closed by what until when, at a time of March 2026.
fn closed(service: &str, tier: Criticality, environment: &str, time: &str) -> Option<(String, String)> {
    let policy = policy(TEAM);
    let now = format!("2026-03-{time}:00Z").parse().expect("an instant");
    let outlook = policy.outlook(service, tier, environment, now);
    let closed = outlook.closed?;
    Some((
        closed.window.name.to_string(),
        closed.until.to_string()[8..16].to_owned(),
    ))
}

#[test]
fn outside_of_what_is_allowed_and_inside_of_what_is_denied_it_is_closed_unless_exempt() {
    let cases = [
        ("shop", Criticality::Low, "production", "03T10:30", None),
        (
            "shop",
            Criticality::Low,
            "production",
            "03T17:00",
            Some(("hours", "04T09:00")),
        ),
        ("shop", Criticality::Low, "staging", "03T17:00", None),
        (
            "shop",
            Criticality::Critical,
            "staging",
            "03T17:00",
            Some(("moving", "04T10:00")),
        ),
        (
            "shop",
            Criticality::Critical,
            "production",
            "03T17:00",
            Some(("moving", "04T10:00")),
        ),
        (
            "shop",
            Criticality::Low,
            "production",
            "06T17:00",
            Some(("hours", "09T09:00")),
        ),
        // The exemption begins before the window ends.
        (
            "pay-eu",
            Criticality::Critical,
            "production",
            "03T10:30",
            Some(("moving", "03T11:00")),
        ),
        ("pay-eu", Criticality::Critical, "production", "03T11:00", None),
        (
            "pay-eu",
            Criticality::Critical,
            "production",
            "03T12:00",
            Some(("moving", "04T10:00")),
        ),
    ];
    for (service, tier, environment, time, expected) in cases {
        let expected = expected.map(|(name, until): (&str, &str)| (name.to_owned(), until.to_owned()));
        assert_eq!(
            closed(service, tier, environment, time),
            expected,
            "{service} {tier:?} {environment} {time}"
        );
    }
}

/// A weekend of two days, and a window of another name that begins as it ends.
#[test]
fn windows_that_follow_each_other_are_one_time_that_is_closed() {
    let policy = policy(
        r#"
[[window]]
name = "weekend"
effect = "deny"
from = "2026-03-07T00:00"
length = "24h"
repeat = "FREQ=WEEKLY;BYDAY=SA,SU"

[[window]]
name = "monday morning"
effect = "deny"
from = "2026-03-09T00:00"
length = "6h"
repeat = "FREQ=WEEKLY;BYDAY=MO"
"#,
    );
    for time in ["07T00:00", "07T23:59", "08T00:00", "08T23:59", "09T05:59"] {
        let now: Timestamp = format!("2026-03-{time}:00Z").parse().expect("an instant");
        let closed = policy.outlook("shop", Criticality::Low, "production", now).closed;
        assert_eq!(
            closed.map(|closed| closed.until.to_string()).as_deref(),
            Some("2026-03-09T06:00:00.000Z"),
            "{time}"
        );
    }
}

#[test]
fn without_windows_nothing_is_looked_at() {
    let policy = Policy::default();
    let outlook = policy.outlook("shop", Criticality::Low, "production", Timestamp::from_millis(0));
    assert_eq!((outlook.closed, outlook.changes_at), (None, Timestamp::NEVER));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// At any instant, and at the edges of each window, the answer is that of all occurrences laid out.
    #[test]
    fn a_window_at_any_instant_is_what_its_occurrences_say(
        rule in any_rule(),
        (minutes, offset, length) in (0_i64..1_440, 0_i32..500, 1_i64..4_000),
        in_zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
        instants in prop::collection::vec(0_i64..900 * 86_400, 1..40),
    ) {
        let start = date(2025, 1, 1).saturating_add(offset.days());
        let from: DateTime = start.to_datetime(jiff::civil::Time::midnight()).saturating_add(minutes.minutes());
        let except = expanded(&rule, start, start.saturating_add(40.days())).into_iter().skip(1).take(1).collect();
        let schedule = Schedule {
            zone: zone(in_zone).expect("a zone"),
            from,
            length: jiff::SignedDuration::from_mins(length),
            days: Days::Recurring(rule.clone()),
            except,
            memo: Memo::default(),
        };
        let until = schedule.days_until().unwrap_or(DateTime::MAX);
        let horizon = start.saturating_add(1_300.days());
        let days = expanded(&rule, start, horizon);
        let all: Vec<(i64, i64)> = days
            .iter()
            .filter(|day| !schedule.except.contains(day) && day.to_datetime(from.time()) <= until)
            .filter_map(|day| {
                let local = day.to_datetime(from.time());
                let at = |local: DateTime| local.to_zoned(schedule.zone.clone()).expect("within range");
                let begins = at(local);
                let ends = at(begins.datetime().saturating_add(schedule.length));
                let (begin, end) = (begins.timestamp().as_millisecond(), ends.timestamp().as_millisecond());
                (end > begin).then_some((begin, end))
            })
            .collect();
        // Those at the horizon meet windows that were not laid out.
        let known = ms(horizon.saturating_sub(1.days())).millis();
        let edges = all.iter().take(30).flat_map(|(begin, end)| [begin - 1, *begin, end - 1, *end]).filter(|edge| *edge < known);
        let base = ms(date(2025, 1, 1)).millis();
        for now in instants.into_iter().map(|second| base + second * 1_000).chain(edges) {
            let open = all.iter().filter(|(begin, end)| *begin <= now && now < *end).map(|(_, end)| *end).max();
            let next = all.iter().map(|(begin, _)| *begin).filter(|begin| *begin > now).min();
            let found = schedule.at(Timestamp::from_millis(now));
            prop_assert_eq!(found, schedule.clone().at(Timestamp::from_millis(now)), "one that was asked nothing before");
            prop_assert_eq!(found.open_until.map(Timestamp::millis), open, "{} {:?}", now, &rule);
            // Beyond what was laid out the next one is not known here.
            if let Some(next) = next {
                prop_assert_eq!(found.next.millis(), next, "{} {:?}", now, &rule);
            }
        }
    }

    /// Between two looks nothing changes: an outlook holds until it says it may not.
    #[test]
    fn an_outlook_holds_until_it_says_that_it_changes(
        hours in 0_i64..24 * 40,
        minutes in prop::collection::vec(0_i64..24 * 60 * 10, 1..20),
        service in prop::sample::select(vec!["shop", "pay-eu"]),
        tier in prop::sample::select(vec![Criticality::Low, Criticality::Critical]),
    ) {
        let policy = policy(TEAM);
        let now = ms(date(2026, 2, 25)) + std::time::Duration::from_secs(hours.unsigned_abs() * 3_600 + 7);
        let outlook = policy.outlook(service, tier, "production", now);
        prop_assert!(outlook.changes_at > now);
        let name = |closed: Option<super::super::Closed<'_>>| closed.map(|closed| (closed.window.name.clone(), closed.until));
        for minute in minutes {
            let later = now + std::time::Duration::from_secs(minute.unsigned_abs() * 60);
            if later < outlook.changes_at {
                let found = policy.outlook(service, tier, "production", later);
                prop_assert_eq!(name(found.closed), name(outlook.closed));
            }
        }
        if let Some(closed) = outlook.closed {
            prop_assert!(closed.until > now && closed.window.effect != WindowEffect::Exempt);
        }
    }
}
