//! Single cases, with their seeds: what to look at next.

use holdpoint::model::Timestamp;

use crate::{
    figures::is_counted,
    judge::{Found, Freeze, Ground, Judged, Outcome, Suffers, Traits},
    table::say,
};

/// Prints up to `n` of each kind.
pub(crate) fn print(judged: &[Judged], n: usize) {
    if n == 0 {
        return;
    }
    say("\nmissed, of ≥ 3 × that the oracle saw");
    let faults = judged
        .iter()
        .flat_map(|judged| judged.faults.iter().map(|found| (judged.seed, found)));
    let missed =
        faults.filter(|(_, found)| found.fault.factor >= 3.0 && is_counted(found) && found.outcome != Outcome::Frozen);
    for (seed, found) in missed.take(n) {
        say(&missed_line(seed, found));
    }
    for (name, ground) in [("false", Ground::Nothing), ("innocent", Ground::Innocent)] {
        say(&format!("\n{name} freezes"));
        let freezes = judged
            .iter()
            .flat_map(|judged| judged.freezes.iter().map(|freeze| (judged.seed, freeze)));
        for (seed, freeze) in freezes.filter(|(_, freeze)| freeze.ground == ground).take(n) {
            say(&freeze_line(seed, freeze));
        }
    }
    say("\nwrong blame");
    let blames = judged
        .iter()
        .flat_map(|judged| judged.blames.iter().map(|blame| (judged.seed, blame)));
    for (seed, blame) in blames.filter(|(_, blame)| !blame.hits()).take(n) {
        let (truth, said) = (
            blame.truth.name(),
            blame.said.as_ref().map_or("nothing", |said| said.name()),
        );
        say(&format!(
            "  seed {seed} {} {}: {:?}, in truth {truth}, said {said}{}; began {} s before, would be known {}, dated {}",
            blame.at,
            blame.service,
            blame.guilty,
            if blame.overlapping { "" } else { ", alone" },
            blame.at.since(blame.since).as_secs(),
            if blame.is_to_be_known() { "so" } else { "no" },
            if blame.is_to_be_dated() { "so" } else { "no" },
        ));
    }
}

fn missed_line(seed: u64, found: &Found) -> String {
    format!(
        "  seed {seed} {} {} {:.1}× from {} for {} min, latent {} min, at {:.2}: {:?} {}; e {:.1e} ratio {:.2}, oracle {} s{}; {}",
        found.deploy,
        found.traits.service,
        found.fault.factor,
        found.fault.from,
        found.fault.until.since(found.fault.from).as_secs() / 60,
        found.latency.as_secs() / 60,
        found.fault.share,
        found.outcome,
        found.miss.map_or(String::new(), |miss| format!("{miss:?}")),
        found.e_value_max,
        found.rate_ratio,
        found.oracle.map_or(0, |oracle| oracle.as_secs()),
        if found.burns_little { ", burns little" } else { "" },
        of_traits(&found.traits)
    )
}

fn freeze_line(seed: u64, freeze: &Freeze) -> String {
    format!(
        "  seed {seed} {} {}@{} {} {}, held {} min; near: {}; {}{}",
        freeze.at,
        freeze.traits.service,
        freeze.environment,
        freeze.code,
        freeze.deploy.as_deref().unwrap_or("–"),
        freeze.held.as_secs() / 60,
        freeze.nearby.join(", "),
        of_traits(&freeze.traits),
        freeze.suffers.as_ref().map_or_else(String::new, suffers)
    )
}

fn suffers(suffers: &Suffers) -> String {
    let after = |at: Option<Timestamp>| {
        at.map_or("never".to_owned(), |at| {
            format!("{:+} s", (at.millis() - suffers.from.millis()) / 1_000)
        })
    };
    format!(
        "; since {} from {} ({}), held at {}; the deploy named began at {}",
        suffers.from,
        suffers.by,
        suffers.deploy.as_deref().unwrap_or("an outage"),
        after(suffers.held_at),
        after(suffers.named_at)
    )
}

fn of_traits(traits: &Traits) -> String {
    format!(
        "{} {} s{}{}{}, {:.2}/min, k {:.1}, drift {:.2}, {} h old",
        traits.reporting.name(),
        traits.interval,
        if traits.tells_version { ", versions" } else { "" },
        if traits.tells_upstream { ", upstreams" } else { "" },
        if traits.is_batch { ", nightly" } else { "" },
        traits.errors_per_minute,
        traits.size,
        traits.drift,
        traits.age.as_secs() / 3_600
    )
}
