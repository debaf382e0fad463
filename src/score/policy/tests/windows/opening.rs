//! Until when windows that meet keep a service closed.

use jiff::civil::date;
use proptest::prelude::*;

use super::{super::policy, ms};
use crate::model::{Criticality, Timestamp};

/// Deploys only in the mornings of New York, and a weekend, a day and a maintenance window of Berlin beside them.
const LEDGER: &str = r#"
[[window]]
name = "weekend"
effect = "deny"
zone = "Europe/Berlin"
from = 2026-03-06T18:00:00
length = "62h"
repeat = "FREQ=WEEKLY;BYDAY=FR"

[[window]]
name = "mornings"
effect = "allow"
zone = "America/New_York"
from = 2026-03-02T09:00:00
length = "3h"
repeat = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"

[[window]]
name = "moving"
effect = "deny"
from = 2026-03-10T00:00:00
length = "24h"

[[window]]
name = "hotline"
effect = "exempt"
from = 2026-03-21T10:00:00
length = "1h"
"#;

#[test]
fn what_denies_must_be_over_and_something_that_allows_open_before_it_opens() {
    let policy = policy(LEDGER);
    for (time, expected) in [
        // New York's clocks have changed on the 8th, and Berlin's have not.
        ("07T12:00", Some(("weekend", "09T13:00"))),
        ("09T08:00", Some(("mornings", "09T13:00"))),
        ("09T13:00", None),
        ("09T16:00", Some(("mornings", "11T13:00"))),
        ("10T13:30", Some(("moving", "11T13:00"))),
        // Allowed until 16:00 UTC on Friday, and denied from 17:00.
        ("13T16:30", Some(("mornings", "16T13:00"))),
        ("20T16:30", Some(("mornings", "21T10:00"))),
    ] {
        let now: Timestamp = format!("2026-03-{time}:00Z").parse().expect("an instant");
        let closed = policy.outlook("ledger", Criticality::Low, "production", now).closed;
        let found = closed.map(|closed| {
            (
                closed.window.name.to_string(),
                closed.until.to_string()[8..16].to_owned(),
            )
        });
        let expected = expected.map(|(name, until)| (name.to_owned(), until.to_owned()));
        assert_eq!(found, expected, "{time}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Minute by minute it is closed until the instant that was said, and open then.
    #[test]
    fn it_is_closed_until_it_is_said_to_open(minutes in 0_i64..24 * 60 * 24) {
        let policy = policy(LEDGER);
        let closed = |at| policy.outlook("ledger", Criticality::Low, "production", at).closed;
        let now = ms(date(2026, 3, 1)) + std::time::Duration::from_secs(minutes.unsigned_abs() * 60);
        let Some(until) = closed(now).map(|closed| closed.until) else { return Ok(()) };
        let mut at = now;
        while at < until {
            prop_assert!(closed(at).is_some_and(|closed| closed.until == until), "{} {}", now, at);
            at = at + std::time::Duration::from_mins(7);
        }
        prop_assert!(closed(until).is_none(), "{} {}", now, until);
    }
}
