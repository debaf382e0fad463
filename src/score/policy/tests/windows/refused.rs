//! Windows that would close for good, or do nothing.

use super::super::super::Policy;

/// Of a window on its own, from a Monday, the fault has `expected` in it; `None`: it is good.
#[track_caller]
fn check(effect: &str, fields: &str, expected: Option<&str>) {
    let text = format!(
        "[[window]]\nname = \"w\"\neffect = \"{effect}\"\nzone = \"Europe/Berlin\"\nfrom = 2026-03-02T08:00:00\n{fields}\n"
    );
    let fault = Policy::parse(&text).err().map(|faults| faults.to_string());
    let is_as_expected = match (&fault, expected) {
        (Some(fault), Some(expected)) => fault.contains(expected),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    assert!(is_as_expected, "{text}{fault:?}");
}

#[test]
fn a_window_that_denies_leaves_a_time_that_is_open() {
    for (length, repeat, is_endless) in [
        ("24h", "FREQ=DAILY", true),
        ("25h", "FREQ=DAILY", true),
        ("7d", "FREQ=WEEKLY", true),
        ("62d", "FREQ=MONTHLY", true),
        ("1d", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR,SA,SU", true),
        ("23h", "FREQ=DAILY", false),
        ("6d", "FREQ=WEEKLY", false),
        ("30d", "FREQ=MONTHLY", false),
        ("24h", "FREQ=DAILY;UNTIL=20270101", false),
        ("24h", "FREQ=DAILY;COUNT=9", false),
    ] {
        let fields = format!("length = \"{length}\"\nrepeat = \"{repeat}\"");
        check(
            "deny",
            &fields,
            is_endless.then_some("window[1].repeat begins again before"),
        );
    }
    let daily = "length = \"24h\"\nrepeat = \"FREQ=DAILY\"";
    check("deny", &format!("{daily}\nexcept = [2026-04-01]"), None);
    check("deny", "length = \"62d\"", None);
    check("exempt", daily, None);
    check("allow", daily, None);
}

/// What is said fits what was written: there is no rule to leave an end out of.
#[test]
fn a_window_that_allows_does_not_come_to_an_end() {
    for (repeat, expected) in [
        (
            "",
            "window[1] allows only once, and all would be closed for good after it; give it a `repeat`",
        ),
        (
            "repeat = \"FREQ=DAILY;COUNT=9\"",
            "leave COUNT and UNTIL out of `repeat`",
        ),
        (
            "repeat = \"FREQ=DAILY;UNTIL=20270101\"",
            "leave COUNT and UNTIL out of `repeat`",
        ),
    ] {
        check("allow", &format!("length = \"1h\"\n{repeat}"), Some(expected));
    }
}

#[test]
fn how_long_a_window_may_be_is_said_in_the_units_of_people() {
    for length in ["30s", "63d"] {
        let expected = format!(
            "is \"{length}\"; expected a whole number and a unit (s, m, h, d) in quotes, from \"1m\" to \"62d\""
        );
        check("deny", &format!("length = \"{length}\""), Some(&expected));
    }
}

#[test]
fn a_window_does_not_end_before_it_begins() {
    for (until, never_begins) in [
        ("20260301", true),
        ("20260302T075959", true),
        ("20260302T065959Z", true),
        ("20260302T070000Z", false),
        ("20260302T080000", false),
        ("20260302", false),
    ] {
        let fields = format!("length = \"1h\"\nrepeat = \"FREQ=DAILY;UNTIL={until}\"");
        check(
            "deny",
            &fields,
            never_begins.then_some("window[1].repeat has an UNTIL before `from`"),
        );
    }
}

#[test]
fn a_day_that_is_excepted_is_one_of_the_windows() {
    for (repeat, except, expected) in [
        ("FREQ=WEEKLY", "2026-03-09", None),
        (
            "FREQ=WEEKLY",
            "2026-03-10",
            Some("window[1].except[1] is no day on which"),
        ),
        (
            "FREQ=WEEKLY",
            "2026-03-09, 2026-02-23",
            Some("window[1].except[2] is no day on which"),
        ),
        ("FREQ=WEEKLY;COUNT=2", "2026-03-09", None),
        (
            "FREQ=WEEKLY;COUNT=2",
            "2026-03-16",
            Some("window[1].except[1] is no day on which"),
        ),
    ] {
        let fields = format!("length = \"1h\"\nrepeat = \"{repeat}\"\nexcept = [{except}]");
        check("deny", &fields, expected);
    }
}
