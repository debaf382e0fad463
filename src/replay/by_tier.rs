//! Two policies by tier of the service, as people read it: figures with their intervals, side by side.

use std::fmt;

use super::{
    interval::Share,
    summary::{ModeHours, Quantiles, Summary, TierSummary},
    text::within,
};
use crate::model::Criticality;

/// Columns are as wide as `100.0 % (97.5 to 100.0)`.
const WIDE: usize = 24;

/// Freezes of all services, and where there are several tiers what was found, how soon, and what was held in each.
pub(super) fn write(f: &mut fmt::Formatter<'_>, a: &Summary, b: &Summary) -> fmt::Result {
    writeln!(f, "{:<40}{:>WIDE$}{:>WIDE$}", "by tier", "A", "B")?;
    let all = |of: fn(&Summary) -> String| [of(a), of(b)];
    row(
        f,
        "all",
        "freezes by evidence",
        all(|summary| {
            let freezes = &summary.freezes;
            (freezes.evidence_borne_out + freezes.evidence_not_borne_out).to_string()
        }),
    )?;
    row(
        f,
        "",
        "  false at most",
        all(|summary| share(summary.freezes.not_borne_out_share.as_ref())),
    )?;
    let tiers = Criticality::ALL.into_iter().rev().map(Criticality::name);
    let tiers: Vec<&str> = tiers
        .filter(|name| a.tiers.contains_key(name) || b.tiers.contains_key(name))
        .collect();
    if tiers.len() < 2 {
        return Ok(());
    }
    for name in tiers {
        let both = [a, b].map(|summary| summary.tiers.get(name));
        for (place, (figure, of)) in FIGURES.into_iter().enumerate() {
            let tier = if place == 0 { name } else { "" };
            row(f, tier, figure, both.map(|tier| tier.map_or_else(none, of)))?;
        }
    }
    Ok(())
}

fn row(f: &mut fmt::Formatter<'_>, tier: &str, figure: &str, [a, b]: [String; 2]) -> fmt::Result {
    writeln!(f, "{tier:<13}{figure:<27}{a:>WIDE$}{b:>WIDE$}")
}

/// A figure of a tier, in words.
type Of = fn(&TierSummary) -> String;

/// What is said of each tier.
const FIGURES: [(&str, Of); 7] = [
    ("freezes by evidence", |tier| {
        (tier.evidence_borne_out + tier.evidence_not_borne_out).to_string()
    }),
    ("  false at most", |tier| share(tier.not_borne_out_share.as_ref())),
    ("minutes to alarm (median)", |tier| {
        minutes(tier.alarm_after_seconds, |delay| delay.p50)
    }),
    ("  nine in ten", |tier| {
        minutes(tier.alarm_after_seconds, |delay| delay.p90)
    }),
    ("captured by riskiest 10 %", |tier| {
        let captured = tier.riskiest.get(1);
        share(captured.and_then(|captured| captured.interval.as_ref()))
    }),
    ("hours frozen", |tier| hours(tier.frozen_hours())),
    ("hours in extra review", |tier| {
        let held = tier.held_hours.get("extra_review");
        hours(held.copied().unwrap_or(ModeHours::ZERO))
    }),
];

fn none() -> String {
    "-".to_owned()
}

fn share(share: Option<&Share>) -> String {
    share.map_or_else(none, within)
}

fn minutes(delay: Option<Quantiles>, of: fn(&Quantiles) -> u64) -> String {
    let text = |delay| format!("{:.1}", super::summary::number(of(&delay)) / 60.0);
    delay.map_or_else(none, text)
}

fn hours(hours: ModeHours) -> String {
    format!("{:.1}", hours.all())
}
