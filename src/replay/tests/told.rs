//! Windows of the policy and people's words beside what was found.

use super::{
    line,
    scenario::{Scenario, Text, merged, replay, written},
};
use crate::replay::{Compared, ComparedPolicies, Comparison, HeldFor, Replay, Report};

/// From one to three in the night, for all three services; the bad deploy is of six.
const WINDOW: &str = "[[window]]\nname = \"night\"\neffect = \"deny\"\nfrom = 2026-03-02T01:00:00\nlength = \"2h\"\n";

#[test]
fn windows_are_counted_apart_from_what_was_found() {
    let files = Scenario::usual(2).files();
    let (plain, closed) = (replay(&files, None).summary, replay(&files, Some(WINDOW)).summary);
    assert_eq!((plain.told.windows.freezes, plain.n_found()), (0, 1));
    assert_eq!((closed.told.windows.freezes, closed.n_found()), (3, 1));
    assert!(
        (closed.told.windows.hours.all() - 6.0).abs() < 1e-9,
        "{:?}",
        closed.told
    );
    assert_eq!(closed.hours_found(), plain.hours_found());
    let text = closed.to_string();
    for expected in [
        "\n             of it frozen by windows 6.0 h\n",
        "\nfreezes      1\n             by deploy_regression 1\n             beside them by windows and people: policy:night 3\n",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

/// What two policies come to: with its text and page.
fn compare(files: &[Text], a: Option<&str>, b: Option<&str>) -> (Compared, String, String) {
    let [a, b] = [a, b].map(|policy| {
        let mut replay = Replay::new(policy);
        replay.chronicle();
        replay
    });
    let comparison = Comparison::new(a, b, ComparedPolicies::default());
    let (_, compared, text, html) = written(comparison, files);
    (compared, text, html)
}

#[test]
fn a_window_of_one_policy_is_no_difference_in_what_is_found() {
    let (compared, _, html) = compare(&Scenario::usual(2).files(), None, Some(WINDOW));
    let services = &compared.services;
    assert_eq!((services.differ, services.differ_only_as_told), (3, 3));
    assert_eq!(services.differ_only_in_when, 0);
    assert_eq!((services.freezes_of_a, services.freezes_of_b_shared), (1, 1));
    assert!(services.first.is_empty() && !compared.is_same(), "{services:?}");
    assert!(html.contains("In those alone 3 of the services differ") && !html.contains("only B begins"));
}

/// An error a day for two weeks, in which both windows stand twice.
#[test]
fn windows_that_are_as_long_at_other_times_are_a_difference() {
    let error = r#""kind":"error","service":"search""#;
    let errors: String = (0..14)
        .map(|day| line(day, i64::try_from(day).expect("small") * 24 * 60, error))
        .collect();
    let weekly = |day: u8| {
        format!(
            "[[window]]\nname = \"weekly\"\neffect = \"deny\"\nfrom = 2026-03-{day:02}T00:00:00\nlength = \"24h\"\n\
             repeat = \"FREQ=WEEKLY\"\n"
        )
    };
    let (saturday, sunday) = (weekly(7), weekly(8));
    let files = [("errors", errors)];
    let (compared, text, html) = compare(&files, Some(&saturday), Some(&sunday));
    let services = &compared.services;
    assert_eq!((services.differ, services.differ_only_as_told), (1, 1), "{services:?}");
    assert!(text.contains("services     1 of 1 held for other times"), "{text}");
    assert!(html.contains("In those alone 1 of the services differ"));
    let (compared, ..) = compare(&files, Some(&saturday), Some(&saturday));
    assert!(compared.is_same(), "{compared:?}");
}

/// One of three services is frozen for what was found, and all by the window; B enforces both.
#[test]
fn what_windows_would_enforce_is_told() {
    let enforce = format!("mode = \"enforce\"\n{WINDOW}");
    let (compared, text, html) = compare(&Scenario::usual(2).files(), Some(WINDOW), Some(&enforce));
    let services = &compared.services;
    assert_eq!(
        (services.differ, services.only_in_mode, services.differ_only_as_told),
        (3, 3, 2)
    );
    let [checkout] = services.first.as_slice() else {
        panic!("{services:?}");
    };
    let told = |held: &HeldFor| (held.told_hours, held.told_hours_enforced);
    assert_eq!((told(&checkout.a), told(&checkout.b)), ((2.0, 0.0), (2.0, 2.0)));
    let figures = "hours frozen by windows             6.0         6.0        +0.0\n               \
                   enforced                          0.0         6.0        +6.0\n";
    assert!(text.contains(figures), "{text}");
    assert!(html.contains(">hours frozen by windows<"));
    assert!(
        !html.contains("services are left out"),
        "the others are said to differ in windows"
    );
}

#[test]
fn windows_are_drawn_last() {
    let mut replay = Replay::new(Some(WINDOW));
    replay.chronicle();
    let files = Scenario::usual(2).files();
    let mut merge = merged(&files);
    while let Some(arrival) = merge.next().expect("memory reads") {
        replay.take(&arrival);
    }
    replay.finish();
    let html = Report::new(&replay, &replay.summary()).html();
    assert!(
        html.contains("<p class=\"big\">1 freeze</p>"),
        "the headline is of what was found"
    );
    assert!(html.contains("Windows of the policy froze services beside that: 3 times for 6.0 h"));
    let by: Vec<bool> = html
        .split("<article")
        .skip(1)
        .map(|freeze| freeze.contains("by a window of the policy"))
        .collect();
    assert_eq!(by, [false, true, true, true]);
}
