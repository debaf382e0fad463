//! The books while nothing moves: what was sent against what is applied, refused and in the log.

use std::collections::BTreeMap;

use crate::{
    arguments::Spoil,
    feed::{Counts, Feed},
    roster::Roster,
    violations::Violations,
    watch::Watch,
};

/// Compares everything; `None` where not everything can be asked for.
pub(crate) fn audit(feed: &Feed, roster: &Roster, watch: &Watch, spoil: Option<Spoil>) -> Option<Violations> {
    let mut violations = Violations::default();
    let mut expected = feed.expected();
    watch.seen().ledger.balance(&expected, &mut violations);
    if let Some(n) = expected.values_mut().next() {
        match spoil {
            Some(Spoil::Lost) => *n += 1,
            Some(Spoil::Twice) => *n -= 1,
            Some(Spoil::Reject | Spoil::Heartbeat) | None => {}
        }
    }
    let n_events = watch.seen().ledger.n_events();
    applied(&expected, n_events, roster, &mut violations)?;
    Some(violations)
}

/// What the owners say that each service has taken in.
fn applied(expected: &Counts, n_events: u64, roster: &Roster, violations: &mut Violations) -> Option<()> {
    let (_, instance) = roster.running().next()?;
    let mut services: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for ((service, kind), n) in expected {
        services.entry(service).or_default().insert(kind, *n);
    }
    let (mut n_applied, mut n_duplicates) = (0, 0);
    for (service, kinds) in services {
        let report = instance.service(service)?;
        n_duplicates += report["duplicates"].as_u64()?;
        for (kind, applied) in report["applied"].as_object()? {
            let applied = applied.as_u64()?;
            n_applied += applied;
            let sent = kinds.get(kind.as_str()).copied().unwrap_or(0);
            let text = || format!("{service} took in {applied} {kind} events of {sent}");
            violations.lost.add(sent.saturating_sub(applied), text);
            violations.twice.add(applied.saturating_sub(sent), text);
        }
    }
    let n_taken: u64 = n_applied + n_duplicates;
    violations.books.add(n_events.abs_diff(n_taken), || {
        format!("{n_events} events in the inputs; {n_applied} applied, {n_duplicates} duplicates")
    });
    Some(())
}
