//! Where misses and false freezes come from: by what the service, the deploy and the fault are like.

use std::collections::BTreeMap;

use crate::{
    figures::is_counted,
    interval::Share,
    judge::{Found, Freeze, Ground, Judged, Outcome, Traits},
    table::say,
};

/// Faults from this multiple on are looked at.
const FROM: f64 = 3.0;

pub(crate) fn print(judged: &[Judged]) {
    let faults: Vec<&Found> = judged
        .iter()
        .flat_map(|judged| &judged.faults)
        .filter(|found| found.fault.factor >= FROM && is_counted(found))
        .collect();
    say(&format!("misses of ≥ {FROM} × that the oracle saw, by cause"));
    let mut causes: BTreeMap<String, u32> = BTreeMap::new();
    for miss in faults.iter().filter_map(|found| found.miss) {
        *causes.entry(format!("{miss:?}")).or_default() += 1;
    }
    for (cause, n) in causes {
        say(&format!("  {cause:<16} {n:>5}"));
    }
    say("\nmissed of ≥ 3 × that the oracle saw, by what they are like");
    let mut rows: BTreeMap<(&str, String), Share> = BTreeMap::new();
    for found in &faults {
        for (name, value) in likeness_of_fault(found) {
            let share = rows.entry((name, value)).or_insert(Share { hits: 0, of: 0 });
            share.of += 1;
            share.hits += u32::from(found.outcome != Outcome::Frozen);
        }
    }
    for ((name, value), share) in &rows {
        let missed = share.value().unwrap_or(0.0);
        say(&format!(
            "  {name:<12} {value:<18} {:>4} of {:>4}  {missed:.2}",
            share.hits, share.of
        ));
    }
    print_false(judged);
}

fn print_false(judged: &[Judged]) {
    let freezes = judged.iter().flat_map(|judged| &judged.freezes);
    let wrong: Vec<&Freeze> = freezes.filter(|freeze| freeze.ground == Ground::Nothing).collect();
    say(&format!("\n{} false freezes, by what they are like", wrong.len()));
    let mut rows: BTreeMap<(&str, String), u32> = BTreeMap::new();
    for freeze in wrong {
        let mut all = likeness(&freeze.traits);
        let is_preview = *freeze.environment != *"production";
        all.push((
            "environment",
            if is_preview { "preview" } else { "production" }.to_owned(),
        ));
        all.push(("code", freeze.code.to_string()));
        let hours = freeze.traits.age.as_secs() / 3_600;
        all.push(("age", if hours < 24 { "first day" } else { "older" }.to_owned()));
        let day = freeze.traits.age.as_secs() / 86_400;
        all.push(("day", day.to_string()));
        if freeze.nearby.is_empty() {
            all.push(("nearby", "nothing".to_owned()));
        }
        all.extend(freeze.nearby.iter().map(|what| ("nearby", (*what).to_owned())));
        for key in all {
            *rows.entry(key).or_default() += 1;
        }
    }
    for ((name, value), n) in rows {
        say(&format!("  {name:<12} {value:<26} {n:>4}"));
    }
}

fn likeness_of_fault(found: &Found) -> Vec<(&'static str, String)> {
    let mut all = likeness(&found.traits);
    let minutes = found.latency.as_secs() / 60;
    let latency = match minutes {
        0 => "at once",
        1..=29 => "within 30 min",
        _ => "30 to 120 min",
    };
    let share = match found.fault.share {
        s if s < 0.05 => "below .05",
        s if s < 0.3 => ".05 to .3",
        s if s < 0.999 => ".3 to 1",
        _ => "all",
    };
    let factor = if found.fault.factor < 5.0 { "3 to 5" } else { "from 5" };
    all.push(("latency", latency.to_owned()));
    all.push(("share", share.to_owned()));
    all.push(("factor", factor.to_owned()));
    all.push(("deploy", format!("{:?}", found.kind).to_lowercase()));
    if found.burns_little {
        all.push(("slo", "burns little".to_owned()));
    }
    all
}

fn likeness(traits: &Traits) -> Vec<(&'static str, String)> {
    let rate = match traits.errors_per_minute {
        m if m < 0.3 => "a: < .3/min",
        m if m < 1.0 => "b: .3 to 1/min",
        m if m < 10.0 => "c: 1 to 10/min",
        m if m < 100.0 => "d: 10 to 100/min",
        _ => "e: ≥ 100/min",
    };
    let size = match traits.size {
        k if k < 3.0 => "k < 3",
        k if k < 10.0 => "k 3 to 10",
        _ => "k ≥ 10",
    };
    let drift = match traits.drift {
        d if d < 0.1 => "sd < .1",
        d if d < 0.2 => "sd .1 to .2",
        _ => "sd ≥ .2",
    };
    let version = if traits.tells_version { "told" } else { "not told" };
    let mut all = vec![
        ("reporting", traits.reporting.name().to_owned()),
        ("interval", format!("{:>3} s", traits.interval)),
        ("version", version.to_owned()),
        ("errors", rate.to_owned()),
        ("size", size.to_owned()),
        ("drift", drift.to_owned()),
    ];
    if traits.is_batch {
        all.push(("batch", "nightly".to_owned()));
    }
    if traits.has_objective {
        all.push(("slo", "has one".to_owned()));
    }
    all
}
