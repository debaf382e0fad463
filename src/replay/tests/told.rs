//! Windows of the policy and people's words beside what was found.

use super::scenario::{Scenario, merged, replay};
use crate::replay::{ComparedPolicies, Comparison, Replay, Report};

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

#[test]
fn a_window_of_one_policy_is_no_difference_in_what_is_found() {
    let replay = |policy| {
        let mut replay = Replay::new(policy);
        replay.chronicle();
        replay
    };
    let files = Scenario::usual(2).files();
    let mut comparison = Comparison::new(replay(None), replay(Some(WINDOW)), ComparedPolicies::default());
    let mut merge = merged(&files);
    while let Some(arrival) = merge.next().expect("memory reads") {
        comparison.take(&arrival);
    }
    comparison.finish();
    let (summary, compared) = (comparison.a().summary(), comparison.compared());
    let services = &compared.services;
    assert_eq!((services.differ, services.differ_only_as_told), (3, 3));
    assert_eq!(services.differ_only_in_when, 0);
    assert_eq!((services.freezes_of_a, services.freezes_of_b_shared), (1, 1));
    assert!(services.first.is_empty() && !compared.is_same(), "{services:?}");
    let html = Report::compared(&comparison, &summary, &compared).html();
    assert!(html.contains("In those alone 3 of the services differ") && !html.contains("only B begins"));
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
