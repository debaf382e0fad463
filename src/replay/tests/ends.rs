//! Histories whose time is far off, or ends.

use super::{
    balances,
    scenario::{Scenario, Text, at, replay},
};
use crate::model::Timestamp;

/// Office hours, which open and close each day for as long as anything is known.
const WINDOW: &str = "[[window]]\nname = \"office\"\neffect = \"allow\"\nfrom = 2026-03-02T08:00:00\nlength = \"8h\"\n\
                      repeat = \"FREQ=DAILY\"\n";

/// The usual history, with all that happens in it once more so much later.
fn twice(later_ms: i64) -> Vec<Text> {
    let mut files = Scenario::usual(3).files();
    for (_, text) in &mut files {
        let again: String = (0..480)
            .map(|minute| (at(minute), Timestamp::from_millis(at(minute).millis() + later_ms)))
            .fold(text.clone(), |text, (time, later)| {
                text.replace(&time.to_string(), &later.to_string())
            })
            .replace("\"id\":\"", "\"id\":\"again-");
        text.push_str(&again);
    }
    files
}

/// Far beyond what a second is counted in, and with the last instant that there is.
#[test]
fn a_history_goes_on_to_the_end_of_time() {
    let last: Timestamp = "9999-12-31T23:59:59Z".parse().expect("a time");
    let year = 365 * 24 * 3_600_000;
    for later_ms in [200 * year, last.millis() - at(479).millis()] {
        for policy in [None, Some(WINDOW)] {
            let outcome = replay(&twice(later_ms), policy);
            assert!(balances(&outcome), "{:?}", outcome.summary.events);
            assert_eq!(outcome.summary.events.applied, outcome.summary.events.consumed);
            assert!(outcome.decisions.len() < 10_000, "{}", outcome.decisions.len());
        }
    }
}
